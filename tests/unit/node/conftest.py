import asyncio

import pytest

from walrus_node.store.memory import MemoryStore
from walrus_node.store.rocks import RocksStore
from walrus_node.store.storage import Storage


@pytest.fixture(params=["memory", "rocks"])
def kv(request, tmp_path):
    """Both databases: every test that asks for this runs on each."""
    store = MemoryStore() if request.param == "memory" else RocksStore(tmp_path / "db")
    yield store
    store.close()


@pytest.fixture
async def storage(kv):
    opened = await Storage.over(kv)
    yield opened
    await opened.close()


@pytest.fixture
async def memory_storage():
    opened = await Storage.over(MemoryStore())
    yield opened
    await opened.close()


@pytest.fixture
async def running():
    """Starts coroutines that are cancelled at the end of the test."""
    tasks = []

    def start(coroutine):
        tasks.append(asyncio.create_task(coroutine))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
