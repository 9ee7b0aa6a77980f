"""What one challenger comes to think of one prover in one epoch: a small state machine over its attempts.

    attempt ended ─► record ─► settled at once (PASS, WRONG, MISSING), or another attempt, or wait for 60 %
    WRONG, MISSING ─► proven: conclude at once ─► FAIL
    60 % of the epoch ─► conclude ─► PASS, FAIL, EXCUSED, NONE

An attempt is void when it was the challenger's fault: it says nothing about the prover. Three attempts exist; each has a
seed of its own that is never used again, so a void one is gone too. A prover that was away, lagging or recovering is
excused once in four epochs by each challenger (`challenges-spec.md` 8 and 9).

Where the specification is silent: a prover that was LATE or BUSY to the end, but to whom the challenger could not give
three attempts, is judged NONE, because it might have passed those that it did not get.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

from walrus_client.challenges.policy import ATTEMPTS
from walrus_client.challenges.times import EpochTimes
from walrus_codec.types import Epoch

EXCUSED_EPOCHS = 3
"""An excuse is not given again for so many epochs."""


class Outcome(Enum):
    """How an attempt ended; the values are stored and shown."""

    PASS = "PASS"  # noqa: S105 - no password
    WRONG = "WRONG"
    MISSING = "MISSING"
    LATE = "LATE"
    UNREACHABLE = "UNREACHABLE"
    LAGGING = "LAGGING"
    RECOVERING = "RECOVERING"
    BUSY = "BUSY"
    VOID = "VOID"


class Verdict(Enum):
    """What a challenger reports."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    EXCUSED = "EXCUSED"
    NONE = "NONE"


SETTLES = frozenset({Outcome.PASS, Outcome.WRONG, Outcome.MISSING})
"""After one of these there is no further attempt."""

PROVED = frozenset({Outcome.WRONG, Outcome.MISSING})
"""One of these is a failure for good: nothing that comes later in the epoch makes it another verdict."""

_SLOW = frozenset({Outcome.LATE, Outcome.BUSY})


@dataclass(frozen=True)
class Attempt:
    """One attempt that has ended.

    Attributes:
        number: a, which is in its seed.
        outcome: how it ended.
        ended_ms: chain time.
    """

    number: int
    outcome: Outcome
    ended_ms: int


@dataclass(frozen=True)
class Judgement:
    """A verdict and what it rests on.

    Attributes:
        verdict: the verdict.
        reason: the outcome that decided; None for NONE without any attempt that counts.
        attempt: the attempt that decided; None as before.
    """

    verdict: Verdict
    reason: Outcome | None = None
    attempt: int | None = None


NOTHING = Judgement(Verdict.NONE)


@dataclass(frozen=True)
class Case:
    """One challenger's attempts at one prover in one epoch, in order.

    Attributes:
        epoch: the epoch.
        attempts: those that have ended.
        begun: attempts whose seed was used: an attempt that the challenger's restart cut off is begun, but has no end.
    """

    epoch: Epoch
    attempts: tuple[Attempt, ...] = ()
    begun: int = 0

    def begin(self) -> Case:
        """The case once the next attempt's seed is used; to be stored before the seed is.

        Raises:
            ValueError: there is no further attempt.
        """
        if self.is_settled or self.begun >= ATTEMPTS:
            raise ValueError(f"no attempt is left after {self.begun}")
        return replace(self, begun=self.begun + 1)

    def record(self, outcome: Outcome, ended_ms: int) -> Case:
        """The case once the attempt that was begun last has ended.

        Raises:
            ValueError: no attempt is under way.
        """
        if not self.is_running:
            raise ValueError("no attempt is under way")
        return replace(self, attempts=(*self.attempts, Attempt(self.begun - 1, outcome, ended_ms)))

    def resume(self, now_ms: int) -> Case:
        """The case after a restart of the challenger: an attempt that was under way is void."""
        return self.record(Outcome.VOID, now_ms) if self.is_running else self

    @property
    def is_running(self) -> bool:
        """Whether an attempt is under way."""
        return self.begun > 0 and (not self.attempts or self.attempts[-1].number < self.begun - 1)

    @property
    def is_settled(self) -> bool:
        """Whether no further attempt can change the verdict."""
        return any(attempt.outcome in SETTLES for attempt in self.attempts)

    @property
    def is_proven(self) -> bool:
        """Whether the verdict is FAIL already, whatever the time."""
        outcomes = {attempt.outcome for attempt in self.attempts}
        return not outcomes.isdisjoint(PROVED) and Outcome.PASS not in outcomes

    def next_start(self, times: EpochTimes, first_seed: bytes) -> int | None:
        """Chain time from which the next attempt may start; None when there is none."""
        if self.is_settled or self.is_running or self.begun >= ATTEMPTS:
            return None
        if not self.attempts:
            return times.first_start(first_seed)
        return times.next_start(self.attempts[-1].ended_ms)

    def conclude(self, excused_in: Collection[Epoch], *, challenger_active: bool = True) -> Judgement:
        """The verdict at 60 %; of a proven case at any time.

        Args:
            excused_in: epochs in which this challenger has excused this prover before.
            challenger_active: the challenger is a full member with all its data; it judges nobody otherwise.
        """
        counting = [attempt for attempt in self.attempts if attempt.outcome is not Outcome.VOID]
        for wanted, verdict in ((frozenset({Outcome.PASS}), Verdict.PASS), (PROVED, Verdict.FAIL)):
            for attempt in counting:
                if attempt.outcome in wanted and challenger_active:
                    return Judgement(verdict, attempt.outcome, attempt.number)
        if not counting or not challenger_active:
            return NOTHING
        last = counting[-1]
        if last.outcome in _SLOW:
            all_used = len(counting) == ATTEMPTS
            return Judgement(Verdict.FAIL if all_used else Verdict.NONE, last.outcome, last.number)
        again = any(self.epoch - EXCUSED_EPOCHS <= epoch < self.epoch for epoch in excused_in)
        return Judgement(Verdict.FAIL if again else Verdict.EXCUSED, last.outcome, last.number)
