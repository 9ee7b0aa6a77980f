"""Laws of certificates: the bitmap names exactly the signers, and only good signatures are summed."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.client.worlds import committee, node_id

from walrus_client import rules
from walrus_client.store.confirmations import Confirmation, certificate, verified
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import bls, messages
from walrus_sui.keys import BlsKey
from walrus_sui.types import CommitteeMember

MESSAGE = messages.confirmation(BlobId(bytes(32)), Epoch(5), messages.Permanent())
KEYS = [BlsKey((number + 1).to_bytes(32, "big")) for number in range(4)]
GOOD = [key.sign(MESSAGE) for key in KEYS]
BAD = {
    "of another message": KEYS[0].sign(b"other"),
    "of another key": BlsKey((99).to_bytes(32, "big")).sign(MESSAGE),
    "no point": b"\xff" * 96,
    "identity": bytes([0xC0]) + bytes(95),
    "too short": GOOD[0][:95],
}


def signer(position: int) -> CommitteeMember:
    base = committee([1] * 4).members[position]
    return CommitteeMember(
        base.node_id,
        base.shards,
        KEYS[position].public_key,
        base.name,
        base.network_address,
        base.grpc_address,
        base.network_public_key,
    )


@settings(deadline=None)
@given(numbers=st.lists(st.integers(1, 2**255), min_size=1, max_size=40, unique=True), data=st.data())
def test_the_bitmap_names_the_signers_in_order_of_node_ids(numbers: list[int], data: st.DataObject) -> None:
    everyone = committee([1] * len(numbers), numbers=numbers)
    chosen = data.draw(st.sets(st.sampled_from(numbers)))
    bitmap = rules.signers_bitmap(everyone, {node_id(number) for number in chosen})
    assert len(bitmap) == -(-len(numbers) // 8)
    named = {number for position, number in enumerate(sorted(numbers)) if bitmap[position // 8] & (1 << position % 8)}
    assert named == chosen
    assert int.from_bytes(bitmap, "little") >> len(numbers) == 0, "no bit beyond the members"


@settings(max_examples=25, deadline=None)
@given(kinds=st.lists(st.sampled_from(["good", *BAD]), min_size=4, max_size=4))
def test_exactly_the_good_signatures_survive(kinds: list[str]) -> None:
    batch = [
        Confirmation(signer(position), GOOD[position] if kind == "good" else BAD[kind])
        for position, kind in enumerate(kinds)
    ]
    good = [position for position, kind in enumerate(kinds) if kind == "good"]
    found = verified(MESSAGE, batch)
    assert [entry.member.node_id for entry in found] == [signer(position).node_id for position in good]
    if found:
        made = certificate(
            ObjectId("0x" + "1" * 64),
            committee([1] * 4),
            MESSAGE,
            {entry.member.node_id: entry.signature for entry in found},
        )
        assert bls.aggregate_verify([KEYS[position].public_key for position in good], MESSAGE, made.signature)
        assert made.signers_bitmap == bytes([sum(1 << position for position in good)])
