"""The contract's arithmetic against twins that are as dumb as their definitions: fractions, sorted lists, dictionaries."""

from collections import defaultdict
from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_codec.types import ObjectId
from walrus_sui import bls
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.collections import MaxQueue
from walrus_sui.devnet.move.walrus import exchange_rate
from walrus_sui.devnet.move.walrus.bls_aggregate import BlsCommitteeMember, new_bls_committee
from walrus_sui.devnet.move.walrus.committee import initialize, transition
from walrus_sui.devnet.move.walrus.epoch_parameters import EpochParams
from walrus_sui.devnet.move.walrus.storage_accounting import FutureAccountingRingBuffer
from walrus_sui.devnet.move.walrus.system_state_inner import DENY_LIST_SIZES, SystemStateInnerV1
from walrus_sui.devnet.move.walrus.votes import quorum_above, quorum_below
from walrus_sui.devnet.testing import bls_secret
from walrus_sui.devnet.testing.internals import rt

KEYS = [bls.uncompressed(bls.public_key(bls_secret(f"twin {index}"))) for index in range(7)]
VOTES = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 9)), min_size=1, max_size=12)
AMOUNT = st.one_of(st.integers(0, 9), st.integers(0, 5 * 10**18))


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


# The accounting ring

RING_STEP = st.one_of(
    st.tuples(st.just("reserve"), st.integers(0, 4), AMOUNT),
    st.tuples(st.just("pay"), st.integers(0, 4), AMOUNT),
    st.tuples(st.sampled_from(["next", "burn"]), st.just(0), st.just(0)),
)


@given(steps=st.lists(RING_STEP, max_size=40), length=st.integers(1, 5))
def test_the_ring_is_a_ledger_by_epoch(steps: list[tuple[str, int, int]], length: int) -> None:
    ring, epoch = FutureAccountingRingBuffer.ring_new(length), 0
    used: dict[int, int] = defaultdict(int)
    rewards: dict[int, int] = defaultdict(int)
    for action, ahead, amount in steps:
        at = epoch + ahead % length
        match action:
            case "reserve" if used[at] + amount < 1 << 64:
                used[at] += amount
                assert ring.ring_lookup(ahead % length).increase_used_capacity(amount) == used[at]
            case "pay" if rewards[at] + amount < 1 << 64:
                rewards[at] += amount
                ring.ring_lookup(ahead % length).rewards_to_distribute.join(Balance(amount))
            case "burn" if rewards[epoch] * 3 < 1 << 64:
                burned = floor(Fraction(3, 100) * rewards[epoch])
                assert ring.extract_burn_balance().value == burned
                rewards[epoch] -= burned
            case "next":
                ended = ring.ring_pop_expand()
                found = ended.epoch, ended.used_capacity, ended.rewards_to_distribute.value
                assert found == (epoch, used[epoch], rewards[epoch])
                epoch += 1
        entries = [ring.ring_lookup(offset) for offset in range(length)]
        assert [item.epoch for item in entries] == list(range(epoch, epoch + length))
        assert [item.used_capacity for item in entries] == [used[item.epoch] for item in entries]
        assert [item.rewards_to_distribute.value for item in entries] == [rewards[item.epoch] for item in entries]


# What nodes earn


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(1, 1000), min_size=1, max_size=6),
    denied=st.lists(st.integers(0, 200), min_size=6, max_size=6),
    used=st.integers(0, 150),
    rewards=AMOUNT,
    unit=st.sampled_from([1, 1 << 20, 10**13]),
)
def test_nodes_earn_by_what_they_store(
    weights: list[int], denied: list[int], used: int, rewards: int, unit: int
) -> None:
    members = [BlsCommitteeMember(KEYS[index], weight, node(index)) for index, weight in enumerate(weights)]
    state = SystemStateInnerV1.create_empty(rt, 3)
    state.committee = new_bls_committee(0, members)
    DENY_LIST_SIZES.borrow_mut(rt, state.deny_list_sizes).update(
        {node(index): size * unit for index, size in enumerate(denied) if size}
    )
    state.future_accounting.ring_lookup(0).rewards_to_distribute.join(Balance(rewards))
    state.future_accounting.ring_lookup(0).increase_used_capacity(used * unit)
    state.future_accounting.ring_lookup(1).increase_used_capacity(used)
    earned = state.advance_epoch(rt, new_bls_committee(1, []), EpochParams(100))
    stored = [weight * max(0, used - size) for weight, size in zip(weights, denied, strict=False)]
    assert list(earned) == [member.node_id for member in members]
    for part, balance in zip(stored, earned.values(), strict=True):
        assert balance.value == (floor(Fraction(part, sum(stored)) * rewards) if part else 0)
    left = state.future_accounting.ring_lookup(0).rewards_to_distribute.value
    assert left + sum(balance.value for balance in earned.values()) == rewards
    assert left == rewards if not any(stored) else left < len(members)
    assert state.total_capacity_size == max(100, used)


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
