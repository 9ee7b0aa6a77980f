import pytest

from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType
from walrus_sui.devnet.move.core.aborts import U64_MAX, ArithmeticFailure, MoveAbort
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.collections import MaxQueue
from walrus_sui.devnet.move.walrus import exchange_rate
from walrus_sui.devnet.move.walrus.exchange_rate import Flat, Variable
from walrus_sui.devnet.move.walrus.pending_values import PendingValues
from walrus_sui.devnet.move.walrus.redstuff import encoded_blob_length
from walrus_sui.devnet.move.walrus.storage_accounting import FutureAccountingRingBuffer
from walrus_sui.devnet.move.walrus.system_state_inner import storage_units_from_size
from walrus_sui.devnet.move.walrus.votes import quorum_above, quorum_below


def test_ring_moves_on_and_keeps_its_epochs() -> None:
    ring = FutureAccountingRingBuffer.ring_new(3)
    ring.ring_lookup(2).increase_used_capacity(7)
    assert ring.ring_pop_expand().epoch == 0
    assert [ring.ring_lookup(offset).epoch for offset in range(3)] == [1, 2, 3]
    assert [ring.ring_lookup(offset).used_capacity for offset in range(3)] == [0, 7, 0]
    for expected in (1, 2, 3):
        assert ring.ring_pop_expand().epoch == expected
    assert ring.current_index == 1
    assert [ring.ring_lookup(offset).epoch for offset in range(3)] == [4, 5, 6]


def test_ring_ends() -> None:
    with pytest.raises(MoveAbort) as caught:
        FutureAccountingRingBuffer.ring_new(3).ring_lookup(3)
    assert (caught.value.module, caught.value.code) == ("storage_accounting", 0)


@pytest.mark.parametrize(("rewards", "burned"), [(0, 0), (33, 0), (34, 1), (100, 3), (199, 5), (10**9, 3 * 10**7)])
def test_three_percent_burn_rounds_down(rewards: int, burned: int) -> None:
    ring = FutureAccountingRingBuffer.ring_new(2)
    ring.ring_lookup(0).rewards_to_distribute.join(Balance(rewards))
    assert ring.extract_burn_balance().value == burned
    assert ring.ring_lookup(0).rewards_to_distribute.value == rewards - burned


def test_pending_values() -> None:
    pending = PendingValues.empty()
    pending.insert_or_add(5, 10)
    pending.insert_or_add(3, 1)
    pending.insert_or_add(5, 2)
    assert (pending.value_at(2), pending.value_at(4), pending.value_at(5)) == (0, 1, 13)
    assert (pending.latest_value_at(2), pending.latest_value_at(9)) == (None, 12)
    pending.reduce(5, 2)
    assert pending.flush(4) == 1
    assert pending.pos0 == {5: 10}
    pending.insert_or_replace(5, 1)
    assert pending.pos0 == {5: 1}
    for epoch, value, code in ((4, 1, 0), (5, 2, 1)):
        with pytest.raises(MoveAbort) as caught:
            pending.reduce(epoch, value)
        assert (caught.value.module, caught.value.code) == ("pending_values", code)


def test_exchange_rates_round_down() -> None:
    rate = exchange_rate.new(3_000, 2_000)
    assert rate == Variable(3_000, 2_000)
    assert (rate.convert_to_wal_amount(101), rate.convert_to_share_amount(100)) == (151, 66)
    assert exchange_rate.new(0, 0) == exchange_rate.new(5, 0) == Flat()
    with pytest.raises(MoveAbort) as caught:
        exchange_rate.new(5, 6)
    assert (caught.value.module, caught.value.code) == ("pool_exchange_rate", 0)


def queue(votes: list[int], weights: list[int]) -> MaxQueue:
    made = MaxQueue()
    for vote, weight in zip(votes, weights, strict=True):
        made.insert(vote, weight)
    return made


TEN = list(range(1, 11))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([5, 5, 4, 6, 3, 7, 2, 8, 1, 9], 4), ([17, 1, 1, 1, 3, 7, 2, 8, 1, 9], 1)],
)
def test_quorum_above(weights: list[int], expected: int) -> None:
    assert quorum_above(queue(TEN, weights), 50) == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [([5, 5, 4, 6, 3, 7, 4, 6, 1, 9], 7), ([5, 5, 4, 6, 3, 7, 1, 1, 1, 17], 10)],
)
def test_quorum_below(weights: list[int], expected: int) -> None:
    assert quorum_below(queue(TEN, weights), 50) == expected


def test_a_single_vote_decides() -> None:
    assert quorum_above(queue([1], [50]), 50) == quorum_below(queue([1], [50]), 50) == 1


def test_quorum_edge() -> None:
    # n = 100: 67 is a quorum, 66 is not.
    assert quorum_above(queue([9, 5], [67, 33]), 100) == 9
    assert quorum_above(queue([9, 5], [66, 34]), 100) == 5
    assert quorum_below(queue([9, 5], [33, 67]), 100) == 5
    assert quorum_below(queue([9, 5], [34, 66]), 100) == 9


@pytest.mark.parametrize("n", [4, 7, 10, 13, 31, 100, 253, 1000])
@pytest.mark.parametrize("length", [0, 1, 444, 10_000, 393_204])
def test_billed_size_is_that_of_the_codec(n: int, length: int) -> None:
    params = CodeParams(n, EncodingType.RS2)
    assert encoded_blob_length(length, n) == params.encoded_length(length)


def test_billed_sizes_of_the_contract() -> None:
    assert encoded_blob_length(1, 10) == 10 * (2 * (4 + 7) + 10 * 2 * 32 + 32)
    assert encoded_blob_length(0, 10) == encoded_blob_length(1, 10)
    assert encoded_blob_length(334 * 667 * 100, 1000) == 1000 * (1001 * 100 + 1000 * 2 * 32 + 32)


@pytest.mark.parametrize(
    ("length", "billed"),
    [
        (0, 66_034_000),
        (445_556, 66_034_000),
        (445_557, 68_036_000),
        (10**6, 70_038_000),
        (10**7, 110_078_000),
        (10**8, 514_482_000),
        (10**9, 4_558_522_000),
    ],
)
def test_billed_sizes_of_the_public_networks(length: int, billed: int) -> None:
    assert encoded_blob_length(length, 1_000) == billed


@pytest.mark.parametrize(
    ("n", "largest"),
    [
        (4, 393_204),
        (7, 983_010),
        (10, 1_834_952),
        (13, 2_949_030),
        (16, 4_325_244),
        (31, 15_138_354),
        (100, 149_286_452),
        (301, 1_330_405_734),
        (1000, 14_599_533_452),
    ],
)
def test_the_largest_blob_has_the_largest_even_symbols(n: int, largest: int) -> None:
    encoded_blob_length(largest, n)
    with pytest.raises(ArithmeticFailure):
        encoded_blob_length(largest + 1, n)


@pytest.mark.parametrize(("length", "n"), [(1, 0), (4 * 7 * 65_535, 10), (U64_MAX, 100)])
def test_impossible_sizes_fail_in_arithmetic(length: int, n: int) -> None:
    with pytest.raises(ArithmeticFailure):
        encoded_blob_length(length, n)


@pytest.mark.parametrize(("size", "units"), [(0, 0), (1, 1), (1024**2, 1), (1024**2 + 1, 2)])
def test_units_are_mebibytes_rounded_up(size: int, units: int) -> None:
    assert storage_units_from_size(size) == units
