"""Driver, keeper and collector: single passes against a chain twin, crashes in between."""

import random
from dataclasses import replace

import pytest
from tests.unit.node.test_storage import feed, fill, start_epochs
from tests.unit.node.worlds import (
    CAP,
    EPOCH_MS,
    IDENTITY,
    US,
    ChainTwin,
    blob_id,
    deleted,
    object_id,
    pool,
    registered,
    staking,
)

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.epochs import rules
from walrus_node.epochs.collector import Collector
from walrus_node.epochs.driver import LONGEST_PAUSE_S, EpochDriver
from walrus_node.epochs.keeper import EpochKeeper
from walrus_node.errors import StoreError
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import Collected, Storage
from walrus_sui.errors import ChainError, ChainTimeout, ChainUnreachable, MoveAbort
from walrus_sui.events import InvalidBlobId
from walrus_sui.keys import SuiKey
from walrus_sui.types import EpochPhase, NodeCap

KEY = SuiKey.generate()
ACTIVE, SYNC, RECOVER, LOCKED = (
    ShardStatus.ACTIVE,
    ShardStatus.ACTIVE_SYNC,
    ShardStatus.ACTIVE_RECOVER,
    ShardStatus.LOCKED_TO_MOVE,
)
B, O1, O2 = blob_id(1), object_id(1), object_id(2)


@pytest.fixture
def chain():
    return ChainTwin(caps=[NodeCap(CAP, US, Epoch(0), KEY.address)], pools={US: pool(wal_balance=5)})


class TestDriver:
    @pytest.fixture
    def now(self):
        return [0]

    @pytest.fixture
    def driver(self, chain, now):
        rng = random.Random(7)
        return EpochDriver(
            chain=chain, view=ChainView(chain), key=KEY, node_id=US, chain_now_ms=lambda: now[0], rng=rng
        )

    async def test_it_waits_for_the_moment_and_its_jitter(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=1_000_000)
        due = 1_000_000 + EPOCH_MS // 2
        now[0] = due - 10_000
        pause = await driver.run_once()
        assert 10 <= pause < 10 + EPOCH_MS / 10 / 1000
        now[0] += round(pause * 1000) - 100
        assert 0 < await driver.run_once() <= 0.11, "the jitter is drawn once"
        assert not chain.done("voting_end")
        now[0] += 200
        await driver.run_once()
        assert chain.done("voting_end") == 1

    async def test_the_second_call_of_the_epoch_follows(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.PARAMS_SELECTED, since_ms=0)
        now[0] = 2 * EPOCH_MS
        await driver.run_once()
        assert chain.done("initiate_epoch_change") == 1

    async def test_while_shards_move_nothing_is_due(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.SYNC)
        now[0] = 10**15
        assert await driver.run_once() == LONGEST_PAUSE_S
        assert chain.calls == ["staking"]

    async def test_a_far_moment_is_looked_at_again_soon(self, driver, chain):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=10**12)
        assert await driver.run_once() == LONGEST_PAUSE_S

    async def test_whoever_is_second_is_content(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=0)
        now[0] = 10**9
        abort = MoveAbort("staking_inner", 0)

        async def beaten(key):
            chain.view = staking(3, phase=EpochPhase.PARAMS_SELECTED, since_ms=0)
            raise abort

        chain.voting_end = beaten
        await driver.run_once()

    async def test_an_abort_that_nobody_explains_is_retried_later_and_later(self, driver, chain, now):
        chain.view = staking(3, phase=EpochPhase.DONE, since_ms=0)
        chain.aborts["voting_end"] = MoveAbort("staking_inner", 0)
        now[0] = 10**9
        pauses = [await driver.run_once() for _ in range(8)]
        assert 2.5 <= pauses[0] <= 5
        assert 150 <= pauses[-1] <= 300
        chain.aborts.clear()
        await driver.run_once()
        chain.aborts["voting_end"] = MoveAbort("staking_inner", 0)
        assert await driver.run_once() <= 5

    async def test_the_first_committee_waits_for_our_stake(self, driver, chain, now):
        chain.view = staking(0, phase=EpochPhase.DONE)
        now[0] = 10**9
        chain.pools[US] = pool()
        assert await driver.run_once() > 0
        assert not chain.done("voting_end")
        chain.pools[US] = pool(pending_stake=((Epoch(1), 5),))
        await driver.run_once()
        assert chain.done("voting_end") == 1


class TestKeeper:
    @pytest.fixture
    async def storage(self, memory_storage):
        return memory_storage

    @pytest.fixture
    def keeper(self, storage, chain):
        return self.make(storage, chain)

    def whole(self, epoch, shards):
        """What recovery says: all is in, except when a test says otherwise."""
        return self.whole_in(epoch, shards)

    @staticmethod
    def whole_in(epoch, shards):
        return True

    def make(self, storage, chain):
        return EpochKeeper(
            storage=storage,
            chain=chain,
            view=ChainView(chain),
            key=KEY,
            identity=IDENTITY,
            whole=self.whole,
        )

    async def sync(self, storage, *shards):
        """What shard sync does: metadata first, then these shards."""
        state = await storage.node_state()
        if state.status is NodeStatus.RECOVER_METADATA:
            await storage.advance_node(state, NodeStatus.ACTIVE)
        for shard, status in storage.shards.items():
            if status is SYNC and shard in shards:
                assert await storage.advance_shards([shard], SYNC, ACTIVE, epoch=state.epoch)

    async def first_epoch(self, keeper, storage):
        """The node is Active and has attested."""
        await start_epochs(storage, 1)
        await keeper.run_once()
        await self.sync(storage)
        await keeper.run_once()

    async def test_before_the_first_epoch_there_is_nothing_to_do(self, keeper, chain, storage):
        await keeper.run_once()
        await feed(storage)
        await keeper.run_once()
        assert chain.calls == []

    async def test_the_first_epoch_makes_shards_and_attests_once(self, keeper, chain, storage):
        chain.view = staking(1, ours=[0, 3])
        await start_epochs(storage, 1)
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 3: ACTIVE}
        assert await storage.node_state() == NodeState(NodeStatus.RECOVER_METADATA, Epoch(1))
        assert not chain.done("epoch_sync_done")
        await self.sync(storage)
        await keeper.run_once()
        assert chain.done("epoch_sync_done") == 1
        asked = len(chain.calls)
        await keeper.run_once()
        assert len(chain.calls) == asked, "a second pass has nothing to ask"

    async def test_a_restart_does_not_attest_again(self, keeper, chain, storage):
        chain.view = staking(1)
        await self.first_epoch(keeper, storage)
        await self.make(storage, chain).run_once()
        assert chain.done("epoch_sync_done") == 1

    async def test_the_following_epochs_of_an_unchanged_committee(self, keeper, chain, storage):
        for epoch in range(1, 6):
            chain.view = staking(epoch, before=range(10) if epoch > 1 else None)
            await start_epochs(storage, epoch)
            await keeper.run_once()
            await self.sync(storage)
            await keeper.run_once()
            assert await storage.node_state() == NodeState(NodeStatus.ACTIVE, Epoch(epoch))
        assert chain.done("epoch_sync_done") == 5

    async def test_shards_are_durable_before_they_are_attested(self, chain):
        kv = MemoryStore()
        storage = await Storage.over(kv)
        chain.view = staking(1, ours=[0])
        survivors = []
        attest = chain.epoch_sync_done

        async def look(*arguments):
            survivors.append(kv.crashed())
            await attest(*arguments)

        chain.epoch_sync_done = look
        await self.first_epoch(self.make(storage, chain), storage)
        assert (await Storage.over(survivors[0])).shards == {0: ACTIVE}

    @pytest.mark.parametrize("code", [1, 2])
    async def test_an_attestation_that_is_not_needed_any_more_is_no_failure(self, keeper, chain, storage, code):
        chain.view = staking(1)
        chain.aborts["epoch_sync_done"] = MoveAbort("staking_inner", code)
        await self.first_epoch(keeper, storage)
        await keeper.run_once()
        assert chain.done("epoch_sync_done") == 1

    async def test_other_aborts_are_tried_again(self, keeper, chain, storage):
        chain.view = staking(1)
        chain.aborts["epoch_sync_done"] = MoveAbort("staking_inner", 4)
        with pytest.raises(MoveAbort):
            await self.first_epoch(keeper, storage)
        with pytest.raises(MoveAbort):
            await keeper.run_once()
        chain.aborts.clear()
        await keeper.run_once()
        assert chain.done("epoch_sync_done") == 3

    @pytest.mark.parametrize("call", ["staking", "node_caps", "epoch_sync_done"])
    async def test_an_outage_at_any_call_is_made_up_for(self, keeper, chain, storage, call):
        chain.view = staking(1, ours=[2])
        chain.aborts[call] = ChainUnreachable("gone")
        with pytest.raises(ChainError):
            await self.first_epoch(keeper, storage)
        chain.aborts.clear()
        await self.make(storage, chain).run_once()
        await self.sync(storage)
        await self.make(storage, chain).run_once()
        assert storage.shards == {2: ACTIVE}
        assert chain.caps[0].last_epoch_sync_done == 1

    async def test_objects_that_lag_behind_events_are_waited_for(self, keeper, chain, storage, monkeypatch):
        monkeypatch.setattr("walrus_node.chain._LAG_POLL_S", 0.001)
        views = iter([staking(0), staking(0), staking(1)])

        async def lagging():
            return next(views)

        chain.staking = lagging
        await start_epochs(storage, 1)
        await keeper.run_once()
        assert (await storage.node_state()).epoch == 1

    async def test_objects_that_never_show_the_epoch_are_an_outage(self, keeper, chain, storage, monkeypatch):
        monkeypatch.setattr("walrus_node.chain._LAG_POLL_S", 0.001)
        monkeypatch.setattr("walrus_node.chain._LAG_LIMIT_S", 0.02)
        chain.view = staking(0)
        await start_epochs(storage, 1)
        with pytest.raises(ChainTimeout, match="announced epoch 1"):
            await keeper.run_once()

    async def test_gained_shards_are_not_attested_before_they_have_come(self, keeper, chain, storage):
        chain.view = staking(1, ours=[0])
        await self.first_epoch(keeper, storage)
        chain.view = staking(2, ours=[0, 1, 2], before=[0])
        await start_epochs(storage, 2)
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 1: SYNC, 2: SYNC}
        await self.sync(storage, 2)
        await keeper.run_once()
        assert chain.caps[0].last_epoch_sync_done == 1
        await self.sync(storage, 1)
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 1: ACTIVE, 2: ACTIVE}
        assert chain.caps[0].last_epoch_sync_done == 2

    async def test_a_transfer_that_failed_holds_the_attestation_back_over_epochs(self, keeper, chain, storage):
        chain.view = staking(1, ours=[0])
        await self.first_epoch(keeper, storage)
        chain.view = staking(2, ours=[0, 1], before=[0])
        await start_epochs(storage, 2)
        await keeper.run_once()
        assert await storage.advance_shards([ShardIndex(1)], SYNC, RECOVER, epoch=Epoch(2))
        self.whole_in = lambda epoch, shards: False
        await keeper.run_once()
        # The official node counts running transfers only: it would attest this epoch, in which nothing was gained.
        chain.view = staking(3, ours=[0, 1], before=[0, 1])
        await start_epochs(storage, 3)
        await keeper.run_once()
        assert chain.caps[0].last_epoch_sync_done == 1
        self.whole_in = lambda epoch, shards: (epoch, shards) == (3, {0, 1})
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 1: ACTIVE}
        assert chain.caps[0].last_epoch_sync_done == 3

    async def test_lost_shards_are_locked_and_go_an_epoch_later(self, keeper, chain, storage):
        chain.view = staking(1, ours=[0, 1])
        await self.first_epoch(keeper, storage)
        await feed(storage, registered(B, O1, 9))
        await fill(storage, shards=[ShardIndex(0), ShardIndex(1)])
        chain.view = staking(2, ours=[0], before=[0, 1])
        await start_epochs(storage, 2)
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 1: LOCKED}
        assert storage.slivers_stored == 4
        chain.view = staking(3, ours=[0], before=[0])
        await start_epochs(storage, 3)
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE}
        assert storage.slivers_stored == 2

    async def test_a_node_that_slept_through_epochs_checks_its_blobs_before_it_attests(self, keeper, chain, storage):
        chain.view = staking(1, ours=[0])
        await self.first_epoch(keeper, storage)
        chain.view = staking(3, ours=[0, 1], before=[0])
        await start_epochs(storage, 2)
        await keeper.run_once()
        assert await storage.node_state() == NodeState(NodeStatus.RECOVERY_CATCH_UP, Epoch(2))
        await start_epochs(storage, 3)
        self.whole_in = lambda epoch, shards: False
        await keeper.run_once()
        assert await storage.node_state() == NodeState(NodeStatus.RECOVERY_IN_PROGRESS, Epoch(3))
        assert storage.shards == {0: ACTIVE, 1: RECOVER}
        assert chain.caps[0].last_epoch_sync_done == 1
        self.whole_in = lambda epoch, shards: (epoch, shards) == (3, {0, 1})
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 1: ACTIVE}
        assert await storage.node_state() == NodeState(NodeStatus.ACTIVE, Epoch(3))
        assert chain.caps[0].last_epoch_sync_done == 3

    async def test_a_recovering_node_that_gains_shards_waits_for_both(self, keeper, chain, storage):
        chain.view = staking(1, ours=[0])
        chain.caps = [replace(chain.caps[0], last_epoch_sync_done=Epoch(1))]
        self.whole_in = lambda epoch, shards: False
        await start_epochs(storage, 1)
        await keeper.run_once()
        chain.view = staking(2, ours=[0, 1], before=[0])
        await start_epochs(storage, 2)
        await keeper.run_once()
        assert storage.shards == {0: RECOVER, 1: SYNC}
        self.whole_in = lambda epoch, shards: (epoch, shards) == (2, {0})
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE, 1: SYNC}
        assert (await storage.node_state()).status is NodeStatus.ACTIVE
        assert not chain.done("epoch_sync_done")
        await self.sync(storage, 1)
        await keeper.run_once()
        assert chain.caps[0].last_epoch_sync_done == 2

    async def test_a_lost_disk_is_active_again_when_all_came_back(self, chain, storage):
        chain.view = staking(1, ours=[0])
        chain.caps = [replace(chain.caps[0], last_epoch_sync_done=Epoch(1))]
        await start_epochs(storage, 1)
        self.whole_in = lambda epoch, shards: False
        keeper = self.make(storage, chain)
        await keeper.run_once()
        assert storage.shards == {0: RECOVER}
        assert (await storage.node_state()).status is NodeStatus.RECOVERY_IN_PROGRESS
        self.whole_in = lambda epoch, shards: True
        await keeper.run_once()
        assert storage.shards == {0: ACTIVE}
        assert (await storage.node_state()).status is NodeStatus.ACTIVE
        assert not chain.done("epoch_sync_done"), "it had attested before it lost the disk"

    async def test_a_node_without_shards_stands_by(self, keeper, chain, storage):
        chain.view = staking(1, ours=[])
        await start_epochs(storage, 1)
        await keeper.run_once()
        assert await storage.node_state() == NodeState(NodeStatus.STANDBY, Epoch(1))
        assert not chain.done("epoch_sync_done")


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
