"""What the chain says: the records about blobs and objects, applied one checkpoint at a time with the cursor."""

from __future__ import annotations

from collections.abc import Callable

from walrus_codec.types import BlobId, ObjectId
from walrus_node.errors import StoreError
from walrus_node.store.access import StoreAccess
from walrus_node.store.blob_records import BlobInfo, ObjectInfo, PooledInfo
from walrus_node.store.records import Cursor
from walrus_node.store.working import WorkingSet


class ChainRecords(StoreAccess):
    """The part of the store that the events write."""

    async def cursor(self) -> Cursor | None:
        """The last applied checkpoint."""
        return await self._read(self._blobs.cursor)

    async def apply(
        self, sequence: int, timestamp_ms: int, rule: Callable[[WorkingSet], None], *, behind: int | None = None
    ) -> WorkingSet:
        """Applies one checkpoint: `rule` changes a working set, its effects and the cursor go into one batch.

        Args:
            sequence: the checkpoint; must be the one after `behind`.
            timestamp_ms: its time.
            rule: pure; may set `working.epoch`.
            behind: the checkpoint before, when all between the cursor and it were empty; the cursor's own when absent.

        Raises:
            StoreError: checkpoints are out of order.
        """

        def apply() -> WorkingSet:
            before = self._blobs.cursor()
            if before is not None:
                last = before.sequence if behind is None else max(behind, before.sequence)
                if sequence != last + 1:
                    raise StoreError(f"checkpoint {sequence} cannot follow {last}: the follower has a gap")
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
