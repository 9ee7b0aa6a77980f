"""A shard for its new owner: the previous one sends its slivers in ascending order of blob ids.

Life of a request: the envelope was checked (a member of the current committee); the epoch must be the one that this
node's events have reached, because only then both sides know the same blobs; the asker must own the shard now. Then
pages go out, of at most a mebibyte or one sliver each, of blobs that were certified before the epoch. Users come first: a
page is admitted as background work, and follows the one before it after a pause while reads or writes are served.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from walrus_client.peers import wire
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Axis, Epoch, NodeId, ShardIndex
from walrus_node.challenges.feeding import Feeding
from walrus_node.events.processor import EventProcessor
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.rules import Lane
from walrus_node.store.storage import Storage
from walrus_node.store.transfers import SliverPage
from walrus_sui.types import CommitteeMember

PAGE_BYTES = 1 << 20
_PAGE_SLIVERS = 1024
_STREAMS = 8
_STREAMS_PER_ASKER = 4
_BUSY_S = 1.0
_COURTESY_S = 0.02
"""Pause before a page while users are served: some 30 MiB/s go out also while somebody always reads."""


@dataclass(frozen=True)
class ShardQuery:
    """What the new owner asks for (`walrus.node.v1.SyncShardQuery`)."""

    shard: ShardIndex
    axis: Axis
    start: bytes
    count: int
    epoch: Epoch


class ShardService:
    """The handler; one per process.

    Args:
        storage: what is kept.
        processor: the epoch that the events have reached.
        gate: memory for pages.
        feeding: who gets nothing while challenges are under way.
    """

    def __init__(self, *, storage: Storage, processor: EventProcessor, gate: Gate, feeding: Feeding) -> None:
        self._feeding = feeding
        self._storage = storage
        self._processor = processor
        self._gate = gate
        self._streams: Counter[NodeId] = Counter()

    async def pages(self, query: ShardQuery, *, asker: CommitteeMember) -> AsyncGenerator[SliverPage]:
        """Yields the slivers page by page; the last page has no `next_id` when there are no more.

        Raises:
            RequestRefused: INVALID_EPOCH, REQUEST_UNAUTHORIZED, SLIVER_COUNT_EXCEEDS_LIMIT, SHARD_NOT_ASSIGNED,
                CHALLENGE_WINDOW, CACHE_SATURATED.
        """
        self._check(query, asker)
        with self._stream_of(asker.node_id):
            start, left = query.start, query.count
            while left:
                await self._feeding.check_shard(asker, query.shard)
                if any(self._gate.used(lane) for lane in (Lane.READ, Lane.WRITE)):
                    await asyncio.sleep(_COURTESY_S)
                async with self._gate.admitted(Lane.BACKGROUND, asker.node_id, PAGE_BYTES):
                    page = await self._storage.sliver_page(
                        query.shard, query.axis, start, query.epoch, min(left, _PAGE_SLIVERS), PAGE_BYTES
                    )
                    # Shard and epoch may have changed meanwhile: an end that is none would lose slivers.
                    self._check(query, asker)
                    left -= len(page.slivers)
                    yield page
                if page.next_id is None:
                    return
                start = page.next_id
                del page

    def _check(self, query: ShardQuery, asker: CommitteeMember) -> None:
        if query.epoch != self._processor.epoch:
            raise RequestRefused(
                Reason.INVALID_EPOCH,
                f"the request is for epoch {query.epoch}, this node's events have reached epoch {self._processor.epoch}",
                {"request_epoch": str(query.epoch), "server_epoch": str(self._processor.epoch)},
            )
        if query.shard not in asker.shards:
            raise RequestRefused(
                Reason.REQUEST_UNAUTHORIZED, f"shard {query.shard} does not belong to {asker.name} in this epoch"
            )
        if query.count > wire.MAX_SYNC_SLIVERS:
            raise RequestRefused(
                Reason.SLIVER_COUNT_EXCEEDS_LIMIT,
                f"{query.count} slivers were asked for, {wire.MAX_SYNC_SLIVERS} at most are sent at once",
                {"limit": str(wire.MAX_SYNC_SLIVERS)},
            )
        if query.shard not in self._storage.shards:
            raise RequestRefused(Reason.SHARD_NOT_ASSIGNED, f"shard {query.shard} is not stored here")

    @contextlib.contextmanager
    def _stream_of(self, asker: NodeId) -> Iterator[None]:
        if self._streams[asker] >= _STREAMS_PER_ASKER or self._streams.total() >= _STREAMS:
            raise RequestRefused(
                Reason.CACHE_SATURATED,
                f"{self._streams.total()} shards are being sent already; try again later",
                retry_after_s=_BUSY_S,
            )
        self._streams[asker] += 1
        try:
            yield
        finally:
            self._streams[asker] -= 1
            self._streams += Counter()  # forgets those that have none
