"""What the store still has after a restart, a crash, a loss of power, and in databases of other releases."""

import asyncio

import pytest
from tests.unit.node.feeding import O1, O2, P1, S0, S1, B, feed, fill
from tests.unit.node.worlds import (
    IDENTITY,
    blob_id,
    pool_created,
    pooled,
    put_state,
    registered,
)

from walrus_codec.types import Axis, Epoch
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.forms import versioned
from walrus_node.store.kv import Batch
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import Cursor, NodeState, NodeStatus, ShardStatus
from walrus_node.store.rocks import RocksStore
from walrus_node.store.storage import Storage


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
