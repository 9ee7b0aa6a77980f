"""A storage node's data and the capability of its operator (contract module storage_node)."""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, UID, string, u32, u64, u256
from walrus_sui.devnet.move.framework.bls12381 import UncompressedG1, g1_to_uncompressed
from walrus_sui.devnet.move.walrus.event_blob import MODULE as EVENT_BLOB
from walrus_sui.devnet.move.walrus.event_blob import EventBlobAttestation
from walrus_sui.devnet.move.walrus.extended_field import Extended, ExtendedField
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata

MODULE = Module(WALRUS, "storage_node", uses=(EVENT_BLOB,))

NETWORK_KEY_LENGTH = 33

E_INVALID_NETWORK_PUBLIC_KEY = MODULE.error(0, "EInvalidNetworkPublicKey")

METADATA: Extended[NodeMetadata] = Extended(NodeMetadata)


@MODULE.struct("store")
@dataclass(slots=True)
class StorageNodeInfo:
    """What the network knows of a node.

    Attributes:
        name: for people.
        node_id: id of its pool.
        network_address: ``host:port`` of its REST face.
        public_key: BLS key, uncompressed.
        next_epoch_public_key: the one that it will have after the next change.
        network_public_key: TLS key, 33 bytes.
        metadata: its `NodeMetadata`, stored apart.
    """

    name: string
    node_id: ID
    network_address: string
    public_key: UncompressedG1
    next_epoch_public_key: UncompressedG1 | None
    network_public_key: bytes
    metadata: ExtendedField

    @property
    def key_for_next_epoch(self) -> bytes:
        """The BLS key that goes into the next committee."""
        return self.public_key if self.next_epoch_public_key is None else self.next_epoch_public_key

    def set_next_public_key(self, public_key: bytes) -> None:
        """Sets the BLS key to change to; 48 bytes."""
        self.next_epoch_public_key = g1_to_uncompressed(public_key)

    def set_network_public_key(self, network_public_key: bytes) -> None:
        """Sets the TLS key; aborts unless it has 33 bytes."""
        require(len(network_public_key) == NETWORK_KEY_LENGTH, E_INVALID_NETWORK_PUBLIC_KEY)
        self.network_public_key = network_public_key

    def rotate_public_key(self) -> None:
        """Changes to the next BLS key, if one is set."""
        self.public_key, self.next_epoch_public_key = self.key_for_next_epoch, None


@MODULE.struct("key, store")
@dataclass(slots=True)
class StorageNodeCap:
    """The operator's right to act for a node.

    Attributes:
        id: its id.
        node_id: which node.
        last_epoch_sync_done: last epoch for which it attested that it has its shards.
        last_event_blob_attestation: last attested event blob.
        deny_list_root: root of the node's deny list.
        deny_list_sequence: number of its last update.
        deny_list_size: bytes on it.
    """

    id: UID
    node_id: ID
    last_epoch_sync_done: u32
    last_event_blob_attestation: EventBlobAttestation | None
    deny_list_root: u256
    deny_list_sequence: u64
    deny_list_size: u64


def new(
    rt: Runtime,
    *,
    name: str,
    node_id: ObjectId,
    network_address: str,
    public_key: bytes,
    network_public_key: bytes,
    metadata: NodeMetadata,
) -> StorageNodeInfo:
    """Data of a new node; aborts on a malformed TLS or BLS key."""
    require(len(network_public_key) == NETWORK_KEY_LENGTH, E_INVALID_NETWORK_PUBLIC_KEY)
    key, stored = g1_to_uncompressed(public_key), METADATA.new(rt, metadata)
    return StorageNodeInfo(name, node_id, network_address, key, None, network_public_key, stored)


def new_cap(rt: Runtime, node_id: ObjectId) -> StorageNodeCap:
    """The capability of a new node."""
    return StorageNodeCap(rt.new_uid(), node_id, 0, None, 0, 0, 0)


@MODULE.public("(cap: &StorageNodeInfo): ID", name="id")
def id_of(_rt: Runtime, cap: StorageNodeInfo) -> ObjectId:
    """Which node the data is of; no transaction can get hold of the data itself."""
    return cap.node_id


@MODULE.public("(cap: &StorageNodeCap): ID", name="node_id")
def node_id_of(_rt: Runtime, cap: StorageNodeCap) -> ObjectId:
    """Which node."""
    return cap.node_id


@MODULE.public("(cap: &StorageNodeCap): u32")
def last_epoch_sync_done(_rt: Runtime, cap: StorageNodeCap) -> int:
    """Last epoch for which it attested that it has its shards."""
    return cap.last_epoch_sync_done


@MODULE.public("(cap: &mut StorageNodeCap): Option<EventBlobAttestation>")
def last_event_blob_attestation(_rt: Runtime, cap: StorageNodeCap) -> EventBlobAttestation | None:
    """Last attested event blob."""
    return cap.last_event_blob_attestation


@MODULE.public("(cap: &StorageNodeCap): u256")
def deny_list_root(_rt: Runtime, cap: StorageNodeCap) -> int:
    """Root of the node's deny list."""
    return cap.deny_list_root


@MODULE.public("(cap: &StorageNodeCap): u64")
def deny_list_sequence(_rt: Runtime, cap: StorageNodeCap) -> int:
    """Number of the deny list's last update."""
    return cap.deny_list_sequence
