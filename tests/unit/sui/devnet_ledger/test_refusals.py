"""What is refused before it runs: forms, signatures, stale and foreign objects, gas."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger import gas, signatures
from walrus_sui.devnet.ledger.errors import Rejected, RejectionKind
from walrus_sui.devnet.ledger.objects import Object, ObjectRef
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Input,
    MergeCoins,
    OwnedObject,
    ProgrammableTransaction,
    Pure,
    ReceivingObject,
    SharedObject,
    SplitCoins,
    TransferObjects,
)
from walrus_sui.devnet.ledger.transactions import (
    ConsensusCommitPrologue,
    EpochExpiration,
    GasData,
    TransactionData,
    ValidDuring,
    system_transaction,
)
from walrus_sui.devnet.testing import Account, Chain

CLOCK = ObjectId("0x" + "0" * 63 + "6")
UNKNOWN = ObjectId("0x" + "e" * 64)


@pytest.fixture
def payment(chain: Chain) -> TransactionData:
    """An empty program of Alice's."""
    alice = chain.account("alice")
    kind = ProgrammableTransaction((), ())
    gas_data = GasData((chain.gas_coin(alice).ref,), alice.address, gas.REFERENCE_GAS_PRICE, 10_000_000)
    return TransactionData(kind, alice.address, gas_data)


def submit(chain: Chain, transaction: TransactionData, *signers: Account) -> Any:
    tx_bytes = transaction.to_bcs()
    signed = [signatures.sign(tx_bytes, signer.key) for signer in signers or (chain.account("alice"),)]
    return chain.ledger.execute(tx_bytes, signed)


def refused(chain: Chain, transaction: TransactionData, *signers: Account) -> str:
    before = {obj.object_id: obj.version for obj in chain.ledger.objects()}
    with pytest.raises(Rejected) as caught:
        submit(chain, transaction, *signers)
    assert {obj.object_id: obj.version for obj in chain.ledger.objects()} == before
    assert chain.ledger.transaction(transaction.digest) is None
    return str(caught.value)


def with_inputs(transaction: TransactionData, *inputs: Any) -> TransactionData:
    return replace(transaction, kind=ProgrammableTransaction(tuple(inputs), ()))


def live(chain: Chain, object_id: ObjectId) -> Object:
    obj = chain.ledger.object(object_id)
    assert obj is not None
    return obj


def test_an_empty_program_runs(chain: Chain, payment: TransactionData) -> None:
    assert submit(chain, payment).effects.succeeded


@pytest.mark.parametrize("cut", [0, 1, 50, -1])
def test_garbage_is_no_transaction(chain: Chain, payment: TransactionData, cut: int) -> None:
    with pytest.raises(Rejected, match="Invalid transaction"):
        chain.ledger.execute(payment.to_bcs()[:cut], [])
    with pytest.raises(Rejected, match="Invalid transaction"):
        chain.ledger.execute(payment.to_bcs() + b"\0", [])


def test_clients_make_no_system_transactions(chain: Chain) -> None:
    prologue = system_transaction(ConsensusCommitPrologue(0, 99, 99))
    with pytest.raises(Rejected, match="made by the ledger only"):
        chain.ledger.execute(prologue.to_bcs(), [])


def test_signatures(chain: Chain, payment: TransactionData) -> None:
    tx_bytes = payment.to_bcs()
    alice, bob = chain.account("alice"), chain.account("bob")
    good = signatures.sign(tx_bytes, alice.key)
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    cases: list[tuple[list[bytes], str]] = [
        ([], "expect 1 signer signatures but got 0"),
        ([good, good], "expect 1 signer signatures but got 2"),
        ([signatures.sign(tx_bytes, bob.key)], f"Required Signature from {alice.address} is absent"),
        ([signatures.sign(tx_bytes + b"x", alice.key)], "Fail to verify user sig"),
        ([good[:65] + other.public_key().public_bytes_raw()], "Fail to verify user sig"),
        ([b"\x01" + good[1:]], "only Ed25519"),
        ([good[:-1]], "97 bytes"),
        ([b""], "only Ed25519"),
    ]
    for given, message in cases:
        with pytest.raises(Rejected, match="Invalid user signature") as caught:
            chain.ledger.execute(tx_bytes, given)
        assert message in str(caught.value)
        assert caught.value.kind is RejectionKind.SIGNATURE
    assert chain.ledger.execute(tx_bytes, [good]).effects.succeeded


def test_a_sponsor_signs_too(chain: Chain, payment: TransactionData) -> None:
    alice, bob = chain.account("alice"), chain.account("bob")
    coin = chain.gas_coin(bob)
    sponsored = replace(payment, gas=replace(payment.gas, payment=(coin.ref,), owner=bob.address))
    assert "expect 2 signer signatures" in refused(chain, sponsored, alice)
    before = chain.balance(alice, chain.network.sui_type)
    assert submit(chain, sponsored, bob, alice).effects.succeeded
    assert chain.balance(alice, chain.network.sui_type) == before


def test_stale_objects_say_so(chain: Chain, payment: TransactionData) -> None:
    old = payment.gas.payment[0]
    submit(chain, payment)
    again = replace(payment, gas=replace(payment.gas, budget=payment.gas.budget + 1))
    message = refused(chain, again)
    assert f"object {old.object_id} version {old.version} is unavailable for consumption, current version: 2" in message


def test_double_spends_are_refused(chain: Chain, payment: TransactionData) -> None:
    alice = chain.account("alice")
    coin = chain.coin(alice, 10)
    ref = live(chain, coin).ref
    chain.call("wal::burn", sender=alice, coin=coin)
    fresh = replace(payment, gas=replace(payment.gas, payment=(chain.gas_coin(alice).ref,)))
    assert "Could not find the referenced object" in refused(chain, with_inputs(fresh, OwnedObject(ref)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: OwnedObject(ObjectRef(UNKNOWN, 1, Digest("1" * 32))), "Could not find the referenced object"),
        (lambda c: OwnedObject(replace(wal_coin(c, "alice").ref, version=9)), "Could not find the referenced object"),
        (lambda c: OwnedObject(replace(wal_coin(c, "alice").ref, digest=Digest("1" * 32))), "Invalid Object digest"),
        (lambda c: OwnedObject(wal_coin(c, "bob").ref), "is owned by account address"),
        (lambda c: OwnedObject(live(c, c.network.system).ref), "is shared, but not used as such"),
        (lambda c: OwnedObject(live(c, field_of(c)).ref), "is owned by object"),
        (lambda c: OwnedObject(live(c, c.network.walrus_package).ref), "cannot be passed as an object argument"),
        (lambda c: SharedObject(wal_coin(c, "alice").object_id, 1, mutable=True), "is not shared"),
        (lambda _: SharedObject(UNKNOWN, 1, mutable=True), "Could not find the referenced object"),
        (lambda c: SharedObject(c.network.system, 2, mutable=True), "was first shared at version 1, not at 2"),
        (lambda _: SharedObject(CLOCK, 1, mutable=True), "can only be used immutably"),
        (lambda c: ReceivingObject(wal_coin(c, "alice").ref), "Feature is not supported"),
        (lambda c: OwnedObject(c.gas_coin(c.account("alice")).ref), "cannot appear more than one"),
    ],
)
def test_bad_inputs(chain: Chain, payment: TransactionData, make: Callable[[Chain], Any], message: str) -> None:
    assert message in refused(chain, with_inputs(payment, make(chain)))


def wal_coin(chain: Chain, name: str) -> Object:
    return chain.ledger.owned_objects(chain.account(name).address, chain.network.wal_coin)[0]


def field_of(chain: Chain) -> ObjectId:
    return chain.ledger.dynamic_fields(chain.network.system)[0].field_id


def test_an_object_is_named_once(chain: Chain, payment: TransactionData) -> None:
    shared = SharedObject(chain.network.system, 1, mutable=False)
    assert "cannot appear more than one" in refused(chain, with_inputs(payment, shared, shared))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"price": 999}, "Gas price 999 under reference gas price (RGP) 1000"),
        ({"budget": 999_999}, "Gas budget: 999999 is lower than min: 1000000"),
        ({"budget": 50_000_000_001}, "is higher than max: 50000000000"),
        ({"payment": ()}, "Expected non-empty gas payment"),
    ],
)
def test_bad_gas(chain: Chain, payment: TransactionData, changes: dict[str, Any], message: str) -> None:
    assert message in refused(chain, replace(payment, gas=replace(payment.gas, **changes)))


def test_gas_coins_must_be_own_sui(chain: Chain, payment: TransactionData) -> None:
    def paid_by(*coins: Object) -> TransactionData:
        return replace(payment, gas=replace(payment.gas, payment=tuple(coin.ref for coin in coins)))

    alice = chain.account("alice")
    small = live(chain, chain.coin(alice, 5_000, coin_type=chain.network.sui_type))
    payment = replace(payment, gas=replace(payment.gas, payment=(chain.gas_coin(alice).ref,)))
    assert "Balance of gas object 5000 is lower" in refused(chain, paid_by(small))
    assert "is not a Coin<SUI>" in refused(chain, paid_by(wal_coin(chain, "alice")))
    assert "is owned by account address" in refused(chain, paid_by(chain.gas_coin(chain.account("bob"))))
    assert "not an owned object" in refused(chain, paid_by(live(chain, chain.network.system)))
    assert "cannot appear more than one" in refused(chain, paid_by(small, small))


def test_several_gas_coins_are_smashed(chain: Chain, payment: TransactionData) -> None:
    alice = chain.account("alice")
    small = live(chain, chain.coin(alice, 5_000, coin_type=chain.network.sui_type))
    big = chain.gas_coin(alice)
    executed = submit(chain, replace(payment, gas=replace(payment.gas, payment=(big.ref, small.ref))))
    assert chain.ledger.object(small.object_id) is None
    left = live(chain, big.object_id).coin_balance
    assert left == (big.coin_balance or 0) + 5_000 - executed.effects.gas_used.net


def test_expiration(chain: Chain, payment: TransactionData) -> None:
    now = chain.ledger.head.timestamp_ms
    chain_id = chain.ledger.chain_id

    def during(low: int | None, high: int | None, where: Digest = chain_id) -> TransactionData:
        return replace(payment, expiration=ValidDuring(0, None, low, high, where, 0))

    assert "expired" in refused(chain, during(now + 1, None))
    assert "expired" in refused(chain, during(None, now - 1))
    assert "Invalid chain ID" in refused(chain, during(None, None, Digest("1" * 32)))
    assert submit(chain, during(now, now)).effects.succeeded
    renewed = replace(payment, gas=replace(payment.gas, payment=(chain.gas_coin(chain.account("alice")).ref,)))
    assert submit(chain, replace(renewed, expiration=EpochExpiration(0))).effects.succeeded


def test_size_limits(chain: Chain, payment: TransactionData) -> None:
    large = with_inputs(payment, *[Pure(bytes(16_000))] * 9)
    assert "serialized transaction size" in refused(chain, large)
    assert "pure argument" in refused(chain, with_inputs(payment, Pure(bytes(16 * 1024 + 1))))
    assert "2049 inputs" in refused(chain, with_inputs(payment, *[Pure(b"")] * 2049))
    many = tuple(SplitCoins(GAS_COIN, (Input(0),)) for _ in range(1025))
    assert "1025 commands" in refused(chain, replace(payment, kind=ProgrammableTransaction((Pure(b""),), many)))
    wide = (MergeCoins(GAS_COIN, (Input(0),) * 513),)
    assert "513 arguments" in refused(chain, replace(payment, kind=ProgrammableTransaction((Pure(b""),), wide)))
    for empty in (SplitCoins(GAS_COIN, ()), MergeCoins(GAS_COIN, ()), TransferObjects((), Input(0))):
        assert "at least one argument" in refused(chain, replace(payment, kind=ProgrammableTransaction((), (empty,))))
