"""No allowed eviction ever takes more than f - reserve shards, whichever pods it hits and whatever is away already."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from walrus_operator.plan.evictions import Stand, allowed


@st.composite
def stands(draw: st.DrawFn) -> list[Stand]:
    weights = draw(st.lists(st.integers(min_value=0, max_value=40), max_size=9))
    return [Stand(weight, draw(st.sampled_from([0, 0, weight, weight // 2]))) for weight in weights]


def away(nodes: list[Stand], without: tuple[int, ...]) -> int:
    """Shards that cannot be served while these nodes have no pod."""
    return sum(node.weight if index in without else node.lost for index, node in enumerate(nodes))


@given(nodes=stands(), budget=st.integers(min_value=-10, max_value=130))
def test_it_is_the_largest_number_of_which_every_choice_fits(nodes: list[Stand], budget: int) -> None:
    """The dumb twin tries every choice."""

    def fits(count: int) -> bool:
        return all(away(nodes, chosen) <= budget for chosen in combinations(range(len(nodes)), count))

    slow = max((count for count in range(1, len(nodes) + 1) if fits(count)), default=0)
    assert allowed(nodes, budget=budget) == slow
