"""The devnet's database file: its tables, how older files become today's, and who may open it.

A file carries the number of its schema. One of an older program is brought up to date when it is opened, step by step, each
step in one database transaction, so that a crash in between leaves a file of one schema or the other. A newer one is
refused.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from walrus_codec import bcs
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.records import Object
from walrus_sui.devnet.ledger.state import owner_key
from walrus_sui.devnet.move.core.tags import TypeTagError

SCHEMA_VERSION: Final = 2
DATABASE: Final = "ledger.sqlite"
_LOCK: Final = "lock"
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoints (
    sequence INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, timestamp_ms INTEGER NOT NULL,
    summary BLOB NOT NULL, contents BLOB NOT NULL
);
CREATE TABLE transactions (
    checkpoint INTEGER NOT NULL, position INTEGER NOT NULL, digest BLOB NOT NULL UNIQUE, tx BLOB NOT NULL,
    signatures BLOB NOT NULL, effects BLOB NOT NULL, events BLOB NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (checkpoint, position)
);
CREATE VIEW executed AS SELECT t.*, c.timestamp_ms FROM transactions t JOIN checkpoints c ON c.sequence = t.checkpoint;
CREATE TABLE versions (object_id BLOB NOT NULL, version INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (object_id, version));
CREATE TABLE live (object_id BLOB PRIMARY KEY, version INTEGER NOT NULL, owner TEXT NOT NULL, type TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE journal (
    ordinal INTEGER PRIMARY KEY, tx BLOB NOT NULL, signatures BLOB NOT NULL, effects_digest BLOB NOT NULL
);
"""


class StoreError(Exception):
    """The data directory cannot be used: locked by another process, damaged, or of another schema or genesis.

    Remedy: the message says which; nothing was changed.
    """


def prepare(database: sqlite3.Connection) -> None:
    """Makes the tables of a new file, brings those of an older one up to date.

    Raises:
        StoreError: the file is of a newer program.
    """
    (found,) = database.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA_VERSION:
        raise StoreError(f"the ledger has schema {found}, this program knows {SCHEMA_VERSION}: use its own version")
    if found == 0:
        with transaction(database):
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for version in range(max(found, 1), SCHEMA_VERSION if found else 0):
        with transaction(database):
            _UPGRADES[version](database)
            database.execute(f"PRAGMA user_version = {version + 1}")


def _tell_owners_and_types(database: sqlite3.Connection) -> None:
    """From 1 to 2: the live table names owner and type, so that a start need not decode every object."""
    database.execute(
        "CREATE TABLE live_2 (object_id BLOB PRIMARY KEY, version INTEGER NOT NULL, owner TEXT NOT NULL, "
        "type TEXT NOT NULL) WITHOUT ROWID"
    )
    rows = database.execute(
        "SELECT v.object_id, v.version, v.data FROM live l JOIN versions v USING (object_id, version)"
    )
    while batch := rows.fetchmany(1000):
        objects = [(row[0], row[1], Object.from_bcs(row[2])) for row in batch]
        database.executemany(
            "INSERT INTO live_2 VALUES (?, ?, ?, ?)",
            [(object_id, version, owner_key(obj), obj.type) for object_id, version, obj in objects],
        )
    database.execute("DROP TABLE live")
    database.execute("ALTER TABLE live_2 RENAME TO live")


_UPGRADES: Final[dict[int, Callable[[sqlite3.Connection], None]]] = {1: _tell_owners_and_types}


def connect(file: Path) -> sqlite3.Connection:
    """Opens a database whose commits are synced to disk.

    Raises:
        StoreError: it is no database.
    """
    with damage():
        # Autocommit: transactions are begun by hand, so that one `with` is one commit.
        database = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=10)
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One database transaction: all of it, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def lock(folder: Path) -> int:
    """Takes a data directory; the lock lives as long as the file descriptor.

    Raises:
        StoreError: another process has it.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"another devnet uses {folder}: stop it, or give this one a directory of its own") from None
    return descriptor


@contextmanager
def damage() -> Iterator[None]:
    """Turns what damaged rows raise into a `StoreError`."""
    try:
        yield
    except (sqlite3.DatabaseError, bcs.BcsError, digests.DigestError, TypeTagError, KeyError) as error:
        raise StoreError(f"the ledger on disk is damaged: {error!r}") from error
