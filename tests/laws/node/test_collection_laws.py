"""Laws of garbage collection: the blobs with data on disk are those that a dumb twin says, after any stream of events."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.node.test_event_laws import BLOBS, feed, histories

from walrus_codec.types import Axis, ShardIndex
from walrus_node.store import layout
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage

SHARDS = [ShardIndex(0), ShardIndex(1)]
BETWEEN = st.lists(
    st.one_of(
        st.tuples(st.just("upload"), st.sampled_from(BLOBS)),
        st.tuples(st.sampled_from(["collect", "kill"]), st.none()),
    ),
    max_size=3,
)
"""What happens between two events: uploads also when nothing is registered (they may cross the end of a blob)."""


async def upload(storage, blob):
    if await storage.put_metadata(blob, b"metadata"):
        for shard in SHARDS:
            for axis in Axis:
                await storage.put_sliver(SliverKey(shard, axis, blob), b"sliver")


async def with_data(storage):
    """Blobs that have anything on disk; each of them must have all."""
    found = set()
    for blob in BLOBS:
        missing = await storage.missing(blob, SHARDS)
        assert len(missing) in {0, 4}
        assert (not missing) == (await storage.metadata(blob) is not None)
        if not missing:
            found.add(blob)
    return found


@settings(max_examples=120, deadline=None)
@given(histories(), st.data())
def test_data_are_there_exactly_for_blobs_that_somebody_keeps_or_that_were_not_collected_yet(case, data):
    events, opinions = case

    async def run():
        kv = MemoryStore()
        storage = await Storage.over(kv)
        await storage.create_shards(SHARDS, ShardStatus.ACTIVE)
        twin = set()
        for number, event in enumerate(events):
            await feed(storage, number, [event])
            alive = {blob for blob in BLOBS if opinions[number][blob][1]}
            dead_for_ever = {blob for blob in BLOBS if opinions[number][blob][0] == ("invalid",)}
            for step, blob in data.draw(BETWEEN):
                match step:
                    case "upload":
                        await upload(storage, blob)
                        twin |= {blob} - dead_for_ever
                    case "collect":
                        await storage.collect(await storage.garbage())
                        twin &= alive
                    case "kill":
                        await storage.close()
                        kv = kv.killed()
                        storage = await Storage.over(kv)
                assert await with_data(storage) == twin
            queued = set(await storage.garbage())
            assert twin - alive <= queued, "what nothing keeps alive will be collected"
        await storage.collect(await storage.garbage())
        alive = {blob for blob in BLOBS if opinions and opinions[-1][blob][1]}
        assert await with_data(storage) == twin & alive
        assert storage.slivers_stored == 4 * len(twin & alive)
        left = {key for key, _ in kv.scan(layout.BLOB_INFO)}
        invalid = {blob for blob in BLOBS if opinions and opinions[-1][blob][0] == ("invalid",)}
        assert left == alive | invalid, "records of what is over are gone too"
        await storage.close()

    asyncio.run(run())


@settings(max_examples=80, deadline=None)
@given(histories(), st.lists(st.booleans(), min_size=41, max_size=41))
def test_a_collection_that_runs_beside_the_events_takes_nothing_from_the_living(case, racing):
    """Both at once, as in the node: whoever comes first to the writer, a live blob that had data before has them."""
    events, opinions = case

    async def run():
        storage = await Storage.over(MemoryStore())
        await storage.create_shards(SHARDS, ShardStatus.ACTIVE)
        before = set()
        for number, event in enumerate(events):
            queued = await storage.garbage()
            both = [feed(storage, number, [event]), storage.collect(queued)]
            if racing[number]:
                both.reverse()
            await asyncio.gather(*both)
            alive = {blob for blob in BLOBS if opinions[number][blob][1]}
            lived = {blob for blob in BLOBS if number and opinions[number - 1][blob][1]}
            kept = await with_data(storage)
            assert before & lived & alive <= kept, "whoever lived before and lives on keeps its data"
            assert not kept & set(queued) - alive, "what was collected is gone"
            for blob in alive:
                await upload(storage, blob)
            before = await with_data(storage)
            assert alive <= before
        await storage.close()

    asyncio.run(run())
