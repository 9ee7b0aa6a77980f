"""Copies and audits of a ledger: whatever was tampered with is found, and a copy is the same chain."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
import yaml
from typer.testing import CliRunner

from walrus_codec.types import EncodingType, SuiAddress
from walrus_sui.devnet import config
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.genesis import GenesisConfig, Prefunded
from walrus_sui.devnet.main import app
from walrus_sui.devnet.storage import archive, genesis_text
from walrus_sui.devnet.storage.audit import audit
from walrus_sui.devnet.storage.pruning import Retention
from walrus_sui.devnet.storage.schema import StoreError

ALICE = SuiAddress("0x" + "a1" * 32)
GENESIS = GenesisConfig(
    seed="audit",
    n_shards=10,
    encoding_types=(EncodingType.RS2, EncodingType.ISAL),
    prefunded=(Prefunded(ALICE, 5, 7),),
)


async def grow(folder, retention=None):
    """Five checkpoints with gifts, and two gifts that only the journal has."""
    ticks = iter(range(1_700_000_000_000, 1_800_000_000_000, 250))
    arguments = {} if retention is None else {"retention": retention}
    engine = await Engine.open(GENESIS, folder, clock=lambda: next(ticks), interval_ms=10, **arguments)
    for amount in range(1, 11):
        await engine.faucet(ALICE, amount)
        if amount % 2 == 0:
            await engine.close_checkpoint()
    await engine.faucet(ALICE, 11)
    await engine.faucet(ALICE, 12)
    engine._writer._task.cancel()  # as after SIGKILL: the journal stays
    await asyncio.gather(engine._writer._task, return_exceptions=True)
    engine._writer._threads.shutdown()
    engine._store.close()
    return engine.ledger


@pytest.fixture
def chain(tmp_path):
    return asyncio.run(grow(tmp_path / "data"))


@pytest.fixture
def file(chain, tmp_path):
    return tmp_path / "data" / "ledger.sqlite"


def change(file, *statements):
    with closing(sqlite3.connect(file)) as database, database:
        for statement in statements:
            database.execute(statement)


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    return result.exit_code, result.output


def test_a_sound_ledger_passes(file, chain):
    report = audit(file, replay=True)
    assert report.findings == []
    assert (report.chain_id, report.first, report.head) == (chain.chain_id, 0, 5)
    assert report.transactions == 1 + 5 * 3
    assert run("verify", "--data", file.parent, "--replay") == (
        0,
        f"chain {chain.chain_id}: checkpoints 0 to 5, 16 transactions, {report.objects} live objects: nothing wrong\n",
    )


LATER = "FROM versions w WHERE w.object_id = v.object_id AND w.version > v.version"
REPLACED = f"(SELECT v.rowid FROM versions v WHERE EXISTS (SELECT 1 {LATER}) LIMIT 1)"
OTHER = f"(SELECT w.data {LATER.replace('v.', 'versions.')} LIMIT 1)"


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("DELETE FROM checkpoints WHERE sequence = 3", "checkpoint 3 is missing"),
        (
            "DELETE FROM transactions WHERE checkpoint = 2 AND position = 1",
            "checkpoint 2 does not have the transactions",
        ),
        ("UPDATE transactions SET position = position + 10 WHERE checkpoint = 2 AND position = 0", "checkpoint 2"),
        ("UPDATE transactions SET signatures = x'0101aa' WHERE checkpoint = 4 AND position = 0", "checkpoint 4"),
        ("UPDATE checkpoints SET digest = zeroblob(32) WHERE sequence = 2", "not filed under its digest"),
        (f"DELETE FROM versions WHERE rowid = {REPLACED}", "is missing"),
        (f"UPDATE versions SET data = {OTHER} WHERE rowid = {REPLACED}", "effects name"),
        ("UPDATE live SET owner = '0x1' WHERE rowid_is", "filed under another owner"),
        ("UPDATE live SET type = type || 'x' WHERE rowid_is", "filed under another owner or type"),
        ("DELETE FROM live WHERE rowid_is", "is not live, its history ends"),
        ("UPDATE journal SET effects_digest = zeroblob(32) WHERE ordinal = 11", "other effects than were promised"),
        ("DELETE FROM journal WHERE ordinal = 11", "transaction 12 of the journal does not run"),
        ("UPDATE meta SET value = replace(value, 'audit', 'fraud')", "the chain cannot go on"),
    ],
)
def test_what_was_tampered_with_is_found(file, statement, word):
    coin = "object_id = (SELECT object_id FROM live WHERE type LIKE '%::coin::Coin<%' AND owner = '{}' LIMIT 1)"
    change(file, statement.replace("rowid_is", coin.format(ALICE)))
    code, output = run("verify", "--data", file.parent)
    assert code == 6
    assert word in output
    assert "Traceback" not in output


def test_money_that_was_made_is_found(file, chain):
    """A coin whose row of the past and of the present were both made richer, digests and all."""
    (coin,) = [obj for obj in chain.owned_objects(ALICE) if obj.coin_balance == 7 * 10**9]
    rich = coin.to_bcs().replace((7 * 10**9).to_bytes(8, "little"), (8 * 10**9).to_bytes(8, "little"))
    assert rich != coin.to_bcs()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE versions SET data = ? WHERE object_id = ?", (rich, bytes.fromhex(coin.object_id[2:])))
    report = audit(file)
    assert any("FROST, the treasury says" in finding for finding in report.findings)


def test_a_chain_that_does_not_come_from_its_genesis_is_found_by_a_replay(file):
    change(file, "UPDATE meta SET value = replace(value, '\"exchange_sui\": 1', '\"exchange_sui\": 2')")
    assert any("genesis comes out different" in finding for finding in audit(file, replay=True).findings)


def test_what_is_no_ledger_is_refused(tmp_path):
    code, output = run("verify", "--data", tmp_path)
    assert (code, "no ledger" in output) == (3, True)
    (tmp_path / "ledger.sqlite").write_bytes(b"nonsense" * 1000)
    code, output = run("verify", "--data", tmp_path)
    assert (code, "damaged" in output) == (3, True)


def test_a_newer_schema_is_refused(file):
    change(file, "PRAGMA user_version = 99")
    code, output = run("verify", "--data", file.parent)
    assert (code, "schema 99" in output) == (3, True)


def test_a_pruned_ledger_passes_but_cannot_be_replayed(tmp_path):
    asyncio.run(grow(tmp_path / "data", Retention(3, 2)))
    report = audit(tmp_path / "data" / "ledger.sqlite")
    assert (report.findings, report.first, report.head) == ([], 3, 5)
    code, output = run("verify", "--data", tmp_path / "data", "--replay")
    assert (code, "before checkpoint 3 is pruned" in output) == (3, True)


@pytest.mark.parametrize("history", [True, False])
def test_a_chain_moves_house(file, chain, tmp_path, history):
    target = tmp_path / "copy.sqlite"
    code, output = run("export", "--data", file.parent, target, "--history" if history else "--no-history")
    assert code == 0, output
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == ["copy.sqlite"]
    code, output = run("import", target, "--data", tmp_path / "new", "--config", tmp_path / "new.yaml")
    assert code == 0, output
    report = audit(tmp_path / "new" / "ledger.sqlite")
    assert (report.findings, report.head, report.first) == ([], 5, 0 if history else 5)
    loaded = config.load(tmp_path / "new.yaml")
    assert loaded.genesis == GENESIS
    assert asyncio.run(reopened(loaded.genesis, tmp_path / "new")) == shown(chain)


def shown(ledger):
    pending = [executed.effects.digest for executed in ledger.pending()]
    objects = {obj.object_id: obj.digest for obj in ledger.objects()}
    return ledger.chain_id, ledger.head, pending, ledger.balances(ALICE), objects


async def reopened(genesis, folder):
    engine = await Engine.open(genesis, folder, clock=lambda: 1, interval_ms=10)
    found = shown(engine.ledger)
    await engine.stop()
    return found


def test_an_export_into_a_directory_names_the_chain(file, chain, tmp_path):
    (tmp_path / "copies").mkdir()
    written = archive.export(file.parent, tmp_path / "copies", history=True)
    assert written.name == f"devnet-{chain.chain_id[:8]}-5.sqlite"
    with pytest.raises(StoreError, match="exists"):
        archive.export(file.parent, tmp_path / "copies", history=True)


def test_what_cannot_be_imported_is_named(file, tmp_path):
    archive.export(file.parent, tmp_path / "copy.sqlite", history=True)
    code, output = run("import", tmp_path / "copy.sqlite", "--data", file.parent)
    assert (code, "has a ledger already" in output) == (3, True)
    code, output = run("import", tmp_path / "absent", "--data", tmp_path / "new")
    assert (code, "no file" in output) == (3, True)
    change(tmp_path / "copy.sqlite", "DELETE FROM checkpoints WHERE sequence = 3")
    code, output = run("import", tmp_path / "copy.sqlite", "--data", tmp_path / "new")
    assert (code, "checkpoint 3 is missing" in output) == (6, True)
    assert not (tmp_path / "new" / "ledger.sqlite").exists()


def test_the_genesis_in_a_ledger_is_read_back():
    assert genesis_text.read(genesis_text.write(GENESIS)) == GENESIS
    mapping = yaml.safe_load(yaml.safe_dump(genesis_text.to_mapping(GENESIS)))
    assert GenesisConfig.from_mapping(mapping) == GENESIS
