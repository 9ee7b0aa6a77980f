from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.walrus.active_set import ActiveSet


def node(number: int) -> ObjectId:
    return ObjectId(f"0x{number:064x}")


def filled(size: int, *stakes: int) -> ActiveSet:
    made = ActiveSet.new(size, 0)
    for index, stake in enumerate(stakes):
        assert made.insert_or_update(node(index), stake)
    return made


def order(given: ActiveSet) -> list[int]:
    return [int(entry.node_id, 16) for entry in given.nodes]


def test_updates_stay_in_place() -> None:
    made = filled(5, 10, 20, 30)
    assert made.insert_or_update(node(1), 5)
    assert order(made) == [0, 1, 2]
    assert made.total_stake == 45


def test_no_stake_leaves_and_the_last_takes_the_place() -> None:
    made = filled(5, 10, 20, 30, 40)
    assert not made.insert_or_update(node(1), 0)
    assert order(made) == [0, 3, 2]
    assert made.total_stake == 80
    assert not made.insert_or_update(node(2), 0)
    assert order(made) == [0, 3]


def test_a_full_set_drops_its_smallest_for_a_larger_one() -> None:
    made = filled(3, 10, 5, 20)
    assert made.insert_or_update(node(7), 6)
    assert order(made) == [0, 7, 2]
    assert made.total_stake == 36


def test_the_first_among_equals_is_dropped() -> None:
    made = filled(3, 5, 9, 5)
    assert made.insert_or_update(node(7), 6)
    assert order(made) == [7, 1, 2]


def test_an_equal_newcomer_stays_out() -> None:
    made = filled(2, 5, 9)
    assert not made.insert_or_update(node(7), 5)
    assert order(made) == [0, 1]


def test_threshold() -> None:
    made = ActiveSet.new(3, 100)
    assert not made.insert_or_update(node(1), 99)
    assert made.insert_or_update(node(1), 100)
    assert not made.insert_or_update(node(1), 99)
    assert made.total_stake == 0
