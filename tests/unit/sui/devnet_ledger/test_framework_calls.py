"""The declared list of framework functions, and those of them that only programs put together by hand use."""

from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import abort_of

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.packages import STD, SUI
from walrus_sui.devnet.move.framework.calls import FRAMEWORK_CALLS
from walrus_sui.devnet.testing import Account, Chain

WAL = 10**9


def test_the_list_is_what_can_be_called() -> None:
    offered = {
        (module.package, module.name): set(module.functions)
        for module in registry.MODULES
        if module.package in {STD, SUI} and module.functions
    }
    assert offered == {place: set(names) for place, names in FRAMEWORK_CALLS.items()}
    assert all(len(names) == len(set(names)) for names in FRAMEWORK_CALLS.values())


@pytest.fixture
def alice(chain: Chain) -> Account:
    return chain.account("alice")


def pay(chain: Chain, function: str, **arguments: Any) -> list[tuple[str, int]]:
    """Owner and amount of the coins that a call of module pay made."""
    wal = chain.network.wal_type
    program = chain.program(chain.account("alice"))
    if "coins" in arguments:
        arguments["coins"] = program.vector(arguments["coins"], f"0x2::coin::Coin<{wal}>")
    program.call(f"pay::{function}", types=[wal], **arguments)
    executed = program.run()
    made = {item.object_id for item in executed.effects.changed_objects if item.before is None}
    return sorted(
        (obj.owner.address, obj.coin_balance or 0) for obj in executed.output_objects if obj.object_id in made
    )


def value(chain: Chain, coin: ObjectId) -> int:
    found: int = chain.value(coin).balance.value
    return found


def test_coins_are_split_for_the_sender_or_another(chain: Chain, alice: Account) -> None:
    coin, bob = chain.coin(alice, 100), chain.account("bob").address
    assert pay(chain, "split", coin=coin, split_amount=7) == [(alice.address, 7)]
    assert pay(chain, "split_vec", self=coin, split_amounts=[1, 2, 3]) == [(alice.address, n) for n in (1, 2, 3)]
    assert pay(chain, "split_and_transfer", c=coin, amount=7, recipient=bob) == [(bob, 7)]
    assert value(chain, coin) == 80
    assert abort_of(lambda: pay(chain, "split_vec", self=coin, split_amounts=[80, 1])) == ("balance", 2)
    assert pay(chain, "divide_and_keep", self=coin, n=3) == [(alice.address, 26)] * 2
    assert value(chain, coin) == 28
    for parts, code in ((0, 1), (29, 2)):
        refused = abort_of(lambda parts=parts: pay(chain, "divide_and_keep", self=coin, n=parts))
        assert refused == ("coin", code)


def test_coins_are_joined(chain: Chain, alice: Account) -> None:
    first, *rest = (chain.coin(alice, amount) for amount in (1, 2, 3, 4))
    assert pay(chain, "join", self=first, coin=rest.pop()) == []
    assert pay(chain, "join_vec", self=first, coins=rest) == []
    assert value(chain, first) == 10
    assert [chain.ledger.object(coin) for coin in rest] == [None, None]
    coins = [first, chain.coin(alice, 5)]
    bob = chain.account("bob").address
    pay(chain, "join_vec_and_transfer", coins=coins, receiver=bob)
    last = chain.ledger.object(coins[1])  # the last one takes the others
    assert last is not None
    assert (last.coin_balance, last.owner.address) == (15, bob)  # type: ignore[union-attr]
    assert abort_of(lambda: pay(chain, "join_vec_and_transfer", coins=[], receiver=bob)) == ("pay", 0)


def test_a_coin_is_kept(chain: Chain, alice: Account) -> None:
    wal = chain.network.wal_type
    before = chain.balance(alice)
    program = chain.program(alice)
    coin = program.split(chain.coin(alice, 9), [4])
    program.call("pay::keep", types=[wal], c=coin)
    program.run()
    assert chain.balance(alice) == before


def test_balances_give_and_take_coins(chain: Chain, alice: Account) -> None:
    wal = chain.network.wal_type
    program = chain.program(alice)
    purse = program.call("balance::zero", types=[wal])
    program.call("coin::put", types=[wal], balance=purse, coin=chain.coin(alice, 9))
    taken = program.call("coin::take", types=[wal], balance=purse, value=4)
    rest = program.call("balance::withdraw_all", types=[wal], self=purse)
    program.call("balance::destroy_zero", types=[wal], balance=purse)
    left = program.call("coin::from_balance", types=[wal], balance=rest)
    program.transfer([taken, left], alice.address)
    assert program.run_for_values(left)[0].balance.value == 5
    assert chain.call("coin::balance", sender=alice, types=[wal], coin=chain.coin(alice, 3)).value == 3


@pytest.mark.parametrize(
    ("function", "option", "expected"),
    [
        ("is_some", 5, True),
        ("is_some", None, False),
        ("is_none", 5, False),
        ("is_none", None, True),
        ("borrow", 5, 5),
        ("get_with_default", 5, 5),
        ("get_with_default", None, 9),
        ("destroy_with_default", 5, 5),
        ("destroy_with_default", None, 9),
    ],
)
def test_options(chain: Chain, alice: Account, function: str, option: int | None, expected: Any) -> None:
    arguments = {"t": option} | ({"default": 9} if "default" in function else {})
    assert chain.call(f"option::{function}", sender=alice, types=["u64"], **arguments) == expected


def test_an_empty_option_lends_nothing(chain: Chain, alice: Account) -> None:
    refused = abort_of(lambda: chain.call("option::borrow", sender=alice, types=["u64"], t=None))
    assert refused == ("option", 0x40001)


def test_maps_are_looked_into(chain: Chain, alice: Account) -> None:
    types = ["u64", "bool"]

    def run(function: str, **arguments: Any) -> list[Any]:
        program = chain.program(alice)
        made = program.call("vec_map::empty", types=types)
        for key, entry in ((7, True), (3, False)):
            program.call("vec_map::insert", types=types, self=made, key=key, value=entry)
        called = program.call(f"vec_map::{function}", types=types, self=made, **arguments)
        return program.inspect(called) if called.is_reference else program.run_for_values(called)

    assert run("pop") == [3, False]
    assert run("get", key=3) == [False]
    assert [run("try_get", key=key) for key in (7, 8)] == [[True], [None]]
    assert [run("contains", key=key) for key in (7, 8)] == [[True], [False]]
    assert (run("size"), run("is_empty")) == ([2], [False])
    assert abort_of(lambda: run("get", key=8)) == ("vec_map", 1)
    assert abort_of(lambda: run("destroy_empty")) == ("vec_map", 2)
    program = chain.program(alice)
    program.call("vec_map::destroy_empty", types=types, self=program.call("vec_map::empty", types=types))
    program.run()
    program = chain.program(alice)
    program.call("vec_map::pop", types=types, self=program.call("vec_map::empty", types=types))
    assert abort_of(program.run) == ("vec_map", 4)


def test_a_field_of_its_own(chain: Chain, alice: Account) -> None:
    field = chain.call("extended_field::new", sender=alice, types=["u64"], value=5)
    assert chain.call("extended_field::borrow", sender=alice, types=["u64"], field=field.id) == 5
    assert chain.call("extended_field::borrow_mut", sender=alice, types=["u64"], field=field.id) == 5
    assert chain.call("extended_field::swap", sender=alice, types=["u64"], field=field.id, value=6) == 5
    (entry,) = chain.ledger.dynamic_fields(field.id)
    assert chain.call("extended_field::destroy", sender=alice, types=["u64"], field=field.id) == 6
    assert [chain.ledger.object(item) for item in (field.id, entry.field_id)] == [None, None]


def test_ids_and_the_sender(chain: Chain, alice: Account) -> None:
    coin = chain.coin(alice, 1)
    types = [chain.network.wal_coin]
    assert chain.call("object::id", sender=alice, types=types, obj=coin) == coin
    assert chain.call("object::id_address", sender=alice, types=types, obj=coin) == coin
    assert chain.call("object::id_to_address", sender=alice, id=coin) == coin
    assert chain.call("tx_context::sender", sender=alice) == alice.address
    assert chain.call("ascii::string", sender=alice, bytes=b"abc") == "abc"
    assert abort_of(lambda: chain.call("ascii::string", sender=alice, bytes=b"\xff")) == ("ascii", 0x10000)


def test_entry_functions_are_announced(chain: Chain) -> None:
    for name, is_entry in (("join", True), ("split", False)):
        signature = chain.ledger.function(SUI, "coin", name)
        assert signature is not None
        assert (signature.visibility, signature.is_entry) == ("PUBLIC", is_entry)
