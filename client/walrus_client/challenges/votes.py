"""Whom a node votes to slash, and who kept silent: weights of reports, nothing else.

A node votes only when it saw the failure itself and members with f + 1 shards, itself included, report it too: one of
them is honest, and no coalition of f can bring an honest node to vote. The contract slashes at a quorum; so an honest
node is slashed only if more than f honest shards have seen it fail (`challenges-spec.md` 12 to 16).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Report, Reports
from walrus_client.challenges.verdicts import Verdict
from walrus_codec import quorum
from walrus_codec.types import NodeId


@dataclass(frozen=True)
class Tally:
    """What members report of one prover, in shards.

    Attributes:
        prover: of whom.
        passed: weight of those that saw it pass.
        failed: weight of those that saw it fail.
        excused: weight of those that excuse it.
        none: weight of those that could not judge.
        silent: weight of the others from whom there is no valid report.
    """

    prover: NodeId
    passed: int
    failed: int
    excused: int
    none: int
    silent: int


def tally(prover: NodeId, reports: Reports, weights: Mapping[NodeId, int]) -> Tally:
    """Counts the reports on one prover; `weights` are the shards of each member."""
    sums = dict.fromkeys(Verdict, 0)
    silent = 0
    for challenger, weight in weights.items():
        if challenger == prover:
            continue
        report = reports.of(challenger, prover)
        if report is None:
            silent += weight
        else:
            sums[report.verdict] += weight
    return Tally(
        prover,
        passed=sums[Verdict.PASS],
        failed=sums[Verdict.FAIL],
        excused=sums[Verdict.EXCUSED],
        none=sums[Verdict.NONE],
        silent=silent,
    )


def deserves_vote(
    prover: NodeId, *, me: NodeId, reports: Reports, weights: Mapping[NodeId, int], n_shards: int
) -> bool:
    """Whether the reports oblige this node to vote against the prover, if its mode lets it vote at all."""
    own = reports.of(me, prover)
    if prover == me or prover not in weights or me not in weights or own is None or own.verdict is not Verdict.FAIL:
        return False
    return quorum.is_one_honest(tally(prover, reports, weights).failed, n_shards)


def votes(
    *, me: NodeId, mode: Mode, reports: Reports, weights: Mapping[NodeId, int], n_shards: int
) -> tuple[NodeId, ...]:
    """All provers that this node votes to slash, in ascending order; none unless its mode is Vote."""
    if mode is not Mode.VOTE:
        return ()
    return would_vote(me=me, reports=reports, weights=weights, n_shards=n_shards)


def would_vote(*, me: NodeId, reports: Reports, weights: Mapping[NodeId, int], n_shards: int) -> tuple[NodeId, ...]:
    """As `votes` with the mode Vote: what a dry run shows."""
    return tuple(
        prover
        for prover in sorted(weights)
        if deserves_vote(prover, me=me, reports=reports, weights=weights, n_shards=n_shards)
    )


def silent(reports: Reports, weights: Mapping[NodeId, int]) -> tuple[NodeId, ...]:
    """Members whose valid reports cover less than half of the weight of all others, in ascending order."""
    total = sum(weights.values())
    found = []
    for challenger, weight in sorted(weights.items()):
        covered = sum(
            weights[prover] for prover in weights if prover != challenger and reports.of(challenger, prover) is not None
        )
        if 2 * covered < total - weight:
            found.append(challenger)
    return tuple(found)


def failing(reports: Reports) -> tuple[Report, ...]:
    """All reports of failures, ordered by prover and challenger."""
    found = (report for report in reports.valid.values() if report.verdict is Verdict.FAIL)
    return tuple(sorted(found, key=lambda report: (report.prover, report.challenger)))
