"""What a worker can do: each task gets its input segments and arguments, and returns a value and new segments.

Bulk data comes as one segment with the bodies of many slivers back to back; `rows` say where each one lies. One ISAL
encoding is shared by several workers: "encoding.open" maps its buffer, "encoding.step" does a range of one step
(`walrus_codec.matrix.Encoding`), "encoding.close" lets the memory go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from walrus_client.compute.segments import Segment
from walrus_codec import redstuff
from walrus_codec.backend import backend_for
from walrus_codec.matrix import Encoding, IsalBackend
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import Axis, BlobId, PairIndex, SliverIndex

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


def pack(batch: Sequence[tuple[PairIndex, Sliver]]) -> tuple[Segment, list[Row]]:
    """Copies sliver bodies into a new segment."""
    segment = Segment.create(sum(len(sliver.data) for _pair, sliver in batch), name="walrus-slivers")
    view, start, rows = segment.view, 0, []
    for pair, sliver in batch:
        size = len(sliver.data)
        view[start : start + size] = sliver.data
        rows.append(Row(pair, sliver.axis, sliver.index, sliver.symbol_size, start, size))
        start += size
    return segment, rows


class _SharedEncoding:
    """The one encoding that this worker takes part in."""

    def __init__(self) -> None:
        self._work: Encoding | None = None

    def open(self, inputs: list[Segment], *, params: CodeParams, length: int) -> tuple[None, list[Segment]]:
        backend = backend_for(params)
        if not isinstance(backend, IsalBackend):
            raise TypeError("only ISAL encodings are shared between workers")
        self._work = Encoding(backend, length, inputs[0].view)
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
    bodies = inputs[0].view
    verify_slivers([(row.pair, row.sliver(bodies)) for row in rows], metadata, params)
    return None, []


def _check_default(
    inputs: list[Segment], *, metadata: BlobMetadata, params: CodeParams, received: frozenset[SliverIndex]
) -> tuple[None, list[Segment]]:
    redstuff.check_default(inputs[0].view, metadata, params, received)
    return None, []


def _check_strict(inputs: list[Segment], *, blob_id: BlobId, params: CodeParams) -> tuple[None, list[Segment]]:
    redstuff.check_strict(inputs[0].view, blob_id, params)
    return None, []


_shared = _SharedEncoding()

TASKS: dict[str, Task] = {
    "encoding.open": _shared.open,
    "encoding.step": _shared.step,
    "encoding.close": _shared.close,
    "verify": _verify,
    "check_default": _check_default,
    "check_strict": _check_strict,
}
