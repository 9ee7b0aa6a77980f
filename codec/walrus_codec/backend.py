"""The one interface behind which both codes stand, and the choice between them.

A backend is built once per `CodeParams` and has no state of its own: its methods take buffers and give buffers. It
knows nothing of untrusted input; sizes and indices were checked before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, Buffer, EncodingType


@dataclass(frozen=True, slots=True)
class Encoded:
    """A blob after encoding: its commitments, and n slivers per axis in the order of their index."""

    metadata: BlobMetadata
    primary: Sequence[bytes | memoryview]
    secondary: Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Expansion:
    """One sliver expanded to n symbols: the hashes of all of them (32 bytes each), and the symbols that were wanted."""

    leaves: bytes
    symbols: Sequence[bytes]


class Backend(Protocol):
    """What a code can do with one blob."""

    def encode(self, data: Buffer) -> Encoded:
        """Encodes over both axes; raises `BlobTooLarge`."""

    def decode_into(self, axis: Axis, slivers: Mapping[int, Buffer], length: int, out: memoryview) -> None:
        """Puts the blob of `length` bytes to the front of `out`, which has `padded_length(length)` bytes or more.

        `slivers` maps indices to sliver bodies of one axis, at least `slivers_needed(axis)` of them.

        Raises:
            DecodeError: the library refuses the input.
        """

    def rebuild_rows(self, rows: dict[int, memoryview], symbol_size: int) -> None:
        """Makes the k1 source rows out of k1 primary sliver bodies by index, in place.

        Each parity body is overwritten with a missing row and stands under that row's index afterwards.

        Raises:
            DecodeError: the library refuses the input.
        """

    def find_foreign(self, axis: Axis, slivers: Sequence[tuple[int, Buffer]], metadata: BlobMetadata) -> Sequence[int]:
        """Positions of those sliver bodies (index, data) whose expansion has another Merkle root than the metadata."""

    def expand(self, axis: Axis, sliver: Buffer, symbol_size: int, wanted: Sequence[int]) -> Expansion:
        """Expands one sliver body to its codeword; `wanted` are positions in it, 0 ≤ position < n."""

    def rebuild(self, axis: Axis, symbols: Mapping[int, Sequence[Buffer]], symbol_size: int) -> Sequence[bytes]:
        """Rebuilds slivers of one axis from symbols of their codewords at the same positions.

        `symbols` maps `source_symbols(axis)` positions below n to the symbols of all these slivers there.

        Raises:
            DecodeError: the library refuses the input.
        """


@lru_cache(maxsize=16)
def backend_for(params: CodeParams) -> Backend:
    """The code that these parameters name; built once."""
    if params.encoding is EncodingType.RS2:
        from walrus_codec.rs2 import Rs2Backend  # noqa: PLC0415 - load only the library that is used

        return Rs2Backend(params)
    from walrus_codec.matrix import IsalBackend  # noqa: PLC0415

    return IsalBackend(params)
