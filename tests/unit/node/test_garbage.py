"""Data of blobs that have died: what is deleted, what stays, and that the disk gets its space back."""

import asyncio
import os
import time

import pytest
from tests.unit.node.feeding import O1, O2, P1, P2, S0, S1, B, feed, fill, start_epochs
from tests.unit.node.worlds import (
    blob_id,
    deleted,
    event_id,
    object_id,
    pool_created,
    pool_extended,
    pooled,
    pooled_certified,
    pooled_deleted,
    registered,
)

from walrus_codec.types import Axis, Epoch
from walrus_node.errors import StoreError
from walrus_node.events import rules
from walrus_node.store import layout
from walrus_node.store.records import ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Collected, Storage
from walrus_sui.events import EpochChangeStart, InvalidBlobId


def disk_usage(folder):
    """Bytes that the file system has given to the files of a folder."""
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*") if path.is_file())


def until_smaller(folder, size):
    """Waits until a folder takes no more than `size` bytes: RocksDB deletes files in the background."""
    deadline = time.monotonic() + 60
    while disk_usage(folder) > size:
        assert time.monotonic() < deadline, f"{disk_usage(folder)} bytes, not {size}"
        time.sleep(0.05)


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
