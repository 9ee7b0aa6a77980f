"""Digests and derived ids of Sui.

A digest is blake2b-256 over the name of the type, ``::`` and the BCS of the value; in BCS it is a byte vector of 32, in
text base58. New object ids are blake2b-256 over a scope byte, the digest of the creating transaction and a counter.

Source: ``sui-types`` modules digests, crypto (``HashingIntentScope``) and base_types.
"""

import hashlib
from typing import Final

import base58

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_TEN_DIGITS: Final = 58**10
_REMEMBERED: Final = 16_384

# Each digest is told as text and needed as bytes soon after, so both directions are remembered together.
_texts: dict[bytes, Digest] = {}
_raws: dict[str, bytes] = {}


class DigestError(ValueError):
    """Text or bytes that are no digest: it is base58 of 32 bytes."""


def blake2b(*parts: bytes) -> bytes:
    """32 bytes of blake2b over the joined parts."""
    return hashlib.blake2b(b"".join(parts), digest_size=32).digest()


def to_text(raw: bytes) -> Digest:
    """Base58 of 32 bytes."""
    found = _texts.get(raw)
    if found is None:
        found = Digest(_base58(raw))
        _remember(raw, found)
    return found


def _base58(raw: bytes) -> str:
    """Ten digits at a time, and those two by two: long divisions are what costs."""
    number, parts = int.from_bytes(raw, "big"), []
    while number:
        number, rest = divmod(number, _TEN_DIGITS)
        for _ in range(5):
            rest, pair = divmod(rest, 3364)
            parts.append(_PAIRS[pair])
    digits = "".join(reversed(parts)).lstrip("1")
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def _remember(raw: bytes, text: Digest) -> None:
    if len(_texts) >= _REMEMBERED:
        _texts.clear()
        _raws.clear()
    _texts[raw] = text
    _raws[text] = raw


def to_bytes(text: Digest | str) -> bytes:
    """The 32 bytes of a digest in base58.

    Raises:
        DigestError: not base58, or not of 32 bytes.
    """
    known = _raws.get(text)
    if known is not None:
        return known
    try:
        raw: bytes = base58.b58decode(text)
    except ValueError as error:
        raise DigestError(f"{text!r} is not base58") from error
    if len(raw) != 32:
        raise DigestError(f"{text!r} has {len(raw)} bytes, a digest has 32")
    return raw


ZERO_DIGEST: Final = to_text(bytes(32))


def of(type_name: str, value: bytes) -> Digest:
    """Digest of a value, given its type's name and its BCS."""
    return to_text(blake2b(type_name.encode() + b"::", value))


def write(digest: Digest) -> bytes:
    """BCS of a digest."""
    return b"\x20" + to_bytes(digest)


def read(reader: bcs.Reader) -> Digest:
    """Reads a digest from BCS.

    Raises:
        bcs.BcsError: truncated, or not of 32 bytes.
    """
    raw = reader.bytes_()
    if len(raw) != 32:
        raise bcs.BcsError(f"digest of {len(raw)} bytes: a digest has 32")
    return to_text(raw)


def write_address(address: SuiAddress | ObjectId | str) -> bytes:
    """The 32 bytes of an address or object id in canonical text."""
    return bytes.fromhex(address[2:])


def read_address(reader: bcs.Reader) -> SuiAddress:
    """Reads an address from BCS."""
    return SuiAddress("0x" + reader.fixed(32).hex())


def read_id(reader: bcs.Reader) -> ObjectId:
    """Reads an object id from BCS."""
    return ObjectId("0x" + reader.fixed(32).hex())
