"""Module `walrus::metadata`: attributes of a blob, texts by text. They belong to the object, not to the blob id."""

from collections.abc import Mapping

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.abi import layout, move_types, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Program, Result

MODULE = "metadata"
FIELD_KEY = b"metadata"
"""Key of the dynamic field (a vector<u8>) that holds the attributes of a blob."""


def new(program: Program, contract: Contract, attributes: Mapping[str, str]) -> Result:
    """Add the calls that make a Metadata value."""
    made = contract.call(program, MODULE, "new")
    for key, value in attributes.items():
        contract.call(program, MODULE, "insert_or_update", made, ptb.string(key), ptb.string(value))
    return made


def field_id(blob: ObjectId) -> ObjectId:
    """Return the id of the object that holds the attributes of a Blob or pooled blob."""
    return move_types.dynamic_field_id(blob, "vector<u8>", bcs.bytes_(FIELD_KEY))


def read(reader: bcs.Reader) -> dict[str, str]:
    """Read a Metadata value."""
    return dict(layout.vec_map(bcs.Reader.string, bcs.Reader.string)(reader))
