"""Laws of votes over what is proven: as safe as those at 65 % of the epoch, and never in contradiction to them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.client.test_challenge_laws import committees, report

from walrus_client.challenges import votes
from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Reports
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Epoch, NodeId

FAILURES = [Outcome.WRONG, Outcome.MISSING, Outcome.LATE, Outcome.BUSY, Outcome.UNREACHABLE]


@given(committees(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_f_liars_with_early_proofs_bring_nobody_to_vote_on_an_honest_member(
    committee: tuple[dict[NodeId, int], set[NodeId]], rng: Random
) -> None:
    """Early there are only proofs: false ones of the liars on everybody, true ones of the honest on whom they caught."""
    weights, faulty = committee
    n_shards = sum(weights.values())
    honest = sorted(weights.keys() - faulty)
    reports = Reports(Epoch(9))
    proved = {
        (me, cheat): rng.choice([Outcome.WRONG, Outcome.MISSING])
        for me in honest
        for cheat in faulty
        if rng.random() < 0.8
    }
    for (me, cheat), reason in proved.items():
        reports.add(replace(report(me, cheat, Verdict.FAIL), reason=reason))
    for liar in faulty:
        for prover in honest:
            reports.add(report(liar, prover, Verdict.FAIL))
    against = dict.fromkeys(weights, 0)
    for me in honest:
        voted = votes.votes(me=me, mode=Mode.VOTE, reports=reports, weights=weights, n_shards=n_shards, proven=True)
        assert {(me, candidate) for candidate in voted} <= proved.keys()
        for candidate in voted:
            against[candidate] += weights[me]
    for member in honest:
        against[member] += sum(weights[liar] for liar in faulty)
        assert 3 * against[member] < 2 * n_shards + 1, "the contract's quorum"


@given(committees(), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_whoever_is_voted_on_early_would_be_voted_on_at_65_percent_too(
    committee: tuple[dict[NodeId, int], set[NodeId]], rng: Random
) -> None:
    """Whatever else becomes known meanwhile, as long as nobody contradicts itself."""
    weights, _faulty = committee
    early, late = Reports(Epoch(9)), Reports(Epoch(9))
    for challenger in weights:
        for prover in weights:
            if challenger == prover:
                continue
            made = report(challenger, prover, rng.choice([Verdict.FAIL, Verdict.FAIL, *Verdict]))
            if made.verdict is Verdict.FAIL:
                made = replace(made, reason=rng.choice(FAILURES))
            if made.is_proven and rng.random() < 0.7:
                early.add(made)
            if early.knows(challenger, prover) or rng.random() < 0.8:
                late.add(made)
    for me in weights:
        ask = {"me": me, "mode": Mode.VOTE, "weights": weights, "n_shards": sum(weights.values())}
        hasty = set(votes.votes(reports=early, proven=True, **ask))
        assert hasty <= set(votes.votes(reports=early, **ask)) & set(votes.votes(reports=late, **ask))
        assert hasty <= set(votes.proved_by(me, early))
