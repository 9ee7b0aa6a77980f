"""Votes over what is proven, in a simulated epoch, before the other verdicts are final.

Life of a proof: the attempt ends and the report is there at once, a liar's from the first moment on; every 2 % of the epoch who
has a proof of its own has pulled the reports of those that can be reached, and votes as the rules say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.sim.cheaters import Conduct
from tests.sim.fates import Fate

from walrus_client.challenges import votes
from walrus_client.challenges.policy import Mode
from walrus_client.challenges.reports import Report, Reports
from walrus_client.challenges.times import FINAL, FIRST_START, PULL_EVERY, EpochTimes
from walrus_codec import quorum
from walrus_codec.types import NodeId

Cast = Mapping[tuple[NodeId, NodeId], int]
"""Percent of the epoch at which a member has voted against a candidate."""


def early_votes(
    told: Sequence[Mapping[tuple[NodeId, NodeId], tuple[int, Report]]],
    *,
    times: EpochTimes,
    fates: Mapping[NodeId, Fate],
    conducts: Mapping[NodeId, Conduct],
    weights: Mapping[NodeId, int],
) -> Cast:
    """All votes before 60 %.

    Args:
        told: proofs by challenger and prover, with the time from which they are there; for each half of the members.
        times: the epoch's hours.
        fates: when members are up.
        conducts: who votes without a reason, and spares its friends.
        weights: shards of each member.
    """
    cast: dict[tuple[NodeId, NodeId], int] = {}
    for liar, conduct in conducts.items():
        for candidate in conducts if conduct.accuses else ():
            if candidate != liar and candidate not in conduct.friends:
                cast[liar, candidate] = FIRST_START
    seen = {challenger for half in told for challenger, _ in half if not conducts[challenger].accuses}
    views = [Reports(report.epoch) for half in told for _, report in list(half.values())[:1]]
    if not seen or len(views) < len(told):
        return cast
    n_shards = sum(weights.values())
    for percent in range(FIRST_START, FINAL, PULL_EVERY):
        now = times.at(percent)
        for view, half in zip(views, told, strict=True):
            for (challenger, prover), (since, report) in half.items():
                if since <= now and fates[challenger].is_up(now) and not view.knows(challenger, prover):
                    view.add(report)
        for position, member in enumerate(weights):
            if member not in seen or not fates[member].is_up(now):
                continue
            against = votes.votes(
                me=member,
                mode=Mode.VOTE,
                reports=views[position % len(views)],
                weights=weights,
                n_shards=n_shards,
                proven=True,
            )
            for candidate in against:
                if candidate not in conducts[member].friends:
                    cast.setdefault((member, candidate), percent)
    return cast


def slashed_at(cast: Cast, weights: Mapping[NodeId, int]) -> Mapping[NodeId, int]:
    """Percent of the epoch at which the votes against a candidate have reached the quorum, for those against whom they have."""
    found: dict[NodeId, int] = {}
    for candidate in weights:
        weight = 0
        for percent, voter in sorted((at, voter) for (voter, whom), at in cast.items() if whom == candidate):
            weight += weights[voter]
            if quorum.is_quorum(weight, sum(weights.values())):
                found[candidate] = percent
                break
    return found
