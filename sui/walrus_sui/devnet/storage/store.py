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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.records import Checkpoint, Delta, Executed, Object
from walrus_sui.devnet.ledger.state import StoredObject, owner_key
from walrus_sui.devnet.storage import pruning, schema
from walrus_sui.devnet.storage.pruning import Retention
from walrus_sui.devnet.storage.schema import StoreError, damage

_MAX_INTEGER: Final = 2**63 - 1
KEEP_ALL: Final = Retention()


@dataclass(frozen=True)
class JournalRow:
    """An executed transaction that is in no checkpoint yet.

    Attributes:
        ordinal: rises by one; the order of execution.
        tx_bytes: BCS of the transaction.
        signatures: each ``flag || signature || public key``.
        effects_digest: what its execution came to.
    """

    ordinal: int
    tx_bytes: bytes
    signatures: tuple[bytes, ...]
    effects_digest: Digest


@dataclass(frozen=True)
class Loaded:
    """State of a data directory.

    Attributes:
        genesis: the text that was given to `create`.
        first: checkpoint 0; its digest is the chain id.
        head: the last checkpoint.
        objects: the live objects after it, not decoded yet.
        journal: what was executed after it, in order.
    """

    genesis: str
    first: Checkpoint
    head: Checkpoint
    objects: tuple[StoredObject, ...]
    journal: tuple[JournalRow, ...]


class Store:
    """An open data directory.

    Writes (`create`, `journal`, `close_checkpoint`) come from one thread at a time; reads of history are safe beside
    them from another single thread.

    Args:
        folder: made when absent.
        retention: how much of the past to keep.

    Attributes:
        floors: where the kept history begins.

    Raises:
        StoreError: another process has it, it is damaged, or its schema is not known.
    """

    def __init__(self, folder: Path, retention: Retention = KEEP_ALL) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._retention = retention
        self._lock = schema.lock(folder)
        try:
            self._writer = schema.connect(folder / schema.DATABASE)
            self._reader = schema.connect(folder / schema.DATABASE)
            with damage():
                schema.prepare(self._writer)
                self.floors = pruning.read_floors(self._writer)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Closes the database and lets the next process in."""
        self._reader.close()
        self._writer.close()
        os.close(self._lock)

    def load(self) -> Loaded | None:
        """Reads the state; None when the directory is new.

        Raises:
            StoreError: rows are missing or damaged.
        """
        with damage():
            meta = {row["name"]: row["value"] for row in self._writer.execute("SELECT name, value FROM meta")}
            first, head = self.checkpoint(0), self.last_checkpoint()
            if first is None or head is None:
                return None
            rows = self._writer.execute(
                "SELECT lower(hex(object_id)), l.owner, l.type, v.data FROM live l JOIN versions v USING (object_id, version)"
            )
            texts: dict[str, str] = {}  # owners and types come again and again: one copy of each
            objects = tuple(
                StoredObject(ObjectId("0x" + raw), texts.setdefault(owner, owner), texts.setdefault(kind, kind), data)
                for raw, owner, kind, data in map(tuple, rows)
            )
            (count,) = self._writer.execute("SELECT count(*) FROM live").fetchone()
            if count != len(objects):
                raise StoreError(f"the ledger lacks {count - len(objects)} live objects: restore it from a copy")
            journal = tuple(
                JournalRow(ordinal, tx, _read_signatures(signatures), digests.to_text(effects_digest))
                for ordinal, tx, signatures, effects_digest in self._writer.execute(
                    "SELECT ordinal, tx, signatures, effects_digest FROM journal ORDER BY ordinal"
                )
            )
            return Loaded(meta["genesis"], first, head, objects, journal)

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

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, None before genesis."""
        return _checkpoint(
            self._reader.execute("SELECT summary, contents FROM checkpoints ORDER BY sequence DESC LIMIT 1")
        )

    def checkpoint(self, key: int | Digest) -> Checkpoint | None:
        """A checkpoint by sequence number or digest."""
        if isinstance(key, int):
            sequence = min(key, _MAX_INTEGER)
            return _checkpoint(
                self._reader.execute("SELECT summary, contents FROM checkpoints WHERE sequence = ?", (sequence,))
            )
        raw = digests.to_bytes(key)
        return _checkpoint(self._reader.execute("SELECT summary, contents FROM checkpoints WHERE digest = ?", (raw,)))

    def transactions(self, sequence: int) -> tuple[Executed, ...]:
        """The transactions of a checkpoint in order, without their objects."""
        rows = self._reader.execute(
            "SELECT * FROM executed WHERE checkpoint = ? ORDER BY position", (min(sequence, _MAX_INTEGER),)
        )
        return tuple(_executed(row) for row in rows.fetchall())

    def transaction(self, digest: Digest) -> tuple[int, Executed] | None:
        """A transaction by digest with its place in its checkpoint, without its objects."""
        rows = self._reader.execute("SELECT * FROM executed WHERE digest = ?", (digests.to_bytes(digest),))
        row = rows.fetchone()
        return None if row is None else (row["position"], _executed(row))

    def version(self, object_id: ObjectId, version: int) -> Object | None:
        """One version of an object."""
        row = self._reader.execute(
            "SELECT data FROM versions WHERE object_id = ? AND version = ?",
            (digests.write_address(object_id), min(version, _MAX_INTEGER)),
        ).fetchone()
        return None if row is None else Object.from_bcs(row[0])


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


def _checkpoint(rows: sqlite3.Cursor) -> Checkpoint | None:
    row = rows.fetchone()
    return None if row is None else Checkpoint.from_bcs(row["summary"], row["contents"])


def _executed(row: sqlite3.Row) -> Executed:
    executed = Executed.from_stored(
        tx_bytes=row["tx"],
        signatures_bcs=row["signatures"],
        effects_bcs=row["effects"],
        events_bcs=row["events"],
        checkpoint=row["checkpoint"],
        timestamp_ms=row["timestamp_ms"],
    )
    failure = executed.effects.failure
    if failure is None or not row["note"]:
        return executed
    return replace(executed, effects=replace(executed.effects, failure=replace(failure, note=row["note"])))


def _read_signatures(data: bytes) -> tuple[bytes, ...]:
    reader = bcs.Reader(data)
    signatures = tuple(reader.vector(bcs.Reader.bytes_))
    reader.finish()
    return signatures
