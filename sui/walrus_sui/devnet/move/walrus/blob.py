"""Blobs on chain (contract module blob).

A blob is registered with storage, and certified once a quorum has confirmed to hold its slivers: that is the point from
which it must be available until the end of its storage. Deletable blobs are bound to their object.
"""

import hashlib
from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID, u8, u32, u64, u256
from walrus_sui.devnet.move.framework.std import borrow
from walrus_sui.devnet.move.walrus import metadata, storage_resource
from walrus_sui.devnet.move.walrus.encoding import encoded_blob_length
from walrus_sui.devnet.move.walrus.events import BlobCertified, BlobDeleted, BlobRegistered
from walrus_sui.devnet.move.walrus.messages import CertifiedBlobMessage
from walrus_sui.devnet.move.walrus.metadata import Attributes, Metadata
from walrus_sui.devnet.move.walrus.storage_resource import Storage

MODULE = Module(WALRUS, "blob", uses=(metadata.MODULE, storage_resource.MODULE))

E_NOT_CERTIFIED = MODULE.error(0, "ENotCertified")
E_BLOB_NOT_DELETABLE = MODULE.error(1, "EBlobNotDeletable")
E_RESOURCE_BOUNDS = MODULE.error(2, "EResourceBounds")
E_RESOURCE_SIZE = MODULE.error(3, "EResourceSize")
E_ALREADY_CERTIFIED = MODULE.error(5, "EAlreadyCertified")
E_INVALID_BLOB_ID = MODULE.error(6, "EInvalidBlobId")
E_DUPLICATE_METADATA = MODULE.error(7, "EDuplicateMetadata")
E_MISSING_METADATA = MODULE.error(8, "EMissingMetadata")
E_INVALID_BLOB_PERSISTENCE_TYPE = MODULE.error(9, "EInvalidBlobPersistenceType")
E_INVALID_BLOB_OBJECT = MODULE.error(10, "EInvalidBlobObject")

ATTRIBUTES = Attributes(E_DUPLICATE_METADATA, E_MISSING_METADATA)


@MODULE.struct("key, store")
@dataclass(slots=True)
class Blob:
    """A blob.

    Attributes:
        id: its object.
        registered_epoch: when it was registered.
        blob_id: the blob id as a number.
        size: unencoded bytes.
        encoding_type: how it is encoded.
        certified_epoch: when it was first certified, None until then.
        storage: what it lives in; ends its availability.
        deletable: whether its owner may delete it.
    """

    id: UID
    registered_epoch: u32
    blob_id: u256
    size: u64
    encoding_type: u8
    certified_epoch: u32 | None
    storage: Storage
    deletable: bool

    def certify_with_certified_msg(self, rt: Runtime, current_epoch: int, message: CertifiedBlobMessage) -> None:
        """Marks the blob as available, given a checked confirmation."""
        require(self.blob_id == message.blob_id, E_INVALID_BLOB_ID)
        require(self.certified_epoch is None, E_ALREADY_CERTIFIED)
        require(current_epoch < self.storage.end_epoch, E_RESOURCE_BOUNDS)
        require(self.deletable == message.is_deletable, E_INVALID_BLOB_PERSISTENCE_TYPE)
        if self.deletable:
            require(message.object_id == self.id, E_INVALID_BLOB_OBJECT)
        self.certified_epoch = current_epoch
        self.emit_certified(rt, is_extension=False)

    def assert_certified_not_expired(self, current_epoch: int) -> None:
        """Aborts unless the blob is certified and its storage has not ended."""
        require(self.certified_epoch is not None, E_NOT_CERTIFIED)
        require(current_epoch < self.storage.end_epoch, E_RESOURCE_BOUNDS)

    def extend_with_resource(self, rt: Runtime, extension: Storage, current_epoch: int) -> None:
        """Prolongs the blob with storage of the same size that follows its own."""
        self.assert_certified_not_expired(current_epoch)
        require(extension.end_epoch > self.storage.end_epoch, E_RESOURCE_BOUNDS)
        storage_resource.fuse_periods(rt, self.storage, extension)
        self.emit_certified(rt, is_extension=True)

    def delete(self, rt: Runtime, epoch: int) -> Storage:
        """Ends a deletable blob before its time; gives its storage back."""
        metadata.discard(rt, self.id)
        require(self.deletable, E_BLOB_NOT_DELETABLE)
        require(self.storage.end_epoch > epoch, E_RESOURCE_BOUNDS)
        rt.delete_uid(self.id)
        was_certified = self.certified_epoch is not None
        rt.emit(BlobDeleted(epoch, self.blob_id, self.storage.end_epoch, self.id, was_certified))
        return self.storage

    def emit_certified(self, rt: Runtime, *, is_extension: bool) -> None:
        """Tells nodes that the blob is available until the end of its storage."""
        epoch: int = borrow(self.certified_epoch)
        end_epoch = self.storage.end_epoch
        rt.emit(BlobCertified(epoch, self.blob_id, end_epoch, self.deletable, self.id, is_extension))


def new(
    rt: Runtime,
    storage: Storage,
    *,
    blob_id: int,
    root_hash: int,
    size: int,
    encoding_type: int,
    deletable: bool,
    registered_epoch: int,
    n_shards: int,
) -> Blob:
    """Registers a blob of `size` unencoded bytes in storage that must hold its encoded size now."""
    uid = rt.new_uid()
    require(registered_epoch >= storage.start_epoch, E_RESOURCE_BOUNDS)
    require(registered_epoch < storage.end_epoch, E_RESOURCE_BOUNDS)
    encoded_size = encoded_blob_length(rt, size, encoding_type, n_shards)
    require(encoded_size <= storage.storage_size, E_RESOURCE_SIZE)
    require(derive_blob_id(rt, root_hash, encoding_type, size) == blob_id, E_INVALID_BLOB_ID)
    rt.emit(BlobRegistered(registered_epoch, blob_id, size, encoding_type, storage.end_epoch, deletable, uid))
    return Blob(uid, registered_epoch, blob_id, size, encoding_type, None, storage, deletable)


@MODULE.public("(root_hash: u256, encoding_type: u8, size: u64): u256")
def derive_blob_id(_rt: Runtime, root_hash: int, encoding_type: int, size: int) -> int:
    """The blob id that commits to these three."""
    data = bcs.u8(encoding_type) + bcs.u64(size) + bcs.u256(root_hash)
    return int.from_bytes(hashlib.blake2b(data, digest_size=32).digest(), "little")


@MODULE.public("(self: &Blob): ID")
def object_id(_rt: Runtime, self: Blob) -> ObjectId:
    """Id of the object."""
    return self.id


@MODULE.public("(self: &Blob): u32")
def registered_epoch(_rt: Runtime, self: Blob) -> int:
    """When it was registered."""
    return self.registered_epoch


@MODULE.public("(self: &Blob): u256")
def blob_id(_rt: Runtime, self: Blob) -> int:
    """The blob id."""
    return self.blob_id


@MODULE.public("(self: &Blob): u64")
def size(_rt: Runtime, self: Blob) -> int:
    """Unencoded bytes."""
    return self.size


@MODULE.public("(self: &Blob): u8")
def encoding_type(_rt: Runtime, self: Blob) -> int:
    """How it is encoded."""
    return self.encoding_type


@MODULE.public("(self: &Blob): &Option<u32>")
def certified_epoch(_rt: Runtime, self: Blob) -> int | None:
    """When it was first certified."""
    return self.certified_epoch


@MODULE.public("(self: &Blob): &Storage")
def storage(_rt: Runtime, self: Blob) -> Storage:
    """What it lives in."""
    return self.storage


@MODULE.public("(self: &Blob): bool")
def is_deletable(_rt: Runtime, self: Blob) -> bool:
    """Whether its owner may delete it."""
    return self.deletable


@MODULE.public("(self: &Blob, n_shards: u16): u64")
def encoded_size(rt: Runtime, self: Blob, n_shards: int) -> int:
    """Encoded bytes with this number of shards."""
    return encoded_blob_length(rt, self.size, self.encoding_type, n_shards)


@MODULE.public("(self: &Blob): u32")
def end_epoch(_rt: Runtime, self: Blob) -> int:
    """First epoch in which it need not be available."""
    return self.storage.end_epoch


@MODULE.public("(self: Blob)")
def burn(rt: Runtime, self: Blob) -> None:
    """Ends the object and its storage at any time. Nodes do not hear of it and keep the data until its end."""
    metadata.discard(rt, self.id)
    rt.delete_uid(self.id)
    storage_resource.destroy(rt, self.storage)


@MODULE.public("(self: &mut Blob, metadata: Metadata)")
def add_metadata(rt: Runtime, self: Blob, metadata: Metadata) -> None:
    """Gives the blob attributes; aborts if it has some."""
    ATTRIBUTES.add_metadata(rt, self.id, metadata)


@MODULE.public("(self: &mut Blob, metadata: Metadata): Option<Metadata>")
def add_or_replace_metadata(rt: Runtime, self: Blob, metadata: Metadata) -> Metadata | None:
    """Gives the blob attributes; returns those that it had."""
    return ATTRIBUTES.add_or_replace_metadata(rt, self.id, metadata)


@MODULE.public("(self: &mut Blob): Metadata")
def take_metadata(rt: Runtime, self: Blob) -> Metadata:
    """Takes the attributes away; aborts if there are none."""
    return ATTRIBUTES.take_metadata(rt, self.id)


@MODULE.public("(self: &mut Blob, key: String, value: String)")
def insert_or_update_metadata_pair(rt: Runtime, self: Blob, key: str, value: str) -> None:
    """Sets one attribute."""
    ATTRIBUTES.insert_or_update_metadata_pair(rt, self.id, key, value)


@MODULE.public("(self: &mut Blob, key: &String): (String, String)")
def remove_metadata_pair(rt: Runtime, self: Blob, key: str) -> tuple[str, str]:
    """Takes one attribute out; aborts if it is not there."""
    return ATTRIBUTES.remove_metadata_pair(rt, self.id, key)


@MODULE.public("(self: &mut Blob, key: &String): Option<String>")
def remove_metadata_pair_if_exists(rt: Runtime, self: Blob, key: str) -> str | None:
    """Takes one attribute out, if it is there."""
    return ATTRIBUTES.remove_metadata_pair_if_exists(rt, self.id, key)
