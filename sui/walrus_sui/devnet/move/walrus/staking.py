"""The shared staking object and its public functions (contract module staking).

The object is small; the state lies in a dynamic field under the version's number, so that an upgrade can replace it.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import abort, as_u32, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import BYTES, ID, U32, U64, UID, type_of, u64
from walrus_sui.devnet.move.framework import objects
from walrus_sui.devnet.move.framework.coin import BALANCE, COIN, Balance, Coin
from walrus_sui.devnet.move.framework.fields import DynamicField
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.framework.std import borrow
from walrus_sui.devnet.move.wal import wal
from walrus_sui.devnet.move.wal.wal import ProtectedTreasury
from walrus_sui.devnet.move.walrus import (
    auth,
    committee,
    node_metadata,
    staked_wal,
    staking_epochs,
    storage_node,
    system,
)
from walrus_sui.devnet.move.walrus.events import PricesUpdated
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.staking_inner import StakingInnerV1
from walrus_sui.devnet.move.walrus.storage_node import StorageNodeCap
from walrus_sui.devnet.move.walrus.system import System
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1
from walrus_sui.devnet.move.walrus.version import current as current_version

MODULE = Module(
    WALRUS,
    "staking",
    uses=(
        wal.MODULE,
        BALANCE,
        COIN,
        objects.CLOCK,
        auth.MODULE,
        committee.MODULE,
        node_metadata.MODULE,
        staked_wal.MODULE,
        storage_node.MODULE,
        system.MODULE,
    ),
)

E_INVALID_MIGRATION = MODULE.error(0, "EInvalidMigration")
E_WRONG_VERSION = MODULE.error(1, "EWrongVersion")
E_DEPRECATED_FUNCTION = MODULE.error(2, "EDeprecatedFunction")

INNER: DynamicField[int, StakingInnerV1] = DynamicField(U64, StakingInnerV1)
MIGRATION_EPOCH: DynamicField[bytes, int] = DynamicField(BYTES, U32)
MIGRATION_EPOCH_KEY = b"migration_epoch"


@MODULE.struct("key")
@dataclass(slots=True)
class Staking:
    """The one staking object; `package_id` is where calls go."""

    id: UID
    version: u64
    package_id: ID
    new_package_id: ID | None


def create(
    rt: Runtime, clock: Clock, *, epoch_zero_duration: int, epoch_duration: int, n_shards: int, package_id: ObjectId
) -> Staking:
    """Makes and shares the staking object; durations in ms."""
    staking = Staking(rt.new_uid(), current_version(rt), package_id, None)
    state = StakingInnerV1.new(
        rt, clock, epoch_zero_duration=epoch_zero_duration, epoch_duration=epoch_duration, n_shards=n_shards
    )
    INNER.add(rt, staking.id, staking.version, state)
    rt.share(type_of(Staking), staking)
    return staking


def inner_mut(rt: Runtime, staking: Staking) -> StakingInnerV1:
    """The state, to be changed; aborts on an object of another version."""
    require(staking.version == current_version(rt), E_WRONG_VERSION)
    return INNER.borrow_mut(rt, staking.id, staking.version)


def inner(rt: Runtime, staking: Staking) -> StakingInnerV1:
    """The state, to be read; aborts on an object of another version."""
    require(staking.version == current_version(rt), E_WRONG_VERSION)
    return INNER.borrow(rt, staking.id, staking.version)


def migrate(rt: Runtime, staking: Staking) -> None:
    """Moves the object to the called package's version; aborts unless a newer package was committed."""
    require(staking.version < current_version(rt), E_INVALID_MIGRATION)
    INNER.add(rt, staking.id, current_version(rt), INNER.remove(rt, staking.id, staking.version))
    staking.version = current_version(rt)
    if staking.new_package_id is None:
        raise abort(E_INVALID_MIGRATION)
    staking.package_id, staking.new_package_id = staking.new_package_id, None
    inner_mut(rt, staking).update_active_set_max_size(rt)


@MODULE.entry("(staking: &mut Staking)")
def set_migration_epoch(rt: Runtime, staking: Staking) -> None:
    """Notes the epoch after this one, once per upgrade of old; the migration itself does not ask for it any more."""
    require(staking.version < current_version(rt), E_INVALID_MIGRATION)
    if MIGRATION_EPOCH.exists(rt, staking.id, MIGRATION_EPOCH_KEY):
        return
    epoch = INNER.borrow(rt, staking.id, staking.version).epoch
    MIGRATION_EPOCH.add(rt, staking.id, MIGRATION_EPOCH_KEY, as_u32(epoch + 1))


# Stake


@MODULE.public("(staking: &mut Staking, to_stake: Coin<WAL>, node_id: ID, ctx: &mut TxContext): StakedWal")
def stake_with_pool(rt: Runtime, staking: Staking, to_stake: Coin, node_id: ObjectId) -> StakedWal:
    """Stakes a coin with a node."""
    return inner_mut(rt, staking).stake_with_pool(rt, to_stake, node_id)


@MODULE.public("(staking: &mut Staking, staked_wal: &mut StakedWal, ctx: &mut TxContext)")
def request_withdraw_stake(rt: Runtime, staking: Staking, staked_wal: StakedWal) -> None:
    """Announces that a stake leaves."""
    inner_mut(rt, staking).request_withdraw_stake(rt, staked_wal)


@MODULE.public("(staking: &mut Staking, staked_wal: StakedWal, ctx: &mut TxContext): Coin<WAL>")
def withdraw_stake(rt: Runtime, staking: Staking, staked_wal: StakedWal) -> Coin:
    """Pays out a stake with its rewards."""
    return inner_mut(rt, staking).withdraw_stake(rt, staked_wal)


@MODULE.public("(staking: &Staking, staked_wal: &StakedWal): bool")
def can_withdraw_staked_wal_early(rt: Runtime, staking: Staking, staked_wal: StakedWal) -> bool:
    """Whether a stake can be withdrawn at once, without announcing it and without rewards."""
    return inner(rt, staking).can_withdraw_staked_wal_early(staked_wal)


@MODULE.public(
    "(staking: &Staking, node_id: ID, staked_principal: u64, activation_epoch: u32, withdraw_epoch: u32): u64"
)
def calculate_rewards(
    rt: Runtime, staking: Staking, node_id: ObjectId, staked_principal: int, activation_epoch: int, withdraw_epoch: int
) -> int:
    """FROST that a principal earns with a node between two epochs."""
    return inner(rt, staking).calculate_rewards(rt, node_id, staked_principal, activation_epoch, withdraw_epoch)


@MODULE.public("(staking: &mut Staking, node_ids: vector<ID>, commissions: vector<Balance<WAL>>)")
def add_commission_to_pools(
    rt: Runtime, staking: Staking, node_ids: list[ObjectId], commissions: list[Balance]
) -> None:
    """Gives WAL to the commission of pools."""
    inner_mut(rt, staking).add_commission_to_pools(rt, node_ids, commissions)


# Epoch change


@MODULE.public("(staking: &mut Staking, clock: &Clock)")
def voting_end(rt: Runtime, staking: Staking, clock: Clock) -> None:
    """Ends the voting of this epoch."""
    staking_epochs.voting_end(rt, inner_mut(rt, staking), clock)


@MODULE.public("(staking: &mut Staking, system: &mut System, clock: &Clock)")
def initiate_epoch_change(_rt: Runtime, _staking: Staking, _system: System, _clock: Clock) -> None:
    """Replaced by `initiate_epoch_change_v2`; always aborts."""
    raise abort(E_DEPRECATED_FUNCTION)


@MODULE.public(
    "(staking: &mut Staking, system: &mut System, treasury: &mut ProtectedTreasury, clock: &Clock, ctx: &mut TxContext)"
)
def initiate_epoch_change_v2(
    rt: Runtime, staking: Staking, system: System, treasury: ProtectedTreasury, clock: Clock
) -> None:
    """Starts the next epoch: burns a part of the rewards, pays out the rest, changes the committee and the prices."""
    storage = _system_state(rt, system)
    wal.burn(rt, treasury, storage.future_accounting.extract_burn_balance().into_coin(rt))
    state = inner_mut(rt, staking)
    committee_ = staking_epochs.next_bls_committee(rt, state)
    rewards = storage.advance_epoch(rt, committee_, borrow(state.next_epoch_params))
    staking_epochs.initiate_epoch_change(rt, state, clock, rewards)
    update_prices(rt, staking, system)


@MODULE.public("(staking: &mut Staking, cap: &mut StorageNodeCap, epoch: u32, clock: &Clock)")
def epoch_sync_done(rt: Runtime, staking: Staking, cap: StorageNodeCap, epoch: int, clock: Clock) -> None:
    """Attests that the node has all shards of this epoch."""
    staking_epochs.epoch_sync_done(rt, inner_mut(rt, staking), cap, epoch, clock)


@MODULE.public("(staking: &mut Staking, system: &mut System)")
def update_prices(rt: Runtime, staking: Staking, system: System) -> None:
    """Recomputes the prices from the votes of the current committee; they count at once."""
    state = inner(rt, staking)
    storage_price, write_price = state.recalculate_prices(rt)
    storage = _system_state(rt, system)
    storage.storage_price_per_unit_size = storage_price
    storage.write_price_per_unit_size = write_price
    rt.emit(PricesUpdated(state.epoch, storage_price, write_price))


# Views


@MODULE.public("(staking: &Staking): &Committee", name="committee")
def current_committee(rt: Runtime, staking: Staking) -> committee.Committee:
    """The current committee."""
    return inner(rt, staking).committee


@MODULE.public("(staking: &Staking): &Committee")
def previous_committee(rt: Runtime, staking: Staking) -> committee.Committee:
    """The committee before."""
    return inner(rt, staking).previous_committee


@MODULE.public("(staking: &Staking): u32")
def epoch(rt: Runtime, staking: Staking) -> int:
    """Current epoch."""
    return inner(rt, staking).epoch


@MODULE.public("(staking: &Staking): Committee")
def compute_next_committee(rt: Runtime, staking: Staking) -> committee.Committee:
    """The committee as it would be selected now."""
    return staking_epochs.compute_next_committee(rt, inner(rt, staking))


def _system_state(rt: Runtime, system_object: System) -> SystemStateInnerV1:
    return system.inner_mut(rt, system_object)
