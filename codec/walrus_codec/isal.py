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

_DECODE_WIDTH = 1 << 15
"""Bytes per fragment of one decoding call: each call inverts a k × k matrix first, which wide fragments pay for."""


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
        self.width = max(1 << 10, min(_MAX_WIDTH, _CACHE_BYTES // n))
        self._headers = lru_cache(maxsize=8)(self._make_headers)

    def expand(self, words: Sequence[Buffer], symbol_size: int) -> Iterator[Stripe]:
        """Expands codewords to all n symbols, a cache-sized stripe at a time.

        Args:
            words: the k source symbols of each codeword, k × `symbol_size` bytes.
            symbol_size: bytes of a symbol.

        Yields:
            Stripes in the order of the codewords; the stripes of one symbol follow each other from its start.
        """
        if symbol_size <= self.width:
            group = self.width // symbol_size
            for first in range(0, len(words), group):
                last = min(first + group, len(words))
                yield Stripe(first, last, 0, symbol_size, self._driver.encode(self._stack(words[first:last])))
            return
        step = -(-symbol_size // -(-symbol_size // self.width))
        for at, word in enumerate(words):
            symbols = np.frombuffer(word, np.uint8).reshape(self.k, symbol_size)
            for start in range(0, symbol_size, step):
                end = min(start + step, symbol_size)
                yield Stripe(at, at + 1, start, end, self._driver.encode(symbols[:, start:end].tobytes()))

    def _stack(self, words: Sequence[Buffer]) -> bytes:
        """Source fragments of several codewords: symbol 0 of all, then symbol 1 of all, and so on."""
        if len(words) == 1:
            return bytes(words[0])
        rows = np.stack([np.frombuffer(word, np.uint8).reshape(self.k, -1) for word in words], axis=1)
        return rows.tobytes()

    def decode(self, parts: Mapping[int, Buffer], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        """Gives the k source fragments, an array of k × `width` bytes.

        Args:
            parts: at least k fragments of `width` bytes by their index below n, without headers.
            width: bytes of a fragment; any number of symbols.

        Raises:
            DecodeError: fewer than k fragments, or the library refuses them.
        """
        chosen = sorted(parts)[: self.k]
        if len(chosen) < self.k:
            raise DecodeError(f"{len(chosen)} of the {self.k} parts needed: collect more distinct ones")
        out = np.empty((self.k, width), np.uint8)
        if chosen[-1] < self.k:
            for index in chosen:
                out[index] = np.frombuffer(parts[index], np.uint8)
            return out
        views = [(index, memoryview(parts[index])) for index in chosen]
        for start in range(0, width, _DECODE_WIDTH):
            end = min(start + _DECODE_WIDTH, width)
            headers = self._headers(end - start)
            fragments = [b"".join((headers[index], view[start:end])) for index, view in views]
            try:
                piece = self._driver.decode(fragments)
            except ECDriverError as error:
                raise DecodeError(f"pyeclib cannot decode these parts: {error}") from error
            out[:, start:end] = np.frombuffer(piece, np.uint8).reshape(self.k, end - start)
        return out

    def _make_headers(self, width: int) -> list[bytes]:
        return [fragment[:HEADER_SIZE] for fragment in self._driver.encode(bytes(self.k * width))]
