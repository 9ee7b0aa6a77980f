"""The staking state: pools and their stake, who may be chosen next, prices (contract module staking_inner).

How an epoch follows the other is in `staking_epochs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from walrus_codec import quorum
from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import U16_MAX, U64_MAX, as_u32, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, VecMap, type_of, u16, u32, u64
from walrus_sui.devnet.move.framework.bls12381 import UNCOMPRESSED_G1_TYPE
from walrus_sui.devnet.move.framework.coin import Balance, Coin
from walrus_sui.devnet.move.framework.collections import MaxQueue
from walrus_sui.devnet.move.framework.fields import ObjectTable, TableValue
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.walrus import pool_withdrawals
from walrus_sui.devnet.move.walrus.active_set import ActiveSet
from walrus_sui.devnet.move.walrus.auth import Authenticated, matches
from walrus_sui.devnet.move.walrus.committee import CommitteeField
from walrus_sui.devnet.move.walrus.epoch_parameters import EpochParams
from walrus_sui.devnet.move.walrus.extended_field import Extended, ExtendedField
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.votes import quorum_below
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext

MODULE = Module(WALRUS, "staking_inner")

MIN_STAKE = 0
TEMP_ACTIVE_SET_SIZE_LIMIT = 150

E_WRONG_EPOCH_STATE = MODULE.error(0, "EWrongEpochState")
E_INVALID_SYNC_EPOCH = MODULE.error(1, "EInvalidSyncEpoch")
E_DUPLICATE_SYNC_DONE = MODULE.error(2, "EDuplicateSyncDone")
E_NO_STAKE = MODULE.error(3, "ENoStake")
E_NOT_IN_COMMITTEE = MODULE.error(4, "ENotInCommittee")
E_COMMITTEE_SELECTED = MODULE.error(5, "ECommitteeSelected")
E_NEXT_COMMITTEE_IS_EMPTY = MODULE.error(6, "ENextCommitteeIsEmpty")
E_INVALID_NODE_WEIGHT = MODULE.error(7, "EInvalidNodeWeight")
E_POOL_NOT_FOUND = MODULE.error(8, "EPoolNotFound")
E_ZERO_NODE_WEIGHT = MODULE.error(9, "EZeroNodeWeight")
E_INCORRECT_NODE_ORDER = MODULE.error(10, "EIncorrectNodeOrder")
# An ``assert!`` without a code: the compiler makes one of the line that it stands in (783) and marks it as such.
E_UNEQUAL_LENGTHS = MODULE.error(1 << 63 | 783 << 32 | 0xFFFF_FFFF, "assertion in line 783")


@dataclass(frozen=True, slots=True)
class EpochChangeSync:
    """Shards move; `pos0` is the weight that has attested."""

    pos0: u16


@dataclass(frozen=True, slots=True)
class EpochChangeDone:
    """A quorum has its shards since `pos0` (ms)."""

    pos0: u64


@dataclass(frozen=True, slots=True)
class NextParamsSelected:
    """The next epoch is fixed; `pos0` (ms) is still when this one was done changing."""

    pos0: u64


EPOCH_STATE = MODULE.enum("EpochState", "copy, drop, store", EpochChangeSync, EpochChangeDone, NextParamsSelected)

POOLS: ObjectTable[ObjectId, StakingPool] = ObjectTable(ID, StakingPool)
ACTIVE_SET: Extended[ActiveSet] = Extended(ActiveSet)
PUBLIC_KEYS: Extended[dict[ObjectId, bytes]] = Extended(VecMap(type_of(ID), UNCOMPRESSED_G1_TYPE))


@MODULE.struct("store")
@dataclass(slots=True)
class StakingInnerV1:
    """All of staking.

    Attributes:
        n_shards: fixed at genesis.
        epoch_duration: ms, of every epoch but the first.
        first_epoch_start: ms; epoch 1 can be prepared from then on.
        pools: all pools by node id.
        epoch: current epoch.
        active_set: nodes that take part in the next selection, stored apart.
        next_committee: None until voting ends.
        committee: current committee.
        previous_committee: the one before.
        next_epoch_params: of the latest selection.
        epoch_state: where the epoch stands.
        next_epoch_public_keys: BLS keys of the next committee as they were at its selection, stored apart.
    """

    n_shards: u16
    epoch_duration: u64
    first_epoch_start: u64
    pools: TableValue
    epoch: u32
    active_set: ExtendedField
    next_committee: CommitteeField | None
    committee: CommitteeField
    previous_committee: CommitteeField
    next_epoch_params: EpochParams | None
    epoch_state: Annotated[EpochChangeSync | EpochChangeDone | NextParamsSelected, EPOCH_STATE]
    next_epoch_public_keys: ExtendedField

    @classmethod
    def new(
        cls, rt: Runtime, clock: Clock, *, epoch_zero_duration: int, epoch_duration: int, n_shards: int
    ) -> "StakingInnerV1":
        """The state of epoch 0."""
        now = clock.timestamp_ms
        pools = TableValue.new(rt)
        return cls(
            n_shards=n_shards,
            epoch_duration=epoch_duration,
            first_epoch_start=as_u64(epoch_zero_duration + now),
            pools=pools,
            epoch=0,
            active_set=ACTIVE_SET.new(rt, ActiveSet.new(TEMP_ACTIVE_SET_SIZE_LIMIT, MIN_STAKE)),
            next_committee=None,
            committee={},
            previous_committee={},
            next_epoch_params=None,
            epoch_state=EpochChangeDone(now),
            next_epoch_public_keys=PUBLIC_KEYS.new(rt, {}),
        )

    def walrus_context(self) -> WalrusContext:
        """The epoch as pools see it."""
        return WalrusContext(self.epoch, self.next_committee is not None)

    def pool(self, rt: Runtime, node_id: ObjectId) -> StakingPool:
        """A pool, to be changed; aborts if there is none."""
        return POOLS.borrow_mut(rt, self.pools, node_id)

    def is_quorum(self, weight: int) -> bool:
        """Whether the weight may decide for the network."""
        return quorum.is_quorum(weight, self.n_shards)

    # Pools and stake

    def create_pool(self, rt: Runtime, pool: StakingPool) -> ObjectId:
        """Adds a new pool."""
        POOLS.add(rt, self.pools, pool.id, pool)
        return pool.id

    def stake_with_pool(self, rt: Runtime, to_stake: Coin, node_id: ObjectId) -> StakedWal:
        """Stakes a coin and tracks the node's stake for the next selection."""
        wctx = self.walrus_context()
        pool = self.pool(rt, node_id)
        staked = pool.stake(rt, to_stake.into_balance(rt), wctx)
        self._track(rt, pool)
        return staked

    def request_withdraw_stake(self, rt: Runtime, staked_wal: StakedWal) -> None:
        """Announces that a stake leaves; it counts no more in the next selection."""
        pool = self.pool(rt, staked_wal.node_id)
        current, following = self._seats(staked_wal.node_id)
        pool_withdrawals.request_withdraw_stake(
            rt, pool, staked_wal, self.walrus_context(), in_current_committee=current, in_next_committee=following
        )
        self._track(rt, pool)

    def withdraw_stake(self, rt: Runtime, staked_wal: StakedWal) -> Coin:
        """Ends a stake and pays it out."""
        pool = self.pool(rt, staked_wal.node_id)
        current, following = self._seats(staked_wal.node_id)
        payout = pool_withdrawals.withdraw_stake(
            rt, pool, staked_wal, self.walrus_context(), in_current_committee=current, in_next_committee=following
        )
        self._track(rt, pool)
        return payout.into_coin(rt)

    def can_withdraw_staked_wal_early(self, sw: StakedWal) -> bool:
        """Whether a stake can go at once, without rewards."""
        return sw.can_withdraw_early(self.walrus_context(), node_in_next_committee=self._seats(sw.node_id)[1])

    def try_join_active_set(self, rt: Runtime, node_id: ObjectId) -> None:
        """Puts a node back that was evicted, if its stake suffices now."""
        self._track(rt, POOLS.borrow(rt, self.pools, node_id))

    def update_active_set_max_size(self, rt: Runtime) -> None:
        """Applies the limit of nodes to a set that was made under another one."""
        ACTIVE_SET.borrow_mut(rt, self.active_set).max_size = TEMP_ACTIVE_SET_SIZE_LIMIT

    def calculate_rewards(
        self, rt: Runtime, node_id: ObjectId, staked_principal: int, activation_epoch: int, withdraw_epoch: int
    ) -> int:
        """FROST that a principal earned with a node between two epochs."""
        require(POOLS.contains(rt, self.pools, node_id), E_POOL_NOT_FOUND)
        pool = POOLS.borrow(rt, self.pools, node_id)
        return pool.calculate_rewards(rt, staked_principal, activation_epoch, withdraw_epoch)

    def add_commission_to_pools(self, rt: Runtime, node_ids: list[ObjectId], commissions: list[Balance]) -> None:
        """Adds to the commission of pools; before voting ends, what is added is blocked until then."""
        require(len(node_ids) == len(commissions), E_UNEQUAL_LENGTHS)
        block = not isinstance(self.epoch_state, NextParamsSelected)
        for node_id, commission in zip(node_ids, commissions, strict=True):
            self.pool(rt, node_id).add_commission(rt, commission, block=block)

    def _seats(self, node_id: ObjectId) -> tuple[bool, bool]:
        return node_id in self.committee, node_id in (self.next_committee or {})

    def _track(self, rt: Runtime, pool: StakingPool) -> None:
        # The set holds the stake for the next selection: for epoch + 1, or for epoch + 2 once that is selected.
        ahead = 2 if isinstance(self.epoch_state, NextParamsSelected) else 1
        balance = pool.wal_balance_at_epoch(rt, as_u32(self.epoch + ahead))
        ACTIVE_SET.borrow_mut(rt, self.active_set).insert_or_update(pool.id, balance)

    # Governance

    def check_governance_authorization(self, rt: Runtime, node_id: ObjectId, auth: Authenticated) -> bool:
        """Whether this is who may vote for the node."""
        return matches(auth, POOLS.borrow(rt, self.pools, node_id).governance_authorized)

    def get_current_node_weight(self, node_id: ObjectId) -> int:
        """Shards of a member of the current committee."""
        require(node_id in self.committee, E_NOT_IN_COMMITTEE)
        weight = len(self.committee[node_id])
        require(weight <= U16_MAX, E_INVALID_NODE_WEIGHT)
        return weight

    # Prices

    def recalculate_prices(self, rt: Runtime) -> tuple[int, int]:
        """Storage and write price from the votes of the current committee; the largest u64 while there is none."""
        if not self.committee:
            return U64_MAX, U64_MAX
        members = [(POOLS.borrow(rt, self.pools, node), len(shards)) for node, shards in self.committee.items()]

        def price(vote: Callable[[StakingPool], int]) -> int:
            votes = MaxQueue()
            for pool, weight in members:
                votes.insert(vote(pool), weight)
            return quorum_below(votes, self.n_shards)

        return price(lambda pool: pool.voting_params.storage_price), price(lambda pool: pool.voting_params.write_price)
