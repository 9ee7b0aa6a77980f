"""Event blobs: attested node by node, certified and stored for nothing by the attestation that makes a quorum."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import ENCODED, SIZE, Shop, abort_of, blob_arguments

from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.event_blob import EventBlob, EventBlobAttestation, EventBlobCertificationState
from walrus_sui.devnet.move.walrus.events import BlobCertified, BlobRegistered
from walrus_sui.devnet.testing import Chain, Node

Step = Callable[[Chain, list[Node]], None]
CAT, DOG = blob_arguments("cat")["blob_id"], blob_arguments("dog")["blob_id"]
CAPACITY = 4 * 10**12


def attest(shop: Shop, node: Node, checkpoint: int, label: str = "cat", **changes: Any) -> None:
    arguments = {"epoch": shop.epoch, "ending_checkpoint_sequence_num": checkpoint, **blob_arguments(label)} | changes
    shop.chain.call("system::certify_event_blob", sender=node.account, cap=node.cap_id, **arguments)


def refusal(shop: Shop, node: Node, checkpoint: int, **changes: Any) -> tuple[str, int]:
    return abort_of(lambda: attest(shop, node, checkpoint, **changes))


def tally(shop: Shop) -> EventBlobCertificationState:
    return shop.chain.system().event_blob_certification_state


def test_the_attestation_that_makes_a_quorum_stores_the_blob(shop: Shop) -> None:
    first, second, third, _ = shop.nodes
    objects = {obj.object_id for obj in shop.chain.ledger.objects()}
    for weight, node in ((25, first), (50, second)):
        attest(shop, node, 10)
        assert shop.events() == []
        assert tally(shop) == EventBlobCertificationState(None, {EventBlob(CAT, 10): weight})
    fund = shop.fund(53)
    attest(shop, third, 10)
    registered, certified = shop.events()
    assert registered == BlobRegistered(1, CAT, SIZE, 1, 54, False, registered.object_id)
    assert certified == BlobCertified(1, CAT, 54, False, registered.object_id, False)
    assert tally(shop) == EventBlobCertificationState(EventBlob(CAT, 10), {})
    # The object is gone at once; its bytes are reserved as long as can be, and nobody paid.
    assert {obj.object_id for obj in shop.chain.ledger.objects()} == objects
    assert shop.used(53) == [ENCODED] * 53
    assert shop.call("system::used_capacity_size") == ENCODED
    assert shop.fund(53) == fund
    assert shop.chain.value(first.cap_id).last_event_blob_attestation == EventBlobAttestation(10, 1)


def test_only_members_attest_and_only_the_present_epoch(shop: Shop) -> None:
    stranger = shop.chain.add_node(shop.chain.account("bob"))
    assert refusal(shop, stranger, 10, epoch=2) == ("system_state_inner", 8)
    for epoch in (0, 2):
        assert refusal(shop, shop.nodes[0], 10, epoch=epoch) == ("system_state_inner", 3)


def test_a_node_has_one_attestation_outstanding(shop: Shop) -> None:
    first, second, third, fourth = shop.nodes
    attest(shop, first, 10)
    for checkpoint in (9, 10):
        assert refusal(shop, first, checkpoint) == ("system_state_inner", 7)
    assert refusal(shop, first, 11) == ("system_state_inner", 6)
    attest(shop, second, 10)
    attest(shop, third, 10)
    attest(shop, first, 11, "dog")  # 10 is settled
    assert refusal(shop, first, 12) == ("system_state_inner", 6)
    # Who comes late is heard and not counted, and may go on.
    attest(shop, fourth, 10)
    assert shop.events() == []
    assert tally(shop).aggregate_weight_per_blob == {EventBlob(DOG, 11): 25}
    attest(shop, fourth, 11, "dog")
    assert tally(shop).aggregate_weight_per_blob == {EventBlob(DOG, 11): 50}


def test_candidates_are_blob_and_checkpoint(shop: Shop) -> None:
    first, second, third, fourth = shop.nodes
    attest(shop, first, 10, "cat")
    attest(shop, second, 10, "dog")
    attest(shop, third, 11, "cat")
    assert tally(shop).aggregate_weight_per_blob == {
        EventBlob(CAT, 10): 25,
        EventBlob(DOG, 10): 25,
        EventBlob(CAT, 11): 25,
    }
    attest(shop, fourth, 10, "cat")
    assert tally(shop).latest_certified_blob is None


def test_a_new_epoch_starts_from_nothing(shop: Shop, step: Step) -> None:
    first, second, third, fourth = shop.nodes
    attest(shop, first, 10)
    attest(shop, second, 10)
    step(shop.chain, shop.nodes)
    assert tally(shop) == EventBlobCertificationState(None, {})
    attest(shop, third, 10)
    attest(shop, first, 9)  # a new epoch: not a repetition
    attest(shop, second, 10)
    assert tally(shop).latest_certified_blob is None
    attest(shop, fourth, 10)
    assert tally(shop).latest_certified_blob == EventBlob(CAT, 10)
    step(shop.chain, shop.nodes)
    assert tally(shop).latest_certified_blob == EventBlob(CAT, 10)  # what was certified stays


def test_the_blob_is_looked_at_when_there_is_a_quorum(shop: Shop) -> None:
    first, second, third, fourth = shop.nodes
    attest(shop, first, 10, size=77, encoding_type=9)
    attest(shop, second, 10, root_hash=0)
    before = shop.chain.system()
    assert refusal(shop, third, 10, root_hash=0) == ("blob", 6)
    assert refusal(shop, third, 10, encoding_type=9) == ("encoding", 0)
    assert shop.chain.system() == before
    assert shop.chain.value(third.cap_id).last_event_blob_attestation is None
    attest(shop, fourth, 10)
    assert tally(shop).latest_certified_blob == EventBlob(CAT, 10)


def test_event_blobs_may_exceed_the_capacity(shop: Shop, step: Step) -> None:
    shop.buy(CAPACITY, 1, 3)
    for node in shop.nodes[:3]:
        attest(shop, node, 10)
    assert shop.call("system::used_capacity_size") == CAPACITY + ENCODED
    assert abort_of(lambda: shop.buy(1, 1, 2)) == ("system_state_inner", 1)
    step(shop.chain, shop.nodes)
    # The capacity of an epoch is what was voted, or what is used already.
    assert shop.call("system::total_capacity_size") == CAPACITY + ENCODED
    step(shop.chain, shop.nodes)
    assert shop.call("system::total_capacity_size") == CAPACITY


def test_certified_checkpoints_go_up() -> None:
    state = EventBlobCertificationState.empty()
    state.update_latest_certified_event_blob(5, CAT)
    for checkpoint in (4, 5):
        with pytest.raises(MoveAbort) as caught:
            state.update_latest_certified_event_blob(checkpoint, DOG)
        assert (caught.value.module, caught.value.code) == ("event_blob", 0)
    state.update_latest_certified_event_blob(6, DOG)
    assert [state.is_blob_already_certified(checkpoint) for checkpoint in (5, 6, 7)] == [True, True, False]
