"""One axis of the ISAL code: systematic Cauchy Reed-Solomon over GF(2^8), through pyeclib.

A codeword has n symbols, the first k of them the source. The library works on *fragments*: k source fragments of equal
width go in as one byte string, n fragments come out, each behind a header of 80 bytes that names its index and width.
The code acts on each byte position by itself. So a fragment may hold any number of symbols, or a part of one, and what
comes out never depends on how the work was cut; the law tests hold this. The cut is chosen for speed only: all fragments
of one call must stay in the processor's second-level cache, or the code runs at a fifth of its speed.

Slivers travel without headers. To decode, the headers are put back: they depend on index and width alone, so they are
taken from an encoding of zeros of the same width, and no knowledge of their inner layout is needed.

Only `isa_l_rs_cauchy` is used. Any square part of its matrix can be inverted, which `isa_l_rs_vand` does not give for all
sizes: with it, some sets of k symbols would not decode.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from pyeclib.ec_iface import ECDriver, ECDriverError

from walrus_codec.errors import DecodeError, ParamsError
from walrus_codec.types import Buffer

EC_TYPE = "isa_l_rs_cauchy"

HEADER_SIZE = 80
"""Bytes in front of each fragment of the library."""

_CACHE_BYTES = 3 << 19
"""Bytes of all n fragments of one encoding call (1.5 MiB): measured best on cores with 1 MiB of second-level cache."""

_MAX_WIDTH = 1 << 16

_DECODE_WIDTH = 1 << 16
"""Bytes per fragment of one decoding call: each call inverts a k × k matrix first, which wide fragments pay for."""

_LARGEST_BUFFER = 16 << 20

Bytes2D = np.ndarray[tuple[int, int], np.dtype[np.uint8]]
Bytes3D = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


class Stripe(NamedTuple):
    """One call's share of an expansion: bytes `start..end` of each symbol of the codewords `first..last`.

    `fragments[j]` holds, behind the header, symbol j of these codewords one after the other.
    """

    first: int
    last: int
    start: int
    end: int
    fragments: Sequence[bytes]


class CauchyCode:
    """The code of k source symbols and n in all, 0 < k < n ≤ 255.

    Raises:
        ParamsError: the library does not offer the code.
    """

    def __init__(self, k: int, n: int) -> None:
        self.k = k
        self.n = n
        try:
            self._driver = ECDriver(k=k, m=n - k, ec_type=EC_TYPE)
            probe = self._driver.encode(bytes(k))
        except ECDriverError as error:
            raise ParamsError(f"pyeclib does not offer {EC_TYPE} for {k} of {n} symbols: {error}") from error
        if {len(fragment) for fragment in probe} != {HEADER_SIZE + 1}:
            raise ParamsError(f"this pyeclib lays out fragments in another way: expected {HEADER_SIZE} bytes of header")
        # glibc maps a buffer above 128 KiB afresh each time, and faults in every page of it, until a larger one was freed
        # once; the source buffers of 0.5 to 4 MiB would spend more time so than in the code. This one is never touched.
        bytes(_LARGEST_BUFFER)
        self.width = max(1 << 10, min(_MAX_WIDTH, _CACHE_BYTES // n))
        self._headers = lru_cache(maxsize=8)(self._make_headers)

    def expand(self, words: Sequence[Buffer | Bytes2D], symbol_size: int) -> Iterator[Stripe]:
        """Expands codewords to all n symbols, a cache-sized stripe at a time.

        Args:
            words: the k source symbols of each codeword: k × `symbol_size` bytes, or an array that need not be contiguous.
            symbol_size: bytes of a symbol.

        Yields:
            Stripes in the order of the codewords; the stripes of one symbol follow each other from its start.
        """
        for first, last, start, end in _cut(len(words), symbol_size, self.width):
            if end - start == symbol_size:
                source = self._stack(words[first:last])
            else:
                source = self._symbols(words[first])[:, start:end].tobytes()
            yield Stripe(first, last, start, end, self._driver.encode(source))

    def _stack(self, words: Sequence[Buffer | Bytes2D]) -> bytes:
        """Source fragments of several codewords: symbol 0 of all, then symbol 1 of all, and so on."""
        if len(words) == 1:
            return self._symbols(words[0]).tobytes()
        return np.stack([self._symbols(word) for word in words], axis=1).tobytes()

    def _symbols(self, word: Buffer | Bytes2D) -> Bytes2D:
        if isinstance(word, np.ndarray):
            return word
        return np.frombuffer(word, np.uint8).reshape(self.k, -1)

    def rebuild(self, parts: Mapping[int, Buffer], symbol_size: int, out: Bytes3D) -> None:
        """Rebuilds the k source symbols of many codewords from any k symbols of each.

        Args:
            parts: by position below n, that symbol of all codewords one after the other; at least k of them.
            symbol_size: bytes of a symbol.
            out: array of k × codewords × `symbol_size` bytes that takes the result.

        Raises:
            DecodeError: fewer than k parts, or the library refuses them.
        """
        chosen = sorted(parts)[: self.k]
        if len(chosen) < self.k:
            raise DecodeError(f"{len(chosen)} of the {self.k} parts needed: collect more distinct ones")
        if chosen[-1] < self.k:
            for index in chosen:
                out[index] = np.frombuffer(parts[index], np.uint8).reshape(out.shape[1:])
            return
        views = [(index, memoryview(parts[index])) for index in chosen]
        for first, last, start, end in _cut(out.shape[1], symbol_size, _DECODE_WIDTH):
            low, high = first * symbol_size + start, (last - 1) * symbol_size + end
            headers = self._headers(high - low)
            fragments = [b"".join((headers[index], view[low:high])) for index, view in views]
            try:
                piece = self._driver.decode(fragments)
            except ECDriverError as error:
                raise DecodeError(f"pyeclib cannot decode these parts: {error}") from error
            out[:, first:last, start:end] = np.frombuffer(piece, np.uint8).reshape(self.k, last - first, end - start)

    def rebuild_in_place(self, parts: dict[int, memoryview]) -> None:
        """Makes the k source parts out of any k parts of equal size: a missing one takes the place of a parity part.

        Args:
            parts: k parts by position below n, those from k on writable; afterwards the positions are 0..k.

        Raises:
            DecodeError: the library refuses them.
        """
        places = list(zip(_missing(parts, self.k), [at for at in sorted(parts) if at >= self.k], strict=True))
        chosen = sorted(parts.items())
        for low in range(0, len(chosen[0][1]), _DECODE_WIDTH):
            views = [(index, part[low : low + _DECODE_WIDTH]) for index, part in chosen]
            width = len(views[0][1])
            headers = self._headers(width)
            try:
                piece = memoryview(self._driver.decode([b"".join((headers[index], view)) for index, view in views]))
            except ECDriverError as error:
                raise DecodeError(f"pyeclib cannot decode these parts: {error}") from error
            for missing, parity in places:
                parts[parity][low : low + width] = piece[missing * width : (missing + 1) * width]
        for missing, parity in places:
            parts[missing] = parts.pop(parity)

    def _make_headers(self, width: int) -> list[bytes]:
        return [fragment[:HEADER_SIZE] for fragment in self._driver.encode(bytes(self.k * width))]


def _missing(parts: Mapping[int, Buffer], k: int) -> list[int]:
    return [position for position in range(k) if position not in parts]


def _cut(count: int, symbol_size: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Cuts `count` symbols into runs of at most `width` bytes: (first, last, start, end).

    A run is either some whole symbols first..last, or the bytes start..end of the one symbol `first`.
    """
    if symbol_size <= width:
        group = width // symbol_size
        for first in range(0, count, group):
            yield first, min(first + group, count), 0, symbol_size
        return
    step = -(-symbol_size // -(-symbol_size // width))
    for at in range(count):
        for start in range(0, symbol_size, step):
            yield at, at + 1, start, min(start + step, symbol_size)
