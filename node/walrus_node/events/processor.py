"""Applies checkpoints to the store, exactly once each, and tells who waits for what.

Life of a checkpoint: the follower delivers it in order, the writer thread applies its events to a working set and
commits effects and cursor together; only then are waiting uploads and the epoch's loops told. A crash before the commit
leaves the checkpoint to be delivered again; one after it continues with the next.

Most checkpoints of a quiet chain hold nothing for the node. Such a one is only remembered, and written now and then, so
that neither an idle node's processor nor a slow disk has to do something four times a second; after a crash a few of them
are looked at once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from walrus_codec.types import BlobId, Epoch
from walrus_node.events import history, rules
from walrus_node.store.blob_records import ValidBlob
from walrus_node.store.records import Cursor
from walrus_node.store.storage import Storage
from walrus_sui.events import (
    BlobCertified,
    EpochChangeDone,
    EpochChangeStart,
    EpochParametersSelected,
    Event,
    EventId,
    InvalidBlobId,
    PooledBlobCertified,
)

_log = logging.getLogger(__name__)

EMPTY_MS = 2000
EMPTY_COUNT = 20
"""Chain time, and number, of empty checkpoints after which the cursor is written."""

_EPOCH_EVENTS = (EpochChangeStart, EpochChangeDone, EpochParametersSelected)


@dataclass(frozen=True)
class Heard:
    """What one checkpoint brought besides records.

    Attributes:
        epoch_events: whether the chain's epoch or its phase changed.
        epoch_started: whether a new epoch began.
        invalid_blobs: whether blob ids were proved invalid.
        certified: blob ids of which an object was certified.
    """

    epoch_events: bool = False
    epoch_started: bool = False
    invalid_blobs: bool = False
    certified: tuple[BlobId, ...] = ()


class EventProcessor:
    """The one who applies checkpoints; everybody else asks it how far it is."""

    def __init__(self, storage: Storage, *, cursor: Cursor | None, replay_until: int = -1) -> None:
        """Continues behind `cursor`; the records may show events already until checkpoint `replay_until`.

        Both are those that the store holds.
        """
        self._storage = storage
        self._cursor = self._stored = cursor
        self._replay_until = replay_until
        self._following: set[tuple[int, asyncio.Future[None]]] = set()
        self._listeners: list[Callable[[Heard], None]] = []
        self._waiting: defaultdict[BlobId, set[asyncio.Future[None]]] = defaultdict(set)
        self._clock_offset_s: float | None = None
        self._at_epoch_start: list[Callable[[Epoch], Awaitable[None]]] = []

    @property
    def cursor(self) -> Cursor | None:
        """The last applied checkpoint; the one in the store may be some empty ones behind."""
        return self._cursor

    @property
    def epoch(self) -> Epoch:
        """The epoch that the events have reached."""
        return self._cursor.epoch if self._cursor is not None else Epoch(0)

    @property
    def replaying(self) -> bool:
        """Whether the records were made anew from those of other nodes, which were ahead of us, and still are."""
        return self._cursor is not None and self._cursor.sequence < self._replay_until

    def restart(self, cursor: Cursor, *, replay_until: int) -> None:
        """Goes on from records that were made anew (`Storage.replace_history`)."""
        self._cursor = self._stored = cursor
        self._replay_until = replay_until

    def chain_now_ms(self) -> int:
        """The chain's clock: time of the newest checkpoint plus what has passed since.

        Before the first one since the start it is ours, but never earlier than what was heard before: a devnet's clock may
        be ahead of ours, and who sleeps until a moment of that clock would sleep for as long.
        """
        if self._clock_offset_s is None:
            heard_ms = self._cursor.timestamp_ms if self._cursor is not None else 0
            return max(round(time.time() * 1000), heard_ms)
        return round((time.monotonic() + self._clock_offset_s) * 1000)

    async def apply(self, sequence: int, timestamp_ms: int, events: Iterable[tuple[EventId, Event]]) -> None:
        """Applies one checkpoint; one that was applied before is skipped.

        Raises:
            EventConflictError: its events cannot follow what is stored.
            StoreError: the database failed, or checkpoints are missing.
        """
        if self._cursor is not None and sequence <= self._cursor.sequence:
            return
        ordered = tuple(events)
        if not ordered and self._may_wait(sequence, timestamp_ms):
            self._reached(Cursor(sequence, timestamp_ms, self.epoch))
            return
        rule = history.replay_all if sequence <= self._replay_until else rules.apply_all
        working = await self._storage.apply(
            sequence,
            timestamp_ms,
            lambda records: rule(records, ordered),
            behind=self._cursor.sequence if self._cursor is not None else None,
        )
        if working.epoch != working.first_epoch and sequence > self._replay_until:
            # While replaying, the records show more than that checkpoint: nobody else would find the same in them.
            for hook in self._at_epoch_start:
                await hook(working.epoch)
        self._stored = Cursor(sequence, timestamp_ms, working.epoch)
        self._reached(self._stored)
        for blob_id in working.touched & self._waiting.keys():
            for future in self._waiting.pop(blob_id):
                if not future.done():
                    future.set_result(None)
        heard = Heard(
            epoch_events=any(isinstance(event, _EPOCH_EVENTS) for _id, event in ordered),
            epoch_started=any(isinstance(event, EpochChangeStart) for _id, event in ordered),
            invalid_blobs=any(isinstance(event, InvalidBlobId) for _id, event in ordered),
            certified=tuple(
                event.blob_id
                for _id, event in ordered
                if isinstance(event, PooledBlobCertified)
                or (isinstance(event, BlobCertified) and not event.is_extension)
            ),
        )
        for listener in self._listeners:
            listener(heard)

    def _reached(self, cursor: Cursor) -> None:
        """A checkpoint is applied."""
        self._cursor = cursor
        self._clock_offset_s = cursor.timestamp_ms / 1000 - time.monotonic()
        for entry in [entry for entry in self._following if entry[0] <= cursor.sequence]:
            self._following.discard(entry)
            if not entry[1].done():
                entry[1].set_result(None)

    def _may_wait(self, sequence: int, timestamp_ms: int) -> bool:
        """Whether an empty checkpoint needs not be written yet."""
        stored, last = self._stored, self._cursor
        return (
            stored is not None
            and last is not None
            and sequence == last.sequence + 1
            and sequence - stored.sequence < EMPTY_COUNT
            and timestamp_ms - stored.timestamp_ms < EMPTY_MS
        )

    def listen(self, listener: Callable[[Heard], None]) -> None:
        """Has `listener` called after each checkpoint that is written; it must neither block nor raise."""
        self._listeners.append(listener)

    def at_epoch_start(self, hook: Callable[[Epoch], Awaitable[None]]) -> None:
        """Has `hook` awaited when an epoch's first checkpoint is stored, before the next one is; it must not raise.

        Not for an epoch that begins while the records of other nodes show later events already.
        """
        self._at_epoch_start.append(hook)

    async def wait_applied(self, sequence: int, *, timeout_s: float) -> bool:
        """Whether a checkpoint is applied, after waiting for it for at most `timeout_s`."""
        if self._cursor is not None and self._cursor.sequence >= sequence:
            return True
        entry = sequence, asyncio.get_running_loop().create_future()
        self._following.add(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await entry[1]
        except TimeoutError:
            return False
        finally:
            self._following.discard(entry)
        return True

    async def wait_registered(self, blob_id: BlobId, *, timeout_s: float) -> bool:
        """Whether the blob is registered in the node's epoch, after waiting for its event for at most `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not await self._is_registered(blob_id):
                    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting[blob_id].add(future)
                    try:
                        # Once more: the event may have come between the look and the entry in the list.
                        if await self._is_registered(blob_id):
                            return True
                        await future
                    finally:
                        self._leave(blob_id, future)
                return True
        return await self._is_registered(blob_id)

    async def _is_registered(self, blob_id: BlobId) -> bool:
        info = await self._storage.blob_info(blob_id)
        return isinstance(info, ValidBlob) and info.is_registered(self.epoch)

    def _leave(self, blob_id: BlobId, future: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(blob_id)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[blob_id]
