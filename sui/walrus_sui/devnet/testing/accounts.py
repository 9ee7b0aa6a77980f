"""Accounts and storage nodes whose keys follow from their names."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui import bls
from walrus_sui.devnet.ledger import signatures


@dataclass(frozen=True)
class Account:
    """An account with its key."""

    name: str
    address: SuiAddress
    key: Ed25519PrivateKey


@dataclass(frozen=True)
class Node:
    """A registered storage node with its keys."""

    account: Account
    bls_secret: int
    node_id: ObjectId
    cap_id: ObjectId

    @property
    def public_key(self) -> bytes:
        """BLS public key, 48 bytes."""
        return bls.public_key(self.bls_secret)


def account(name: str) -> Account:
    """The account of a name."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.blake2b(name.encode(), digest_size=32).digest())
    return Account(name, signatures.address_of(key.public_key().public_bytes_raw()), key)


def bls_secret(name: str) -> int:
    """A BLS secret that follows from a name."""
    return int.from_bytes(hashlib.blake2b(b"bls" + name.encode(), digest_size=31).digest(), "big")
