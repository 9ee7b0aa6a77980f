"""Move types as text and BCS, and the ids that follow from them.

A type is written as text everywhere ("0x2::coin::Coin<0x2::sui::SUI>"), short or canonical; it becomes a BCS TypeTag
where a transaction or the id of a dynamic field needs one. Addresses inside are canonical (0x and 64 digits) once
through `canonical`.
"""

import hashlib
from functools import lru_cache

import base58

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId

SUI_TYPE = "0x2::sui::SUI"
STRING_TYPE = "0x1::string::String"
CLOCK_ID = ObjectId("0x" + "6".rjust(64, "0"))

_SCALARS = {
    "bool": 0,
    "u8": 1,
    "u64": 2,
    "u128": 3,
    "address": 4,
    "signer": 5,
    "u16": 8,
    "u32": 9,
    "u256": 10,
}
_VECTOR = 6
_STRUCT = 7
_DYNAMIC_FIELD_PREFIX = b"\xf0"


def address_bytes(address: str) -> bytes:
    """Return the 32 bytes of an address or id given as 0x and up to 64 hex digits."""
    raw = bytes.fromhex(address.removeprefix("0x").rjust(64, "0"))
    if len(raw) != 32:
        raise ValueError(f"an address has at most 64 hex digits: {address}")
    return raw


def object_id(raw: bytes) -> ObjectId:
    """Return the canonical text of 32 bytes."""
    return ObjectId("0x" + raw.hex())


def coin_type(token: str) -> str:
    """Return the type of a coin object that holds `token`."""
    return f"0x2::coin::Coin<{token}>"


@lru_cache(maxsize=1024)
def type_tag(text: str) -> bytes:
    """Return the BCS TypeTag of a type text.

    Raises:
        ValueError: not a Move type.
    """
    text = text.strip()
    if text in _SCALARS:
        return bcs.uleb(_SCALARS[text])
    if text.startswith("vector<") and text.endswith(">"):
        return bcs.uleb(_VECTOR) + type_tag(text[len("vector<") : -1])
    address, module, name, parameters = split_struct(text)
    return (
        bcs.uleb(_STRUCT)
        + address_bytes(address)
        + bcs.string(module)
        + bcs.string(name)
        + bcs.vector(type_tag, parameters)
    )


def split_struct(text: str) -> tuple[str, str, str, list[str]]:
    """Split a struct type into address, module, name and type parameters.

    Raises:
        ValueError: not a struct type.
    """
    head, bracket, tail = text.strip().partition("<")
    parts = head.split("::")
    if len(parts) != 3 or not all(parts) or (bracket and not tail.endswith(">")):
        raise ValueError(f"not a Move struct type: {text!r}")
    return parts[0], parts[1], parts[2], _split_parameters(tail[:-1]) if bracket else []


@lru_cache(maxsize=1024)
def canonical(text: str) -> str:
    """Return the type with all addresses as 0x and 64 digits and no spaces, so that texts can be compared."""
    text = text.strip()
    if text in _SCALARS:
        return text
    if text.startswith("vector<") and text.endswith(">"):
        return f"vector<{canonical(text[len('vector<') : -1])}>"
    address, module, name, parameters = split_struct(text)
    inner = ",".join(canonical(parameter) for parameter in parameters)
    return f"{object_id(address_bytes(address))}::{module}::{name}" + (f"<{inner}>" if inner else "")


def package_of(struct_type: str) -> ObjectId:
    """Return the package that defined a struct type (its type origin)."""
    return object_id(address_bytes(split_struct(struct_type)[0]))


def dynamic_field_id(parent: str, key_type: str, key: bytes) -> ObjectId:
    """Return the id of the object that holds a dynamic field.

    Args:
        parent: id of the object (or of the UID inside it) that the field hangs on.
        key_type: Move type of the key.
        key: BCS of the key.
    """
    preimage = _DYNAMIC_FIELD_PREFIX + address_bytes(parent) + len(key).to_bytes(8, "little") + key + type_tag(key_type)
    return object_id(hashlib.blake2b(preimage, digest_size=32).digest())


def digest_bytes(digest: str) -> bytes:
    """Return the 32 bytes of a base58 digest.

    Raises:
        ValueError: not base58 of 32 bytes.
    """
    raw: bytes = base58.b58decode(digest)
    if len(raw) != 32:
        raise ValueError(f"a digest has 32 bytes, not {len(raw)}: {digest}")
    return raw


def transaction_digest(transaction_data: bytes) -> Digest:
    """Return the digest of BCS TransactionData."""
    raw = hashlib.blake2b(b"TransactionData::" + transaction_data, digest_size=32).digest()
    return Digest(base58.b58encode(raw).decode())


def _split_parameters(text: str) -> list[str]:
    parts: list[str] = []
    depth = start = 0
    for position, char in enumerate(text):
        if char == "<":
            depth += 1
        elif char == ">":
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in [*parts, text[start:]]]
