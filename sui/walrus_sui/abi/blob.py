"""Module `walrus::blob`: a registered blob, its attributes, and its end."""

from walrus_codec import bcs
from walrus_codec.types import BlobId, SuiAddress
from walrus_sui.abi import layout, ptb, storage_resource
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import BlobObject

MODULE = "blob"
BLOB = "Blob"


def burn(program: Program, contract: Contract, blob: Argument) -> Result:
    """Add `burn`: destroy the object with its storage at any time; no event tells the nodes, who keep the data."""
    return contract.call(program, MODULE, "burn", blob)


def add_metadata(program: Program, contract: Contract, blob: Argument, metadata: Argument) -> Result:
    """Add `add_metadata`. Aborts blob 7 when the blob has attributes."""
    return contract.call(program, MODULE, "add_metadata", blob, metadata)


def add_or_replace_metadata(program: Program, contract: Contract, blob: Argument, metadata: Argument) -> Result:
    """Add `add_or_replace_metadata`; the attributes before are dropped with the transaction."""
    return contract.call(program, MODULE, "add_or_replace_metadata", blob, metadata)


def take_metadata(program: Program, contract: Contract, blob: Argument) -> Result:
    """Add `take_metadata`: remove all attributes. Aborts blob 8 when there are none."""
    return contract.call(program, MODULE, "take_metadata", blob)


def insert_or_update_metadata_pair(
    program: Program, contract: Contract, blob: Argument, key: str, value: str
) -> Result:
    """Add `insert_or_update_metadata_pair`; makes the attributes when there are none."""
    return contract.call(program, MODULE, "insert_or_update_metadata_pair", blob, ptb.string(key), ptb.string(value))


def remove_metadata_pair_if_exists(program: Program, contract: Contract, blob: Argument, key: str) -> Result:
    """Add `remove_metadata_pair_if_exists`; does nothing when there is no such attribute."""
    return contract.call(program, MODULE, "remove_metadata_pair_if_exists", blob, ptb.string(key))


@layout.decoder("a Blob")
def decode(contents: bytes, *, owner: SuiAddress | None = None) -> BlobObject:
    """Decode a Blob object."""
    reader = bcs.Reader(contents)
    blob = read(reader, owner=owner)
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
        storage=storage_resource.read(reader),
        deletable=reader.boolean(),
        owner=owner,
    )
