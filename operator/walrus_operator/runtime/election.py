"""Who leads, by a Lease: the rules. Pure; `lease` is the shell.

The clocks of two processes cannot be compared, so a candidate never reads the times in the Lease. It watches whether the
record changes: a holder that renews is alive; a record that stayed the same for the whole duration, on the candidate's own
clock, belongs to nobody any more. A holder that could not renew for the renew deadline must stop leading, which is before
anybody else may begin.

    duration 15 s > renew deadline 10 s > retry 2 s
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

DURATION = 15
RENEW_DEADLINE = 10.0
RETRY = 2.0
_SHORTEST_PAUSE = 0.1


@dataclass(frozen=True)
class LeaseRecord:
    """What the Lease says; `version` changes with every write."""

    holder: str
    version: str
    transitions: int = 0


class Move(Enum):
    """What a candidate does next."""

    CREATE = auto()
    TAKE_OVER = auto()
    RENEW = auto()
    WAIT = auto()


@dataclass
class Election:
    """One candidate's view."""

    identity: str
    seen: LeaseRecord | None = None
    seen_at: float = 0.0
    renewed_at: float | None = None
    """When this candidate last wrote the Lease; None while it does not lead."""

    def observe(self, record: LeaseRecord | None, now: float) -> Move:
        """Notes what the Lease says now and decides.

        Args:
            record: The Lease; None when there is none.
            now: Steady seconds.
        """
        if record is None:
            self.seen = None
            return Move.CREATE
        if self.seen is None or record.version != self.seen.version:
            self.seen, self.seen_at = record, now
        if record.holder == self.identity:
            return Move.RENEW
        self.renewed_at = None
        if not record.holder or now - self.seen_at >= DURATION:
            return Move.TAKE_OVER
        return Move.WAIT

    def wrote(self, record: LeaseRecord, started: float) -> None:
        """This candidate holds the Lease; `started` is when the write was begun, the careful end of its life."""
        self.seen, self.seen_at, self.renewed_at = record, started, started

    def lost(self) -> None:
        """Somebody else was faster, or the Lease was given back."""
        self.renewed_at = None

    def pause(self, now: float) -> float:
        """Seconds until the next look: it is due at the latest when the holder's time is over, were it silent from now on."""
        if self.seen is None or not self.seen.holder or self.seen.holder == self.identity:
            return RETRY
        return min(RETRY, max(_SHORTEST_PAUSE, self.seen_at + DURATION - now))

    def leads(self, now: float) -> bool:
        """Whether this candidate may act."""
        return self.renewed_at is not None and now - self.renewed_at < RENEW_DEADLINE
