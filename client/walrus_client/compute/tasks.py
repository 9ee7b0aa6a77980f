"""What a worker can do: each task gets its input segments and arguments, and returns a value and new segments.

Bulk data comes as one segment with the bodies of many slivers back to back; `rows` say where each one lies. One ISAL
encoding is shared by several workers: "encoding.open" maps its buffer, "encoding.step" does a range of one step
(`walrus_codec.matrix.Encoding`), "encoding.close" lets the memory go.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from walrus_client.compute.keeping import MOST_KEPT
from walrus_client.compute.segments import Segment
from walrus_codec.backend import backend_for
from walrus_codec.matrix import Encoding, IsalBackend
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import Axis, PairIndex, SliverIndex

Task = Callable[..., tuple[Any, list[Segment]]]


@dataclass(frozen=True, slots=True)
class Row:
    """One sliver inside a segment of bodies."""

    pair: PairIndex
    axis: Axis
    index: SliverIndex
    symbol_size: int
    start: int
    size: int

    def sliver(self, bodies: memoryview) -> Sliver:
        """The sliver, its data a view of the segment."""
        return Sliver(self.axis, self.index, self.symbol_size, bodies[self.start : self.start + self.size])


def pack(batch: Sequence[tuple[PairIndex, Sliver]], segment: Segment) -> list[Row]:
    """Copies sliver bodies into a segment that has just the room for them."""
    view, start, rows = segment.view, 0, []
    for pair, sliver in batch:
        size = len(sliver.data)
        view[start : start + size] = sliver.data
        rows.append(Row(pair, sliver.axis, sliver.index, sliver.symbol_size, start, size))
        start += size
    return rows


class _Mappings:
    """The memory that this worker mapped last: mapping it once more would cost a page fault for each of its pages.

    Only what the owner keeps for its next use is remembered, so that large memory goes when its owner lets it go.
    """

    def __init__(self) -> None:
        self._known: tuple[int, mmap.mmap] | None = None

    def view(self, segment: Segment) -> memoryview:
        """The bytes of a segment."""
        if segment.size == 0:
            return memoryview(b"")
        file = os.fstat(segment.fd)  # the number stays taken while the file is mapped here
        if self._known is None or self._known[0] != file.st_ino or len(self._known[1]) < segment.size:
            pages = mmap.mmap(segment.fd, file.st_size, flags=mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0))
            self._known = (file.st_ino, pages) if file.st_size <= MOST_KEPT else None
            return memoryview(pages)[: segment.size]
        return memoryview(self._known[1])[: segment.size]


_mappings = _Mappings()


class _SharedEncoding:
    """The one encoding that this worker takes part in."""

    def __init__(self) -> None:
        self._work: Encoding | None = None

    def open(self, inputs: list[Segment], *, params: CodeParams, length: int) -> tuple[None, list[Segment]]:
        backend = backend_for(params)
        if not isinstance(backend, IsalBackend):
            raise TypeError("only ISAL encodings are shared between workers")
        self._work = Encoding(backend, length, _mappings.view(inputs[0]))
        return None, []

    def step(self, _inputs: list[Segment], *, name: str, first: int, last: int) -> tuple[None, list[Segment]]:
        if self._work is None:
            raise RuntimeError("encoding.step without encoding.open")
        getattr(self._work, name)(first, last)
        return None, []

    def close(self, _inputs: list[Segment]) -> tuple[None, list[Segment]]:
        self._work = None
        return None, []


def _verify(
    inputs: list[Segment], *, rows: list[Row], metadata: BlobMetadata, params: CodeParams
) -> tuple[None, list[Segment]]:
    bodies = _mappings.view(inputs[0])
    verify_slivers([(row.pair, row.sliver(bodies)) for row in rows], metadata, params)
    return None, []


_shared = _SharedEncoding()

TASKS: dict[str, Task] = {
    "encoding.open": _shared.open,
    "encoding.step": _shared.step,
    "encoding.close": _shared.close,
    "verify": _verify,
}
