import pytest
from tests.unit.node.admin.world import Administered


@pytest.fixture
async def node(memory_storage, tmp_path):
    made = await Administered(memory_storage, tmp_path).start()
    yield made
    await made.stop()
