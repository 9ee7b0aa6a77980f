"""One pool by itself, led through epochs by hand: what its stakers get back, to the last FROST."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec.types import Epoch
from walrus_sui import bls, messages
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.walrus import pool_withdrawals, staking_pool
from walrus_sui.devnet.move.walrus.exchange_rate import Flat, Variable
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal, Withdrawing
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext
from walrus_sui.devnet.testing import Chain, bls_secret

WAL = 10**9


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


class Lone:
    """A pool and the epoch around it; `current` and `following` say in which committees its node is."""

    def __init__(self, chain: Chain, *, commission_rate: int = 0) -> None:
        self.rt = Runtime(
            sender=chain.account("alice").address,
            digest=bytes(32),
            rules=chain.ledger._rules,
            load=lambda _: None,
            resolve=registry.resolve,
        )
        self.epoch, self.selected = 0, False
        self.current, self.following = False, False
        secret = bls_secret("lone")
        key = bls.public_key(secret)
        proof = bls.sign(secret, messages.proof_of_possession(self.rt.sender, key, Epoch(0)))
        self.pool = staking_pool.new(
            self.rt,
            self.wctx,
            name="lone",
            network_address="lone.example:9185",
            metadata=NodeMetadata("", "", "", {}),
            public_key=key,
            network_public_key=bytes(33),
            proof_of_possession=proof,
            commission_rate=commission_rate,
            storage_price=1,
            write_price=1,
            node_capacity=1,
        )

    @property
    def wctx(self) -> WalrusContext:
        return WalrusContext(self.epoch, self.selected)

    def next(self, rewards: int = 0, *, advances: bool = True, following: bool = False) -> None:
        """Goes to the next epoch; the pool advances when its node is in the committee."""
        self.epoch, self.selected = self.epoch + 1, False
        self.current, self.following = advances, following
        if advances:
            self.pool.advance_epoch(self.rt, Balance(rewards), self.wctx)

    def select(self, *, following: bool = True) -> None:
        """Ends the voting."""
        self.selected, self.following = True, following

    def stake(self, amount: int) -> StakedWal:
        return self.pool.stake(self.rt, Balance(amount), self.wctx)

    def request(self, stake: StakedWal) -> int:
        pool_withdrawals.request_withdraw_stake(
            self.rt, self.pool, stake, self.wctx, in_current_committee=self.current, in_next_committee=self.following
        )
        assert isinstance(stake.state, Withdrawing)
        return stake.state.withdraw_epoch

    def withdraw(self, stake: StakedWal) -> int:
        return pool_withdrawals.withdraw_stake(
            self.rt, self.pool, stake, self.wctx, in_current_committee=self.current, in_next_committee=self.following
        ).value

    def balance_at(self, *epochs: int) -> list[int]:
        return [self.pool.wal_balance_at_epoch(self.rt, epoch) // WAL for epoch in epochs]


@pytest.fixture
def lone(chain: Chain) -> Lone:
    return Lone(chain)


# When a stake may leave: each row of the life cycle


def test_before_the_selection_new_stake_leaves_at_once(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    assert abort_of(lambda: lone.request(stake)) == ("staking_pool", 13)
    assert lone.withdraw(stake) == 5 * WAL
    assert lone.pool.pending_stake.pos0 == {1: 0}


def test_stake_from_after_the_selection_leaves_at_once_until_it_is_selected_itself(lone: Lone) -> None:
    lone.next()
    lone.select()
    first, second = lone.stake(5 * WAL), lone.stake(7 * WAL)
    assert (first.activation_epoch, second.activation_epoch) == (3, 3)
    assert abort_of(lambda: lone.request(first)) == ("staking_pool", 13)
    assert lone.withdraw(first) == 5 * WAL
    lone.next()  # activation is now one epoch away, and not selected yet
    assert abort_of(lambda: lone.request(second)) == ("staking_pool", 13)
    lone.select()
    assert abort_of(lambda: lone.withdraw(second)) == ("staking_pool", 10)
    assert lone.request(second) == 4


def test_selected_stake_of_a_node_that_was_not_selected_leaves_at_once(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    lone.select(following=False)
    assert abort_of(lambda: lone.request(stake)) == ("staking_pool", 13)
    assert lone.withdraw(stake) == 5 * WAL


def test_selected_stake_stays_for_exactly_one_epoch_and_earns_in_it(lone: Lone) -> None:
    early, other = lone.stake(1_000 * WAL), lone.stake(1_000 * WAL)
    lone.select()
    assert lone.request(early) == 2
    assert lone.pool.pre_active_withdrawals.pos0 == {2: 1_000 * WAL}
    assert lone.balance_at(1, 2) == [2_000, 1_000]
    lone.next()
    assert abort_of(lambda: lone.withdraw(early)) == ("staking_pool", 11)
    lone.next(500 * WAL)
    assert lone.pool.pre_active_withdrawals.pos0 == {}
    assert lone.withdraw(early) == 1_250 * WAL
    lone.next(100 * WAL)
    assert lone.request(other) == 4
    lone.next()
    assert lone.withdraw(other) == 1_350 * WAL


def test_active_stake_of_a_node_in_the_current_committee_leaves_in_the_next_epoch(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    lone.next()
    assert lone.request(stake) == 2
    assert abort_of(lambda: lone.request(stake)) == ("staking_pool", 8)
    assert abort_of(lambda: lone.withdraw(stake)) == ("staking_pool", 11)
    lone.next()
    assert lone.withdraw(stake) == 5 * WAL


def test_active_stake_of_a_node_in_the_next_committee_leaves_the_epoch_after(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    lone.next()
    lone.select()
    assert lone.request(stake) == 3
    lone.next()
    assert abort_of(lambda: lone.withdraw(stake)) == ("staking_pool", 11)
    lone.next()
    assert lone.withdraw(stake) == 5 * WAL


def test_active_stake_of_a_node_that_is_voted_out_leaves_in_the_next_epoch(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    lone.next()
    lone.select(following=False)
    assert lone.request(stake) == 2


def test_active_stake_must_be_announced_while_the_node_serves(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    lone.next()
    assert abort_of(lambda: lone.withdraw(stake)) == ("staking_pool", 10)
    lone.next(advances=False, following=True)
    assert abort_of(lambda: lone.withdraw(stake)) == ("staking_pool", 10)


def test_stake_with_a_node_in_no_committee_leaves_at_once_with_its_rewards(lone: Lone) -> None:
    stake, late = lone.stake(1_000 * WAL), lone.stake(1_000 * WAL)
    lone.next()
    lone.next(300 * WAL)
    lone.next(advances=False)
    assert abort_of(lambda: lone.request(stake)) == ("staking_pool", 13)
    assert lone.withdraw(stake) == 1_150 * WAL
    assert lone.balance_at(3, 4) == [1_150, 1_150]
    lone.next(advances=False)
    assert lone.withdraw(late) == 1_150 * WAL
    assert lone.pool.rewards_pool.value == 0
    lone.next()
    assert (lone.pool.wal_balance, lone.pool.num_shares) == (0, 0)


def test_pending_stake_of_a_node_in_no_committee_leaves_without_rewards(lone: Lone) -> None:
    lone.next()
    lone.select(following=False)
    stake = lone.stake(5 * WAL)
    lone.next(advances=False)
    lone.next(advances=False)  # active by its epoch, though the pool never took it in
    assert lone.withdraw(stake) == 5 * WAL
    assert lone.pool.pending_shares_withdraw.pos0 == {3: 5 * WAL}
    assert lone.balance_at(3, 4) == [0, 0]


def test_announced_stake_can_be_fetched_from_a_node_that_has_left(lone: Lone) -> None:
    stake = lone.stake(1_000 * WAL)
    lone.next()
    lone.next(100 * WAL)
    lone.select(following=False)
    assert lone.request(stake) == 3
    lone.next(advances=False)
    # The pool did not advance to epoch 3: the rate of epoch 2 still holds.
    assert lone.withdraw(stake) == 1_100 * WAL


def test_stake_must_be_of_this_pool(lone: Lone) -> None:
    stake = lone.stake(5 * WAL)
    lone.next()
    stake.node_id = lone.rt.new_uid()
    assert abort_of(lambda: lone.request(stake)) == ("staking_pool", 9)
    assert abort_of(lambda: lone.withdraw(stake)) == ("staking_pool", 9)


def test_stake_that_is_worth_no_share_cannot_be_announced(lone: Lone) -> None:
    lone.stake(WAL)
    lone.next()
    lone.next(2_000_000_000 * WAL)
    late = lone.stake(WAL)
    lone.next()
    assert lone.pool.exchange_rate_at_epoch(lone.rt, 3).convert_to_share_amount(WAL) == 0
    assert abort_of(lambda: lone.request(late)) == ("staking_pool", 18)


# What it gets


def test_shares_keep_what_each_has_earned(lone: Lone) -> None:
    alice = lone.stake(1_000 * WAL)
    lone.next()
    bob = lone.stake(2_000 * WAL)
    lone.next(1_000 * WAL)  # all for alice: 2,000 for her 1,000 shares; bob joins with 1,000 shares
    assert (lone.pool.wal_balance, lone.pool.num_shares) == (4_000 * WAL, 2_000 * WAL)
    lone.request(alice)
    lone.next(1_000 * WAL)
    lone.request(bob)
    assert lone.withdraw(alice) == 2_500 * WAL
    lone.next()
    assert lone.withdraw(bob) == 2_500 * WAL
    assert (lone.pool.wal_balance, lone.pool.num_shares, lone.pool.rewards_pool.value) == (0, 0, 0)


def test_rounding_leaves_dust_in_the_pool(lone: Lone) -> None:
    first, second = lone.stake(100 * WAL), lone.stake(100 * WAL)
    lone.next()
    lone.next(201)
    lone.request(first)
    lone.request(second)
    lone.next()
    assert [lone.withdraw(first), lone.withdraw(second)] == [100 * WAL + 100] * 2
    assert (lone.pool.wal_balance, lone.pool.num_shares, lone.pool.rewards_pool.value) == (0, 0, 1)


def test_payout_is_capped_by_what_the_pool_has(lone: Lone) -> None:
    stake = lone.stake(1_000 * WAL)
    lone.next()
    lone.next(500 * WAL)
    lone.request(stake)
    lone.next()
    lone.pool.rewards_pool.split(1)
    assert lone.pool.calculate_rewards(lone.rt, 1_000 * WAL, 1, 3) == 500 * WAL
    assert lone.withdraw(stake) == 1_500 * WAL - 1
    assert lone.pool.rewards_pool.value == 0


def test_what_rounding_took_is_never_taken_from_the_principal(lone: Lone) -> None:
    lone.stake(3 * WAL)
    lone.next()
    lone.next(7)
    late = lone.stake(WAL + 1)
    lone.next()
    rate = lone.pool.exchange_rate_at_epoch(lone.rt, 3)
    assert rate.convert_to_wal_amount(rate.convert_to_share_amount(WAL + 1)) < WAL + 1
    assert lone.pool.calculate_rewards(lone.rt, WAL + 1, 3, 3) == 0
    lone.request(late)
    lone.next()
    assert lone.withdraw(late) == WAL + 1


def test_projections_see_all_that_is_pending(lone: Lone) -> None:
    first = lone.stake(1_000 * WAL)
    lone.select()
    lone.stake(1_000 * WAL)
    assert lone.balance_at(0, 1, 2) == [0, 1_000, 2_000]
    lone.next()
    lone.stake(2_000 * WAL)
    assert lone.balance_at(1, 2, 3) == [1_000, 4_000, 4_000]
    lone.select()
    last = lone.stake(2_000 * WAL)
    assert lone.balance_at(1, 2, 3) == [1_000, 4_000, 6_000]
    lone.next(1_000 * WAL)
    assert lone.balance_at(2, 3, 4) == [5_000, 7_000, 7_000]
    assert lone.request(first) == 3  # 2,000 by now
    assert lone.balance_at(2, 3, 4) == [5_000, 5_000, 5_000]
    lone.next()
    lone.select()
    assert lone.request(last) == 5
    assert lone.balance_at(3, 4, 5) == [5_000, 5_000, 3_000]


def test_a_pool_outside_the_committee_stands_still(lone: Lone) -> None:
    lone.stake(1_000 * WAL)
    lone.next()
    lone.next(1_000 * WAL)
    rate = lone.pool.exchange_rate_at_epoch(lone.rt, 2)
    assert rate == Variable(2_000 * WAL, 1_000 * WAL)
    for _ in range(3):
        lone.next(advances=False)
        lone.stake(1_000 * WAL)
    assert lone.pool.pending_stake.pos0 == dict.fromkeys((4, 5, 6), 1000 * WAL)
    assert lone.pool.exchange_rate_at_epoch(lone.rt, 5) == rate
    assert (lone.pool.wal_balance, lone.pool.latest_epoch) == (2_000 * WAL, 2)
    assert lone.balance_at(5, 6) == [4_000, 5_000]
    lone.next()
    assert (lone.pool.wal_balance, lone.pool.num_shares) == (5_000 * WAL, 2_500 * WAL)


def test_rates_before_the_activation_are_flat(lone: Lone) -> None:
    lone.pool.activation_epoch = 1
    assert lone.pool.exchange_rate_at_epoch(lone.rt, 0) == Flat()


def test_a_pool_advances_once_per_epoch_and_earns_nothing_without_stake(lone: Lone) -> None:
    lone.next()
    assert abort_of(lambda: lone.pool.advance_epoch(lone.rt, Balance(0), lone.wctx)) == ("staking_pool", 0)
    lone.epoch += 1
    assert abort_of(lambda: lone.pool.advance_epoch(lone.rt, Balance(1), lone.wctx)) == ("staking_pool", 2)


def test_the_far_future_has_the_latest_rate(lone: Lone) -> None:
    lone.stake(1_000 * WAL)
    lone.next()
    lone.next(1_000 * WAL)
    assert lone.pool.exchange_rate_at_epoch(lone.rt, 2**32 - 1) == Variable(2_000 * WAL, 1_000 * WAL)
    assert lone.pool.calculate_rewards(lone.rt, WAL, 1, 2**32 - 1) == WAL


# Commission


def test_commission_comes_off_rounded_down(chain: Chain) -> None:
    lone = Lone(chain, commission_rate=1_000)
    stake = lone.stake(100 * WAL)
    lone.next()
    lone.next(202)
    assert (lone.pool.commission.value, lone.pool.rewards_pool.value) == (20, 182)
    lone.request(stake)
    lone.next()
    assert lone.withdraw(stake) == 100 * WAL + 182


def test_a_rate_that_came_due_while_the_node_was_away_still_counts(lone: Lone) -> None:
    lone.stake(WAL)
    lone.next()
    lone.pool.set_next_commission(1_000, lone.wctx)  # for epoch 3
    lone.next(advances=False)
    lone.pool.set_next_commission(2_000, lone.wctx)  # for epoch 4
    lone.next(advances=False)
    lone.pool.set_next_commission(3_000, lone.wctx)  # for epoch 5
    lone.next()
    assert lone.pool.commission_rate == 2_000
    assert lone.pool.pending_commission_rate.pos0 == {5: 3_000}
