"""Laws of signed messages: the contract reads what clients write, and any other bytes end in an abort."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.messages import CertifiedMessage, new_certified_message

RAW = st.binary(min_size=32, max_size=32)
U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def read(message: bytes, epoch: int) -> CertifiedMessage:
    return new_certified_message(message, epoch, 1)


@given(epoch=U32, blob=RAW, other=RAW, first=U64, second=U64, start=U32, rest=st.binary(max_size=40))
def test_the_contract_reads_what_clients_write(
    *, epoch: int, blob: bytes, other: bytes, first: int, second: int, start: int, rest: bytes
) -> None:
    now, blob_id, text = Epoch(epoch), BlobId(blob), "0x" + other.hex()
    permanent = messages.confirmation(blob_id, now, messages.Permanent())
    deletable = messages.confirmation(blob_id, now, messages.Deletable(ObjectId(text)))
    for message, object_id in ((permanent, None), (deletable, text)):
        confirmed = read(message + rest, epoch).certify_blob_message()
        assert (confirmed.blob_id, confirmed.object_id) == (number(blob), object_id)
    assert read(messages.invalid_blob(blob_id, now) + rest, epoch).invalid_blob_id_message() == number(blob)
    gone = messages.deny_listed_blob_deleted(blob_id, now)
    assert read(gone + rest, epoch).deny_list_blob_deleted_message() == number(blob)
    listed = messages.deny_list_update(NodeId(text), sequence=first, size=second, root=blob, epoch=now)
    update = read(listed + rest, epoch).deny_list_update_message()
    assert (update.storage_node_id, update.sequence_number, update.size) == (text, first, second)
    assert update.root == number(blob)
    agreed = read(messages.protocol_version(first, start=Epoch(start), epoch=now) + rest, epoch)
    version = agreed.protocol_version_message()
    assert (version.start_epoch, version.protocol_version) == (start, first)


HEADERS = st.binary(max_size=9) | st.integers(0, 255).map(lambda kind: bytes([kind, 0, 3, 7, 0, 0, 0]))


@given(header=HEADERS, body=st.binary(max_size=90))
def test_any_bytes_are_read_or_refused_with_an_abort(header: bytes, body: bytes) -> None:
    with contextlib.suppress(MoveAbort):
        message = read(header + body, 7)
        for reader in (
            message.certify_blob_message,
            message.invalid_blob_id_message,
            message.protocol_version_message,
            message.deny_list_update_message,
            message.deny_list_blob_deleted_message,
        ):
            with contextlib.suppress(MoveAbort):
                reader()
