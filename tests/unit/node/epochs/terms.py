"""What the tests of epochs share: a key, a blob, and names of the statuses of shards."""

from tests.unit.node.worlds import (
    blob_id,
    object_id,
)

from walrus_node.store.records import ShardStatus
from walrus_sui.keys import SuiKey

KEY = SuiKey.generate()
ACTIVE, SYNC, RECOVER, LOCKED = (
    ShardStatus.ACTIVE,
    ShardStatus.ACTIVE_SYNC,
    ShardStatus.ACTIVE_RECOVER,
    ShardStatus.LOCKED_TO_MOVE,
)
B, O1, O2 = blob_id(1), object_id(1), object_id(2)
