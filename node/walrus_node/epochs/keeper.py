"""Brings the node into step with the epoch: shards, statuses, attestation.

Life of an epoch here: the event processor applies `EpochChangeStart{e}` and rings; a pass compares three things that
survive every crash (the epoch that the events have reached, the epoch that was dealt with last, the chain) and does what
is missing. Nothing is remembered between passes, so a restart at any point continues where it must. What is decided is
in `plan`; statuses of node and shards change in one batch, shards that moved away an epoch ago go, then comes the
attestation. It is a token that one epoch can use once: it waits until every shard is Active, by sync or recovery, which
ring for another pass whenever a status has changed, and it is void when a newer epoch has come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.chain import Chain, ChainView
from walrus_node.epochs import plan as plans
from walrus_node.store.records import Identity, NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import Storage
from walrus_sui.errors import MoveAbort
from walrus_sui.keys import SuiKey
from walrus_sui.types import StakingView

_log = logging.getLogger(__name__)

_DONE_ALREADY = {("staking_inner", 1), ("staking_inner", 2)}
"""Aborts of `epoch_sync_done` that leave nothing to do: EInvalidSyncEpoch (another epoch), EDuplicateSyncDone."""


Whole = Callable[[Epoch, frozenset[ShardIndex]], bool]
"""Whether recovery has made these shards whole in this epoch."""


class EpochKeeper:
    """One pass per epoch change; also at the start of the process and now and then."""

    def __init__(
        self, *, storage: Storage, chain: Chain, view: ChainView, key: SuiKey, identity: Identity, whole: Whole
    ) -> None:
        self._storage = storage
        self._whole = whole
        self._chain = chain
        self._view = view
        self._key = key
        self._identity = identity
        self._attested = Epoch(0)

    async def run_once(self) -> None:
        """Does what the current epoch still asks for; raises `ChainError` to be called again."""
        cursor = await self._storage.cursor()
        if cursor is None or cursor.epoch == 0:
            return
        state = await self._storage.node_state()
        at_rest = state.status in {NodeStatus.ACTIVE, NodeStatus.STANDBY}
        if at_rest and self._attested >= cursor.epoch and state.epoch >= cursor.epoch:
            return
        staking = await self._view.at_least(cursor.epoch)
        if staking.epoch > cursor.epoch:
            if state.epoch < cursor.epoch:
                await self._fall_behind(state, cursor.epoch, staking.epoch)
            return
        if state.epoch < cursor.epoch:
            state = await self._change_epoch(state, staking)
        state = await self._finish_recovery(state, staking)
        await self._attest(state, staking)

    async def _fall_behind(self, state: NodeState, epoch: Epoch, chain_epoch: Epoch) -> None:
        _log.info("catching up", extra={"epoch": epoch, "chain_epoch": chain_epoch, "was": state.status.value})
        status = state.status if state.status in plans.CATCHING_UP else NodeStatus.RECOVERY_CATCH_UP
        await self._storage.change_epoch(NodeState(status, epoch), {})

    async def _change_epoch(self, state: NodeState, staking: StakingView) -> NodeState:
        plan = plans.plan_epoch(
            staking,
            node_id=self._identity.node_id,
            status=state.status,
            stored=self._storage.shards,
            attested=await self._attested_epoch() >= staking.epoch,
        )
        if not state.status.may_become(plan.status):
            # A lost disk: as everybody who has missed something, the node catches up first.
            await self._storage.change_epoch(NodeState(NodeStatus.RECOVERY_CATCH_UP, state.epoch), {})
        for status in ShardStatus:
            shards = sorted(shard for shard, change in plan.shards.items() if change is status)
            if shards:
                _log.info("shards change", extra={"epoch": staking.epoch, "status": status.value, "shards": shards})
        changed = NodeState(plan.status, staking.epoch)
        await self._storage.change_epoch(changed, plan.shards)
        if plan.removed:
            slivers = await self._storage.drop_shards(plan.removed)
            facts = {"epoch": staking.epoch, "shards": sorted(plan.removed), "slivers": slivers}
            _log.info("shards that moved away are removed", extra=facts)
        _log.info(
            "epoch changed", extra={"epoch": staking.epoch, "status": plan.status.value, "was": state.status.value}
        )
        return changed

    async def _finish_recovery(self, state: NodeState, staking: StakingView) -> NodeState:
        """Takes shards and node for Active when every blob that they lacked is there."""
        stored = self._storage.shards
        shards = plans.waits_for_recovery(state.status, self._owned(staking), stored)
        if shards is None or not self._whole(staking.epoch, shards):
            return state
        recovered = sorted(shard for shard in shards if stored[shard] is ShardStatus.ACTIVE_RECOVER)
        if not await self._storage.advance_shards(
            recovered, ShardStatus.ACTIVE_RECOVER, ShardStatus.ACTIVE, epoch=staking.epoch
        ):
            return state
        if state.status is NodeStatus.RECOVERY_IN_PROGRESS:
            await self._storage.advance_node(state, NodeStatus.ACTIVE)
        _log.info("recovered", extra={"epoch": staking.epoch, "was": state.status.value, "shards": recovered})
        return await self._storage.node_state()

    async def _attest(self, state: NodeState, staking: StakingView) -> None:
        waits_for = plans.attester(state.status, self._owned(staking), self._storage.shards)
        if waits_for is not plans.Attester.KEEPER:
            if waits_for is not plans.Attester.NOBODY:
                facts = {"epoch": staking.epoch, "status": state.status.value, "waits_for": waits_for.value}
                _log.info("the shards are not whole yet and not attested", extra=facts)
            return
        if await self._attested_epoch() < staking.epoch:
            await self._storage.sync()
            try:
                await self._chain.epoch_sync_done(self._key, self._identity.cap_id, staking.epoch)
            except MoveAbort as abort:
                if (abort.module, abort.code) not in _DONE_ALREADY:
                    raise
                _log.info(
                    "the attestation was not needed any more", extra={"epoch": staking.epoch, "abort": str(abort)}
                )
            else:
                _log.info("attested", extra={"epoch": staking.epoch})
        self._attested = staking.epoch

    async def _attested_epoch(self) -> Epoch:
        """The last epoch that this node attested, as the chain knows it."""
        caps = await self._chain.node_caps(self._key.address)
        own = next((cap for cap in caps if cap.object_id == self._identity.cap_id), None)
        return own.last_epoch_sync_done if own is not None else Epoch(0)

    def _owned(self, staking: StakingView) -> frozenset[ShardIndex]:
        return plans.shards_of(staking.committee, self._identity.node_id)
