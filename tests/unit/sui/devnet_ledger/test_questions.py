"""Simulations and questions to the ledger, which change nothing."""

from dataclasses import replace

import pytest

from walrus_codec import bcs
from walrus_codec.types import SuiAddress
from walrus_sui.devnet.ledger import gas, queries
from walrus_sui.devnet.ledger.errors import Rejected
from walrus_sui.devnet.ledger.objects import CLOCK_ID
from walrus_sui.devnet.ledger.programs import ProgrammableTransaction
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.testing import START_MS, Chain


def test_simulation_has_no_effect_and_agrees_with_execution(chain: Chain) -> None:
    alice = chain.account("alice")
    program = chain.program(alice)
    program.transfer([program.split_gas(5)], alice.address)
    transaction = program.transaction()
    before = {obj.object_id: obj.version for obj in chain.ledger.objects()}
    simulated = chain.ledger.simulate(transaction)
    assert {obj.object_id: obj.version for obj in chain.ledger.objects()} == before
    assert chain.ledger.transaction(transaction.digest) is None
    assert chain.submit(transaction, alice).effects == simulated.executed.effects


def test_simulation_chooses_gas(chain: Chain) -> None:
    alice = chain.account("alice")
    program = chain.program(alice)
    program.transfer([program.split_gas(5)], alice.address)
    open_gas = replace(program.transaction(), gas=GasData((), alice.address, 0, 0))
    mocked = chain.ledger.simulate(open_gas)
    assert mocked.mock_gas
    assert mocked.executed.effects.succeeded
    chosen = chain.ledger.simulate(open_gas, do_gas_selection=True)
    assert not chosen.mock_gas
    paid = chosen.executed.transaction.gas
    assert paid.payment == (chain.gas_coin(alice).ref,)
    assert paid.price == gas.REFERENCE_GAS_PRICE
    assert chain.submit(chosen.executed.transaction, alice).effects.succeeded


def test_simulation_without_money(chain: Chain) -> None:
    poor = SuiAddress("0x" + "5" * 64)
    transaction = TransactionData(ProgrammableTransaction((), ()), poor, GasData((), poor, 0, 0))
    assert chain.ledger.simulate(transaction).executed.effects.succeeded
    with pytest.raises(Rejected, match="Unable to perform gas selection due to insufficient SUI balance"):
        chain.ledger.simulate(transaction, do_gas_selection=True)


def test_views_without_checks(chain: Chain) -> None:
    alice, nobody = chain.account("alice"), SuiAddress("0x" + "5" * 64)
    coin = chain.ledger.object(chain.coin(alice, 42))
    assert coin is not None
    program = chain.program(alice)
    value = program.call("coin::value", types=[chain.network.wal_type], self=coin.object_id)
    foreign = replace(program.transaction(), sender=nobody, gas=GasData((), nobody, 0, 0))
    with pytest.raises(Rejected, match="is owned by account address"):
        chain.ledger.simulate(foreign)
    simulated = chain.ledger.simulate(foreign, checks=False)
    (returned,) = simulated.outputs[value.command].return_values
    assert (returned.type, returned.bcs) == ("u64", bcs.u64(42))


def test_owned_objects_by_type(chain: Chain) -> None:
    alice = chain.account("alice")
    everything = chain.ledger.owned_objects(alice.address)
    assert [obj.object_id for obj in everything] == sorted(obj.object_id for obj in everything)
    assert len(chain.ledger.owned_objects(alice.address, "0x2::coin::Coin")) == 2
    assert len(chain.ledger.owned_objects(alice.address, "0x2::coin::Coin<0x2::sui::SUI>")) == 1
    assert chain.ledger.owned_objects(alice.address, "0x2::clock::Clock") == []
    assert chain.ledger.balance(alice.address, "0x02::sui::SUI") == 10**15


def test_coin_info(chain: Chain) -> None:
    info = chain.ledger.coin_info(chain.network.wal_type)
    assert info is not None
    assert (info.symbol, info.decimals, info.total_supply) == ("WAL", 9, 5 * 10**18)
    sui = chain.ledger.coin_info("0x2::sui::SUI")
    assert sui is not None
    assert (sui.symbol, sui.total_supply, sui.treasury_id) == ("SUI", 10**19, None)
    assert chain.ledger.coin_info("0x2::clock::Clock") is None


def test_function_signatures(chain: Chain) -> None:
    found = chain.ledger.function(chain.network.walrus_package, "staking", "stake_with_pool")
    assert found is not None
    assert found.parameter_names == ("staking", "to_stake", "node_id", "ctx")
    assert [parameter.reference for parameter in found.parameters] == ["MUTABLE", None, None, "MUTABLE"]
    coin = found.parameters[1]
    assert coin.type_name == "0x" + "0" * 63 + "2::coin::Coin"
    assert coin.arguments[0].type_name == chain.network.wal_type
    assert found.returns[0].type_name == f"{chain.network.walrus_package}::staked_wal::StakedWal"
    transfer = chain.ledger.function("0x2", "transfer", "public_transfer")
    assert transfer is not None
    assert transfer.type_parameters == (("KEY", "STORE"),)
    assert transfer.parameters[0].type_parameter == 0
    vector = chain.ledger.function(chain.network.walrus_package, "system", "certify_blob")
    assert vector is not None
    assert (vector.parameters[2].kind, vector.parameters[2].arguments[0].kind) == ("VECTOR", "U8")
    assert chain.ledger.function("0x2", "nothing", "here") is None


def test_every_object_has_json(chain: Chain) -> None:
    chain.add_node(chain.account("n0"))
    for obj in chain.ledger.objects():
        if not obj.is_package:
            rendered = chain.ledger.as_json(obj.type, obj.contents)
            assert isinstance(rendered, dict)
            assert rendered["id"] == obj.object_id
    clock = chain.ledger.object(CLOCK_ID)
    assert clock is not None
    assert chain.ledger.as_json(clock.type, clock.contents) == {"id": CLOCK_ID, "timestamp_ms": str(START_MS)}
    assert chain.ledger.as_json("0x9::a::B", b"") is None


def test_balance_changes(chain: Chain) -> None:
    alice, bob = chain.account("alice"), chain.account("bob")
    program = chain.program(alice)
    program.transfer([program.split_gas(5)], bob.address)
    executed = program.run()
    net = executed.effects.gas_used.net
    sui = chain.network.sui_type
    expected = sorted([(alice.address, sui, -5 - net), (bob.address, sui, 5)])
    assert queries.balance_changes(executed) == expected
    coin = chain.coin(alice, 3)
    chain.call("wal::burn", sender=alice, coin=coin)
    changes = {(owner, kind): amount for owner, kind, amount in queries.balance_changes(chain.ledger.pending()[-1])}
    assert changes[alice.address, chain.network.wal_type] == -3


def test_epoch_info(chain: Chain) -> None:
    info = chain.ledger.epoch_info()
    assert (info.epoch, info.reference_gas_price, info.start_ms) == (0, 1_000, START_MS)
    assert info.chain_id == chain.ledger.chain_id
