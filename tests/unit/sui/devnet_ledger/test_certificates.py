import pytest

from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import bls, messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.bls_aggregate import BlsCommittee, BlsCommitteeMember, new_bls_committee
from walrus_sui.devnet.move.walrus.messages import new_certified_message, new_proof_of_possession_msg

BLOB = BlobId(bytes(range(32)))
OBJECT = ObjectId("0x" + "ab" * 32)
PERMANENT = messages.confirmation(BLOB, Epoch(7), messages.Permanent())
DELETABLE = messages.confirmation(BLOB, Epoch(7), messages.Deletable(OBJECT))
BLOB_NUMBER = int.from_bytes(BLOB, "little")


def committee(*weights: int) -> BlsCommittee:
    members = [
        BlsCommitteeMember(bls.uncompressed(bls.public_key(index + 1)), weight, ObjectId(f"0x{index:064x}"))
        for index, weight in enumerate(weights)
    ]
    return new_bls_committee(7, members)


def signed(message: bytes, *signers: int) -> bytes:
    return bls.aggregate([bls.sign(index + 1, message) for index in signers])


def bitmap(*signers: int) -> bytes:
    out = bytearray(max(signers, default=-1) // 8 + 1)
    for index in signers:
        out[index // 8] |= 1 << index % 8
    return bytes(out)


def code(caught: pytest.ExceptionInfo[MoveAbort]) -> tuple[str, int]:
    return caught.value.module, caught.value.code


def test_a_quorum_certifies() -> None:
    made = committee(3, 3, 3, 1)
    certified = made.verify_quorum_in_epoch(signed(PERMANENT, 0, 1, 3), bitmap(0, 1, 3), PERMANENT)
    assert (certified.stake_support, certified.cert_epoch) == (7, 7)
    blob = certified.certify_blob_message()
    assert (blob.blob_id, blob.is_deletable) == (BLOB_NUMBER, False)


def test_all_members_and_a_ninth_member_in_the_second_byte() -> None:
    made = committee(*[1] * 10)
    everyone = tuple(range(10))
    assert made.verify_quorum_in_epoch(signed(PERMANENT, *everyone), bitmap(*everyone), PERMANENT).stake_support == 10


def test_a_short_bitmap_means_non_signers() -> None:
    made = committee(*[1] * 10)
    signers = (0, 1, 2, 3, 4, 5, 6)
    assert made.verify_quorum_in_epoch(signed(PERMANENT, *signers), bitmap(*signers), PERMANENT).stake_support == 7


@pytest.mark.parametrize("bits", [b"\x0f\x00", b"\x1f", b"\xff"])
def test_bits_beyond_the_members_are_refused(bits: bytes) -> None:
    with pytest.raises(MoveAbort) as caught:
        committee(1, 1, 1, 1).verify_quorum_in_epoch(b"", bits, PERMANENT)
    assert code(caught) == ("bls_aggregate", 0)


def test_weight_is_checked_before_the_signature() -> None:
    with pytest.raises(MoveAbort) as caught:
        committee(3, 3, 3, 1).verify_quorum_in_epoch(b"nonsense", bitmap(0, 1), PERMANENT)
    assert code(caught) == ("bls_aggregate", 2)


@pytest.mark.parametrize(("weight", "suffices"), [(7, True), (6, False)])
def test_quorum_edge(weight: int, suffices: bool) -> None:
    made = committee(weight, 10 - weight)
    if suffices:
        made.verify_quorum_in_epoch(signed(PERMANENT, 0), bitmap(0), PERMANENT)
    else:
        with pytest.raises(MoveAbort) as caught:
            made.verify_quorum_in_epoch(signed(PERMANENT, 0), bitmap(0), PERMANENT)
        assert code(caught) == ("bls_aggregate", 2)


@pytest.mark.parametrize(("weight", "suffices"), [(4, True), (3, False)])
def test_one_correct_node_edge(weight: int, suffices: bool) -> None:
    made = committee(weight, 10 - weight)
    if suffices:
        made.verify_one_correct_node_in_epoch(signed(PERMANENT, 0), bitmap(0), PERMANENT)
    else:
        with pytest.raises(MoveAbort) as caught:
            made.verify_one_correct_node_in_epoch(signed(PERMANENT, 0), bitmap(0), PERMANENT)
        assert code(caught) == ("bls_aggregate", 2)


@pytest.mark.parametrize(
    "signature", [b"", b"\x00" * 96, b"\xc0" + bytes(95), signed(PERMANENT, 0, 1), signed(DELETABLE, 0, 1, 2)]
)
def test_wrong_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(MoveAbort) as caught:
        committee(3, 3, 3, 1).verify_quorum_in_epoch(signature, bitmap(0, 1, 2), PERMANENT)
    assert code(caught) == ("bls_aggregate", 1)


def test_an_empty_committee_certifies_nothing() -> None:
    made = new_bls_committee(7, [])
    assert made.total_aggregated_key == bls.G1_IDENTITY
    with pytest.raises(MoveAbort) as caught:
        made.verify_quorum_in_epoch(bytes(96), b"", PERMANENT)
    assert code(caught) == ("bls_aggregate", 2)


def test_members_need_shards() -> None:
    with pytest.raises(MoveAbort) as caught:
        committee(1, 0)
    assert code(caught) == ("bls_aggregate", 3)


def test_deletable_confirmations_name_their_object() -> None:
    blob = new_certified_message(DELETABLE, 7, 1).certify_blob_message()
    assert (blob.blob_id, blob.object_id) == (BLOB_NUMBER, OBJECT)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({1: 1}, ("messages", 3)),
        ({2: 4}, ("messages", 0)),
        ({3: 8}, ("messages", 1)),
        ({1: 1, 2: 4, 3: 8}, ("messages", 3)),  # version before application before epoch
        ({2: 4, 3: 8}, ("messages", 0)),
        ({0: 2}, ("messages", 2)),
        ({39: 2}, ("messages", 4)),
        ({39: 1}, ("bcs", 0)),
    ],
)
def test_headers_and_bodies_are_checked_in_order(change: dict[int, int], expected: tuple[str, int]) -> None:
    message = bytearray(PERMANENT)
    for place, value in change.items():
        message[place] = value
    with pytest.raises(MoveAbort) as caught:
        new_certified_message(bytes(message), 7, 1).certify_blob_message()
    assert code(caught) == expected


@pytest.mark.parametrize("length", range(len(PERMANENT)))
def test_truncated_messages_abort(length: int) -> None:
    with pytest.raises(MoveAbort):
        new_certified_message(PERMANENT[:length], 7, 1).certify_blob_message()


def test_bytes_after_a_known_body_are_ignored() -> None:
    assert new_certified_message(PERMANENT + b"more", 7, 1).certify_blob_message().blob_id == BLOB_NUMBER


def test_proof_of_possession_binds_epoch_and_sender() -> None:
    sender, other = messages.SuiAddress("0x" + "11" * 32), messages.SuiAddress("0x" + "12" * 32)
    key = bls.public_key(5)
    proof = bls.sign(5, messages.proof_of_possession(sender, key, Epoch(3)))
    assert new_proof_of_possession_msg(3, sender, key).verify_proof_of_possession(proof)
    assert not new_proof_of_possession_msg(4, sender, key).verify_proof_of_possession(proof)
    assert not new_proof_of_possession_msg(3, other, key).verify_proof_of_possession(proof)
    assert not new_proof_of_possession_msg(3, sender, bls.public_key(6)).verify_proof_of_possession(proof)
    with pytest.raises(MoveAbort) as caught:
        new_proof_of_possession_msg(3, sender, key[:-1]).verify_proof_of_possession(proof)
    assert code(caught) == ("messages", 6)
