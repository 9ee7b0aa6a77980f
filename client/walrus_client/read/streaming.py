"""A blob, or a part of it, on its way out: nothing of it is sent before all of it is known to be good.

    verified slivers ── source rows, checked ──► BlobStream ── piece by piece ──► whoever asked

A stream holds the slivers and nothing else: its pieces are views of them, and a row is let go once its last piece was
taken. Because every check is done when the stream begins, nothing can fail afterwards: a blob that is badly encoded or
cannot be had is an error instead of a stream, never a stream that breaks off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from walrus_codec.metadata import BlobMetadata
from walrus_codec.rows import pieces

PIECE = 256 << 10
"""Bytes of a piece at most."""


class BlobStream:
    """An async iterator over the bytes `first..last` (the last one not included) of some rows of a blob.

    Args:
        metadata: the blob's verified metadata.
        rows: rows that follow each other.
        first: where to begin, counted from the front of the first of these rows.
        last: where to end.
    """

    def __init__(self, metadata: BlobMetadata, rows: Sequence[memoryview], first: int, last: int) -> None:
        self.metadata = metadata
        self.length = last - first
        self._pieces = pieces(_letting_go(rows), first, last, PIECE)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> memoryview:
        """The next piece, never empty and never longer than `PIECE`."""
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None

    async def read(self) -> bytes:
        """What is left of it, as one."""
        return b"".join([piece async for piece in self])


def _letting_go(rows: Sequence[memoryview]) -> Iterator[memoryview]:
    waiting = list(reversed(rows))
    while waiting:
        yield waiting.pop()
