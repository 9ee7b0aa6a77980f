"""What becomes of a blob: deleted, burned, declared invalid, shared with others, and what its calls refuse."""

from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.blob_life import CAPACITY, CAT, Step, pass_epochs
from tests.unit.sui.devnet_ledger.shop import ENCODED, WAL, Shop, abort_of, blob_arguments

from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.events import BlobCertified, BlobDeleted, InvalidBlobID
from walrus_sui.devnet.testing import Node


def invalidate(shop: Shop, signers: list[Node], message: bytes) -> Any:
    certificate = shop.chain.certificate(message, signers)
    certificate["members_bitmap"] = certificate.pop("signers_bitmap")
    return shop.call("system::invalidate_blob_id", **certificate)


def shared(shop: Shop, function: str, **arguments: Any) -> ObjectId:
    before = {obj.object_id for obj in shop.chain.ledger.objects()}
    shop.call(f"shared_blob::{function}", **arguments)
    made = [obj for obj in shop.chain.ledger.objects() if obj.type.endswith("::SharedBlob")]
    (new,) = [obj.object_id for obj in made if obj.object_id not in before]
    return new


@pytest.mark.parametrize("certified", [False, True])
def test_a_deleted_blob_gives_its_storage_back(shop: Shop, certified: bool) -> None:
    storage = shop.buy(ENCODED, 1, 4)
    blob = shop.store(deletable=True, storage=storage)
    if certified:
        shop.certify(blob)
    returned = shop.call("system::delete_blob", blob=blob)
    assert shop.events() == [BlobDeleted(1, CAT, 4, blob, certified)]
    assert shop.chain.ledger.object(blob) is None
    assert returned.id == storage
    assert shop.seen(storage) == (ENCODED, 1, 4)
    paid = shop.purse
    again = shop.store(deletable=True, storage=storage)
    assert shop.purse == paid - 1  # storing costs nothing again, writing does
    assert shop.chain.value(again).storage.id == storage


def test_only_deletable_blobs_can_be_deleted_and_only_in_time(shop: Shop, step: Step) -> None:
    permanent, deletable = shop.certified(epochs=1), shop.certified(epochs=2, deletable=True)
    assert shop.refusal("system::delete_blob", blob=permanent) == ("blob", 1)
    pass_epochs(shop, step, 1)
    assert shop.refusal("system::delete_blob", blob=permanent) == ("blob", 1)  # that before the end
    last = shop.certified(epochs=1, deletable=True)
    pass_epochs(shop, step, 1)
    assert shop.refusal("system::delete_blob", blob=deletable) == ("blob", 2)
    assert shop.refusal("system::delete_blob", blob=last) == ("blob", 2)
    for blob in (permanent, deletable, last):
        shop.call("blob::burn", self=blob)


def test_the_last_epoch_is_in_time(shop: Shop, step: Step) -> None:
    blob = shop.store(epochs=2, deletable=True)
    pass_epochs(shop, step, 1)
    shop.call("system::delete_blob", blob=blob)
    assert shop.events() == [BlobDeleted(2, CAT, 3, blob, False)]


def test_burning_is_silent(shop: Shop) -> None:
    for blob in (shop.store(), shop.certified()):
        shop.call("blob::insert_or_update_metadata_pair", self=blob, key="a", value="b")
        (attributes,) = shop.chain.ledger.dynamic_fields(blob)
        storage = shop.chain.value(blob).storage.id
        used = shop.used(4)
        shop.call("blob::burn", self=blob)
        assert shop.events() == []
        assert [shop.chain.ledger.object(item) for item in (blob, storage, attributes.field_id)] == [None] * 3
        assert shop.used(4) == used


def test_views_of_a_blob(shop: Shop) -> None:
    blob = shop.store(epochs=3)
    assert shop.call("blob::certified_epoch", self=blob) is None
    shop.certify(blob)
    assert shop.call("blob::certified_epoch", self=blob) == 1
    storage = shop.call("blob::storage", self=blob)
    assert (storage.start_epoch, storage.end_epoch, storage.storage_size) == (1, 4, ENCODED)
    arguments = blob_arguments()
    assert shop.call("blob::derive_blob_id", **{k: arguments[k] for k in ("root_hash", "encoding_type", "size")}) == CAT


def test_one_correct_node_suffices_to_invalidate(shop: Shop) -> None:
    raw = BlobId(CAT.to_bytes(32, "little"))
    message = messages.invalid_blob(raw, Epoch(1))
    # 25 of 100 shards may all lie; 50 cannot.
    assert abort_of(lambda: invalidate(shop, shop.nodes[:1], message)) == ("bls_aggregate", 2)
    assert invalidate(shop, shop.nodes[:2], message) == CAT
    assert shop.events() == [InvalidBlobID(1, CAT)]
    assert invalidate(shop, shop.nodes, message + b"more") == CAT  # again, with bytes that nobody reads
    for wrong, expected in (
        (messages.invalid_blob(raw, Epoch(2)), ("messages", 1)),
        (messages.confirmation(raw, Epoch(1), messages.Permanent()), ("messages", 2)),
        (message[:-1], ("bcs", 0)),
    ):
        assert abort_of(lambda wrong=wrong: invalidate(shop, shop.nodes, wrong)) == expected


def test_the_chain_still_registers_and_certifies_what_is_invalid(shop: Shop) -> None:
    blob = shop.store()
    invalidate(shop, shop.nodes, messages.invalid_blob(BlobId(CAT.to_bytes(32, "little")), Epoch(1)))
    shop.certify(blob)
    assert shop.chain.value(blob).certified_epoch == 1


def test_a_stranger_prolongs_a_shared_blob(shop: Shop) -> None:
    bob = shop.chain.account("bob")
    blob = shop.certified(epochs=3)
    object_id = shared(shop, "new_funded", blob=blob, funds=shop.chain.coin(shop.alice, 7))
    extend = {"sender": bob, "self": object_id}
    assert abort_of(lambda: shop.chain.call("shared_blob::extend", extended_epochs=2, **extend)) == ("balance", 2)
    shop.chain.call("shared_blob::fund", sender=bob, self=object_id, added_funds=shop.chain.coin(bob, 10))
    assert shop.call("shared_blob::funds", self=object_id).value == 17
    shop.chain.call("shared_blob::extend", extended_epochs=3, **extend)
    assert shop.events() == [BlobCertified(1, CAT, 7, False, blob, True)]
    assert shop.call("shared_blob::funds", self=object_id).value == 2
    assert shop.call("shared_blob::blob", self=object_id).storage.end_epoch == 7


def test_a_shared_blob_that_is_not_certified_keeps_its_purse(shop: Shop) -> None:
    object_id = shared(shop, "new", blob=shop.store())
    shop.call("shared_blob::fund", self=object_id, added_funds=shop.chain.coin(shop.alice, WAL))
    assert shop.refusal("shared_blob::extend", self=object_id, extended_epochs=1) == ("blob", 0)
    assert shop.chain.value(object_id).funds.value == WAL


def test_aborts_name_the_contracts_functions(shop: Shop) -> None:
    blob, permanent = shop.store(), shop.certified()
    storage = shop.buy(1, 1, 2)
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("system::extend_blob", {"extended_epochs": 1, "payment": shop.coin}, "assert_certified_not_expired"),
        ("system::extend_blob_with_resource", {"extension": storage}, "assert_certified_not_expired"),
        ("system::delete_blob", {}, "delete"),
    ]
    for call, arguments, function in cases:
        with pytest.raises(MoveAbort) as caught:
            shop.call(call, blob=blob, **arguments)
        assert caught.value.function == function
    for call, arguments, function in (
        ("blob::take_metadata", {}, "take_metadata"),
        ("blob::remove_metadata_pair", {"key": "a"}, "metadata"),
    ):
        with pytest.raises(MoveAbort) as caught:
            shop.call(call, self=blob, **arguments)
        assert caught.value.function == function
    with pytest.raises(MoveAbort) as caught:
        shop.call("system::extend_blob", blob=permanent, extended_epochs=0, payment=shop.coin)
    assert (caught.value.function, caught.value.name) == ("extend_blob", "EInvalidEpochsAhead")
    with pytest.raises(MoveAbort) as caught:
        shop.buy(CAPACITY + 1, 1, 2)
    assert caught.value.function == "reserve_space_without_payment"
    with pytest.raises(MoveAbort) as caught:
        shop.certify(blob, shop.nodes[:1])
    assert caught.value.function == "verify_certificate_and_weight"
