"""Whom a node votes to slash, and who kept silent: weights of reports, nothing else.

A node votes only when it saw the failure itself and members with f + 1 shards, itself included, report it too: one of
them is honest, and no coalition of f can bring an honest node to vote. The contract slashes at a quorum; so an honest
node is slashed only if more than f honest shards have seen it fail (`challenges-spec.md` 12 to 16).

What is proven (WRONG, MISSING) is voted on at once, by the same rule over proven reports alone (`proven`). That is as safe:

* the own verdict is final, and so is that of every honest member that reports a proof: the same report stands at 65 %;
* proven failures are some of all failures, so who is voted on early would be voted on at 65 % too. A member that voids its
  own report meanwhile, by signing another one, only takes its weight out of the later count, not the own eyes of the voters;
* weights and thresholds are the same: a quorum holds more than f honest shards, each of which has seen the failure itself;
* an early report tells its prover nothing: it knows itself which answer it could not give.
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
        proven: weight of those of them that have proved it.
        excused: weight of those that excuse it.
        none: weight of those that could not judge.
        silent: weight of the others from whom there is no valid report.
    """

    prover: NodeId
    passed: int
    failed: int
    proven: int
    excused: int
    none: int
    silent: int


def tally(prover: NodeId, reports: Reports, weights: Mapping[NodeId, int]) -> Tally:
    """Counts the reports on one prover; `weights` are the shards of each member."""
    sums = dict.fromkeys(Verdict, 0)
    proven = silent = 0
    for challenger, weight in weights.items():
        if challenger == prover:
            continue
        report = reports.of(challenger, prover)
        if report is None:
            silent += weight
        else:
            sums[report.verdict] += weight
            proven += weight * report.is_proven
    return Tally(
        prover,
        passed=sums[Verdict.PASS],
        failed=sums[Verdict.FAIL],
        proven=proven,
        excused=sums[Verdict.EXCUSED],
        none=sums[Verdict.NONE],
        silent=silent,
    )


def deserves_vote(
    prover: NodeId,
    *,
    me: NodeId,
    reports: Reports,
    weights: Mapping[NodeId, int],
    n_shards: int,
    proven: bool = False,
) -> bool:
    """Whether the reports oblige this node to vote against the prover, if its mode lets it vote at all.

    Args:
        prover: about whom.
        me: this node.
        reports: what it knows.
        weights: shards of each member.
        n_shards: of the network.
        proven: only proven failures count, the own one too: the rule before 65 % of the epoch.
    """
    own = reports.of(me, prover)
    if prover == me or prover not in weights or me not in weights or own is None or own.verdict is not Verdict.FAIL:
        return False
    found = tally(prover, reports, weights)
    if proven:
        return own.is_proven and quorum.is_one_honest(found.proven, n_shards)
    return quorum.is_one_honest(found.failed, n_shards)


def votes(
    *,
    me: NodeId,
    mode: Mode,
    reports: Reports,
    weights: Mapping[NodeId, int],
    n_shards: int,
    proven: bool = False,
) -> tuple[NodeId, ...]:
    """All provers that this node votes to slash, in ascending order; none unless its mode is Vote."""
    if mode is not Mode.VOTE:
        return ()
    return would_vote(me=me, reports=reports, weights=weights, n_shards=n_shards, proven=proven)


def would_vote(
    *, me: NodeId, reports: Reports, weights: Mapping[NodeId, int], n_shards: int, proven: bool = False
) -> tuple[NodeId, ...]:
    """As `votes` with the mode Vote: what a dry run shows."""
    return tuple(
        prover
        for prover in sorted(weights)
        if deserves_vote(prover, me=me, reports=reports, weights=weights, n_shards=n_shards, proven=proven)
    )


def proved_by(me: NodeId, reports: Reports) -> tuple[NodeId, ...]:
    """Provers whose failure a member has proved itself, in ascending order."""
    return tuple(
        sorted(prover for (maker, prover), report in reports.valid.items() if maker == me and report.is_proven)
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
