"""The typed store on both databases."""

import asyncio
import os
import time

import pytest
from tests.unit.node.worlds import (
    CAP,
    IDENTITY,
    US,
    blob_id,
    certified,
    deleted,
    event_id,
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

from walrus_client.challenges.reports import SignedReport
from walrus_codec.types import Axis, Epoch, NodeId, ShardIndex
from walrus_node.errors import IdentityError, MetadataMissingError, ShardNotHereError, StoreError
from walrus_node.events import rules
from walrus_node.store import layout
from walrus_node.store.forms import versioned
from walrus_node.store.kv import Batch
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import Cursor, Identity, NodeState, NodeStatus, ShardStatus
from walrus_node.store.rocks import RocksStore
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Collected, Storage
from walrus_sui.events import EpochChangeStart, InvalidBlobId

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


def disk_usage(folder):
    """Bytes that the file system has given to the files of a folder."""
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())


def until_smaller(folder, size):
    """Waits until a folder takes no more than `size` bytes: RocksDB deletes files in the background."""
    deadline = time.monotonic() + 60
    while disk_usage(folder) > size:
        assert time.monotonic() < deadline, f"{disk_usage(folder)} bytes, not {size}"
        time.sleep(0.05)


class TestTheNodeItself:
    async def test_a_new_store_belongs_to_nobody_and_stands_by(self, storage):
        assert await storage.identity() is None
        assert await storage.node_state() == NodeState(NodeStatus.STANDBY, Epoch(0))
        assert await storage.cursor() is None

    async def test_the_identity_is_bound_once(self, storage):
        await storage.set_identity(IDENTITY)
        await storage.set_identity(IDENTITY)
        assert await storage.identity() == IDENTITY
        with pytest.raises(IdentityError, match="wipe it when the network is made anew"):
            await storage.set_identity(Identity("other chain", US, CAP))

    async def test_the_state_is_kept(self, storage):
        state = NodeState(NodeStatus.ACTIVE, Epoch(3))
        await put_state(storage, state)
        assert await storage.node_state() == state


class TestEvents:
    async def test_effects_and_cursor_come_together(self, storage):
        await feed(storage, registered(B, O1, 5), certified(B, O1, 5))
        assert (await storage.blob_info(B)).is_certified(Epoch(1))
        assert (await storage.object_info(O1)).certified_epoch == 1
        assert await storage.cursor() == Cursor(0, 0, Epoch(0))

    async def test_a_rule_that_fails_leaves_nothing_behind(self, storage):
        await feed(storage)
        with pytest.raises(Exception, match="registered twice"):
            await feed(storage, registered(B, O1, 5), registered(B, O1, 5))
        assert await storage.blob_info(B) is None
        assert (await storage.cursor()).sequence == 0

    async def test_gaps_are_refused(self, storage):
        await feed(storage)
        with pytest.raises(StoreError, match="cannot follow 0"):
            await storage.apply(2, 0, lambda _: None)

    async def test_objects_expire_by_the_index_of_ends_also_after_an_extension(self, storage):
        await feed(storage, registered(B, O1, 2), certified(B, O1, 2), registered(B, O2, 3))
        await feed(storage, certified(B, O1, 4, extension=True))
        await start_epochs(storage, 3)
        assert await storage.object_info(O1) is not None
        assert await storage.object_info(O2) is None
        await start_epochs(storage, 4)
        assert await storage.object_info(O1) is None
        assert await storage.garbage() == [B]

    async def test_an_object_that_is_extended_in_the_checkpoint_of_the_epoch_change_lives(self, storage):
        await feed(storage, registered(B, O1, 1), certified(B, O1, 1))
        await feed(storage, certified(B, O1, 9, extension=True), EpochChangeStart(Epoch(1)))
        assert await storage.object_info(O1) is not None


class TestSlivers:
    async def test_metadata_are_stored_once(self, storage):
        assert await storage.put_metadata(B, b"metadata")
        assert not await storage.put_metadata(B, b"other")
        assert await storage.metadata(B) == b"metadata"
        assert storage.blobs_stored == 1

    async def test_slivers_are_stored_once_and_come_back(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await storage.put_metadata(B, b"metadata")
        key = SliverKey(S0, Axis.SECONDARY, B)
        large = bytes(100_000)
        assert await storage.put_sliver(key, large)
        assert not await storage.put_sliver(key, b"other")
        assert await storage.sliver(key) == large
        assert await storage.sliver(SliverKey(S0, Axis.PRIMARY, B)) is None
        assert await storage.sliver(SliverKey(S1, Axis.PRIMARY, B)) is None
        assert storage.slivers_stored == 1

    async def test_a_batch_keeps_what_is_good_and_answers_for_each(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await storage.put_metadata(B, b"metadata")
        good = SliverKey(S0, Axis.PRIMARY, B)
        batch = [good, SliverKey(S1, Axis.PRIMARY, B), SliverKey(S0, Axis.PRIMARY, C), good]
        stored, no_shard, no_metadata, again = await storage.put_slivers((key, b"sliver") for key in batch)
        assert (stored, again) == (True, False)
        assert isinstance(no_shard, ShardNotHereError)
        assert isinstance(no_metadata, MetadataMissingError)
        assert await storage.sliver(good) == b"sliver"
        assert await storage.stored(C) == []
        assert storage.slivers_stored == 1

    async def test_what_is_missing_is_told(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await storage.put_metadata(B, b"metadata")
        await storage.put_sliver(SliverKey(S0, Axis.PRIMARY, B), b"x")
        missing = await storage.missing(B, [S0, S1])
        assert missing == [
            SliverKey(S0, Axis.SECONDARY, B),
            SliverKey(S1, Axis.PRIMARY, B),
            SliverKey(S1, Axis.SECONDARY, B),
        ]
        assert await storage.has_slivers([SliverKey(S0, Axis.PRIMARY, B), missing[0]]) == [True, False]

    async def test_a_sliver_needs_its_blobs_metadata(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        with pytest.raises(MetadataMissingError):
            await storage.put_sliver(SliverKey(S0, Axis.PRIMARY, B), b"x")

    @pytest.mark.parametrize("status", [ShardStatus.LOCKED_TO_MOVE, ShardStatus.NONE])
    async def test_shards_that_are_locked_or_absent_take_nothing(self, storage, status):
        await storage.create_shards([S0], status)
        await storage.put_metadata(B, b"metadata")
        for shard in (S0, S1):
            with pytest.raises(ShardNotHereError):
                await storage.put_sliver(SliverKey(shard, Axis.PRIMARY, B), b"x")
        assert storage.slivers_stored == 0

    async def test_a_locked_shard_is_still_read(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await fill(storage, shards=[S0])
        await storage.create_shards([S0], ShardStatus.LOCKED_TO_MOVE)
        assert storage.shards == {S0: ShardStatus.LOCKED_TO_MOVE}
        assert await storage.sliver(SliverKey(S0, Axis.PRIMARY, B)) == b"sliver"

    async def test_incomplete_certified_blobs_are_found(self, storage):
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        whole, partial, bare, uncertified = (blob_id(number) for number in range(4))
        events = []
        for number, blob in enumerate((whole, partial, bare, uncertified)):
            events.append(registered(blob, object_id(number), 9))
            if blob != uncertified:
                events.append(certified(blob, object_id(number), 9))
        await feed(storage, *events)
        await fill(storage, whole)
        await fill(storage, partial, shards=[S0])
        assert await storage.incomplete(Epoch(1), [S0, S1]) == [partial, bare]
        assert await storage.incomplete(Epoch(1), []) == []
        assert await storage.incomplete(Epoch(1), [S0]) == [bare]
        assert await storage.incomplete(Epoch(9), [S0, S1]) == []


class TestGarbage:
    async def test_data_of_a_dead_blob_are_deleted_with_their_record(self, storage):
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 2))
        await fill(storage)
        await start_epochs(storage, 2)
        assert await storage.garbage() == [B]
        assert await storage.collect([B]) == Collected(1, 4, 4 * len(b"sliver"))
        assert storage.collected == Collected(1, 4, 24)
        assert await storage.garbage() == []
        assert await storage.metadata(B) is None
        assert await storage.blob_info(B) is None
        assert len(await storage.missing(B, [S0, S1])) == 4
        assert (storage.blobs_stored, storage.slivers_stored) == (0, 0)

    async def test_a_blob_that_lives_again_keeps_its_data(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 2))
        await fill(storage, shards=[S0])
        await start_epochs(storage, 2)
        await feed(storage, registered(B, O2, 9))
        assert await storage.collect([B]) == Collected()
        assert await storage.garbage() == []
        assert await storage.missing(B, [S0]) == []

    async def test_an_invalid_blob_loses_its_data_and_keeps_its_record(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 9))
        await fill(storage, shards=[S0])
        await feed(storage, InvalidBlobId(Epoch(0), B))
        assert (await storage.collect([B])).blobs == 1
        assert await storage.metadata(B) is None
        assert await storage.blob_info(B) is not None

    async def test_locked_shards_lose_the_data_too(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 1))
        await fill(storage, shards=[S0])
        await storage.create_shards([S0], ShardStatus.LOCKED_TO_MOVE)
        await start_epochs(storage, 1)
        await storage.collect([B])
        assert await storage.sliver(SliverKey(S0, Axis.PRIMARY, B)) is None

    @pytest.mark.parametrize("first", ["registration", "collection"])
    async def test_a_registration_that_races_the_collection_wins_or_comes_to_an_empty_place(self, storage, first):
        """The two are steps of one thread: whichever is first, no live blob has lost only a part of its data."""
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 1))
        await fill(storage)
        await start_epochs(storage, 1)
        again = storage.apply(2, 0, lambda working: rules.apply_all(working, [(event_id(9), registered(B, O2, 9))]))
        both = [again, storage.collect([B])]
        await asyncio.gather(*(both if first == "registration" else reversed(both)))
        kept = first == "registration"
        assert (await storage.metadata(B) is not None) == kept
        assert len(await storage.missing(B, [S0, S1])) == (0 if kept else 4)
        assert (await storage.blob_info(B)).objects == 1
        await fill(storage)
        assert await storage.garbage() == [], "what comes now belongs to the new registration"
        assert await storage.missing(B, [S0, S1]) == []

    async def test_an_upload_that_crosses_its_blobs_end_leaves_no_orphan(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 1))
        await start_epochs(storage, 1)
        await storage.collect(await storage.garbage())
        await fill(storage, shards=[S0])
        assert await storage.garbage() == [B]
        assert (await storage.collect([B])).slivers == 2

    async def test_a_deleted_object_frees_its_blob(self, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await feed(storage, registered(B, O1, 9, deletable=True))
        await fill(storage, shards=[S0])
        await feed(storage, deleted(B, O1, 9))
        assert await storage.metadata(B) is not None, "the records change at once, the data wait for the collection"
        assert (await storage.collect(await storage.garbage())).slivers == 2
        await start_epochs(storage, 9)
        assert await storage.object_info(O1) is None

    async def test_a_pools_end_frees_its_blobs_and_leaves_no_record(self, kv, storage):
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        other = blob_id(2)
        await feed(storage, pool_created(P1, 2), pooled(B, O1, P1), pool_created(P2, 2), pooled(other, O2, P2))
        await feed(storage, pool_extended(P2, 3), pooled_certified(B, O1, P1))
        assert (await storage.pooled_info(O1)).certified_epoch == 1
        for blob in (B, other):
            await fill(storage, blob, shards=[S0])
        await start_epochs(storage, 2)
        assert await storage.garbage() == [B]
        assert await storage.pooled_info(O1) is None
        assert await storage.pooled_info(O2) is not None
        await start_epochs(storage, 3)
        assert await storage.garbage() == [B, other]
        await storage.collect([B, other])
        for family in (layout.POOLS, layout.POOLED_INFO, layout.POOL_MEMBERS, layout.BLOB_INFO):
            assert list(kv.scan(family)) == []

    async def test_the_space_of_dropped_shards_is_given_back(self, tmp_path):
        storage = await Storage.open(tmp_path)
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        for number in range(40):
            await feed(storage, registered(blob_id(number), object_id(number), 9))
            await fill(storage, blob_id(number), sliver=os.urandom(250_000))
        await storage.reclaim()  # so that nothing of it lies in the log any more
        full = disk_usage(tmp_path)
        assert full >= 40_000_000
        await storage.drop_shards([S0])
        assert storage.bytes_stored == 20_000_000
        await asyncio.to_thread(until_smaller, tmp_path, full - 19_000_000)
        await storage.close()

    async def test_a_shard_that_is_dropped_meanwhile_does_not_hurt_who_gives_space_back(self, storage, monkeypatch):
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        everything, dropped = storage._kv.families(), layout.METADATA

        def reclaim(family):
            raise StoreError(f"there is no column family {family!r}")

        monkeypatch.setattr(storage._kv, "reclaim", reclaim)
        looks = [everything, *[everything - {dropped}] * 100]
        monkeypatch.setattr(storage._kv, "families", lambda: looks.pop(0))
        with pytest.raises(StoreError, match="no column family"):
            await storage.reclaim()
        looks = [frozenset({dropped}), frozenset()]
        await storage.reclaim()

    async def test_a_deleted_pooled_blob_leaves_no_record(self, kv, storage):
        await feed(storage, pool_created(P1, 5), pooled(B, O1, P1))
        await feed(storage, pooled_deleted(B, O1, P1))
        assert await storage.garbage() == [B]
        assert list(kv.scan(layout.POOL_MEMBERS)) == list(kv.scan(layout.POOLED_INFO)) == []

    async def test_the_start_of_an_epoch_is_noted_with_its_checkpoint(self, storage):
        await feed(storage)
        assert await storage.epoch_start_ms() is None
        await feed(storage, EpochChangeStart(Epoch(1)))
        await feed(storage)
        assert await storage.epoch_start_ms() == 1000

    async def test_the_space_of_deleted_blobs_is_given_back(self, tmp_path):
        storage = await Storage.open(tmp_path)
        await storage.create_shards([S0, S1], ShardStatus.ACTIVE)
        blobs = [blob_id(number) for number in range(40)]
        for number, blob in enumerate(blobs):
            # Every fifth one stays, so that no file holds dead blobs only.
            await feed(storage, registered(blob, object_id(number), 9 if number % 5 == 0 else 1))
            await fill(storage, blob, sliver=os.urandom(250_000))
        await asyncio.to_thread(storage._kv.reclaim, layout.METADATA)
        full = disk_usage(tmp_path)
        assert full >= 40_000_000
        await start_epochs(storage, 1)
        assert (await storage.collect(await storage.garbage())).sliver_bytes == 32_000_000
        await storage.reclaim()
        print(f"{full} bytes before, {disk_usage(tmp_path)} after")
        assert disk_usage(tmp_path) < 10_000_000, "8 MB live"
        assert 8_000_000 < await storage.size() < 10_000_000
        for blob in blobs[::5]:
            assert await storage.missing(blob, [S0, S1]) == []
            assert len(await storage.sliver(SliverKey(S1, Axis.SECONDARY, blob))) == 250_000
        await storage.close()
        again = await Storage.open(tmp_path)
        assert again.slivers_stored == 32
        await again.close()


class TestReports:
    """Of challenges; a large committee leaves ten thousand in an epoch, which nobody is to hold at once."""

    NODES = tuple(NodeId("0x" + f"{number:02x}" * 32) for number in (0, 1, 7, 255))

    @pytest.fixture
    async def full(self, storage):
        """Everybody's about everybody else, in epoch 3; a few around it."""
        for epoch, challengers in ((2, self.NODES[-1:]), (3, self.NODES), (4, self.NODES[:1])):
            for challenger in challengers:
                for prover in self.NODES:
                    for second in (False, True):
                        signed = SignedReport(f"{epoch} {challenger} {prover} {second}".encode(), bytes(96))
                        await storage.add_report(Epoch(epoch), challenger, prover, signed, second=second)
        return storage

    @pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 31, 32, 33])
    async def test_pages_are_all_of_an_epoch_in_order_whatever_their_size(self, full, count):
        pages = [page async for page in full.report_pages(Epoch(3), count=count)]
        assert [len(page) for page in pages[:-1]] == [count] * (len(pages) - 1)
        assert 0 < len(pages[-1]) <= count
        together = [signed.body.decode() for page in pages for signed in page]
        assert together == [f"3 {a} {b} {second}" for a in self.NODES for b in self.NODES for second in (False, True)]
        chosen = self.NODES[1::2]
        some = [signed async for page in full.report_pages(Epoch(3), chosen, count=count) for signed in page]
        assert some == await full.reports(Epoch(3), chosen)
        assert [signed.body.decode() for signed in some] == [text for text in together if text[2:68] in chosen]

    async def test_of_strangers_and_other_epochs_there_are_none(self, full):
        assert [page async for page in full.report_pages(Epoch(3), [US], count=4)] == []
        assert [page async for page in full.report_pages(Epoch(9), count=4)] == []


class TestDurability:
    async def test_a_restart_finds_everything(self, tmp_path):
        first = await Storage.open(tmp_path)
        await first.set_identity(IDENTITY)
        await first.create_shards([S0, S1], ShardStatus.ACTIVE)
        await feed(first, registered(B, O1, 5))
        await fill(first)
        await put_state(first, NodeState(NodeStatus.ACTIVE, Epoch(1)))
        await first.close()
        await first.close()
        second = await Storage.open(tmp_path)
        assert await second.identity() == IDENTITY
        assert second.shards == {S0: ShardStatus.ACTIVE, S1: ShardStatus.ACTIVE}
        assert await second.cursor() == Cursor(0, 0, Epoch(0))
        assert await second.node_state() == NodeState(NodeStatus.ACTIVE, Epoch(1))
        assert (second.blobs_stored, second.slivers_stored) == (1, 4)
        assert await second.missing(B, [S0, S1]) == []
        await second.close()

    async def test_synced_slivers_survive_the_loss_of_power(self):
        kv = MemoryStore()
        storage = await Storage.over(kv)
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        await fill(storage, shards=[S0])
        assert len(await (await Storage.over(kv.crashed())).missing(B, [S0])) == 2
        await storage.sync()
        after = await Storage.over(kv.crashed())
        assert await after.missing(B, [S0]) == []
        assert await after.metadata(B) == b"metadata"

    async def test_concurrent_syncs_share_waits_and_none_returns_too_early(self):
        class SlowStore(MemoryStore):
            syncs = 0

            def sync(self):
                SlowStore.syncs += 1
                super().sync()

        kv = SlowStore()
        storage = await Storage.over(kv)
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        before = SlowStore.syncs
        blobs = [blob_id(number) for number in range(40)]

        async def store(blob):
            await storage.put_metadata(blob, b"m")
            await storage.sync()
            return kv.crashed().get(layout.METADATA, blob) is not None

        assert all(await asyncio.gather(*(store(blob) for blob in blobs)))
        assert SlowStore.syncs - before < len(blobs)

    async def test_a_failed_sync_is_told_to_everyone_who_waits(self):
        class BrokenStore(MemoryStore):
            broken = False

            def sync(self):
                if self.broken:
                    raise StoreError("the disk is gone")
                super().sync()

        kv = BrokenStore()
        storage = await Storage.over(kv)
        kv.broken = True
        results = await asyncio.gather(*(storage.sync() for _ in range(5)), return_exceptions=True)
        assert {type(result) for result in results} == {StoreError}
        kv.broken = False
        await storage.sync()

    async def test_a_crash_while_shards_are_made_leaves_shards_that_are_made_again(self, tmp_path):
        kv = RocksStore(tmp_path)
        storage = await Storage.over(kv)
        for family in (layout.sliver_family(S0, Axis.PRIMARY), layout.sliver_family(S1, Axis.PRIMARY)):
            kv.create_family(family, bulky=True)
        kv.create_family(layout.sliver_family(S1, Axis.SECONDARY), bulky=True)
        kv.create_family(layout.state_family(S1), bulky=False)
        await storage.close()
        again = await Storage.open(tmp_path)
        assert again.shards == {S1: ShardStatus.NONE}
        await again.create_shards([S0, S1], ShardStatus.ACTIVE)
        assert again.shards == {S0: ShardStatus.ACTIVE, S1: ShardStatus.ACTIVE}
        await again.close()

    async def test_a_lost_family_is_found_at_the_start(self):
        kv = MemoryStore()
        storage = await Storage.over(kv)
        await storage.create_shards([S0], ShardStatus.ACTIVE)
        left = kv.killed()
        left.drop_family(layout.sliver_family(S0, Axis.PRIMARY))
        with pytest.raises(StoreError, match="lost its primary slivers"):
            await Storage.over(left)

    async def test_a_newer_schema_is_refused(self):
        kv = MemoryStore()
        await Storage.over(kv)
        batch = Batch()
        batch.put(layout.NODE, layout.SCHEMA_KEY, versioned((layout.SCHEMA_VERSION + 1).to_bytes(4, "little")))
        kv.write(batch)
        with pytest.raises(StoreError, match="schema version 6, this release knows 5"):
            await Storage.over(kv)

    async def test_a_database_of_the_schema_before_pools_is_upgraded(self):
        kv = MemoryStore()
        storage = await Storage.over(kv)
        await feed(storage, registered(B, O1, 5))
        left = kv.killed()
        for family in (layout.POOLS, layout.POOLED_INFO, layout.POOL_MEMBERS):
            left.drop_family(family)
        batch = Batch()
        batch.put(layout.NODE, layout.SCHEMA_KEY, versioned((1).to_bytes(4, "little")))
        record = left.get(layout.BLOB_INFO, B)
        batch.put(layout.BLOB_INFO, B, b"\x01" + record[1:-8])
        left.write(batch)
        again = await Storage.over(left)
        await feed(again, pool_created(P1, 7), pooled(B, O2, P1))
        assert (await again.blob_info(B)).objects == 2
        await Storage.over(left.killed())
