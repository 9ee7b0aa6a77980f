"""Laws of the storage fund: the ring against a table by epoch, the distribution of rewards against exact fractions."""

from fractions import Fraction
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui import bls
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.packages import WALRUS, Packages
from walrus_sui.devnet.move.core.runtime import ChainRules, Runtime
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.walrus.bls_aggregate import BlsCommitteeMember, new_bls_committee
from walrus_sui.devnet.move.walrus.epoch_parameters import EpochParams
from walrus_sui.devnet.move.walrus.storage_accounting import FutureAccountingRingBuffer
from walrus_sui.devnet.move.walrus.system_state_inner import DENY_LIST_SIZES, SystemStateInnerV1

HERE = ObjectId("0x" + "a" * 64)
LARGE = st.integers(0, 2**50)


@given(
    length=st.integers(1, 6),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 5), LARGE), max_size=40),
)
def test_a_ring_is_a_table_by_epoch(length: int, steps: list[tuple[bool, int, int]]) -> None:
    ring = FutureAccountingRingBuffer.ring_new(length)
    table = {epoch: [0, 0] for epoch in range(length)}
    now = 0
    for moves_on, offset, amount in steps:
        if moves_on:
            ended = ring.ring_pop_expand()
            assert [ended.used_capacity, ended.rewards_to_distribute.value] == table.pop(now)
            table[now + length] = [0, 0]
            now += 1
        elif offset < length:
            entry = ring.ring_lookup(offset)
            entry.rewards_to_distribute.join(Balance(amount))
            table[now + offset][0] += amount
            table[now + offset][1] += amount
            assert entry.increase_used_capacity(amount) == table[now + offset][0]
        for ahead in range(length):
            entry = ring.ring_lookup(ahead)
            found = [entry.used_capacity, entry.rewards_to_distribute.value]
            assert (entry.epoch, found) == (now + ahead, table[now + ahead])


@given(rewards=LARGE)
def test_three_percent_are_burned_and_nothing_is_lost(rewards: int) -> None:
    ring = FutureAccountingRingBuffer.ring_new(2)
    ring.ring_lookup(0).rewards_to_distribute.join(Balance(rewards))
    ring.ring_lookup(1).rewards_to_distribute.join(Balance(rewards))
    burned = ring.extract_burn_balance().value
    assert burned == int(Fraction(3, 100) * rewards)
    left = [ring.ring_lookup(ahead).rewards_to_distribute.value for ahead in range(2)]
    assert left == [rewards - burned, rewards]


@cache
def key(index: int) -> bytes:
    return bls.uncompressed(bls.public_key(index + 1))


def node_id(index: int) -> ObjectId:
    return ObjectId(f"0x{index:064x}")


def runtime() -> Runtime:
    rules = ChainRules(Packages(((WALRUS, HERE),)), frozenset({1}))
    return Runtime(SuiAddress(HERE), bytes(32), rules, lambda _: None, registry.resolve)


MEMBERS = st.lists(st.tuples(st.integers(1, 400), st.none() | LARGE), min_size=1, max_size=6)


@given(members=MEMBERS, used=LARGE, rewards=LARGE)
def test_rewards_are_the_floor_of_the_exact_share(
    members: list[tuple[int, int | None]], used: int, rewards: int
) -> None:
    rt = runtime()
    system = SystemStateInnerV1.create_empty(rt, 3)
    seats = [BlsCommitteeMember(key(index), weight, node_id(index)) for index, (weight, _) in enumerate(members)]
    system.committee = new_bls_committee(0, seats)
    denied = {node_id(index): size for index, (_, size) in enumerate(members) if size is not None}
    DENY_LIST_SIZES.borrow_mut(rt, system.deny_list_sizes).update(denied)
    entry = system.future_accounting.ring_lookup(0)
    entry.increase_used_capacity(used)
    entry.rewards_to_distribute.join(Balance(rewards))
    earned = system.advance_epoch(rt, new_bls_committee(1, []), EpochParams(7))

    stored = [weight * max(used - (size or 0), 0) for weight, size in members]
    shares = [Fraction(rewards * part, sum(stored)) if sum(stored) else Fraction(0) for part in stored]
    assert [balance.value for balance in earned.values()] == [int(share) for share in shares]
    left = system.future_accounting.ring_lookup(0).rewards_to_distribute.value
    assert left + sum(balance.value for balance in earned.values()) == rewards
    assert left < len(members) or not any(stored)
    assert list(earned) == [node_id(index) for index in range(len(members))]
    assert (system.epoch, system.used_capacity_size, system.total_capacity_size) == (1, 0, 7)


@given(amount=LARGE, epochs=st.integers(1, 9))
def test_a_donation_is_spread_within_one_part(amount: int, epochs: int) -> None:
    system = SystemStateInnerV1.create_empty(runtime(), 9)
    system.add_subsidy(Balance(amount), epochs)
    parts = [system.future_accounting.ring_lookup(offset).rewards_to_distribute.value for offset in range(9)]
    assert sum(parts) == amount
    assert parts[1:] == [amount // epochs] * (epochs - 1) + [0] * (9 - epochs)
