"""When a node takes no more data, and how it outlives a disk that refuses writes."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.node.feeding import feed, fill
from tests.unit.node.worlds import blob_id, object_id, registered

from walrus_codec.types import Axis, ShardIndex
from walrus_node.errors import DiskError, StoreError
from walrus_node.loops import Backoff, until_done
from walrus_node.store.kv import Batch
from walrus_node.store.layout import METADATA, NODE, sliver_family
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import ShardStatus
from walrus_node.store.reviving import RevivingStore, free_bytes
from walrus_node.store.rocks import RocksStore
from walrus_node.store.room import RoomKeeper
from walrus_node.store.rules import Condition, Room, condition, explain
from walrus_node.store.storage import SliverKey, Storage

ROOM = Room(capacity=1000, stored=400, free=10_000, reserve=800)
SLIVERS = sliver_family(ShardIndex(0), Axis.PRIMARY)


@pytest.mark.parametrize(
    ("changes", "size", "expected"),
    [
        ({}, 600, Condition.OK),
        ({}, 601, Condition.CAPACITY_REACHED),
        ({"pending": 100}, 500, Condition.OK),
        ({"pending": 100}, 501, Condition.CAPACITY_REACHED),
        ({"capacity": 0, "stored": 0}, 1, Condition.CAPACITY_REACHED),
        ({"free": 1000}, 200, Condition.OK),
        ({"free": 1000}, 201, Condition.DISK_NEARLY_FULL),
        ({"free": 1000, "pending": 150}, 50, Condition.OK),
        ({"free": 1000, "pending": 150}, 51, Condition.DISK_NEARLY_FULL),
        ({"fault": "broken"}, 0, Condition.DISK_FAILING),
        ({"fault": "broken", "free": 0, "stored": 2000}, 0, Condition.DISK_FAILING),
    ],
)
def test_exactly_at_the_limit_and_one_beyond(changes, size, expected):
    room = replace(ROOM, **changes)
    assert condition(room, size) is expected
    assert bool(explain(expected, room)) == (expected is not Condition.OK)


def test_a_disk_that_was_nearly_full_must_have_a_little_more():
    before = Condition.DISK_NEARLY_FULL
    assert condition(replace(ROOM, free=899), before=before) is before
    assert condition(replace(ROOM, free=900), before=before) is Condition.OK
    assert condition(replace(ROOM, free=899)) is Condition.OK


async def test_the_keeper_counts_what_is_stored_and_what_is_under_way(memory_storage):
    storage, free = memory_storage, [10_000]
    await storage.create_shards([ShardIndex(0)], ShardStatus.ACTIVE)
    await feed(storage, registered(blob_id(1), object_id(1), 5))
    await fill(storage, blob_id(1), shards=[ShardIndex(0)])
    keys = [SliverKey(ShardIndex(0), axis, blob_id(1)) for axis in Axis]
    stored = sum([len(await storage.sliver(key)) for key in keys])
    assert storage.bytes_stored == stored > 0
    keeper = RoomKeeper(storage, free=lambda: free[0], capacity=stored + 100, reserve=1000)
    assert await keeper.check(100) == (Condition.OK, "")
    with keeper.pending(60):
        assert (await keeper.check(40))[0] is Condition.OK
        found, message = await keeper.check(41)
        assert found is Condition.CAPACITY_REACHED
        assert "node_capacity" in message
        assert keeper.condition is Condition.OK, "what is there already is within the capacity"
    free[0] = 999
    assert await keeper.run_once() == pytest.approx(5)
    assert keeper.condition is Condition.DISK_NEARLY_FULL
    assert "larger volume" in keeper.message
    assert await storage.remove_sliver(keys[0], bytes(await storage.sliver(keys[0])))
    assert storage.bytes_stored == len(await storage.sliver(keys[1]))
    again = await Storage.over(storage._kv.killed())
    assert again.bytes_stored == storage.bytes_stored, "a restart counts the same"
    await again.close()


class Disk:
    """What a database lies on: full or read-only at will."""

    def __init__(self):
        self.refuses: str | None = None
        self.gone = False
        self.content = MemoryStore()
        self.opened: list[bool] = []
        self.free = 10**9

    def open(self, read_only: bool) -> "FailingStore":
        if self.gone or (self.refuses is not None and not read_only):
            raise DiskError(f"cannot open: {self.refuses}")
        self.opened.append(read_only)
        return FailingStore(self)


class FailingStore:
    """A database as RocksDB is: after one refused write it refuses all, until it is opened anew."""

    fault = None

    def __init__(self, disk):
        self._disk = disk
        self._broken = False
        self._closed = False

    def __getattr__(self, name):
        if self._closed:
            raise StoreError("the store is closed")
        return getattr(self._disk.content, name)

    def _write(self, do: Callable[[], None]) -> None:
        if self._broken or self._disk.refuses is not None:
            self._broken = True
            raise DiskError(f"cannot write: {self._disk.refuses or 'a writer has a previous error'}")
        do()

    def write(self, batch):
        self._write(lambda: self._disk.content.write(batch))

    def sync(self):
        self._write(self._disk.content.sync)

    def close(self):
        self._closed = True


def put(family, key=b"k", value=b"v"):
    batch = Batch()
    batch.put(family, key, value)
    return batch


@pytest.fixture
def disk():
    made = Disk()
    for family in (NODE, METADATA):
        made.content.create_family(family, bulky=False)
    made.content.create_family(SLIVERS, bulky=True)
    return made


def reviving(disk, *, floor=1000):
    return RevivingStore(disk.open, free=lambda: disk.free, floor=floor)


def test_a_failing_disk_is_read_and_taken_up_again_when_it_is_back(disk):
    store = reviving(disk)
    store.write(put(NODE))
    disk.refuses = "No space left on device"
    with pytest.raises(DiskError, match="No space"):
        store.write(put(NODE, b"lost"))
    assert "No space" in store.fault
    assert store.get(NODE, b"k") == b"v"
    assert not store.revive()
    assert store.get(NODE, b"k") == b"v", "it is open for reading"
    with pytest.raises(DiskError):
        store.sync()
    disk.refuses = None
    with pytest.raises(DiskError):
        store.write(put(NODE, b"lost"))
    assert store.revive()
    assert store.fault is None
    store.write(put(NODE, b"new"))
    store.sync()
    assert store.get(NODE, b"lost") is None
    assert disk.opened == [False, True, False]


async def test_counts_are_those_of_the_disk_after_it_was_away_altogether(disk):
    """Whoever asks meanwhile is told what was known; what the disk has lost is not counted any more."""
    storage = await Storage.over(reviving(disk))
    await storage.put_metadata(blob_id(1), b"metadata")
    kept = disk.content.killed()
    await storage.put_metadata(blob_id(2), b"metadata")
    disk.refuses = "Input/output error"
    with pytest.raises(DiskError):
        await storage.put_metadata(blob_id(3), b"metadata")
    disk.gone = True
    assert not await storage.revive()
    assert not await storage.revive()
    assert storage.blobs_stored == 2
    disk.refuses, disk.gone, disk.content = None, False, kept
    assert await storage.revive()
    assert storage.blobs_stored == 1
    await storage.close()


def test_a_start_on_a_disk_that_refuses_writes(disk):
    disk.refuses = "Read-only file system"
    store = reviving(disk)
    assert "Read-only" in store.fault
    with pytest.raises(DiskError):
        store.write(put(NODE))
    disk.refuses = None
    assert store.revive()
    store.write(put(NODE))


def test_a_scan_ends_when_the_database_is_opened_anew(disk):
    store = reviving(disk)
    for key in (b"a", b"b"):
        store.write(put(NODE, key))

    def closing(*_arguments, **_options):
        yield b"a", b"v"
        raise StoreError("the store is closed")

    disk.content.scan = closing
    rows = store.scan(NODE)
    assert next(rows) == (b"a", b"v")
    disk.refuses = "gone"
    with pytest.raises(DiskError, match="gone"):
        store.sync()
    disk.refuses = None
    assert store.revive()
    with pytest.raises(DiskError, match="anew"):
        next(rows)


def test_slivers_leave_the_floor_and_everything_else_may_use_it(disk):
    store = reviving(disk)
    disk.free = 1000
    store.write(put(SLIVERS))
    disk.free = 999
    with pytest.raises(DiskError, match="999 bytes left"):
        store.write(put(SLIVERS))
    assert store.fault is None, "nothing is wrong with the database"
    store.write(put(METADATA))
    deletion = Batch()
    deletion.delete(SLIVERS, b"k")
    store.write(deletion)
    assert store.get(SLIVERS, b"k") is None


def test_a_database_in_use_is_no_fault_of_the_disk(tmp_path):
    store = RocksStore(tmp_path / "db")
    with pytest.raises(StoreError) as raised:
        RocksStore(tmp_path / "db")
    assert not isinstance(raised.value, DiskError)
    store.close()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError):
        RocksStore(tmp_path / "file" / "db")
    assert free_bytes(tmp_path / "not" / "yet") > 0


async def test_what_the_disk_refuses_is_tried_again():
    attempts = []

    async def attempt():
        attempts.append(1)
        if len(attempts) < 3:
            raise DiskError("full")
        return "done"

    backoff = Backoff(first_s=0.001, last_s=0.002, rng=random.Random(1))
    assert await until_done("it", attempt, backoff=backoff) == "done"
