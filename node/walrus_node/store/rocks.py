"""The database on disk: RocksDB through rocksdict, one column family per family.

Measured, and the reason for the form of this module: rocksdict holds the interpreter lock during `get`, `put` and
`write` (a synced write of 20 MB stops every thread for 50 ms), but not during `flush_wal` and `flush`. So writes are
never synced one by one: they go to the operating system's cache at memory speed, and `sync` waits for the disk with
the lock released. For the same reason a write that RocksDB wants to slow down must fail at once (`no_slowdown`) and be
tried again after a sleep of ours: a stall inside would stop the event loop, the probes included.

Slivers (bulky families) live in RocksDB's blob files: written once to the log and once to their place, never copied by
compaction of keys. An iterator over such a family reads the values too, which is why `shards` keeps an index.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rocksdict

from walrus_node.errors import DamagedError, DiskError, StoreError
from walrus_node.store.kv import Batch, Family
from walrus_node.store.layout import is_bulky

_WRITE_BUFFERS = 32 << 20
"""Bytes of unflushed writes over all families; the largest buffer is flushed when they exceed it."""
_WRITE_BUFFER = 8 << 20
_BLOCK_CACHE = 16 << 20
_LOG_LIMIT = 64 << 20
"""Bytes of write-ahead log; beyond it the family that holds the oldest entry is flushed."""
_BLOB_FILE = 64 << 20
_MIN_BLOB = 4096
_DEAD_SHARE = 4
"""A family's blob files are rewritten when more than one of so many bytes is dead."""
_BLOB_FILES_SIZE = "rocksdb.live-blob-file-size"
_BLOB_FILES_DEAD = "rocksdb.live-blob-file-garbage-size"
_AGE_CUTOFF = "blob_garbage_collection_age_cutoff"
"""Share of the blob files, oldest first, whose living values a compaction copies; RocksDB's default is a quarter."""
_IN_USE = ("Resource temporarily unavailable", "lock hold by current process")
"""What RocksDB says when another one has its lock: no fault of the disk."""
_NOTES = "rocksdict-config.json"
_STALL_LIMIT_S = 60.0
_STALL_PAUSE_S = 0.005


class RocksStore:
    """A `KeyValueStore` in a directory."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Opens the database, or makes it when the directory is empty or absent.

        Args:
            path: its directory.
            read_only: change nothing in it, also no log; every write fails.

        Raises:
            StoreError: another process has it open, or it cannot be read.
        """
        self._cache = rocksdict.Cache(_BLOCK_CACHE)
        self._buffers = rocksdict.WriteBufferManager(_WRITE_BUFFERS, False)
        self._write_options = rocksdict.WriteOptions()
        self._write_options.no_slowdown = True
        self._closed, self._read_only, self._path = False, read_only, path
        self._shut_out = contextlib.ExitStack()
        access = rocksdict.AccessType.read_only() if read_only else rocksdict.AccessType.read_write()
        with _store_errors(f"cannot open the database in {path}"), contextlib.ExitStack() as failed:
            failed.enter_context(self._shut_out)
            if read_only:
                self._shut_out.enter_context(_shutting_out_writers(path))
                path = self._shut_out.enter_context(_links_to(path))
            else:
                path.mkdir(parents=True, exist_ok=True)
            existing = rocksdict.Rdict.list_cf(str(path)) if (path / "CURRENT").exists() else []
            families = {name: self._options(bulky=is_bulky(Family(name))) for name in existing}
            families.pop("default", None)
            self._db = rocksdict.Rdict(
                str(path), self._options(bulky=False), column_families=families, access_type=access
            )
            self._handles = {Family(name): self._db.get_column_family_handle(name) for name in families}
            self._tables = {Family(name): self._db.get_column_family(name) for name in families}
            failed.pop_all()

    @property
    def read_only(self) -> bool:
        """Whether it was opened so."""
        return self._read_only

    @property
    def fault(self) -> str | None:
        """None: it does not remember; `reviving.RevivingStore` does."""
        return None

    def revive(self) -> bool:
        """True: there is nothing that it could do."""
        return True

    def families(self) -> frozenset[Family]:
        """All families that exist."""
        return frozenset(self._handles)

    def create_family(self, family: Family, *, bulky: bool) -> None:
        """Makes an empty family, durably (RocksDB syncs its manifest)."""
        if bulky != is_bulky(family):
            raise StoreError(f"the name of family {family!r} tells another kind of values")
        if family in self._handles:
            return
        with self._open(f"cannot create family {family}"):
            self._tables[family] = self._db.create_column_family(family, self._options(bulky=bulky))
            self._handles[family] = self._db.get_column_family_handle(family)

    def drop_family(self, family: Family) -> None:
        """Removes a family with all its keys."""
        if family not in self._handles:
            return
        with self._open(f"cannot drop family {family}"):
            del self._handles[family]
            self._tables.pop(family).close()
            self._db.drop_column_family(family)

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Reads one value."""
        with self._open(f"cannot read from {family}"):
            value: bytes | None = self._table(family).get(key)
            return value

    def scan(self, family: Family, *, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yields keys and values with start <= key < end in key order, of the state at the first step."""
        with self._open(f"cannot scan {family}"):
            cursor = self._table(family).iter()
            cursor.seek(start)
        while True:
            with self._open(f"cannot scan {family}"):
                if not cursor.valid():
                    cursor.status()
                    return
                key: bytes = cursor.key()
                if end is not None and key >= end:
                    return
                value: bytes = cursor.value()
                cursor.next()
            yield key, value

    def write(self, batch: Batch) -> None:
        """Applies a batch atomically; waits when RocksDB asks to slow down.

        Raises:
            DiskError: the disk is full, read-only or broken, or could not keep up for a minute.
        """
        deadline = time.monotonic() + _STALL_LIMIT_S
        while True:
            # Made anew for each attempt: a refused write consumes it.
            writes = self._native(batch)
            try:
                self._db.write(writes, self._write_options)
                return
            except Exception as error:
                # rocksdict knows one class for all failures; the text is RocksDB's own and stable.
                if not str(error).startswith("Result incomplete"):
                    raise _kind_of(error)(f"cannot write: {error}") from error
                if time.monotonic() > deadline:
                    raise DiskError(f"cannot write: the disk did not keep up for {_STALL_LIMIT_S:.0f} s") from error
                time.sleep(_STALL_PAUSE_S)

    def sync(self) -> None:
        """Returns when all earlier writes are durable; other threads run meanwhile."""
        with self._open("cannot sync"):
            self._db.flush_wal(True)

    def reclaim(self, family: Family) -> None:
        """Gives the space of deleted and replaced values back to the file system; slow, everything else goes on.

        Compacts the keys, which tells RocksDB what in its blob files is dead and removes files without any life. Only
        when more than a quarter of the rest is dead still, living values are copied together: so the files never stay
        larger than 4/3 of what lives in them, and a value is not copied for each of its neighbours that goes.
        """
        with self._open(f"cannot give back the space of {family}"):
            table = self._table(family)
            table.flush(True)
            table.compact_range(None, None, _compaction())
            if not is_bulky(family):
                return
            size, dead = (int(table.property_int_value(name) or 0) for name in (_BLOB_FILES_SIZE, _BLOB_FILES_DEAD))
            if dead * _DEAD_SHARE <= size:
                return
            table.set_options({_AGE_CUTOFF: "1.0"})
            try:
                table.compact_range(None, None, _compaction(copy_values=True))
            finally:
                table.set_options({_AGE_CUTOFF: "0.25"})

    def size(self) -> int:
        """Bytes that its files take; those that go meanwhile count as gone."""
        size = 0
        with self._open("cannot look at the size of the database"):
            for file in self._path.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    size += file.stat().st_size
        return size

    def close(self) -> None:
        """Flushes and closes; may be called twice."""
        if self._closed:
            return
        self._closed = True
        failures: list[Exception] = []

        def attempt(step: Callable[[], object]) -> None:
            try:
                step()
            except Exception as error:
                # rocksdict raises bare ones; the rest must be closed nevertheless.
                failures.append(error)

        if not self._read_only:
            attempt(lambda: self._db.flush_wal(True))
        # Every handle keeps the database open, and with it its lock.
        self._handles.clear()
        for table in self._tables.values():
            attempt(table.close)
        self._tables.clear()
        attempt(self._db.close)
        attempt(self._shut_out.close)
        with _store_errors("cannot close the database"):
            for failure in failures[:1]:
                raise failure

    def _native(self, batch: Batch) -> rocksdict.WriteBatch:
        writes = rocksdict.WriteBatch(raw_mode=True)
        with self._open("cannot write"):
            for family, key, value in batch.operations:
                handle = self._handle(family)
                if value is None:
                    writes.delete(key, handle)
                else:
                    writes.put(key, value, handle)
        return writes

    def _options(self, *, bulky: bool) -> rocksdict.Options:
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.create_missing_column_families(True)
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(_WRITE_BUFFER)
        options.set_max_total_wal_size(_LOG_LIMIT)
        options.set_max_background_jobs(2)
        options.set_max_open_files(256)
        options.set_keep_log_file_num(3)
        options.set_max_log_file_size(1 << 20)
        table = rocksdict.BlockBasedOptions()
        table.set_block_cache(self._cache)
        table.set_cache_index_and_filter_blocks(True)
        table.set_bloom_filter(10, False)
        options.set_block_based_table_factory(table)
        if bulky:
            options.set_enable_blob_files(True)
            options.set_min_blob_size(_MIN_BLOB)
            options.set_blob_file_size(_BLOB_FILE)
            options.set_enable_blob_gc(True)
        return options

    def _table(self, family: Family) -> rocksdict.Rdict:
        try:
            return self._tables[family]
        except KeyError:
            raise StoreError(f"there is no column family {family!r}") from None

    def _handle(self, family: Family) -> rocksdict.ColumnFamily:
        try:
            return self._handles[family]
        except KeyError:
            raise StoreError(f"there is no column family {family!r}") from None

    def _open(self, what: str) -> contextlib.AbstractContextManager[None]:
        if self._closed:
            raise StoreError("the store is closed")
        return _store_errors(what)


def _compaction(*, copy_values: bool = False) -> rocksdict.CompactOptions:
    options = rocksdict.CompactOptions()
    # Otherwise no other family is compacted meanwhile, and writers stall.
    options.set_exclusive_manual_compaction(False)
    if copy_values:
        options.set_bottommost_level_compaction(rocksdict.BottommostLevelCompaction.force())
    return options


@contextlib.contextmanager
def _store_errors(what: str) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except Exception as error:  # rocksdict raises bare exceptions, the file system OSError
        raise _kind_of(error)(f"{what}: {error}") from error


def _kind_of(error: Exception) -> type[StoreError]:
    text = str(error)
    if text.startswith("Corruption"):
        return DamagedError
    in_use = any(phrase in text for phrase in _IN_USE)
    return DiskError if isinstance(error, OSError) or (text.startswith("IO error") and not in_use) else StoreError


@contextlib.contextmanager
def _links_to(path: Path) -> Iterator[Path]:
    """A folder of links to the database's files: opening one, even for reading, writes a log and rocksdict's own notes."""
    with tempfile.TemporaryDirectory(prefix="walrus-db-") as made:
        folder = Path(made)
        for file in path.iterdir():
            if file.name == _NOTES:
                shutil.copyfile(file, folder / file.name)
            elif file.name not in {"LOG", "LOCK"}:
                (folder / file.name).symlink_to(file.resolve())
        yield folder


@contextlib.contextmanager
def _shutting_out_writers(path: Path) -> Iterator[None]:
    """Shares the lock that a writing RocksDB holds alone: reading without it would see half of what a node writes."""
    with (path / "LOCK").open("rb") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"the database in {path} is in use: stop the node first") from None
        yield
