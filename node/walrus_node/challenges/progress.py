"""Where a node's challenges of the epoch stand, as it tells operators."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Reports
from walrus_client.challenges.verdicts import Verdict
from walrus_codec.types import NodeId


@dataclass(frozen=True)
class ChallengeProgress:
    """Where this node's challenges of the epoch stand.

    Attributes:
        mode: what it does with verdicts: Off, Report or Vote.
        epoch: the epoch.
        window_open: whether it is the time in which challenges are made.
        running: its attempts that are under way.
        answering: attempts of others that it answers now.
        pending: members whose case is open and that it may still challenge.
        passed: its verdicts over the others.
        failed: likewise.
        excused: likewise.
        none: likewise.
        votes: that it has cast in this epoch.
        executed: those of them that have led to a slashing, by whomever it was executed, or can no more.
    """

    mode: str = Mode.OFF.value
    epoch: int = 0
    window_open: bool = False
    running: int = 0
    answering: int = 0
    pending: int = 0
    passed: int = 0
    failed: int = 0
    excused: int = 0
    none: int = 0
    votes: int = 0
    executed: int = 0

    def with_verdicts(self, us: NodeId, reports: Reports) -> ChallengeProgress:
        """The same with this node's own verdicts counted."""
        own = Counter(report.verdict for (challenger, _), report in reports.valid.items() if challenger == us)
        return replace(
            self,
            passed=own[Verdict.PASS],
            failed=own[Verdict.FAIL],
            excused=own[Verdict.EXCUSED],
            none=own[Verdict.NONE],
        )
