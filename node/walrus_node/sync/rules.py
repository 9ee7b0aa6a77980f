"""What the transfer of shards decides; pure.

A shard that this node has gained is ActiveSync: it takes writes, and its older slivers come from the owner in the epoch
before. What becomes of it (protocol page 4.4):

    all that the previous owner had has come, nothing lacks    Active
    all has come, the previous owner lacked something          ActiveRecover: recovery brings the rest, sliver by sliver
    the previous owner refuses, is unknown, or is ourselves    ActiveRecover at once
    no sliver for too long                                     ActiveRecover
    the next epoch takes the shard away                        LockedToMove; the transfer ends

All of it is read from the statuses on disk: a transfer that failed for good is a shard that is not Active, so nobody can
take the node for complete (in the official node, WAL-1271, only running tasks are counted).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from walrus_client.reasons import Reason
from walrus_codec.types import Epoch, NodeId, ShardIndex
from walrus_sui.types import CommitteeMember, StakingView

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 60.0
LONGEST_STALL_S = 12 * 3600.0
"""The official node's time without progress after which a transfer is given up."""


class Verdict(Enum):
    """What a failed attempt means."""

    RETRY = "try again later"
    GIVE_UP = "recover the shard from all nodes instead"
    SUPERSEDED = "the epoch has changed: others decide about the shard"


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended before the shard's end.

    Attributes:
        verdict: what follows.
        why: for the log.
        after_s: seconds that the source wants to be left alone.
    """

    verdict: Verdict
    why: str
    after_s: float = 0.0


def source_of(view: StakingView, shard: ShardIndex, us: NodeId) -> CommitteeMember | None:
    """The shard's owner in the epoch before; None when there was none, or it was this node."""
    for member in view.previous_committee.members:
        if shard in member.shards:
            return member if member.node_id != us else None
    return None


def verdict_of(reason: Reason | None, *, epoch: Epoch, server_epoch: Epoch | None) -> Verdict:
    """What the source's answer means.

    Args:
        reason: of the refusal; None for a source that could not be reached or broke off.
        epoch: that we asked in.
        server_epoch: that an INVALID_EPOCH names.
    """
    if reason is None or reason.retryable:
        return Verdict.RETRY
    if reason is Reason.INVALID_EPOCH and server_epoch is not None:
        return Verdict.RETRY if server_epoch < epoch else Verdict.SUPERSEDED
    return Verdict.GIVE_UP


def stall_s(configured: float | None, epoch_duration_ms: int) -> float:
    """Seconds without progress after which a transfer is given up: a tenth of the epoch unless configured."""
    return configured if configured is not None else min(LONGEST_STALL_S, epoch_duration_ms / 10_000)


def backoff_s(failures: int, *, draw: float) -> float:
    """The pause after so many failures in a row: half a second, twice that, ... up to a minute, shortened by up to a half."""
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(failures, 12)) * (0.5 + draw / 2)


@dataclass(frozen=True)
class Transfer:
    """One shard that is to come.

    Attributes:
        due: when to try (again), by the loop's clock, in seconds.
        progressed: when something came last; when it was first wanted, before that.
        failures: attempts in a row that brought nothing.
    """

    due: float
    progressed: float
    failures: int = 0


@dataclass
class Agenda:
    """All transfers of one epoch."""

    epoch: Epoch | None = None
    finished: int = 0
    _transfers: dict[ShardIndex, Transfer] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._transfers)

    @property
    def shards(self) -> list[ShardIndex]:
        """The shards that are to come."""
        return list(self._transfers)

    def keep(self, epoch: Epoch, shards: Iterable[ShardIndex], *, now: float) -> None:
        """These shards are ActiveSync in this epoch; a new epoch begins anew."""
        if epoch != self.epoch:
            self.epoch, self.finished, self._transfers = epoch, 0, {}
        new = Transfer(now, now)
        self._transfers = {shard: self._transfers.get(shard, new) for shard in shards}

    def due(self, now: float, *, running: Collection[ShardIndex], limit: int) -> list[ShardIndex]:
        """Which to begin now, so that at most `limit` run; those that have waited longest first."""
        ready = [
            (transfer.due, shard)
            for shard, transfer in self._transfers.items()
            if transfer.due <= now and shard not in running
        ]
        return [shard for _due, shard in sorted(ready)[: max(0, limit - len(running))]]

    def next_due_in(self, now: float, *, running: Collection[ShardIndex] = ()) -> float | None:
        """Seconds until a transfer that does not run is due; None when there is none."""
        waiting = [transfer.due for shard, transfer in self._transfers.items() if shard not in running]
        return max(0.0, min(waiting) - now) if waiting else None

    def progressed(self, shard: ShardIndex, *, now: float) -> None:
        """Something came."""
        if (transfer := self._transfers.get(shard)) is not None:
            self._transfers[shard] = replace(transfer, progressed=now, failures=0)

    def done(self, shard: ShardIndex) -> None:
        """The transfer is over, one way or the other."""
        if self._transfers.pop(shard, None) is not None:
            self.finished += 1

    def failed(
        self, shard: ShardIndex, *, now: float, stall_s: float, draw: float, after_s: float = 0.0
    ) -> float | None:
        """An attempt brought no end: returns the seconds until the next one, None when the shard is to be given up.

        The pause is not shorter than `after_s`, which the source has asked for.
        """
        transfer = self._transfers.get(shard, Transfer(now, now))
        if now - transfer.progressed >= stall_s:
            return None
        # Not later than the moment at which it would be given up.
        pause = min(max(backoff_s(transfer.failures, draw=draw), after_s), transfer.progressed + stall_s - now)
        self._transfers[shard] = replace(transfer, due=now + pause, failures=transfer.failures + 1)
        return pause

    def fraction(self, fractions: Iterable[float]) -> float:
        """Share of the epoch's transfers that is done, given the shares of those that are not finished."""
        total = self.finished + len(self._transfers)
        return (self.finished + sum(fractions)) / total if self._transfers else 1.0
