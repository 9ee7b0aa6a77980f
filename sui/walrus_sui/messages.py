"""Signed protocol messages of Walrus: the exact bytes that BLS keys sign.

Life of a message: built here, signed with `BlsKey.sign`, checked off chain by clients and on chain by the contract
(module messages), which accepts it only in the epoch that the header names. Header: intent type u8, intent version
u8 = 0, app id u8 = 3, epoch u32 little endian; the body follows without a length (`crates/walrus-core` messages).
"""

import hashlib
from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId, SuiAddress
from walrus_sui.errors import MessageError

INTENT_PROOF_OF_POSSESSION = 0
INTENT_BLOB_CERTIFICATE = 1
INTENT_INVALID_BLOB = 2
INTENT_SYNC_SHARD = 3
INTENT_DENY_LIST_UPDATE = 4
INTENT_DENY_LIST_BLOB_DELETED = 5
INTENT_PROTOCOL_VERSION = 6

INTENT_NODE_REQUEST = 0xC0
"""Ours, beyond the official ones: a request from one storage node to another."""

INTENT_VERSION = 0
APP_ID = 3
HEADER_LENGTH = 7
NONCE_LENGTH = 16


@dataclass(frozen=True)
class Permanent:
    """The blob may not be deleted before its end epoch."""


@dataclass(frozen=True)
class Deletable:
    """The owner of one Blob object may delete it.

    Attributes:
        object_id: the Blob object that the confirmation is for.
    """

    object_id: ObjectId


Persistence = Permanent | Deletable


@dataclass(frozen=True)
class Confirmation:
    """What a storage confirmation says: "in `epoch` I hold my slivers of `blob_id`"."""

    epoch: Epoch
    blob_id: BlobId
    persistence: Persistence


@dataclass(frozen=True)
class ProofOfPossession:
    """What a proof of possession says: "in `epoch`, `address` registers my key"."""

    epoch: Epoch
    address: SuiAddress
    public_key: bytes


@dataclass(frozen=True)
class InvalidBlob:
    """What an inconsistency attestation says: "in `epoch` I have seen that `blob_id` is badly encoded"."""

    epoch: Epoch
    blob_id: BlobId


def header(intent: int, epoch: Epoch) -> bytes:
    """Return the 7 bytes before every body."""
    return bytes([intent, INTENT_VERSION, APP_ID]) + epoch.to_bytes(4, "little")


def epoch_of(message: bytes) -> Epoch:
    """Return the epoch in the header of any message.

    Raises:
        MessageError: shorter than a header.
    """
    if len(message) < HEADER_LENGTH:
        raise MessageError(
            f"a signed message begins with {HEADER_LENGTH} bytes of header; this one has {len(message)} in all"
        )
    return Epoch(int.from_bytes(message[3:HEADER_LENGTH], "little"))


def confirmation(blob_id: BlobId, epoch: Epoch, persistence: Persistence) -> bytes:
    """Return the storage confirmation: 40 bytes for a permanent blob, 72 for a deletable one."""
    tail = b"\x00" if isinstance(persistence, Permanent) else b"\x01" + _id_bytes(persistence.object_id)
    return header(INTENT_BLOB_CERTIFICATE, epoch) + blob_id + tail


def proof_of_possession(address: SuiAddress, bls_public_key: bytes, epoch: Epoch) -> bytes:
    """Return the 87 bytes that a node signs to register its key; `address` is the transaction's sender."""
    if len(bls_public_key) != 48:
        raise MessageError(f"a BLS public key has 48 bytes, not {len(bls_public_key)}")
    return header(INTENT_PROOF_OF_POSSESSION, epoch) + _id_bytes(address) + bls_public_key


def invalid_blob(blob_id: BlobId, epoch: Epoch) -> bytes:
    """Return the 39 bytes that attest a badly encoded blob."""
    return header(INTENT_INVALID_BLOB, epoch) + blob_id


def deny_list_update(node_id: NodeId, *, sequence: int, size: int, root: bytes, epoch: Epoch) -> bytes:
    """Return the message that nodes sign when they have seen another node's deny list.

    Args:
        node_id: whose list.
        sequence: its number.
        size: encoded bytes that it lists.
        root: 32 bytes that commit to it (the chain's u256 by its little-endian bytes).
        epoch: the current one.
    """
    body = _id_bytes(node_id) + bcs.u64(sequence) + bcs.u64(size) + root
    return header(INTENT_DENY_LIST_UPDATE, epoch) + body


def deny_listed_blob_deleted(blob_id: BlobId, epoch: Epoch) -> bytes:
    """Return the message that nodes sign when a blob of their deny lists is deleted."""
    return header(INTENT_DENY_LIST_BLOB_DELETED, epoch) + blob_id


def protocol_version(version: int, *, start: Epoch, epoch: Epoch) -> bytes:
    """Return the message that nodes sign when they are ready for a protocol version from an epoch on."""
    return header(INTENT_PROTOCOL_VERSION, epoch) + bcs.u32(start) + bcs.u64(version)


def node_request(
    method: str, *, sender: NodeId, receiver: NodeId, unix_ms: int, nonce: bytes, body: bytes, epoch: Epoch
) -> bytes:
    """Return what a storage node signs to show another one who asks.

    Args:
        method: name of the RPC, so that a signature serves one purpose only.
        sender: the asking node.
        receiver: the asked node, so that nobody passes the request on.
        unix_ms: the sender's clock.
        nonce: 16 bytes, never used twice.
        body: the request; its Blake2b-256 hash is signed.
        epoch: the current one.
    """
    if len(nonce) != NONCE_LENGTH:
        raise MessageError(f"a nonce has {NONCE_LENGTH} bytes, not {len(nonce)}")
    digest = hashlib.blake2b(body, digest_size=32).digest()
    fields = (bcs.string(method), _id_bytes(sender), _id_bytes(receiver), bcs.u64(unix_ms), nonce, digest)
    return header(INTENT_NODE_REQUEST, epoch) + b"".join(fields)


def parse_confirmation(message: bytes) -> Confirmation:
    """Read a storage confirmation; raises `MessageError` unless it is exactly one."""
    epoch, body = _parse_header(message, INTENT_BLOB_CERTIFICATE)
    if len(body) == 33 and body[32] == 0:
        return Confirmation(epoch, BlobId(body[:32]), Permanent())
    if len(body) == 65 and body[32] == 1:
        return Confirmation(epoch, BlobId(body[:32]), Deletable(ObjectId("0x" + body[33:].hex())))
    raise MessageError("a storage confirmation ends with its blob id and persistence")


def parse_proof_of_possession(message: bytes) -> ProofOfPossession:
    """Read a proof of possession; raises `MessageError` unless it is exactly one."""
    epoch, body = _parse_header(message, INTENT_PROOF_OF_POSSESSION)
    if len(body) != 80:
        raise MessageError("a proof of possession ends with an address and a public key")
    return ProofOfPossession(epoch, SuiAddress("0x" + body[:32].hex()), body[32:])


def parse_invalid_blob(message: bytes) -> InvalidBlob:
    """Read an invalid-blob attestation; raises `MessageError` unless it is exactly one."""
    epoch, body = _parse_header(message, INTENT_INVALID_BLOB)
    if len(body) != 32:
        raise MessageError("an invalid-blob message ends with its blob id")
    return InvalidBlob(epoch, BlobId(body))


def _parse_header(message: bytes, intent: int) -> tuple[Epoch, bytes]:
    if len(message) < HEADER_LENGTH:
        raise MessageError(f"a protocol message has at least {HEADER_LENGTH} bytes, not {len(message)}")
    if message[0] != intent or message[1] != INTENT_VERSION or message[2] != APP_ID:
        raise MessageError(f"expected a message of intent {intent}, version 0, app 3; got {tuple(message[:3])}")
    return Epoch(int.from_bytes(message[3:7], "little")), bytes(message[7:])


def _id_bytes(text: str) -> bytes:
    raw = bytes.fromhex(text.removeprefix("0x"))
    if len(raw) != 32:
        raise MessageError(f"an id has 32 bytes (64 hex digits), this has {len(raw)}: {text}")
    return raw
