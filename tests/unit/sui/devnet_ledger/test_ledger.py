"""The ledger as a whole: genesis, effects, gas, the faucet."""

from dataclasses import replace

import pytest
from tests.unit.sui.devnet_ledger.ledgers import CONFIG, SOMEBODY, ledger

from walrus_codec import bcs
from walrus_codec.types import EncodingType, ObjectId
from walrus_sui.devnet.ledger import gas, signatures
from walrus_sui.devnet.ledger.checkpoints import Checkpoint
from walrus_sui.devnet.ledger.effects import Effects, IdOperation
from walrus_sui.devnet.ledger.errors import LedgerError
from walrus_sui.devnet.ledger.failures import FailureKind
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import Object, Package
from walrus_sui.devnet.ledger.programs import GAS_COIN, Input, ProgrammableTransaction, Pure, SharedObject, SplitCoins
from walrus_sui.devnet.ledger.transactions import GasData, TransactionData
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import BUDGET, START_MS, Chain, TransactionFailed


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


@pytest.mark.parametrize("encodings", [(EncodingType.RS2,), (EncodingType.ISAL, EncodingType.RS2)])
def test_genesis_lists_encodings(encodings: tuple[EncodingType, ...]) -> None:
    made, _ = Ledger.genesis(replace(CONFIG, encoding_types=encodings), now_ms=0)
    assert made.config.encoding_types == encodings


def test_signing_is_deterministic(chain: Chain) -> None:
    alice = chain.account("alice")
    data = chain.program(alice).transaction()
    assert signatures.sign(data.to_bcs(), alice.key) == signatures.sign(data.to_bcs(), alice.key)
    assert data.gas.budget == BUDGET
