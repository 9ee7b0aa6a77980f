import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus import committee
from walrus_sui.devnet.move.walrus.committee import Committee


def node(number: int) -> ObjectId:
    return ObjectId(f"0x{number:064x}")


def numbers(assigned: dict[int, int]) -> dict[ObjectId, int]:
    return {node(number): count for number, count in assigned.items()}


def plain(given: Committee) -> dict[int, list[int]]:
    return {int(node_id, 16): shards for node_id, shards in given.items()}


def test_first_committee_is_sorted_and_consecutive() -> None:
    made = committee.initialize(numbers({3: 2, 1: 3, 2: 1}))
    assert list(plain(made).items()) == [(1, [0, 1, 2]), (2, [3]), (3, [4, 5])]


def test_first_committee_keeps_nodes_without_shards() -> None:
    assert plain(committee.initialize(numbers({1: 2, 2: 0}))) == {1: [0, 1], 2: []}


def test_nothing_moves_without_need() -> None:
    first = committee.initialize(numbers({1: 2, 2: 2}))
    assert committee.transition(first, numbers({2: 2, 1: 2})) == first


def test_shrinking_gives_from_the_end_and_growing_takes_from_the_end() -> None:
    first = committee.initialize(numbers({1: 4, 2: 4, 3: 2}))
    # 1 gives 3, 2; 2 gives 7, 6: the moving shards are [3, 2, 7, 6], taken from the end.
    assert plain(committee.transition(first, numbers({1: 2, 2: 2, 3: 6}))) == {
        1: [0, 1],
        2: [4, 5],
        3: [8, 9, 6, 7, 2, 3],
    }


def test_leaving_gives_all_in_order() -> None:
    first = committee.initialize(numbers({1: 3, 2: 3}))
    assert plain(committee.transition(first, numbers({2: 6}))) == {2: [3, 4, 5, 2, 1, 0]}


def test_new_nodes_take_before_growing_ones() -> None:
    first = committee.initialize(numbers({1: 2, 2: 6}))
    # 2 gives 7, 6, 5, 4; the new node 9 comes before the growing node 1, whatever the ids.
    assert plain(committee.transition(first, numbers({1: 4, 9: 2, 2: 2}))) == {
        1: [0, 1, 6, 7],
        2: [2, 3],
        9: [4, 5],
    }


def test_new_nodes_take_in_the_order_of_the_apportionment() -> None:
    first = committee.initialize(numbers({5: 4}))
    # 5 gives 3, 2, 1; 9 stands first and takes from the end.
    assert plain(committee.transition(first, numbers({9: 1, 5: 1, 2: 2}))) == {2: [2, 3], 5: [0], 9: [1]}


def test_zero_means_leaving() -> None:
    first = committee.initialize(numbers({1: 1, 2: 1}))
    assert plain(committee.transition(first, numbers({1: 0, 2: 2, 3: 0}))) == {2: [1, 0]}


def test_another_number_of_shards_aborts() -> None:
    first = committee.initialize(numbers({1: 2}))
    with pytest.raises(MoveAbort) as caught:
        committee.transition(first, numbers({1: 3}))
    assert (caught.value.module, caught.value.code) == ("committee", 0)


def test_diff() -> None:
    first, second = committee.initialize(numbers({1: 1, 2: 1})), committee.initialize(numbers({2: 1, 3: 1}))
    assert committee.diff(first, second) == ([node(1)], [node(3)])


@st.composite
def splits(draw: st.DrawFn, n: int) -> dict[ObjectId, int]:
    ids = draw(st.lists(st.integers(1, 9), min_size=1, max_size=6, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, n), min_size=len(ids) - 1, max_size=len(ids) - 1)))
    edges = [0, *cuts, n]
    return {node(number): edges[index + 1] - edges[index] for index, number in enumerate(ids)}


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_transitions_move_as_little_as_possible(data: st.DataObject) -> None:
    n = 13
    old = {key: value for key, value in data.draw(splits(n)).items() if value}
    new = data.draw(splits(n))
    before = committee.initialize(dict(old))
    after = committee.transition(before, dict(new))
    assert sorted(shard for shards in after.values() for shard in shards) == list(range(n))
    assert {key: len(shards) for key, shards in after.items()} == {key: count for key, count in new.items() if count}
    assert list(after) == sorted(after)
    kept = sum(len(set(shards) & set(before.get(key, ()))) for key, shards in after.items())
    assert kept == sum(min(count, new.get(key, 0)) for key, count in old.items())
