"""Who signed: checks of user signatures.

A signature is ``flag || signature || public key``; the flag 0 says Ed25519, the only scheme the devnet knows. The signer's
address is blake2b-256 over flag and public key; what is signed is the digest of the transaction with its intent.

Source: ``sui-types`` modules crypto and signature.
"""

from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.errors import Rejected, RejectionKind
from walrus_sui.devnet.ledger.transactions import TransactionData, signing_digest

ED25519_FLAG = 0
ED25519_LENGTH = 1 + 64 + 32


def address_of(public_key: bytes) -> SuiAddress:
    """Address of an Ed25519 public key of 32 bytes."""
    return SuiAddress("0x" + digests.blake2b(bytes([ED25519_FLAG]), public_key).hex())


def sign(tx_bytes: bytes, key: Ed25519PrivateKey) -> bytes:
    """Signature of a transaction's BCS."""
    public_key = key.public_key().public_bytes_raw()
    return bytes([ED25519_FLAG]) + key.sign(signing_digest(tx_bytes)) + public_key


def verify(tx_bytes: bytes, transaction: TransactionData, signatures: Sequence[bytes]) -> None:
    """Checks that the sender and whoever pays the gas signed, and nobody else.

    Raises:
        Rejected: a signature is missing, wrong, malformed or not asked for.
    """
    required = {transaction.sender, transaction.gas.owner}
    if len(signatures) != len(required):
        raise _invalid(f"expect {len(required)} signer signatures but got {len(signatures)}")
    message = signing_digest(tx_bytes)
    signers = {_signer(signature, message) for signature in signatures}
    missing = sorted(required - signers)
    if missing:
        raise _invalid(f"Required Signature from {missing[0]} is absent {sorted(signers)}")


def _signer(signature: bytes, message: bytes) -> SuiAddress:
    if not signature or signature[0] != ED25519_FLAG:
        raise _invalid("only Ed25519 signatures (flag 0x00) are known to this devnet")
    if len(signature) != ED25519_LENGTH:
        raise _invalid(
            f"an Ed25519 signature has {ED25519_LENGTH} bytes with flag and public key, not {len(signature)}"
        )
    public_key = signature[65:]
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature[1:65], message)
    except (InvalidSignature, ValueError):
        raise _invalid("Value was not signed by the correct sender: Fail to verify user sig") from None
    return address_of(public_key)


def _invalid(reason: str) -> Rejected:
    return Rejected(f"Invalid user signature: {reason}", kind=RejectionKind.SIGNATURE)
