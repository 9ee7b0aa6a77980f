"""The form of everything that the store writes: one byte, the version of the form, then BCS.

Readers know all versions ever written, writers write the newest; what is none of them is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from walrus_codec import bcs
from walrus_codec.errors import BcsError
from walrus_node.errors import DamagedError, StoreError

_V1 = b"\x01"
_T = TypeVar("_T")


def versioned(body: bytes) -> bytes:
    """Puts the version before a body that has its own form (metadata, numbers)."""
    return _V1 + body


def unversioned(value: bytes, what: str) -> memoryview:
    """The body behind the version, without a copy; raises `DamagedError`."""
    if value[:1] != _V1:
        raise DamagedError(
            f"a stored {what} has unknown version {value[:1].hex()}: it is damaged, or was written by a newer release"
        )
    return memoryview(value)[1:]


def decoded(value: bytes, what: str, read: Callable[[bcs.Reader], _T]) -> _T:
    """Reads a versioned record to its end; raises `StoreError`."""
    reader = bcs.Reader(unversioned(value, what))
    try:
        record = read(reader)
        reader.finish()
    except BcsError as error:
        raise StoreError(f"a stored {what} is damaged: {error}") from error
    return record


def id_to_bytes(text: str) -> bytes:
    """32 bytes of "0x..."."""
    return bytes.fromhex(text[2:])


def read_id(reader: bcs.Reader) -> str:
    """The id that `id_to_bytes` wrote."""
    return "0x" + reader.fixed(32).hex()
