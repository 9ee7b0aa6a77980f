"""Who signed: checks of user signatures.

A signature is ``flag || signature || public key``; the flag 0 says Ed25519, the only scheme the devnet knows. The signer's
address is blake2b-256 over flag and public key; what is signed is the digest of the transaction with its intent.

Source: ``sui-types`` modules crypto and signature.
"""

from base64 import b64encode
from collections.abc import Sequence

import pysui_fastcrypto
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
    if not _is_signed(message, signature[1:65], public_key):
        raise _invalid("Value was not signed by the correct sender: Fail to verify user sig")
    return address_of(public_key)


def _is_signed(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Sui's own verification: which borderline signatures count is its choice, and it takes half of OpenSSL's time."""
    try:
        given = b64encode(message).decode(), b64encode(signature).decode()
        return pysui_fastcrypto.verify_pubk(ED25519_FLAG, public_key, *given)
    except ValueError:  # no point of the curve, or no scalar
        return False


def _invalid(reason: str) -> Rejected:
    return Rejected(f"Invalid user signature: {reason}", kind=RejectionKind.SIGNATURE)
