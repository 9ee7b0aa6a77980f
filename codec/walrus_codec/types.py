"""Names for identities and small numbers that all packages share.

They are `NewType`s, so that a shard index cannot silently be used as a sliver index. Conversions from outside text or
integers happen once, at the border; inside, a value of such a type is trusted.
"""

from enum import Enum, IntEnum
from typing import NewType

from walrus_codec.errors import CodecError, UnsupportedEncoding

BlobId = NewType("BlobId", bytes)
"""32 bytes; text form and chain integer are in `walrus_codec.blob_id`."""

ObjectId = NewType("ObjectId", str)
"""Sui object id: `0x` and 64 lower-case hex digits."""

NodeId = NewType("NodeId", str)
"""Object id of a storage node's staking pool, in the form of `ObjectId`."""

SuiAddress = NewType("SuiAddress", str)
"""Sui account address: `0x` and 64 lower-case hex digits."""

Digest = NewType("Digest", str)
"""Base58 digest of a transaction, checkpoint or object."""

Epoch = NewType("Epoch", int)
"""Walrus epoch, u32."""

ShardIndex = NewType("ShardIndex", int)
"""Which shard, 0 ≤ index < n. Shards belong to nodes for an epoch."""

PairIndex = NewType("PairIndex", int)
"""Which sliver pair of one blob, 0 ≤ index < n; the blob id rotates pairs over shards (`walrus_codec.mapping`)."""

SliverIndex = NewType("SliverIndex", int)
"""Row (primary) or column (secondary) of the encoded matrix, 0 ≤ index < n."""

Buffer = bytes | bytearray | memoryview
"""Anything the codec reads bytes from without copying; memoryviews must be contiguous."""


class EncodingType(IntEnum):
    """The one byte in metadata and blob id that names the code."""

    RS2 = 1
    """Reed-Solomon over GF(2^16), the official code; the only one that real networks accept."""

    ISAL = 128
    """Cauchy Reed-Solomon over GF(2^8) by ISA-L, known to devnets only."""

    @property
    def label(self) -> str:
        """The name in answers and logs."""
        return self.name

    @classmethod
    def parse(cls, text: str) -> "EncodingType":
        """Reads a name from configuration or command line, in any case.

        Raises:
            CodecError: no encoding has this name.
        """
        try:
            return cls[text.strip().upper()]
        except KeyError:
            known = ", ".join(member.name.lower() for member in cls)
            raise CodecError(f"unknown encoding {text!r}: choose one of {known}") from None

    @classmethod
    def from_byte(cls, value: int) -> "EncodingType":
        """Reads the number that stands in metadata and on chain.

        Raises:
            UnsupportedEncoding: no encoding has this number.
        """
        try:
            return cls(value)
        except ValueError:
            raise UnsupportedEncoding(
                f"unknown encoding type {value}: known are {[int(member) for member in cls]}"
            ) from None


class Axis(Enum):
    """The two directions of the encoded matrix."""

    PRIMARY = "primary"
    """Rows: n of them, any k1 give the blob back."""

    SECONDARY = "secondary"
    """Columns: n of them, any k2 give the blob back."""

    @property
    def orthogonal(self) -> "Axis":
        """The other direction."""
        return Axis.SECONDARY if self is Axis.PRIMARY else Axis.PRIMARY
