"""Puts events, epochs and slivers into a store, as checkpoints and uploads would."""

from tests.unit.node.worlds import (
    blob_id,
    event_id,
    object_id,
    pool_id,
)

from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.events import rules
from walrus_node.store.shards import SliverKey
from walrus_sui.events import EpochChangeStart

B, C, O1, O2 = blob_id(1), blob_id(2), object_id(1), object_id(2)
P1, P2 = pool_id(1), pool_id(2)
S0, S1 = ShardIndex(0), ShardIndex(1)


async def feed(storage, *events):
    cursor = await storage.cursor()
    sequence = cursor.sequence + 1 if cursor else 0
    pairs = [(event_id(100 * sequence + position), event) for position, event in enumerate(events)]
    return await storage.apply(sequence, 1000 * sequence, lambda working: rules.apply_all(working, pairs))


async def start_epochs(storage, until):
    cursor = await storage.cursor()
    for epoch in range((cursor.epoch if cursor else 0) + 1, until + 1):
        await feed(storage, EpochChangeStart(Epoch(epoch)))


async def fill(storage, blob=B, shards=(S0, S1), sliver=b"sliver"):
    await storage.put_metadata(blob, b"metadata")
    for shard in shards:
        for axis in Axis:
            await storage.put_sliver(SliverKey(shard, axis, blob), sliver)
