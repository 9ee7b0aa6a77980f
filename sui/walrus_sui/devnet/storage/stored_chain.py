"""A chain as it lies in a database: its rows decoded, nothing written.

A devnet reads its own older history through it, beside its writer; audits and copies read one consistent snapshot.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.records import Checkpoint, Executed, Object
from walrus_sui.devnet.ledger.state import StoredObject
from walrus_sui.devnet.storage import pruning, schema
from walrus_sui.devnet.storage.schema import StoreError, damage

_MAX_INTEGER: Final = 2**63 - 1


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


class StoredChain:
    """Reads through one database connection, from one thread at a time.

    Args:
        database: a ledger of this program's schema.

    Attributes:
        floors: where the kept history begins.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.floors = pruning.read_floors(database)

    def rows(self, query: str) -> list[Any]:
        """What a query finds."""
        return self._database.execute(query).fetchall()

    def load(self) -> Loaded | None:
        """Reads the state; None when the directory is new.

        Raises:
            StoreError: rows are missing or damaged.
        """
        with damage():
            meta = {row["name"]: row["value"] for row in self._database.execute("SELECT name, value FROM meta")}
            first, head = self.checkpoint(0), self.last_checkpoint()
            if first is None or head is None:
                return None
            rows = self._database.execute(
                "SELECT lower(hex(object_id)), l.owner, l.type, v.data FROM live l JOIN versions v USING (object_id, version)"
            )
            texts: dict[str, str] = {}  # owners and types come again and again: one copy of each
            objects = tuple(
                StoredObject(ObjectId("0x" + raw), texts.setdefault(owner, owner), texts.setdefault(kind, kind), data)
                for raw, owner, kind, data in map(tuple, rows)
            )
            (count,) = self._database.execute("SELECT count(*) FROM live").fetchone()
            if count != len(objects):
                raise StoreError(f"the ledger lacks {count - len(objects)} live objects: restore it from a copy")
            journal = tuple(
                JournalRow(ordinal, tx, _read_signatures(signatures), digests.to_text(effects_digest))
                for ordinal, tx, signatures, effects_digest in self._database.execute(
                    "SELECT ordinal, tx, signatures, effects_digest FROM journal ORDER BY ordinal"
                )
            )
            return Loaded(meta["genesis"], first, head, objects, journal)

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, None before genesis."""
        return _checkpoint(
            self._database.execute("SELECT summary, contents FROM checkpoints ORDER BY sequence DESC LIMIT 1")
        )

    def checkpoint(self, key: int | Digest) -> Checkpoint | None:
        """A checkpoint by sequence number or digest."""
        if isinstance(key, int):
            sequence = min(key, _MAX_INTEGER)
            return _checkpoint(
                self._database.execute("SELECT summary, contents FROM checkpoints WHERE sequence = ?", (sequence,))
            )
        raw = digests.to_bytes(key)
        return _checkpoint(self._database.execute("SELECT summary, contents FROM checkpoints WHERE digest = ?", (raw,)))

    def transactions(self, sequence: int) -> tuple[Executed, ...]:
        """The transactions of a checkpoint in order, without their objects."""
        rows = self._database.execute(
            "SELECT * FROM executed WHERE checkpoint = ? ORDER BY position", (min(sequence, _MAX_INTEGER),)
        )
        return tuple(_executed(row) for row in rows.fetchall())

    def transaction(self, digest: Digest) -> tuple[int, Executed] | None:
        """A transaction by digest with its place in its checkpoint, without its objects."""
        rows = self._database.execute("SELECT * FROM executed WHERE digest = ?", (digests.to_bytes(digest),))
        row = rows.fetchone()
        return None if row is None else (row["position"], _executed(row))

    def version(self, object_id: ObjectId, version: int) -> Object | None:
        """One version of an object."""
        row = self._database.execute(
            "SELECT data FROM versions WHERE object_id = ? AND version = ?",
            (digests.write_address(object_id), min(version, _MAX_INTEGER)),
        ).fetchone()
        return None if row is None else Object.from_bcs(row[0])


@contextmanager
def snapshot(file: Path) -> Iterator[StoredChain]:
    """One consistent moment of a database, whose devnet may run meanwhile.

    Raises:
        StoreError: it is no ledger, or one of another schema.
    """
    if not file.is_file():
        raise StoreError(
            f"there is no ledger in {file.parent}" if file.name == schema.DATABASE else f"{file} is no file"
        )
    with damage(), closing(schema.connect(file)) as database:
        database.execute("PRAGMA query_only = 1")
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found != schema.SCHEMA_VERSION:
            raise StoreError(
                f"the ledger has schema {found}, this program works on {schema.SCHEMA_VERSION}: run the devnet once with "
                "this program, or use the ledger's own version"
            )
        database.execute("BEGIN")
        yield StoredChain(database)


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
