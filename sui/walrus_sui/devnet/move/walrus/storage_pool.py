"""Storage for many blobs (contract module storage_pool).

A pool owns one `Storage`, whose bytes its blobs share and whose end is the end of them all. Blobs are objects in the
pool's table, one per blob id; they cannot leave it. The pool object is small; its state lies in a dynamic field under
the version's number. What needs the system (epoch, prices, certificates) is in `system_pools`.
"""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ID, U64, U256, UID, u8, u32, u64, u256
from walrus_sui.devnet.move.framework.fields import DynamicField, ObjectTable, TableValue
from walrus_sui.devnet.move.walrus import metadata as attributes
from walrus_sui.devnet.move.walrus import storage_resource
from walrus_sui.devnet.move.walrus.blob import derive_blob_id
from walrus_sui.devnet.move.walrus.encoding import encoded_blob_length
from walrus_sui.devnet.move.walrus.events import PooledBlobCertified, PooledBlobDeleted, PooledBlobRegistered
from walrus_sui.devnet.move.walrus.messages import CertifiedBlobMessage
from walrus_sui.devnet.move.walrus.metadata import Attributes, Metadata
from walrus_sui.devnet.move.walrus.storage_resource import Storage

MODULE = Module(WALRUS, "storage_pool", uses=(attributes.MODULE, storage_resource.MODULE))

VERSION = 1

E_BLOB_NOT_DELETABLE = MODULE.error(0, "EBlobNotDeletable")
E_RESOURCE_BOUNDS = MODULE.error(1, "EResourceBounds")
E_ALREADY_CERTIFIED = MODULE.error(2, "EAlreadyCertified")
E_INVALID_BLOB_ID = MODULE.error(3, "EInvalidBlobId")
E_INVALID_BLOB_PERSISTENCE_TYPE = MODULE.error(4, "EInvalidBlobPersistenceType")
E_INVALID_BLOB_OBJECT = MODULE.error(5, "EInvalidBlobObject")
E_INSUFFICIENT_CAPACITY = MODULE.error(6, "EInsufficientCapacity")
E_POOL_NOT_EMPTY = MODULE.error(7, "EPoolNotEmpty")
E_INVALID_BLOB_SIZE = MODULE.error(8, "EInvalidBlobSize")
E_INVALID_BLOB_COUNT = MODULE.error(9, "EInvalidBlobCount")
E_WRONG_VERSION = MODULE.error(10, "EWrongVersion")
E_INCOMPATIBLE_END_EPOCH = MODULE.error(11, "EIncompatibleEndEpoch")
E_DUPLICATE_METADATA = MODULE.error(12, "EDuplicateMetadata")
E_MISSING_METADATA = MODULE.error(13, "EMissingMetadata")
E_INVALID_PERCENT = MODULE.error(14, "EInvalidPercent")

ATTRIBUTES = Attributes(E_DUPLICATE_METADATA, E_MISSING_METADATA)


@MODULE.struct("key, store")
@dataclass(slots=True)
class StoragePool:
    """The pool as its owner holds it."""

    id: UID
    version: u64


@MODULE.struct("key, store")
@dataclass(slots=True)
class PooledBlob:
    """A blob in a pool; fields as those of `walrus_sui.devnet.move.walrus.blob.Blob`, with the pool for the storage."""

    id: UID
    registered_epoch: u32
    blob_id: u256
    unencoded_size: u64
    encoding_type: u8
    certified_epoch: u32 | None
    storage_pool_id: ID
    deletable: bool

    def certify(self, rt: Runtime, current_epoch: int, end_epoch: int, message: CertifiedBlobMessage) -> None:
        """Marks the blob as available, given a checked confirmation."""
        require(self.blob_id == message.blob_id, E_INVALID_BLOB_ID)
        # The end comes before "already certified" here; `Blob` checks the other way round.
        require(current_epoch < end_epoch, E_RESOURCE_BOUNDS)
        require(self.certified_epoch is None, E_ALREADY_CERTIFIED)
        self.certified_epoch = current_epoch
        require(self.deletable == message.is_deletable, E_INVALID_BLOB_PERSISTENCE_TYPE)
        if self.deletable:
            require(message.object_id == self.id, E_INVALID_BLOB_OBJECT)
        rt.emit(PooledBlobCertified(current_epoch, self.blob_id, self.deletable, self.id, self.storage_pool_id))

    def delete_blob_object(self, rt: Runtime, epoch: int) -> None:
        """Ends a deletable blob that was taken out of its pool."""
        attributes.discard(rt, self.id)
        require(self.deletable, E_BLOB_NOT_DELETABLE)
        rt.delete_uid(self.id)
        was_certified = self.certified_epoch is not None
        rt.emit(PooledBlobDeleted(epoch, self.blob_id, self.id, was_certified, self.storage_pool_id))

    def burn_blob_object(self, rt: Runtime) -> None:
        """Ends a blob that was taken out of its pool, of whatever kind, without a word."""
        attributes.discard(rt, self.id)
        rt.delete_uid(self.id)


BLOBS: ObjectTable[int, PooledBlob] = ObjectTable(U256, PooledBlob)


@MODULE.struct("store")
@dataclass(slots=True)
class StoragePoolInnerV1:
    """The state of a pool.

    Attributes:
        storage: bytes and period that the blobs share.
        used_encoded_bytes: what they take.
        blob_count: how many there are.
        blobs: by blob id.
    """

    storage: Storage
    used_encoded_bytes: u64
    blob_count: u64
    blobs: TableValue

    @property
    def unused(self) -> int:
        """Bytes that no blob takes."""
        return as_u64(self.storage.storage_size - self.used_encoded_bytes)

    def add_blob(self, rt: Runtime, blob: PooledBlob, encoded_size: int) -> None:
        """Puts a blob in; aborts if there is no room, or one with this id."""
        self.blob_count = as_u64(self.blob_count + 1)
        self.used_encoded_bytes = as_u64(self.used_encoded_bytes + encoded_size)
        require(self.used_encoded_bytes <= self.storage.storage_size, E_INSUFFICIENT_CAPACITY)
        BLOBS.add(rt, self.blobs, blob.blob_id, blob)

    def remove_blob(self, rt: Runtime, blob_id: int, n_shards: int) -> PooledBlob:
        """Takes a blob out; aborts if there is none with this id."""
        blob = BLOBS.borrow(rt, self.blobs, blob_id)
        encoded_size = encoded_blob_length(rt, blob.unencoded_size, blob.encoding_type, n_shards)
        require(self.used_encoded_bytes >= encoded_size, E_INVALID_BLOB_SIZE)
        self.used_encoded_bytes -= encoded_size
        require(self.blob_count >= 1, E_INVALID_BLOB_COUNT)
        self.blob_count -= 1
        return BLOBS.remove(rt, self.blobs, blob_id)

    def increase_capacity_with_storage(self, rt: Runtime, other: Storage, current_epoch: int) -> None:
        """Adds storage that has begun and ends with the pool; when it began does not matter."""
        require(other.start_epoch <= current_epoch, E_RESOURCE_BOUNDS)
        require(other.end_epoch == self.storage.end_epoch, E_INCOMPATIBLE_END_EPOCH)
        self.storage.increase_size(other.storage_size)
        storage_resource.destroy(rt, other)

    def decrease_capacity_by_size(self, rt: Runtime, extract_size: int) -> Storage | None:
        """Takes unused bytes out; None for no bytes."""
        if extract_size == 0:
            return None
        require(self.unused >= extract_size, E_INSUFFICIENT_CAPACITY)
        return storage_resource.split_by_size(rt, self.storage, self.storage.storage_size - extract_size)

    def decrease_unused_capacity_by_percent(self, rt: Runtime, percent: int) -> Storage | None:
        """Takes a part of the unused bytes out, rounded down; None for no bytes."""
        require(percent <= 100, E_INVALID_PERCENT)
        return self.decrease_capacity_by_size(rt, self.unused * percent // 100)


INNER: DynamicField[int, StoragePoolInnerV1] = DynamicField(U64, StoragePoolInnerV1)


def create(rt: Runtime, storage: Storage) -> StoragePool:
    """An empty pool with this storage."""
    pool = StoragePool(rt.new_uid(), VERSION)
    INNER.add(rt, pool.id, VERSION, StoragePoolInnerV1(storage, 0, 0, TableValue.new(rt)))
    return pool


def inner(rt: Runtime, self: StoragePool) -> StoragePoolInnerV1:
    """The state, to be read; aborts on a pool of another version."""
    require(self.version == VERSION, E_WRONG_VERSION)
    return INNER.borrow(rt, self.id, VERSION)


def inner_mut(rt: Runtime, self: StoragePool) -> StoragePoolInnerV1:
    """The state, to be changed; aborts on a pool of another version."""
    require(self.version == VERSION, E_WRONG_VERSION)
    return INNER.borrow_mut(rt, self.id, VERSION)


def new_pooled_blob(
    rt: Runtime,
    storage_pool_id: ObjectId,
    *,
    blob_id: int,
    root_hash: int,
    unencoded_size: int,
    encoding_type: int,
    deletable: bool,
    registered_epoch: int,
) -> PooledBlob:
    """Registers a blob; its pool must take it."""
    require(derive_blob_id(rt, root_hash, encoding_type, unencoded_size) == blob_id, E_INVALID_BLOB_ID)
    uid = rt.new_uid()
    rt.emit(
        PooledBlobRegistered(registered_epoch, blob_id, unencoded_size, encoding_type, deletable, uid, storage_pool_id)
    )
    return PooledBlob(uid, registered_epoch, blob_id, unencoded_size, encoding_type, None, storage_pool_id, deletable)


@MODULE.public("(self: StoragePool): Storage")
def destroy(rt: Runtime, self: StoragePool) -> Storage:
    """Ends an empty pool, expired or not; gives its storage."""
    state = INNER.remove(rt, self.id, self.version)
    require(state.blob_count == 0, E_POOL_NOT_EMPTY)
    rt.delete_uid(state.blobs.id)
    rt.delete_uid(self.id)
    return state.storage


# Views


@MODULE.public("(self: &StoragePool): ID")
def object_id(_rt: Runtime, self: StoragePool) -> ObjectId:
    """Id of the pool."""
    return self.id


@MODULE.public("(self: &StoragePool): u32")
def start_epoch(rt: Runtime, self: StoragePool) -> int:
    """First epoch."""
    return inner(rt, self).storage.start_epoch


@MODULE.public("(self: &StoragePool): u32")
def end_epoch(rt: Runtime, self: StoragePool) -> int:
    """First epoch in which its blobs need not be available."""
    return inner(rt, self).storage.end_epoch


@MODULE.public("(self: &StoragePool): u64")
def reserved_encoded_capacity_bytes(rt: Runtime, self: StoragePool) -> int:
    """Bytes that it has."""
    return inner(rt, self).storage.storage_size


@MODULE.public("(self: &StoragePool): u64")
def used_encoded_bytes(rt: Runtime, self: StoragePool) -> int:
    """Bytes that its blobs take."""
    return inner(rt, self).used_encoded_bytes


@MODULE.public("(self: &StoragePool): u64")
def available_encoded_bytes(rt: Runtime, self: StoragePool) -> int:
    """Bytes that are left."""
    return inner(rt, self).unused


@MODULE.public("(self: &StoragePool): &Storage")
def storage(rt: Runtime, self: StoragePool) -> Storage:
    """What its blobs live in."""
    return inner(rt, self).storage


@MODULE.public("(self: &StoragePool): u64")
def blob_count(rt: Runtime, self: StoragePool) -> int:
    """How many blobs it has."""
    return inner(rt, self).blob_count


@MODULE.public("(self: &StoragePool, blob_id: u256): bool")
def contains_blob(rt: Runtime, self: StoragePool, blob_id: int) -> bool:
    """Whether it has a blob with this id."""
    return BLOBS.contains(rt, inner(rt, self).blobs, blob_id)


@MODULE.public("(self: &StoragePool, blob_id: u256): ID")
def blob_object_id(rt: Runtime, self: StoragePool, blob_id: int) -> ObjectId:
    """Id of a blob's object; aborts if it has no such blob."""
    return BLOBS.borrow(rt, inner(rt, self).blobs, blob_id).id


# Attributes of its blobs


def _blob(rt: Runtime, self: StoragePool, blob_id: int) -> ObjectId:
    return BLOBS.borrow_mut(rt, inner_mut(rt, self).blobs, blob_id).id


@MODULE.public("(self: &mut StoragePool, blob_id: u256, metadata: Metadata)")
def add_blob_metadata(rt: Runtime, self: StoragePool, blob_id: int, metadata: Metadata) -> None:
    """Gives a blob attributes; aborts if it has some."""
    ATTRIBUTES.add_metadata(rt, _blob(rt, self, blob_id), metadata)


@MODULE.public("(self: &mut StoragePool, blob_id: u256, metadata: Metadata): Option<Metadata>")
def add_or_replace_blob_metadata(rt: Runtime, self: StoragePool, blob_id: int, metadata: Metadata) -> Metadata | None:
    """Gives a blob attributes; returns those that it had."""
    return ATTRIBUTES.add_or_replace_metadata(rt, _blob(rt, self, blob_id), metadata)


@MODULE.public("(self: &mut StoragePool, blob_id: u256): Metadata")
def take_blob_metadata(rt: Runtime, self: StoragePool, blob_id: int) -> Metadata:
    """Takes a blob's attributes away; aborts if there are none."""
    return ATTRIBUTES.take_metadata(rt, _blob(rt, self, blob_id))


@MODULE.public("(self: &mut StoragePool, blob_id: u256, key: String, value: String)")
def insert_or_update_blob_metadata_pair(rt: Runtime, self: StoragePool, blob_id: int, key: str, value: str) -> None:
    """Sets one attribute of a blob."""
    ATTRIBUTES.insert_or_update_metadata_pair(rt, _blob(rt, self, blob_id), key, value)


@MODULE.public("(self: &mut StoragePool, blob_id: u256, key: &String): (String, String)")
def remove_blob_metadata_pair(rt: Runtime, self: StoragePool, blob_id: int, key: str) -> tuple[str, str]:
    """Takes one attribute of a blob out; aborts if it is not there."""
    return ATTRIBUTES.remove_metadata_pair(rt, _blob(rt, self, blob_id), key)


@MODULE.public("(self: &mut StoragePool, blob_id: u256, key: &String): Option<String>")
def remove_blob_metadata_pair_if_exists(rt: Runtime, self: StoragePool, blob_id: int, key: str) -> str | None:
    """Takes one attribute of a blob out, if it is there."""
    return ATTRIBUTES.remove_metadata_pair_if_exists(rt, _blob(rt, self, blob_id), key)
