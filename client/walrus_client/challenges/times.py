"""When things happen in an epoch, as shares of its length counted from `EpochChangeDone`, in chain time.

    10 % … 40 %   first attempts start, each at a moment that its seed decides
         … 55 %   later attempts start, each at least 5 % after the end of the one before
    10 % … 60 %   who has proved a failure itself (WRONG, MISSING) reports it at once, pulls reports, votes and executes
           60 %   all other verdicts are final
    60 % … 90 %   members pull each other's reports, every 2 %
    65 % … 90 %   votes, over failures of every kind
         … 98 %   executions

Between 10 % and 60 % members also do not feed the challenged (`may_feed`) (`challenges-spec.md` 4, 10 to 13).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

_PARTS = 1 << 32
FIRST_START, FIRST_SPAN = 10, 30
PAUSE = 5
LAST_START = 55
FINAL = 60
PULL_EVERY = 2
VOTES_FROM, VOTES_UNTIL = 65, 90
EXECUTE_UNTIL = 98


@dataclass(frozen=True)
class EpochTimes:
    """The hours of one epoch.

    Attributes:
        done_ms: chain time of `EpochChangeDone`.
        duration_ms: D, the length of an epoch.
    """

    done_ms: int
    duration_ms: int

    def at(self, percent: int) -> int:
        """Chain time at this share of the epoch."""
        return self.done_ms + self.duration_ms * percent // 100

    def first_start(self, seed: bytes) -> int:
        """When attempt 0 with this seed starts."""
        drawn = int.from_bytes(blake2b(b"start" + seed, digest_size=32).digest()[:8], "little") % _PARTS
        return self.at(FIRST_START) + self.duration_ms * FIRST_SPAN * drawn // (100 * _PARTS)

    def next_start(self, ended_ms: int) -> int | None:
        """The earliest start of an attempt after one that ended then; None when it would be too late."""
        start = ended_ms + self.duration_ms * PAUSE // 100
        return start if start <= self.at(LAST_START) else None

    def may_start(self, now_ms: int) -> bool:
        """Whether a prover lets an attempt begin."""
        return self.at(FIRST_START) <= now_ms <= self.at(LAST_START)

    def in_window(self, now_ms: int) -> bool:
        """Whether challenges are under way, so that the challenged are not fed."""
        return self.at(FIRST_START) <= now_ms < self.at(FINAL)

    def is_final(self, now_ms: int) -> bool:
        """Whether verdicts are final."""
        return now_ms >= self.at(FINAL)

    def may_pull(self, now_ms: int) -> bool:
        """Whether reports are collected."""
        return self.at(FINAL) <= now_ms <= self.at(VOTES_UNTIL)

    def may_vote(self, now_ms: int) -> bool:
        """Whether votes are given over failures of every kind."""
        return self.at(VOTES_FROM) <= now_ms <= self.at(VOTES_UNTIL)

    def may_vote_on_proofs(self, now_ms: int) -> bool:
        """Whether votes are given over proven failures."""
        return self.at(FIRST_START) <= now_ms <= self.at(VOTES_UNTIL)

    def may_execute(self, now_ms: int) -> bool:
        """Whether a slashing with its quorum is executed."""
        return self.at(FIRST_START) <= now_ms <= self.at(EXECUTE_UNTIL)


def may_feed(*, in_window: bool, in_set: bool, answered_for: bool, recovering: bool) -> bool:
    """Whether a member serves a recovery symbol or a synced sliver to a node that may be challenged for it.

    Args:
        in_window: `EpochTimes.in_window` now.
        in_set: the blob belongs to B_e.
        answered_for: the sliver belongs to a shard that the asker answers for.
        recovering: the asker has declared that it recovers in this epoch.
    """
    return not (in_window and in_set and answered_for) or recovering
