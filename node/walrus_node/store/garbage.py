"""What nobody keeps alive any more: the queue of it, its deletion, and the space that comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, ShardIndex
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.blob_records import ValidBlob
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.tallies import Tally, put_blobs


@dataclass(frozen=True)
class Collected:
    """What garbage collection deleted: blobs, their slivers, and the bytes of these."""

    blobs: int = 0
    slivers: int = 0
    sliver_bytes: int = 0

    def __add__(self, other: Collected) -> Collected:
        return Collected(self.blobs + other.blobs, self.slivers + other.slivers, self.sliver_bytes + other.sliver_bytes)


class Garbage(StoreAccess):
    """The part of the store that the collector works on."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Takes over an open database; blocking."""
        super().__init__(kv)
        self._collected = Collected()

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
            sizes: list[tuple[ShardIndex, int]] = []
            for blob_id in dict.fromkeys(blob_ids):
                batch.delete(layout.GARBAGE, blob_id)
                info = self._blobs.info(blob_id)
                if isinstance(info, ValidBlob) and info.is_registered(epoch):
                    continue
                blobs += 1
                sizes += self._shards.delete_into(batch, blob_id)
                metadata += self._blobs.has_metadata(blob_id)
                batch.delete(layout.METADATA, blob_id)
                batch.delete(layout.SUSPECTS, blob_id)
                if isinstance(info, ValidBlob) and info.objects == 0:
                    batch.delete(layout.BLOB_INFO, blob_id)
            put_blobs(batch, self._blobs.count - metadata)
            self._shards.write(batch, [(shard, Tally(-1, -size)) for shard, size in sizes])
            self._blobs.count -= metadata
            deleted = Collected(blobs, len(sizes), sum(size for _shard, size in sizes))
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
            try:
                await self._read(self._kv.reclaim, family)
            except StoreError:
                if family in self._kv.families():
                    raise
                # Its shard has been dropped meanwhile, and all its space with it.

    async def size(self) -> int:
        """Bytes that the database's files take."""
        return await self._read(self._kv.size)
