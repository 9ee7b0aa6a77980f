"""The contract's internals as plain functions."""

import pytest

from walrus_sui.devnet.testing import MoveAbort, internals
from walrus_sui.devnet.testing.internals import (
    active_set,
    committee,
    pending_values,
    pool_exchange_rate,
    staked_wal,
    staking_inner,
    staking_pool,
    storage_accounting,
    wctx,
)

WAL = 10**9


def test_functions_have_the_contracts_names() -> None:
    assert staking_inner.dhondt(10, [5, 3, 1]) == staking_inner.pub_dhondt(10, [5, 3, 1]) == [6, 3, 1]
    assert staking_inner.max_shards_per_node(20, 1000) == 100
    assert committee.size(committee.initialize({"0x1": 2})) == 1
    assert pool_exchange_rate.convert_to_wal_amount(pool_exchange_rate.new(10, 5), 7) == 14
    assert pool_exchange_rate.convert_to_share_amount(pool_exchange_rate.flat(), 7) == 7
    values = pending_values.empty()
    pending_values.insert_or_add(values, 2, 5)
    assert (pending_values.value_at(values, 1), pending_values.flush(values, 2)) == (0, 5)
    nodes = active_set.new(2, 0)
    assert active_set.insert_or_update(nodes, "0x1", 5)
    assert active_set.active_ids_and_stake(nodes) == (["0x1"], [5])
    with pytest.raises(LookupError, match="committee has no function nonsense"):
        committee.nonsense({})


def test_quorums_over_votes_by_value() -> None:
    votes = dict(zip(range(1, 11), (5, 5, 4, 6, 3, 7, 2, 8, 1, 9), strict=True))
    assert internals.quorum_above(votes, 50) == 4
    votes = dict(zip(range(1, 11), (5, 5, 4, 6, 3, 7, 4, 6, 1, 9), strict=True))
    assert internals.quorum_below(votes, 50) == 7


def test_an_argument_that_is_used_up_is_the_callers_still() -> None:
    first, wanted = {"0xa": [0, 1, 2]}, {"0xa": 1, "0xb": 2}
    assert committee.transition(first, wanted) == {"0xa": [0], "0xb": [1, 2]}
    assert (first, wanted) == ({"0xa": [0, 1, 2]}, {"0xa": 1, "0xb": 2})


def test_the_accounting_ring() -> None:
    ring = storage_accounting.ring_new(3)
    assert storage_accounting.max_epochs_ahead(ring) == 3
    assert [storage_accounting.epoch(storage_accounting.ring_lookup(ring, ahead)) for ahead in range(3)] == [0, 1, 2]
    storage_accounting.increase_used_capacity(storage_accounting.ring_lookup_mut(ring, 1), 9)
    storage_accounting.rewards_balance(storage_accounting.ring_lookup_mut(ring, 1)).value = 100
    assert storage_accounting.per_epoch_rewards(ring) == [0, 100, 0]
    assert storage_accounting.epoch(storage_accounting.ring_pop_expand(ring)) == 0
    assert storage_accounting.extract_burn_balance(ring).value == 3
    entry = storage_accounting.ring_pop_expand(ring)
    assert (storage_accounting.used_capacity(entry), storage_accounting.rewards(entry)) == (9, 97)
    with pytest.raises(MoveAbort) as refused:
        storage_accounting.ring_lookup(ring, 3)
    assert (refused.value.module, refused.value.code) == ("storage_accounting", 0)


def test_a_pool_advances_with_given_rewards() -> None:
    pool = internals.new_pool(wctx(1), commission_rate=1_000)
    stake = staking_pool.stake(pool, 1_000 * WAL, wctx(1))
    assert staked_wal.value(stake) == 1_000 * WAL
    staking_pool.advance_epoch(pool, 0, wctx(2))
    staking_pool.advance_epoch(pool, 500 * WAL, 3)
    assert staking_pool.commission_amount(pool) == staking_pool.blocked_commission_amount(pool) == 50 * WAL
    assert staking_pool.wal_balance_at_epoch(pool, 3) == staking_pool.wal_balance(pool) == 1_450 * WAL
    assert staking_pool.rewards_amount(pool) == 450 * WAL
    staking_pool.clear_blocked_commission(pool)
    assert staking_pool.blocked_commission_amount(pool) == 0
    assert staking_pool.is_active(pool)
    staking_pool.request_withdraw_stake(pool, stake, True, False, wctx(3))
    staking_pool.advance_epoch(pool, 0, wctx(4))
    assert staking_pool.withdraw_stake(pool, stake, True, False, wctx(4)).value == 1_450 * WAL
    with pytest.raises(MoveAbort) as refused:
        staking_pool.advance_epoch(pool, 0, wctx(4))
    assert (refused.value.module, refused.value.code) == ("staking_pool", 0)
