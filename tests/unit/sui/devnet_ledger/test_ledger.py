"""The ledger as a whole: effects, gas, checkpoints, restart, simulation, questions."""

from dataclasses import replace

import pytest

from walrus_codec import bcs
from walrus_codec.types import EncodingType, ObjectId, SuiAddress
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger import gas, queries, signatures
from walrus_sui.devnet.ledger.checkpoints import Checkpoint, Executed
from walrus_sui.devnet.ledger.effects import Effects, IdOperation
from walrus_sui.devnet.ledger.errors import LedgerError, Rejected, RestoreError
from walrus_sui.devnet.ledger.failures import FailureKind
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import CLOCK_ID, Object, Package
from walrus_sui.devnet.ledger.programs import GAS_COIN, Input, ProgrammableTransaction, Pure, SharedObject, SplitCoins
from walrus_sui.devnet.ledger.transactions import ConsensusCommitPrologue, GasData, TransactionData
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import BUDGET, START_MS, Chain, TransactionFailed

SOMEBODY = SuiAddress("0x" + "ab" * 32)
CONFIG = GenesisConfig(seed="ledger tests")


def ledger() -> Ledger:
    return Ledger.genesis(CONFIG, now_ms=START_MS, strict=True)[0]


def test_genesis_is_decided_by_seed_and_time() -> None:
    first, delta = Ledger.genesis(CONFIG, now_ms=1)
    again, _ = Ledger.genesis(CONFIG, now_ms=1)
    later, _ = Ledger.genesis(CONFIG, now_ms=2)
    other, _ = Ledger.genesis(replace(CONFIG, seed="another"), now_ms=1)
    assert first.chain_id == again.chain_id == delta.checkpoint.digest
    assert later.chain_id != first.chain_id
    assert later.well_known == first.well_known
    assert other.well_known.system != first.well_known.system
    assert (delta.checkpoint.sequence, delta.checkpoint.previous_digest) == (0, None)


def test_everything_of_genesis_survives_its_bcs() -> None:
    _, delta = Ledger.genesis(CONFIG, now_ms=1)
    for obj in delta.put:
        assert Object.from_bcs(obj.to_bcs()) == obj
        assert obj.previous_transaction == delta.transactions[0].digest
    executed = delta.transactions[0]
    assert TransactionData.from_bcs(executed.tx_bytes) == executed.transaction
    assert Effects.from_bcs(executed.effects.bcs) == executed.effects
    checkpoint = delta.checkpoint
    assert Checkpoint.from_bcs(checkpoint.summary_bcs, checkpoint.contents_bcs) == checkpoint


def test_packages_name_their_types() -> None:
    made = ledger()
    obj = made.object(made.well_known.walrus_package)
    assert obj is not None
    package = Package.from_bcs(obj.contents)
    assert package.object_id == obj.object_id
    origins = {(origin.module, origin.name): origin.package for origin in package.type_origins}
    assert origins["blob", "Blob"] == origins["events", "BlobRegistered"] == obj.object_id
    assert {"staking", "system", "blob"} <= {name for name, _ in package.modules}


def test_a_known_transaction_gives_its_first_result() -> None:
    made = ledger()
    executed = made.faucet(SOMEBODY, [7])
    again = made.execute(executed.tx_bytes, executed.signatures)
    assert again is executed
    made.close_checkpoint(START_MS + 1)
    assert made.execute(executed.tx_bytes, executed.signatures).digest == executed.digest
    assert made.balance(SOMEBODY, "0x2::sui::SUI") == 7


def test_versions_and_ownership_move_on() -> None:
    made = ledger()
    first = made.faucet(SOMEBODY, [1, 2, 3])
    second = made.faucet(SOMEBODY, [4])
    assert second.effects.lamport_version == first.effects.lamport_version + 1
    assert made.balances(SOMEBODY) == {made.well_known.sui_type: 10}
    created = [c for c in first.effects.changed_objects if c.operation is IdOperation.CREATED]
    assert len(created) == 3
    assert list(first.effects.changed_objects) == sorted(first.effects.changed_objects, key=lambda c: c.object_id)
    gas_change = first.effects.gas_object
    assert gas_change is not None
    assert gas_change.before is not None
    assert gas_change.after is not None
    assert gas_change.after.version == first.effects.lamport_version
    old = made.object(gas_change.object_id, gas_change.before.version)
    assert old is not None
    assert old.digest == gas_change.before.digest


def test_the_faucet_can_be_empty() -> None:
    made = ledger()
    with pytest.raises(LedgerError, match="faucet is empty"):
        made.faucet(SOMEBODY, [2 * 10**19 // 2])


def test_storage_is_paid_and_given_back(chain: Chain) -> None:
    alice = chain.account("alice")
    coin = chain.coin(alice, 10)
    made = chain.ledger.pending()[-1].effects.gas_used
    coins = 988_000 + gas.storage_cost(chain.network.wal_coin, 40) * 2  # gas coin, old and new WAL coin
    assert (made.computation, made.storage) == (1_000_000, coins)
    before = chain.balance(alice, chain.network.sui_type)
    chain.call("wal::burn", sender=alice, coin=coin)
    used = chain.ledger.pending()[-1].effects.gas_used
    assert used.rebate > used.storage
    assert chain.balance(alice, chain.network.sui_type) == before - used.net
    assert used.non_refundable * 99 == pytest.approx(used.rebate, abs=100)


def test_an_abort_changes_gas_only(chain: Chain) -> None:
    chain.keep_failures = True
    alice = chain.account("alice")
    coin = chain.coin(alice, 10)
    before = {obj.object_id: obj for obj in chain.ledger.objects()}
    node = ObjectId("0x" + "1" * 64)
    with pytest.raises(MoveAbort):
        chain.call("staking::stake_with_pool", sender=alice, to_stake=coin, node_id=node)
    after = {obj.object_id: obj for obj in chain.ledger.objects()}
    assert set(after) == set(before)
    changed = [object_id for object_id, obj in after.items() if obj.contents != before[object_id].contents]
    assert changed == [chain.gas_coin(alice).object_id]
    effects = chain.ledger.pending()[-1].effects
    assert {change.object_id for change in effects.changed_objects} == {changed[0], coin, chain.network.staking}
    assert after[coin].version == effects.lamport_version
    assert (before[changed[0]].coin_balance or 0) - (after[changed[0]].coin_balance or 0) == effects.gas_used.net
    assert effects.events_digest is None


def test_a_budget_too_small_for_storage(chain: Chain) -> None:
    alice = chain.account("alice")
    kind = ProgrammableTransaction((Pure(bcs.u64(1)), Pure(bytes(32))), (SplitCoins(GAS_COIN, (Input(0),)),))
    program = chain.program(alice)
    program.transfer([program.split_gas(1)], alice.address)
    full = program.transaction()
    coin = chain.gas_coin(alice)
    tight = replace(full, gas=replace(full.gas, budget=1_900_000))
    with pytest.raises(TransactionFailed) as caught:
        chain.submit(tight, alice)
    assert caught.value.failure.kind is FailureKind.INSUFFICIENT_GAS
    used = chain.ledger.pending()[-1].effects.gas_used
    assert used.net <= 1_900_000
    assert chain.gas_coin(alice).coin_balance == (coin.coin_balance or 0) - used.net
    assert kind.commands


def test_a_budget_too_small_for_anything(chain: Chain) -> None:
    alice = chain.account("alice")
    staking = SharedObject(chain.network.staking, 1, mutable=True)
    coin = chain.gas_coin(alice)
    data = GasData((coin.ref,), alice.address, 1_000, 1_000_000)
    transaction = TransactionData(ProgrammableTransaction((staking,), ()), alice.address, data)
    with pytest.raises(TransactionFailed):
        chain.submit(transaction, alice)
    used = chain.ledger.pending()[-1].effects.gas_used
    assert (used.computation, used.storage, used.rebate) == (1_000_000, 0, 0)
    rebates = [obj.storage_rebate for obj in chain.ledger.pending()[-1].output_objects]
    assert rebates == [obj.storage_rebate for obj in chain.ledger.pending()[-1].input_objects]


def test_checkpoints_form_a_chain_and_carry_the_clock() -> None:
    made = ledger()
    previous = made.head
    executed = made.faucet(SOMEBODY, [1])
    delta = made.close_checkpoint(START_MS + 250)
    checkpoint = delta.checkpoint
    assert (checkpoint.sequence, checkpoint.previous_digest) == (1, previous.digest)
    assert checkpoint.timestamp_ms == START_MS + 250
    assert checkpoint.transactions[0] == executed.digest
    assert checkpoint.total_transactions == 3
    tick = delta.transactions[-1].transaction.kind
    assert tick == ConsensusCommitPrologue(0, 1, START_MS + 250)
    clock = made.object(CLOCK_ID)
    assert clock is not None
    assert int.from_bytes(clock.contents[32:], "little") == START_MS + 250
    assert [item.checkpoint for item in delta.transactions] == [1, 1]
    assert made.checkpoint(1) == made.checkpoint(checkpoint.digest) == checkpoint
    assert made.pending() == ()
    assert checkpoint.rolling_gas == executed.effects.gas_used
    assert Checkpoint.from_bcs(checkpoint.summary_bcs, checkpoint.contents_bcs) == checkpoint


def test_time_never_runs_back() -> None:
    made = ledger()
    made.close_checkpoint(START_MS + 10)
    assert made.close_checkpoint(START_MS + 5).checkpoint.timestamp_ms == START_MS + 10


def test_a_delta_says_what_to_write() -> None:
    made, first = Ledger.genesis(CONFIG, now_ms=START_MS)
    rows = {obj.object_id: obj for obj in first.put}
    for round_ in range(3):
        made.faucet(SOMEBODY, [1, 2])
        delta = made.close_checkpoint(START_MS + round_)
        for object_id in delta.deleted:
            rows.pop(object_id, None)
        rows |= {obj.object_id: obj for obj in delta.put}
        assert {(obj.object_id, obj.version) for obj in delta.put} <= {(o.object_id, o.version) for o in delta.versions}
    assert rows == {obj.object_id: obj for obj in made.objects()}


def test_restored_ledgers_go_on_as_if_nothing_had_been(chain: Chain) -> None:
    made = chain.ledger
    config = made.config
    chain.add_node(chain.account("n0"))
    chain.advance(ms=1)
    stored = [Object.from_bcs(obj.to_bcs()) for obj in made.objects()]
    genesis = made.checkpoint(0)
    assert genesis is not None
    restored = Ledger.restore(config, objects=stored, genesis=genesis, head=made.head)
    assert restored.chain_id == made.chain_id
    assert restored.well_known == made.well_known
    later = [made.faucet(SOMEBODY, [5]), made.faucet(SOMEBODY, [6])]
    replayed = [restored.execute(item.tx_bytes, item.signatures) for item in later]
    assert [item.effects.digest for item in replayed] == [item.effects.digest for item in later]
    first, second = made.close_checkpoint(START_MS + 100), restored.close_checkpoint(START_MS + 100)
    assert first.checkpoint == second.checkpoint
    assert first.put == second.put


def test_another_configuration_restores_nothing(chain: Chain) -> None:
    made = chain.ledger
    genesis = made.checkpoint(0)
    assert genesis is not None
    with pytest.raises(RestoreError, match="was not made from this configuration"):
        Ledger.restore(replace(made.config, n_shards=10), objects=made.objects(), genesis=genesis, head=made.head)
    without = [obj for obj in made.objects() if obj.object_id != CLOCK_ID]
    with pytest.raises(RestoreError, match="is missing"):
        Ledger.restore(made.config, objects=without, genesis=genesis, head=made.head)
    chain.advance(ms=1)
    with pytest.raises(RestoreError, match="was given as genesis"):
        Ledger.restore(made.config, objects=made.objects(), genesis=made.head, head=made.head)


def test_history_is_bounded() -> None:
    made, _ = Ledger.genesis(CONFIG, now_ms=START_MS, history_limit=2)
    first = made.faucet(SOMEBODY, [1])
    made.close_checkpoint(START_MS + 1)
    assert made.transaction(first.digest) is not None
    for step in range(3):
        made.close_checkpoint(START_MS + 2 + step)
    assert made.transaction(first.digest) is None
    assert made.checkpoint(1) is None
    assert made.checkpoint(0) is not None
    assert made.checkpoint(4) == made.head
    created = next(c for c in first.effects.changed_objects if c.operation is IdOperation.CREATED)
    assert made.object(created.object_id, first.effects.lamport_version) is not None  # live versions never fall out


def test_stored_transactions_come_back(chain: Chain) -> None:
    chain.add_node(chain.account("n0"))
    with pytest.raises(MoveAbort):
        chain.call("staking::voting_end", sender=chain.account("n0"))
    delta = chain.ledger.close_checkpoint(chain.now_ms)
    for executed in delta.transactions:
        assert executed.checkpoint is not None
        assert executed.timestamp_ms is not None
        back = Executed.from_stored(
            tx_bytes=executed.tx_bytes,
            signatures_bcs=executed.signatures_bcs,
            effects_bcs=executed.effects.bcs,
            events_bcs=executed.events_bcs,
            checkpoint=executed.checkpoint,
            timestamp_ms=executed.timestamp_ms,
            input_objects=executed.input_objects,
            output_objects=executed.output_objects,
        )
        failure = executed.effects.failure
        without_note = replace(executed.effects, failure=None if failure is None else replace(failure, note=""))
        assert back == replace(executed, effects=without_note)
        assert back.effects.digest == executed.effects.digest


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


@pytest.mark.parametrize("encodings", [(EncodingType.RS2,), (EncodingType.ISAL, EncodingType.RS2)])
def test_genesis_lists_encodings(encodings: tuple[EncodingType, ...]) -> None:
    made, _ = Ledger.genesis(replace(CONFIG, encoding_types=encodings), now_ms=0)
    assert made.config.encoding_types == encodings


def test_signing_is_deterministic(chain: Chain) -> None:
    alice = chain.account("alice")
    data = chain.program(alice).transaction()
    assert signatures.sign(data.to_bcs(), alice.key) == signatures.sign(data.to_bcs(), alice.key)
    assert data.gas.budget == BUDGET
