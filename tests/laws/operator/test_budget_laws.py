"""No allowed eviction ever takes more than f shards, whichever pods it hits."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from walrus_codec.quorum import max_faulty
from walrus_operator.plan.budget import max_unavailable

weights = st.lists(st.integers(min_value=0, max_value=40), max_size=9)


@given(deployed=weights, hibernated=weights)
def test_any_choice_of_that_many_pods_stays_within_f(deployed: list[int], hibernated: list[int]) -> None:
    n = 3 * ((sum(deployed) + sum(hibernated)) // 3) + 1
    tolerated, lost = max_faulty(n), sum(hibernated)
    count = max_unavailable(deployed, tolerated=tolerated, lost=lost)
    assert 0 <= count <= len(deployed)
    if count:
        assert all(sum(chosen) + lost <= tolerated for chosen in combinations(deployed, count))


@given(deployed=weights, hibernated=weights)
def test_one_more_could_be_too_many(deployed: list[int], hibernated: list[int]) -> None:
    """The dumb twin: the largest k such that every choice of k pods fits."""
    n = 3 * ((sum(deployed) + sum(hibernated)) // 3) + 1
    tolerated, lost = max_faulty(n), sum(hibernated)

    def fits(count: int) -> bool:
        return all(sum(chosen) + lost <= tolerated for chosen in combinations(deployed, count))

    slow = max((count for count in range(1, len(deployed) + 1) if fits(count)), default=0)
    assert max_unavailable(deployed, tolerated=tolerated, lost=lost) == slow
