"""What the verification of stored data needs: how far it is, everything in order, and the removal of what has rotted."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from walrus_codec.types import Axis, BlobId
from walrus_node.errors import DamagedError
from walrus_node.store import audit, layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.records import ScrubState
from walrus_node.store.shards import SliverKey

_K = TypeVar("_K")


class Verification(StoreAccess):
    """The part of the store that scrub works on.

    Attributes:
        rotten_removed: rotten slivers and metadata taken out since the store was opened, whoever came upon them.
    """

    rotten_removed = 0

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
        """A sentence for each record about blobs, objects and pools that is damaged or contradicts another; reads all."""
        return await self._read(lambda: list(audit.wrong_records(self._kv)))

    async def records(self) -> list[dict[str, Any]]:
        """Every record about blobs, objects and storage pools as plain values; reads them all."""
        return await self._read(lambda: list(audit.records(self._kv)))

    async def remove_sliver(self, key: SliverKey, seen: bytes | None) -> bool:
        """Takes a rotten sliver out, so that recovery brings it back; False when it is another one by now.

        Args:
            key: its place.
            seen: its BCS form as it was found rotten, None when it could not be read.
        """

        def remove() -> bool:
            if not self._shards.has(key) or _read_again(self._shards.get, key) != seen:
                return False
            self._shards.take_out(key)
            self.rotten_removed += 1  # in the one writer thread
            return True

        return await self._write(remove)

    async def remove_metadata(self, blob_id: BlobId, seen: bytes | None) -> bool:
        """Takes rotten metadata out; False when they are others by now. `seen` as for slivers."""

        def remove() -> bool:
            if not self._has_metadata(blob_id) or _read_again(self._blobs.metadata, blob_id) != seen:
                return False
            self._blobs.take_out_metadata(blob_id)
            self.rotten_removed += 1
            return True

        return await self._write(remove)

    def _has_metadata(self, blob_id: BlobId) -> bool:
        try:
            return self._blobs.has_metadata(blob_id)
        except DamagedError:
            return True


def _read_again(read: Callable[[_K], bytes | memoryview | None], key: _K) -> bytes | memoryview | None:
    """What is stored, None also when it cannot be read."""
    try:
        return read(key)
    except DamagedError:
        return None
