"""What the operator of a storage node calls: candidacy, votes, settings, commission (contract module staking).

Most calls need the node's capability. Commission and governance belong to whoever the pool names, an address or the
holder of an object; a new pool gives its commission to the capability and its governance to the sender.
"""

# ruff: noqa: PLR0917 - public functions take what their Move counterparts take

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.framework.coin import Coin
from walrus_sui.devnet.move.walrus import auth, staking, staking_pool, storage_node
from walrus_sui.devnet.move.walrus.auth import Authenticated, Authorized
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.staking import Staking, inner, inner_mut
from walrus_sui.devnet.move.walrus.staking_inner import POOLS
from walrus_sui.devnet.move.walrus.storage_node import METADATA, StorageNodeCap

MODULE = staking.MODULE


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


@MODULE.public("(self: &Staking, node_id: ID): NodeMetadata", name="node_metadata")
def node_metadata_of(rt: Runtime, self: Staking, node_id: ObjectId) -> NodeMetadata:
    """The node's metadata."""
    pool = POOLS.borrow(rt, inner(rt, self).pools, node_id)
    return METADATA.borrow(rt, pool.node_info.metadata)


@MODULE.public("(staking: &mut Staking, cap: &StorageNodeCap)")
def try_join_active_set(rt: Runtime, staking: Staking, cap: StorageNodeCap) -> None:
    """Puts the node back among those that take part in the next selection, if its stake suffices."""
    inner_mut(rt, staking).try_join_active_set(rt, cap.node_id)


# Commission and governance


@MODULE.public("(staking: &mut Staking, node_id: ID, auth: Authenticated, ctx: &mut TxContext): Coin<WAL>")
def collect_commission(rt: Runtime, staking: Staking, node_id: ObjectId, auth: Authenticated) -> Coin:
    """Pays out the commission, except what is blocked until voting ends."""
    return inner_mut(rt, staking).pool(rt, node_id).collect_commission(rt, auth).into_coin(rt)


@MODULE.public("(staking: &mut Staking, node_id: ID, auth: Authenticated, receiver: Authorized)")
def set_commission_receiver(
    rt: Runtime, staking: Staking, node_id: ObjectId, auth: Authenticated, receiver: Authorized
) -> None:
    """Lets somebody else collect the commission."""
    inner_mut(rt, staking).pool(rt, node_id).set_commission_receiver(auth, receiver)


@MODULE.public("(staking: &mut Staking, node_id: ID, auth: Authenticated, authorized: Authorized)")
def set_governance_authorized(
    rt: Runtime, staking: Staking, node_id: ObjectId, auth: Authenticated, authorized: Authorized
) -> None:
    """Lets somebody else vote for the node on slashing and upgrades."""
    inner_mut(rt, staking).pool(rt, node_id).set_governance_authorized(auth, authorized)
