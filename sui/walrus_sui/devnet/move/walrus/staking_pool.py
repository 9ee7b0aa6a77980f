"""The pool of one node: its stake, rewards, votes and data (contract module staking_pool).

Stake becomes shares of the pool. Once per epoch in which the node is in the committee the pool advances: commission is
split off the rewards, the rest raises what a share is worth, then stake that is due joins and shares that are due leave.
A pool outside the committee stands still; its pending values pile up and count when it is projected to a later epoch.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_sui.devnet.move.core.aborts import as_u32, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import U32, U64, UID, u16, u32, u64
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.fields import Table, TableValue
from walrus_sui.devnet.move.walrus import auth, exchange_rate, staked_wal, storage_node
from walrus_sui.devnet.move.walrus.auth import Authenticated, Authorized, matches
from walrus_sui.devnet.move.walrus.exchange_rate import POOL_EXCHANGE_RATE, PoolExchangeRate
from walrus_sui.devnet.move.walrus.messages import new_proof_of_possession_msg
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.pending_values import PendingValues
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.storage_node import StorageNodeInfo
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext

MODULE = Module(WALRUS, "staking_pool")

MAX_NODE_NAME_LENGTH = 100
MAX_NETWORK_ADDRESS_LENGTH = 259
N_BASIS_POINTS = 10_000

E_POOL_ALREADY_UPDATED = MODULE.error(0, "EPoolAlreadyUpdated")
E_CALCULATION_ERROR = MODULE.error(1, "ECalculationError")
E_INCORRECT_EPOCH_ADVANCE = MODULE.error(2, "EIncorrectEpochAdvance")
E_POOL_NOT_EMPTY = MODULE.error(3, "EPoolNotEmpty")
E_INVALID_PROOF_OF_POSSESSION = MODULE.error(4, "EInvalidProofOfPossession")
E_POOL_ALREADY_WITHDRAWING = MODULE.error(5, "EPoolAlreadyWithdrawing")
E_POOL_IS_NOT_ACTIVE = MODULE.error(6, "EPoolIsNotActive")
E_ZERO_STAKE = MODULE.error(7, "EZeroStake")
E_NOT_STAKED = MODULE.error(8, "ENotStaked")
E_INCORRECT_POOL_ID = MODULE.error(9, "EIncorrectPoolId")
E_NOT_WITHDRAWING = MODULE.error(10, "ENotWithdrawing")
E_WITHDRAW_EPOCH_NOT_REACHED = MODULE.error(11, "EWithdrawEpochNotReached")
E_ACTIVATION_EPOCH_NOT_REACHED = MODULE.error(12, "EActivationEpochNotReached")
E_WITHDRAW_DIRECTLY = MODULE.error(13, "EWithdrawDirectly")
E_INCORRECT_COMMISSION_RATE = MODULE.error(14, "EIncorrectCommissionRate")
E_AUTHORIZATION_FAILURE = MODULE.error(15, "EAuthorizationFailure")
E_INVALID_NETWORK_ADDRESS_LENGTH = MODULE.error(16, "EInvalidNetworkAddressLength")
E_INVALID_NAME_LENGTH = MODULE.error(17, "EInvalidNameLength")
E_ZERO_SHARES = MODULE.error(18, "EZeroShares")


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class NewEpochCommissionBlockedForCollection:
    """Key of the blocked part of the commission in the pool's extra fields."""


@dataclass(frozen=True, slots=True)
class Active:
    """Takes stake."""


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """Ends in an epoch."""

    pos0: u32


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Empty and ended."""


POOL_STATE = MODULE.enum("PoolState", "copy, drop, store", Active, Withdrawing, Withdrawn)

RATES: Table[int, PoolExchangeRate] = Table(U32, POOL_EXCHANGE_RATE)
BLOCKED: Table[NewEpochCommissionBlockedForCollection, int] = Table(NewEpochCommissionBlockedForCollection, U64)
_BLOCKED_KEY = NewEpochCommissionBlockedForCollection()


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class VotingParams:
    """What the node votes for: prices in FROST per MiB, capacity in bytes."""

    storage_price: u64
    write_price: u64
    node_capacity: u64


@MODULE.struct("key, store")
@dataclass(slots=True)
class StakingPool:
    """A pool; its id is the id of the node.

    Attributes:
        wal_balance: FROST that the shares are worth: active stake and rewards.
        num_shares: shares in all.
        pending_shares_withdraw: shares that leave, by epoch.
        pre_active_withdrawals: principals that leave after one epoch, by epoch.
        pending_commission_rate: rates in basis points, by the epoch in which they start.
        exchange_rates: rate of each epoch in which the pool advanced.
        pending_stake: principals that join, by epoch.
        extra_fields: the blocked commission.
    """

    id: UID
    state: Annotated[Active | Withdrawing | Withdrawn, POOL_STATE]
    voting_params: VotingParams
    node_info: StorageNodeInfo
    activation_epoch: u32
    latest_epoch: u32
    wal_balance: u64
    num_shares: u64
    pending_shares_withdraw: PendingValues
    pre_active_withdrawals: PendingValues
    pending_commission_rate: PendingValues
    commission_rate: u16
    exchange_rates: TableValue
    pending_stake: PendingValues
    rewards_pool: Balance
    commission: Balance
    commission_receiver: Authorized
    governance_authorized: Authorized
    extra_fields: TableValue

    # Stake

    def stake(self, rt: Runtime, to_stake: Balance, wctx: WalrusContext) -> StakedWal:
        """Takes stake that becomes active in the next epoch, or in the one after it once the committee is selected."""
        require(isinstance(self.state, Active), E_POOL_IS_NOT_ACTIVE)
        require(to_stake.value > 0, E_ZERO_STAKE)
        amount = to_stake.value
        activation_epoch = as_u32(wctx.epoch + (2 if wctx.committee_selected else 1))
        staked = staked_wal.mint(rt, self.id, to_stake, activation_epoch)
        self.pending_stake.insert_or_add(activation_epoch, amount)
        return staked

    def calculate_rewards(self, rt: Runtime, staked_principal: int, activation_epoch: int, withdraw_epoch: int) -> int:
        """FROST that a principal earned between two epochs; what rounding took is not a loss of the staker."""
        shares = self.exchange_rate_at_epoch(rt, activation_epoch).convert_to_share_amount(staked_principal)
        amount = self.exchange_rate_at_epoch(rt, withdraw_epoch).convert_to_wal_amount(shares)
        return max(0, amount - staked_principal)

    def wal_balance_at_epoch(self, rt: Runtime, epoch: int) -> int:
        """Active stake that the pool will have in the current or a later epoch, as far as is known now."""
        rate = exchange_rate.new(self.wal_balance, self.num_shares)
        shares = self.pending_shares_withdraw.value_at(epoch) + self._pre_active_shares(rt, epoch)
        leaving = rate.convert_to_wal_amount(as_u64(shares))
        return as_u64(as_u64(self.wal_balance + self.pending_stake.value_at(epoch)) - leaving)

    def exchange_rate_at_epoch(self, rt: Runtime, epoch: int) -> PoolExchangeRate:
        """The rate of an epoch, or the latest one before it since the pool's activation; flat if there is none."""
        # No rate is newer than these two; who asks for the far future must not walk all the way back from there.
        epoch = min(epoch, max(self.latest_epoch, self.activation_epoch))
        while epoch >= self.activation_epoch:
            if RATES.contains(rt, self.exchange_rates, epoch):
                return RATES.borrow(rt, self.exchange_rates, epoch)
            epoch = as_u32(epoch - 1)
        return exchange_rate.FLAT

    def _pre_active_shares(self, rt: Runtime, epoch: int) -> int:
        shares = 0
        for withdraw_epoch, principal in self.pre_active_withdrawals.pos0.items():
            if withdraw_epoch <= epoch:  # such stake was active for exactly one epoch
                rate = self.exchange_rate_at_epoch(rt, withdraw_epoch - 1)
                shares = as_u64(shares + rate.convert_to_share_amount(principal))
        return shares

    # Epoch change

    def advance_epoch(self, rt: Runtime, rewards: Balance, wctx: WalrusContext) -> None:
        """Moves the pool to the new epoch with what it earned in the one that ends."""
        require(wctx.epoch > self.latest_epoch, E_POOL_ALREADY_UPDATED)
        require(rewards.value == 0 or self.wal_balance > 0, E_INCORRECT_EPOCH_ADVANCE)
        commission = rewards.split(rewards.value * self.commission_rate // N_BASIS_POINTS)
        self.add_commission(rt, commission, block=True)
        rate = self.pending_commission_rate.latest_value_at(wctx.epoch)
        if rate is not None:
            self.commission_rate = rate
        self.pending_commission_rate.flush(wctx.epoch)
        earned = rewards.value
        self.rewards_pool.join(rewards)
        self.wal_balance = as_u64(self.wal_balance + earned)
        self.latest_epoch = wctx.epoch
        self.node_info.rotate_public_key()
        self.process_pending_stake(rt, wctx)

    def process_pending_stake(self, rt: Runtime, wctx: WalrusContext) -> None:
        """Fixes the epoch's exchange rate, then lets stake that is due join and shares that are due leave."""
        rate = exchange_rate.new(self.wal_balance, self.num_shares)
        RATES.add(rt, self.exchange_rates, wctx.epoch, rate)
        self.wal_balance = as_u64(self.wal_balance + self.pending_stake.flush(wctx.epoch))
        early = self._pre_active_shares(rt, wctx.epoch)
        self.pre_active_withdrawals.flush(wctx.epoch)
        shares = as_u64(self.pending_shares_withdraw.flush(wctx.epoch) + early)
        leaving = rate.convert_to_wal_amount(shares)
        require(self.wal_balance >= leaving, E_CALCULATION_ERROR)
        self.wal_balance -= leaving
        self.num_shares = rate.convert_to_share_amount(self.wal_balance)

    # Commission

    def add_commission(self, rt: Runtime, commission: Balance, *, block: bool) -> int:
        """Adds to the commission; a blocked part can be collected only after the next end of voting."""
        amount = commission.value
        total = self.commission.join(commission)
        if block:
            self._increase_blocked_commission(rt, amount)
        return total

    def _increase_blocked_commission(self, rt: Runtime, amount: int) -> None:
        if BLOCKED.contains(rt, self.extra_fields, _BLOCKED_KEY):
            blocked = as_u64(BLOCKED.borrow(rt, self.extra_fields, _BLOCKED_KEY) + amount)
            BLOCKED.replace(rt, self.extra_fields, _BLOCKED_KEY, blocked)
        else:
            BLOCKED.add(rt, self.extra_fields, _BLOCKED_KEY, amount)

    def clear_blocked_commission(self, rt: Runtime) -> None:
        """Lets all commission be collected."""
        if BLOCKED.contains(rt, self.extra_fields, _BLOCKED_KEY):
            BLOCKED.remove(rt, self.extra_fields, _BLOCKED_KEY)

    def collect_commission(self, rt: Runtime, auth: Authenticated) -> Balance:
        """Takes out the commission that is not blocked."""
        require(matches(auth, self.commission_receiver), E_AUTHORIZATION_FAILURE)
        blocked = 0
        if BLOCKED.contains(rt, self.extra_fields, _BLOCKED_KEY):
            blocked = BLOCKED.borrow(rt, self.extra_fields, _BLOCKED_KEY)
        return self.commission.split(max(0, self.commission.value - blocked))

    def extract_commission_to_burn(self, rt: Runtime) -> Balance:
        """Takes out all commission, the blocked part too."""
        self.clear_blocked_commission(rt)
        return self.commission.withdraw_all()

    def set_commission_receiver(self, auth: Authenticated, receiver: Authorized) -> None:
        """Lets somebody else collect the commission."""
        require(matches(auth, self.commission_receiver), E_AUTHORIZATION_FAILURE)
        self.commission_receiver = receiver

    def set_governance_authorized(self, authenticated: Authenticated, authorized: Authorized) -> None:
        """Lets somebody else vote for the node."""
        require(matches(authenticated, self.governance_authorized), E_AUTHORIZATION_FAILURE)
        self.governance_authorized = authorized

    # The operator's settings

    def set_next_commission(self, commission_rate: int, wctx: WalrusContext) -> None:
        """Sets the rate in basis points that starts two epochs later."""
        require(commission_rate <= N_BASIS_POINTS, E_INCORRECT_COMMISSION_RATE)
        self.pending_commission_rate.insert_or_replace(as_u32(wctx.epoch + 2), commission_rate)

    def set_next_public_key(
        self, rt: Runtime, public_key: bytes, proof_of_possession: bytes, wctx: WalrusContext
    ) -> None:
        """Sets the BLS key that starts with the next epoch for which the node is selected."""
        require(_is_proved(rt, public_key, proof_of_possession, wctx), E_INVALID_PROOF_OF_POSSESSION)
        self.node_info.set_next_public_key(public_key)

    def set_name(self, name: str) -> None:
        """Sets the name; at most 100 bytes."""
        require(_length(name) <= MAX_NODE_NAME_LENGTH, E_INVALID_NAME_LENGTH)
        self.node_info.name = name

    def set_network_address(self, network_address: str) -> None:
        """Sets ``host:port``; at most 259 bytes."""
        require(_length(network_address) <= MAX_NETWORK_ADDRESS_LENGTH, E_INVALID_NETWORK_ADDRESS_LENGTH)
        self.node_info.network_address = network_address


def new(
    rt: Runtime,
    wctx: WalrusContext,
    *,
    name: str,
    network_address: str,
    metadata: NodeMetadata,
    public_key: bytes,
    network_public_key: bytes,
    proof_of_possession: bytes,
    commission_rate: int,
    storage_price: int,
    write_price: int,
    node_capacity: int,
) -> StakingPool:
    """The pool of a new node, active from this epoch, or from the next once the committee is selected."""
    uid = rt.new_uid()
    require(_is_proved(rt, public_key, proof_of_possession, wctx), E_INVALID_PROOF_OF_POSSESSION)
    require(_length(name) <= MAX_NODE_NAME_LENGTH, E_INVALID_NAME_LENGTH)
    require(_length(network_address) <= MAX_NETWORK_ADDRESS_LENGTH, E_INVALID_NETWORK_ADDRESS_LENGTH)
    require(commission_rate <= N_BASIS_POINTS, E_INCORRECT_COMMISSION_RATE)
    activation_epoch = as_u32(wctx.epoch + (1 if wctx.committee_selected else 0))
    rates = TableValue.new(rt)
    RATES.add(rt, rates, activation_epoch, exchange_rate.FLAT)
    node_info = storage_node.new(
        rt,
        name=name,
        node_id=uid,
        network_address=network_address,
        public_key=public_key,
        network_public_key=network_public_key,
        metadata=metadata,
    )
    return StakingPool(
        id=uid,
        state=Active(),
        voting_params=VotingParams(storage_price, write_price, node_capacity),
        node_info=node_info,
        activation_epoch=activation_epoch,
        latest_epoch=wctx.epoch,
        wal_balance=0,
        num_shares=0,
        pending_shares_withdraw=PendingValues.empty(),
        pre_active_withdrawals=PendingValues.empty(),
        pending_commission_rate=PendingValues.empty(),
        commission_rate=commission_rate,
        exchange_rates=rates,
        pending_stake=PendingValues.empty(),
        rewards_pool=Balance.zero(),
        commission=Balance.zero(),
        commission_receiver=auth.Address(rt.sender),
        governance_authorized=auth.Address(rt.sender),
        extra_fields=TableValue.new(rt),
    )


def _is_proved(rt: Runtime, public_key: bytes, proof_of_possession: bytes, wctx: WalrusContext) -> bool:
    return new_proof_of_possession_msg(wctx.epoch, rt.sender, public_key).verify_proof_of_possession(
        proof_of_possession
    )


def _length(text: str) -> int:
    return len(text.encode())
