"""Move standard library: what programmable transactions call of it (modules option, string, ascii).

Types are native (`walrus_sui.devnet.move.core.types`); here are their declarations and the few callable functions.
"""

from typing import Any

from walrus_sui.devnet.move.core.aborts import abort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import STD
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import ASCII, STRING, MoveType, Option

OPTION = Module(STD, "option")
STRINGS = Module(STD, "string")
ASCIIS = Module(STD, "ascii")

E_OPTION_IS_SET = OPTION.error(0x40000, "EOPTION_IS_SET")
E_OPTION_NOT_SET = OPTION.error(0x40001, "EOPTION_NOT_SET")
E_INVALID_UTF8 = STRINGS.error(1, "EInvalidUTF8")
E_INVALID_ASCII = ASCIIS.error(0x10000, "EInvalidASCIICharacter")

OPTION.generic("Option", 1, "copy, drop, store", Option)
STRINGS.native(STRING)
ASCIIS.native(ASCII)


def borrow(value: Any) -> Any:
    """Contents of an option; aborts if it is empty (``option::borrow``, ``extract``, ``destroy_some``)."""
    require(value is not None, E_OPTION_NOT_SET)
    return value


@OPTION.public("<T>(): Option<T>")
def none(_rt: Runtime, _types: tuple[MoveType, ...]) -> None:
    """An empty option."""


@OPTION.public("<T>(e: T): Option<T>")
def some(_rt: Runtime, _types: tuple[MoveType, ...], e: Any) -> Any:
    """An option that holds the value."""
    return e


@OPTION.public("<T>(t: Option<T>): T")
def destroy_some(_rt: Runtime, _types: tuple[MoveType, ...], t: Any) -> Any:
    """Unpacks an option; aborts if it is empty."""
    return borrow(t)


@OPTION.public("<T>(t: Option<T>)")
def destroy_none(_rt: Runtime, _types: tuple[MoveType, ...], t: Any) -> None:
    """Ends an empty option; aborts if it holds something."""
    require(t is None, E_OPTION_IS_SET)


@OPTION.public("<T>(t: &Option<T>): bool")
def is_none(_rt: Runtime, _types: tuple[MoveType, ...], t: Any) -> bool:
    """Whether an option is empty."""
    return t is None


@OPTION.public("<T>(t: &Option<T>): bool")
def is_some(_rt: Runtime, _types: tuple[MoveType, ...], t: Any) -> bool:
    """Whether an option holds something."""
    return t is not None


@OPTION.public("<T>(t: &Option<T>): &T", name="borrow")
def borrowed(_rt: Runtime, _types: tuple[MoveType, ...], t: Any) -> Any:
    """What an option holds; aborts if it is empty."""
    return borrow(t)


@OPTION.public("<T: copy + drop>(t: &Option<T>, default: T): T")
def get_with_default(_rt: Runtime, types: tuple[MoveType, ...], t: Any, default: Any) -> Any:
    """What an option holds, otherwise the default."""
    return default if t is None else types[0].copy(t)


@OPTION.public("<T: drop>(t: Option<T>, default: T): T")
def destroy_with_default(_rt: Runtime, _types: tuple[MoveType, ...], t: Any, default: Any) -> Any:
    """Unpacks an option; an empty one gives the default."""
    return default if t is None else t


@ASCIIS.public("(bytes: vector<u8>): AsciiString")
def string(_rt: Runtime, bytes: bytes) -> str:  # noqa: A002 - the parameter's name in Move
    """A string from 7-bit bytes."""
    try:
        return bytes.decode("ascii")
    except UnicodeDecodeError:
        raise abort(E_INVALID_ASCII) from None


@STRINGS.public("(bytes: vector<u8>): String")
def utf8(_rt: Runtime, bytes: bytes) -> str:  # noqa: A002 - the parameter's name in Move
    """A string from UTF-8 bytes."""
    try:
        return bytes.decode()
    except UnicodeDecodeError:
        raise abort(E_INVALID_UTF8) from None
