"""Messages that nodes sign, as the contract reads them (contract module messages).

Header: intent type, intent version, app id, epoch; then a body that depends on the type. Bytes after a known body are
ignored, so that messages can grow.
"""

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import ObjectId, SuiAddress
from walrus_sui.devnet.move.core.aborts import abort, require
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

E_INCORRECT_APP_ID = MODULE.error(0, "EIncorrectAppId")
E_INCORRECT_EPOCH = MODULE.error(1, "EIncorrectEpoch")
E_INVALID_MSG_TYPE = MODULE.error(2, "EInvalidMsgType")
E_INCORRECT_INTENT_VERSION = MODULE.error(3, "EIncorrectIntentVersion")
E_INVALID_BLOB_PERSISTENCE_TYPE = MODULE.error(4, "EInvalidBlobPersistenceType")
E_NOT_DELETABLE = MODULE.error(5, "ENotDeletable")
E_INVALID_KEY_LENGTH = MODULE.error(6, "EInvalidKeyLength")
E_OUT_OF_RANGE = BCS.error(0, "EOutOfRange")


def verify_proof_of_possession(*, epoch: int, sui_address: SuiAddress, bls_key: bytes, signature: bytes) -> bool:
    """Whether the signature proves that the sender holds the key, in this epoch; aborts on a key that is not 48 bytes."""
    require(len(bls_key) == BLS_KEY_LENGTH, E_INVALID_KEY_LENGTH)
    header = bytes([PROOF_OF_POSSESSION_MSG_TYPE, INTENT_VERSION, APP_ID]) + bcs.u32(epoch)
    return min_pk_verify(signature, bls_key, header + bytes.fromhex(sui_address[2:]) + bls_key)


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

    @classmethod
    def new(cls, message_bytes: bytes, committee_epoch: int, stake_support: int) -> "CertifiedMessage":
        """Reads a message and checks version, application and epoch of its header."""
        try:
            reader = bcs.Reader(message_bytes)
            intent_type, intent_version = reader.u8(), reader.u8()
            require(intent_version == INTENT_VERSION, E_INCORRECT_INTENT_VERSION)
            require(reader.u8() == APP_ID, E_INCORRECT_APP_ID)
            cert_epoch = reader.u32()
        except bcs.BcsError:
            raise abort(E_OUT_OF_RANGE) from None
        require(cert_epoch == committee_epoch, E_INCORRECT_EPOCH)
        return cls(intent_type, cert_epoch, reader.fixed(reader.remaining), stake_support)

    def certify_blob_message(self) -> "CertifiedBlobMessage":
        """Reads the body as a storage confirmation."""
        require(self.intent_type == BLOB_CERT_MSG_TYPE, E_INVALID_MSG_TYPE)
        try:
            reader = bcs.Reader(self.message)
            blob_id, kind = reader.u256(), reader.u8()
            if kind == 0:
                return CertifiedBlobMessage(blob_id, None)
            if kind == 1:
                return CertifiedBlobMessage(blob_id, ObjectId("0x" + reader.fixed(32).hex()))
        except bcs.BcsError:
            raise abort(E_OUT_OF_RANGE) from None
        raise abort(E_INVALID_BLOB_PERSISTENCE_TYPE)


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
