"""Law: whatever bytes a client signs, the ledger refuses them or runs them to effects; it never breaks.

Valid transactions are damaged byte by byte and signed again; programs are put together at random from real inputs.
"""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger import gas, signatures
from walrus_sui.devnet.ledger.effects import Effects
from walrus_sui.devnet.ledger.errors import Rejected
from walrus_sui.devnet.ledger.programs import (
    GAS_COIN,
    Argument,
    Command,
    Input,
    MakeMoveVec,
    MergeCoins,
    MoveCall,
    NestedResult,
    OwnedObject,
    ProgrammableTransaction,
    Pure,
    Result,
    SharedObject,
    SplitCoins,
    TransferObjects,
)
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.testing import BUDGET, Chain, Node

CLOCK = ObjectId("0x" + "0" * 63 + "6")


@cache
def start() -> tuple[Chain, Node, ObjectId]:
    chain = Chain(GenesisConfig(n_shards=10, epoch_zero_duration_ms=0), accounts=("n0", "alice"))
    node = chain.add_node(chain.account("alice"))
    coin = chain.coin(chain.account("alice"), 50 * 10**9)
    chain.advance(ms=1)
    return chain, node, coin


def inputs(chain: Chain, node: Node, coin: ObjectId) -> tuple[Pure | OwnedObject | SharedObject, ...]:
    network = chain.network
    owned = [obj for obj in (chain.ledger.object(coin), chain.ledger.object(node.cap_id)) if obj is not None]
    return (
        Pure(bcs.u64(10**9)),
        Pure(bytes.fromhex(node.node_id[2:])),
        Pure(bcs.string("text")),
        Pure(b""),
        Pure(b"\x01"),
        SharedObject(network.staking, 1, mutable=True),
        SharedObject(network.system, 1, mutable=True),
        SharedObject(network.exchange, 1, mutable=True),
        SharedObject(network.treasury, 1, mutable=True),
        SharedObject(CLOCK, 1, mutable=False),
        *(OwnedObject(obj.ref) for obj in owned),
    )


FUNCTIONS = [
    (module.package, module.name, name, function)
    for module in registry.MODULES
    for name, function in module.functions.items()
]
ARGUMENTS: st.SearchStrategy[Argument] = st.one_of(
    st.integers(0, 12).map(Input),
    st.integers(0, 4).map(Result),
    st.builds(NestedResult, st.integers(0, 4), st.integers(0, 2)),
    st.just(GAS_COIN),
)


@st.composite
def commands(draw: st.DrawFn) -> Command:
    chain, _, _ = start()
    kind = draw(st.integers(0, 9))
    some = st.lists(ARGUMENTS, min_size=1, max_size=3).map(tuple)
    if kind == 0:
        return TransferObjects(draw(some), draw(ARGUMENTS))
    if kind == 1:
        return SplitCoins(draw(ARGUMENTS), draw(some))
    if kind == 2:
        return MergeCoins(draw(ARGUMENTS), draw(some))
    types = st.sampled_from(
        [
            chain.network.wal_type,
            chain.network.sui_type,
            chain.network.wal_coin,
            "u64",
            "vector<u8>",
            "0x1::string::String",
        ]
    )
    if kind == 3:
        return MakeMoveVec(draw(st.none() | types), draw(some))
    package, module, name, function = draw(st.sampled_from(FUNCTIONS))
    count = len(function.signature.arguments)
    arguments = tuple(draw(ARGUMENTS) for _ in range(count))
    type_arguments = tuple(draw(types) for _ in function.signature.type_parameters)
    return MoveCall(chain.network.packages.id_of(package), module, name, type_arguments, arguments)


def submit(chain: Chain, tx_bytes: bytes) -> None:
    """Runs it on the chain; refusals are fine, and whatever runs has effects that survive their BCS."""
    alice = chain.account("alice")
    try:
        executed = chain.ledger.execute(tx_bytes, [signatures.sign(tx_bytes, alice.key)])
    except Rejected:
        return
    assert Effects.from_bcs(executed.effects.bcs).digest == executed.effects.digest


@settings(max_examples=150, deadline=None)
@given(program=st.lists(commands(), min_size=1, max_size=5))
def test_random_programs_end_in_effects(program: list[Command]) -> None:
    base, node, coin = start()
    chain = base.fork()
    alice = chain.account("alice")
    data = GasData((chain.gas_coin(alice).ref,), alice.address, gas.REFERENCE_GAS_PRICE, BUDGET)
    kind = ProgrammableTransaction(inputs(chain, node, coin), tuple(program))
    transaction = TransactionData(kind, alice.address, data)
    simulated = chain.ledger.simulate(transaction)
    submit(chain, transaction.to_bcs())
    done = chain.ledger.transaction(transaction.digest)
    if done is not None:
        assert done.effects.digest == simulated.executed.effects.digest


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_transactions_are_refused_or_run(place: int, value: int, cut: bool) -> None:
    base, node, _ = start()
    chain = base.fork()
    alice = chain.account("alice")
    program = chain.program(alice)
    coin = program.split_gas(10**9)
    wal = program.call("wal_exchange::exchange_all_for_wal", sui=coin)
    stake = program.call("staking::stake_with_pool", to_stake=wal, node_id=node.node_id)
    program.transfer([stake], alice.address)
    raw = bytearray(program.transaction().to_bcs())
    raw[place % len(raw)] = value
    submit(chain, bytes(raw[: place % len(raw)] if cut else raw))


@settings(max_examples=200, deadline=None)
@given(raw=st.binary(max_size=300))
def test_garbage_is_refused(raw: bytes) -> None:
    chain, _, _ = start()
    before = len(chain.ledger.pending())
    submit(chain, raw)
    submit(chain, b"\0\0" + raw)
    assert len(chain.ledger.pending()) == before
