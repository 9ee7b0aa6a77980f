"""Access to the open database that all parts of the store share: tables, counters, one writer thread, some readers.

Life of a write: an async method hands a blocking function to the one writer thread, which reads, decides and writes
without anybody in between; so "store the sliver unless its metadata is gone" and "delete the blob unless it was
registered again" cannot race. Reads run in threads of their own and see the newest batch. Nothing is durable against a
loss of power before `sync`, which is called before a confirmation is signed and before shards are attested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from walrus_codec import bcs
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.blobs import BlobTable
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.shards import ShardTable

_T = TypeVar("_T")
_READERS = 2


class StoreAccess:
    """What every part of `storage.Storage` is made over."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Takes over an open database; blocking."""
        self._kv = kv
        _prepare(kv)
        self._blobs = BlobTable(kv)
        self._shards = ShardTable(kv)
        self._shards.check_families()
        if not kv.read_only and (self._blobs.is_uncounted() or self._shards.is_uncounted()):
            self._recount()  # an older release wrote it: once, so that no later start has to
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-read")
        self._syncing: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str | None:
        """Why the disk refuses writes, None when it takes them."""
        return self._kv.fault

    async def revive(self) -> bool:
        """Opens the database anew when the disk refused a write; True when it takes writes (again)."""

        def revive() -> bool:
            revived = self._kv.revive()
            if revived:
                # What the failing disk did not keep is not there any more.
                self._shards.read_tallies()
                self._blobs.read_count()
            return revived

        return await self._write(revive)

    async def recount(self) -> int:
        """Counts everything anew and corrects the tallies; returns how many were wrong. For a stopped node's folder."""
        return await self._write(self._recount)

    async def close(self) -> None:
        """Waits for running work, flushes and closes; may be called twice."""

        def close() -> None:
            self._writer.shutdown()
            self._readers.shutdown()
            self._kv.close()

        await asyncio.to_thread(close)

    async def sync(self) -> None:
        """Returns when all writes that were finished before the call are durable; concurrent callers share one wait."""
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync())
            await asyncio.shield(self._syncing)
            return
        # The running one may have begun before our write: share the one after it.
        if self._next_sync is None or self._next_sync.done():
            self._next_sync = asyncio.create_task(self._sync_after(self._syncing))
        await asyncio.shield(self._next_sync)

    def _recount(self) -> int:
        return self._shards.recount() + self._blobs.recount()

    def _put(self, key: bytes, value: bytes) -> None:
        batch = Batch()
        batch.put(layout.NODE, key, value)
        self._kv.write(batch)

    async def _sync(self) -> None:
        # In a reader: the disk is slow and the writer has other work; RocksDB allows it.
        await self._read(self._kv.sync)

    async def _sync_after(self, running: asyncio.Task[None]) -> None:
        await asyncio.wait([running])
        self._syncing, self._next_sync = asyncio.current_task(), None
        await self._sync()

    async def _write(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *arguments)

    async def _read(self, work: Callable[..., _T], *arguments: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)


def _prepare(kv: KeyValueStore) -> None:
    """Checks the schema version of an existing database, upgrades an older one, and completes a new one."""
    if layout.NODE in kv.families() and (value := kv.get(layout.NODE, layout.SCHEMA_KEY)) is not None:
        version = int.from_bytes(unversioned(value, "schema version"), "little")
        if version > layout.SCHEMA_VERSION:
            raise StoreError(
                f"the database has schema version {version}, this release knows {layout.SCHEMA_VERSION}: "
                "start the release that wrote it, or a newer one"
            )
        if version == layout.SCHEMA_VERSION:
            return
        if kv.read_only:
            raise StoreError(
                f"the database has schema version {version}, this release writes {layout.SCHEMA_VERSION}: start the node "
                "once, or run `walrus-node db repair`; both bring it up to date"
            )
    # A new database, or one from before the newest families; values of older forms are read as they are.
    for family in layout.FIXED_FAMILIES:
        kv.create_family(family, bulky=False)
    # Last, so that a crash before it leaves a database that is prepared again.
    batch = Batch()
    batch.put(layout.NODE, layout.SCHEMA_KEY, versioned(layout.SCHEMA_VERSION.to_bytes(4, "little")))
    batch.put(layout.NODE, layout.SEARCH_KEY, versioned(bcs.u64(0)))
    kv.write(batch)
    kv.sync()
