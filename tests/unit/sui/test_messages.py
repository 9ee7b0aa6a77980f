import hashlib

import pysui_fastcrypto
import pytest

from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId, SuiAddress
from walrus_sui import messages
from walrus_sui.errors import MessageError
from walrus_sui.messages import Deletable, Permanent

BLOB = BlobId(bytes(range(32)))
OBJECT = ObjectId("0x" + "ab" * 32)
ADDRESS = SuiAddress("0x" + "cd" * 32)
EPOCH = Epoch(0x01020304)


def test_a_permanent_confirmation_has_the_documented_bytes() -> None:
    message = messages.confirmation(BLOB, EPOCH, Permanent())
    assert message == bytes([1, 0, 3, 4, 3, 2, 1]) + BLOB + b"\0"
    assert message == bytes(pysui_fastcrypto.bls_confirmation_bytes(EPOCH, BLOB))


def test_a_deletable_confirmation_names_its_object() -> None:
    message = messages.confirmation(BLOB, EPOCH, Deletable(OBJECT))
    assert len(message) == 72
    assert message == bytes(pysui_fastcrypto.bls_confirmation_bytes(EPOCH, BLOB, bytes.fromhex("ab" * 32)))


def test_a_proof_of_possession_binds_epoch_address_and_key() -> None:
    message = messages.proof_of_possession(ADDRESS, b"k" * 48, EPOCH)
    assert message == bytes([0, 0, 3, 4, 3, 2, 1]) + b"\xcd" * 32 + b"k" * 48
    with pytest.raises(MessageError, match="48 bytes"):
        messages.proof_of_possession(ADDRESS, b"k" * 96, EPOCH)


def test_a_request_between_nodes_binds_method_both_nodes_time_nonce_and_body() -> None:
    message = messages.node_request(
        "M", sender=NodeId(OBJECT), receiver=NodeId(ADDRESS), unix_ms=7, nonce=b"n" * 16, body=b"body", epoch=EPOCH
    )
    digest = hashlib.blake2b(b"body", digest_size=32).digest()
    fields = b"\x01M" + b"\xab" * 32 + b"\xcd" * 32 + (7).to_bytes(8, "little") + b"n" * 16 + digest
    assert message == bytes([0xC0, 0, 3, 4, 3, 2, 1]) + fields
    with pytest.raises(MessageError, match="16 bytes"):
        messages.node_request(
            "M", sender=NodeId(OBJECT), receiver=NodeId(ADDRESS), unix_ms=7, nonce=b"n", body=b"", epoch=EPOCH
        )


def test_what_else_members_sign_has_the_documented_bytes() -> None:
    update = messages.deny_list_update(NodeId(OBJECT), sequence=7, size=9, root=BLOB, epoch=EPOCH)
    numbers = (7).to_bytes(8, "little") + (9).to_bytes(8, "little")
    assert update == bytes([4, 0, 3, 4, 3, 2, 1]) + b"\xab" * 32 + numbers + BLOB
    assert len(update) == 87
    assert messages.deny_listed_blob_deleted(BLOB, EPOCH) == bytes([5, 0, 3, 4, 3, 2, 1]) + BLOB
    version = messages.protocol_version(6, start=Epoch(EPOCH + 1), epoch=EPOCH)
    assert version == bytes([6, 0, 3, 4, 3, 2, 1, 5, 3, 2, 1, 6]) + bytes(7)


def test_messages_come_back_from_their_bytes() -> None:
    for persistence in (Permanent(), Deletable(OBJECT)):
        parsed = messages.parse_confirmation(messages.confirmation(BLOB, EPOCH, persistence))
        assert parsed == messages.Confirmation(EPOCH, BLOB, persistence)
    proof = messages.parse_proof_of_possession(messages.proof_of_possession(ADDRESS, b"k" * 48, EPOCH))
    assert proof == messages.ProofOfPossession(EPOCH, ADDRESS, b"k" * 48)
    assert messages.parse_invalid_blob(messages.invalid_blob(BLOB, EPOCH)) == messages.InvalidBlob(EPOCH, BLOB)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m[:-1],
        lambda m: m + b"\0",
        lambda m: b"\x02" + m[1:],
        lambda m: m[:1] + b"\x01" + m[2:],
        lambda m: m[:2] + b"\x04" + m[3:],
        lambda m: m[:-1] + b"\x02",
        lambda m: m[:6],
        lambda m: b"",
    ],
)
def test_anything_else_is_no_confirmation(change) -> None:
    with pytest.raises(MessageError):
        messages.parse_confirmation(change(messages.confirmation(BLOB, EPOCH, Permanent())))


def test_ids_of_another_length_are_refused() -> None:
    with pytest.raises(MessageError, match="32 bytes"):
        messages.confirmation(BLOB, EPOCH, Deletable(ObjectId("0xab")))
