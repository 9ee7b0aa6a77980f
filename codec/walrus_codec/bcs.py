"""BCS, the canonical byte form of Move values: primitives that the typed layouts are built from.

Writing is plain functions from a value to bytes, joined by the caller in field order. Reading is a `Reader` that walks
over the bytes once. BCS is canonical: each value has exactly one form, so the reader refuses every other one (a length
in more digits than needed, a boolean of 2, bytes left over). Lengths are checked against what is left before anything
is allocated, so hostile input cannot cost more memory than its own size.

Integers are little endian; lengths and enum variants are ULEB128 of at most 32 bits.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from walrus_codec.errors import BcsError
from walrus_codec.types import Buffer

T = TypeVar("T")

MAX_ULEB = (1 << 32) - 1

__all__ = [
    "MAX_ULEB",
    "BcsError",
    "Reader",
    "boolean",
    "bytes_",
    "option",
    "string",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "u256",
    "uleb",
    "vector",
]


def _unsigned(value: int, size: int) -> bytes:
    try:
        return value.to_bytes(size, "little")
    except OverflowError:
        raise BcsError(f"{value} does not fit into u{8 * size}") from None


def u8(value: int) -> bytes:
    """One byte."""
    return _unsigned(value, 1)


def u16(value: int) -> bytes:
    """Two bytes, little endian."""
    return _unsigned(value, 2)


def u32(value: int) -> bytes:
    """Four bytes, little endian."""
    return _unsigned(value, 4)


def u64(value: int) -> bytes:
    """Eight bytes, little endian."""
    return _unsigned(value, 8)


def u128(value: int) -> bytes:
    """Sixteen bytes, little endian."""
    return _unsigned(value, 16)


def u256(value: int) -> bytes:
    """Thirty-two bytes, little endian."""
    return _unsigned(value, 32)


def boolean(value: bool) -> bytes:  # noqa: FBT001 - the value itself
    """One byte, 0 or 1."""
    return b"\x01" if value else b"\x00"


def uleb(value: int) -> bytes:
    """A length or an enum variant: base 128, lowest digit first, high bit set on all digits but the last."""
    if not 0 <= value <= MAX_ULEB:
        raise BcsError(f"{value} does not fit into a BCS length")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def bytes_(value: Buffer) -> bytes:
    """`vector<u8>`: the length, then the bytes."""
    return b"".join((uleb(len(value)), value))


def string(value: str) -> bytes:
    """A Move string: its UTF-8 bytes with their length."""
    return bytes_(value.encode())


def vector(write: Callable[[T], bytes], values: Iterable[T]) -> bytes:
    """The number of elements, then each as `write` gives it."""
    parts = [write(value) for value in values]
    return uleb(len(parts)) + b"".join(parts)


def option(write: Callable[[T], bytes], value: T | None) -> bytes:
    """0 for none, or 1 and the value."""
    return b"\x00" if value is None else b"\x01" + write(value)


class Reader:
    """Reads one BCS value from front to back; call `finish` at the end, so that nothing is left over.

    Every method raises `BcsError` when the input is too short or not canonical. It stands in the path of every
    transaction, so what is called most (single bytes, lengths, integers) reads without going through `view`.
    """

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: Buffer) -> None:
        self._data = data if isinstance(data, bytes) else memoryview(data).cast("B")
        self._end = len(self._data)
        self._at = 0

    @property
    def remaining(self) -> int:
        """Bytes that were not read yet."""
        return self._end - self._at

    def _take(self, size: int) -> bytes | memoryview:
        """The next `size` bytes: a copy if the input is `bytes`, a view otherwise."""
        at = self._at
        end = at + size
        if size < 0 or end > self._end:
            raise self._ends_early(size)
        self._at = end
        return self._data[at:end]

    def _ends_early(self, size: int) -> BcsError:
        return BcsError(f"input ends early: {size} bytes wanted at offset {self._at}, {self.remaining} left")

    def view(self, size: int) -> memoryview:
        """The next `size` bytes without a copy; valid as long as the input is."""
        at = self._at
        end = at + size
        if size < 0 or end > self._end:
            raise self._ends_early(size)
        self._at = end
        return memoryview(self._data)[at:end]

    def peek(self, size: int) -> bytes | memoryview:
        """The next `size` bytes, or what is left when that is less; they stay unread."""
        return self._data[self._at : self._at + size]

    def fixed(self, size: int) -> bytes:
        """The next `size` bytes."""
        return bytes(self._take(size))

    def u8(self) -> int:
        """One byte."""
        at = self._at
        if at >= self._end:
            raise self._ends_early(1)
        self._at = at + 1
        return self._data[at]

    def u16(self) -> int:
        """Two bytes, little endian."""
        return int.from_bytes(self._take(2), "little")

    def u32(self) -> int:
        """Four bytes, little endian."""
        return int.from_bytes(self._take(4), "little")

    def u64(self) -> int:
        """Eight bytes, little endian."""
        return int.from_bytes(self._take(8), "little")

    def u128(self) -> int:
        """Sixteen bytes, little endian."""
        return int.from_bytes(self._take(16), "little")

    def u256(self) -> int:
        """Thirty-two bytes, little endian."""
        return int.from_bytes(self._take(32), "little")

    def boolean(self) -> bool:
        """One byte that must be 0 or 1."""
        value = self.u8()
        if value > 1:
            raise BcsError(f"boolean of {value} at offset {self._at - 1}: must be 0 or 1")
        return value == 1

    def uleb(self) -> int:
        """A length or an enum variant in its shortest form."""
        start = self._at
        value = self.u8()
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in range(7, 35, 7):
            digit = self.u8()
            value |= (digit & 0x7F) << shift
            if digit < 0x80:
                if digit == 0 or value > MAX_ULEB:
                    break
                return value
        raise BcsError(f"length at offset {start} is not in its shortest form of at most 32 bits")

    def bytes_view(self) -> memoryview:
        """`vector<u8>` without a copy; valid as long as the input is."""
        return self.view(self.uleb())

    def bytes_(self) -> bytes:
        """`vector<u8>`."""
        return bytes(self._take(self.uleb()))

    def string(self) -> str:
        """A Move string, which must be valid UTF-8."""
        raw = self.bytes_()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise BcsError(f"string before offset {self._at} is not UTF-8") from None

    def vector(self, read: Callable[["Reader"], T]) -> list[T]:
        """As many elements as the length says, each read by `read(self)`.

        The length may not exceed the bytes that are left: elements without bytes do not occur in our layouts.
        """
        count = self.uleb()
        if count > self.remaining:
            raise BcsError(f"vector of {count} elements, but only {self.remaining} bytes are left")
        return [read(self) for _ in range(count)]

    def option(self, read: Callable[["Reader"], T]) -> T | None:
        """None after a 0, or the value that `read(self)` gives after a 1."""
        return read(self) if self.boolean() else None

    def finish(self) -> None:
        """States that the value ends here."""
        if self.remaining:
            raise BcsError(f"{self.remaining} bytes are left over after the value: they must not be there")
