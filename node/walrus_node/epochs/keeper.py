"""Brings the node into step with the epoch: shards, statuses, attestation.

Life of an epoch here: the event processor applies `EpochChangeStart{e}` and rings; a pass compares three things that
survive every crash (the epoch that the events have reached, the epoch that was dealt with last, the chain) and does what
is missing. Nothing is remembered between passes, so a restart at any point continues where it must. What is decided is
in `rules.plan_epoch`; the order here is: shards first, then status and epoch, then the attestation. Shards that must get
their slivers from others first are whole when recovery says so; it rings for another pass then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from walrus_codec.types import Epoch, ShardIndex
from walrus_node.chain import Chain, ChainView
from walrus_node.epochs import rules
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
        if self._attested >= cursor.epoch and state.epoch >= cursor.epoch:
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
        await self._storage.set_node_state(NodeState(NodeStatus.RECOVERY_CATCH_UP, epoch))

    async def _change_epoch(self, state: NodeState, staking: StakingView) -> NodeState:
        plan = rules.plan_epoch(
            staking,
            node_id=self._identity.node_id,
            status=state.status,
            stored=self._storage.shards,
            attested=await self._attested_epoch() >= staking.epoch,
        )
        for status in ShardStatus:
            shards = sorted(shard for shard, change in plan.shards.items() if change is status)
            if shards:
                _log.info("shards change", extra={"epoch": staking.epoch, "status": status.value, "shards": shards})
                await self._storage.create_shards(shards, status)
        changed = NodeState(plan.status, staking.epoch)
        await self._storage.set_node_state(changed)
        _log.info(
            "epoch changed", extra={"epoch": staking.epoch, "status": plan.status.value, "was": state.status.value}
        )
        return changed

    async def _finish_recovery(self, state: NodeState, staking: StakingView) -> NodeState:
        """Takes shards and node for Active when every blob that they lacked is there."""
        owned = self._owned(staking)
        waiting = rules.shards_that_wait(state.status, owned, self._storage.shards)
        if waiting is None:
            return state
        if not self._whole(staking.epoch, owned):
            _log.info(
                "waiting for slivers from other nodes; the shards are not attested yet",
                extra={"epoch": staking.epoch, "status": state.status.value, "shards": sorted(waiting)},
            )
            return state
        if waiting:
            await self._storage.set_shard_status(sorted(waiting), ShardStatus.ACTIVE)
        if state.status is not NodeStatus.ACTIVE:
            await self._storage.set_node_state(NodeState(NodeStatus.ACTIVE, state.epoch))
        _log.info("active", extra={"epoch": staking.epoch, "was": state.status.value, "recovered": sorted(waiting)})
        return NodeState(NodeStatus.ACTIVE, state.epoch)

    async def _attest(self, state: NodeState, staking: StakingView) -> None:
        if not rules.may_attest(state.status, self._owned(staking), self._storage.shards):
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
        return rules.shards_of(staking.committee, self._identity.node_id)
