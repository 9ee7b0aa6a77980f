"""Garbage collection, phase 2: deletes the data of blobs that nothing keeps alive.

Phase 1 happens with the events (`events.rules`): objects whose time is over leave the counts, and blob ids without any
live object are queued in the same batch. Here the queue is worked off in the background, once in every epoch, in batches
that first look again (`Storage.collect`): a blob that was registered anew in the meantime keeps its data. The queue is on
disk, and so is the last epoch whose collection is done: a restart continues, by the chain's clock and not by ours. Nodes
wait different times after an epoch change, so that they do not all delete at once; blobs that were proved invalid go at
once. Blobs that this epoch's availability challenges ask for stay until the next one. In the end the space is given back to
the file system.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection

from walrus_codec.types import BlobId, Epoch
from walrus_node.epochs import rules
from walrus_node.store.blob_records import InvalidBlob
from walrus_node.store.storage import Collected, Storage

_log = logging.getLogger(__name__)

_BATCH = 100
"""Blobs deleted in one step of the store's writer, which is some tens of milliseconds: uploads wait so long."""


class Collector:
    """Works the queue off after each epoch change."""

    def __init__(
        self,
        *,
        storage: Storage,
        network_public_key: bytes,
        epoch_duration_ms: Callable[[], int],
        chain_now_ms: Callable[[], int],
        kept: Callable[[], Awaitable[Collection[bytes]]],
    ) -> None:
        """Takes what it acts on.

        Args:
            storage: where the queue is.
            network_public_key: seeds this node's delays.
            epoch_duration_ms: length of an epoch, as known now.
            chain_now_ms: the chain's clock.
            kept: blobs whose data stays in this epoch though nobody pays any more, because it may be asked for.
        """
        self._storage = storage
        self._public_key = network_public_key
        self._epoch_duration_ms = epoch_duration_ms
        self._chain_now_ms = chain_now_ms
        self._kept = kept

    async def run_once(self, epoch: Epoch) -> float | None:
        """Collects for `epoch` unless that is done, or returns the seconds until this node's turn comes."""
        if epoch == 0 or await self._storage.collected_epoch() >= epoch:
            return None
        delay_ms = rules.collection_delay_ms(self._public_key, epoch, self._epoch_duration_ms())
        start_ms = await self._storage.epoch_start_ms()
        wait_ms = 0 if start_ms is None else start_ms + delay_ms - self._chain_now_ms()
        if wait_ms > 0:
            return wait_ms / 1000
        await self.collect()
        # Also when nothing was queued: a process before this one may have been killed between the two.
        await self._storage.reclaim()
        await self._storage.set_collected_epoch(epoch)
        return None

    async def collect(self, *, only_invalid: bool = False) -> Collected:
        """Deletes what is queued now; returns what it was."""
        queued = await self._storage.garbage()
        kept: Collection[bytes] = () if only_invalid else await self._kept()
        if only_invalid or kept:
            queued = [blob for blob in queued if await self._goes(blob, kept, only_invalid=only_invalid)]
        deleted = Collected()
        for start in range(0, len(queued), _BATCH):
            deleted += await self._storage.collect(queued[start : start + _BATCH])
        if deleted.blobs:
            _log.info(
                "blobs deleted",
                extra={"count": deleted.blobs, "slivers": deleted.slivers, "bytes": deleted.sliver_bytes},
            )
        return deleted

    async def _goes(self, blob_id: BlobId, kept: Collection[bytes], *, only_invalid: bool) -> bool:
        """Whether a queued blob goes now."""
        if not only_invalid and blob_id not in kept:
            return True
        return isinstance(await self._storage.blob_info(blob_id), InvalidBlob)
