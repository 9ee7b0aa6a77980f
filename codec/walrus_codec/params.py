"""The policy object of one code: number of shards and encoding, validated once, from which every size follows.

    f  = (n − 1) // 3     shards that may be faulty
    k1 = n − 2f           source rows: primary slivers that suffice to decode, symbols of a secondary sliver
    k2 = n − f            source columns: secondary slivers that suffice to decode, symbols of a primary sliver
    s  = ceil(max(length, 1) / (k1·k2)), rounded up to even    bytes of a symbol

(Contract module redstuff, which bills `encoded_length`.) An empty blob is sized as one byte. Networks ask for
n ≡ 1 (mod 3), where all quorum formulas agree; the code itself works for every n from 4 on.
"""

from dataclasses import dataclass

from walrus_codec.errors import BlobTooLarge, CodecError, ParamsError
from walrus_codec.quorum import max_faulty
from walrus_codec.types import Axis, EncodingType

MIN_SHARDS = 4
"""Below it f is zero, and there would be nothing to recover from."""

MAX_SHARDS = {EncodingType.ISAL: 253, EncodingType.RS2: 65_535}
"""ISAL: 255 points of GF(2^8), and the largest n ≡ 1 (mod 3) below. RS2: indices are u16."""

MAX_SYMBOL_SIZE = 65_534
"""The largest even u16."""

DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class CodeParams:
    """One RedStuff code.

    Raises:
        ParamsError: the code does not exist for this number of shards.
    """

    n_shards: int
    encoding: EncodingType

    def __post_init__(self) -> None:
        limit = MAX_SHARDS[self.encoding]
        if not MIN_SHARDS <= self.n_shards <= limit:
            raise ParamsError(f"{self.encoding.label} needs {MIN_SHARDS} to {limit} shards, not {self.n_shards}")

    @property
    def f(self) -> int:
        """Shards that may be faulty."""
        return max_faulty(self.n_shards)

    @property
    def k1(self) -> int:
        """Primary slivers that suffice to decode; the first k1 hold the blob itself."""
        return self.n_shards - 2 * self.f

    @property
    def k2(self) -> int:
        """Secondary slivers that suffice to decode; the first k2 hold the blob itself."""
        return self.n_shards - self.f

    def source_symbols(self, axis: Axis) -> int:
        """How many symbols one sliver of this axis has: k2 for a primary one, k1 for a secondary one."""
        return self.k2 if axis is Axis.PRIMARY else self.k1

    def slivers_needed(self, axis: Axis) -> int:
        """How many distinct slivers of this axis give the blob back: k1 primary ones, or k2 secondary ones."""
        return self.k1 if axis is Axis.PRIMARY else self.k2

    @property
    def max_blob_size(self) -> int:
        """Bytes of the largest blob."""
        return self.k1 * self.k2 * MAX_SYMBOL_SIZE

    @property
    def metadata_length(self) -> int:
        """Bytes of metadata that each shard is billed for."""
        return 2 * DIGEST_SIZE * self.n_shards + DIGEST_SIZE

    def symbol_size(self, length: int) -> int:
        """Bytes of a symbol of a blob of `length` bytes.

        Raises:
            BlobTooLarge: the blob does not fit.
        """
        if length < 0:
            raise CodecError(f"a blob cannot have {length} bytes")
        if length > self.max_blob_size:
            raise BlobTooLarge(length, self.max_blob_size)
        size = -(-max(length, 1) // (self.k1 * self.k2))
        return size + size % 2

    def padded_length(self, length: int) -> int:
        """Bytes of the k1 × k2 source symbols of a blob of `length` bytes; raises `BlobTooLarge`."""
        return self.k1 * self.k2 * self.symbol_size(length)

    def sliver_size(self, axis: Axis, length: int) -> int:
        """Bytes of one sliver of this axis of a blob of `length` bytes; raises `BlobTooLarge`."""
        return self.source_symbols(axis) * self.symbol_size(length)

    def encoded_length(self, length: int) -> int:
        """Bytes that the network stores and bills for a blob of `length` bytes; raises `BlobTooLarge`."""
        slivers = (self.k1 + self.k2) * self.symbol_size(length)
        return self.n_shards * (slivers + self.metadata_length)

    def writing_memory(self, length: int) -> int:
        """Bytes of memory that a writer of a blob of `length` bytes takes, the blob included; raises `BlobTooLarge`.

        ISAL: what of both axes is no copy of something else, and the hashes. RS2: the blob, and what its library returns,
        measured to be up to a quarter more than the encoded length.
        """
        n, k1, k2 = self.n_shards, self.k1, self.k2
        if self.encoding is EncodingType.RS2:
            return length + self.encoded_length(length) * 5 // 4
        return (n * k2 + (n - k2) * k1) * self.symbol_size(length) + n * (n + 2) * DIGEST_SIZE
