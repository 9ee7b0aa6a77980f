"""Attributes of a blob, and subsidies for the epochs to come."""

from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import Shop, abort_of


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
