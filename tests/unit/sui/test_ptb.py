import hashlib

import base58
import pytest
from pysui.sui.sui_bcs import bcs as pbcs

from walrus_codec import bcs
from walrus_codec.types import Digest, NodeId, ObjectId, SuiAddress
from walrus_sui.abi import move_types, ptb, shared_blob, staking, system
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import MoveCall, ObjectRef, Owned, Program, Pure, Shared
from walrus_sui.types import NodeMetadata, SignedMessage, VotingParams


def oid(number: int) -> ObjectId:
    return ObjectId("0x" + f"{number:064x}")


def ref(number: int, version: int = 5) -> ObjectRef:
    return ObjectRef(oid(number), version, Digest(base58.b58encode(bytes([number]) * 32).decode()))


SENDER = SuiAddress("0x" + "5e" * 32)
CONTRACT = Contract(
    package_id=oid(0xAA),
    origin_id=oid(0xA0),
    system_id=oid(1),
    staking_id=oid(2),
    treasury_id=oid(3),
    wal_type="0x7::wal::WAL",
)


def encoded(program: Program) -> bytes:
    kind = program.encode(
        {object_id: ref(int(object_id, 16)) for object_id in program.owned_objects},
        {object_id: 100 + int(object_id, 16) for object_id in program.shared_objects},
    )
    return ptb.transaction_data(kind, sender=SENDER, payment=[ref(77)], gas_price=1000, gas_budget=5_000_000)


def as_pysui_sees_it(data: bytes):
    decoded = pbcs.TransactionData.deserialize(data)
    assert bytes(decoded.serialize()) == data
    return decoded.value


def test_pysui_reads_vectors_and_upgrades() -> None:
    program = Program()
    coins = program.split_gas([1, 2])
    program.add(ptb.MakeVector(tuple(coins)))
    program.add(ptb.MakeVector((), "0x2::sui::SUI"))
    ticket = program.add(MoveCall(oid(0xAA), "upgrade", "authorize_upgrade", ()))
    program.add(ptb.Upgrade((b"code", b"more"), (oid(1), oid(2)), oid(0xAA), ticket))
    commands = as_pysui_sees_it(encoded(program)).TransactionKind.value.Command
    assert [command.enum_name for command in commands] == [
        "SplitCoin",
        "MakeMoveVec",
        "MakeMoveVec",
        "MoveCall",
        "Upgrade",
    ]
    upgrade = commands[4].value
    assert upgrade.Package.to_address_str() == oid(0xAA)
    assert [item.to_address_str() for item in upgrade.Dependents] == [oid(1), oid(2)]
    assert [bytes(module) for module in upgrade.Modules] == [b"code", b"more"]


def test_pysui_reads_the_transaction_that_we_write() -> None:
    program = Program()
    coin = program.split_gas([1_000])[0]
    merged = program.merged([oid(10), oid(11)])
    program.add(MoveCall(oid(0xAA), "m", "f", (Shared(oid(2), mutable=True), coin, merged, ptb.u64(7))))
    program.transfer([ptb.Result(2)], SENDER)
    seen = as_pysui_sees_it(encoded(program))
    kind = seen.TransactionKind.value
    assert [command.enum_name for command in kind.Command] == ["SplitCoin", "MergeCoins", "MoveCall", "TransferObjects"]
    assert seen.GasData.Budget == 5_000_000
    assert seen.GasData.Price == 1000
    assert seen.Sender.to_address_str() == SENDER
    call = kind.Command[2].value
    assert (call.Module, call.Function) == ("m", "f")


def test_a_shared_object_is_listed_once_and_mutable_when_any_use_is() -> None:
    program = Program()
    program.add(MoveCall(oid(0xAA), "m", "look", (Shared(oid(2), mutable=False),)))
    program.add(MoveCall(oid(0xAA), "m", "touch", (Shared(oid(2), mutable=True),)))
    kind = program.encode({}, {oid(2): 9})
    entry = b"\x01\x01" + bytes.fromhex(f"{2:064x}") + bcs.u64(9)
    assert kind.startswith(b"\x00\x01" + entry + b"\x01")
    assert program.shared_objects == [oid(2)]


def test_equal_pure_values_share_an_input() -> None:
    program = Program()
    program.add(MoveCall(oid(1), "m", "f", (ptb.u64(7), ptb.u64(7), ptb.u64(8))))
    kind = program.encode({}, {})
    assert kind[1] == 2


def test_results_are_named_whole_or_by_index() -> None:
    program = Program()
    whole = program.add(MoveCall(oid(1), "m", "f", ()))
    program.add(MoveCall(oid(1), "m", "g", (whole, whole[1])))
    assert program.encode({}, {}).endswith(b"\x02" + b"\x02\x00\x00" + b"\x03\x00\x00\x01\x00")


def test_the_gas_coin_knows_what_is_split_off_it() -> None:
    program = Program()
    program.split_gas([5, 6])
    program.split(Owned(oid(4)), [100])
    assert program.gas_coin_spent == 11


def test_a_program_is_described_by_its_functions() -> None:
    program = Program()
    staking.voting_end(program, CONTRACT)
    staking.voting_end(program, CONTRACT)
    staking.initiate_epoch_change(program, CONTRACT)
    assert program.description == "staking::voting_end+staking::initiate_epoch_change_v2"
    assert Program().description == "transfer"


def test_registration_makes_the_metadata_and_passes_arguments_in_the_contracts_order() -> None:
    program = Program()
    cap = staking.register_candidate(
        program,
        CONTRACT,
        name="n",
        network_address="h:9185",
        metadata=NodeMetadata("i", "p", "d", (("grpc_address", "h:9187"),)),
        bls_public_key=b"b" * 48,
        network_public_key=b"n" * 33,
        proof_of_possession=b"p" * 96,
        commission_rate=6000,
        votes=VotingParams(1, 2, 3),
    )
    calls = [command for command in program.commands if isinstance(command, MoveCall)]
    assert [(call.module, call.function) for call in calls] == [
        ("node_metadata", "new"),
        ("vec_map", "empty"),
        ("vec_map", "insert"),
        ("node_metadata", "set_extra_fields"),
        ("staking", "register_candidate"),
    ]
    assert calls[1].package == calls[2].package == oid(2)
    assert calls[2].type_arguments == (move_types.STRING_TYPE,) * 2
    assert calls[4].package == CONTRACT.package_id
    assert calls[4].arguments == (
        Shared(oid(2), mutable=True),
        Pure(b"\x01n"),
        Pure(b"\x06h:9185"),
        ptb.Result(0),
        Pure(b"\x30" + b"b" * 48),
        Pure(b"\x21" + b"n" * 33),
        Pure(b"\x60" + b"p" * 96),
        Pure((6000).to_bytes(2, "little")),
        Pure(bcs.u64(1)),
        Pure(bcs.u64(2)),
        Pure(bcs.u64(3)),
    )
    assert cap == ptb.Result(4)
    as_pysui_sees_it(encoded(program))


def test_a_store_passes_ids_as_their_bytes_and_pays_from_one_coin() -> None:
    program = Program()
    payment = Owned(oid(10))
    storage = system.reserve_space(program, CONTRACT, encoded_size=1 << 20, epochs_ahead=3, payment=payment)
    registered = system.register_blob(
        program,
        CONTRACT,
        storage=storage,
        blob_id=bytes(range(32)),
        root_hash=b"r" * 32,
        size=9,
        encoding_type=128,
        deletable=True,
        payment=payment,
    )
    system.certify_blob(program, CONTRACT, registered, SignedMessage(b"s" * 96, b"\1", b"m" * 40))
    shared_blob.new(program, CONTRACT, registered)
    reserve, register, certify, share = (command for command in program.commands if isinstance(command, MoveCall))
    assert reserve.arguments == (Shared(oid(1), mutable=True), Pure(bcs.u64(1 << 20)), Pure(bcs.u32(3)), payment)
    assert register.arguments[2:] == (
        Pure(bytes(range(32))),
        Pure(b"r" * 32),
        Pure(bcs.u64(9)),
        Pure(b"\x80"),
        Pure(b"\x01"),
        payment,
    )
    assert certify.arguments[0] == Shared(oid(1), mutable=False)
    assert (share.module, share.function) == ("shared_blob", "new")


def test_the_epoch_change_takes_system_treasury_and_clock() -> None:
    program = Program()
    staking.initiate_epoch_change(program, CONTRACT)
    (call,) = program.commands
    assert isinstance(call, MoveCall)
    assert call.arguments == (
        Shared(oid(2), mutable=True),
        Shared(oid(1), mutable=True),
        Shared(oid(3), mutable=True),
        Shared(oid(6), mutable=False),
    )


@pytest.mark.parametrize(
    ("new", "calls"), [(VotingParams(1, 2, 3), 0), (VotingParams(1, 9, 3), 1), (VotingParams(0, 0, 0), 3)]
)
def test_only_votes_that_change_are_cast(new: VotingParams, calls: int) -> None:
    program = Program()
    staking.set_votes(program, CONTRACT, Owned(oid(9)), old=VotingParams(1, 2, 3), new=new)
    assert len(program.commands) == calls


def test_the_digest_is_suis() -> None:
    program = Program()
    staking.stake_with_pool(program, CONTRACT, Owned(oid(10)), NodeId(oid(11)))
    data = encoded(program)
    expected = base58.b58encode(hashlib.blake2b(b"TransactionData::" + data, digest_size=32).digest()).decode()
    assert move_types.transaction_digest(data) == expected
