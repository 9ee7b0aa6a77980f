"""Votes, committees and exchange rates of the contract against twins that are as dumb as their definitions."""

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from walrus_codec.types import ObjectId
from walrus_sui import bls
from walrus_sui.devnet.move.framework.collections import MaxQueue
from walrus_sui.devnet.move.walrus import exchange_rate
from walrus_sui.devnet.move.walrus.committee import initialize, transition
from walrus_sui.devnet.move.walrus.votes import quorum_above, quorum_below
from walrus_sui.devnet.testing import bls_secret

KEYS = [bls.uncompressed(bls.public_key(bls_secret(f"twin {index}"))) for index in range(7)]
VOTES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9)), min_size=1, max_size=12)


def node(number: int) -> ObjectId:
    return ObjectId(f"0x{number:064x}")


def queue(votes: list[tuple[int, int]]) -> MaxQueue:
    made = MaxQueue()
    for value, weight in votes:
        made.insert(value, weight)
    return made


# Votes


@given(votes=VOTES)
def test_a_price_is_the_lowest_that_two_thirds_of_the_shards_and_more_accept(votes: list[tuple[int, int]]) -> None:
    n = sum(weight for _, weight in votes)

    def accepted(price: int) -> bool:
        return Fraction(sum(weight for value, weight in votes if value <= price), n) > Fraction(2, 3)

    assert quorum_below(queue(votes), n) == min(value for value, _ in votes if accepted(value))


@given(votes=VOTES)
def test_the_capacity_is_the_highest_that_two_thirds_of_the_shards_and_more_offer(votes: list[tuple[int, int]]) -> None:
    n = sum(weight for _, weight in votes)

    def offered(size: int) -> bool:
        return Fraction(sum(weight for value, weight in votes if value >= size), n) > Fraction(2, 3)

    assert quorum_above(queue(votes), n) == max(value for value, _ in votes if offered(value))


# Committees


@st.composite
def _counts(draw: st.DrawFn, n: int) -> dict[ObjectId, int]:
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=6)))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, n], strict=True)]
    ids = draw(st.permutations(range(1, 12)))
    return {node(number): count for number, count in zip(ids, parts, strict=False) if count}


@given(rounds=st.lists(_counts(31), min_size=2, max_size=6))
def test_through_many_epochs_only_shards_that_must_move_do(rounds: list[dict[ObjectId, int]]) -> None:
    held = initialize(dict(rounds[0]))
    for counts in rounds[1:]:
        before, held = held, transition(held, dict(counts))
        assert {node_id: len(shards) for node_id, shards in held.items()} == counts
        owner = {shard: node_id for node_id, shards in before.items() for shard in shards}
        taken = {shard: node_id for node_id, shards in held.items() for shard in shards}
        assert sorted(taken) == list(range(31))
        moved = sum(owner[shard] != taken[shard] for shard in taken)
        assert moved == sum(max(0, count - len(before.get(node_id, []))) for node_id, count in counts.items())


# Exchange rates


@given(shares=st.integers(0, 10**18), extra=st.integers(0, 10**18), amount=st.integers(0, 10**18))
def test_rates_are_fractions_rounded_down(shares: int, extra: int, amount: int) -> None:
    wal = shares + extra  # a share is never worth less than one FROST
    rate = exchange_rate.new(wal, shares)
    price = Fraction(wal, shares) if shares else Fraction(1)
    bought = rate.convert_to_share_amount(amount)
    assert bought == floor(amount / price)
    assert 0 <= amount - bought * price < price
    if bought * price < 1 << 64:
        paid = rate.convert_to_wal_amount(bought)
        assert paid == floor(bought * price)
        assert amount - price - 1 < paid <= amount
