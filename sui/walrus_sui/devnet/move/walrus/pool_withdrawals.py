"""How stake leaves a pool (contract module staking_pool).

What counts for no committee yet leaves at once, without rewards. What counts is announced first: its shares leave when
the pool advances to the withdraw epoch, and from then on principal and rewards can be fetched. Stake with a node that is
in no committee leaves at once with what it earned, because its pool does not advance.
"""

from walrus_sui.devnet.move.core.aborts import abort, as_u32, require
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.walrus.staked_wal import Staked, StakedWal, Withdrawing
from walrus_sui.devnet.move.walrus.staking_pool import (
    E_ACTIVATION_EPOCH_NOT_REACHED,
    E_INCORRECT_POOL_ID,
    E_NOT_STAKED,
    E_NOT_WITHDRAWING,
    E_WITHDRAW_DIRECTLY,
    E_WITHDRAW_EPOCH_NOT_REACHED,
    E_ZERO_SHARES,
    E_ZERO_STAKE,
    StakingPool,
)
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext


def request_withdraw_stake(
    rt: Runtime,
    pool: StakingPool,
    staked: StakedWal,
    wctx: WalrusContext,
    *,
    in_current_committee: bool,
    in_next_committee: bool,
) -> None:
    """Announces that a stake leaves, and fixes from which epoch on it can be fetched."""
    require(staked.principal.value > 0, E_ZERO_STAKE)
    require(staked.node_id == pool.id, E_INCORRECT_POOL_ID)
    require(isinstance(staked.state, Staked), E_NOT_STAKED)
    require(not staked.can_withdraw_early(wctx, node_in_next_committee=in_next_committee), E_WITHDRAW_DIRECTLY)
    if staked.activation_epoch == wctx.epoch + 1:  # counted in the selection already: it stays for that one epoch
        withdraw_epoch = as_u32(staked.activation_epoch + 1)
        pool.pre_active_withdrawals.insert_or_add(withdraw_epoch, staked.principal.value)
        staked.set_withdrawing(withdraw_epoch)
        return
    require(staked.activation_epoch <= wctx.epoch, E_ACTIVATION_EPOCH_NOT_REACHED)
    if in_next_committee:
        withdraw_epoch = as_u32(wctx.epoch + 2)
    elif in_current_committee:
        withdraw_epoch = as_u32(wctx.epoch + 1)
    else:
        raise abort(E_WITHDRAW_DIRECTLY)
    shares = _shares(rt, pool, staked)
    require(shares != 0, E_ZERO_SHARES)
    pool.pending_shares_withdraw.insert_or_add(withdraw_epoch, shares)
    staked.set_withdrawing(withdraw_epoch)


def withdraw_stake(
    rt: Runtime,
    pool: StakingPool,
    staked: StakedWal,
    wctx: WalrusContext,
    *,
    in_current_committee: bool,
    in_next_committee: bool,
) -> Balance:
    """Ends a stake and pays out its principal and rewards, the latter at most as much as the pool has."""
    require(staked.principal.value > 0, E_ZERO_STAKE)
    require(staked.node_id == pool.id, E_INCORRECT_POOL_ID)
    principal, activation_epoch = staked.principal.value, staked.activation_epoch
    if staked.can_withdraw_early(wctx, node_in_next_committee=in_next_committee):
        pool.pending_stake.reduce(activation_epoch, principal)
        return staked.into_balance(rt)
    if isinstance(staked.state, Staked) and not in_current_committee and not in_next_committee:
        rewards = _leave_inactive_node(rt, pool, staked, wctx)
    else:
        if not isinstance(staked.state, Withdrawing):
            raise abort(E_NOT_WITHDRAWING)
        withdraw_epoch = staked.state.withdraw_epoch
        require(withdraw_epoch <= wctx.epoch, E_WITHDRAW_EPOCH_NOT_REACHED)
        require(activation_epoch <= wctx.epoch, E_ACTIVATION_EPOCH_NOT_REACHED)
        rewards = pool.calculate_rewards(rt, principal, activation_epoch, withdraw_epoch)
    # Each pool rounds for itself, so the last one to leave may find a little less than is due.
    payout = pool.rewards_pool.split(min(rewards, pool.rewards_pool.value))
    payout.join(staked.into_balance(rt))
    return payout


def _leave_inactive_node(rt: Runtime, pool: StakingPool, staked: StakedWal, wctx: WalrusContext) -> int:
    principal, activation_epoch = staked.principal.value, staked.activation_epoch
    if activation_epoch > wctx.epoch:
        pool.pending_stake.reduce(activation_epoch, principal)
        return 0
    pool.pending_shares_withdraw.insert_or_add(wctx.epoch, _shares(rt, pool, staked))
    return pool.calculate_rewards(rt, principal, activation_epoch, wctx.epoch)


def _shares(rt: Runtime, pool: StakingPool, staked: StakedWal) -> int:
    rate = pool.exchange_rate_at_epoch(rt, staked.activation_epoch)
    return rate.convert_to_share_amount(staked.principal.value)
