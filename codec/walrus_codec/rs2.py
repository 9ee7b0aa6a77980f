"""The RS2 code: the official Rust library, through pysui_fastcrypto.

The library encodes and decodes whole blobs and checks whole slivers against metadata; it releases the interpreter lock,
so threads run it in parallel. Symbols of an expanded sliver are not within reach through it: for them, and to rebuild a
sliver from them, the one-dimensional code itself is used, `reed_solomon_leopard`, which gives the same bytes.

It hands out sliver pairs in **shard** order, after the rotation by the blob id, each sliver as a fresh copy of its BCS
form. Slivers are therefore taken out one at a time when somebody asks (`_Slivers`), so that a blob does not lie in memory
twice.
"""

from collections.abc import Mapping, Sequence
from typing import Any, overload

import pysui_fastcrypto
import reed_solomon_leopard

from walrus_codec import bcs, merkle
from walrus_codec.backend import Encoded, Expansion
from walrus_codec.errors import BlobTooLarge, CodecError, DecodeError
from walrus_codec.mapping import pair_of_sliver, shard_of_pair
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, BlobId, Buffer, SliverIndex

_TRAILER_SIZE = 4
"""Symbol size and index behind the bytes of a sliver, two u16."""


class _Slivers(Sequence[memoryview]):
    """The n sliver bodies of one axis, taken from the library's result on access."""

    def __init__(self, result: Any, axis: Axis, params: CodeParams) -> None:
        self._pairs = result.slivers
        self._blob_id = BlobId(bytes(result.blob_id))
        self._axis = axis
        self._params = params

    def __len__(self) -> int:
        return self._params.n_shards

    @overload
    def __getitem__(self, at: int) -> memoryview: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[memoryview]: ...

    def __getitem__(self, at: int | slice) -> memoryview | Sequence[memoryview]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        index = range(len(self))[at]
        n = self._params.n_shards
        pair = pair_of_sliver(SliverIndex(index), self._axis, n)
        found = self._pairs[shard_of_pair(pair, self._blob_id, n)]
        return bcs.Reader(found.primary if self._axis is Axis.PRIMARY else found.secondary).bytes_view()


class Rs2Backend:
    """`walrus_codec.backend.Backend` for encoding type RS2."""

    def __init__(self, params: CodeParams) -> None:
        self._params = params

    def encode(self, data: Buffer) -> Encoded:
        """Encodes over both axes; `bytes` are read in place, other buffers are copied first."""
        if len(data) > self._params.max_blob_size:
            raise BlobTooLarge(len(data), self._params.max_blob_size)
        source = data if isinstance(data, bytes) else bytes(data)
        try:
            result = pysui_fastcrypto.redstuff_encode(source, self._params.n_shards)
        except ValueError as error:
            raise CodecError(f"the RS2 library refuses to encode: {error}") from error
        metadata = BlobMetadata.from_bcs(result.metadata_bcs)
        primary = _Slivers(result, Axis.PRIMARY, self._params)
        return Encoded(metadata, primary, _Slivers(result, Axis.SECONDARY, self._params))

    def decode_into(self, axis: Axis, slivers: Mapping[int, Buffer], length: int, out: memoryview) -> None:
        """Puts the blob to the front of `out` from sliver bodies by index."""
        symbol_size = self._params.symbol_size(length)
        wire = [_to_wire(index, data, symbol_size) for index, data in slivers.items()]
        try:
            out[:length] = pysui_fastcrypto.redstuff_decode(wire, length, self._params.n_shards, axis.value)
        except ValueError as error:
            raise DecodeError(f"the RS2 library cannot decode these slivers: {error}") from error

    def rebuild_rows(self, rows: dict[int, memoryview], symbol_size: int) -> None:
        """Makes the source rows out of k1 primary sliver bodies, in place, one column of symbols after the other."""
        k1, n = self._params.k1, self._params.n_shards
        missing = [row for row in range(k1) if row not in rows]
        places = list(zip(missing, [row for row in sorted(rows) if row >= k1], strict=True))
        for low in range(0, self._params.k2 * symbol_size, symbol_size):
            column = {row: bytes(body[low : low + symbol_size]) for row, body in rows.items()}
            source = _source_symbols(k1, n, column)
            for row, parity in places:
                rows[parity][low : low + symbol_size] = source[row]
        for row, parity in places:
            rows[row] = rows.pop(parity)

    def find_foreign(self, axis: Axis, slivers: Sequence[tuple[int, Buffer]], metadata: BlobMetadata) -> Sequence[int]:
        """Positions of sliver bodies with another Merkle root than the metadata."""
        if not slivers:
            return ()
        n_shards = self._params.n_shards
        known = pysui_fastcrypto.redstuff_verify_metadata(metadata.blob_id() + metadata.to_bcs(), n_shards)
        symbol_size = self._params.symbol_size(metadata.unencoded_length)
        wrong = []
        for position, (index, data) in enumerate(slivers):
            try:
                pysui_fastcrypto.redstuff_verify_sliver(_to_wire(index, data, symbol_size), known, axis.value)
            except ValueError:
                wrong.append(position)
        return wrong

    def expand(self, axis: Axis, sliver: Buffer, symbol_size: int, wanted: Sequence[int]) -> Expansion:
        """Hashes of all symbols of the sliver's codeword, and those symbols that are wanted."""
        body = memoryview(sliver)
        word = [bytes(body[at : at + symbol_size]) for at in range(0, len(body), symbol_size)]
        word += reed_solomon_leopard.encode(word, self._params.n_shards - self._params.source_symbols(axis))
        return Expansion(merkle.leaves(word), [word[position] for position in wanted])

    def rebuild(self, axis: Axis, symbols: Mapping[int, Sequence[Buffer]], symbol_size: int) -> Sequence[bytes]:  # noqa: ARG002 - of the interface
        """Sliver bodies from symbols of their codewords."""
        k = self._params.source_symbols(axis)
        count = len(next(iter(symbols.values())))
        return [
            self._rebuild(k, {position: bytes(row[at]) for position, row in symbols.items()}) for at in range(count)
        ]

    def _rebuild(self, k: int, symbols: Mapping[int, bytes]) -> bytes:
        source = _source_symbols(k, self._params.n_shards, symbols)
        return b"".join(source[position] for position in range(k))


def _source_symbols(k: int, n: int, symbols: Mapping[int, bytes]) -> dict[int, bytes]:
    """The k source symbols of one codeword by position, from any k symbols of it."""
    source = {position: data for position, data in symbols.items() if position < k}
    parity = {position - k: data for position, data in symbols.items() if position >= k}
    try:
        source |= reed_solomon_leopard.decode(k, n - k, source, parity)
    except ValueError as error:
        raise DecodeError(f"the RS2 library cannot rebuild a sliver from these symbols: {error}") from error
    return source


def _to_wire(index: int, data: Buffer, symbol_size: int) -> bytes:
    return b"".join((bcs.uleb(len(data)), data, bcs.u16(symbol_size), bcs.u16(index)))
