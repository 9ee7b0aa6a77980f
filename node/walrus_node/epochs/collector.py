"""Garbage collection, phase 2: deletes the data of blobs that nothing keeps alive.

Phase 1 happens with the events (`events.rules`): objects whose time is over leave the counts, and blob ids without any
live object are queued in the same batch. Here the queue is worked off in the background, each blob in one batch that
first looks again (`Storage.collect`): a blob that was registered anew in the meantime keeps its data. The queue is on
disk, so a restart continues. Nodes wait different times after an epoch change, so that they do not all delete at once;
blobs that were proved invalid go at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from walrus_codec.types import Epoch
from walrus_node.epochs import rules
from walrus_node.store.records import InvalidBlob
from walrus_node.store.storage import Storage

_log = logging.getLogger(__name__)


class Collector:
    """Works the queue off after each epoch change."""

    def __init__(
        self,
        *,
        storage: Storage,
        network_public_key: bytes,
        epoch_duration_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Takes what it acts on.

        Args:
            storage: where the queue is.
            network_public_key: seeds this node's delays.
            epoch_duration_ms: length of an epoch, as known now.
            sleep: waits the given seconds.
        """
        self._storage = storage
        self._public_key = network_public_key
        self._epoch_duration_ms = epoch_duration_ms
        self._sleep = sleep

    async def run_once(self, epoch: Epoch) -> int:
        """Waits this node's delay in `epoch`, then deletes what is queued; returns the number of blobs deleted."""
        if not await self._storage.garbage():
            return 0
        delay_ms = rules.collection_delay_ms(self._public_key, epoch, self._epoch_duration_ms())
        await self._sleep(delay_ms / 1000)
        return await self.collect()

    async def collect(self, *, only_invalid: bool = False) -> int:
        """Deletes what is queued now; returns the number of blobs deleted."""
        deleted = 0
        for blob_id in await self._storage.garbage():
            if only_invalid and not isinstance(await self._storage.blob_info(blob_id), InvalidBlob):
                continue
            deleted += await self._storage.collect(blob_id)
        if deleted:
            _log.info("blobs deleted", extra={"count": deleted})
        return deleted
