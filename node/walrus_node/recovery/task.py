"""The loop of recovery: looks for blobs that lack something here, and completes them, a bounded number at a time.

What may lack something is indexed by the store (`store.suspects`), so after a restart the first look finds what is left,
and a look that finds nothing costs nothing. Rules are in `rules.Agenda`; progress is told by `progress`, and `whole` tells the keeper of epochs that all is in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from walrus_client.peers import PeerPool
from walrus_codec.types import BlobId, Epoch, NodeId, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.recovery import rules
from walrus_node.recovery.blobs import BlobRecoverer, Outcome
from walrus_node.recovery.gathering import Gatherer
from walrus_node.recovery.rules import Scope
from walrus_node.store.records import ShardStatus
from walrus_node.store.storage import Storage
from walrus_sui.types import StakingView

LOOK_INTERVAL_S = 600.0
IDLE_S = 30.0
_NOT_IN_STEP_S = 1.0
_RECOVERED = frozenset({ShardStatus.ACTIVE, ShardStatus.ACTIVE_RECOVER})
_ROUNDS_PER_PASS = 4


@dataclass(frozen=True)
class Progress:
    """What recovery has done since the process began.

    Attributes:
        blobs_pending: blobs that may lack something.
        blobs_recovered: blobs completed.
        slivers_recovered: slivers rebuilt.
        bytes_fetched: symbols and proofs that came for them.
        fraction: share of the last look's blobs that are done.
    """

    blobs_pending: int = 0
    blobs_recovered: int = 0
    slivers_recovered: int = 0
    bytes_fetched: int = 0
    fraction: float = 1.0


class RecoveryTask:
    """One pass at a time; `certified` and `whole` may be called in between.

    Args:
        storage: what is here.
        view: the chain's newest committees.
        peers: its channels to nodes that left are closed when epochs change.
        recoverer: completes one blob.
        gatherer: counts what comes.
        us: this node.
        rng: jitter.
        concurrent_blobs: blobs that are worked on at a time.
        grace_s: how long a blob's writer may still be uploading after its certification.
        on_whole: is called once when all that a look found is done, and again after a later look has found more.
        caught_up: whether the events have reached the chain's tip; a look before would miss what they are to bring.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        view: ChainView,
        peers: PeerPool,
        recoverer: BlobRecoverer,
        gatherer: Gatherer,
        us: NodeId,
        rng: random.Random,
        concurrent_blobs: int,
        grace_s: float,
        on_whole: Callable[[], None],
        caught_up: Callable[[], bool],
    ) -> None:
        self._storage = storage
        self._view = view
        self._peers = peers
        self._recoverer = recoverer
        self._gatherer = gatherer
        self._us = us
        self._rng = rng
        self._concurrent_blobs = concurrent_blobs
        self._grace_s = grace_s
        self._on_whole = on_whole
        self._caught_up = caught_up
        self._agenda = rules.Agenda()
        self._told: Scope | None = None
        self._look_at = float("-inf")
        self._now = asyncio.get_running_loop().time

    @property
    def progress(self) -> Progress:
        """Where recovery stands."""
        return Progress(
            blobs_pending=len(self._agenda),
            blobs_recovered=self._recoverer.counters.blobs,
            slivers_recovered=self._recoverer.counters.slivers,
            bytes_fetched=self._gatherer.bytes_fetched,
            fraction=self._agenda.fraction,
        )

    def certified(self, blob_id: BlobId) -> float:
        """An event has certified the blob; in the events of a time when we were away, long ago.

        Returns the seconds after which there is something to do because of it.
        """
        if not self._caught_up():
            self._agenda.certified(blob_id, due=self._now())
            return _NOT_IN_STEP_S  # until the tip is reached nothing can be done
        now = self._now()
        return max(0.0, self._agenda.certified(blob_id, due=now + self._grace_s) - now)

    def lost(self, blob_id: BlobId) -> None:
        """Something of the blob has rotted and was taken out."""
        self._agenda.lost(blob_id, now=self._now())

    def whole(self, epoch: Epoch, shards: frozenset[ShardIndex]) -> bool:
        """Whether these shards hold every blob that a look in this epoch found lacking."""
        return self._agenda.whole(Scope(epoch, shards))

    async def run_once(self) -> float:
        """Looks if it is time, then tries every blob that is due; returns seconds until the next pass."""
        staking = await self._in_step()
        if staking is None:
            return _NOT_IN_STEP_S
        scope = self._scope(staking)
        if scope != self._agenda.scope or self._now() >= self._look_at:
            await self._look(scope, staking)
        # Few enough that a new epoch and new blobs do not wait for a long list to end.
        due = self._agenda.due(self._now())[: self._concurrent_blobs * _ROUNDS_PER_PASS]
        due = [blob_id for blob_id in due if not await self._has_more_time(blob_id)]
        queue = asyncio.Semaphore(self._concurrent_blobs)
        try:
            async with asyncio.TaskGroup() as group:
                for blob_id in due:
                    group.create_task(self._complete(blob_id, scope, staking, queue))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._tell_whole(scope)
        wait = self._agenda.next_due_in(self._now())
        return min(IDLE_S, wait) if wait is not None else IDLE_S

    def _tell_whole(self, scope: Scope) -> None:
        """Once: the keeper of epochs, who is told, wakes recovery after each of its own passes."""
        told, self._told = self._told, scope if self._agenda.whole(scope) else None
        if self._told is not None and self._told != told:
            self._on_whole()

    async def _in_step(self) -> StakingView | None:
        """The chain's view, when events and epoch changes have reached it; before, old blobs would be recovered in vain."""
        cursor, staking = await self._storage.cursor(), self._view.staking
        if cursor is None or staking is None or not self._caught_up():
            return None
        if cursor.epoch == 0 or cursor.epoch != staking.epoch:
            return None
        return staking if (await self._storage.node_state()).epoch == staking.epoch else None

    def _scope(self, staking: StakingView) -> Scope:
        member = staking.committee.by_id(self._us)
        owned, stored = frozenset(member.shards) if member is not None else frozenset(), self._storage.shards
        # What a shard that is being transferred lacks is on its way; when its transfer has ended, this looks anew.
        return Scope(staking.epoch, frozenset(shard for shard in owned if stored.get(shard) in _RECOVERED))

    async def _look(self, scope: Scope, staking: StakingView) -> None:
        lacking = await self._storage.blobs_lacking(scope.epoch, scope.shards)
        if scope != self._agenda.scope:
            self._agenda.retry_now(self._now())
            self._peers.keep_only(staking.committee, staking.previous_committee)
        self._agenda.looked(scope, lacking, now=self._now())
        self._look_at = self._now() + LOOK_INTERVAL_S

    async def _complete(self, blob_id: BlobId, scope: Scope, staking: StakingView, queue: asyncio.Semaphore) -> None:
        if not scope.shards:
            # Nothing of it belongs here (yet); when that changes, a look finds it.
            self._agenda.done(blob_id)
            return
        async with queue:
            outcome = await self._recoverer.complete(blob_id, scope, staking)
        if outcome is Outcome.LACKING:
            self._agenda.failed(blob_id, now=self._now(), draw=self._rng.random())
        else:
            self._agenda.done(blob_id)
            await self._storage.clear(blob_id)

    async def _has_more_time(self, blob_id: BlobId) -> bool:
        """Whether the blob's writer may need longer than most, because it is large."""
        if not self._agenda.is_fresh(blob_id):
            return False
        length = await self._recoverer.length(blob_id)
        more_s = rules.grace_s(self._grace_s, length) - self._grace_s
        self._agenda.measured(blob_id, more_s=more_s)
        return more_s > 0
