"""The table of Byzantine arithmetic, as the contract counts."""

import pytest

from walrus_codec import quorum


@pytest.mark.parametrize(
    ("n", "f", "quorum_weight", "one_honest_weight"),
    [(1, 0, 1, 1), (4, 1, 3, 2), (7, 2, 5, 3), (9, 2, 7, 4), (10, 3, 7, 4), (100, 33, 67, 34), (1000, 333, 667, 334)],
)
def test_weights(n: int, f: int, quorum_weight: int, one_honest_weight: int) -> None:
    assert quorum.max_faulty(n) == f
    assert quorum.quorum_weight(n) == quorum_weight
    assert quorum.one_honest_weight(n) == one_honest_weight
    assert quorum.is_quorum(quorum_weight, n)
    assert not quorum.is_quorum(quorum_weight - 1, n)
    assert quorum.is_one_honest(one_honest_weight, n)
    assert not quorum.is_one_honest(one_honest_weight - 1, n)
