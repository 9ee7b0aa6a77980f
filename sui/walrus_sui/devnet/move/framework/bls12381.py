"""BLS12-381 as contracts see it (modules bls12381, group_ops).

Keys are stored uncompressed (96 bytes) because sums are cheaper there; the committee's total key is compressed. The
curve itself is `walrus_sui.bls`; here are the aborts of the framework's native functions.
"""

from typing import Annotated

from walrus_sui import bls
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.aborts import abort
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.types import Bytes

BLS12381 = Module(SUI, "bls12381")
GROUP_OPS = Module(SUI, "group_ops")

E_INVALID_INPUT = GROUP_OPS.error(1, "EInvalidInput")

_ELEMENT = frozenset({"copy", "drop", "store"})
G1_TYPE = Bytes(GROUP_OPS.tag("Element", BLS12381.tag("G1")), _ELEMENT)
UNCOMPRESSED_G1_TYPE = Bytes(GROUP_OPS.tag("Element", BLS12381.tag("UncompressedG1")), _ELEMENT)
GROUP_OPS.generic("Element", 1, "copy, drop, store", lambda kind: Bytes(GROUP_OPS.tag("Element", kind.tag), _ELEMENT))

G1 = Annotated[bytes, G1_TYPE]
UncompressedG1 = Annotated[bytes, UNCOMPRESSED_G1_TYPE]


def g1_to_uncompressed(public_key: bytes) -> bytes:
    """The 96-byte form of a 48-byte key; aborts if it is not a point of the group."""
    try:
        return bls.uncompressed(public_key)
    except ValueError:
        raise abort(E_INVALID_INPUT) from None


def sum_keys(keys: list[bytes]) -> bytes:
    """The 48-byte sum of 96-byte keys; the identity if there are none."""
    try:
        return bls.sum_public_keys([bls.compressed(key) for key in keys])
    except ValueError:
        raise abort(E_INVALID_INPUT) from None


def subtract_keys(total: bytes, keys: list[bytes]) -> bytes:
    """The 48-byte total key without some 96-byte keys."""
    try:
        return bls.subtract_public_keys(total, [bls.compressed(key) for key in keys])
    except ValueError:
        raise abort(E_INVALID_INPUT) from None


def min_pk_verify(signature: bytes, public_key: bytes, message: bytes) -> bool:
    """Whether the signature is right; malformed keys and signatures are not."""
    return bls.verify(public_key, message, signature)


def _phantom(name: str) -> None:
    BLS12381.native(Bytes(tags.struct(SUI, "bls12381", name), frozenset()))


_phantom("G1")
_phantom("UncompressedG1")
