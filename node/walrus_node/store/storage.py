"""The node's store as everybody else sees it: typed, asynchronous, one writer.

Life of a write: an async method hands a blocking function to the one writer thread, which reads, decides and writes
without anybody in between; so "store the sliver unless its metadata is gone" and "delete the blob unless it was
registered again" cannot race. Reads run in threads of their own and see the newest batch. Nothing here is durable
against a loss of power before `sync`, which is called before a confirmation is signed and before shards are attested.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from walrus_codec import bcs
from walrus_codec.types import Axis, BlobId, Epoch, ObjectId, ShardIndex
from walrus_node.errors import DamagedError, IdentityError, MetadataMissingError, StoreError
from walrus_node.store import layout
from walrus_node.store.blobs import BlobTable
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.records import (
    BlobInfo,
    Cursor,
    Identity,
    InvalidBlob,
    NodeState,
    NodeStatus,
    ObjectInfo,
    PooledInfo,
    ScrubState,
    ShardStatus,
    ValidBlob,
    unversioned,
    versioned,
)
from walrus_node.store.shards import ShardTable, SliverKey
from walrus_node.store.working import WorkingSet

_T = TypeVar("_T")
_K = TypeVar("_K")
_READERS = 2


@dataclass(frozen=True)
class Collected:
    """What garbage collection deleted: blobs, their slivers, and the bytes of these."""

    blobs: int = 0
    slivers: int = 0
    sliver_bytes: int = 0

    def __add__(self, other: Collected) -> Collected:
        return Collected(self.blobs + other.blobs, self.slivers + other.slivers, self.sliver_bytes + other.sliver_bytes)


class Storage:
    """All that the node keeps. Make it with `open`; every method raises `StoreError` when the database fails."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Takes over an open database; blocking. Use `open` or `over` from async code."""
        self._kv = kv
        _prepare(kv)
        self._blobs = BlobTable(kv)
        self._shards = ShardTable(kv)
        self._shards.check_families()
        self._slivers = self._shards.count()
        self._metadata = self._blobs.count_metadata()
        self._collected = Collected()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-read")
        self._syncing: asyncio.Task[None] | None = None
        self._next_sync: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path) -> Storage:
        """Opens the database on disk.

        Raises:
            StoreError: it cannot be opened, or was written by a newer release.
        """
        from walrus_node.store.rocks import RocksStore  # noqa: PLC0415 - tests with memory need no RocksDB

        return await asyncio.to_thread(lambda: cls(RocksStore(path)))

    @classmethod
    async def over(cls, kv: KeyValueStore) -> Storage:
        """Uses a database that is open already."""
        return await asyncio.to_thread(cls, kv)

    async def close(self) -> None:
        """Waits for running work, flushes and closes; may be called twice."""

        def close() -> None:
            self._writer.shutdown()
            self._readers.shutdown()
            self._kv.close()

        await asyncio.to_thread(close)

    # --- the node itself

    async def identity(self) -> Identity | None:
        """Whose data this is, None before the registration."""
        value = await self._read(self._kv.get, layout.NODE, layout.IDENTITY_KEY)
        return None if value is None else Identity.from_bytes(value)

    async def set_identity(self, identity: Identity) -> None:
        """Binds the store to a chain and a node, durably.

        Raises:
            IdentityError: it is bound to another one.
        """

        def bind() -> None:
            value = self._kv.get(layout.NODE, layout.IDENTITY_KEY)
            if value is None:
                self._put(layout.IDENTITY_KEY, identity.to_bytes())
                self._kv.sync()
            elif (owner := Identity.from_bytes(value)) != identity:
                raise IdentityError(
                    f"the data belongs to node {owner.node_id} on chain {owner.chain_id}, "
                    f"but this is node {identity.node_id} on chain {identity.chain_id}: "
                    "give every node its own data directory, and wipe it when the network is made anew"
                )

        await self._write(bind)

    async def node_state(self) -> NodeState:
        """What the node is doing; Standby, before any epoch, in an empty store."""
        value = await self._read(self._kv.get, layout.NODE, layout.STATE_KEY)
        return NodeState(NodeStatus.STANDBY, Epoch(0)) if value is None else NodeState.from_bytes(value)

    async def set_node_state(self, state: NodeState) -> None:
        """Changes what the node is doing, durably."""

        def change() -> None:
            self._put(layout.STATE_KEY, state.to_bytes())
            self._kv.sync()

        await self._write(change)

    # --- what the chain says

    async def cursor(self) -> Cursor | None:
        """The last applied checkpoint."""
        return await self._read(self._blobs.cursor)

    async def apply(self, sequence: int, timestamp_ms: int, rule: Callable[[WorkingSet], None]) -> WorkingSet:
        """Applies one checkpoint: `rule` changes a working set, its effects and the cursor go into one batch.

        Args:
            sequence: the checkpoint; must be the one after the cursor.
            timestamp_ms: its time.
            rule: pure; may set `working.epoch`.

        Raises:
            StoreError: checkpoints are out of order.
        """

        def apply() -> WorkingSet:
            before = self._blobs.cursor()
            if before is not None and sequence != before.sequence + 1:
                raise StoreError(f"checkpoint {sequence} cannot follow {before.sequence}: the follower has a gap")
            working = self._blobs.working_set()
            rule(working)
            self._blobs.commit(working, Cursor(sequence, timestamp_ms, working.epoch))
            return working

        return await self._write(apply)

    async def blob_info(self, blob_id: BlobId) -> BlobInfo | None:
        """What the events say about a blob id."""
        return await self._read(self._blobs.info, blob_id)

    async def object_info(self, object_id: ObjectId) -> ObjectInfo | None:
        """What the events say about a Blob object."""
        return await self._read(self._blobs.object, object_id)

    async def pooled_info(self, object_id: ObjectId) -> PooledInfo | None:
        """What the events say about a blob object in a storage pool; None also when its pool has ended."""
        return await self._read(self._blobs.pools.blob, object_id)

    async def epoch_start_ms(self) -> int | None:
        """Chain time at which the current epoch began, None when the events before this release did not note it."""
        return await self._read(self._blobs.epoch_start_ms)

    # --- data

    @property
    def blobs_stored(self) -> int:
        """Blobs whose metadata is stored."""
        return self._metadata

    @property
    def slivers_stored(self) -> int:
        """Slivers in all shards."""
        return self._slivers

    async def metadata(self, blob_id: BlobId) -> bytes | None:
        """BCS BlobMetadata."""
        return await self._read(self._blobs.metadata, blob_id)

    async def put_metadata(self, blob_id: BlobId, metadata: bytes) -> bool:
        """Stores verified BCS BlobMetadata; False when it is there already, or the blob is invalid by now."""

        def put() -> bool:
            if self._blobs.metadata(blob_id) is not None or isinstance(self._blobs.info(blob_id), InvalidBlob):
                return False
            self._blobs.put_metadata(blob_id, metadata)
            self._metadata += 1
            return True

        return await self._write(put)

    @property
    def shards(self) -> Mapping[ShardIndex, ShardStatus]:
        """Status of every shard stored here."""
        return self._shards.statuses

    async def create_shards(self, shards: Iterable[ShardIndex], status: ShardStatus) -> None:
        """Makes room for shards, durably; those that exist get the status."""

        def create() -> None:
            for shard in shards:
                self._shards.create(shard, status)
            self._kv.sync()

        await self._write(create)

    async def set_shard_status(self, shards: Iterable[ShardIndex], status: ShardStatus) -> None:
        """Changes the status of stored shards, durably."""

        def change() -> None:
            for shard in shards:
                self._shards.set_status(shard, status)
            self._kv.sync()

        await self._write(change)

    async def put_sliver(self, key: SliverKey, sliver: bytes) -> bool:
        """Stores the BCS form of a verified sliver; False when it is there already.

        Raises:
            ShardNotHereError: the shard is not stored here, or locked.
            MetadataMissingError: the blob's metadata is not stored (any more).
        """

        def put() -> bool:
            if self._shards.has(key):
                return False
            if self._blobs.metadata(key.blob_id) is None:
                raise MetadataMissingError("the blob's metadata is gone: the blob expired meanwhile")
            self._shards.put(key, sliver)
            self._slivers += 1
            return True

        return await self._write(put)

    async def sliver(self, key: SliverKey) -> memoryview | None:
        """The BCS form of a sliver."""
        return await self._read(self._shards.get, key)

    async def has_slivers(self, keys: Sequence[SliverKey]) -> list[bool]:
        """Which of the slivers are stored."""
        return await self._read(lambda: [self._shards.has(key) for key in keys])

    async def missing(self, blob_id: BlobId, shards: Iterable[ShardIndex]) -> list[SliverKey]:
        """Which slivers of a blob are lacking in the given shards."""
        return await self._read(self._shards.missing, blob_id, tuple(shards))

    async def incomplete(self, epoch: Epoch, shards: Iterable[ShardIndex]) -> list[BlobId]:
        """Blobs certified in `epoch` that lack their metadata or a sliver of the given shards; none without shards."""
        owned = tuple(shards)

        def look() -> list[BlobId]:
            certified = self._blobs.certified(epoch) if owned else ()
            return [
                blob_id
                for blob_id in certified
                if self._shards.missing(blob_id, owned) or not self._blobs.has_metadata(blob_id)
            ]

        return await self._read(look)

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

    # --- garbage

    async def garbage(self) -> list[BlobId]:
        """Blobs that lost their last registration, or were proved invalid."""
        return await self._read(self._blobs.garbage)

    async def collect(self, blob_ids: Sequence[BlobId]) -> Collected:
        """Deletes the data of those of these blobs that are not registered (again); returns what was deleted.

        All of it is one step of the writer: no registration is applied between the look and the deletion.
        """

        def collect() -> Collected:
            cursor = self._blobs.cursor()
            epoch = cursor.epoch if cursor else Epoch(0)
            batch, blobs, metadata = Batch(), 0, 0
            sizes: list[int] = []
            for blob_id in dict.fromkeys(blob_ids):
                batch.delete(layout.GARBAGE, blob_id)
                info = self._blobs.info(blob_id)
                if isinstance(info, ValidBlob) and info.is_registered(epoch):
                    continue
                blobs += 1
                sizes += self._shards.delete_into(batch, blob_id)
                metadata += self._blobs.has_metadata(blob_id)
                batch.delete(layout.METADATA, blob_id)
                if isinstance(info, ValidBlob) and info.objects == 0:
                    batch.delete(layout.BLOB_INFO, blob_id)
            self._kv.write(batch)
            self._slivers -= len(sizes)
            self._metadata -= metadata
            deleted = Collected(blobs, len(sizes), sum(sizes))
            self._collected += deleted
            return deleted

        return await self._write(collect)

    @property
    def collected(self) -> Collected:
        """What was deleted since the store was opened."""
        return self._collected

    async def collected_epoch(self) -> Epoch:
        """The last epoch whose garbage collection is done, 0 before the first."""
        value = await self._read(self._kv.get, layout.NODE, layout.COLLECTED_KEY)
        return Epoch(0 if value is None else int.from_bytes(unversioned(value, "collected epoch"), "little"))

    async def set_collected_epoch(self, epoch: Epoch) -> None:
        """Notes that the garbage collection of `epoch` is done; after a crash of the machine it may be done again."""
        await self._write(self._put, layout.COLLECTED_KEY, versioned(bcs.u32(epoch)))

    async def reclaim(self) -> None:
        """Gives the space of deleted data back to the file system; slow, reads and writes go on meanwhile."""
        # All of them: the log keeps its files until every family has written down what they hold for it. One at a time,
        # so that reads find a thread and the end of the process has little to wait for.
        for family in sorted(self._kv.families()):
            await self._read(self._kv.reclaim, family)

    # --- verification of what is stored

    async def scrub_state(self) -> ScrubState:
        """How far the background verification is."""
        value = await self._read(self._kv.get, layout.NODE, layout.SCRUB_KEY)
        return ScrubState() if value is None else ScrubState.from_bytes(value)

    async def set_scrub_state(self, state: ScrubState) -> None:
        """Notes how far the background verification is; not synced, since losing a little of it costs a little work."""
        await self._write(self._put, layout.SCRUB_KEY, state.to_bytes())

    async def blobs_after(self, after: bytes, limit: int) -> list[BlobId]:
        """The next blobs of which anything is stored, in order of their ids."""

        def look() -> list[BlobId]:
            slivers = (
                (blob_id for blob_id, _size in self._shards.blobs(shard, axis, after))
                for shard in self._shards.statuses
                for axis in Axis
            )
            merged = heapq.merge(self._blobs.with_metadata(after), *slivers)
            return [blob_id for blob_id, _ in itertools.islice(itertools.groupby(merged), limit)]

        return await self._read(look)

    async def stored(self, blob_id: BlobId) -> list[SliverKey]:
        """Which slivers of a blob are stored."""
        return await self._read(self._shards.stored, blob_id)

    async def wrong_records(self) -> list[str]:
        """A sentence for each record about blobs and objects that is damaged; reads them all."""
        return await self._read(lambda: list(self._blobs.wrong_records()))

    async def remove_sliver(self, key: SliverKey, seen: bytes | None) -> bool:
        """Takes a rotten sliver out, so that recovery brings it back; False when it is another one by now.

        Args:
            key: its place.
            seen: its BCS form as it was found rotten, None when it could not be read.
        """

        def remove() -> bool:
            if not self._shards.has(key) or _read_again(self._shards.get, key) != seen:
                return False
            self._shards.delete(key)
            self._slivers -= 1
            return True

        return await self._write(remove)

    async def remove_metadata(self, blob_id: BlobId, seen: bytes | None) -> bool:
        """Takes rotten metadata out; False when they are others by now. `seen` as for slivers."""

        def remove() -> bool:
            if not self._has_metadata(blob_id) or _read_again(self._blobs.metadata, blob_id) != seen:
                return False
            self._blobs.delete_metadata(blob_id)
            self._metadata -= 1
            return True

        return await self._write(remove)

    # --- threads

    def _has_metadata(self, blob_id: BlobId) -> bool:
        try:
            return self._blobs.has_metadata(blob_id)
        except DamagedError:
            return True

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


def _read_again(read: Callable[[_K], bytes | memoryview | None], key: _K) -> bytes | memoryview | None:
    """What is stored, None also when it cannot be read."""
    try:
        return read(key)
    except DamagedError:
        return None


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
    # A new database, or one from before the newest families; values of older forms are read as they are.
    for family in layout.FIXED_FAMILIES:
        kv.create_family(family, bulky=False)
    # Last, so that a crash before it leaves a database that is prepared again.
    batch = Batch()
    batch.put(layout.NODE, layout.SCHEMA_KEY, versioned(layout.SCHEMA_VERSION.to_bytes(4, "little")))
    kv.write(batch)
    kv.sync()


__all__ = ["Axis", "Collected", "SliverKey", "Storage"]
