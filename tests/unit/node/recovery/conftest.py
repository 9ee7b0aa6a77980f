import random

import pytest
from tests.unit.node.feeding import start_epochs
from tests.unit.node.recovery_worlds import EPOCH, OURS, World, make_blob
from tests.unit.node.worlds import put_state

from walrus_codec.types import EncodingType
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus


@pytest.fixture
async def world(memory_storage):
    await start_epochs(memory_storage, EPOCH)
    await memory_storage.create_shards(OURS, ShardStatus.ACTIVE_RECOVER)
    await put_state(memory_storage, NodeState(NodeStatus.RECOVERY_IN_PROGRESS, EPOCH))
    made = World(memory_storage, random.Random(3))
    await made.view.refresh()
    yield made
    await made.compute.close()


@pytest.fixture(params=list(EncodingType), ids=lambda code: code.label)
def blob(request):
    return make_blob(encoding=request.param)
