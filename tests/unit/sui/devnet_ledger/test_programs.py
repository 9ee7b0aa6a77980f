"""Rules of programmable transactions: arguments, types, borrowing, results."""

from collections.abc import Sequence
from typing import Any

import pytest

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger import gas
from walrus_sui.devnet.ledger.effects import IdOperation
from walrus_sui.devnet.ledger.failures import ArgumentErrorKind, Failure, FailureKind, TypeArgumentErrorKind
from walrus_sui.devnet.ledger.objects import AddressOwner, SharedOwner
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    CallInput,
    Command,
    Input,
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Publish,
    Pure,
    Result,
    SharedObject,
    SplitCoins,
    TransferObjects,
)
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.testing import BUDGET, Account, Chain, TransactionFailed

SUI = ObjectId("0x" + "0" * 63 + "2")
SUI_TYPE = f"{SUI}::sui::SUI"


def u64(value: int) -> Pure:
    return Pure(bcs.u64(value))


def address(account: Account) -> Pure:
    return Pure(bytes.fromhex(account.address[2:]))


def call(function: str, *arguments: Any, types: Sequence[str] = (), package: ObjectId = SUI) -> MoveCall:
    module, name = function.split("::")
    return MoveCall(package, module, name, tuple(types), tuple(arguments))


def data(chain: Chain, inputs: Sequence[CallInput], commands: Sequence[Command]) -> TransactionData:
    alice = chain.account("alice")
    # A failed transaction moves versions on too, so references are refreshed.
    inputs = [owned(chain, item.object_id) if isinstance(item, OwnedObject) else item for item in inputs]
    used = [item.object_id for item in inputs if isinstance(item, OwnedObject)]
    coin = chain.gas_coin(alice, without=used)
    gas_data = GasData((coin.ref,), alice.address, gas.REFERENCE_GAS_PRICE, BUDGET)
    return TransactionData(ProgrammableTransaction(tuple(inputs), tuple(commands)), alice.address, gas_data)


def run(chain: Chain, inputs: Sequence[CallInput], commands: Sequence[Command]) -> Any:
    return chain.submit(data(chain, inputs, commands), chain.account("alice"))


def failure(chain: Chain, inputs: Sequence[CallInput], commands: Sequence[Command]) -> Failure:
    with pytest.raises(TransactionFailed) as caught:
        run(chain, inputs, commands)
    return caught.value.failure


def argument_error(chain: Chain, inputs: Sequence[CallInput], commands: Sequence[Command]) -> tuple[Any, ...]:
    found = failure(chain, inputs, commands)
    assert found.kind is FailureKind.COMMAND_ARGUMENT_ERROR
    return found.argument_kind, found.command, found.argument


def owned(chain: Chain, object_id: ObjectId) -> OwnedObject:
    obj = chain.ledger.object(object_id)
    assert obj is not None
    return OwnedObject(obj.ref)


def wal(chain: Chain, amount: int) -> OwnedObject:
    return owned(chain, chain.coin(chain.account("alice"), amount))


def test_split_merge_and_transfer(chain: Chain) -> None:
    alice, bob = chain.account("alice"), chain.account("bob")
    before = chain.balance(bob, chain.network.sui_type)
    executed = run(
        chain,
        [u64(5), u64(7), address(bob)],
        [
            SplitCoins(GAS_COIN, (Input(0), Input(1))),
            MergeCoins(NestedResult(0, 0), (NestedResult(0, 1),)),
            TransferObjects((NestedResult(0, 0),), Input(2)),
        ],
    )
    assert chain.balance(bob, chain.network.sui_type) == before + 12
    created = [c for c in executed.effects.changed_objects if c.operation is IdOperation.CREATED]
    assert [c.after.owner for c in created if c.after] == [AddressOwner(bob.address)]
    assert executed.effects.gas_object.object_id == chain.gas_coin(alice).object_id


def test_the_whole_gas_coin_can_be_sent(chain: Chain) -> None:
    bob = chain.account("bob")
    alice = chain.account("alice")
    coin = chain.gas_coin(alice)
    executed = run(chain, [address(bob)], [TransferObjects((GAS_COIN,), Input(0))])
    sent = chain.ledger.object(coin.object_id)
    assert sent is not None
    assert sent.owner == AddressOwner(bob.address)
    assert sent.coin_balance == (coin.coin_balance or 0) - executed.effects.gas_used.net


def test_the_budget_is_held_back(chain: Chain) -> None:
    coin = chain.gas_coin(chain.account("alice"))
    found = failure(chain, [u64((coin.coin_balance or 0) - BUDGET + 1)], [SplitCoins(GAS_COIN, (Input(0),))])
    assert (found.kind, found.command) == (FailureKind.INSUFFICIENT_COIN_BALANCE, 0)


def test_gas_cannot_be_taken_by_value(chain: Chain) -> None:
    found = argument_error(chain, [], [call("coin::into_balance", GAS_COIN, types=[SUI_TYPE])])
    assert found == (ArgumentErrorKind.INVALID_GAS_COIN_USAGE, 0, 0)


def test_gas_can_be_read(chain: Chain) -> None:
    run(chain, [], [call("coin::value", GAS_COIN, types=[SUI_TYPE])])


def test_indices_must_exist(chain: Chain) -> None:
    split = SplitCoins(GAS_COIN, (Input(0),))
    kind = ArgumentErrorKind
    assert argument_error(chain, [], [split]) == (kind.INDEX_OUT_OF_BOUNDS, 0, 1)
    assert argument_error(chain, [], [MergeCoins(GAS_COIN, (Result(3),))]) == (kind.INDEX_OUT_OF_BOUNDS, 0, 1)
    two = SplitCoins(GAS_COIN, (Input(0), Input(0)))
    assert argument_error(chain, [u64(1)], [two, MergeCoins(GAS_COIN, (Result(0),))]) == (
        kind.INVALID_RESULT_ARITY,
        1,
        1,
    )
    merge = MergeCoins(GAS_COIN, (NestedResult(0, 2),))
    assert argument_error(chain, [u64(1)], [two, merge]) == (kind.SECONDARY_INDEX_OUT_OF_BOUNDS, 1, 1)
    assert argument_error(chain, [u64(1)], [MergeCoins(GAS_COIN, (Result(0),))]) == (kind.INDEX_OUT_OF_BOUNDS, 0, 1)


def test_results_must_be_used_up(chain: Chain) -> None:
    found = failure(chain, [u64(1)], [SplitCoins(GAS_COIN, (Input(0), Input(0)))])
    assert (found.kind, found.index, found.sub_index) == (FailureKind.UNUSED_VALUE_WITHOUT_DROP, 0, 0)


def test_values_move_once(chain: Chain) -> None:
    alice = chain.account("alice")
    commands = [
        SplitCoins(GAS_COIN, (Input(0),)),
        TransferObjects((Result(0),), Input(1)),
        TransferObjects((Result(0),), Input(1)),
    ]
    assert argument_error(chain, [u64(1), address(alice)], commands) == (ArgumentErrorKind.INVALID_VALUE_USAGE, 2, 0)


def test_one_call_borrows_mutably_once(chain: Chain) -> None:
    coin = wal(chain, 10)
    types = [chain.network.wal_type]
    found = argument_error(chain, [coin], [call("coin::join", Input(0), Input(0), types=types)])
    assert found == (ArgumentErrorKind.INVALID_VALUE_USAGE, 0, 1)
    found = argument_error(chain, [coin], [MergeCoins(Input(0), (Input(0),))])
    assert found == (ArgumentErrorKind.INVALID_VALUE_USAGE, 0, 1)


def test_types_must_agree(chain: Chain) -> None:
    coin = wal(chain, 10)
    kind = ArgumentErrorKind.TYPE_MISMATCH
    assert argument_error(chain, [coin], [call("coin::value", Input(0), types=[SUI_TYPE])]) == (kind, 0, 0)
    assert argument_error(chain, [coin], [MergeCoins(GAS_COIN, (Input(0),))]) == (kind, 0, 1)
    clock = SharedObject(ObjectId("0x" + "0" * 63 + "6"), 1, mutable=False)
    assert argument_error(chain, [coin, clock, u64(1)], [SplitCoins(Input(1), (Input(2),))])[1:] == (0, 0)
    package = chain.network.walrus_package
    commands = [call("staking::voting_end", Input(0), Input(0), package=package)]
    assert argument_error(chain, [SharedObject(chain.network.staking, 1, mutable=True)], commands) in {
        (kind, 0, 1),
        (ArgumentErrorKind.INVALID_VALUE_USAGE, 0, 1),
    }


def test_plain_bytes_must_fit_their_type(chain: Chain) -> None:
    kind = ArgumentErrorKind
    assert argument_error(chain, [Pure(b"\x01")], [SplitCoins(GAS_COIN, (Input(0),))]) == (kind.INVALID_BCS_BYTES, 0, 1)
    nine = Pure(bytes(9))
    assert argument_error(chain, [nine], [SplitCoins(GAS_COIN, (Input(0),))]) == (kind.INVALID_BCS_BYTES, 0, 1)
    found = argument_error(chain, [u64(1)], [call("coin::value", Input(0), types=[SUI_TYPE])])
    assert found == (kind.INVALID_USAGE_OF_PURE_ARG, 0, 0)
    assert argument_error(chain, [u64(1)], [MergeCoins(Input(0), (GAS_COIN,))]) == (
        kind.INVALID_USAGE_OF_PURE_ARG,
        0,
        0,
    )
    bad_text = Pure(b"\x02\xff\xfe")
    commands = [call("node_metadata::new", Input(0), Input(0), Input(0), package=chain.network.walrus_package)]
    assert argument_error(chain, [bad_text], commands) == (kind.INVALID_BCS_BYTES, 0, 0)


def test_one_plain_value_serves_many_types(chain: Chain) -> None:
    run(
        chain,
        [u64(3)],
        [
            SplitCoins(GAS_COIN, (Input(0), Input(0))),
            MergeCoins(GAS_COIN, (NestedResult(0, 0), NestedResult(0, 1))),
            call("wal_exchange::new_exchange_rate", Input(0), Input(0), package=chain.network.exchange_package),
        ],
    )


def test_read_only_shared_objects_lend_no_mutable_reference(chain: Chain) -> None:
    chain.advance(ms=10_000)
    clock = SharedObject(ObjectId("0x" + "0" * 63 + "6"), 1, mutable=False)
    staking = SharedObject(chain.network.staking, 1, mutable=False)
    commands = [call("staking::voting_end", Input(0), Input(1), package=chain.network.walrus_package)]
    found = argument_error(chain, [staking, clock], commands)
    assert found == (ArgumentErrorKind.INVALID_OBJECT_BY_MUT_REF, 0, 0)


def test_shared_and_frozen_objects_cannot_be_taken(chain: Chain) -> None:
    alice = chain.account("alice")
    exchange = SharedObject(chain.network.exchange, 1, mutable=True)
    found = argument_error(chain, [exchange, address(alice)], [TransferObjects((Input(0),), Input(1))])
    assert found == (ArgumentErrorKind.INVALID_OBJECT_BY_VALUE, 0, 0)
    coin = wal(chain, 10)
    freeze = call("transfer::public_freeze_object", Input(0), types=[chain.network.wal_coin])
    run(chain, [coin], [freeze])
    frozen = owned(chain, coin.object_id)
    kind = ArgumentErrorKind
    run(chain, [frozen], [call("coin::value", Input(0), types=[chain.network.wal_type])])
    assert argument_error(chain, [frozen, u64(1)], [SplitCoins(Input(0), (Input(1),))]) == (
        kind.INVALID_OBJECT_BY_MUT_REF,
        0,
        0,
    )
    assert argument_error(chain, [frozen], [freeze]) == (kind.INVALID_OBJECT_BY_VALUE, 0, 0)


def test_functions_and_types_must_exist(chain: Chain) -> None:
    nowhere = ObjectId("0x" + "9" * 64)
    for command in (
        call("coin::nothing", types=[SUI_TYPE]),
        call("nothing::value", types=[SUI_TYPE]),
        call("coin::value", types=[SUI_TYPE], package=nowhere),
    ):
        assert failure(chain, [], [command]).kind is FailureKind.FUNCTION_NOT_FOUND
    assert failure(chain, [], [call("coin::value", GAS_COIN)]).kind is FailureKind.TYPE_ARITY_MISMATCH
    assert failure(chain, [], [call("coin::value", types=[SUI_TYPE])]).kind is FailureKind.ARITY_MISMATCH
    found = failure(chain, [], [call("coin::zero", types=["0x2::sui::NOTHING"])])
    assert found.type_argument_kind is TypeArgumentErrorKind.TYPE_NOT_FOUND
    found = failure(chain, [u64(1), u64(1)], [call("transfer::public_transfer", Input(0), Input(1), types=["u64"])])
    assert found.type_argument_kind is TypeArgumentErrorKind.CONSTRAINT_NOT_SATISFIED


def test_vectors(chain: Chain) -> None:
    alice = chain.account("alice")
    types = [chain.network.wal_type]
    package = chain.network.walrus_package
    commands = [
        call("coin::zero", types=types),
        call("coin::zero", types=types),
        MakeMoveVec(None, (Result(0), Result(1))),
    ]
    found = failure(chain, [], commands)
    assert (found.kind, found.index) == (FailureKind.UNUSED_VALUE_WITHOUT_DROP, 2)
    run(chain, [], [MakeMoveVec("u64", ()), MakeMoveVec("u8", ())])
    assert argument_error(chain, [u64(1)], [MakeMoveVec(None, (Input(0),))])[0] in {
        ArgumentErrorKind.INVALID_USAGE_OF_PURE_ARG,
        ArgumentErrorKind.TYPE_MISMATCH,
    }
    strings = ["0x1::string::String"] * 2
    simulated = chain.ledger.simulate(
        data(
            chain,
            [Pure(bcs.string("k")), Pure(bcs.string("v")), address(alice), Pure(bcs.string(""))],
            [
                MakeMoveVec("0x1::string::String", (Input(0),)),
                MakeMoveVec("0x1::string::String", (Input(1),)),
                call("vec_map::from_keys_values", Result(0), Result(1), types=strings),
                call("node_metadata::new", Input(3), Input(3), Input(3), package=package),
                call("node_metadata::set_extra_fields", Result(3), Result(2), package=package),
            ],
        )
    )
    assert simulated.executed.effects.succeeded
    (changed,) = simulated.outputs[4].mutated_by_ref
    assert changed[1].bcs == b"\0\0\0\x01\x01k\x01v"


def test_sharing_needs_a_new_object(chain: Chain) -> None:
    coin = wal(chain, 10)
    command = call("transfer::public_share_object", Input(0), types=[chain.network.wal_coin])
    with pytest.raises(Exception, match="transfer::public_share_object aborted with 0"):
        run(chain, [coin], [command])
    zero = call("coin::zero", types=[chain.network.wal_type])
    executed = run(chain, [], [zero, call("transfer::public_share_object", Result(0), types=[chain.network.wal_coin])])
    shared = [obj for obj in executed.output_objects if isinstance(obj.owner, SharedOwner)]
    assert [obj.owner for obj in shared] == [SharedOwner(executed.effects.lamport_version)]


def test_objects_without_store_are_not_transferred(chain: Chain) -> None:
    found = failure(
        chain,
        [address(chain.account("alice"))],
        [
            call("auth::authenticate_sender", package=chain.network.walrus_package),
            TransferObjects((Result(0),), Input(0)),
        ],
    )
    assert (found.kind, found.command) == (FailureKind.INVALID_TRANSFER_OBJECT, 1)


def test_authentication_by_object(chain: Chain) -> None:
    node = chain.add_node(chain.account("alice"))
    cap_type = f"{chain.network.walrus_package}::storage_node::StorageNodeCap"
    package = chain.network.walrus_package
    command = call("auth::authenticate_with_object", Input(0), types=[cap_type], package=package)
    run(chain, [owned(chain, node.cap_id)], [command])


def test_references_can_only_be_looked_at(chain: Chain) -> None:
    system = SharedObject(chain.network.system, 1, mutable=False)
    package = chain.network.walrus_package
    look = call("system::future_accounting", Input(0), package=package)
    found = failure(chain, [system], [look])
    assert (found.kind, found.command, found.index) == (FailureKind.INVALID_PUBLIC_FUNCTION_RETURN_TYPE, 0, 0)
    assert chain.call("system::future_accounting", sender=chain.account("alice")).length == 53
    # Without checks the value behind the reference can be passed on; what stays of it need not be used.
    entry = call("storage_accounting::ring_lookup", Result(0), Input(1), package=package)
    epoch = call("storage_accounting::epoch", Result(1), package=package)
    inputs = [system, Pure(bcs.u32(52))]
    simulated = chain.ledger.simulate(data(chain, inputs, [look, entry, epoch]), checks=False)
    assert simulated.executed.effects.failure is None
    assert simulated.outputs[2].return_values[0].bcs == bcs.u32(52)
    signature = chain.ledger.function(package, "system", "future_accounting")
    assert signature is not None
    assert signature.returns[0].reference == "IMMUTABLE"


def test_publishing_is_refused(chain: Chain) -> None:
    with pytest.raises(Exception, match="publishes its packages at genesis"):
        run(chain, [], [Publish((b"",), ())])


def test_an_abort_names_its_place(chain: Chain) -> None:
    staking = SharedObject(chain.network.staking, 1, mutable=True)
    clock = SharedObject(ObjectId("0x" + "0" * 63 + "6"), 1, mutable=False)
    package = chain.network.walrus_package
    commands = [call("coin::zero", types=[SUI_TYPE]), call("staking::voting_end", Input(0), Input(1), package=package)]
    executed = chain.ledger.simulate(data(chain, [staking, clock], commands)).executed
    found = executed.effects.failure
    assert found is not None
    assert found.location is not None
    assert (found.kind, found.command, found.abort_code) == (FailureKind.MOVE_ABORT, 1, 0)
    place = (found.location.package, found.location.module, found.location.function_name)
    assert place == (package, "staking_inner", "voting_end")
    assert "abort code: 0" in found.description
