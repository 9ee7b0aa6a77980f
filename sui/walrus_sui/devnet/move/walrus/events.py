"""Events (contract module events), in the order in which the contract declares their fields."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import ID, u8, u16, u32, u64, u256

MODULE = Module(WALRUS, "events")

_EVENT = "copy, drop"


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class BlobRegistered:
    """A blob was registered; `size` is the unencoded length."""

    epoch: u32
    blob_id: u256
    size: u64
    encoding_type: u8
    end_epoch: u32
    deletable: bool
    object_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class BlobCertified:
    """A blob was certified or extended; `epoch` is the one of the first certification."""

    epoch: u32
    blob_id: u256
    end_epoch: u32
    deletable: bool
    object_id: ID
    is_extension: bool


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class BlobDeleted:
    """A deletable blob was deleted by its owner."""

    epoch: u32
    blob_id: u256
    end_epoch: u32
    object_id: ID
    was_certified: bool


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class InvalidBlobID:
    """A blob id was proved badly encoded; it is dead for ever."""

    epoch: u32
    blob_id: u256


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class EpochChangeStart:
    """An epoch began; its committee moves shards now."""

    epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class EpochChangeDone:
    """A quorum has its shards; the epoch's clock starts."""

    epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class EpochParametersSelected:
    """Committee and capacity of the next epoch are fixed."""

    next_epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ShardsReceived:
    """A node has all its shards."""

    epoch: u32
    shards: list[u16]


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ShardRecoveryStart:
    """Declared by the contract, never emitted."""

    epoch: u32
    shards: list[u16]


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ContractUpgraded:
    """The contract's newest package is now `package_id`."""

    epoch: u32
    package_id: ID
    version: u64


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class RegisterDenyListUpdate:
    """A node announced a change of its deny list."""

    epoch: u32
    root: u256
    sequence_number: u64
    node_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class DenyListUpdate:
    """A node's deny list changed."""

    epoch: u32
    root: u256
    sequence_number: u64
    node_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class DenyListBlobDeleted:
    """A deny-listed blob was given up."""

    epoch: u32
    blob_id: u256


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ContractUpgradeProposed:
    """Somebody voted first for a package digest."""

    epoch: u32
    package_digest: bytes


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ContractUpgradeQuorumReached:
    """A package may be made the newest."""

    epoch: u32
    package_digest: bytes


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class ProtocolVersionUpdated:
    """A protocol version holds from `start_epoch` on."""

    epoch: u32
    start_epoch: u32
    protocol_version: u64


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class PricesUpdated:
    """Prices were recomputed from the votes."""

    epoch: u32
    storage_price: u64
    write_price: u64


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class StoragePoolCreated:
    """A storage pool came to be."""

    epoch: u32
    storage_pool_id: ID
    reserved_encoded_capacity_bytes: u64
    start_epoch: u32
    end_epoch: u32


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class PooledBlobRegistered:
    """A blob was registered in a storage pool."""

    epoch: u32
    blob_id: u256
    unencoded_size: u64
    encoding_type: u8
    deletable: bool
    object_id: ID
    storage_pool_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class PooledBlobCertified:
    """A pooled blob was certified."""

    epoch: u32
    blob_id: u256
    deletable: bool
    object_id: ID
    storage_pool_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class PooledBlobDeleted:
    """A pooled blob was deleted."""

    epoch: u32
    blob_id: u256
    object_id: ID
    was_certified: bool
    storage_pool_id: ID


@MODULE.struct(_EVENT)
@dataclass(frozen=True, slots=True)
class StoragePoolExtended:
    """A storage pool lasts longer."""

    epoch: u32
    storage_pool_id: ID
    new_end_epoch: u32
