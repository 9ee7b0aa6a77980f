"""Laws of a staking pool: what goes in comes out, to within rounding, and everybody gets what exact shares would give.

Random stories of stakers who come and go through epochs with rewards, against a twin that reckons with fractions.
"""

from dataclasses import dataclass, field
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal, Withdrawing
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext
from walrus_sui.devnet.testing.internals import new_pool, staking_pool

WAL = 10**9


@dataclass
class Twin:
    """The same pool in exact numbers: balance, shares, and what is to happen in which epoch."""

    balance: Fraction = Fraction(0)
    shares: Fraction = Fraction(0)
    joining: dict[int, list[int]] = field(default_factory=dict)
    leaving: dict[int, list[int]] = field(default_factory=dict)
    principal: dict[int, int] = field(default_factory=dict)
    held: dict[int, Fraction] = field(default_factory=dict)
    worth: dict[int, Fraction] = field(default_factory=dict)

    def advance(self, epoch: int, rewards: int) -> None:
        self.balance += rewards
        price = self.balance / self.shares if self.shares else Fraction(1)
        for who in self.joining.pop(epoch, []):
            self.held[who] = self.principal[who] / price
            self.shares += self.held[who]
            self.balance += self.principal[who]
        for who in self.leaving.pop(epoch, []):
            self.worth[who] = self.held[who] * price
            self.shares -= self.held[who]
            self.balance -= self.worth[who]


class World:
    """A pool that serves in every epoch."""

    def __init__(self) -> None:
        self.epoch, self.selected = 0, False
        self.pool = new_pool(self.context)
        self.twin = Twin()
        self.stakes: dict[int, StakedWal] = {}
        self.paid: dict[int, int] = {}
        self.rewards = 0

    @property
    def context(self) -> WalrusContext:
        return WalrusContext(self.epoch, self.selected)

    def stake(self, amount: int) -> None:
        who = len(self.twin.principal)
        staked = staking_pool.stake(self.pool, amount, self.context)
        self.stakes[who], self.twin.principal[who] = staked, amount
        self.twin.joining.setdefault(staked.activation_epoch, []).append(who)

    def request(self, who: int) -> None:
        staked = self.stakes[who]
        if isinstance(staked.state, Withdrawing):
            return
        if staked.can_withdraw_early(self.context, node_in_next_committee=self.selected):
            self.paid[who] = self.withdraw(who)
            self.twin.joining[staked.activation_epoch].remove(who)
            self.twin.worth[who] = Fraction(self.twin.principal[who])
            return
        staking_pool.request_withdraw_stake(self.pool, staked, True, self.selected, self.context)
        self.twin.leaving.setdefault(staked.state.withdraw_epoch, []).append(who)  # type: ignore[union-attr]

    def withdraw(self, who: int) -> int:
        amount: int = staking_pool.withdraw_stake(
            self.pool, self.stakes.pop(who), True, self.selected, self.context
        ).value
        return amount

    def next(self, percent: int) -> None:
        rewards = self.pool.wal_balance * percent // 100
        self.epoch, self.selected = self.epoch + 1, False
        staking_pool.advance_epoch(self.pool, rewards, self.context)
        self.twin.advance(self.epoch, rewards)
        self.rewards += rewards

    def fetch(self) -> None:
        for who, staked in list(self.stakes.items()):
            if isinstance(staked.state, Withdrawing) and staked.state.withdraw_epoch <= self.epoch:
                self.paid[who] = self.withdraw(who)


STEP = st.one_of(
    st.tuples(st.just("stake"), st.integers(WAL, 10**6 * WAL)),
    st.tuples(st.just("request"), st.integers(0, 30)),
    st.tuples(st.just("next"), st.integers(0, 40)),
    st.tuples(st.sampled_from(["select", "fetch"]), st.just(0)),
)


@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEP, min_size=3, max_size=30))
def test_everybody_gets_what_exact_shares_give(steps: list[tuple[str, int]]) -> None:
    world = World()
    for action, number in steps:
        match action:
            case "stake":
                world.stake(number)
            case "request" if number in world.stakes:
                world.request(number)
            case "select":
                world.selected = True
            case "fetch":
                world.fetch()
            case "next":
                world.next(number)
    world.next(0)  # whoever came late becomes active, so that all may leave
    world.next(0)
    for who in list(world.stakes):
        world.request(who)
    world.next(0)
    world.fetch()
    assert world.stakes == {}
    pool, twin = world.pool, world.twin
    assert twin.balance == twin.shares == 0
    # Each conversion loses less than one share, and no share is ever worth more than 1.4 ** 30 FROST.
    price = Fraction(14, 10) ** sum(action == "next" for action, _ in steps)
    for who, amount in world.paid.items():
        assert abs(amount - twin.worth[who]) <= 4 * (len(steps) + 4) * price
    left = sum(twin.principal.values()) + world.rewards - sum(world.paid.values())
    assert left == pool.rewards_pool.value >= 0
    assert pool.wal_balance <= 2 * (len(steps) + 4) * price


def test_who_joins_a_pool_out_of_its_seat_has_shares_by_an_older_rate() -> None:
    """Rounding may then let all leave with one FROST more than there is, which stops the pool; so does the contract.

    The law above is about a pool that serves in every epoch for this reason.
    """
    pool = new_pool(WalrusContext(0, False))
    stakes = [staking_pool.stake(pool, WAL, WalrusContext(0, False)) for _ in range(2)]
    staking_pool.advance_epoch(pool, 0, WalrusContext(1, False))
    stakes.append(staking_pool.stake(pool, WAL, WalrusContext(1, False)))
    stakes.append(staking_pool.stake(pool, 1_113_225_098, WalrusContext(1, True)))
    staking_pool.advance_epoch(pool, pool.wal_balance // 100, WalrusContext(2, False))
    staking_pool.advance_epoch(pool, 0, WalrusContext(4, False))  # in epoch 3 the node had no seat
    for staked in stakes:
        staking_pool.request_withdraw_stake(pool, staked, True, False, WalrusContext(4, False))
    shares = pool.pending_shares_withdraw.value_at(5)
    leaving = shares * pool.wal_balance // pool.num_shares
    assert leaving == pool.wal_balance + 1
    with pytest.raises(MoveAbort) as caught:
        staking_pool.advance_epoch(pool, 0, WalrusContext(5, False))
    assert (caught.value.module, caught.value.code) == ("staking_pool", 1)
