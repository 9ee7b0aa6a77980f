"""What of the past stays on disk."""

import pytest

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.engine import HISTORY_LIMIT, Engine
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.objects import CLOCK_ID
from walrus_sui.devnet.storage.pruning import Floors, Retention
from walrus_sui.devnet.storage.store import Store

ALICE = SuiAddress("0x" + "a1" * 32)
GENESIS = GenesisConfig(seed="pruning", n_shards=10)


async def opened(folder, retention):
    return await Engine.open(GENESIS, folder, clock=lambda: 1, interval_ms=10, retention=retention)


async def grown(folder, retention, count=30):
    """Digests of one transaction in each checkpoint from 1 on."""
    engine = await opened(folder, retention)
    made = []
    for amount in range(1, count + 1):
        made.append((await engine.faucet(ALICE, amount)).digest)
        await engine.close_checkpoint()
    return engine, made


async def test_history_begins_where_the_retention_says(tmp_path):
    engine, made = await grown(tmp_path, Retention(20, 10))
    store, head = engine._store, engine.ledger.head.sequence
    assert engine.floors == Floors(head - 19, head - 9) == Floors(11, 21)
    assert [store.checkpoint(sequence) is None for sequence in (0, 1, 10, 11, head)] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert [store.transaction(made[sequence - 1]) is None for sequence in (1, 10, 11, head)] == [
        True,
        True,
        False,
        False,
    ]
    assert len(store.transactions(0)) == 1, "the genesis transaction stays"
    # A kept checkpoint's inputs are there from the floor of objects on; outputs and live objects always.
    for sequence, whole in ((20, False), (21, True), (head, True)):
        _, executed = store.transaction(made[sequence - 1])
        before = [change for change in executed.effects.changed_objects if change.before]
        after = [change for change in executed.effects.changed_objects if change.after]
        assert all(store.version(change.object_id, change.before.version) for change in before) is whole
        assert any(store.version(change.object_id, change.after.version) for change in after)
    (clock_versions,) = store._database.execute(
        "SELECT count(*) FROM versions WHERE object_id = ?", (bytes.fromhex(CLOCK_ID[2:]),)
    ).fetchone()
    assert clock_versions == 11
    assert len(store.load().objects) == len(engine.ledger.objects())
    await engine.stop()


async def test_a_shorter_retention_takes_effect_step_by_step(tmp_path):
    engine, _ = await grown(tmp_path, Retention())
    assert engine.floors == Floors()
    await engine.stop()
    engine = await opened(tmp_path, Retention(5, None))
    await engine.close_checkpoint()
    assert engine.floors == Floors(8, 8)
    for _ in range(4):
        await engine.close_checkpoint()
    assert engine.floors == Floors(32, 32)
    assert engine.ledger.head.sequence == 36
    await engine.stop()
    longer = await opened(tmp_path, Retention())
    assert longer.floors == Floors(33, 33), "what is gone does not come back"
    await longer.close_checkpoint()
    assert longer.floors == Floors(33, 33)
    await longer.stop()


async def test_a_pruned_chain_goes_on_after_a_restart(tmp_path):
    engine, _ = await grown(tmp_path, Retention(3, 3), count=HISTORY_LIMIT + 10)
    chain_id, head = engine.ledger.chain_id, engine.ledger.head
    objects = {obj.object_id: obj.digest for obj in engine.ledger.objects()}
    await engine.stop()
    again = await opened(tmp_path, Retention(3, 3))
    assert again.ledger.chain_id == chain_id
    assert again.ledger.head.previous_digest == head.digest
    was = {obj.object_id: obj.digest for obj in again.ledger.objects()}
    assert {key for key in objects if objects[key] != was[key]} == {CLOCK_ID}
    assert (await again.faucet(ALICE, 1)).effects.succeeded
    await again.stop()


@pytest.mark.parametrize("keep", [2, 50])
async def test_the_file_stops_growing(tmp_path, keep):
    engine, _ = await grown(tmp_path, Retention(keep, keep), count=keep)
    await engine.stop()
    store = Store(tmp_path, Retention(keep, keep))

    def pages():
        return (
            store._writer.execute("PRAGMA page_count").fetchone()[0]
            - store._writer.execute("PRAGMA freelist_count").fetchone()[0]
        )

    before, objects = pages(), len(store.load().objects)
    store.close()
    engine, _ = await grown(tmp_path, Retention(keep, keep), count=60)
    await engine.stop()
    store = Store(tmp_path, Retention(keep, keep))
    more = len(store.load().objects) - objects
    assert more == 60, "one coin for each request"
    assert pages() <= before + 12 + more // 2
    store.close()
