"""Slivers: one row or one column of the encoded matrix, how they travel, and how they are checked.

    data         k × s bytes with their length     vector<u8>     k2 symbols for a primary sliver, k1 for a secondary one
    symbol size  s                                 u16
    index        row or column                     u16

This BCS form does not name the axis; whoever carries it does. Data stay views of the buffer they came in, so reading and
checking a sliver copies nothing.

A sliver is good when it stands at the right index, has the right size, and the Merkle root over its n symbols **after
expansion** is the one in the metadata. Checking many at once shares the set-up between them: prefer `verify_slivers`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from walrus_codec import bcs
from walrus_codec.backend import backend_for
from walrus_codec.errors import BadSlivers, BcsError, SliverError, SliverIndexMismatch
from walrus_codec.mapping import sliver_of_pair
from walrus_codec.metadata import BlobMetadata, check_same_code
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, Buffer, PairIndex, SliverIndex

__all__ = ["Sliver", "SliverError", "SliverPair", "verify_sliver", "verify_slivers"]


@dataclass(frozen=True, slots=True)
class Sliver:
    """One row (primary) or column (secondary); equal when axis, index, symbol size and bytes are."""

    axis: Axis
    index: SliverIndex
    symbol_size: int
    data: bytes | memoryview = field(repr=False)

    def to_bcs(self) -> bytes:
        """The form that nodes store and exchange (SliverData of the official code)."""
        return b"".join((bcs.uleb(len(self.data)), self.data, bcs.u16(self.symbol_size), bcs.u16(self.index)))

    @classmethod
    def from_bcs(cls, axis: Axis, data: Buffer) -> "Sliver":
        """Reads the form of `to_bcs`; `data` of the result is a view of the input.

        Raises:
            SliverError: the bytes are not a sliver, or it is not made of whole symbols.
        """
        try:
            reader = bcs.Reader(data)
            body = reader.bytes_view()
            symbol_size = reader.u16()
            index = SliverIndex(reader.u16())
            reader.finish()
        except BcsError as error:
            raise SliverError(f"malformed sliver: {error}") from error
        if symbol_size == 0 or len(body) % symbol_size:
            raise SliverError(f"malformed sliver: {len(body)} bytes are not whole symbols of {symbol_size} bytes")
        return cls(axis, index, symbol_size, body.toreadonly())


@dataclass(frozen=True, slots=True)
class SliverPair:
    """What one shard stores of one blob: row `index` and column n − 1 − `index`."""

    index: PairIndex
    primary: Sliver
    secondary: Sliver


def verify_sliver(sliver: Sliver, pair_index: PairIndex, metadata: BlobMetadata, params: CodeParams) -> None:
    """Checks one sliver from an untrusted source against verified metadata.

    Raises:
        IndexOutOfRange: the pair does not exist.
        SliverIndexMismatch: the sliver is of another pair.
        SliverError: wrong size, or not the bytes that the metadata commits to.
    """
    try:
        verify_slivers([(pair_index, sliver)], metadata, params)
    except BadSlivers as error:
        raise error.faults[0] from None


def verify_slivers(batch: Sequence[tuple[PairIndex, Sliver]], metadata: BlobMetadata, params: CodeParams) -> None:
    """Checks many slivers of one blob, of both axes, against verified metadata.

    Every sliver is checked, also after a bad one, so that a node can keep the good ones and answer for each.

    Raises:
        BadSlivers: `faults` maps positions in the batch to the errors that `verify_sliver` would raise.
    """
    check_same_code(metadata, params)
    symbol_size = params.symbol_size(metadata.unencoded_length)
    faults: dict[int, SliverError] = {}
    sound: dict[Axis, list[int]] = {axis: [] for axis in Axis}
    for position, (pair_index, sliver) in enumerate(batch):
        try:
            _check_form(sliver, pair_index, symbol_size, params)
        except SliverError as error:
            faults[position] = error
        else:
            sound[sliver.axis].append(position)
    backend = backend_for(params)
    for axis, positions in sound.items():
        rows = [(batch[position][1].index, batch[position][1].data) for position in positions]
        for wrong in backend.find_foreign(axis, rows, metadata):
            position = positions[wrong]
            faults[position] = SliverError(
                f"{axis.value} sliver {batch[position][1].index} is not the one that the metadata commits to"
            )
    if faults:
        raise BadSlivers(dict(sorted(faults.items())))


def _check_form(sliver: Sliver, pair_index: PairIndex, symbol_size: int, params: CodeParams) -> None:
    expected = sliver_of_pair(pair_index, sliver.axis, params.n_shards)
    if sliver.index != expected:
        raise SliverIndexMismatch(
            f"{sliver.axis.value} sliver {sliver.index} was sent for pair {pair_index}, which has sliver {expected}"
        )
    if sliver.symbol_size != symbol_size:
        raise SliverError(f"symbols of {sliver.symbol_size} bytes, but this blob has symbols of {symbol_size}")
    size = params.source_symbols(sliver.axis) * symbol_size
    if len(sliver.data) != size:
        raise SliverError(f"{sliver.axis.value} sliver of {len(sliver.data)} bytes, but this blob has {size}")
