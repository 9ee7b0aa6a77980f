"""When the data of dead blobs are deleted."""

import pytest
from tests.unit.node.epochs.terms import ACTIVE, O1, O2, B
from tests.unit.node.feeding import feed, fill, start_epochs
from tests.unit.node.worlds import (
    EPOCH_MS,
    blob_id,
    deleted,
    object_id,
    registered,
)

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.epochs import rules
from walrus_node.epochs.collector import Collector
from walrus_node.errors import StoreError
from walrus_node.store.storage import Collected
from walrus_sui.events import InvalidBlobId


class TestCollector:
    @pytest.fixture
    def collector(self, storage):
        self.now_ms = 10**9
        return self.make(storage)

    def make(self, storage):
        return Collector(
            storage=storage,
            network_public_key=b"key",
            epoch_duration_ms=lambda: EPOCH_MS,
            chain_now_ms=lambda: self.now_ms,
            kept=self.kept,
        )

    asked_for = frozenset()

    async def kept(self):
        return self.asked_for

    async def dead_blob(self, storage):
        await storage.create_shards([ShardIndex(0)], ACTIVE)
        await feed(storage, registered(B, O1, 2))
        await fill(storage, shards=[ShardIndex(0)])
        await start_epochs(storage, 2)

    async def test_before_the_first_epoch_there_is_nothing_to_do(self, collector, storage):
        assert await collector.run_once(Epoch(0)) is None
        assert await storage.collected_epoch() == 0

    async def test_it_deletes_after_its_delay_by_the_clock_of_the_chain(self, collector, storage):
        await self.dead_blob(storage)
        start_ms = await storage.epoch_start_ms()
        delay_ms = rules.collection_delay_ms(b"key", Epoch(2), EPOCH_MS)
        assert 1 < delay_ms < EPOCH_MS / 2
        self.now_ms = start_ms
        assert await collector.run_once(Epoch(2)) == delay_ms / 1000
        # A restart waits for the rest, not anew.
        self.now_ms = start_ms + delay_ms - 1
        assert await self.make(storage).run_once(Epoch(2)) == 0.001
        assert storage.slivers_stored == 2
        self.now_ms = start_ms + delay_ms
        assert await collector.run_once(Epoch(2)) is None
        assert storage.slivers_stored == 0
        assert await storage.collected_epoch() == 2

    async def test_what_challenges_ask_for_stays_until_the_next_epoch(self, collector, storage):
        await self.dead_blob(storage)
        self.asked_for = frozenset({B})
        await collector.run_once(Epoch(2))
        assert storage.slivers_stored == 2
        await feed(storage, InvalidBlobId(Epoch(2), B))
        await collector.collect()
        assert storage.slivers_stored == 0, "an invalid one is not asked for"

    async def test_it_collects_once_in_an_epoch(self, collector, storage):
        await self.dead_blob(storage)
        await collector.run_once(Epoch(2))
        await feed(storage, registered(B, O2, 9, deletable=True))
        await fill(storage, shards=[ShardIndex(0)])
        await feed(storage, deleted(B, O2, 9))
        await self.make(storage).run_once(Epoch(2))
        assert storage.slivers_stored == 2
        await start_epochs(storage, 3)
        await collector.run_once(Epoch(3))
        assert storage.slivers_stored == 0

    async def test_it_goes_on_where_it_was_killed(self, collector, storage, monkeypatch):
        await storage.create_shards([ShardIndex(0)], ACTIVE)
        blobs = [blob_id(number) for number in range(250)]
        for number, blob in enumerate(blobs):
            await feed(storage, registered(blob, object_id(number), 1))
            await fill(storage, blob, shards=[ShardIndex(0)])
        await start_epochs(storage, 1)
        collect, sizes = storage.collect, []

        async def dies(batch):
            sizes.append(len(batch))
            if len(sizes) == 2:
                raise StoreError("killed")
            return await collect(batch)

        monkeypatch.setattr(storage, "collect", dies)
        with pytest.raises(StoreError, match="killed"):
            await collector.run_once(Epoch(1))
        assert storage.blobs_stored == 150
        assert await storage.collected_epoch() == 0
        await self.make(storage).run_once(Epoch(1))
        assert sizes == [100, 100, 100, 50]
        assert storage.blobs_stored == 0
        assert storage.collected == Collected(250, 500, 500 * len(b"sliver"))

    async def test_only_invalid_blobs_go_at_once(self, collector, storage):
        await self.dead_blob(storage)
        other = blob_id(2)
        await fill(storage, other, shards=[ShardIndex(0)])
        await feed(storage, InvalidBlobId(Epoch(2), other))
        assert (await collector.collect(only_invalid=True)).blobs == 1
        assert await storage.metadata(other) is None
        assert await storage.metadata(B) is not None
