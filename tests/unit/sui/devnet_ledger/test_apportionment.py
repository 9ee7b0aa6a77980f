from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.apportionment import dhondt, max_shards_per_node
from walrus_sui.devnet.move.walrus.staking_inner import E_NO_STAKE


def shards(n: int, stake: list[int]) -> list[int]:
    return dhondt(n, stake, no_stake=E_NO_STAKE)


@pytest.mark.parametrize(
    ("n", "stake", "expected"),
    [
        (4, [25_000] * 4, [1, 1, 1, 1]),
        (6, [25_000] * 4, [2, 2, 1, 1]),
        (7, [25_000] * 4, [2, 2, 2, 1]),
        (778, [25_000] * 4, [195, 195, 194, 194]),
        (1000, [25_000] * 4, [250, 250, 250, 250]),
        (4, [50_000, 30_000, 15_000, 5_000], [2, 2, 0, 0]),
        (777, [50_000, 30_000, 15_000, 5_000], [389, 234, 116, 38]),
        (1000, [50_000, 30_000, 15_000, 5_000], [500, 300, 150, 50]),
        (4, [50_000, 50_000, 30_000, 15_000, 15_000, 5_000], [2, 1, 1, 0, 0, 0]),
        (777, [50_000, 50_000, 30_000, 15_000, 15_000, 5_000], [236, 236, 142, 70, 70, 23]),
        (1000, [50_000, 50_000, 30_000, 15_000, 15_000, 5_000], [303, 303, 182, 91, 91, 30]),
        (7, [200, 200, 200, 100], [2, 2, 2, 1]),
        (9, [200, 200, 200, 100, 100, 100], [2, 2, 2, 1, 1, 1]),
        (18, [780_000, 650_000, 520_000, 390_000, 260_000], [6, 5, 4, 2, 1]),
        (0, [100, 90, 80], [0, 0, 0]),
        (5, [1, 0, 0], [4, 1, 0]),
        (3, [1_000_000, 999_999], [2, 1]),
        (500, [10**12, 9 * 10**11, 10**11], [250, 225, 25]),
        (1000, [600, 100, 200, 100], [500, 125, 250, 125]),
        (1000, [20] * 10 + [200] + [20] * 10, [45] * 10 + [100] + [45] * 10),
        (1000, [1_250] * 5 + [733] * 4 + [728] + [1] * 90, [100] * 10 + [0] * 90),
    ],
)
def test_results_of_the_contract(n: int, stake: list[int], expected: list[int]) -> None:
    assert shards(n, stake) == expected


@pytest.mark.parametrize(
    ("nodes", "n", "cap"),
    [
        (1, 100, 200),
        (2, 100, 100),
        (4, 100, 50),
        (10, 100, 20),
        (19, 100, 11),
        (20, 100, 10),
        (100, 100, 10),
        (19, 1000, 106),
    ],
)
def test_cap_per_node(nodes: int, n: int, cap: int) -> None:
    assert max_shards_per_node(nodes, n) == cap


def test_the_cap_at_exactly_twenty_nodes() -> None:
    """With 19 nodes the largest may have 11 of 100 shards, with 20 only a tenth."""
    assert shards(100, [1_000] + [10] * 18)[0] == 11
    assert shards(100, [1_000] + [10] * 19)[0] == 10


def test_nobody_staked() -> None:
    with pytest.raises(MoveAbort) as caught:
        shards(100, [0, 0])
    assert (caught.value.module, caught.value.code) == ("staking_inner", 3)


def test_cap_of_zero_aborts_like_the_queue() -> None:
    with pytest.raises(MoveAbort) as caught:
        shards(7, [1] * 20)
    assert (caught.value.module, caught.value.code) == ("apportionment_queue", 0)


def test_earlier_nodes_win_ties() -> None:
    assert shards(10, [7, 7, 7, 7]) == [3, 3, 2, 2]


def slow_dhondt(n: int, stake: list[int]) -> list[int]:
    """The same by the book: one shard after the other to the largest exact quotient."""
    cap = max_shards_per_node(len(stake), n)
    got = [0] * len(stake)
    for _ in range(n):
        open_nodes = [index for index in range(len(stake)) if got[index] < cap]
        best = max(open_nodes, key=lambda index: (Fraction(stake[index], got[index] + 1), -index))
        got[best] += 1
    return got


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(10, 120),
    stake=st.lists(st.one_of(st.integers(0, 50), st.integers(0, 5 * 10**18 // 25)), min_size=1, max_size=25).filter(
        any
    ),
)
def test_equals_the_slow_method(n: int, stake: list[int]) -> None:
    result = shards(n, stake)
    assert result == slow_dhondt(n, stake)
    assert sum(result) == n
