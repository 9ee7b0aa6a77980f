"""The engine with the real ledger and the real disk: what waits for what, and what a crash leaves."""

import asyncio
import json
import sqlite3
import threading

import pytest

from walrus_codec.types import SuiAddress
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.hub import Closed
from walrus_sui.devnet.storage.schema import StoreError
from walrus_sui.devnet.storage.store import Store
from walrus_sui.devnet.writing import EngineStopped

GENESIS = GenesisConfig(seed="engine", n_shards=10)
ALICE = SuiAddress("0x" + "a1" * 32)
START_MS = 1_700_000_000_000


class Clock:
    """A clock that moves by a second with each look."""

    def __init__(self):
        self.now = START_MS

    def __call__(self):
        self.now += 1000
        return self.now


async def open_engine(folder, genesis=GENESIS):
    return await Engine.open(genesis, folder, clock=Clock(), interval_ms=10)


@pytest.fixture
async def engine(tmp_path):
    engine = await open_engine(tmp_path)
    yield engine
    await engine.stop()


async def crash(engine):
    """Ends an engine the way SIGKILL does: nothing is written any more."""
    engine._writer._task.cancel()
    await asyncio.gather(engine._writer._task, return_exceptions=True)
    engine._writer._threads.shutdown()
    engine._store.close()


def gate(engine, monkeypatch):
    """Makes the disk wait until the returned event is set; counts its commits."""
    opened, commits = threading.Event(), []
    for name in ("journal", "close_checkpoint"):
        write = getattr(engine._store, name)

        def held(*args, write=write, name=name, **kwargs):
            assert opened.wait(10)
            commits.append(name)
            return write(*args, **kwargs)

        monkeypatch.setattr(engine._store, name, held)
    return opened, commits


async def test_nothing_leaves_before_it_is_on_disk(engine, monkeypatch):
    opened, _ = gate(engine, monkeypatch)
    gift = asyncio.create_task(engine.faucet(ALICE, 5))
    await asyncio.sleep(0)
    assert engine.ledger.balance(ALICE, "0x2::sui::SUI") == 5, "executed in memory"
    read = asyncio.create_task(engine.settled())
    done, _ = await asyncio.wait({gift, read}, timeout=0.1)
    assert not done, "neither the caller nor a reader may be answered yet"
    opened.set()
    async with asyncio.timeout(30):
        executed = await gift
        await read
    assert engine._store.load().journal[-1].effects_digest == executed.effects.digest


async def test_a_checkpoint_is_announced_when_it_is_on_disk(engine, monkeypatch):
    opened, _ = gate(engine, monkeypatch)
    subscription = engine.hub.subscribe()
    closing = asyncio.create_task(engine.close_checkpoint())
    first = asyncio.ensure_future(anext(subscription))
    done, _ = await asyncio.wait({closing, first}, timeout=0.1)
    assert not done
    opened.set()
    async with asyncio.timeout(30):
        announced = await first
        assert announced.checkpoint == await closing == engine._store.last_checkpoint()


async def test_concurrent_callers_share_commits(engine, monkeypatch):
    opened, commits = gate(engine, monkeypatch)
    gifts = [asyncio.create_task(engine.faucet(ALICE, amount)) for amount in range(1, 51)]
    await asyncio.sleep(0)
    opened.set()
    async with asyncio.timeout(30):
        done = await asyncio.gather(*gifts)
    assert len({executed.digest for executed in done}) == 50
    assert len(commits) <= 2, "the first may go alone, the others wait for it together"
    assert [row.ordinal for row in engine._store.load().journal] == list(range(1, 51))


async def test_while_several_write_those_who_come_within_milliseconds_share_a_commit(engine, monkeypatch):
    monkeypatch.setattr("walrus_sui.devnet.writing._PAUSE", 0.5)
    monkeypatch.setattr("walrus_sui.devnet.writing._GATHERING", 1.0)
    opened, commits = gate(engine, monkeypatch)
    opened.set()
    async with asyncio.timeout(30):
        await asyncio.gather(engine.faucet(ALICE, 1), engine.faucet(ALICE, 2))
        before = len(commits)
        early = asyncio.create_task(engine.faucet(ALICE, 3))
        await asyncio.sleep(0.05)
        await asyncio.gather(early, engine.faucet(ALICE, 4))
    assert len(commits) == before + 1


async def test_a_checkpoint_needs_no_journal_for_what_it_contains(engine, monkeypatch):
    opened, commits = gate(engine, monkeypatch)
    gift, closing = asyncio.create_task(engine.faucet(ALICE, 1)), asyncio.create_task(engine.close_checkpoint())
    await asyncio.sleep(0)
    opened.set()
    async with asyncio.timeout(30):
        await asyncio.gather(gift, closing)
    assert commits == ["close_checkpoint"]
    assert engine._store.load().journal == ()


async def test_after_a_crash_the_journal_runs_again_with_the_same_effects(tmp_path):
    engine = await open_engine(tmp_path)
    first = await engine.faucet(ALICE, 1)
    await engine.close_checkpoint()
    later = [await engine.faucet(ALICE, amount) for amount in (2, 3)]
    head, chain_id = engine.ledger.head, engine.ledger.chain_id
    await crash(engine)

    again = await open_engine(tmp_path)
    assert (again.ledger.head, again.ledger.chain_id) == (head, chain_id)
    assert [executed.digest for executed in again.ledger.pending()] == [executed.digest for executed in later]
    for executed in later:
        assert again.live.find(executed.digest)[1].effects == executed.effects
        assert await again.execute(executed.tx_bytes, executed.signatures) == executed
    sealed = await again.close_checkpoint()
    assert sealed.transactions[:2] == tuple(executed.digest for executed in later)
    assert again.live.find(first.digest)[1].checkpoint == 1
    assert again.ledger.balance(ALICE, "0x2::sui::SUI") == 6
    await again.stop()
    last = await open_engine(tmp_path)
    assert last.ledger.pending() == ()
    await last.stop()


async def test_ordinals_go_on_after_a_crash(tmp_path):
    engine = await open_engine(tmp_path)
    await engine.faucet(ALICE, 1)
    await crash(engine)
    again = await open_engine(tmp_path)
    await again.faucet(ALICE, 2)
    await again.close_checkpoint()
    assert again._store.load().journal == ()
    await again.stop()


async def test_stopping_seals_what_ran_and_refuses_the_rest(tmp_path):
    engine = await open_engine(tmp_path)
    subscription = engine.hub.subscribe()
    await engine.faucet(ALICE, 1)
    await engine.stop()
    with pytest.raises(EngineStopped):
        await engine.faucet(ALICE, 1)
    with pytest.raises(Closed):
        await anext(subscription)
    again = await open_engine(tmp_path)
    assert again.ledger.pending() == ()
    assert again.ledger.head.sequence == 1
    assert again.ledger.balance(ALICE, "0x2::sui::SUI") == 1
    await again.stop()


async def test_a_failing_disk_stops_everything(engine, monkeypatch):
    def broken(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(engine._store, "journal", broken)
    monkeypatch.setattr(engine._store, "close_checkpoint", broken)
    running = asyncio.create_task(engine.run())
    with pytest.raises(EngineStopped, match="disk is full"):
        await engine.faucet(ALICE, 1)
    async with asyncio.timeout(30):
        with pytest.raises(EngineStopped, match="disk is full"):
            await running
    with pytest.raises(EngineStopped):
        await engine.settled()
    assert engine.failed


async def test_history_on_disk_answers_as_memory_did(tmp_path, monkeypatch):
    monkeypatch.setattr("walrus_sui.devnet.engine.HISTORY_LIMIT", 2)
    engine = await open_engine(tmp_path)
    executed = await engine.faucet(ALICE, 1)
    sealed = await engine.close_checkpoint()
    position, fresh = engine.live.find(executed.digest)
    fresh = engine.live.with_objects(fresh)
    coin = fresh.output_objects[0]
    for _ in range(4):
        await engine.close_checkpoint()
    assert engine.ledger.transaction(executed.digest) is None, "memory has let go of it"
    assert engine.live.checkpoint(sealed.sequence) == engine.live.checkpoint(sealed.digest) == sealed
    old_position, old = engine.live.find(executed.digest)
    assert old_position == position == 0
    old = engine.live.with_objects(old)
    assert (old.effects, old.events, old.timestamp_ms) == (fresh.effects, fresh.events, fresh.timestamp_ms)
    assert {obj.ref for obj in old.input_objects} == {obj.ref for obj in fresh.input_objects}
    assert set(old.output_objects) == set(fresh.output_objects)
    assert engine.live.object(coin.object_id, coin.version) == coin
    assert [item.digest for item in engine.live.transactions(sealed)] == list(sealed.transactions)
    # A transaction of long ago is still known, so sending it again does nothing.
    assert (await engine.execute(executed.tx_bytes, executed.signatures)).effects == executed.effects
    assert engine.ledger.pending() == ()
    await engine.stop()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_shards": 13}, "n_shards was 10, is 13"),
        ({"seed": "other"}, "seed"),
        ({"epoch_duration_ms": 1}, "epoch_duration_ms"),
        ({"encoding_types": GENESIS.encoding_types * 2}, "encoding_types"),
    ],
)
async def test_another_genesis_is_refused_by_name(tmp_path, change, named):
    await (await open_engine(tmp_path)).stop()
    with pytest.raises(StoreError, match=named):
        await open_engine(tmp_path, GenesisConfig(**{"seed": "engine", "n_shards": 10} | change))
    await (await open_engine(tmp_path, GenesisConfig(seed="engine", n_shards=10, checkpoint_interval_ms=77))).stop()


async def test_a_field_that_is_younger_than_the_chain_takes_its_default(tmp_path):
    await (await open_engine(tmp_path)).stop()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        (text,) = database.execute("SELECT value FROM meta WHERE name = 'genesis'").fetchone()
        fields = json.loads(text)
        del fields["max_epochs_ahead"]
        database.execute("UPDATE meta SET value = ?", (json.dumps(fields),))
    database.close()
    await (await open_engine(tmp_path)).stop()


async def test_a_journal_that_comes_out_different_is_refused(tmp_path):
    engine = await open_engine(tmp_path)
    await engine.faucet(ALICE, 1)
    await crash(engine)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as database:
        database.execute("UPDATE journal SET effects_digest = zeroblob(32)")
    database.close()
    with pytest.raises(StoreError, match="other effects"):
        await open_engine(tmp_path)


async def test_the_interval_is_kept_and_empty_checkpoints_tick(tmp_path):
    engine = await Engine.open(GENESIS, tmp_path, clock=Clock(), interval_ms=10)
    subscription = engine.hub.subscribe()
    running = asyncio.create_task(engine.run())
    async with asyncio.timeout(30):
        seen = [await anext(subscription) for _ in range(20)]
    times = [item.checkpoint.timestamp_ms for item in seen]
    assert times == sorted(set(times))
    assert all(len(item.transactions) == 1 for item in seen), "only the clock moves"
    await engine.stop()
    async with asyncio.timeout(30):
        await running
    assert Store(tmp_path).load().head.timestamp_ms >= times[-1]
