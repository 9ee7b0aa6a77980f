"""Module `walrus::storage_pool`, and the calls of `walrus::system` on one: storage that many blobs share.

Every blob of a pool lives as long as the pool's storage. A pool holds each blob id once.
"""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, ObjectId, SuiAddress
from walrus_sui.abi import layout, ptb, storage_resource
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import NewBlob, PooledBlobObject, SignedMessage, StoragePoolObject

MODULE = "storage_pool"
STORAGE_POOL = "StoragePool"
_SYSTEM = "system"


def create(program: Program, contract: Contract, *, capacity: int, epochs_ahead: int, payment: Argument) -> Result:
    """Add `create_storage_pool`; returns the StoragePool, which must be transferred. Aborts as `reserve_space`."""
    arguments = (contract.system(mutable=True), ptb.u64(capacity), ptb.u32(epochs_ahead), payment)
    return contract.call(program, _SYSTEM, "create_storage_pool", *arguments)


def create_with_storage(program: Program, contract: Contract, storage: Argument) -> Result:
    """Add `create_storage_pool_with_storage`; returns the StoragePool, which must be transferred."""
    return contract.call(program, _SYSTEM, "create_storage_pool_with_storage", contract.system(mutable=False), storage)


def register(program: Program, contract: Contract, pool: Argument, new: NewBlob, *, payment: Argument) -> Result:
    """Add `register_pooled_blob`. Aborts storage_pool 1 (expired), 3 (blob id), 6 (full); dynamic_field 0 (twice)."""
    arguments = (
        contract.system(mutable=True),
        pool,
        ptb.fixed(new.blob_id),
        ptb.fixed(new.root_hash),
        ptb.u64(new.size),
        ptb.u8(new.encoding_type),
        ptb.boolean(value=new.deletable),
        payment,
    )
    return contract.call(program, _SYSTEM, "register_pooled_blob", *arguments)


def certify(program: Program, contract: Contract, pool: Argument, blob_id: BlobId, signed: SignedMessage) -> Result:
    """Add `certify_pooled_blob`. Aborts bls_aggregate 0, 1, 2; messages 1; storage_pool 1, 2, 3, 4, 5."""
    arguments = (contract.system(mutable=False), pool, ptb.fixed(blob_id), *layout.signed(signed))
    return contract.call(program, _SYSTEM, "certify_pooled_blob", *arguments)


def delete(program: Program, contract: Contract, pool: Argument, blob_id: BlobId) -> Result:
    """Add `delete_pooled_blob`. Aborts storage_pool 0 (not deletable), 1 (expired)."""
    arguments = (contract.system(mutable=False), pool, ptb.fixed(blob_id))
    return contract.call(program, _SYSTEM, "delete_pooled_blob", *arguments)


def burn_expired(program: Program, contract: Contract, pool: Argument, blob_id: BlobId) -> Result:
    """Add `burn_expired_pooled_blob`. Aborts storage_pool 1 when the pool has not expired."""
    arguments = (contract.system(mutable=False), pool, ptb.fixed(blob_id))
    return contract.call(program, _SYSTEM, "burn_expired_pooled_blob", *arguments)


def extend(program: Program, contract: Contract, pool: Argument, epochs: int, *, payment: Argument) -> Result:
    """Add `extend_storage_pool`: the pool and all its blobs live longer."""
    arguments = (contract.system(mutable=True), pool, ptb.u32(epochs), payment)
    return contract.call(program, _SYSTEM, "extend_storage_pool", *arguments)


def increase(program: Program, contract: Contract, pool: Argument, size: int, *, payment: Argument) -> Result:
    """Add `increase_storage_pool_capacity`."""
    arguments = (contract.system(mutable=True), pool, ptb.u64(size), payment)
    return contract.call(program, _SYSTEM, "increase_storage_pool_capacity", *arguments)


def increase_with_storage(program: Program, contract: Contract, pool: Argument, storage: Argument) -> Result:
    """Add `increase_storage_pool_capacity_with_storage`. Aborts storage_pool 11 when it does not end with the pool."""
    arguments = (contract.system(mutable=False), pool, storage)
    return contract.call(program, _SYSTEM, "increase_storage_pool_capacity_with_storage", *arguments)


def decrease_by_size(program: Program, contract: Contract, pool: Argument, size: int) -> Result:
    """Add `decrease_storage_pool_capacity_by_size`; returns the Storage. Aborts system 2 (0), storage_pool 6."""
    arguments = (contract.system(mutable=False), pool, ptb.u64(size))
    return contract.call(program, _SYSTEM, "decrease_storage_pool_capacity_by_size", *arguments)


def decrease_by_percent(program: Program, contract: Contract, pool: Argument, percent: int) -> Result:
    """Add `decrease_storage_pool_unused_capacity_by_percent`; returns the Storage. Aborts system 2, storage_pool 14."""
    arguments = (contract.system(mutable=False), pool, ptb.u8(percent))
    return contract.call(program, _SYSTEM, "decrease_storage_pool_unused_capacity_by_percent", *arguments)


def destroy(program: Program, contract: Contract, pool: Argument) -> Result:
    """Add `destroy`; returns the Storage. Aborts storage_pool 7 when blobs are left."""
    return contract.call(program, MODULE, "destroy", pool)


@dataclass(frozen=True)
class PoolObject:
    """The small object in front of a pool's state, which is a dynamic field under the version."""

    object_id: ObjectId
    version: int


@layout.decoder("a StoragePool")
def decode(contents: bytes) -> PoolObject:
    """Decode a StoragePool object."""
    reader = bcs.Reader(contents)
    pool = PoolObject(layout.object_id(reader), reader.u64())
    reader.finish()
    return pool


def read_inner(reader: bcs.Reader, *, object_id: ObjectId, owner: SuiAddress | None) -> StoragePoolObject:
    """Read StoragePoolInnerV1."""
    storage, used, count = storage_resource.read(reader), reader.u64(), reader.u64()
    return StoragePoolObject(object_id, storage, used, count, layout.table(reader), owner)


@layout.decoder("a PooledBlob")
def decode_blob(contents: bytes) -> PooledBlobObject:
    """Decode a PooledBlob object."""
    reader = bcs.Reader(contents)
    blob = PooledBlobObject(
        object_id=layout.object_id(reader),
        registered_epoch=layout.epoch(reader),
        blob_id=BlobId(reader.fixed(32)),
        size=reader.u64(),
        encoding_type=reader.u8(),
        certified_epoch=reader.option(layout.epoch),
        pool_id=layout.object_id(reader),
        deletable=reader.boolean(),
    )
    reader.finish()
    return blob
