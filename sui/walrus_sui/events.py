"""Events of the Walrus contract (module walrus::events), decoded from BCS.

Life of an event: a transaction emits it, a checkpoint carries it, `decode` turns it into one frozen value, nodes apply
it exactly once in order. `epoch` is the epoch in which it was emitted, except in `BlobCertified`, where it is the epoch
of the *first* certification (an extension repeats it). Blob ids are the 32 bytes, not the chain's integer.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, Digest, Epoch, NodeId, ObjectId, ShardIndex
from walrus_sui.errors import MalformedChainData

EVENTS_MODULE = "events"


@dataclass(frozen=True, order=True)
class EventId:
    """Place of an event on chain: its transaction, and its position among the transaction's events."""

    tx_digest: Digest
    seq: int


@dataclass(frozen=True)
class BlobRegistered:
    """A Blob object came to be; `size` is the unencoded length."""

    epoch: Epoch
    blob_id: BlobId
    size: int
    encoding_type: int
    end_epoch: Epoch
    deletable: bool
    object_id: ObjectId


@dataclass(frozen=True)
class BlobCertified:
    """A Blob object was certified or (`is_extension`) its end moved; `epoch` is that of the first certification."""

    epoch: Epoch
    blob_id: BlobId
    end_epoch: Epoch
    deletable: bool
    object_id: ObjectId
    is_extension: bool


@dataclass(frozen=True)
class BlobDeleted:
    """A deletable Blob object was deleted by its owner."""

    epoch: Epoch
    blob_id: BlobId
    end_epoch: Epoch
    object_id: ObjectId
    was_certified: bool


@dataclass(frozen=True)
class InvalidBlobId:
    """A blob id was proved badly encoded; it is dead for ever."""

    epoch: Epoch
    blob_id: BlobId


@dataclass(frozen=True)
class EpochChangeStart:
    """Epoch `epoch` began; its nodes now move shards."""

    epoch: Epoch


@dataclass(frozen=True)
class EpochChangeDone:
    """A quorum of epoch `epoch` has its shards; the epoch's clock starts."""

    epoch: Epoch


@dataclass(frozen=True)
class EpochParametersSelected:
    """Voting ended: the committee of `next_epoch` is fixed."""

    next_epoch: Epoch


@dataclass(frozen=True)
class ShardsReceived:
    """A node attested that it holds its shards of `epoch`."""

    epoch: Epoch
    shards: tuple[ShardIndex, ...]


@dataclass(frozen=True)
class ShardRecoveryStart:
    """Declared by the contract, never emitted."""

    epoch: Epoch
    shards: tuple[ShardIndex, ...]


@dataclass(frozen=True)
class PricesUpdated:
    """Prices in FROST per MiB changed."""

    epoch: Epoch
    storage_price: int
    write_price: int


@dataclass(frozen=True)
class ContractUpgraded:
    """The contract's newest package is now `package_id`."""

    epoch: Epoch
    package_id: ObjectId
    version: int


@dataclass(frozen=True)
class ContractUpgradeProposed:
    """Somebody voted first for a package digest."""

    epoch: Epoch
    package_digest: bytes


@dataclass(frozen=True)
class ContractUpgradeQuorumReached:
    """An upgrade may be authorised."""

    epoch: Epoch
    package_digest: bytes


@dataclass(frozen=True)
class ProtocolVersionUpdated:
    """A new protocol version holds from `start_epoch` on."""

    epoch: Epoch
    start_epoch: Epoch
    protocol_version: int


@dataclass(frozen=True)
class RegisterDenyListUpdate:
    """A node announced a change of its deny list."""

    epoch: Epoch
    root: bytes
    sequence_number: int
    node_id: NodeId


@dataclass(frozen=True)
class DenyListUpdate:
    """A node's deny list changed."""

    epoch: Epoch
    root: bytes
    sequence_number: int
    node_id: NodeId


@dataclass(frozen=True)
class DenyListBlobDeleted:
    """A deny-listed blob was given up by enough nodes."""

    epoch: Epoch
    blob_id: BlobId


@dataclass(frozen=True)
class StoragePoolCreated:
    """A storage pool for many blobs came to be."""

    epoch: Epoch
    storage_pool_id: ObjectId
    reserved_encoded_capacity_bytes: int
    start_epoch: Epoch
    end_epoch: Epoch


@dataclass(frozen=True)
class StoragePoolExtended:
    """A storage pool lasts longer."""

    epoch: Epoch
    storage_pool_id: ObjectId
    new_end_epoch: Epoch


@dataclass(frozen=True)
class PooledBlobRegistered:
    """A blob was registered in a storage pool."""

    epoch: Epoch
    blob_id: BlobId
    unencoded_size: int
    encoding_type: int
    deletable: bool
    object_id: ObjectId
    storage_pool_id: ObjectId


@dataclass(frozen=True)
class PooledBlobCertified:
    """A pooled blob was certified."""

    epoch: Epoch
    blob_id: BlobId
    deletable: bool
    object_id: ObjectId
    storage_pool_id: ObjectId


@dataclass(frozen=True)
class PooledBlobDeleted:
    """A pooled blob was deleted."""

    epoch: Epoch
    blob_id: BlobId
    object_id: ObjectId
    was_certified: bool
    storage_pool_id: ObjectId


Event = (
    BlobRegistered
    | BlobCertified
    | BlobDeleted
    | InvalidBlobId
    | EpochChangeStart
    | EpochChangeDone
    | EpochParametersSelected
    | ShardsReceived
    | ShardRecoveryStart
    | PricesUpdated
    | ContractUpgraded
    | ContractUpgradeProposed
    | ContractUpgradeQuorumReached
    | ProtocolVersionUpdated
    | RegisterDenyListUpdate
    | DenyListUpdate
    | DenyListBlobDeleted
    | StoragePoolCreated
    | StoragePoolExtended
    | PooledBlobRegistered
    | PooledBlobCertified
    | PooledBlobDeleted
)


def decode(event_type: str, contents: bytes, *, packages: Container[str] | None = None) -> Event | None:
    """Turn an event of the chain into a value.

    Args:
        event_type: Move type, "0x<package>::events::<Name>".
        contents: BCS of the event.
        packages: ids of the packages whose events are Walrus's (every version that ever defined an event). Anybody can
            publish a module of the same name, so followers must name them; None trusts any package.

    Returns:
        The event, or None when it is not one of Walrus's.

    Raises:
        MalformedChainData: a Walrus event whose bytes do not have the known layout.
    """
    package, _, rest = event_type.partition("::")
    module, _, name = rest.partition("::")
    if module != EVENTS_MODULE or (packages is not None and package not in packages):
        return None
    reader_of = _DECODERS.get(name)
    if reader_of is None:
        return None
    try:
        reader = bcs.Reader(contents)
        event = reader_of(reader)
        reader.finish()
    except bcs.BcsError as error:
        raise MalformedChainData(f"event {event_type} does not have the known layout: {error}") from error
    return event


def event_name(event: Event) -> str:
    """Return the Move name of an event's type ("InvalidBlobID" is the only one that differs from the class name)."""
    return "InvalidBlobID" if isinstance(event, InvalidBlobId) else type(event).__name__


def _epoch(reader: bcs.Reader) -> Epoch:
    return Epoch(reader.u32())


def _blob_id(reader: bcs.Reader) -> BlobId:
    return BlobId(reader.fixed(32))  # the bytes of a little-endian u256 are the blob id itself


def _object_id(reader: bcs.Reader) -> ObjectId:
    return ObjectId("0x" + reader.fixed(32).hex())


def _node_id(reader: bcs.Reader) -> NodeId:
    return NodeId("0x" + reader.fixed(32).hex())


def _shards(reader: bcs.Reader) -> tuple[ShardIndex, ...]:
    return tuple(ShardIndex(reader.u16()) for _ in range(reader.uleb()))


# Arguments are evaluated from left to right, which is the order of the fields on the wire.
_DECODERS: dict[str, Callable[[bcs.Reader], Event]] = {
    "BlobRegistered": lambda r: BlobRegistered(
        _epoch(r), _blob_id(r), r.u64(), r.u8(), _epoch(r), r.boolean(), _object_id(r)
    ),
    "BlobCertified": lambda r: BlobCertified(
        _epoch(r), _blob_id(r), _epoch(r), r.boolean(), _object_id(r), r.boolean()
    ),
    "BlobDeleted": lambda r: BlobDeleted(_epoch(r), _blob_id(r), _epoch(r), _object_id(r), r.boolean()),
    "InvalidBlobID": lambda r: InvalidBlobId(_epoch(r), _blob_id(r)),
    "EpochChangeStart": lambda r: EpochChangeStart(_epoch(r)),
    "EpochChangeDone": lambda r: EpochChangeDone(_epoch(r)),
    "EpochParametersSelected": lambda r: EpochParametersSelected(_epoch(r)),
    "ShardsReceived": lambda r: ShardsReceived(_epoch(r), _shards(r)),
    "ShardRecoveryStart": lambda r: ShardRecoveryStart(_epoch(r), _shards(r)),
    "PricesUpdated": lambda r: PricesUpdated(_epoch(r), r.u64(), r.u64()),
    "ContractUpgraded": lambda r: ContractUpgraded(_epoch(r), _object_id(r), r.u64()),
    "ContractUpgradeProposed": lambda r: ContractUpgradeProposed(_epoch(r), r.bytes_()),
    "ContractUpgradeQuorumReached": lambda r: ContractUpgradeQuorumReached(_epoch(r), r.bytes_()),
    "ProtocolVersionUpdated": lambda r: ProtocolVersionUpdated(_epoch(r), _epoch(r), r.u64()),
    "RegisterDenyListUpdate": lambda r: RegisterDenyListUpdate(_epoch(r), r.fixed(32), r.u64(), _node_id(r)),
    "DenyListUpdate": lambda r: DenyListUpdate(_epoch(r), r.fixed(32), r.u64(), _node_id(r)),
    "DenyListBlobDeleted": lambda r: DenyListBlobDeleted(_epoch(r), _blob_id(r)),
    "StoragePoolCreated": lambda r: StoragePoolCreated(_epoch(r), _object_id(r), r.u64(), _epoch(r), _epoch(r)),
    "StoragePoolExtended": lambda r: StoragePoolExtended(_epoch(r), _object_id(r), _epoch(r)),
    "PooledBlobRegistered": lambda r: PooledBlobRegistered(
        _epoch(r), _blob_id(r), r.u64(), r.u8(), r.boolean(), _object_id(r), _object_id(r)
    ),
    "PooledBlobCertified": lambda r: PooledBlobCertified(
        _epoch(r), _blob_id(r), r.boolean(), _object_id(r), _object_id(r)
    ),
    "PooledBlobDeleted": lambda r: PooledBlobDeleted(_epoch(r), _blob_id(r), _object_id(r), r.boolean(), _object_id(r)),
}
