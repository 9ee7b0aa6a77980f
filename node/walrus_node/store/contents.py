"""What the node stores for others: metadata of blobs, shards, and the slivers in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from walrus_codec.types import BlobId, ShardIndex
from walrus_node.errors import MetadataMissingError, ShardNotHereError, StoreError
from walrus_node.store.access import StoreAccess
from walrus_node.store.blob_records import InvalidBlob
from walrus_node.store.records import ShardStatus
from walrus_node.store.shards import SliverKey

_WRITTEN_TOGETHER = 1 << 20
"""Bytes of slivers behind which a batch is written: what is larger gains nothing by company."""

PutRefused = ShardNotHereError | MetadataMissingError


class Contents(StoreAccess):
    """The part of the store that uploads fill and readers ask."""

    @property
    def blobs_stored(self) -> int:
        """Blobs whose metadata is stored."""
        return self._blobs.count

    @property
    def slivers_stored(self) -> int:
        """Slivers in all shards."""
        return self._shards.total.slivers

    @property
    def bytes_stored(self) -> int:
        """Bytes of these slivers."""
        return self._shards.total.size

    async def metadata(self, blob_id: BlobId) -> bytes | None:
        """BCS BlobMetadata."""
        return await self._read(self._blobs.metadata, blob_id)

    async def put_metadata(self, blob_id: BlobId, metadata: bytes) -> bool:
        """Stores verified BCS BlobMetadata; False when it is there already, or the blob is invalid by now."""

        def put() -> bool:
            if self._blobs.metadata(blob_id) is not None or isinstance(self._blobs.info(blob_id), InvalidBlob):
                return False
            self._blobs.put_metadata(blob_id, metadata)
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

    async def put_sliver(self, key: SliverKey, sliver: bytes) -> bool:
        """Stores the BCS form of a verified sliver; False when it is there already.

        Raises:
            ShardNotHereError: the shard is not stored here, or locked.
            MetadataMissingError: the blob's metadata is not stored (any more).
        """
        (outcome,) = await self.put_slivers([(key, sliver)])
        if isinstance(outcome, StoreError):
            raise outcome
        return outcome

    async def put_slivers(self, slivers: Iterable[tuple[SliverKey, bytes]]) -> list[bool | PutRefused]:
        """Stores slivers in one turn of the writer, small ones together; for each what `put_sliver` returns or raises."""

        def put() -> list[bool | PutRefused]:
            outcomes: list[bool | PutRefused] = []
            with_metadata: dict[BlobId, bool] = {}
            waiting: dict[SliverKey, bytes] = {}
            size = 0
            for key, sliver in slivers:
                if key.blob_id not in with_metadata:
                    with_metadata[key.blob_id] = self._blobs.metadata(key.blob_id) is not None
                if key in waiting or self._shards.has(key):
                    outcomes.append(False)
                elif not with_metadata[key.blob_id]:
                    outcomes.append(MetadataMissingError("the blob's metadata is gone: the blob expired meanwhile"))
                elif not self._shards.writable(key.shard):
                    outcomes.append(ShardNotHereError(f"shard {key.shard} takes no slivers here"))
                else:
                    waiting[key] = sliver
                    size += len(sliver)
                    outcomes.append(True)
                if size >= _WRITTEN_TOGETHER:
                    self._shards.put_all(waiting)
                    waiting, size = {}, 0
            self._shards.put_all(waiting)
            return outcomes

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
