"""BLS12-381 signatures as Walrus uses them: public keys in G1 (48 bytes), signatures in G2 (96 bytes).

Life of a signature: a node signs a protocol message (`walrus_sui.messages`) with `sign`, clients check it with `verify`
and sum many of them with `aggregate`; the contract and everyone else check the sum against the sum of the signers' keys
(`aggregate_verify`). All signers of one certificate sign the identical bytes, so one pairing equation is enough.

Keys must have shown a proof of possession before they are summed, otherwise rogue keys forge aggregates. Identity points
are refused everywhere: with them an empty signature would verify.
"""

from collections.abc import Iterable, Sequence

import pysui_fastcrypto
from py_arkworks_bls12381 import G1Point, G2Point, Scalar

DST = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"
"""Domain separation tag of the "min-pk" scheme without message augmentation."""

PUBLIC_KEY_LENGTH = 48
UNCOMPRESSED_LENGTH = 96
SIGNATURE_LENGTH = 96
GROUP_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
G1_IDENTITY = bytes([0xC0]) + bytes(PUBLIC_KEY_LENGTH - 1)
"""Compressed point at infinity: the total key of an empty committee, never a member's key."""


def public_key(secret: int) -> bytes:
    """Return the 48-byte public key of a secret scalar in [1, `GROUP_ORDER`)."""
    return bytes((G1Point() * _scalar(secret)).to_compressed_bytes())


def sign(secret: int, message: bytes) -> bytes:
    """Return the 96-byte signature of `message` (unhashed) under a secret scalar in [1, `GROUP_ORDER`)."""
    return bytes((G2Point.hash_to_curve(message, DST) * _scalar(secret)).to_compressed_bytes())


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (96 bytes) is one of `message` under `public` (48 bytes); malformed input is False."""
    if len(public) != PUBLIC_KEY_LENGTH or len(signature) != SIGNATURE_LENGTH or _is_identity(public):
        return False
    try:
        return bool(pysui_fastcrypto.bls_verify(public, signature, message))
    except ValueError:
        return False


def aggregate(signatures: Sequence[bytes]) -> bytes:
    """Sum signatures of one message into one.

    Args:
        signatures: at least one, 96 bytes each.

    Raises:
        ValueError: nothing to sum, or one of them is not a point of the group.
    """
    if not signatures:
        raise ValueError("no signatures to aggregate")
    try:
        return bytes(pysui_fastcrypto.bls_aggregate(list(signatures)))
    except ValueError as error:
        raise ValueError(f"a signature cannot be aggregated: {error.args[-1]}") from None


def aggregate_verify(publics: Sequence[bytes], message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` is the sum of signatures of `message` under every key of `publics`.

    The keys must have shown proofs of possession. No keys, malformed keys and keys that sum to the identity are False.
    """
    if not publics:
        return False
    try:
        total = sum_public_keys(publics)
    except ValueError:
        return False
    return verify(total, message, signature)


def sum_public_keys(publics: Iterable[bytes]) -> bytes:
    """Sum 48-byte keys into one; no keys give `G1_IDENTITY`.

    Raises:
        ValueError: a key is malformed or the identity.
    """
    total = G1Point.identity()
    for public in publics:
        total = total + _member_point(public)
    return bytes(total.to_compressed_bytes())


def subtract_public_keys(total: bytes, publics: Iterable[bytes]) -> bytes:
    """Take the 48-byte keys of non-signers off a committee's total key (contract module bls_aggregate).

    Raises:
        ValueError: a key is malformed, or a member's key is the identity.
    """
    point = _point(total)
    for public in publics:
        point = point - _member_point(public)
    return bytes(point.to_compressed_bytes())


def uncompressed(public: bytes) -> bytes:
    """Return the 96-byte form in which the contract stores a key (x and y, big endian).

    Raises:
        ValueError: not a key, or the identity.
    """
    return bytes(_member_point(public).to_xy_bytes_be())


def compressed(public: bytes) -> bytes:
    """Return the 48-byte form of a key that the contract stores in 96 bytes.

    Raises:
        ValueError: not a key, or the identity.
    """
    if len(public) != UNCOMPRESSED_LENGTH:
        raise ValueError(f"an uncompressed BLS public key has {UNCOMPRESSED_LENGTH} bytes, not {len(public)}")
    try:
        return bytes(pysui_fastcrypto.bls_g1_compress(public))
    except ValueError as error:
        raise ValueError(f"not a BLS public key: {error.args[-1]}") from None


def is_public_key(public: bytes) -> bool:
    """Tell whether `public` is a 48-byte key that may join a committee: in the group and not the identity."""
    try:
        _member_point(public)
    except ValueError:
        return False
    return True


def _scalar(secret: int) -> Scalar:
    if not 0 < secret < GROUP_ORDER:
        raise ValueError("a BLS secret lies in [1, group order)")
    return Scalar.from_be_bytes(secret.to_bytes(32, "big"))


def _point(public: bytes) -> G1Point:
    if len(public) != PUBLIC_KEY_LENGTH:
        raise ValueError(f"a BLS public key has {PUBLIC_KEY_LENGTH} bytes, not {len(public)}")
    return G1Point.from_compressed_bytes(public)


def _is_identity(public: bytes) -> bool:
    return bool(public[0] & 0x40)  # the flag alone decides: arkworks reads any such encoding as the point at infinity


def _member_point(public: bytes) -> G1Point:
    if public and _is_identity(public):
        raise ValueError("the identity point is no public key")
    return _point(public)
