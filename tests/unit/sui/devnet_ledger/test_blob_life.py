"""What becomes of a blob after it was stored: extended, deleted, burned, shared, labelled, declared invalid."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import ENCODED, WAL, Shop, abort_of, blob_arguments

from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.events import BlobCertified, BlobDeleted, InvalidBlobID
from walrus_sui.devnet.testing import Chain, Node

Step = Callable[[Chain, list[Node]], None]
CAT = blob_arguments()["blob_id"]
CAPACITY = 4 * 10**12


def pass_epochs(shop: Shop, step: Step, count: int) -> None:
    for _ in range(count):
        step(shop.chain, shop.nodes)


# Deletion


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


# Extension


def test_an_extension_is_paid_and_reserved_epoch_by_epoch(shop: Shop, step: Step) -> None:
    blob = shop.certified(epochs=2)
    pass_epochs(shop, step, 1)
    before, paid, used = shop.fund(6), shop.purse, shop.used(6)
    shop.call("system::extend_blob", blob=blob, extended_epochs=3, payment=shop.coin)
    # The event names the epoch of the first certification: that committee holds the data.
    assert shop.events() == [BlobCertified(1, CAT, 6, False, blob, True)]
    assert shop.chain.value(blob).storage.end_epoch == 6
    assert shop.purse == paid - 3 * 5
    assert [now - then for now, then in zip(shop.fund(6), before, strict=True)] == [0, 5, 5, 5, 0, 0]
    assert [now - then for now, then in zip(shop.used(6), used, strict=True)] == [0, ENCODED, ENCODED, ENCODED, 0, 0]


def test_extensions_have_the_price_of_today(shop: Shop) -> None:
    blob = shop.certified()
    for node in shop.nodes:
        call = "staking::set_storage_price_vote"
        shop.chain.call(call, sender=node.account, cap=node.cap_id, storage_price=70)
    shop.call("staking::update_prices")
    paid = shop.purse
    shop.call("system::extend_blob", blob=blob, extended_epochs=2, payment=shop.coin)
    assert shop.purse == paid - 2 * 70


def test_extensions_reach_exactly_as_far_as_storage_is_sold(shop: Shop) -> None:
    blob = shop.certified(epochs=3)
    extend = {"blob": blob, "payment": shop.coin}
    assert shop.refusal("system::extend_blob", extended_epochs=51, **extend) == ("system_state_inner", 2)
    assert shop.refusal("system::extend_blob", extended_epochs=0, **extend) == ("system_state_inner", 2)
    shop.call("system::extend_blob", extended_epochs=50, **extend)
    assert shop.chain.value(blob).storage.end_epoch == 54
    assert shop.refusal("system::extend_blob", extended_epochs=1, **extend) == ("system_state_inner", 2)


def test_only_living_certified_blobs_are_extended(shop: Shop, step: Step) -> None:
    uncertified, certified = shop.store(epochs=1), shop.certified(epochs=1)
    extension = shop.buy(ENCODED, 2, 4)
    extend = {"extended_epochs": 1, "payment": shop.coin}
    for blob, code in ((uncertified, 0), (certified, 2)):
        if blob == certified:
            pass_epochs(shop, step, 1)
        assert shop.refusal("system::extend_blob", blob=blob, **extend) == ("blob", code)
        arguments = {"blob": blob, "extension": extension}
        assert shop.refusal("system::extend_blob_with_resource", **arguments) == ("blob", code)
    # Not certified comes before expired, and both before the number of epochs.
    far = {"extended_epochs": 99, "payment": shop.coin}
    assert shop.refusal("system::extend_blob", blob=uncertified, **far) == ("blob", 0)
    assert shop.refusal("system::extend_blob", blob=certified, **far) == ("blob", 2)


def test_an_extension_fits_into_the_capacity_or_nothing_happens(shop: Shop) -> None:
    blob = shop.certified(epochs=1)
    for _ in range(2):  # leaves epoch 3 one byte less than the blob needs
        shop.buy((CAPACITY - ENCODED) // 2, 3, 4)
    shop.buy(1, 3, 4)
    before, paid = shop.chain.system(), shop.purse
    extend = {"blob": blob, "payment": shop.coin}
    assert shop.refusal("system::extend_blob", extended_epochs=2, **extend) == ("system_state_inner", 1)
    assert (shop.chain.system(), shop.purse) == (before, paid)
    shop.call("system::extend_blob", extended_epochs=1, **extend)
    poor = shop.chain.coin(shop.alice, 4)
    refused = shop.refusal("system::extend_blob", blob=blob, extended_epochs=1, payment=poor)
    assert refused == ("balance", 2)  # payment before capacity


def test_storage_that_follows_prolongs_a_blob(shop: Shop, step: Step) -> None:
    blob = shop.certified(epochs=2)
    pass_epochs(shop, step, 1)
    follows = shop.buy(ENCODED, 3, 7)
    shop.call("system::extend_blob_with_resource", blob=blob, extension=follows)
    assert shop.events() == [BlobCertified(1, CAT, 7, False, blob, True)]
    assert shop.chain.value(blob).storage.end_epoch == 7
    assert shop.chain.ledger.object(follows) is None


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ((ENCODED, 2, 4), ("blob", 2)),  # must end later
        ((ENCODED + 1, 2, 4), ("blob", 2)),  # that before the size
        ((ENCODED + 1, 4, 5), ("storage_resource", 2)),
        ((ENCODED, 5, 6), ("storage_resource", 1)),
        ((ENCODED, 3, 6), ("storage_resource", 1)),
    ],
)
def test_other_storage_does_not(shop: Shop, extension: tuple[int, int, int], expected: tuple[str, int]) -> None:
    blob, storage = shop.certified(epochs=3), shop.buy(*extension)
    refused = shop.refusal("system::extend_blob_with_resource", blob=blob, extension=storage)
    assert refused == expected
    assert shop.seen(storage) == extension


# Attributes


def test_attributes_are_set_read_and_taken(shop: Shop) -> None:
    blob = shop.store()

    def call(function: str, **arguments: Any) -> Any:
        return shop.call(f"blob::{function}", self=blob, **arguments)

    def attributes() -> list[tuple[str, str]]:
        return list(shop.chain.field(blob).metadata.items())

    assert call("remove_metadata_pair_if_exists", key="a") is None
    assert shop.refusal("blob::remove_metadata_pair", self=blob, key="a") == ("blob", 8)
    assert shop.refusal("blob::take_metadata", self=blob) == ("blob", 8)
    for key, value in (("a", "1"), ("b", "2"), ("a", "3")):
        call("insert_or_update_metadata_pair", key=key, value=value)
    assert attributes() == [("b", "2"), ("a", "3")]  # what is set again goes to the end
    assert call("remove_metadata_pair", key="b") == ("b", "2")
    assert shop.refusal("blob::remove_metadata_pair", self=blob, key="b") == ("vec_map", 1)
    assert call("remove_metadata_pair_if_exists", key="b") is None
    assert call("remove_metadata_pair_if_exists", key="a") == "3"
    assert attributes() == []
    assert call("take_metadata").metadata == {}
    assert shop.chain.ledger.dynamic_fields(blob) == []


def test_whole_attributes_are_added_once_or_replaced(shop: Shop) -> None:
    blob = shop.store()

    def give(function: str, **pairs: str) -> list[Any]:
        program = shop.chain.program(shop.alice)
        made = program.call("metadata::new")
        for key, value in pairs.items():
            program.call("metadata::insert_or_update", self=made, key=key, value=value)
        return program.run_for_values(program.call(f"blob::{function}", self=blob, metadata=made))

    assert give("add_or_replace_metadata", a="1") == [None]
    assert abort_of(lambda: give("add_metadata", a="2")) == ("blob", 7)
    (old,) = give("add_or_replace_metadata", b="2")
    assert old.metadata == {"a": "1"}
    assert shop.chain.field(blob).metadata == {"b": "2"}
    shop.call("blob::take_metadata", self=blob)
    give("add_metadata", c="3")
    (found,) = shop.chain.ledger.dynamic_fields(blob)
    assert (found.name.type, found.name.bcs) == ("vector<u8>", b"\x08metadata")


def test_attributes_outside_of_a_blob(shop: Shop) -> None:
    program = shop.chain.program(shop.alice)
    made = program.call("metadata::new")
    program.call("metadata::insert_or_update", self=made, key="k", value="v")
    removed = program.call("metadata::remove_if_exists", self=made, key="k")
    assert program.run_for_values(removed) == ["v"]
    program = shop.chain.program(shop.alice)
    program.call("metadata::remove", self=program.call("metadata::new"), key="k")
    assert abort_of(program.run) == ("vec_map", 1)


def test_attributes_end_with_a_deleted_blob(shop: Shop) -> None:
    blob = shop.store(deletable=True)
    shop.call("blob::insert_or_update_metadata_pair", self=blob, key="a", value="b")
    (attributes,) = shop.chain.ledger.dynamic_fields(blob)
    shop.call("system::delete_blob", blob=blob)
    assert shop.chain.ledger.object(attributes.field_id) is None


# Views


def test_views_of_a_blob(shop: Shop) -> None:
    blob = shop.store(epochs=3)
    assert shop.call("blob::certified_epoch", self=blob) is None
    shop.certify(blob)
    assert shop.call("blob::certified_epoch", self=blob) == 1
    storage = shop.call("blob::storage", self=blob)
    assert (storage.start_epoch, storage.end_epoch, storage.storage_size) == (1, 4, ENCODED)
    arguments = blob_arguments()
    assert shop.call("blob::derive_blob_id", **{k: arguments[k] for k in ("root_hash", "encoding_type", "size")}) == CAT


# Invalid blobs


def invalidate(shop: Shop, signers: list[Node], message: bytes) -> Any:
    certificate = shop.chain.certificate(message, signers)
    certificate["members_bitmap"] = certificate.pop("signers_bitmap")
    return shop.call("system::invalidate_blob_id", **certificate)


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


# Shared blobs


def shared(shop: Shop, function: str, **arguments: Any) -> ObjectId:
    before = {obj.object_id for obj in shop.chain.ledger.objects()}
    shop.call(f"shared_blob::{function}", **arguments)
    made = [obj for obj in shop.chain.ledger.objects() if obj.type.endswith("::SharedBlob")]
    (new,) = [obj.object_id for obj in made if obj.object_id not in before]
    return new


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


# Donations


@pytest.mark.parametrize(
    ("amount", "epochs", "expected"),
    [(100, 3, [34, 33, 33, 0]), (2, 3, [2, 0, 0, 0]), (99, 3, [33, 33, 33, 0]), (7, 1, [7, 0, 0, 0])],
)
def test_subsidies_are_spread_evenly(shop: Shop, amount: int, epochs: int, expected: list[int]) -> None:
    coin = shop.chain.coin(shop.alice, amount)
    shop.call("system::add_subsidy", subsidy=coin, epochs_ahead=epochs)
    assert shop.fund(4) == expected
    assert shop.events() == []


def test_subsidies_reach_as_far_as_storage_is_sold(shop: Shop) -> None:
    coin = shop.chain.coin(shop.alice, 53)
    for epochs in (0, 54):
        refused = shop.refusal("system::add_subsidy", subsidy=coin, epochs_ahead=epochs)
        assert refused == ("system_state_inner", 2)
    shop.call("system::add_subsidy", subsidy=coin, epochs_ahead=53)
    assert shop.fund(53) == [1] * 53


def test_subsidies_epoch_by_epoch(shop: Shop) -> None:
    wal = shop.chain.network.wal_type
    balance = f"0x2::balance::Balance<{wal}>"

    def give(amounts: list[int]) -> None:
        program = shop.chain.program(shop.alice)
        parts = []
        for amount in amounts:
            coin = program.split(shop.coin, [amount])
            parts.append(program.call("coin::into_balance", types=[wal], coin=coin))
        program.call("system::add_per_epoch_subsidies", subsidies=program.vector(parts, balance))
        program.run()

    give([5, 0, 7])
    assert shop.fund(4) == [5, 0, 7, 0]
    give([])
    assert shop.fund(4) == [5, 0, 7, 0]
    give([1] * 53)
    assert shop.fund(53) == [6, 1, 8, *[1] * 50]
    assert abort_of(lambda: give([0] * 54)) == ("system_state_inner", 2)


# Where it aborts


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
