"""Stake as an object (contract module staked_wal).

It is made by `stake_with_pool`, belongs to whoever staked, and holds the principal; rewards stay in the pool.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import abort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, UID, u32
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext

MODULE = Module(WALRUS, "staked_wal")

MIN_STAKING_THRESHOLD = 1_000_000_000

E_NOT_WITHDRAWING = MODULE.error(0, "ENotWithdrawing")
E_METADATA_MISMATCH = MODULE.error(1, "EMetadataMismatch")
E_INVALID_AMOUNT = MODULE.error(2, "EInvalidAmount")
E_ALREADY_WITHDRAWING = MODULE.error(6, "EAlreadyWithdrawing")
E_STAKE_BELOW_THRESHOLD = MODULE.error(7, "EStakeBelowThreshold")


@dataclass(frozen=True, slots=True)
class Staked:
    """It is staked."""


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """It can be withdrawn from this epoch on."""

    withdraw_epoch: u32


STATE = MODULE.enum("StakedWalState", "copy, drop, store", Staked, Withdrawing)


@MODULE.struct("key, store")
@dataclass(slots=True)
class StakedWal:
    """A stake.

    Attributes:
        id: its id.
        state: staked or on its way out.
        node_id: pool it is staked with.
        principal: what was staked.
        activation_epoch: first epoch in which it counts.
    """

    id: UID
    state: Annotated[Staked | Withdrawing, STATE]
    node_id: ID
    principal: Balance
    activation_epoch: u32

    def into_balance(self, rt: Runtime) -> Balance:
        """Ends the stake and gives its principal."""
        rt.delete_uid(self.id)
        return self.principal

    def set_withdrawing(self, withdraw_epoch: int) -> None:
        """Puts it on its way out; aborts if it is already."""
        require(isinstance(self.state, Staked), E_ALREADY_WITHDRAWING)
        self.state = Withdrawing(withdraw_epoch)

    def can_withdraw_early(self, wctx: WalrusContext, *, node_in_next_committee: bool) -> bool:
        """Whether it counts for no committee yet, so that it can go at once and without rewards."""
        if isinstance(self.state, Withdrawing):
            return False
        epochs_to_go = self.activation_epoch - wctx.epoch
        return epochs_to_go == 2 or (epochs_to_go == 1 and not node_in_next_committee)


def mint(rt: Runtime, node_id: ObjectId, principal: Balance, activation_epoch: int) -> StakedWal:
    """A new stake of at least 1 WAL."""
    require(principal.value >= MIN_STAKING_THRESHOLD, E_STAKE_BELOW_THRESHOLD)
    return StakedWal(rt.new_uid(), Staked(), node_id, principal, activation_epoch)


@MODULE.public("(sw: &StakedWal): ID", name="node_id")
def node_id_of(_rt: Runtime, sw: StakedWal) -> ObjectId:
    """Pool it is staked with."""
    return sw.node_id


@MODULE.public("(sw: &StakedWal): u64")
def value(_rt: Runtime, sw: StakedWal) -> int:
    """The principal in FROST."""
    return sw.principal.value


@MODULE.public("(sw: &StakedWal): u32")
def activation_epoch(_rt: Runtime, sw: StakedWal) -> int:
    """First epoch in which it counts."""
    return sw.activation_epoch


@MODULE.public("(sw: &StakedWal): bool")
def is_staked(_rt: Runtime, sw: StakedWal) -> bool:
    """Whether it is staked."""
    return isinstance(sw.state, Staked)


@MODULE.public("(sw: &StakedWal): bool")
def is_withdrawing(_rt: Runtime, sw: StakedWal) -> bool:
    """Whether it is on its way out."""
    return isinstance(sw.state, Withdrawing)


@MODULE.public("(sw: &StakedWal): u32")
def withdraw_epoch(_rt: Runtime, sw: StakedWal) -> int:
    """Epoch from which it can be withdrawn; aborts while staked."""
    if isinstance(sw.state, Withdrawing):
        return sw.state.withdraw_epoch
    raise abort(E_NOT_WITHDRAWING)


@MODULE.public("(sw: &mut StakedWal, other: StakedWal)")
def join(rt: Runtime, sw: StakedWal, other: StakedWal) -> None:
    """Adds another stake with the same node, activation epoch and state."""
    require(sw.node_id == other.node_id, E_METADATA_MISMATCH)
    require(sw.activation_epoch == other.activation_epoch, E_METADATA_MISMATCH)
    require(sw.state == other.state, E_METADATA_MISMATCH)
    sw.principal.join(other.into_balance(rt))


@MODULE.public("(sw: &mut StakedWal, amount: u64, ctx: &mut TxContext): StakedWal")
def split(rt: Runtime, sw: StakedWal, amount: int) -> StakedWal:
    """Takes a part off; both parts must keep at least 1 WAL."""
    require(sw.principal.value > amount, E_INVALID_AMOUNT)
    require(amount >= MIN_STAKING_THRESHOLD, E_STAKE_BELOW_THRESHOLD)
    require(sw.principal.value - amount >= MIN_STAKING_THRESHOLD, E_STAKE_BELOW_THRESHOLD)
    return StakedWal(rt.new_uid(), sw.state, sw.node_id, sw.principal.split(amount), sw.activation_epoch)
