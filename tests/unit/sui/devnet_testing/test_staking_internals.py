"""The staking modules by the contract's own names and orders of arguments."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_sui import bls, messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.testing import bls_secret
from walrus_sui.devnet.testing.internals import (
    active_set,
    auth,
    committee,
    new_pool,
    pending_values,
    rt,
    staked_wal,
    staking_inner,
    staking_pool,
    storage_node,
    wctx,
)

WAL = 10**9


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def test_active_set() -> None:
    made = active_set.new(2, 0)
    assert active_set.insert_or_update(made, "0x1", 10)
    assert active_set.cur_min_stake(made) == 0
    assert active_set.insert_or_update(made, "0x2", 7)
    assert active_set.cur_min_stake(made) == 7
    assert active_set.insert_or_update(made, "0x3", 8)
    assert (active_set.size(made), active_set.active_ids(made)) == (2, ["0x1", "0x3"])
    assert [active_set.stake_for_node(made, node) for node in ("0x1", "0x2", "0x3")] == [10, 0, 8]
    active_set.set_max_size(made, 3)
    assert active_set.insert_or_update(made, "0x2", 1)
    assert (active_set.max_size(made), active_set.total_stake(made)) == (3, 19)


def test_pending_values_and_committees() -> None:
    pending = pending_values.empty()
    assert pending_values.is_empty(pending)
    pending_values.insert_or_add(pending, 1, 5)
    assert pending_values.inner(pending) == pending_values.unwrap(pending) == {1: 5}
    assert not pending_values.is_empty(pending)
    assert committee.is_sorted(committee.initialize({"0xb": 1, "0xa": 2}))


def test_stakes() -> None:
    stake = staked_wal.mint("0x1", 5 * WAL, 2)
    assert staked_wal.can_withdraw_early(stake, True, wctx(0))
    assert not staked_wal.can_withdraw_early(stake, True, 1)
    assert staked_wal.can_withdraw_early(stake, False, 1)
    assert not staked_wal.can_withdraw_early(stake, False, 2)
    part = staked_wal.split(stake, 2 * WAL)
    staked_wal.set_withdrawing(part, 4)
    assert staked_wal.withdraw_epoch(part) == 4
    assert not staked_wal.can_withdraw_early(part, False, 1)
    assert staked_wal.into_balance(part).value == 2 * WAL


def test_a_pool_from_its_first_stake_to_its_end() -> None:
    pool = new_pool(wctx(0), commission_rate=1_000)
    stake = staking_pool.stake(pool, 1_000 * WAL, wctx(0))
    assert not staking_pool.is_empty(pool)
    staking_pool.advance_epoch(pool, 0, wctx(1))
    staking_pool.advance_epoch(pool, 100 * WAL, wctx(2))
    staking_pool.request_withdraw_stake(pool, stake, True, False, wctx(2))
    staking_pool.advance_epoch(pool, 0, wctx(3))
    assert staking_pool.withdraw_stake(pool, stake, True, False, wctx(3)).value == 1_090 * WAL
    assert (staking_pool.commission_amount(pool), staking_pool.blocked_commission_amount(pool)) == (10 * WAL, 10 * WAL)
    assert abort_of(lambda: staking_pool.destroy_empty(pool)) == ("staking_pool", 3)
    assert staking_pool.extract_commission_to_burn(pool).value == 10 * WAL
    assert staking_pool.get_blocked_commission_amount(pool) == 0
    staking_pool.increase_blocked_commission(pool, 7)
    assert staking_pool.blocked_commission_amount(pool) == 7
    staking_pool.set_withdrawing(pool, wctx(3))
    assert (staking_pool.is_withdrawing(pool), staking_pool.is_active(pool)) == (True, False)
    assert abort_of(lambda: staking_pool.set_withdrawing(pool, wctx(3))) == ("staking_pool", 5)
    assert abort_of(lambda: staking_pool.stake(pool, WAL, wctx(3))) == ("staking_pool", 6)
    assert staking_pool.is_empty(pool)
    staking_pool.destroy_empty(pool)


def test_settings_of_a_pool() -> None:
    pool = new_pool(wctx(0))
    staking_pool.set_next_storage_price(pool, 3)
    staking_pool.set_next_write_price(pool, 4)
    staking_pool.set_next_node_capacity(pool, 5)
    votes = staking_pool.storage_price(pool), staking_pool.write_price(pool), staking_pool.node_capacity(pool)
    assert votes == (3, 4, 5)
    staking_pool.set_network_public_key(pool, bytes(33))
    assert abort_of(lambda: staking_pool.set_network_public_key(pool, bytes(32))) == ("storage_node", 0)
    staking_pool.set_node_metadata(pool, NodeMetadata("i", "", "", {}))
    assert storage_node.metadata(staking_pool.node_info(pool)).image_url == "i"
    assert storage_node.next_epoch_public_key(staking_pool.node_info(pool)) == staking_pool.node_info(pool).public_key


def test_the_staking_state_through_an_epoch() -> None:
    clock = Clock("0x6", 1_000)  # type: ignore[arg-type]
    state = staking_inner.new(0, 10, 100, clock)
    secret = bls_secret("n0")
    key = bls.public_key(secret)
    proof = bls.sign(secret, messages.proof_of_possession(rt.sender, key, 0))  # type: ignore[arg-type]
    empty = NodeMetadata("", "", "", {})
    first = staking_inner.create_pool(state, "n0", "n0:1", empty, key, bytes(33), proof, 500, 1, 1, 10**9)
    second = staking_inner.create_pool(state, new_pool(wctx(0), name="n1"))
    cap, sender = storage_node.new_cap(first), auth.authenticate_sender()
    stake = staking_inner.stake_with_pool(state, 100 * WAL, first)
    staking_inner.stake_with_pool(state, 100 * WAL, second)
    assert (staking_inner.has_pool(state, first), staking_inner.has_pool(state, cap.id)) == (True, False)
    assert active_set.size(staking_inner.active_set(state)) == 2
    staking_inner.voting_end(state, clock)
    assert staking_inner.new_walrus_context(state).committee_selected
    staking_inner.next_bls_committee(state)
    staking_inner.initiate_epoch_change(state, clock, {})
    assert not staking_inner.is_epoch_sync_done(state)
    staking_inner.epoch_sync_done(state, cap, 1, clock)
    assert abort_of(lambda: staking_inner.epoch_sync_done(state, cap, 1, clock)) == ("staking_inner", 2)
    assert storage_node.last_epoch_sync_done(cap) == 1
    assert staking_inner.get_current_node_weight(state, first) == 50

    staking_inner.set_storage_price_vote(state, cap, 9)
    staking_inner.set_write_price_vote(state, cap, 8)
    staking_inner.set_node_capacity_vote(state, cap, 7)
    pool = staking_inner.borrow(state, first)
    assert staking_inner.recalculate_prices(state) == (9, 8)
    assert pool.voting_params.node_capacity == 7
    staking_inner.set_next_commission(state, cap, 600)
    assert pool.pending_commission_rate.pos0 == {3: 600}
    staking_inner.set_name(state, cap, "renamed")
    staking_inner.set_network_address(state, cap, "other:1")
    staking_inner.set_node_metadata(state, cap, NodeMetadata("", "p", "", {}))
    assert (pool.node_info.name, pool.node_info.network_address) == ("renamed", "other:1")
    assert staking_inner.node_metadata(state, first).project_url == "p"
    fresh = bls.sign(secret, messages.proof_of_possession(rt.sender, key, 1))  # type: ignore[arg-type]
    staking_inner.set_next_public_key(state, cap, key, fresh)
    assert pool.node_info.next_epoch_public_key is not None
    staking_inner.try_join_active_set(state, cap)

    staking_inner.add_commission_to_pools(state, [first, second], [Balance(5), Balance(6)])
    assert staking_inner.pool_commission(state, first) == 5
    assert staking_inner.collect_commission(state, first, sender).value == 0
    state.previous_committee = state.committee
    staking_inner.clear_previous_committee_blocked_commission(state)
    assert staking_inner.collect_commission(state, first, sender).value == 5
    assert staking_inner.extract_commission_to_burn(state, second).value == 6
    staking_inner.set_commission_receiver(state, first, sender, auth.authorized_object(cap.id))
    assert abort_of(lambda: staking_inner.collect_commission(state, first, sender)) == ("staking_pool", 15)
    staking_inner.set_governance_authorized(state, first, sender, auth.authorized_object(cap.id))
    assert not staking_inner.check_governance_authorization(state, first, sender)
    staking_inner.request_withdraw_stake(state, stake)
    assert staked_wal.withdraw_epoch(stake) == 2
    assert abort_of(lambda: staking_inner.destroy_empty_pool(state, second)) == ("staking_pool", 3)
    storage_node.set_deny_list_properties(cap, 1, 2, 3)
    assert (storage_node.deny_list_root(cap), storage_node.deny_list_sequence(cap)) == (1, 2)
    storage_node.set_last_epoch_sync_done(cap, 5)
    assert storage_node.last_epoch_sync_done(cap) == 5
