"""Storage pools: many blobs in one storage."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import ENCODED, MIB, Shop, abort_of, blob_arguments

from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.move.walrus.events import (
    PooledBlobCertified,
    PooledBlobDeleted,
    PooledBlobRegistered,
    StoragePoolCreated,
    StoragePoolExtended,
)
from walrus_sui.devnet.testing import Chain, Node

Step = Callable[[Chain, list[Node]], None]
CAT, DOG = blob_arguments("cat")["blob_id"], blob_arguments("dog")["blob_id"]
CAPACITY = 4 * 10**12


def pool_of(shop: Shop, *, size: int = 2 * ENCODED, epochs: int = 3) -> ObjectId:
    arguments = {"reserved_encoded_capacity_bytes": size, "epochs_ahead": epochs, "payment": shop.coin}
    made: ObjectId = shop.call("system::create_storage_pool", **arguments).id
    return made


def given(label: str = "cat", **changes: Any) -> dict[str, Any]:
    arguments = blob_arguments(label)
    arguments["unencoded_size"] = arguments.pop("size")
    return {**arguments, "deletable": False} | changes


def register(shop: Shop, pool: ObjectId, label: str = "cat", **changes: Any) -> ObjectId:
    arguments = given(label, **changes)
    shop.call("system::register_pooled_blob", storage_pool=pool, write_payment=shop.coin, **arguments)
    made: ObjectId = view(shop, pool, "blob_object_id", blob_id=arguments["blob_id"])
    return made


def view(shop: Shop, pool: ObjectId, name: str, **arguments: Any) -> Any:
    return shop.call(f"storage_pool::{name}", self=pool, **arguments)


def confirmation(object_id: ObjectId | None = None, epoch: int = 1, blob_id: int = CAT) -> bytes:
    persistence = messages.Permanent() if object_id is None else messages.Deletable(object_id)
    return messages.confirmation(BlobId(blob_id.to_bytes(32, "little")), Epoch(epoch), persistence)


def certify(shop: Shop, pool: ObjectId, message: bytes, blob_id: int = CAT, signers: list[Node] | None = None) -> None:
    certificate = shop.chain.certificate(message, signers or shop.nodes)
    shop.call("system::certify_pooled_blob", storage_pool=pool, blob_id=blob_id, **certificate)


def pass_epochs(shop: Shop, step: Step, count: int) -> None:
    for _ in range(count):
        step(shop.chain, shop.nodes)


# Making a pool


def test_a_pool_is_bought_like_storage(shop: Shop) -> None:
    paid = shop.purse
    pool = pool_of(shop, size=3 * MIB, epochs=2)
    assert shop.events() == [StoragePoolCreated(1, pool, 3 * MIB, 1, 3)]
    assert paid - shop.purse == 3 * 5 * 2
    assert shop.used(3) == [3 * MIB, 3 * MIB, 0]
    expected = {
        "object_id": pool,
        "start_epoch": 1,
        "end_epoch": 3,
        "reserved_encoded_capacity_bytes": 3 * MIB,
        "used_encoded_bytes": 0,
        "available_encoded_bytes": 3 * MIB,
        "blob_count": 0,
    }
    assert {name: view(shop, pool, name) for name in expected} == expected
    assert view(shop, pool, "storage").storage_size == 3 * MIB
    assert not view(shop, pool, "contains_blob", blob_id=CAT)
    assert abort_of(lambda: view(shop, pool, "blob_object_id", blob_id=CAT)) == ("dynamic_field", 1)


@pytest.mark.parametrize(
    ("size", "epochs", "expected"),
    [
        (MIB, 0, ("system_state_inner", 2)),
        (MIB, 54, ("system_state_inner", 2)),
        (0, 1, ("system_state_inner", 11)),
        (CAPACITY + 1, 1, ("system_state_inner", 1)),
    ],
)
def test_pools_obey_the_rules_of_storage(shop: Shop, size: int, epochs: int, expected: tuple[str, int]) -> None:
    assert abort_of(lambda: pool_of(shop, size=size, epochs=epochs)) == expected


def test_storage_becomes_a_pool_while_it_lasts(shop: Shop, step: Step) -> None:
    def make(storage: ObjectId) -> Any:
        return shop.call("system::create_storage_pool_with_storage", storage=storage)

    early = shop.buy(MIB, 2, 4)
    assert abort_of(lambda: make(early)) == ("system_state_inner", 2)
    empty = shop.call("storage_resource::split_by_size", storage=shop.buy(MIB, 1, 4), split_size=MIB).id
    assert abort_of(lambda: make(empty)) == ("system_state_inner", 11)
    last = shop.buy(MIB, 1, 2)
    pool = make(shop.buy(MIB, 1, 4))
    assert shop.events() == [StoragePoolCreated(1, pool.id, MIB, 1, 4)]
    pass_epochs(shop, step, 1)
    assert abort_of(lambda: make(last)) == ("system_state_inner", 2)
    assert make(early).version == 1


# Blobs in it


@pytest.mark.parametrize("deletable", [False, True])
def test_a_pooled_blob_lives(shop: Shop, deletable: bool) -> None:
    pool, paid = pool_of(shop), shop.purse
    blob = register(shop, pool, deletable=deletable)
    assert paid - shop.purse == 1
    registered = shop.chain.value(blob)
    assert (registered.registered_epoch, registered.certified_epoch) == (1, None)
    assert registered.storage_pool_id == pool
    certify(shop, pool, confirmation(blob if deletable else None))
    assert shop.events() == [PooledBlobCertified(1, CAT, deletable, blob, pool)]
    assert shop.chain.value(blob).certified_epoch == 1
    assert view(shop, pool, "contains_blob", blob_id=CAT)
    assert [view(shop, pool, name) for name in ("blob_count", "used_encoded_bytes")] == [1, ENCODED]
    assert view(shop, pool, "available_encoded_bytes") == ENCODED


def test_registering_emits_the_pool(shop: Shop) -> None:
    pool = pool_of(shop)
    shop.call("system::register_pooled_blob", storage_pool=pool, write_payment=shop.coin, **given())
    (event,) = shop.events()
    blob = view(shop, pool, "blob_object_id", blob_id=CAT)
    assert event == PooledBlobRegistered(1, CAT, 1_000, 1, False, blob, pool)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"blob_id": CAT + 1}, ("storage_pool", 3)),
        ({"encoding_type": 0}, ("storage_pool", 3)),  # the id before the encoding
        ({"unencoded_size": 999}, ("storage_pool", 3)),
    ],
)
def test_ids_must_fit_their_blobs(shop: Shop, changes: dict[str, Any], expected: tuple[str, int]) -> None:
    pool = pool_of(shop)
    assert abort_of(lambda: register(shop, pool, **changes)) == expected


def test_a_pool_has_room_exactly_for_its_bytes(shop: Shop) -> None:
    small, exact = pool_of(shop, size=ENCODED - 1), pool_of(shop, size=2 * ENCODED)
    assert abort_of(lambda: register(shop, small)) == ("storage_pool", 6)
    register(shop, exact, "cat")
    # The same id again: without room that comes first, with room the table refuses it.
    assert abort_of(lambda: register(shop, exact, "cat")) == ("dynamic_field", 0)
    register(shop, exact, "dog")
    assert abort_of(lambda: register(shop, exact, "cat")) == ("storage_pool", 6)
    register(shop, pool_of(shop), "cat")  # another pool


def test_writing_must_be_paid(shop: Shop) -> None:
    pool, purse = pool_of(shop), shop.chain.coin(shop.alice, 1)
    arguments = {"storage_pool": pool, "write_payment": purse}
    shop.call("system::register_pooled_blob", **arguments, **given("dog"))
    assert shop.refusal("system::register_pooled_blob", **arguments, **given("cat")) == ("balance", 2)
    assert view(shop, pool, "blob_count") == 1


def test_confirmations_are_checked_in_order(shop: Shop) -> None:
    pool = pool_of(shop)
    blob = register(shop, pool, deletable=True)
    for message, expected in (
        (confirmation(), ("storage_pool", 4)),
        (confirmation(pool), ("storage_pool", 5)),
        (confirmation(blob, blob_id=DOG), ("storage_pool", 3)),
        (confirmation(blob, epoch=2), ("messages", 1)),
    ):
        assert abort_of(lambda message=message: certify(shop, pool, message)) == expected
    few = lambda: certify(shop, pool, confirmation(blob), signers=shop.nodes[:2])  # noqa: E731
    assert abort_of(few) == ("bls_aggregate", 2)
    assert abort_of(lambda: certify(shop, pool, confirmation(blob), DOG)) == ("dynamic_field", 1)
    certify(shop, pool, confirmation(blob))
    for message in (confirmation(blob), confirmation()):  # already certified comes before the kind of blob
        assert abort_of(lambda message=message: certify(shop, pool, message)) == ("storage_pool", 2)


def test_the_end_comes_before_already_certified(shop: Shop, step: Step) -> None:
    pool = pool_of(shop, epochs=1)
    register(shop, pool)
    certify(shop, pool, confirmation())
    pass_epochs(shop, step, 1)
    assert abort_of(lambda: certify(shop, pool, confirmation(epoch=2))) == ("storage_pool", 1)
    # A plain blob has it the other way round.
    blob = shop.certified(epochs=1)
    pass_epochs(shop, step, 1)
    assert abort_of(lambda: shop.certify(blob)) == ("blob", 5)


def test_deleting_makes_room(shop: Shop) -> None:
    pool = pool_of(shop, size=ENCODED)
    blob = register(shop, pool, deletable=True)
    certify(shop, pool, confirmation(blob))
    shop.call("system::delete_pooled_blob", storage_pool=pool, blob_id=CAT)
    assert shop.events() == [PooledBlobDeleted(1, CAT, blob, True, pool)]
    assert shop.chain.ledger.object(blob) is None
    refused = shop.refusal("system::delete_pooled_blob", storage_pool=pool, blob_id=CAT)
    assert refused == ("dynamic_field", 1)
    again = register(shop, pool)
    assert again != blob
    assert shop.refusal("system::delete_pooled_blob", storage_pool=pool, blob_id=CAT) == ("storage_pool", 0)


def test_after_the_end_blobs_are_burned_in_silence(shop: Shop, step: Step) -> None:
    pool = pool_of(shop, epochs=1)
    register(shop, pool, "cat")
    register(shop, pool, "dog", deletable=True)
    burn = {"storage_pool": pool, "blob_id": CAT}
    assert shop.refusal("system::burn_expired_pooled_blob", **burn) == ("system_state_inner", 2)
    pass_epochs(shop, step, 1)
    assert shop.refusal("system::delete_pooled_blob", **burn) == ("system_state_inner", 2)
    assert abort_of(lambda: register(shop, pool, "cow")) == ("system_state_inner", 2)
    assert shop.refusal("storage_pool::destroy", self=pool) == ("storage_pool", 7)
    for blob_id in (CAT, DOG):
        shop.call("system::burn_expired_pooled_blob", storage_pool=pool, blob_id=blob_id)
        assert shop.events() == []
    table = shop.chain.field(pool).blobs.id
    storage = shop.call("storage_pool::destroy", self=pool)
    assert shop.seen(storage.id) == (2 * ENCODED, 1, 2)
    assert shop.chain.ledger.object(pool) is None
    assert shop.chain.ledger.dynamic_fields(pool) == shop.chain.ledger.dynamic_fields(table) == []


# Growing, shrinking, lasting


def test_a_pool_lasts_longer(shop: Shop, step: Step) -> None:
    pool = pool_of(shop, size=MIB + 1, epochs=2)
    pass_epochs(shop, step, 1)
    extend = {"storage_pool": pool, "payment": shop.coin}
    paid, used = shop.purse, shop.used(5)
    shop.call("system::extend_storage_pool", extended_epochs=2, **extend)
    assert shop.events() == [StoragePoolExtended(2, pool, 5)]
    assert paid - shop.purse == 2 * 2 * 5
    assert [now - then for now, then in zip(shop.used(5), used, strict=True)] == [0, MIB + 1, MIB + 1, 0, 0]
    for epochs in (0, 51):
        refused = shop.refusal("system::extend_storage_pool", extended_epochs=epochs, **extend)
        assert refused == ("system_state_inner", 2)
    shop.call("system::extend_storage_pool", extended_epochs=50, **extend)
    assert view(shop, pool, "end_epoch") == 55


def test_a_pool_grows_from_now_on(shop: Shop, step: Step) -> None:
    pool = pool_of(shop, size=MIB, epochs=3)
    pass_epochs(shop, step, 1)
    paid, used = shop.purse, shop.used(3)
    more = {"storage_pool": pool, "payment": shop.coin}
    call = "system::increase_storage_pool_capacity"
    shop.call(call, additional_encoded_capacity_bytes=MIB, **more)
    assert paid - shop.purse == 2 * 5
    assert [now - then for now, then in zip(shop.used(3), used, strict=True)] == [MIB, MIB, 0]
    assert shop.call("system::used_capacity_size") == 2 * MIB
    assert view(shop, pool, "reserved_encoded_capacity_bytes") == 2 * MIB
    assert shop.refusal(call, additional_encoded_capacity_bytes=0, **more) == ("system_state_inner", 11)
    over = CAPACITY - 2 * MIB + 1
    assert shop.refusal(call, additional_encoded_capacity_bytes=over, **more) == ("system_state_inner", 1)
    shop.call(call, additional_encoded_capacity_bytes=over - 1, **more)


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ((MIB, 2, 4), ("storage_pool", 1)),
        ((MIB, 2, 5), ("storage_pool", 1)),  # the start before the end
        ((MIB, 1, 5), ("storage_pool", 11)),
        ((MIB, 1, 3), ("storage_pool", 11)),
    ],
)
def test_storage_that_does_not_fit_a_pool(shop: Shop, storage: tuple[int, int, int], expected: tuple[str, int]) -> None:
    pool, other = pool_of(shop, epochs=3), shop.buy(*storage)
    call = "system::increase_storage_pool_capacity_with_storage"
    assert shop.refusal(call, storage_pool=pool, storage=other) == expected


def test_storage_need_not_start_with_the_pool(shop: Shop, step: Step) -> None:
    pool = pool_of(shop, size=MIB, epochs=3)
    pass_epochs(shop, step, 1)
    other = shop.buy(7, 2, 4)
    shop.call("system::increase_storage_pool_capacity_with_storage", storage_pool=pool, storage=other)
    assert shop.chain.ledger.object(other) is None
    storage = view(shop, pool, "storage")
    assert (storage.start_epoch, storage.end_epoch, storage.storage_size) == (1, 4, MIB + 7)


def test_unused_bytes_come_out(shop: Shop) -> None:
    pool = pool_of(shop, size=ENCODED + 1_000)
    register(shop, pool)
    by_size, by_percent = (
        f"system::decrease_storage_pool_{name}" for name in ("capacity_by_size", "unused_capacity_by_percent")
    )
    assert shop.refusal(by_size, storage_pool=pool, size=1_001) == ("storage_pool", 6)
    assert shop.refusal(by_size, storage_pool=pool, size=0) == ("system", 2)
    assert shop.refusal(by_percent, storage_pool=pool, percent=101) == ("storage_pool", 14)
    assert shop.refusal(by_percent, storage_pool=pool, percent=0) == ("system", 2)
    taken = shop.call(by_size, storage_pool=pool, size=1)
    assert shop.seen(taken.id) == (1, 1, 4)
    taken = shop.call(by_percent, storage_pool=pool, percent=33)  # of 999, rounded down
    assert shop.seen(taken.id) == (329, 1, 4)
    assert view(shop, pool, "available_encoded_bytes") == 670
    shop.call(by_percent, storage_pool=pool, percent=100)
    assert view(shop, pool, "available_encoded_bytes") == 0
    assert shop.refusal(by_percent, storage_pool=pool, percent=100) == ("system", 2)


def test_an_ended_pool_neither_grows_nor_shrinks(shop: Shop, step: Step) -> None:
    pool, storage = pool_of(shop, epochs=1), shop.buy(MIB, 1, 2)
    pass_epochs(shop, step, 1)
    for function, arguments in (
        ("extend_storage_pool", {"extended_epochs": 1, "payment": shop.coin}),
        ("increase_storage_pool_capacity", {"additional_encoded_capacity_bytes": 1, "payment": shop.coin}),
        ("increase_storage_pool_capacity_with_storage", {"storage": storage}),
        ("decrease_storage_pool_capacity_by_size", {"size": 0}),
        ("decrease_storage_pool_unused_capacity_by_percent", {"percent": 101}),
    ):
        refused = shop.refusal(f"system::{function}", storage_pool=pool, **arguments)
        assert refused == ("system_state_inner", 2), function


# Attributes


def test_attributes_of_a_pooled_blob(shop: Shop) -> None:
    pool = pool_of(shop)
    blob = register(shop, pool, deletable=True)

    def refusal(function: str, **arguments: Any) -> tuple[str, int]:
        return abort_of(lambda: view(shop, pool, function, **arguments))

    assert refusal("take_blob_metadata", blob_id=CAT) == ("storage_pool", 13)
    assert refusal("remove_blob_metadata_pair", blob_id=CAT, key="a") == ("storage_pool", 13)
    assert refusal("take_blob_metadata", blob_id=DOG) == ("dynamic_field", 1)
    assert view(shop, pool, "remove_blob_metadata_pair_if_exists", blob_id=CAT, key="a") is None
    view(shop, pool, "insert_or_update_blob_metadata_pair", blob_id=CAT, key="a", value="1")
    assert view(shop, pool, "remove_blob_metadata_pair_if_exists", blob_id=CAT, key="a") == "1"
    view(shop, pool, "insert_or_update_blob_metadata_pair", blob_id=CAT, key="a", value="2")
    assert view(shop, pool, "remove_blob_metadata_pair", blob_id=CAT, key="a") == ("a", "2")

    def give(function: str) -> Any:
        program = shop.chain.program(shop.alice)
        made = program.call("metadata::new")
        given = program.call(f"storage_pool::{function}", self=pool, blob_id=CAT, metadata=made)
        return program.run_for_values(given)

    assert abort_of(lambda: give("add_blob_metadata")) == ("storage_pool", 12)
    assert give("add_or_replace_blob_metadata")[0].metadata == {}
    view(shop, pool, "take_blob_metadata", blob_id=CAT)
    give("add_blob_metadata")
    (attributes,) = shop.chain.ledger.dynamic_fields(blob)
    shop.call("system::delete_pooled_blob", storage_pool=pool, blob_id=CAT)
    assert shop.chain.ledger.object(attributes.field_id) is None
