"""Copies of a ledger: one file that holds a whole chain, and back.

An archive is the database itself, compact, of one consistent moment; it is written beside its place and moved there when
it is whole. The chain goes on from it with the same chain id, objects and digests, wherever it is brought to.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from walrus_sui.devnet.genesis_config import GenesisConfig
from walrus_sui.devnet.storage import genesis_text, pruning, schema
from walrus_sui.devnet.storage.pruning import Retention
from walrus_sui.devnet.storage.schema import DATABASE, StoreError, damage
from walrus_sui.devnet.storage.stored_chain import snapshot


def export(folder: Path, target: Path, *, history: bool) -> Path:
    """Writes an archive of a data directory, whose devnet may run meanwhile.

    Args:
        folder: the data directory.
        target: a file that does not exist, or a directory to put one into.
        history: whether old checkpoints, transactions and object versions come along; otherwise only the last.

    Returns:
        The archive.

    Raises:
        StoreError: there is no ledger, it is damaged, or the target exists.
        OSError: the target cannot be written.
    """
    source = folder / DATABASE
    if not source.is_file():
        raise StoreError("there is no ledger in it")
    with snapshot(source) as store:
        loaded = store.load()
    if loaded is None:
        raise StoreError("there is no chain in it")
    if target.is_dir():
        target /= f"devnet-{loaded.first.digest[:8]}-{loaded.head.sequence}.sqlite"
    if target.exists():
        raise StoreError(f"{target} exists: name another file")
    with _draft(target) as draft, damage(), closing(schema.connect(source)) as database:
        database.execute("VACUUM INTO ?", (str(draft),))
        if not history:
            _drop_history(draft)
    return target


def bring_in(archive: Path, folder: Path) -> GenesisConfig:
    """Makes a data directory from an archive.

    Returns:
        The genesis that its chain was made with; the devnet's configuration must be the same.

    Raises:
        StoreError: the archive is no ledger of this program, or the directory has a ledger or is in use.
        OSError: the directory cannot be written.
    """
    with snapshot(archive) as store:
        loaded = store.load()
    if loaded is None:
        raise StoreError(f"there is no chain in {archive}")
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = schema.lock(folder)
    try:
        target = folder / DATABASE
        if target.exists():
            raise StoreError(f"{folder} has a ledger already: name an empty directory")
        with _draft(target) as draft:
            shutil.copyfile(archive, draft)
    finally:
        os.close(descriptor)
    return genesis_text.read(loaded.genesis)


def _drop_history(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        (head,) = database.execute("SELECT max(sequence) FROM checkpoints").fetchone()
        with schema.transaction(database):
            pruning.prune(database, head, Retention(1, 1), at_once=None)
        database.execute("VACUUM")


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A file beside the target that takes its place when it is whole and on disk."""
    draft = target.with_name(target.name + ".new")
    draft.unlink(missing_ok=True)
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
