"""Python values as Move values: what may stand for an argument, and how it is read.

Numbers are integers; bytes are bytes, lists of numbers, or text (UTF-8, or hexadecimal after ``0x``); addresses and ids
are text in any length, 32 bytes, or anything that has one: a handle, an account, a node; strings are text or bytes; an
option is None or the value; vectors are lists or tuples; maps are dictionaries.
"""

from collections.abc import Mapping
from typing import Any

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import ArithmeticFailure
from walrus_sui.devnet.move.core.types import Address, Bool, Bytes, MoveType, Option, String, Unsigned, VecMap, Vector
from walrus_sui.devnet.testing.accounts import Account, Node


class ArgumentError(TypeError):
    """An argument cannot stand for what the Move function takes. Remedy: the message names it and what is expected."""


def address_of(value: Any) -> ObjectId:
    """The address or id that a value stands for.

    Raises:
        ArgumentError: it stands for none.
    """
    match value:
        case Account():
            return ObjectId(value.address)
        case Node():
            return value.node_id
        case str():
            try:
                return tags.normalize_address(value)
            except tags.TypeTagError as error:
                raise ArgumentError(str(error)) from None
        case bytes() if len(value) == 32:
            return ObjectId("0x" + value.hex())
        case _:
            found = getattr(value, "id", None) or getattr(value, "object_id", None)
            if isinstance(found, str):
                return ObjectId(found)
    raise ArgumentError(f"{value!r} is no address or id, and has none")


def plain(move_type: MoveType, value: Any) -> Any:
    """The value as the Move type holds it in Python.

    Raises:
        ArgumentError: it cannot be read so.
    """
    match move_type:
        case Bool():
            if not isinstance(value, bool):
                raise ArgumentError(f"{value!r} is no bool")
            return value
        case Unsigned():
            return _number(move_type, value)
        case Address():
            return address_of(value)
        case String():
            return value.decode() if isinstance(value, bytes) else _of(str, value)
        case Bytes():
            return raw_bytes(value)
        case Option():
            return None if value is None else plain(move_type.element, value)
        case Vector():
            return [plain(move_type.element, item) for item in _of((list, tuple), value)]
        case VecMap():
            entries = _of(Mapping, value).items()
            return {plain(move_type.key, key): plain(move_type.value, item) for key, item in entries}
        case _:
            return value


def to_bcs(move_type: MoveType, value: Any) -> bytes:
    """BCS of a value given in any accepted form.

    Raises:
        ArgumentError: it is no value of the type.
    """
    try:
        return move_type.to_bcs(plain(move_type, value))
    except ArithmeticFailure as error:
        raise ArgumentError(str(error)) from None
    except (AttributeError, ValueError, KeyError) as error:
        raise ArgumentError(f"{value!r} is no {move_type.tag.name}: {error}") from None


def raw_bytes(value: Any) -> bytes:
    """Bytes given as bytes, numbers or text.

    Raises:
        ArgumentError: none of them.
    """
    match value:
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case str() if value.startswith("0x"):
            return bytes.fromhex(value[2:])
        case str():
            return value.encode()
        case list() | tuple():
            return bytes(value)
    raise ArgumentError(f"{value!r} is no vector<u8>: give bytes, a list of numbers or text")


def _number(move_type: Unsigned, value: Any) -> int:
    if isinstance(value, bytes) and len(value) == move_type.size:
        return int.from_bytes(value, "little")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ArgumentError(
            f"{value!r} is no {move_type.tag.name}: give a whole number, or its {move_type.size} little-endian bytes"
        )
    return value


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ArgumentError(f"{value!r} is no {getattr(kind, '__name__', 'list')}")
    return value
