import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId, SuiAddress
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.effects import NO_GAS
from walrus_sui.devnet.ledger.records import (
    GAS_COIN_TYPE,
    AddressOwner,
    Checkpoint,
    Delta,
    Effects,
    Event,
    Executed,
    Failure,
    FailureKind,
    GasData,
    Object,
    ObjectRef,
    ProgrammableTransaction,
    Pure,
    TransactionData,
)
from walrus_sui.devnet.storage.schema import StoreError
from walrus_sui.devnet.storage.store import Store
from walrus_sui.devnet.storage.stored_chain import JournalRow

OWNER = SuiAddress("0x" + "ab" * 32)
SIGNATURE = bytes(97)


def coin(number, version, balance):
    object_id = ObjectId("0x" + bytes([number] * 32).hex())
    contents = digests.write_address(object_id) + bcs.u64(balance)
    return Object(object_id, version, AddressOwner(OWNER), GAS_COIN_TYPE, contents, digests.ZERO_DIGEST, 100)


def executed(number, *, failure=None, events=()):
    ref = ObjectRef(ObjectId("0x" + "01" * 32), 1, digests.ZERO_DIGEST)
    kind = ProgrammableTransaction((Pure(bytes([number])),), ())
    data = TransactionData(kind, OWNER, GasData((ref,), OWNER, 1000, 10))
    effects = Effects(failure, 0, NO_GAS, data.digest, None, None, (), 1, (), ())
    return Executed(data, data.to_bcs(), (SIGNATURE,), effects, events)


def delta(sequence, previous, transactions=(), *, put=(), deleted=()):
    sealed = tuple(item.in_checkpoint(sequence, 1000 + sequence) for item in transactions)
    checkpoint = Checkpoint(
        0,
        sequence,
        sequence,
        previous.digest if previous else None,
        NO_GAS,
        1000 + sequence,
        tuple(item.digest for item in sealed),
        tuple(item.effects.digest for item in sealed),
        tuple(item.signatures for item in sealed),
    )
    return Delta(checkpoint, sealed, tuple(put), tuple(deleted), tuple(put))


def row(ordinal, item):
    return JournalRow(ordinal, item.tx_bytes, item.signatures, item.effects.digest)


@pytest.fixture
def folder(tmp_path):
    """A directory with genesis (coins 1 and 2) and checkpoint 1 (coin 1 changed, 2 deleted, one transaction)."""
    store = Store(tmp_path)
    assert store.load() is None
    genesis = delta(0, None, put=[coin(1, 1, 10), coin(2, 1, 20)])
    store.create("seed: 1", genesis)
    first = executed(1, events=(Event(ObjectId(OWNER), "m", OWNER, f"{OWNER}::m::E", b"\x01"),))
    store.journal([row(1, first)])
    one = delta(1, genesis.checkpoint, [first], put=[coin(1, 2, 11)], deleted=[coin(2, 1, 0).object_id])
    store.close_checkpoint(one, journaled=1)
    store.close()
    return tmp_path


def test_everything_comes_back(folder):
    store = Store(folder)
    loaded = store.load()
    assert (loaded.genesis, loaded.head.sequence) == ("seed: 1", 1)
    assert loaded.first == store.checkpoint(0)
    assert loaded.first.digest == loaded.head.previous_digest
    (live,) = loaded.objects
    assert Object.from_bcs(live.data) == coin(1, 2, 11)
    assert (live.object_id, live.owner, live.type) == (coin(1, 2, 11).object_id, OWNER, GAS_COIN_TYPE)
    assert loaded.journal == ()
    (stored,) = store.transactions(1)
    assert stored == executed(1, events=stored.events).in_checkpoint(1, 1001)
    assert stored.events[0].contents == b"\x01"
    assert store.transaction(stored.digest) == (0, stored)
    assert store.checkpoint(loaded.head.digest) == loaded.head == store.last_checkpoint()
    assert [store.version(coin(1, 1, 0).object_id, version) for version in (1, 2, 3, 2**64 - 1)] == [
        coin(1, 1, 10),
        coin(1, 2, 11),
        None,
        None,
    ]
    assert store.version(coin(2, 1, 0).object_id, 1) == coin(2, 1, 20)
    assert store.checkpoint(9) is None
    assert store.checkpoint(2**64 - 1) is None
    assert store.checkpoint(digests.ZERO_DIGEST) is None
    assert store.transaction(digests.ZERO_DIGEST) is None
    assert store.transactions(9) == ()
    store.close()


def test_the_journal_keeps_order_and_loses_what_a_checkpoint_has(folder):
    store = Store(folder)
    items = [executed(number) for number in (5, 3, 9)]
    store.journal([row(2, items[0])])
    store.journal([row(3, items[1]), row(4, items[2])])
    assert [item.tx_bytes for item in store.load().journal] == [item.tx_bytes for item in items]
    store.close_checkpoint(delta(2, store.last_checkpoint(), items[:2]), journaled=3)
    assert store.load().journal == (row(4, items[2]),)
    store.close()


def test_the_note_of_a_failure_survives(folder):
    store = Store(folder)
    failed = executed(7, failure=Failure(FailureKind.INSUFFICIENT_GAS, command=0, note="needs more"))
    store.close_checkpoint(delta(2, store.last_checkpoint(), [failed]), journaled=0)
    (stored,) = store.transactions(2)
    assert stored.effects.failure.note == "needs more"
    assert stored.effects.digest == failed.effects.digest
    store.close()


def test_a_write_that_fails_leaves_nothing_behind(folder):
    store = Store(folder)
    good = delta(2, store.last_checkpoint(), [executed(1)], put=[coin(3, 1, 1)])  # its transaction is already stored
    with pytest.raises(sqlite3.IntegrityError):
        store.close_checkpoint(good, journaled=0)
    assert store.last_checkpoint().sequence == 1
    assert store.version(coin(3, 1, 1).object_id, 1) is None
    store.close_checkpoint(replace(good, transactions=()), journaled=0)
    assert store.last_checkpoint().sequence == 2
    store.close()


def test_a_second_process_is_kept_out(folder):
    code = f"from pathlib import Path; from walrus_sui.devnet.storage.store import Store; Store(Path({str(folder)!r}))"
    store = Store(folder)
    refused = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "another devnet uses" in refused.stderr
    store.close()
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=True)


def test_a_damaged_database_is_an_error_with_a_sentence(folder):
    (folder / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    for leftover in folder.glob("ledger.sqlite-*"):
        leftover.unlink()
    with pytest.raises(StoreError, match="damaged"):
        Store(folder)
    # The lock is free again after the refusal.
    (folder / "ledger.sqlite").unlink()
    Store(folder).close()


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DELETE FROM versions", "lacks 1 live objects"),
        ("UPDATE checkpoints SET summary = x'00'", "damaged"),
        ("DELETE FROM meta", "damaged"),
    ],
)
def test_missing_and_damaged_rows_are_noticed(folder, statement, text):
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute(statement)
    database.close()
    store = Store(folder)
    with pytest.raises(StoreError, match=text):
        store.load()
    store.close()


def test_a_newer_schema_is_refused(folder):
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store(folder)


def test_digests_in_text_are_accepted(folder):
    store = Store(folder)
    assert store.checkpoint(Digest(str(store.last_checkpoint().digest))).sequence == 1
    store.close()


def test_a_ledger_of_the_first_schema_is_brought_up_to_date(folder):
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute("CREATE TABLE old (object_id BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID")
        database.execute("INSERT INTO old SELECT object_id, version FROM live")
        database.execute("DROP TABLE live")
        database.execute("ALTER TABLE old RENAME TO live")
        database.execute("PRAGMA user_version = 1")
    database.close()
    test_everything_comes_back(folder)
    store = Store(folder)
    assert store._writer.execute("PRAGMA user_version").fetchone()[0] == 2
    store.close()


def test_an_upgrade_that_fails_leaves_the_old_file(folder):
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        database.execute("CREATE TABLE old (object_id BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID")
        database.execute("INSERT INTO old SELECT object_id, version FROM live")
        database.execute("DROP TABLE live")
        database.execute("ALTER TABLE old RENAME TO live")
        database.execute("UPDATE versions SET data = x'00'")
        database.execute("PRAGMA user_version = 1")
    database.close()
    with pytest.raises(StoreError, match="damaged"):
        Store(folder)
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM live").fetchone() == (1,)
    database.close()
