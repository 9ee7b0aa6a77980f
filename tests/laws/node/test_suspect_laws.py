"""Laws of the index of blobs that may lack something: it finds what a look through everything finds, and costs less."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.node.test_event_laws import BLOBS, feed, histories
from tests.unit.node.worlds import blob_id, certified, object_id, put_state, registered

from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage
from walrus_node.store.transfers import is_certified_before

SHARDS = [ShardIndex(number) for number in range(3)]
KEYS = st.builds(SliverKey, st.sampled_from(SHARDS), st.sampled_from(list(Axis)), st.sampled_from(BLOBS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.sampled_from(BLOBS)),
        st.tuples(st.just("sliver"), KEYS),
        st.tuples(st.just("rot"), KEYS),
        st.tuples(st.just("rot metadata"), st.sampled_from(BLOBS)),
        st.tuples(st.sampled_from(list(ShardStatus)), st.sampled_from(SHARDS)),
        st.tuples(st.just("end of a transfer"), st.sampled_from(SHARDS)),
        st.tuples(st.just("look"), st.frozensets(st.sampled_from(SHARDS))),
        st.tuples(st.just("die in a look"), st.integers(0, 4)),
        st.tuples(st.just("change in a look"), st.tuples(st.integers(0, 3), st.sampled_from(SHARDS))),
        st.tuples(st.sampled_from(["collect", "kill"]), st.none()),
    ),
    max_size=4,
)


class Mortal(MemoryStore):
    """A store whose process dies at one of its next writes, if told so; it counts what is read."""

    left: int | None = None
    reads = 0
    meanwhile = None
    """Is done in the writer once, after so many of its next writes: `(count, work)`."""

    def write(self, batch):
        if self.left == 0:
            raise StoreError("killed")
        self.left = None if self.left is None else self.left - 1
        super().write(batch)
        if self.meanwhile is not None:
            count, work = self.meanwhile
            self.meanwhile = (count - 1, work) if count else None
            if not count:
                work()

    def get(self, family, key):
        self.reads += 1
        return super().get(family, key)

    def scan(self, family, **bounds):
        for entry in super().scan(family, **bounds):
            self.reads += 1
            yield entry

    def again(self):
        """What the next process finds."""
        found = Mortal()
        found._live = {family: dict(table) for family, table in self._live.items()}
        return found


async def put(storage, key):
    if key.shard in writable(storage) and await storage.metadata(key.blob_id) is not None:
        await storage.put_sliver(key, b"sliver")


async def do(storage, kv, step, argument):
    """One step; returns the storage and the database of the process that runs afterwards."""
    match step:
        case "fill":
            await storage.put_metadata(argument, b"metadata")
            for shard in SHARDS:
                for axis in Axis:
                    await put(storage, SliverKey(shard, axis, argument))
        case "sliver":
            await put(storage, argument)
        case "rot":
            if (stored := await storage.sliver(argument)) is not None:
                await storage.remove_sliver(argument, bytes(stored))
        case "rot metadata":
            await storage.remove_metadata(argument, await storage.metadata(argument))
        case ShardStatus():
            await storage.create_shards([argument], step)
        case "end of a transfer":
            epoch = await epoch_of(storage)
            if storage.shards.get(argument) is ShardStatus.ACTIVE_SYNC:
                lacking = await storage.suspect_gaps(argument, epoch)
                assert lacking == await due_but_absent(storage, argument, epoch)
                after = ShardStatus.ACTIVE_RECOVER if lacking else ShardStatus.ACTIVE
                await put_state(storage, NodeState(NodeStatus.ACTIVE, epoch))
                assert await storage.advance_shards([argument], ShardStatus.ACTIVE_SYNC, after, epoch=epoch)
        case "look":
            await agree(storage, argument)
        case "collect":
            await storage.collect(await storage.garbage())
        case "die in a look":
            kv.left = argument
            try:
                await storage.blobs_lacking(await epoch_of(storage), settled(storage))
            except StoreError:
                return await reborn(storage, kv)
            kv.left = None
        case "change in a look":
            count, shard = argument
            kv.meanwhile = count, lambda: storage._shards.create(shard, ShardStatus.ACTIVE)
            await storage.blobs_lacking(await epoch_of(storage), settled(storage))
            kv.meanwhile = None
        case "kill":
            return await reborn(storage, kv)
    return storage, kv


async def reborn(storage, kv):
    found = kv.again()
    kv.left = None
    await storage.close()
    return await Storage.over(found), found


async def due_but_absent(storage, shard, epoch):
    """How many blobs certified before `epoch` lack a sliver of the shard, looked up one by one."""
    found = 0
    for blob in BLOBS:
        slivers = [await storage.sliver(SliverKey(shard, axis, blob)) for axis in Axis]
        found += None in slivers and is_certified_before(await storage.blob_info(blob), epoch)
    return found


def writable(storage):
    return [shard for shard, status in storage.shards.items() if status.writable]


def settled(storage):
    return [shard for shard, status in storage.shards.items() if status.settled]


async def epoch_of(storage):
    cursor = await storage.cursor()
    return cursor.epoch if cursor else Epoch(0)


async def agree(storage, shards=frozenset(SHARDS)):
    """Looking at the suspects and looking at everything find the same."""
    epoch, scope = await epoch_of(storage), [shard for shard in settled(storage) if shard in shards]
    expected = await storage.incomplete(epoch, scope)
    assert await storage.blobs_lacking(epoch, scope) == expected
    assert await storage.blobs_lacking(epoch, scope) == expected, "a look changes nothing for the next"


@settings(max_examples=150, deadline=None)
@given(histories(), st.data())
def test_suspects_are_all_that_lack_something_whatever_happens(case, data):
    events, _opinions = case

    async def run():
        kv = Mortal()
        storage = await Storage.over(kv)
        if data.draw(st.booleans()):
            await storage.create_shards(SHARDS[:2], ShardStatus.ACTIVE)
        for number, event in enumerate(events):
            await feed(storage, number, [event])
            for step, argument in data.draw(STEPS):
                storage, kv = await do(storage, kv, step, argument)
            if data.draw(st.booleans()):
                await agree(storage)
        await agree(storage)
        suspects = {key for key, _ in kv.scan(layout.SUSPECTS)}
        if writable(storage):
            epoch = await epoch_of(storage)
            everything = await storage.incomplete(epoch, writable(storage))
            assert suspects <= set(everything), "after a look nobody is suspected who lacks nothing"
            assert suspects >= set(await storage.incomplete(epoch, settled(storage)))
        await storage.close()

    asyncio.run(run())


async def test_a_look_when_all_is_well_costs_nothing_however_much_is_stored():
    costs = []
    for count in (1, 300):
        kv = Mortal()
        storage = await Storage.over(kv)
        await storage.create_shards(SHARDS, ShardStatus.ACTIVE)
        blobs = [blob_id(number) for number in range(count)]
        for number, blob in enumerate(blobs):
            obj = object_id(number)
            await feed(storage, number, [registered(blob, obj, 9, epoch=0), certified(blob, obj, 9, epoch=0)])
            await do(storage, kv, "fill", blob)
        assert await storage.blobs_lacking(Epoch(0), SHARDS) == []
        kv.reads = 0
        assert await storage.blobs_lacking(Epoch(0), SHARDS) == []
        costs.append(kv.reads)
        kv.reads = 0
        await storage.remove_metadata(blobs[-1], b"metadata")
        assert await storage.blobs_lacking(Epoch(0), SHARDS) == [blobs[-1]]
        assert kv.reads < 40
        await storage.close()
    assert costs[0] == costs[1] <= 3
