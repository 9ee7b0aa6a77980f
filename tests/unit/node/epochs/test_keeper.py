"""What a node does at the change of an epoch: shards come and go, and are attested once they are there."""

from dataclasses import replace

import pytest
from tests.unit.node.epochs.terms import ACTIVE, KEY, LOCKED, O1, RECOVER, SYNC, B
from tests.unit.node.feeding import feed, fill, start_epochs
from tests.unit.node.worlds import (
    IDENTITY,
    registered,
    staking,
)

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.epochs.keeper import EpochKeeper
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus
from walrus_node.store.storage import Storage
from walrus_sui.errors import ChainError, ChainTimeout, ChainUnreachable, MoveAbort


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
