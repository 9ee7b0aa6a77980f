import pytest
from tests.unit.node.face.world import World


@pytest.fixture
def storage(memory_storage):
    """The twin is enough here: both databases passed the same tests, and processes with the real one have their own."""
    return memory_storage


@pytest.fixture
async def world(storage, tmp_path):
    made = await World(storage, tmp_path).start()
    yield made
    await made.stop()
