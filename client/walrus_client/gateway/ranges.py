"""The `Range`, `If-Range` and `If-None-Match` headers, and the span of `/byte-range`. Pure.

Only `bytes=a-b` with both ends is served, as by the official aggregator; every other form of `Range` is answered with
416, because a client that asked for a part must not get the whole by surprise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from walrus_client.gateway.envelope import GatewayError, GatewayReason

_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")


@dataclass(frozen=True)
class ByteRange:
    """Bytes `first..last` of a blob, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1

    @property
    def slice(self) -> slice:
        """The same as a slice of the blob."""
        return slice(self.first, self.last + 1)

    def content_range(self, size: int) -> str:
        """Value of the `Content-Range` header of a 206."""
        return f"bytes {self.first}-{self.last}/{size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The wanted part of a blob of `size` bytes; None when all of it is wanted.

    An end behind the blob is moved to its last byte (RFC 9110).

    Raises:
        GatewayError: RANGE_NOT_SATISFIABLE; its metadata tells the blob's size.
    """
    if header is None:
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise _unsatisfiable("only `Range: bytes=<first>-<last>` with both ends is supported", size)
    first, last = int(found[1]), int(found[2])
    if first > last or first >= size:
        raise _unsatisfiable(f"bytes {first} to {last} do not lie in this blob of {size} bytes", size)
    return ByteRange(first, min(last, size - 1))


def span(start: int, length: int, size: int) -> ByteRange:
    """Bytes `start` to `start + length` (without the last) of a blob of `size` bytes; unlike a `Range`, never cut short.

    Raises:
        GatewayError: INVALID_BYTE_RANGE; its metadata tells the blob's size.
    """
    if length < 1:
        raise _outside("length must be at least 1", size)
    if start + length > size:
        raise _outside(f"bytes {start} to {start + length - 1} do not lie in this blob of {size} bytes", size)
    return ByteRange(start, start + length - 1)


def matches(header: str | None, etag: str) -> bool:
    """True when `If-None-Match` names this entity tag (weak comparison; unquoted blob ids are understood too)."""
    if header is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags or etag.strip('"') in tags


def same_as(header: str | None, etag: str) -> bool:
    """False when `If-Range` names another entity tag, or a date: a blob has none that could be the same."""
    return header is None or header.strip() == etag


def _outside(message: str, size: int) -> GatewayError:
    return GatewayError(GatewayReason.INVALID_BYTE_RANGE, message, {"size": str(size)})


def _unsatisfiable(message: str, size: int) -> GatewayError:
    facts = {"size": str(size)}
    return GatewayError(
        GatewayReason.RANGE_NOT_SATISFIABLE, message, facts, headers={"Content-Range": f"bytes */{size}"}
    )
