"""The devnet's disk: one SQLite database in WAL mode, and who writes what when.

Life of a transaction on disk: it is executed in memory, its bytes go into the ``journal`` (then its caller may be
answered), and at the next checkpoint one database transaction writes the checkpoint, its transactions and all object
versions, and empties the journal (then the checkpoint may be announced). After a crash `load` returns the state of the
last checkpoint and the journal that must be executed again on top of it; execution is deterministic, and each journal
row carries the digest of the effects that were promised, so that a difference cannot go unnoticed. Old history leaves
with new checkpoints, as far as the retention says (`pruning`).

All commits are synced to disk (``synchronous=FULL``): what was answered or announced survives also a power cut. A file
lock keeps a second process out. Reads of history use a connection of their own and see committed rows only.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from walrus_codec import bcs
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.records import Delta
from walrus_sui.devnet.ledger.state import owner_key
from walrus_sui.devnet.storage import pruning, schema
from walrus_sui.devnet.storage.pruning import Retention
from walrus_sui.devnet.storage.schema import damage
from walrus_sui.devnet.storage.stored_chain import JournalRow, StoredChain

KEEP_ALL: Final = Retention()


class Store(StoredChain):
    """An open data directory.

    Writes (`create`, `journal`, `close_checkpoint`) come from one thread at a time; reads of history are safe beside
    them from another single thread.

    Args:
        folder: made when absent.
        retention: how much of the past to keep.

    Raises:
        StoreError: another process has it, it is damaged, or its schema is not known.
    """

    def __init__(self, folder: Path, retention: Retention = KEEP_ALL) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._retention = retention
        self._lock = schema.lock(folder)
        try:
            self._writer = schema.connect(folder / schema.DATABASE)
            with damage():
                schema.prepare(self._writer)
            super().__init__(schema.connect(folder / schema.DATABASE))
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Closes the database and lets the next process in."""
        self._database.close()
        self._writer.close()
        os.close(self._lock)

    def create(self, genesis: str, delta: Delta) -> None:
        """Writes checkpoint 0 and the genesis that it came from, in one database transaction."""
        with schema.transaction(self._writer) as database:
            database.execute("INSERT INTO meta VALUES ('genesis', ?)", (genesis,))
            _write_delta(database, delta)

    def journal(self, rows: Sequence[JournalRow]) -> None:
        """Writes executed transactions, so that their callers may be answered; one database transaction."""
        with schema.transaction(self._writer) as database:
            _write_journal(database, rows)

    def close_checkpoint(self, delta: Delta, *, journaled: int) -> None:
        """Writes a checkpoint, drops the journal rows that it contains and what is too old; one database transaction.

        Args:
            delta: all that changed.
            journaled: the last ordinal that is in the checkpoint.
        """
        with schema.transaction(self._writer) as database:
            _write_delta(database, delta)
            database.execute("DELETE FROM journal WHERE ordinal <= ?", (journaled,))
            floors = pruning.prune(database, delta.checkpoint.sequence, self._retention)
        self.floors = floors


def _write_delta(database: sqlite3.Connection, delta: Delta) -> None:
    checkpoint = delta.checkpoint
    database.execute(
        "INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?)",
        (
            checkpoint.sequence,
            digests.to_bytes(checkpoint.digest),
            checkpoint.timestamp_ms,
            checkpoint.summary_bcs,
            checkpoint.contents_bcs,
        ),
    )
    database.executemany("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _transaction_rows(delta))
    database.executemany(
        "INSERT INTO versions VALUES (?, ?, ?)",
        ((digests.write_address(obj.object_id), obj.version, obj.to_bcs()) for obj in delta.versions),
    )
    database.executemany(
        "INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?)",
        ((digests.write_address(obj.object_id), obj.version, owner_key(obj), obj.type) for obj in delta.put),
    )
    database.executemany(
        "DELETE FROM live WHERE object_id = ?", ((digests.write_address(object_id),) for object_id in delta.deleted)
    )


def _transaction_rows(delta: Delta) -> Iterable[tuple[int, int, bytes, bytes, bytes, bytes, bytes, str]]:
    for position, executed in enumerate(delta.transactions):
        failure = executed.effects.failure
        yield (
            delta.checkpoint.sequence,
            position,
            digests.to_bytes(executed.digest),
            executed.tx_bytes,
            executed.signatures_bcs,
            executed.effects.bcs,
            executed.events_bcs,
            failure.note if failure is not None else "",
        )


def _write_journal(database: sqlite3.Connection, rows: Sequence[JournalRow]) -> None:
    database.executemany(
        "INSERT INTO journal VALUES (?, ?, ?, ?)",
        (
            (row.ordinal, row.tx_bytes, bcs.vector(bcs.bytes_, row.signatures), digests.to_bytes(row.effects_digest))
            for row in rows
        ),
    )
