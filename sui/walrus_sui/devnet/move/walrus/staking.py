"""The shared staking object and its public functions (contract module staking).

The object is small; the state lies in a dynamic field under the version's number, so that an upgrade can replace it.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import abort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, U64, UID, type_of, u64
from walrus_sui.devnet.move.framework import objects
from walrus_sui.devnet.move.framework.coin import COIN, Coin
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
    staking_pool,
    storage_node,
    system,
)
from walrus_sui.devnet.move.walrus.events import PricesUpdated
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.staking_inner import POOLS, StakingInnerV1
from walrus_sui.devnet.move.walrus.storage_node import METADATA, StorageNodeCap
from walrus_sui.devnet.move.walrus.system import System
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1

MODULE = Module(
    WALRUS,
    "staking",
    uses=(
        wal.MODULE,
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

VERSION = 4

E_INVALID_MIGRATION = MODULE.error(0, "EInvalidMigration")
E_WRONG_VERSION = MODULE.error(1, "EWrongVersion")
E_DEPRECATED_FUNCTION = MODULE.error(2, "EDeprecatedFunction")

INNER: DynamicField[int, StakingInnerV1] = DynamicField(U64, StakingInnerV1)


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
    staking = Staking(rt.new_uid(), VERSION, package_id, None)
    state = StakingInnerV1.new(
        rt, clock, epoch_zero_duration=epoch_zero_duration, epoch_duration=epoch_duration, n_shards=n_shards
    )
    INNER.add(rt, staking.id, VERSION, state)
    rt.share(type_of(Staking), staking)
    return staking


def inner_mut(rt: Runtime, staking: Staking) -> StakingInnerV1:
    """The state, to be changed; aborts on an object of another version."""
    require(staking.version == VERSION, E_WRONG_VERSION)
    return INNER.borrow_mut(rt, staking.id, VERSION)


def inner(rt: Runtime, staking: Staking) -> StakingInnerV1:
    """The state, to be read; aborts on an object of another version."""
    require(staking.version == VERSION, E_WRONG_VERSION)
    return INNER.borrow(rt, staking.id, VERSION)


# Candidates and stake


@MODULE.public(
    "(staking: &mut Staking, name: String, network_address: String, metadata: NodeMetadata, public_key: vector<u8>,"
    " network_public_key: vector<u8>, proof_of_possession: vector<u8>, commission_rate: u16, storage_price: u64,"
    " write_price: u64, node_capacity: u64, ctx: &mut TxContext): StorageNodeCap"
)
def register_candidate(
    rt: Runtime,
    staking: Staking,
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
) -> StorageNodeCap:
    """Makes the pool of a new node; whoever holds the returned capability may collect its commission."""
    state = inner_mut(rt, staking)
    pool = staking_pool.new(
        rt,
        state.walrus_context(),
        name=name,
        network_address=network_address,
        metadata=metadata,
        public_key=public_key,
        network_public_key=network_public_key,
        proof_of_possession=proof_of_possession,
        commission_rate=commission_rate,
        storage_price=storage_price,
        write_price=write_price,
        node_capacity=node_capacity,
    )
    node_id = state.create_pool(rt, pool)
    cap = storage_node.new_cap(rt, node_id)
    state.pool(rt, node_id).set_commission_receiver(auth.authenticate_sender(rt), auth.ObjectID(cap.id))
    return cap


@MODULE.public("(staking: &mut Staking, to_stake: Coin<WAL>, node_id: ID, ctx: &mut TxContext): StakedWal")
def stake_with_pool(rt: Runtime, staking: Staking, to_stake: Coin, node_id: ObjectId) -> StakedWal:
    """Stakes a coin with a node."""
    return inner_mut(rt, staking).stake_with_pool(rt, to_stake, node_id)


# Votes and settings of a node's operator


@MODULE.public("(staking: &mut Staking, cap: &StorageNodeCap, commission_rate: u16)")
def set_next_commission(rt: Runtime, staking: Staking, cap: StorageNodeCap, commission_rate: int) -> None:
    """Sets the commission in basis points from two epochs later on."""
    state = inner_mut(rt, staking)
    state.pool(rt, cap.node_id).set_next_commission(commission_rate, state.walrus_context())


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, storage_price: u64)")
def set_storage_price_vote(rt: Runtime, self: Staking, cap: StorageNodeCap, storage_price: int) -> None:
    """Votes for a storage price in FROST per MiB and epoch."""
    inner_mut(rt, self).pool(rt, cap.node_id).voting_params.storage_price = storage_price


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, write_price: u64)")
def set_write_price_vote(rt: Runtime, self: Staking, cap: StorageNodeCap, write_price: int) -> None:
    """Votes for a write price in FROST per MiB."""
    inner_mut(rt, self).pool(rt, cap.node_id).voting_params.write_price = write_price


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, node_capacity: u64)")
def set_node_capacity_vote(rt: Runtime, self: Staking, cap: StorageNodeCap, node_capacity: int) -> None:
    """States the bytes that the node can store."""
    inner_mut(rt, self).pool(rt, cap.node_id).voting_params.node_capacity = node_capacity


@MODULE.public(
    "(self: &mut Staking, cap: &StorageNodeCap, public_key: vector<u8>, proof_of_possession: vector<u8>,"
    " ctx: &mut TxContext)"
)
def set_next_public_key(
    rt: Runtime, self: Staking, cap: StorageNodeCap, public_key: bytes, proof_of_possession: bytes
) -> None:
    """Sets the BLS key that starts with the next epoch for which the node is selected."""
    state = inner_mut(rt, self)
    pool = state.pool(rt, cap.node_id)
    pool.set_next_public_key(rt, public_key, proof_of_possession, state.walrus_context())


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, name: String)")
def set_name(rt: Runtime, self: Staking, cap: StorageNodeCap, name: str) -> None:
    """Sets the node's name."""
    inner_mut(rt, self).pool(rt, cap.node_id).set_name(name)


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, network_address: String)")
def set_network_address(rt: Runtime, self: Staking, cap: StorageNodeCap, network_address: str) -> None:
    """Sets the node's address."""
    inner_mut(rt, self).pool(rt, cap.node_id).set_network_address(network_address)


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, network_public_key: vector<u8>)")
def set_network_public_key(rt: Runtime, self: Staking, cap: StorageNodeCap, network_public_key: bytes) -> None:
    """Sets the node's TLS key."""
    inner_mut(rt, self).pool(rt, cap.node_id).node_info.set_network_public_key(network_public_key)


@MODULE.public("(self: &mut Staking, cap: &StorageNodeCap, metadata: NodeMetadata)")
def set_node_metadata(rt: Runtime, self: Staking, cap: StorageNodeCap, metadata: NodeMetadata) -> None:
    """Sets the node's metadata."""
    node_info = inner_mut(rt, self).pool(rt, cap.node_id).node_info
    METADATA.swap(rt, node_info.metadata, metadata)


# Epoch change


@MODULE.public("(staking: &mut Staking, clock: &Clock)")
def voting_end(rt: Runtime, staking: Staking, clock: Clock) -> None:
    """Ends the voting of this epoch."""
    inner_mut(rt, staking).voting_end(rt, clock)


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
    committee_ = state.next_bls_committee(rt)
    rewards = storage.advance_epoch(rt, committee_, borrow(state.next_epoch_params))
    state.initiate_epoch_change(rt, clock, rewards)
    update_prices(rt, staking, system)


@MODULE.public("(staking: &mut Staking, cap: &mut StorageNodeCap, epoch: u32, clock: &Clock)")
def epoch_sync_done(rt: Runtime, staking: Staking, cap: StorageNodeCap, epoch: int, clock: Clock) -> None:
    """Attests that the node has all shards of this epoch."""
    inner_mut(rt, staking).epoch_sync_done(rt, cap, epoch, clock)


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


@MODULE.public("(staking: &Staking): u32")
def epoch(rt: Runtime, staking: Staking) -> int:
    """Current epoch."""
    return inner(rt, staking).epoch


@MODULE.public("(staking: &Staking): Committee")
def compute_next_committee(rt: Runtime, staking: Staking) -> committee.Committee:
    """The committee as it would be selected now."""
    return inner(rt, staking).compute_next_committee(rt)


@MODULE.public("(self: &Staking, node_id: ID): NodeMetadata", name="node_metadata")
def node_metadata_of(rt: Runtime, self: Staking, node_id: ObjectId) -> NodeMetadata:
    """The node's metadata."""
    pool = POOLS.borrow(rt, inner(rt, self).pools, node_id)
    return METADATA.borrow(rt, pool.node_info.metadata)


def _system_state(rt: Runtime, system_object: System) -> SystemStateInnerV1:
    return system.inner_mut(rt, system_object)
