"""The loop of shard sync: what is to come follows from the statuses on disk, so a restart goes on where it stopped.

A pass first gets the metadata of all certified blobs when the node is a new member (RecoverMetadata ─► Active), then the
shards that are ActiveSync, a few at a time, until none is due. Shards that are waited for do not hold up the others. Who
waits for the outcome, the keeper of epochs and recovery, is told by `on_change`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from walrus_client.peers.retrying import HINT_JITTER
from walrus_codec.types import NodeId, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import Storage
from walrus_node.sync import rules
from walrus_node.sync.rules import Failure, Verdict
from walrus_node.sync.transfer import MetadataFetcher, ShardMover
from walrus_sui.types import StakingView

_log = logging.getLogger(__name__)

IDLE_S = 60.0
_NOT_IN_STEP_S = 1.0
_LOOK_S = 2.0
"""How often a pass looks whether the epoch has changed while transfers run."""


@dataclass(frozen=True)
class SyncProgress:
    """What has come from previous owners since the process began; names are those of the protocol's `SyncProgress`."""

    shards_pending: int = 0
    shards_transferred: int = 0
    shards_given_up: int = 0
    slivers_received: int = 0
    bytes_received: int = 0
    slivers_rejected: int = 0
    metadata_fetched: int = 0
    fraction: float = 1.0


class SyncTask:
    """One pass at a time.

    Args:
        storage: what is here.
        view: the chain's newest committees.
        mover: transfers one shard.
        metadata: fetches what a new member lacks.
        us: this node.
        rng: jitter.
        concurrent_shards: shards that are transferred at a time.
        stall_s: seconds without progress after which a shard is recovered instead; None: a tenth of the epoch.
        on_change: is called when the status of the node or of a shard has changed.
        caught_up: whether the events have reached the chain's tip.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        view: ChainView,
        mover: ShardMover,
        metadata: MetadataFetcher,
        us: NodeId,
        rng: random.Random,
        concurrent_shards: int,
        stall_s: float | None,
        on_change: Callable[[], None],
        caught_up: Callable[[], bool],
    ) -> None:
        self._storage = storage
        self._view = view
        self._mover = mover
        self._metadata = metadata
        self._us = us
        self._rng = rng
        self._concurrent_shards = concurrent_shards
        self._stall_s = stall_s
        self._on_change = on_change
        self._caught_up = caught_up
        self._agenda = rules.Agenda()
        self._fractions: dict[ShardIndex, float] = {}
        self._metadata_failures = 0
        self._transferred = self._given_up = 0
        self._now = asyncio.get_running_loop().time

    @property
    def progress(self) -> SyncProgress:
        """Where the transfers stand."""
        counters = self._mover.counters
        return SyncProgress(
            shards_pending=len(self._agenda),
            shards_transferred=self._transferred,
            shards_given_up=self._given_up,
            slivers_received=counters.slivers,
            bytes_received=counters.bytes,
            slivers_rejected=counters.rejected,
            metadata_fetched=counters.metadata,
            fraction=self._agenda.fraction(self._fractions.get(shard, 0.0) for shard in self._agenda.shards),
        )

    async def run_once(self) -> float:
        """Gets what is due; returns seconds until the next pass."""
        step = await self._in_step()
        if step is None:
            return _NOT_IN_STEP_S
        state, staking = step
        if state.status is NodeStatus.RECOVER_METADATA and not await self._all_metadata(state, staking):
            self._metadata_failures += 1
            return rules.backoff_s(self._metadata_failures, draw=self._rng.random())
        self._metadata_failures = 0
        return await self._shards(staking)

    async def _in_step(self) -> tuple[NodeState, StakingView] | None:
        """Node and chain, when events and epoch changes have reached the chain: before, it is not known what is to come."""
        cursor, staking, state = await self._storage.cursor(), self._view.staking, await self._storage.node_state()
        if cursor is None or staking is None or not self._caught_up() or cursor.epoch == 0:
            return None
        return (state, staking) if cursor.epoch == staking.epoch == state.epoch else None

    async def _all_metadata(self, state: NodeState, staking: StakingView) -> bool:
        lacking = await self._storage.without_metadata(staking.epoch)
        if lacking:
            _log.info("a new member fetches metadata", extra={"epoch": staking.epoch, "blobs": len(lacking)})
            if failed := await self._metadata.fetch(lacking, staking):
                _log.info("metadata are missing still", extra={"epoch": staking.epoch, "blobs": len(failed)})
                return False
        if await self._storage.advance_node(state, NodeStatus.ACTIVE):
            _log.info("all metadata are here", extra={"epoch": staking.epoch, "fetched": len(lacking)})
            self._on_change()
        return True

    async def _shards(self, staking: StakingView) -> float:
        """Runs the transfers that are due; returns when none runs any more."""
        running: dict[asyncio.Task[Failure | None], ShardIndex] = {}
        try:
            while await self._refresh(staking):
                busy = set(running.values())
                for shard in self._agenda.due(self._now(), running=busy, limit=self._concurrent_shards):
                    running[asyncio.create_task(self._move(shard, staking))] = shard
                if not running:
                    break
                wait = self._agenda.next_due_in(self._now(), running=set(running.values()))
                full = len(running) >= self._concurrent_shards
                timeout = _LOOK_S if wait is None or full else min(_LOOK_S, wait)
                done, _ = await asyncio.wait(running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await self._settle(running.pop(task), task.result(), staking)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        wait = self._agenda.next_due_in(self._now())
        return IDLE_S if wait is None else min(IDLE_S, wait)

    async def _refresh(self, staking: StakingView) -> bool:
        """Brings the agenda in step with the statuses; False when the epoch is over."""
        step = await self._in_step()
        if step is None or step[1].epoch != staking.epoch:
            return False
        pending = [shard for shard, status in self._storage.shards.items() if status is ShardStatus.ACTIVE_SYNC]
        self._agenda.keep(staking.epoch, pending, now=self._now())
        for shard in pending:
            self._fractions[shard] = (await self._storage.transfer_state(shard)).fraction
        return True

    async def _move(self, shard: ShardIndex, staking: StakingView) -> Failure | None:
        source = rules.source_of(staking, shard, self._us)
        if source is None:
            return Failure(Verdict.GIVE_UP, "nobody else had the shard in the epoch before")

        def on_progress() -> None:
            self._agenda.progressed(shard, now=self._now())

        stall_s = rules.stall_s(self._stall_s, staking.epoch_duration_ms)
        return await self._mover.move(shard, source, staking, stall_s=stall_s, on_progress=on_progress)

    async def _settle(self, shard: ShardIndex, failure: Failure | None, staking: StakingView) -> None:
        """What follows from an attempt."""
        facts: dict[str, object] = {"epoch": staking.epoch, "shard": shard}
        if failure is None:
            self._transferred += 1
            await self._leave(shard, staking)
            return
        facts["why"] = failure.why
        pause = None
        if failure.verdict is not Verdict.GIVE_UP:
            # What was overtaken by an epoch change is tried again only if our events bring that change very late.
            patient = failure.verdict is Verdict.SUPERSEDED
            stall_s = float("inf") if patient else rules.stall_s(self._stall_s, staking.epoch_duration_ms)
            draw = self._rng.random()
            after_s = failure.after_s * (1 + HINT_JITTER * draw)
            pause = self._agenda.failed(shard, now=self._now(), stall_s=stall_s, draw=draw, after_s=after_s)
        if pause is None:
            _log.warning(
                "a shard is recovered from all nodes, because its previous owner does not give it", extra=facts
            )
            self._given_up += 1
            await self._leave(shard, staking, given_up=True)
        else:
            _log.info("a transfer is tried again", extra=facts | {"pause_s": round(pause, 1)})

    async def _leave(self, shard: ShardIndex, staking: StakingView, *, given_up: bool = False) -> None:
        """Ends a transfer: what the shard lacks is recovery's from now on."""
        lacking = await self._storage.suspect_gaps(shard, staking.epoch)
        _log.info("a transfer has ended", extra={"epoch": staking.epoch, "shard": shard, "blobs_lacking": lacking})
        after = ShardStatus.ACTIVE_RECOVER if lacking or given_up else ShardStatus.ACTIVE
        await self._storage.advance_shards([shard], ShardStatus.ACTIVE_SYNC, after, epoch=staking.epoch)
        self._agenda.done(shard)
        self._on_change()
