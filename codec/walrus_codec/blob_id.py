"""The blob id: 32 bytes that commit to encoding, length and every symbol of the encoded blob.

    Blake2b-256( encoding type u8 | unencoded length u64 LE | Merkle root over the sliver pairs 32 )

(contract module blob, function derive_blob_id). Three faces of the same 32 bytes:

* text: URL-safe base64 without padding, 43 characters, in URLs, logs and answers;
* chain integer: u256, the **little-endian** reading, in Move calls and objects;
* rotation: the **big-endian** reading modulo n, in `walrus_codec.mapping`.
"""

import base64
import binascii
from hashlib import blake2b

from walrus_codec.errors import BlobIdError
from walrus_codec.types import BlobId, EncodingType

SIZE = 32
TEXT_SIZE = 43

__all__ = ["SIZE", "TEXT_SIZE", "BlobIdError", "compute", "from_bytes", "from_int", "parse", "to_int", "to_text"]


def compute(root: bytes, encoding_type: EncodingType, unencoded_length: int) -> BlobId:
    """The id of the blob whose sliver pairs have this Merkle root (32 bytes) and whose content has this many bytes."""
    head = bytes((encoding_type,)) + unencoded_length.to_bytes(8, "little")
    return BlobId(blake2b(head + root, digest_size=SIZE).digest())


def from_bytes(raw: bytes) -> BlobId:
    """Takes 32 raw bytes from a message.

    Raises:
        BlobIdError: the length is another.
    """
    if len(raw) != SIZE:
        raise BlobIdError(f"a blob id has {SIZE} bytes, not {len(raw)}")
    return BlobId(bytes(raw))


def to_text(blob_id: BlobId) -> str:
    """The 43 characters that users see."""
    return base64.urlsafe_b64encode(blob_id).rstrip(b"=").decode()


def parse(text: str) -> BlobId:
    """Reads the 43 characters; only the one canonical spelling is accepted.

    Raises:
        BlobIdError: wrong length, wrong characters, or bits beyond the 32 bytes.
    """
    if len(text) == TEXT_SIZE:
        try:
            raw = base64.b64decode(text + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) == SIZE and to_text(BlobId(raw)) == text:
            return BlobId(raw)
    raise BlobIdError(f"{text[:64]!r} is not a blob id: expected {TEXT_SIZE} characters of URL-safe base64")


def to_int(blob_id: BlobId) -> int:
    """The u256 that stands on chain."""
    return int.from_bytes(blob_id, "little")


def from_int(value: int) -> BlobId:
    """Reads the u256 that stands on chain.

    Raises:
        BlobIdError: the number is negative or has more than 256 bits.
    """
    try:
        return BlobId(value.to_bytes(SIZE, "little"))
    except OverflowError:
        raise BlobIdError(f"{value} is not a u256") from None
