"""Framework functions that programs call, through real transactions."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.aborts import U64_MAX, ArithmeticFailure, MoveAbort, as_u64, div, div_ceil
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import U8, U64, VecMap, type_of, u16
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.fields import DynamicField, DynamicObjectField
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.storage_resource import Storage
from walrus_sui.devnet.testing import Chain, Node

STRING = "0x1::string::String"


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def values(chain: Chain, function: str, *, types: list[str], **arguments: Any) -> Any:
    program = chain.program(chain.account("alice"))
    return program.run_for_values(program.call(function, types=types, **arguments))


def test_coins_and_balances(chain: Chain) -> None:
    alice, types = chain.account("alice"), [chain.network.wal_type]
    coin = chain.coin(alice, 100)
    program = chain.program(alice)
    balance = program.call("coin::into_balance", types=types, coin=coin)
    part = program.call("balance::split", types=types, self=balance, value=30)
    empty = program.call("balance::zero", types=types)
    program.call("balance::join", types=types, self=empty, balance=part)
    seen = program.call("balance::value", types=types, self=empty)
    rest = program.call("balance::split", types=types, self=balance, value=70)
    program.call("balance::destroy_zero", types=types, balance=balance)
    made = [program.call("coin::from_balance", types=types, balance=item) for item in (empty, rest)]
    program.transfer(made, alice.address)
    assert program.run_for_values(seen) == [30]
    amounts = [obj.coin_balance for obj in chain.ledger.owned_objects(alice.address, chain.network.wal_coin)]
    assert {30, 70} <= set(amounts)


def test_coins_divide(chain: Chain) -> None:
    alice, types = chain.account("alice"), [chain.network.wal_type]
    coin = chain.coin(alice, 10)
    program = chain.program(alice)
    program.call("coin::divide_into_n", types=types, self=coin, n=3)
    # A vector of coins has no drop, so the program must use it.
    with pytest.raises(Exception, match="UNUSED_VALUE_WITHOUT_DROP"):
        program.run()
    assert abort_of(lambda: values(chain, "coin::divide_into_n", types=types, self=coin, n=0)) == ("coin", 1)
    assert abort_of(lambda: values(chain, "coin::divide_into_n", types=types, self=coin, n=11)) == ("coin", 2)


def test_coins_join_and_split(chain: Chain) -> None:
    alice, types = chain.account("alice"), [chain.network.wal_type]
    first, second = chain.coin(alice, 10), chain.coin(alice, 5)
    program = chain.program(alice)
    program.call("coin::join", types=types, self=first, c=second)
    part = program.call("coin::split", types=types, self=first, split_amount=4)
    zero = program.call("coin::zero", types=types)
    program.call("coin::destroy_zero", types=types, c=zero)
    program.transfer([part], alice.address)
    program.run()
    assert chain.value(first).balance.value == 11
    assert chain.ledger.object(second) is None
    split = lambda: values(chain, "coin::split", types=types, self=first, split_amount=12)  # noqa: E731
    assert abort_of(split) == ("balance", 2)
    assert abort_of(lambda: values(chain, "coin::destroy_zero", types=types, c=first)) == ("balance", 0)


def test_options_and_strings(chain: Chain) -> None:
    alice = chain.account("alice")
    program = chain.program(alice)
    some = program.call("option::some", types=["u64"], e=7)
    inside = program.call("option::destroy_some", types=["u64"], t=some)
    assert program.run_for_values(inside) == [7]
    assert values(chain, "option::none", types=["u64"]) == [None]
    assert abort_of(lambda: values(chain, "option::destroy_some", types=["u64"], t=None)) == ("option", 0x40001)
    assert abort_of(lambda: values(chain, "option::destroy_none", types=["u64"], t=1)) == ("option", 0x40000)
    assert values(chain, "string::utf8", types=[], bytes=b"h\xc3\xa9") == ["hé"]
    assert abort_of(lambda: values(chain, "string::utf8", types=[], bytes=b"\xff")) == ("string", 1)
    assert values(chain, "object::id_from_address", types=[], bytes=alice.address) == [alice.address]
    assert values(chain, "clock::timestamp_ms", types=[]) == [chain.now_ms]


def test_maps(chain: Chain) -> None:
    types = [STRING, STRING]
    program = chain.program(chain.account("alice"))
    made = program.call("vec_map::empty", types=types)
    program.call("vec_map::insert", types=types, self=made, key="a", value="1")
    program.call("vec_map::insert", types=types, self=made, key="b", value="2")
    taken = program.call("vec_map::remove", types=types, self=made, key="a")
    assert program.run_for_values(taken) == ["a", "1"]
    program = chain.program(chain.account("alice"))
    made = program.call("vec_map::empty", types=types)
    program.call("vec_map::insert", types=types, self=made, key="a", value="1")
    program.call("vec_map::insert", types=types, self=made, key="a", value="1")
    assert abort_of(program.run) == ("vec_map", 0)
    program = chain.program(chain.account("alice"))
    made = program.call("vec_map::empty", types=types)
    program.call("vec_map::remove", types=types, self=made, key="a")
    assert abort_of(program.run) == ("vec_map", 1)
    unequal = {"keys": ["a"], "values": []}
    assert abort_of(lambda: values(chain, "vec_map::from_keys_values", types=types, **unequal)) == ("vec_map", 5)


def test_metadata_is_a_value(chain: Chain) -> None:
    alice = chain.account("alice")
    program = chain.program(alice)
    made = program.call("node_metadata::new", image_url="", project_url="", description="")
    program.call("node_metadata::set_image_url", metadata=made, image_url="i")
    program.call("node_metadata::set_project_url", metadata=made, project_url="p")
    program.call("node_metadata::set_description", metadata=made, description="d")
    for view, expected in (("image_url", "i"), ("project_url", "p"), ("description", "d")):
        seen = program.call(f"node_metadata::{view}", metadata=made)
        assert program.run_for_values(seen) == [expected]


def test_stake_views(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    stake = chain.stake(alice, nodes[0], 2 * 10**9)
    expected = {
        "node_id": nodes[0].node_id,
        "value": 2 * 10**9,
        "activation_epoch": 2,
        "is_staked": True,
        "is_withdrawing": False,
    }
    for view, value in expected.items():
        assert chain.call(f"staked_wal::{view}", sender=alice, sw=stake.id) == value
    assert abort_of(lambda: chain.call("staked_wal::withdraw_epoch", sender=alice, sw=stake.id)) == ("staked_wal", 0)
    cap = nodes[0]
    for view, value in {"node_id": cap.node_id, "last_epoch_sync_done": 1, "deny_list_sequence": 0}.items():
        assert chain.call(f"storage_node::{view}", sender=cap.account, cap=cap.cap_id) == value
    assert chain.call("storage_node::last_event_blob_attestation", sender=cap.account, cap=cap.cap_id) is None


def test_authorizations(chain: Chain) -> None:
    alice = chain.account("alice")
    assert chain.call("auth::authorized_address", sender=alice, addr=alice.address).pos0 == alice.address
    other = "0x" + "7" * 64
    assert chain.call("auth::authorized_object", sender=alice, id=other).pos0 == other
    assert chain.call("auth::authenticate_sender", sender=alice).pos0 == alice.address


def test_arithmetic_is_checked() -> None:
    assert as_u64(U64_MAX) == U64_MAX
    for value in (-1, U64_MAX + 1):
        with pytest.raises(ArithmeticFailure):
            as_u64(value)
    with pytest.raises(ArithmeticFailure):
        div(1, 0)
    assert (div(7, 2), div_ceil(7, 2), div_ceil(0, 5)) == (3, 4, 0)
    with pytest.raises(ArithmeticFailure):
        U8.to_bcs(256)
    with pytest.raises(ArithmeticFailure):
        type_of(list[u16]).to_bcs([1, 65_536])
    with pytest.raises(ArithmeticFailure):
        Balance(U64_MAX).join(Balance(1))


def runtime(chain: Chain, *, strict: bool = False) -> Runtime:
    return Runtime(
        sender=chain.account("alice").address,
        digest=bytes(32),
        rules=chain.ledger._rules,
        load=lambda _: None,
        resolve=registry.resolve,
        strict=strict,
    )


def test_dynamic_fields_come_and_go(chain: Chain) -> None:
    rt = runtime(chain)
    field: DynamicField[int, NodeMetadata] = DynamicField(U64, NodeMetadata)
    parent = rt.new_uid()
    field.add(rt, parent, 1, NodeMetadata("a", "", "", {}))
    assert field.exists(rt, parent, 1)
    assert not field.exists(rt, parent, 2)
    assert abort_of(lambda: field.add(rt, parent, 1, NodeMetadata("b", "", "", {}))) == ("dynamic_field", 0)
    assert abort_of(lambda: field.borrow(rt, parent, 2)) == ("dynamic_field", 1)
    other: DynamicField[int, int] = DynamicField(U64, U64)
    assert abort_of(lambda: other.borrow(rt, parent, 1)) == ("dynamic_field", 2)
    field.borrow_mut(rt, parent, 1).image_url = "changed"
    assert field.remove(rt, parent, 1).image_url == "changed"
    assert rt.child_changes() == {}
    assert rt.deleted == {}


def test_child_objects_keep_their_id(chain: Chain) -> None:
    rt = runtime(chain)
    door: DynamicObjectField[int, Storage] = DynamicObjectField(U64, Storage)
    parent, storage = rt.new_uid(), Storage(rt.new_uid(), 1, 2, 3)
    door.add(rt, parent, 9, storage)
    assert door.exists(rt, parent, 9)
    assert door.borrow(rt, parent, 9) is storage
    changes = rt.child_changes()
    (field_id,) = [key for key in changes if key != storage.id]
    assert changes[storage.id].parent == field_id
    assert changes[field_id].parent == parent
    assert door.remove(rt, parent, 9) is storage
    assert rt.child_changes() == {}


def test_a_changed_borrow_is_a_bug(chain: Chain) -> None:
    stored = next(obj for obj in chain.ledger.objects() if obj.type.endswith("ActiveSet>"))
    extended = stored.owner.object_id  # type: ignore[union-attr]
    rt = chain_runtime(chain)
    child = rt.borrow_child(extended, stored.object_id, chain.type_of(stored.type), mutable=False)
    assert rt.child_changes() == {}
    child.value.max_size = 1
    with pytest.raises(RuntimeError, match="only borrowed"):
        rt.child_changes()


def chain_runtime(chain: Chain) -> Runtime:
    from walrus_sui.devnet.move.core.runtime import Stored  # noqa: PLC0415 - only this test looks behind the ledger

    def load(object_id: ObjectId) -> Stored | None:
        obj = chain.ledger.object(object_id)
        return None if obj is None else Stored(obj.owner.object_id, chain.type_of(obj.type).tag, obj.contents)  # type: ignore[union-attr]

    rt = runtime(chain, strict=True)
    rt.load = load
    return rt


def test_maps_refuse_a_key_twice() -> None:
    made = VecMap(U8, U8)
    assert made.from_bcs(b"\x02\x01\x05\x00\x06") == {1: 5, 0: 6}
    with pytest.raises(ValueError, match="key twice"):
        made.from_bcs(b"\x02\x01\x05\x01\x06")


def test_every_datatype_can_be_described(chain: Chain) -> None:
    described = [
        chain.ledger.datatype(chain.network.packages.id_of(module.package), module.name, name)
        for module in registry.MODULES
        for name in module.structs
    ]
    assert None not in described
    assert sum(bool(found and found.fields) for found in described) > 60
    assert chain.ledger.datatype("0x2", "coin", "Nothing") is None
    assert chain.ledger.datatype("0x77", "coin", "Coin") is None
