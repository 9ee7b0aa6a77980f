"""Checkpoints, the clock, what is written and restored, and how much of the past is kept."""

from dataclasses import replace

import pytest
from tests.unit.sui.devnet_ledger.ledgers import CONFIG, SOMEBODY, ledger

from walrus_sui.devnet.ledger.checkpoints import Checkpoint, Executed
from walrus_sui.devnet.ledger.effects import IdOperation
from walrus_sui.devnet.ledger.errors import RestoreError
from walrus_sui.devnet.ledger.ledger import Ledger
from walrus_sui.devnet.ledger.objects import CLOCK_ID, Object
from walrus_sui.devnet.ledger.transactions import ConsensusCommitPrologue
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import START_MS, Chain


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
