"""Modules `walrus::blob`, `walrus::storage_resource` and `walrus::shared_blob`: what a store leaves on chain."""

from walrus_codec import bcs
from walrus_codec.types import BlobId, SuiAddress
from walrus_sui.abi import layout
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, MoveCall, Program, Result
from walrus_sui.types import BlobObject, StorageObject

MODULE = "blob"
BLOB = "Blob"
SHARED_MODULE = "shared_blob"
SHARED_BLOB = "SharedBlob"


def share(program: Program, contract: Contract, blob: Argument) -> Result:
    """Add `shared_blob::new`: wrap a blob so that anyone may fund and extend it."""
    return program.add(MoveCall(contract.package_id, SHARED_MODULE, "new", (blob,)))


@layout.decoder("a Blob")
def decode(contents: bytes, *, owner: SuiAddress | None = None) -> BlobObject:
    """Decode a Blob object."""
    reader = bcs.Reader(contents)
    blob = read(reader, owner=owner)
    reader.finish()
    return blob


@layout.decoder("a SharedBlob")
def decode_shared(contents: bytes) -> BlobObject:
    """Decode a SharedBlob object and return the blob inside."""
    reader = bcs.Reader(contents)
    layout.object_id(reader)
    blob = read(reader)
    reader.u64()  # funds
    reader.finish()
    return blob


def read(reader: bcs.Reader, *, owner: SuiAddress | None = None) -> BlobObject:
    """Read a Blob."""
    return BlobObject(
        object_id=layout.object_id(reader),
        registered_epoch=layout.epoch(reader),
        blob_id=BlobId(reader.fixed(32)),  # the bytes of the little-endian u256 are the blob id
        size=reader.u64(),
        encoding_type=reader.u8(),
        certified_epoch=reader.option(layout.epoch),
        storage=_storage(reader),
        deletable=reader.boolean(),
        owner=owner,
    )


def _storage(reader: bcs.Reader) -> StorageObject:
    return StorageObject(layout.object_id(reader), layout.epoch(reader), layout.epoch(reader), reader.u64())
