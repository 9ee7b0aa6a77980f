"""Messages that nodes sign, as the contract reads them (contract module messages).

Header: intent type, intent version, app id, epoch; then a body that depends on the type. Bytes after a known body are
ignored, so that messages can grow.
"""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.move.core.aborts import MoveAbort, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import SUI, WALRUS
from walrus_sui.devnet.move.framework.bls12381 import min_pk_verify

MODULE = Module(WALRUS, "messages")
BCS = Module(SUI, "bcs")

APP_ID = 3
INTENT_VERSION = 0
BLS_KEY_LENGTH = 48

PROOF_OF_POSSESSION_MSG_TYPE = 0
BLOB_CERT_MSG_TYPE = 1
INVALID_BLOB_ID_MSG_TYPE = 2
DENY_LIST_UPDATE_MSG_TYPE = 4
DENY_LIST_BLOB_DELETED_MSG_TYPE = 5
PROTOCOL_VERSION_MSG_TYPE = 6

E_INCORRECT_APP_ID = MODULE.error(0, "EIncorrectAppId")
E_INCORRECT_EPOCH = MODULE.error(1, "EIncorrectEpoch")
E_INVALID_MSG_TYPE = MODULE.error(2, "EInvalidMsgType")
E_INCORRECT_INTENT_VERSION = MODULE.error(3, "EIncorrectIntentVersion")
E_INVALID_BLOB_PERSISTENCE_TYPE = MODULE.error(4, "EInvalidBlobPersistenceType")
E_NOT_DELETABLE = MODULE.error(5, "ENotDeletable")
E_INVALID_KEY_LENGTH = MODULE.error(6, "EInvalidKeyLength")
E_OUT_OF_RANGE = BCS.error(0, "EOutOfRange")


@dataclass(frozen=True, slots=True)
class ProofOfPossessionMessage:
    """What whoever registers a key signs with it."""

    epoch: int
    sui_address: SuiAddress
    bls_key: bytes

    def to_bcs(self) -> bytes:
        """The bytes to sign."""
        header = bytes([PROOF_OF_POSSESSION_MSG_TYPE, INTENT_VERSION, APP_ID]) + bcs.u32(self.epoch)
        return header + bytes.fromhex(self.sui_address[2:]) + self.bls_key

    def verify_proof_of_possession(self, pop_signature: bytes) -> bool:
        """Whether the signature proves that the sender holds the key, in this epoch."""
        return min_pk_verify(pop_signature, self.bls_key, self.to_bcs())


def new_proof_of_possession_msg(epoch: int, sui_address: SuiAddress, bls_key: bytes) -> ProofOfPossessionMessage:
    """The message for a key; aborts if the key is not 48 bytes."""
    require(len(bls_key) == BLS_KEY_LENGTH, E_INVALID_KEY_LENGTH)
    return ProofOfPossessionMessage(epoch, sui_address, bls_key)


class Peeler:
    """Takes values off the front of a message (module bcs). What is left at the end is not looked at: messages may grow."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def _peel(self, size: int, function: str) -> bytes:
        if len(self.rest) < size:
            raise MoveAbort.of(E_OUT_OF_RANGE, function=function)
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def peel_u8(self) -> int:
        """A byte."""
        return self._peel(1, "peel_u8")[0]

    def peel_u32(self) -> int:
        """A u32."""
        return int.from_bytes(self._peel(4, "peel_u32"), "little")

    def peel_u64(self) -> int:
        """A u64."""
        return int.from_bytes(self._peel(8, "peel_u64"), "little")

    def peel_u256(self) -> int:
        """A u256."""
        return int.from_bytes(self._peel(32, "peel_u256"), "little")

    def peel_address(self) -> ObjectId:
        """An address, which is an id here."""
        return ObjectId("0x" + self._peel(32, "peel_address").hex())


@dataclass(frozen=True, slots=True)
class CertifiedMessage:
    """A message whose certificate was checked.

    Attributes:
        intent_type: what it says.
        cert_epoch: epoch in its header.
        message: its body.
        stake_support: weight of the signers.
    """

    intent_type: int
    cert_epoch: int
    message: bytes
    stake_support: int

    def certify_blob_message(self) -> "CertifiedBlobMessage":
        """Reads the body as a storage confirmation."""
        require(self.intent_type == BLOB_CERT_MSG_TYPE, E_INVALID_MSG_TYPE)
        body = Peeler(self.message)
        return CertifiedBlobMessage(body.peel_u256(), peel_blob_persistence_type(body))

    def invalid_blob_id_message(self) -> int:
        """Reads the body as the id of a badly encoded blob."""
        require(self.intent_type == INVALID_BLOB_ID_MSG_TYPE, E_INVALID_MSG_TYPE)
        return Peeler(self.message).peel_u256()

    def protocol_version_message(self) -> "ProtocolVersionMessage":
        """Reads the body as the start of a protocol version."""
        require(self.intent_type == PROTOCOL_VERSION_MSG_TYPE, E_INVALID_MSG_TYPE)
        body = Peeler(self.message)
        return ProtocolVersionMessage(body.peel_u32(), body.peel_u64())

    def deny_list_update_message(self) -> "DenyListUpdateMessage":
        """Reads the body as a change of a deny list."""
        require(self.intent_type == DENY_LIST_UPDATE_MSG_TYPE, E_INVALID_MSG_TYPE)
        body = Peeler(self.message)
        return DenyListUpdateMessage(body.peel_address(), body.peel_u64(), body.peel_u64(), body.peel_u256())

    def deny_list_blob_deleted_message(self) -> int:
        """Reads the body as the id of a deny-listed blob."""
        require(self.intent_type == DENY_LIST_BLOB_DELETED_MSG_TYPE, E_INVALID_MSG_TYPE)
        return Peeler(self.message).peel_u256()


def new_certified_message(message_bytes: bytes, committee_epoch: int, stake_support: int) -> CertifiedMessage:
    """Reads a message and checks version, application and epoch of its header."""
    header = Peeler(message_bytes)
    intent_type, intent_version = header.peel_u8(), header.peel_u8()
    require(intent_version == INTENT_VERSION, E_INCORRECT_INTENT_VERSION)
    require(header.peel_u8() == APP_ID, E_INCORRECT_APP_ID)
    cert_epoch = header.peel_u32()
    require(cert_epoch == committee_epoch, E_INCORRECT_EPOCH)
    return CertifiedMessage(intent_type, cert_epoch, header.rest, stake_support)


def peel_blob_persistence_type(body: Peeler) -> ObjectId | None:
    """Takes off whether a blob can be deleted, and then the id of its object."""
    kind = body.peel_u8()
    require(kind in {0, 1}, E_INVALID_BLOB_PERSISTENCE_TYPE)
    return body.peel_address() if kind == 1 else None


@dataclass(frozen=True, slots=True)
class ProtocolVersionMessage:
    """A protocol version and the epoch from which on it holds."""

    start_epoch: int
    protocol_version: int


@dataclass(frozen=True, slots=True)
class DenyListUpdateMessage:
    """A deny list: its node, number, bytes and root."""

    storage_node_id: ObjectId
    sequence_number: int
    size: int
    root: int


@dataclass(frozen=True, slots=True)
class CertifiedBlobMessage:
    """A checked storage confirmation.

    Attributes:
        blob_id: which blob.
        object_id: for deletable blobs the blob object, None for permanent ones.
    """

    blob_id: int
    object_id: ObjectId | None

    @property
    def is_deletable(self) -> bool:
        """Whether it is for a deletable blob."""
        return self.object_id is not None
