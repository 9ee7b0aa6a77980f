"""What of the past is kept on disk.

Old checkpoints leave from the front, a few with each new one, in the same database transaction: so a long-lived devnet's
disk stays bounded, and pages that became free are used again. Superseded object versions may leave earlier than the
checkpoints that superseded them. Checkpoint 0 and its transaction stay, because the chain's identity is there; live
objects stay, of course, and so does all that a kept checkpoint refers to.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.records import Effects

_AT_ONCE: Final = 8
"""Checkpoints that leave with each new one, so that a shortened retention takes effect without a long pause."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history to keep, in checkpoints; None keeps all.

    Attributes:
        checkpoints: with their transactions.
        object_versions: for which versions that were replaced in them are kept; at most as many as `checkpoints`.
    """

    checkpoints: int | None = None
    object_versions: int | None = None


@dataclass(frozen=True, slots=True)
class Floors:
    """Where the kept history begins.

    Attributes:
        checkpoints: the lowest checkpoint that is whole, apart from checkpoint 0.
        objects: the lowest checkpoint whose input objects are all there.
    """

    checkpoints: int = 0
    objects: int = 0


def read_floors(database: sqlite3.Connection) -> Floors:
    """Where the history on disk begins."""
    rows = dict(database.execute("SELECT name, value FROM meta WHERE name LIKE 'floor_%'").fetchall())
    return Floors(int(rows.get("floor_checkpoints", 0)), int(rows.get("floor_objects", 0)))


def prune(database: sqlite3.Connection, head: int, retention: Retention, *, at_once: int | None = _AT_ONCE) -> Floors:
    """Drops what is beyond the retention; inside the caller's database transaction.

    Args:
        database: the ledger.
        head: the newest checkpoint.
        retention: how much to keep.
        at_once: at most so many checkpoints; None for all.

    Returns:
        Where the history begins then.
    """
    was = read_floors(database)
    objects = _next(was.objects, head, _smaller(retention.object_versions, retention.checkpoints), at_once)
    checkpoints = min(_next(was.checkpoints, head, retention.checkpoints, at_once), objects)
    if (checkpoints, objects) == (was.checkpoints, was.objects):
        return was
    for (effects,) in database.execute(
        "SELECT effects FROM transactions WHERE checkpoint >= ? AND checkpoint < ?", (was.objects, objects)
    ).fetchall():
        _drop_replaced(database, Effects.from_bcs(effects))
    database.execute("DELETE FROM transactions WHERE checkpoint > 0 AND checkpoint < ?", (checkpoints,))
    database.execute("DELETE FROM checkpoints WHERE sequence > 0 AND sequence < ?", (checkpoints,))
    database.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        (("floor_checkpoints", str(checkpoints)), ("floor_objects", str(objects))),
    )
    return Floors(checkpoints, objects)


def _next(floor: int, head: int, keep: int | None, at_once: int | None) -> int:
    if keep is None:
        return floor
    wanted = max(head + 1 - keep, floor)
    return wanted if at_once is None else min(wanted, floor + at_once)


def _smaller(first: int | None, second: int | None) -> int | None:
    known = [item for item in (first, second) if item is not None]
    return min(known, default=None)


def _drop_replaced(database: sqlite3.Connection, effects: Effects) -> None:
    """Drops the versions that a transaction replaced or deleted."""
    database.executemany(
        "DELETE FROM versions WHERE object_id = ? AND version = ?",
        [
            (digests.write_address(change.object_id), change.before.version)
            for change in effects.changed_objects
            if change.before is not None
        ],
    )
