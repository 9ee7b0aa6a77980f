"""The ISAL code over both axes: from a blob to the n × n matrix, its slivers and its commitments, and back.

            k2 columns          n − k2
          ┌────────────────┬─────────────┐
    k1    │ the blob, row  │ (1) rows    │   symbol (r, c) of the blob = bytes (r·k2 + c)·s .. +s, padded with zeros
    rows  │ by row         │ extended    │
          ├────────────────┼─────────────┤
    n−k1  │ (2) columns extended         │   hashed, and kept only left of the bar
          └────────────────┴─────────────┘

`Encoding` does the work in steps over one flat buffer, so that several processes can share one encoding: each maps the
same memory, makes its own `Encoding` on it, and takes a range of rows or columns of each step.

    load           the blob goes to the front of the buffer, and zeros behind it (`pad`)
    extend_rows    (1) any ranges of 0..k1        writes what is right of the bar into the last secondary slivers
    expand_columns (2) any ranges of 0..n         writes the primary slivers from k1 on, and the leaf hashes of whole
                       columns with their root
    commit_rows    any ranges of 0..n             roots of rows, from the leaf hashes of all columns
    finish         metadata and slivers, as views of the buffer

All ranges of a step must be done before the next begins. Symbols are hashed as they leave the library, while they are
still in the cache; the (n − k1) × (n − k2) corner, a fifth of the matrix, is never stored. Nor are the first k2 secondary
slivers, which hold the blob a second time, column by column: they are put together when somebody asks for them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import overload

import numpy as np

from walrus_codec import merkle
from walrus_codec.backend import Encoded, Expansion
from walrus_codec.isal import HEADER_SIZE, Bytes2D, CauchyCode, Stripe
from walrus_codec.metadata import BlobMetadata, SliverPairHashes
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, Buffer


class Encoding:
    """One encoding in progress in a flat buffer of `size_of(params, length)` bytes.

    primary slivers n × k2·s | last n − k2 secondary slivers × k1·s | leaf hashes n columns × n × 32 | roots of rows, columns

    Raises:
        BlobTooLarge: a blob of this length does not fit the code.
    """

    def __init__(self, codes: "IsalBackend", length: int, buffer: memoryview) -> None:
        params = codes.params
        n, k1, k2 = params.n_shards, params.k1, params.k2
        self._codes = codes
        self._length = length
        self._n, self._k1, self._k2, self._s = n, k1, k2, params.symbol_size(length)
        ends = np.cumsum([n * k2 * self._s, (n - k2) * k1 * self._s, n * n * 32, n * 32, n * 32]).tolist()
        starts = [0, *ends]
        self._primary, self._secondary, self._leaves, self._row_roots, self._column_roots = (
            buffer[start:end] for start, end in zip(starts, ends, strict=False)
        )
        self._rows = np.frombuffer(self._primary, np.uint8).reshape(n, k2, self._s)
        self._columns = np.frombuffer(self._secondary, np.uint8).reshape(n - k2, k1, self._s)

    @staticmethod
    def size_of(params: CodeParams, length: int) -> int:
        """Bytes of the buffer for a blob of `length` bytes."""
        return params.writing_memory(length)

    def load(self, data: Buffer) -> None:
        """Copies the blob to its place and pads it with zeros."""
        self._primary[: self._length] = memoryview(data).cast("B")
        self.pad()

    def pad(self) -> None:
        """Puts zeros behind a blob that is in its place already."""
        self._rows.reshape(-1)[self._length : self._k1 * self._k2 * self._s] = 0

    def extend_rows(self, first: int, last: int) -> None:
        """Extends the source rows `first..last` from k2 to n symbols."""
        s, k1 = self._s, self._k1
        rows = [self._row(index) for index in range(first, last)]
        for stripe in self._codes.secondary.expand(rows, s):
            at = (first + stripe.first) * s + stripe.start
            for column in range(self._k2, self._n):
                part = memoryview(stripe.fragments[column])[HEADER_SIZE:]
                start = (column - self._k2) * k1 * s + at
                self._secondary[start : start + len(part)] = part

    def expand_columns(self, first: int, last: int) -> None:
        """Extends the columns `first..last` from k1 to n symbols and commits to them."""
        s, k1, k2, n = self._s, self._k1, self._k2, self._n

        def keep(stripe: Stripe) -> None:
            columns = min(first + stripe.last, k2) - first - stripe.first
            if columns <= 0:
                return
            size = (columns - 1) * s + stripe.end - stripe.start
            at = (first + stripe.first) * s + stripe.start
            for row in range(k1, n):
                start = row * k2 * s + at
                part = memoryview(stripe.fragments[row])[HEADER_SIZE : HEADER_SIZE + size]
                self._primary[start : start + size] = part

        columns = [self._symbols_of_column(index) for index in range(first, last)]
        for column, leaves in enumerate(hash_words(self._codes.primary, columns, s, keep), start=first):
            self._leaves[column * n * 32 : (column + 1) * n * 32] = leaves
            self._column_roots[column * 32 : (column + 1) * 32] = merkle.root(leaves)

    def commit_rows(self, first: int, last: int) -> None:
        """Computes the roots of the rows `first..last`."""
        by_column = np.frombuffer(self._leaves, np.uint8).reshape(self._n, self._n, 32)
        for row in range(first, last):
            self._row_roots[row * 32 : (row + 1) * 32] = merkle.root(by_column[:, row].tobytes())

    def run(self) -> Encoded:
        """All steps after loading, one after the other."""
        self.extend_rows(0, self._k1)
        self.expand_columns(0, self._n)
        self.commit_rows(0, self._n)
        return self.finish()

    def finish(self) -> Encoded:
        """The result; its slivers are views of the buffer, which must not change any more."""
        n = self._n
        rows, columns = bytes(self._row_roots), bytes(self._column_roots)
        hashes = tuple(
            SliverPairHashes(rows[pair * 32 : (pair + 1) * 32], columns[(n - 1 - pair) * 32 : (n - pair) * 32])
            for pair in range(n)
        )
        return Encoded(
            BlobMetadata(self._codes.params.encoding, self._length, hashes),
            tuple(self._row(index).toreadonly() for index in range(n)),
            _Columns(n, self._symbols_of_column),
        )

    def _row(self, index: int) -> memoryview:
        size = self._k2 * self._s
        return self._primary[index * size : (index + 1) * size]

    def _symbols_of_column(self, index: int) -> Bytes2D:
        """The k1 source symbols of a column, where they are."""
        return self._rows[: self._k1, index] if index < self._k2 else self._columns[index - self._k2]


class _Columns(Sequence[memoryview]):
    """The n secondary sliver bodies; those that lie in memory symbol by symbol only are copied on access."""

    def __init__(self, count: int, symbols_of: Callable[[int], Bytes2D]) -> None:
        self._count = count
        self._symbols_of = symbols_of

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> memoryview: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[memoryview]: ...

    def __getitem__(self, at: int | slice) -> memoryview | Sequence[memoryview]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(self._count))]
        return np.ascontiguousarray(self._symbols_of(range(self._count)[at])).reshape(-1).data.toreadonly()


class IsalBackend:
    """`walrus_codec.backend.Backend` for encoding type ISAL."""

    def __init__(self, params: CodeParams) -> None:
        self.params = params
        self.primary = CauchyCode(params.k1, params.n_shards)
        self.secondary = CauchyCode(params.k2, params.n_shards)

    def encode(self, data: Buffer) -> Encoded:
        """Encodes over both axes, in this process."""
        length = memoryview(data).nbytes
        work = Encoding(self, length, np.empty(Encoding.size_of(self.params, length), np.uint8).data)
        work.load(data)
        return work.run()

    def decode_into(self, axis: Axis, slivers: Mapping[int, Buffer], length: int, out: memoryview) -> None:
        """Puts the blob and its padding into `out` from sliver bodies by index."""
        k1, k2, symbol_size = self.params.k1, self.params.k2, self.params.symbol_size(length)
        matrix = np.frombuffer(out, np.uint8, count=k1 * k2 * symbol_size).reshape(k1, k2, symbol_size)
        if axis is Axis.PRIMARY:
            self.primary.rebuild(slivers, symbol_size, matrix)
        else:
            self.secondary.rebuild(slivers, symbol_size, matrix.transpose(1, 0, 2))

    def rebuild_rows(self, rows: dict[int, memoryview], symbol_size: int) -> None:  # noqa: ARG002 - of the interface
        """Makes the source rows out of k1 primary sliver bodies, in place."""
        self.primary.rebuild_in_place(rows)

    def find_foreign(self, axis: Axis, slivers: Sequence[tuple[int, Buffer]], metadata: BlobMetadata) -> Sequence[int]:
        """Positions of sliver bodies with another Merkle root than the metadata."""
        symbol_size = self.params.symbol_size(metadata.unencoded_length)
        bodies = [data for _, data in slivers]
        roots = (merkle.root(leaves) for leaves in hash_words(self._code_of(axis), bodies, symbol_size))
        return [
            position
            for position, ((index, _), root) in enumerate(zip(slivers, roots, strict=True))
            if root != metadata.sliver_hash(axis, index)
        ]

    def expand(self, axis: Axis, sliver: Buffer, symbol_size: int, wanted: Sequence[int]) -> Expansion:
        """Hashes of all symbols of the sliver's codeword, and those symbols that are wanted."""
        parts: list[list[bytes]] = [[] for _ in wanted]

        def keep(stripe: Stripe) -> None:
            for position, part in zip(wanted, parts, strict=True):
                part.append(stripe.fragments[position][HEADER_SIZE:])

        (leaves,) = hash_words(self._code_of(axis), [sliver], symbol_size, keep)
        return Expansion(leaves, [b"".join(part) for part in parts])

    def rebuild(self, axis: Axis, symbols: Mapping[int, Sequence[Buffer]], symbol_size: int) -> Sequence[bytes]:
        """Sliver bodies from symbols of their codewords, all slivers in one go."""
        code = self._code_of(axis)
        parts = {position: b"".join(row) for position, row in symbols.items()}
        count = len(next(iter(symbols.values())))
        out = np.empty((code.k, count, symbol_size), np.uint8)
        code.rebuild(parts, symbol_size, out)
        return [out[:, at].tobytes() for at in range(count)]

    def _code_of(self, axis: Axis) -> CauchyCode:
        """The code whose words are the slivers of this axis: rows are words of the secondary code."""
        return self.secondary if axis is Axis.PRIMARY else self.primary


def hash_words(
    code: CauchyCode, words: Sequence[Buffer | Bytes2D], symbol_size: int, keep: Callable[[Stripe], None] | None = None
) -> Iterator[bytes]:
    """Yields for each codeword the n leaf hashes of its symbols; `keep` sees each stripe of symbols before it goes."""
    states: list[merkle.LeafState] = []
    for stripe in code.expand(words, symbol_size):
        if keep is not None:
            keep(stripe)
        views = [memoryview(fragment)[HEADER_SIZE:] for fragment in stripe.fragments]
        if stripe.end - stripe.start == symbol_size:
            for at in range(0, len(views[0]), symbol_size):
                yield merkle.leaves([view[at : at + symbol_size] for view in views])
            continue
        if stripe.start == 0:
            states = [merkle.start_leaf() for _ in views]
        for state, view in zip(states, views, strict=True):
            state.update(view)
        if stripe.end == symbol_size:
            yield b"".join([state.digest() for state in states])
