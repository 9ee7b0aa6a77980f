"""Dynamic fields: where versioned state and extended fields of the contract live.

`System` and `Staking` keep their state in a dynamic field whose key is the u64 version; an `ExtendedField` keeps its
value under the key `Key()` of module `walrus::extended_field`. The object that holds a field is
`Field<Name, Value> {id, name, value}`, and its id follows from parent and key, so no listing is needed.
"""

from collections.abc import Callable
from typing import TypeVar

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.abi import layout
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.move_types import dynamic_field_id

T = TypeVar("T")


def versioned_id(parent: ObjectId, version: int) -> ObjectId:
    """Return the id of the object that holds the inner state of `System` or `Staking`."""
    return dynamic_field_id(parent, "u64", bcs.u64(version))


def extended_id(field: ObjectId, contract: Contract) -> ObjectId:
    """Return the id of the object that holds an ExtendedField's value."""
    return dynamic_field_id(field, contract.type_name("extended_field", "Key"), layout.UNIT_STRUCT)


@layout.decoder("a dynamic field")
def decode_value(contents: bytes, *, key_length: int, read: Callable[[bcs.Reader], T]) -> T:
    """Decode the value of a field object.

    Args:
        contents: BCS of `Field<Name, Value>`.
        key_length: bytes of the key: 8 for a version, 1 for an extended field.
        read: reader of the value, which must use up all of it.

    Raises:
        MalformedChainData: the bytes do not fit.
    """
    reader = bcs.Reader(contents)
    reader.fixed(32 + key_length)
    value = read(reader)
    reader.finish()
    return value
