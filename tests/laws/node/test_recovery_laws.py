"""Laws of recovery: whoever fails and however, a node gets back exactly what the code can give, and never anything false."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.node.feeding import start_epochs
from tests.unit.node.recovery_worlds import EPOCH, OURS, N, World, make_blob

from walrus_codec import mapping
from walrus_codec.types import Axis, EncodingType, ShardIndex
from walrus_node.recovery import gathering
from walrus_node.recovery.blobs import Outcome
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import ShardStatus
from walrus_node.store.storage import SliverKey, Storage

BLOBS = [make_blob(bytes(range(200)), encoding) for encoding in EncodingType]
FAULTS = st.sampled_from([None, None, "down", "lying", "stalling"])


@pytest.fixture(scope="module", autouse=True)
def impatient():
    """Stalled nodes are waited for only a moment, so that the laws are quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "PATIENCE_S", 0.01)
        patch.setattr(gathering, "REQUEST_TIMEOUT_S", 0.1)
        yield


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(BLOBS),
    st.lists(FAULTS, min_size=4, max_size=4),
    st.frozensets(st.integers(2, N - 1), max_size=4),
    st.frozensets(st.tuples(st.sampled_from(OURS), st.sampled_from(list(Axis)))),
    st.integers(0, 2**32),
)
def test_what_the_good_nodes_hold_decides_and_nothing_else(blob, faults, lacking, lost, seed):
    """`lacking` are shards of others that have nothing yet, `lost` the slivers that we lost; the others are here."""

    async def run():
        storage = await Storage.over(MemoryStore())
        await start_epochs(storage, EPOCH)
        await storage.create_shards(OURS, ShardStatus.ACTIVE)
        world = World(storage, random.Random(seed))
        await world.add(blob)
        good = 0
        for peer, fault in zip(world.each(), faults, strict=True):
            peer.lacking = {mapping.pair_of_shard(s, blob.blob_id, N) for s in peer.member.shards if s in lacking}
            good += 0 if fault else len(peer.member.shards) - len(peer.lacking)
            if fault:
                setattr(peer, fault, True)
        await storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
        for shard in OURS:
            pair = blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)]
            for axis in Axis:
                if (shard, axis) not in lost:
                    key = SliverKey(shard, axis, blob.blob_id)
                    await storage.put_sliver(key, getattr(pair, axis.value).to_bcs())
        before = await world.view.refresh()
        outcome = await world.recoverer.complete(blob.blob_id, world.scope, before)
        held = {axis: len(OURS) - sum(entry[1] is axis for entry in lost) for axis in Axis}
        # Secondary slivers come from primary ones, and only then can they help to get the primary ones.
        secondary = held[Axis.SECONDARY] == len(OURS) or good + held[Axis.PRIMARY] >= blob.params.k1
        columns = good + (len(OURS) if secondary else held[Axis.SECONDARY])
        primary = held[Axis.PRIMARY] == len(OURS) or columns >= blob.params.k2
        assert outcome is (Outcome.WHOLE if secondary and primary else Outcome.LACKING)
        assert await world.holds(blob) is (secondary and primary)
        for shard in map(ShardIndex, OURS):
            pair = blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)]
            for axis in Axis:
                stored = await storage.sliver(SliverKey(shard, axis, blob.blob_id))
                assert stored is None or bytes(stored) == getattr(pair, axis.value).to_bcs()
        await world.compute.close()
        await storage.close()

    asyncio.run(run())
