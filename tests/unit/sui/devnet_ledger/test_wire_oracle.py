"""Sui's wire forms, checked against pysui's own classes, which were written apart from the devnet."""

from typing import Any

import pytest

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.effects import Effects, GasUsed
from walrus_sui.devnet.ledger.failures import (
    ArgumentErrorKind,
    Failure,
    FailureKind,
    MoveLocation,
    TypeArgumentErrorKind,
)
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Input,
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Publish,
    Pure,
    ReceivingObject,
    Result,
    SharedObject,
    SplitCoins,
    TransferObjects,
    Upgrade,
)
from walrus_sui.devnet.ledger.transactions import EpochExpiration, GasData, TransactionData, ValidDuring
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import Chain

A = ObjectId("0x" + "aa" * 32)


@pytest.fixture(scope="module")
def pysui_bcs() -> Any:
    from pysui.sui.sui_bcs import bcs as theirs  # noqa: PLC0415 - costs two seconds, only here

    return theirs


@pytest.fixture(scope="module")
def pysui_effects() -> Any:
    from pysui.sui.sui_bcs import bcs_txne  # noqa: PLC0415 - as above

    return bcs_txne


def transaction(chain: Chain) -> TransactionData:
    alice = chain.account("alice")
    ref = chain.gas_coin(alice).ref
    inputs = (Pure(b"\x01\x02"), OwnedObject(ref), SharedObject(A, 7, mutable=True), ReceivingObject(ref))
    sui = "0x2::sui::SUI"
    commands = (
        MoveCall(A, "m", "f", (), (Input(0), Result(1), NestedResult(2, 3), GAS_COIN)),
        MoveCall(A, "m", "f", (f"{'0x' + '0' * 63 + '2'}::sui::SUI",), ()),
        TransferObjects((Input(1),), Input(0)),
        SplitCoins(GAS_COIN, (Input(0), Input(0))),
        MergeCoins(Input(1), (Input(2),)),
        MakeMoveVec(None, (Input(1),)),
    )
    assert sui
    gas = GasData((ref, ref), alice.address, 1_000, 5_000_000)
    return TransactionData(ProgrammableTransaction(inputs, commands), alice.address, gas)


def test_transactions_are_read_and_written_alike(chain: Chain, pysui_bcs: Any) -> None:
    for data in (transaction(chain), chain.program(chain.account("alice")).transaction()):
        raw = data.to_bcs()
        assert bytes(pysui_bcs.TransactionData.deserialize(raw).serialize()) == raw
        assert TransactionData.from_bcs(raw) == data


def test_forms_that_are_refused_are_still_read(chain: Chain) -> None:
    data = transaction(chain)
    commands = (Publish((b"code",), (A,)), Upgrade((b"code",), (A,), A, Input(0)), MakeMoveVec("vector<u8>", ()))
    chain_id = chain.ledger.chain_id
    for expiration in (EpochExpiration(7), ValidDuring(None, 1, 2, None, chain_id, 9)):
        kind = ProgrammableTransaction((), commands)
        other = TransactionData(kind, data.sender, data.gas, expiration)
        assert TransactionData.from_bcs(other.to_bcs()) == other


def test_effects_are_read_alike(chain: Chain, pysui_effects: Any) -> None:
    alice = chain.account("alice")
    chain.add_node(chain.account("n0"))
    with pytest.raises(MoveAbort):
        chain.call("staking::voting_end", sender=alice)
    chain.advance(ms=1)
    checkpoint = chain.ledger.head
    for digest in checkpoint.transactions:
        executed = chain.ledger.transaction(digest)
        assert executed is not None
        ours = executed.effects
        theirs = pysui_effects.TransactionEffects.deserialize(ours.bcs)
        assert bytes(theirs.serialize()) == ours.bcs
        value = theirs.value
        assert value.lamportVersion == ours.lamport_version
        assert value.gasUsed.storageCost == ours.gas_used.storage
        assert len(value.changedObjects) == len(ours.changed_objects)
        assert value.status.enum_name == ("Success" if ours.succeeded else "Failed")


@pytest.mark.parametrize(
    "failure",
    [
        Failure(FailureKind.INSUFFICIENT_GAS),
        Failure(FailureKind.MOVE_ABORT, 3, MoveLocation(A, "m", "f"), abort_code=9),
        Failure(FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR, 1, MoveLocation(A, "m", None)),
        Failure(FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR, 1),
        Failure(FailureKind.FUNCTION_NOT_FOUND, 0),
        *[
            Failure(FailureKind.COMMAND_ARGUMENT_ERROR, 2, argument=1, argument_kind=kind)
            for kind in ArgumentErrorKind
            if "INDEX" not in kind.name and "ARITY" not in kind.name
        ],
        Failure(
            FailureKind.COMMAND_ARGUMENT_ERROR,
            2,
            argument=1,
            argument_kind=ArgumentErrorKind.SECONDARY_INDEX_OUT_OF_BOUNDS,
            index=4,
            sub_index=5,
        ),
        Failure(
            FailureKind.COMMAND_ARGUMENT_ERROR,
            2,
            argument=1,
            argument_kind=ArgumentErrorKind.INVALID_RESULT_ARITY,
            index=4,
        ),
        Failure(
            FailureKind.TYPE_ARGUMENT_ERROR,
            0,
            argument=1,
            type_argument_kind=TypeArgumentErrorKind.CONSTRAINT_NOT_SATISFIED,
        ),
        Failure(FailureKind.UNUSED_VALUE_WITHOUT_DROP, index=1, sub_index=2),
        Failure(FailureKind.INVALID_PUBLIC_FUNCTION_RETURN_TYPE, 0, index=1),
    ],
)
def test_every_failure_survives_its_bcs(chain: Chain, failure: Failure, pysui_effects: Any) -> None:
    digest = chain.ledger.chain_id
    effects = Effects(failure, 0, GasUsed(1, 2, 3, 4), digest, None, None, (digest,), 5, (), ())
    assert Effects.from_bcs(effects.bcs) == effects
    assert effects.failure is not None
    assert effects.failure.description
    optional_location = failure.kind is FailureKind.MOVE_PRIMITIVE_RUNTIME_ERROR  # pysui reads it as if always there
    if not optional_location:
        assert bytes(pysui_effects.TransactionEffects.deserialize(effects.bcs).serialize()) == effects.bcs


def test_truncated_effects_are_refused(chain: Chain) -> None:
    chain.add_node(chain.account("n0"))
    raw = chain.ledger.pending()[-1].effects.bcs
    for length in range(0, len(raw), 17):
        with pytest.raises((bcs.BcsError, ValueError)):
            Effects.from_bcs(raw[:length])
