"""Move type tags: the names of types as they stand in transactions, objects and events.

A tag enters as text in any spelling (``0x2::sui::SUI``, upper-case scalars, spaces after commas) or as BCS, lives as a
frozen `TypeTag`, and leaves as canonical text (every address 0x + 64 hex digits, no spaces) or as BCS.

Source: Sui's ``TypeTag`` and ``StructTag``; the canonical text is the one that ``sui.rpc.v2`` answers with.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from walrus_codec import bcs
from walrus_codec.types import ObjectId

_SCALARS = ("bool", "u8", "u64", "u128", "address", "signer", "", "", "u16", "u32", "u256")
_SCALAR_INDEX = {name: index for index, name in enumerate(_SCALARS) if name}
_VECTOR, _STRUCT = 6, 7
_MAX_DEPTH = 16
_ADDRESS = re.compile(r"0[xX]([0-9a-fA-F]{1,64})\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")


class TypeTagError(ValueError):
    """A type tag that cannot be read. Remedy: write it as ``0x2::module::Name<u64, vector<u8>>``."""


@dataclass(frozen=True, slots=True)
class TypeTag:
    """One Move type.

    Attributes:
        name: ``u64``, ``vector`` and the like, or the name of a struct.
        params: type arguments; exactly one for ``vector``.
        address: package that first defined the struct (its type origin); empty for anything but structs.
        module: module of the struct; empty for anything but structs.
    """

    name: str
    params: tuple["TypeTag", ...] = ()
    address: str = ""
    module: str = ""

    @property
    def is_struct(self) -> bool:
        """Whether the type is a struct or enum."""
        return bool(self.address)

    @property
    def is_vector(self) -> bool:
        """Whether the type is a vector."""
        return not self.address and self.name == "vector"

    @property
    def head(self) -> tuple[str, str, str]:
        """Address, module and name, without the type arguments."""
        return self.address, self.module, self.name

    def __str__(self) -> str:
        return canonical(self)


BOOL, U8, U16, U32, U64, U128, U256, ADDRESS = (
    TypeTag(name) for name in ("bool", "u8", "u16", "u32", "u64", "u128", "u256", "address")
)


def vector(element: TypeTag) -> TypeTag:
    """The type ``vector<element>``."""
    return TypeTag("vector", (element,))


def struct(address: str, module: str, name: str, *params: TypeTag) -> TypeTag:
    """The struct type ``address::module::name<params>``; the address in any spelling."""
    return TypeTag(name, params, normalize_address(address), module)


def normalize_address(text: str) -> ObjectId:
    """Canonical form, 0x and 64 lower-case hex digits, of an address in any spelling.

    Raises:
        TypeTagError: not 0x followed by 1 to 64 hex digits.
    """
    match = _ADDRESS.match(text)
    if match is None:
        raise TypeTagError(f"{text!r} is no address: write 0x and up to 64 hex digits")
    return ObjectId("0x" + match.group(1).lower().rjust(64, "0"))


@lru_cache(maxsize=4096)
def canonical(tag: TypeTag) -> str:
    """Canonical text of a type."""
    head = f"{tag.address}::{tag.module}::{tag.name}" if tag.address else tag.name
    return f"{head}<{','.join(canonical(param) for param in tag.params)}>" if tag.params else head


@lru_cache(maxsize=4096)
def parse(text: str) -> TypeTag:
    """Reads a type from text in any spelling.

    Raises:
        TypeTagError: the text is not a type.
    """
    tokens = _tokens(text)
    tag = _parse(tokens, next(tokens, ""), 0)
    return _finished(tokens, tag, text)


def _finished(tokens: "_Tokens", tag: TypeTag, text: str) -> TypeTag:
    if next(tokens, ""):
        raise TypeTagError(f"{text!r}: text after the end of the type")
    return tag


class _Tokens:
    """Tokens of a type text with one token of look-ahead."""

    def __init__(self, items: Iterator[str]) -> None:
        self._items = list(items)
        self._at = 0

    def __iter__(self) -> "_Tokens":
        return self

    def __next__(self) -> str:
        if self._at >= len(self._items):
            raise StopIteration
        self._at += 1
        return self._items[self._at - 1]

    def peek(self) -> str:
        return self._items[self._at] if self._at < len(self._items) else ""


def _tokens(text: str) -> _Tokens:
    if len(text) > 4096:
        raise TypeTagError("type name longer than 4096 characters")
    if re.fullmatch(r"(?:\s*(?:[A-Za-z0-9_]+|::|[<>,]))*\s*", text) is None:
        raise TypeTagError(f"{text!r} is no type")
    return _Tokens(match.group() for match in re.finditer(r"[A-Za-z0-9_]+|::|[<>,]", text))


def _parse(tokens: _Tokens, first: str, depth: int) -> TypeTag:
    if depth > _MAX_DEPTH:
        raise TypeTagError(f"type nested deeper than {_MAX_DEPTH}")
    if tokens.peek() != "::":
        name = first.lower()  # pysui sends "U64" and "Bool"
        if name == "vector":
            params = _params(tokens, depth)
            if len(params) != 1:
                raise TypeTagError("vector takes one type argument")
            return TypeTag("vector", params)
        if name not in _SCALAR_INDEX:
            raise TypeTagError(f"{first!r} is no type")
        return TypeTag(name)
    parts = [first]
    while tokens.peek() == "::":
        next(tokens)
        parts.append(next(tokens, ""))
    if len(parts) != 3 or not all(_IDENTIFIER.match(part) for part in parts[1:]):
        raise TypeTagError(f"{'::'.join(parts)!r} is no struct name: write address::module::Name")
    return TypeTag(parts[2], _params(tokens, depth), normalize_address(parts[0]), parts[1])


def _params(tokens: _Tokens, depth: int) -> tuple[TypeTag, ...]:
    if tokens.peek() != "<":
        return ()
    next(tokens)
    params = [_parse(tokens, next(tokens, ""), depth + 1)]
    while (end := next(tokens, "")) == ",":
        params.append(_parse(tokens, next(tokens, ""), depth + 1))
    if end != ">":
        raise TypeTagError("type arguments are not closed by '>'")
    return tuple(params)


@lru_cache(maxsize=4096)
def to_bcs(tag: TypeTag) -> bytes:
    """BCS of a type tag."""
    if tag.address:
        return bcs.uleb(_STRUCT) + struct_to_bcs(tag)
    if tag.name == "vector":
        return bcs.uleb(_VECTOR) + to_bcs(tag.params[0])
    return bcs.uleb(_SCALAR_INDEX[tag.name])


@lru_cache(maxsize=4096)
def struct_to_bcs(tag: TypeTag) -> bytes:
    """BCS of a struct tag (a type tag without its leading variant)."""
    head = bytes.fromhex(tag.address[2:]) + bcs.string(tag.module) + bcs.string(tag.name)
    return head + bcs.vector(to_bcs, tag.params)


def read(reader: bcs.Reader, depth: int = 0) -> TypeTag:
    """Reads a type tag from BCS.

    Raises:
        TypeTagError: unknown variant or nested too deeply.
        bcs.BcsError: truncated.
    """
    if depth > _MAX_DEPTH:
        raise TypeTagError(f"type nested deeper than {_MAX_DEPTH}")
    variant = reader.uleb()
    if variant == _VECTOR:
        return TypeTag("vector", (read(reader, depth + 1),))
    if variant == _STRUCT:
        return read_struct(reader, depth)
    if variant >= len(_SCALARS):
        raise TypeTagError(f"type tag has the unknown variant {variant}")
    return TypeTag(_SCALARS[variant])


def read_struct(reader: bcs.Reader, depth: int = 0) -> TypeTag:
    """Reads a struct tag from BCS. Errors as in `read`."""
    address = "0x" + bytes(reader.fixed(32)).hex()
    module, name = reader.string(), reader.string()
    if not (_IDENTIFIER.match(module) and _IDENTIFIER.match(name)):
        raise TypeTagError(f"{module}::{name} are no identifiers")
    params = tuple(reader.vector(lambda inner: read(inner, depth + 1)))
    return TypeTag(name, params, address, module)
