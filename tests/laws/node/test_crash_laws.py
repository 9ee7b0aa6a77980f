"""Laws of crashes: the process may die before any write; what it does anew after its restart leaves the same tables.

One story with all that begins and ends a blob's life runs once without a crash, and then once for every write in it.
"""

import asyncio

from tests.unit.node.feeding import feed
from tests.unit.node.worlds import (
    blob_id,
    certified,
    deleted,
    object_id,
    pool_created,
    pool_extended,
    pool_id,
    pooled,
    pooled_certified,
    pooled_deleted,
    put_state,
    registered,
)

from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.store import audit
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage
from walrus_sui.events import EpochChangeStart, InvalidBlobId

PERMANENT, DELETABLE, EXTENDED, AGAIN, POOLED, POOL_DELETED, INVALID, LATE = BLOBS = [blob_id(i) for i in range(1, 9)]
O = [object_id(number) for number in range(20)]  # noqa: E741 - objects
POOL = pool_id(1)
SHARDS = [ShardIndex(0), ShardIndex(1)]


class CrashError(Exception):
    """The process died."""


class Mortal(MemoryStore):
    """Dies instead of its write number `last`, counted from 0, and does nothing from then on."""

    def __init__(self, last=None):
        super().__init__()
        self.last, self.writes = last, 0

    def _count(self):
        if self.last is not None and self.writes >= self.last:
            raise CrashError
        self.writes += 1

    def create_family(self, family, *, bulky):
        if family not in self.families():
            self._count()
        super().create_family(family, bulky=bulky)

    def drop_family(self, family):
        self._count()
        super().drop_family(family)

    def write(self, batch):
        self._count()
        super().write(batch)


async def upload(storage, *blobs):
    for number, blob in enumerate(blobs):
        await storage.put_metadata(blob, b"metadata")
        keys = [SliverKey(shard, axis, blob) for shard in storage.shards for axis in Axis]
        await storage.put_slivers([(key, b"sliver" * (number + 1)) for key in keys])


async def collect(storage):
    await storage.collect(await storage.garbage())


def epoch(number):
    return EpochChangeStart(Epoch(number))


STORY = [
    lambda s: put_state(s, NodeState(NodeStatus.ACTIVE, Epoch(1))),
    lambda s: s.create_shards(SHARDS, ShardStatus.ACTIVE),
    lambda s: feed(s, epoch(1)),
    lambda s: feed(
        s,
        *(registered(blob, O[at], 3) for at, blob in enumerate([PERMANENT, EXTENDED, AGAIN, LATE])),
        registered(DELETABLE, O[4], 9, deletable=True),
        registered(INVALID, O[5], 9),
        pool_created(POOL, 4),
        pooled(POOLED, O[6], POOL),
        pooled(POOL_DELETED, O[7], POOL),
    ),
    lambda s: upload(s, *(blob for blob in BLOBS if blob != LATE)),
    lambda s: feed(
        s,
        *(certified(blob, O[at], 3) for at, blob in enumerate([PERMANENT, EXTENDED, AGAIN])),
        certified(DELETABLE, O[4], 9, deletable=True),
        pooled_certified(POOLED, O[6], POOL),
    ),
    collect,
    lambda s: feed(s, deleted(DELETABLE, O[4], 9, was_certified=True), pooled_deleted(POOL_DELETED, O[7], POOL)),
    collect,
    # The extension and the end of the others in one epoch; one is registered again before it is collected.
    lambda s: feed(s, epoch(2), certified(EXTENDED, O[1], 5, epoch=1, extension=True), pool_extended(POOL, 5, epoch=2)),
    lambda s: feed(s, epoch(3)),
    lambda s: feed(s, registered(AGAIN, O[8], 6, epoch=3)),
    lambda s: upload(s, LATE),
    collect,
    lambda s: upload(s, PERMANENT),
    lambda s: feed(s, certified(AGAIN, O[8], 6, epoch=3), InvalidBlobId(Epoch(3), INVALID)),
    collect,
    lambda s: s.take_out_everything(AGAIN),
    lambda s: upload(s, AGAIN),
    lambda s: s.create_shards([SHARDS[1]], ShardStatus.LOCKED_TO_MOVE),
    lambda s: s.drop_shards([SHARDS[1]]),
    lambda s: feed(s, epoch(4)),
    lambda s: upload(s, POOLED),
    collect,
    lambda s: feed(s, epoch(5)),
    collect,
]
LIVING = {EXTENDED: range(5, 25), POOLED: range(5, 25), AGAIN: [*range(5, 16), *range(18, 25)], INVALID: range(5, 15)}
"""Steps of the story behind which a blob must have its data in shard 0."""


class Story(Storage):
    """A store that can lose a blob to rot."""

    async def take_out_everything(self, blob):
        for key in await self.stored(blob):
            await self.remove_sliver(key, bytes(await self.sliver(key)))
        await self.remove_metadata(blob, await self.metadata(blob))


async def check_alive(storage, step):
    for blob, steps in LIVING.items():
        if step in steps:
            assert await storage.metadata(blob) is not None
            assert not await storage.missing(blob, SHARDS[:1])


def check_counts(kv, storage):
    assert not list(audit.wrong_records(kv)), "the counts on disk are right, whenever the process died"
    found = [len(value) - 1 for family in kv.families() for _, value in kv.scan(family) if family[-3:] == "ary"]
    assert (storage.slivers_stored, storage.bytes_stored) == (len(found), sum(found))
    assert storage.blobs_stored == len(list(kv.scan("metadata")))


def tables(kv):
    return {family: dict(kv.scan(family)) for family in kv.families()}


async def tell(last=None):
    """The story with a crash instead of write `last`; what it leaves, and how many writes were made."""
    kv = Mortal(last)
    storage, step = None, 0
    while step < len(STORY):
        try:
            if storage is None:
                storage = await Story.over(kv)
                storage.drop_leftovers()
                check_counts(kv, storage)
                await check_alive(storage, step - 1)
            await STORY[step](storage)
        except CrashError:
            kv, dead, storage = kv.killed(), storage, None
            if dead is not None:
                await dead.close()
            continue
        step += 1
    check_counts(kv, storage)
    await storage.close()
    left = kv.killed()
    return tables(left), getattr(kv, "writes", 0)


def test_a_crash_at_any_write_loses_nothing_that_must_live_and_keeps_nothing_that_must_go():
    async def run():
        expected, writes = await tell()
        assert writes > 60
        assert set(expected["metadata"]) == {AGAIN}
        assert set(expected["s0-primary"]) == set(expected["s0-secondary"]) == {AGAIN}
        assert "s1-state" not in expected
        assert set(expected["blob_info"]) == {AGAIN, INVALID}
        assert not expected["garbage"]
        assert not expected["pools"]
        assert not expected["pooled_info"]
        for last in range(writes):
            assert (await tell(last))[0] == expected, f"a crash at write {last} leaves something else"

    asyncio.run(run())


def test_counts_that_are_absent_or_wrong_are_made_right():
    async def run():
        kv = MemoryStore()
        storage = await Storage.over(kv)
        await storage.create_shards(SHARDS, ShardStatus.ACTIVE)
        await upload(storage, *BLOBS)
        left = kv.killed()
        for changed in (None, b"\x01" + bytes(16)):
            for shard in SHARDS:
                left._live[f"s{shard}-state"].pop(b"\x03", None)
                if changed is not None:
                    left._live[f"s{shard}-state"][b"\x03"] = changed
            left._live["node"][b"blobs"] = b"\x01" + bytes(8)
            again = await Storage.over(left)
            if changed is None:
                assert (again.slivers_stored, again.bytes_stored) == (storage.slivers_stored, storage.bytes_stored)
            else:
                assert len(list(audit.wrong_records(left))) == 3
                assert await again.recount() == 3
            check_counts(left, again)

    asyncio.run(run())
