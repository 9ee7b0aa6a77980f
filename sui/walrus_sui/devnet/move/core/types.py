"""Move types as Python sees them: how a value looks in Python, and its BCS and JSON.

A `MoveType` joins a tag, abilities and both directions of BCS. Move values in Python are: integers, bools, ``str`` for
addresses, ids and strings, ``bytes`` for ``vector<u8>``, lists for other vectors, None or the value for ``Option``,
dictionaries for ``VecMap`` (both keep insertion order), instances of a registered class for structs and enum variants.

Classes write their fields with the aliases below (``epoch: u32``), in the order of the Move struct; `type_of` turns such
an annotation into its `MoveType`.
"""

# ruff: noqa: D102 - write, read, to_json and copy are described once, in MoveType

import base64
import struct as packing
import types
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from walrus_codec import bcs
from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import ArithmeticFailure
from walrus_sui.devnet.move.core.packages import STD, SUI
from walrus_sui.devnet.move.core.tags import TypeTag

Abilities = frozenset[str]
VALUE: Abilities = frozenset({"copy", "drop", "store"})
JSON = None | bool | int | str | list["JSON"] | dict[str, "JSON"]


class MoveType(ABC):
    """A concrete Move type.

    Attributes:
        tag: its name, with package aliases.
        abilities: ``copy``, ``drop``, ``store``, ``key``.
        is_pure: whether a value may come from a client as plain bytes.
    """

    def __init__(self, tag: TypeTag, abilities: Abilities, *, is_pure: bool = False) -> None:
        self.tag = tag
        self.abilities = abilities
        self.is_pure = is_pure

    @abstractmethod
    def write(self, value: Any, out: bytearray) -> None:
        """Appends the BCS of a value.

        Raises:
            ArithmeticFailure: an integer is out of its range.
        """

    @abstractmethod
    def read(self, reader: bcs.Reader) -> Any:
        """Reads a value; raises `bcs.BcsError`."""

    @abstractmethod
    def to_json(self, value: Any) -> JSON:
        """The value as Sui renders it: integers above 32 bits, addresses and ids as strings, bytes as base64."""

    def to_bcs(self, value: Any) -> bytes:
        """BCS of a value."""
        out = bytearray()
        self.write(value, out)
        return bytes(out)

    def from_bcs(self, data: bytes) -> Any:
        """Reads a value that takes all of `data`; raises `bcs.BcsError`."""
        reader = bcs.Reader(data)
        value = self.read(reader)
        reader.finish()
        return value

    def copy(self, value: Any) -> Any:
        """A copy that shares nothing with the value."""
        return self.from_bcs(self.to_bcs(value))

    def __repr__(self) -> str:
        return f"<{self.tag}>"


class Unsigned(MoveType):
    """``u8`` to ``u256``."""

    def __init__(self, bits: int) -> None:
        super().__init__(TypeTag(f"u{bits}"), VALUE, is_pure=True)
        self.size = bits // 8

    def write(self, value: Any, out: bytearray) -> None:
        try:
            out += value.to_bytes(self.size, "little")
        except OverflowError:
            raise ArithmeticFailure(f"{value} is no {self.tag.name}") from None

    def read(self, reader: bcs.Reader) -> int:
        return int.from_bytes(reader.fixed(self.size), "little")

    def to_json(self, value: Any) -> JSON:
        return int(value) if self.size <= 4 else str(value)

    def copy(self, value: Any) -> Any:
        return value


class Bool(MoveType):
    """``bool``."""

    def __init__(self) -> None:
        super().__init__(tags.BOOL, VALUE, is_pure=True)

    def write(self, value: Any, out: bytearray) -> None:
        out.append(1 if value else 0)

    def read(self, reader: bcs.Reader) -> bool:
        return reader.boolean()

    def to_json(self, value: Any) -> JSON:
        return bool(value)


class Address(MoveType):
    """``address``, ``0x2::object::ID`` and ``0x2::object::UID``: 32 bytes, as canonical text in Python."""

    def __init__(self, tag: TypeTag, abilities: Abilities) -> None:
        super().__init__(tag, abilities, is_pure="copy" in abilities)  # a UID never comes from outside

    def write(self, value: Any, out: bytearray) -> None:
        out += bytes.fromhex(value[2:])

    def read(self, reader: bcs.Reader) -> str:
        return "0x" + reader.fixed(32).hex()

    def to_json(self, value: Any) -> JSON:
        return str(value)

    def copy(self, value: Any) -> Any:
        return value


class String(MoveType):
    """``0x1::string::String``, or ``0x1::ascii::String`` with printable and other 7-bit characters only."""

    def __init__(self, tag: TypeTag, *, ascii_only: bool) -> None:
        super().__init__(tag, VALUE, is_pure=True)
        self._ascii_only = ascii_only

    def write(self, value: Any, out: bytearray) -> None:
        out += bcs.string(value)

    def read(self, reader: bcs.Reader) -> str:
        text = reader.string()
        if self._ascii_only and not text.isascii():
            raise bcs.BcsError("string is not ASCII")
        return text

    def to_json(self, value: Any) -> JSON:
        return str(value)

    def copy(self, value: Any) -> Any:
        return value


class Bytes(MoveType):
    """``vector<u8>``, and structs with such a vector as their only field, like ``0x2::group_ops::Element``."""

    def __init__(self, tag: TypeTag, abilities: Abilities = VALUE) -> None:
        super().__init__(tag, abilities, is_pure=tag.is_vector)

    def write(self, value: Any, out: bytearray) -> None:
        out += bcs.uleb(len(value))
        out += value

    def read(self, reader: bcs.Reader) -> bytes:
        return reader.bytes_()

    def to_json(self, value: Any) -> JSON:
        return base64.b64encode(value).decode()

    def copy(self, value: Any) -> Any:
        return value


class Vector(MoveType):
    """``vector<T>`` for anything but ``u8``."""

    def __init__(self, element: MoveType) -> None:
        super().__init__(tags.vector(element.tag), element.abilities - {"key"}, is_pure=element.is_pure)
        self.element = element
        self._shorts = element.tag == tags.U16

    def write(self, value: Any, out: bytearray) -> None:
        out += bcs.uleb(len(value))
        if self._shorts:  # shard lists: by far the longest vectors
            try:
                out += packing.pack(f"<{len(value)}H", *value)
            except packing.error:
                raise ArithmeticFailure("value is no u16") from None
            return
        for item in value:
            self.element.write(item, out)

    def read(self, reader: bcs.Reader) -> list[Any]:
        count = reader.uleb()
        if self._shorts:
            return list(packing.unpack(f"<{count}H", reader.view(2 * count)))
        if count > reader.remaining:
            raise bcs.BcsError(f"vector of {count} elements, but only {reader.remaining} bytes are left")
        read = self.element.read
        return [read(reader) for _ in range(count)]

    def to_json(self, value: Any) -> JSON:
        return [self.element.to_json(item) for item in value]


class Option(MoveType):
    """``0x1::option::Option<T>``: None or the value."""

    def __init__(self, element: MoveType) -> None:
        tag = tags.struct(STD, "option", "Option", element.tag)
        super().__init__(tag, element.abilities & VALUE, is_pure=element.is_pure)
        self.element = element

    def write(self, value: Any, out: bytearray) -> None:
        if value is None:
            out.append(0)
        else:
            out.append(1)
            self.element.write(value, out)

    def read(self, reader: bcs.Reader) -> Any:
        return self.element.read(reader) if reader.boolean() else None

    def to_json(self, value: Any) -> JSON:
        return None if value is None else self.element.to_json(value)


class VecMap(MoveType):
    """``0x2::vec_map::VecMap<K, V>``: a dictionary; like the vector it stands for, it keeps the order of insertion."""

    def __init__(self, key: MoveType, value: MoveType) -> None:
        tag = tags.struct(SUI, "vec_map", "VecMap", key.tag, value.tag)
        super().__init__(tag, key.abilities & value.abilities & VALUE)
        self.key = key
        self.value = value

    def write(self, value: Any, out: bytearray) -> None:
        out += bcs.uleb(len(value))
        for key, item in value.items():
            self.key.write(key, out)
            self.value.write(item, out)

    def read(self, reader: bcs.Reader) -> dict[Any, Any]:
        count = reader.uleb()
        if count > reader.remaining:
            raise bcs.BcsError(f"map of {count} entries, but only {reader.remaining} bytes are left")
        read_key, read_value = self.key.read, self.value.read
        entries = [(read_key(reader), read_value(reader)) for _ in range(count)]
        found = dict(entries)
        if len(found) != count:
            raise bcs.BcsError("map with a key twice")
        return found

    def to_json(self, value: Any) -> JSON:
        entries: list[JSON] = [
            {"key": self.key.to_json(key), "value": self.value.to_json(item)} for key, item in value.items()
        ]
        return {"contents": entries}


U8, U16, U32, U64, U128, U256 = (Unsigned(bits) for bits in (8, 16, 32, 64, 128, 256))
BOOL = Bool()
ADDRESS = Address(tags.ADDRESS, VALUE)
ID_TYPE = Address(tags.struct(SUI, "object", "ID"), VALUE)
UID_TYPE = Address(tags.struct(SUI, "object", "UID"), frozenset({"store"}))
STRING = String(tags.struct(STD, "string", "String"), ascii_only=False)
ASCII = String(tags.struct(STD, "ascii", "String"), ascii_only=True)
BYTES = Bytes(tags.vector(tags.U8))

u8 = Annotated[int, U8]
u16 = Annotated[int, U16]
u32 = Annotated[int, U32]
u64 = Annotated[int, U64]
u128 = Annotated[int, U128]
u256 = Annotated[int, U256]
address = Annotated[SuiAddress, ADDRESS]
ID = Annotated[ObjectId, ID_TYPE]
UID = Annotated[ObjectId, UID_TYPE]
string = Annotated[str, STRING]
ascii_string = Annotated[str, ASCII]


def type_of(annotation: Any) -> MoveType:
    """The Move type of a field's annotation, or of a registered class.

    Raises:
        TypeError: the annotation stands for no Move type.
    """
    if isinstance(annotation, MoveType):
        return annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return next(item for item in arguments[1:] if isinstance(item, MoveType))
    if annotation is bool:
        return BOOL
    if annotation is bytes:
        return BYTES
    if origin is list:
        return Vector(type_of(arguments[0]))
    if origin is dict:
        return VecMap(type_of(arguments[0]), type_of(arguments[1]))
    if origin in {Union, types.UnionType} and types.NoneType in arguments:
        return Option(type_of(_without_none(arguments)))
    move_type = getattr(annotation, "__move_type__", None)
    if isinstance(move_type, MoveType):
        return move_type
    raise TypeError(f"{annotation!r} stands for no Move type")


def _without_none(arguments: Sequence[Any]) -> Any:
    rest = [item for item in arguments if item is not types.NoneType]
    if len(rest) != 1:
        raise TypeError(f"{arguments!r}: an option has one type")
    return rest[0]
