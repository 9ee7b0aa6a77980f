"""A database that outlives a failing disk: it is read meanwhile, and opened anew when the disk takes writes again.

RocksDB refuses every write after one that the disk refused, for ever: what was written last is not known to be whole. Only
opening the database anew goes through its log and finds out. Life of a failure: a write fails with `DiskError`, so does
every one after it, at once; what was confirmed before was synced and stays true, and nothing is confirmed meanwhile since
that takes a sync. `revive` opens the database anew for writing, or only for reading while the disk still refuses.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from walrus_node.errors import DiskError, StoreError
from walrus_node.store.kv import Batch, Family, KeyValueStore
from walrus_node.store.layout import is_bulky

_log = logging.getLogger(__name__)

Opener = Callable[[bool], KeyValueStore]
"""Opens the database; True means only for reading."""


class RevivingStore:
    """A `KeyValueStore` over one that can be opened again and again."""

    def __init__(self, open_: Opener, *, free: Callable[[], int], floor: int) -> None:
        """Opens the database; for reading only when the disk refuses writes.

        Args:
            open_: opens it.
            free: bytes that the disk has left.
            floor: bytes of them that slivers must leave, so that RocksDB never meets the end of the disk by itself.

        Raises:
            DiskError: the disk refuses writes, and there is nothing to be read either.
            StoreError: the database cannot be opened.
        """
        self._open, self._free, self._floor = open_, free, floor
        self._lock = threading.Lock()
        self._fault: str | None = None
        try:
            self._kv = open_(False)
        except DiskError as error:
            self._fault = str(error)
            try:
                self._kv = open_(True)
            except StoreError:
                raise error from None
            _log.error("the database is open for reading only", extra={"error": self._fault})

    @property
    def fault(self) -> str | None:
        """Why writes are refused, None when they are not."""
        return self._fault

    @property
    def read_only(self) -> bool:
        """Whether every write fails at present."""
        return self._fault is not None

    def revive(self) -> bool:
        """Opens the database anew after a failure; True when it takes writes (again). For the writer thread."""
        if self._fault is None:
            return True
        with self._lock:
            with contextlib.suppress(StoreError):
                self._kv.close()
            try:
                self._kv = self._open(False)
            except DiskError as error:
                self._fault = str(error)
                with contextlib.suppress(StoreError):
                    self._kv = self._open(True)
                return False
            self._fault = None
        _log.info("the disk takes writes again")
        return True

    def families(self) -> frozenset[Family]:
        """All families that exist."""
        return self._kv.families()

    def create_family(self, family: Family, *, bulky: bool) -> None:
        """Makes an empty family, durably."""
        if family in self._kv.families():
            return
        with self._writing():
            self._kv.create_family(family, bulky=bulky)

    def drop_family(self, family: Family) -> None:
        """Removes a family with all its keys."""
        with self._writing():
            self._kv.drop_family(family)

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Reads one value."""
        with self._lock:
            return self._kv.get(family, key)

    def scan(self, family: Family, *, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yields keys and values in key order; fails with `DiskError` when the database is opened anew meanwhile."""
        with self._same() as kv:
            yield from kv.scan(family, start=start, end=end)

    def write(self, batch: Batch) -> None:
        """Applies a batch atomically; one that brings slivers only while the disk has more than the floor."""
        with self._writing():
            if any(value is not None and is_bulky(family) for family, _key, value in batch.operations):
                self._check_floor()
            self._kv.write(batch)

    def sync(self) -> None:
        """Returns when all earlier writes are durable."""
        with self._writing(), self._same() as kv:
            kv.sync()

    def reclaim(self, family: Family) -> None:
        """Gives the space of deleted and replaced values back to the file system."""
        with self._writing(), self._same() as kv:
            kv.reclaim(family)

    def size(self) -> int:
        """Bytes that its files take."""
        return self._kv.size()

    def close(self) -> None:
        """Flushes and closes; what a failing disk did not take is not there at the next start."""
        try:
            self._kv.close()
        except DiskError as error:
            _log.error("the database was closed on a failing disk", extra={"error": str(error)})

    def _check_floor(self) -> None:
        if (free := self._free()) < self._floor:
            raise _NoRoomError(
                f"the disk has {free} bytes left, {self._floor} are kept for deletion and the chain's events"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._fault is not None:
            raise DiskError(self._fault)
        try:
            yield
        except _NoRoomError:
            raise
        except DiskError as error:
            if self._fault is None:
                _log.error("the disk refuses writes", extra={"error": str(error)})
            self._fault = str(error)
            raise

    @contextlib.contextmanager
    def _same(self) -> Iterator[KeyValueStore]:
        kv = self._kv
        try:
            yield kv
        except StoreError as error:
            if kv is not self._kv:
                raise DiskError("the database was opened anew meanwhile") from error
            raise


class _NoRoomError(DiskError):
    """Slivers were refused to keep the rest of the disk; nothing is wrong with the database."""


def free_bytes(path: Path) -> int:
    """Bytes that the file system of `path`, or of the nearest folder above it, has left for this process.

    Raises:
        DiskError: it cannot be asked.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise DiskError(f"cannot look how much space {path} has: {error}") from error
    return found.f_bavail * found.f_frsize
