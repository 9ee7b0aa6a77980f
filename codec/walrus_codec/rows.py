"""A blob as its k1 source rows: how verified primary slivers become a blob that can be sent before it is ever put together.

    any k1 primary slivers ── source_rows ──► k1 systematic slivers, in place ── pieces ──► bytes of the blob in order

The systematic primary slivers *are* the blob, row by row. Those that were not received are rebuilt from the others, a
stripe of all k1 slivers at a time, and each rebuilt stripe is written over the same stripe of a parity sliver, which
nobody needs any more. So whatever was lost, a reader holds the slivers that it received and one stripe, not the slivers
and the blob beside them.

As with `redstuff.decode`, the slivers must be verified before; rebuilt rows are what the received slivers say they are,
and whoever does not trust the writer verifies them against the metadata as if they had been received (`unproven`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from walrus_codec.backend import backend_for
from walrus_codec.errors import DecodeError
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, PairIndex, SliverIndex

__all__ = ["SourceRows", "pieces", "source_rows"]


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The k1 source rows of a blob in order, each k2 symbols; the last ones end in padding.

    Attributes:
        symbol_size: bytes of a symbol.
        bodies: the rows.
        rebuilt: which of them were not received.
    """

    symbol_size: int
    bodies: Sequence[memoryview]
    rebuilt: Sequence[SliverIndex]

    def unproven(self) -> list[tuple[PairIndex, Sliver]]:
        """The rebuilt rows as slivers of their pairs, for `verify_slivers`: together the default check of a reader."""
        return [
            (PairIndex(row), Sliver(Axis.PRIMARY, row, self.symbol_size, self.bodies[row].toreadonly()))
            for row in self.rebuilt
        ]


def source_rows(slivers: Iterable[Sliver], unencoded_length: int, params: CodeParams) -> SourceRows:
    """Makes the source rows out of verified primary slivers, in the memory of these slivers.

    Systematic slivers are rows already and stay as they are. Parity slivers are overwritten, and must not be used
    afterwards, if rows are missing. Slivers beyond the first k1 (systematic ones first) are left alone.

    Args:
        slivers: any k1 or more; parity slivers must be writable.
        unencoded_length: bytes of the blob.
        params: the code.

    Raises:
        BlobTooLarge: `unencoded_length` cannot be encoded with these parameters.
        DecodeError: too few distinct slivers, a secondary one, one of another size, or one that cannot be overwritten.
    """
    symbol_size, size = params.symbol_size(unencoded_length), params.sliver_size(Axis.PRIMARY, unencoded_length)
    given: dict[int, memoryview] = {}
    for sliver in slivers:
        if sliver.axis is not Axis.PRIMARY or not 0 <= sliver.index < params.n_shards or len(sliver.data) != size:
            raise DecodeError(
                f"{sliver.axis.value} sliver {sliver.index} of {len(sliver.data)} bytes is no primary one of this blob, "
                f"which has {params.n_shards} of {size} bytes"
            )
        given[sliver.index] = memoryview(sliver.data).cast("B")
    if len(given) < params.k1:
        raise DecodeError(f"{len(given)} distinct primary slivers, but {params.k1} are needed: collect more")
    chosen = {index: given[index] for index in sorted(given)[: params.k1]}
    rebuilt = [SliverIndex(row) for row in range(params.k1) if row not in chosen]
    if any(body.readonly for index, body in chosen.items() if index >= params.k1):
        raise DecodeError("missing rows are rebuilt in place of parity slivers: give them in writable memory")
    if rebuilt:
        backend_for(params).rebuild_rows(chosen, symbol_size)
        _clear_padding(chosen, rebuilt, unencoded_length, size)
    return SourceRows(symbol_size, [chosen[row] for row in range(params.k1)], rebuilt)


def pieces(bodies: Iterable[memoryview], first: int, last: int, most: int) -> Iterator[memoryview]:
    """Yields the bytes `first..last` (the last one not included) of rows that follow each other, as views of them.

    Args:
        bodies: rows of any sizes; each is let go as soon as its last piece has been taken.
        first: where to begin, counted from the front of the first row.
        last: where to end.
        most: bytes of a piece at most, 1 or more.
    """
    at = 0
    for body in bodies:
        low, high = max(first - at, 0), min(last - at, len(body))
        for start in range(low, high, most):
            yield body[start : min(start + most, high)]
        at += len(body)
        if at >= last:
            return


def _clear_padding(rows: dict[int, memoryview], rebuilt: Iterable[int], length: int, size: int) -> None:
    """What lies behind the blob is zero by definition; a bad writer's rebuilt row must not verify with anything else."""
    for row in rebuilt:
        begin = min(max(length - row * size, 0), size)
        rows[row][begin:] = bytes(size - begin)
