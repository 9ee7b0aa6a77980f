"""This node's records, for one whose chain has pruned the events behind them.

Life of a request: the asker names the newest checkpoint of the chain, which this node's events must reach first; then
the records go out in steps, as background work, and few lists at a time, fewer still to one client. A node that is itself
making its records anew says nothing. The records are no secret, every follower of the chain has them: so anybody may ask,
and who asks may be no member yet.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterator

from walrus_client.reasons import Reason, RequestRefused
from walrus_client.records import RawRecord
from walrus_node.events.processor import EventProcessor
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.rules import Lane
from walrus_node.store.records import NodeStatus
from walrus_node.store.storage import Storage

PAGE_RECORDS = 2000
PAGE_BYTES = 1 << 20
"""More than such a page ever has."""
WAIT_S = 10.0
MAX_AHEAD = 256
"""Checkpoints that this node may lack for the wait to be worth it; about a minute's."""
MAX_LISTS = 8
MAX_LISTS_OF_ONE = 2
_BUSY_S = 5.0


class RecordService:
    """The handler; one per process.

    Args:
        storage: whose records.
        processor: how far the events are.
        gate: memory for pages.
        wait_s: how long a request waits for its checkpoint.
    """

    def __init__(self, *, storage: Storage, processor: EventProcessor, gate: Gate, wait_s: float = WAIT_S) -> None:
        self._storage = storage
        self._processor = processor
        self._gate = gate
        self._wait_s = wait_s
        self._lists: Counter[str] = Counter()

    async def pages(self, checkpoint: int, *, client: str) -> AsyncGenerator[tuple[list[RawRecord], bool]]:
        """Yields all records in order, page by page, and with each page whether it is the last.

        Raises:
            RequestRefused: UNAVAILABLE, CACHE_SATURATED.
        """
        with self._one_list(client):
            await self._check(checkpoint)
            after = None
            while True:
                async with self._gate.admitted(Lane.BACKGROUND, client, PAGE_BYTES):
                    page = await self._storage.records_after(after, PAGE_RECORDS)
                    yield page, len(page) < PAGE_RECORDS
                if len(page) < PAGE_RECORDS:
                    return
                after = page[-1].key

    async def _check(self, checkpoint: int) -> None:
        gap = NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY
        if self._processor.replaying or (await self._storage.node_state()).status is gap:
            raise RequestRefused(
                Reason.UNAVAILABLE, "this node makes its own records anew; ask others", retry_after_s=_BUSY_S
            )
        cursor = self._processor.cursor
        far = checkpoint > MAX_AHEAD + (cursor.sequence if cursor is not None else -1)
        if far or not await self._processor.wait_applied(checkpoint, timeout_s=self._wait_s):
            raise RequestRefused(
                Reason.UNAVAILABLE,
                f"this node's events have not reached checkpoint {checkpoint} yet; ask again later",
                retry_after_s=_BUSY_S,
            )

    @contextlib.contextmanager
    def _one_list(self, client: str) -> Iterator[None]:
        if self._lists.total() >= MAX_LISTS or self._lists[client] >= MAX_LISTS_OF_ONE:
            raise RequestRefused(
                Reason.CACHE_SATURATED,
                f"{MAX_LISTS} lists are being sent already, or {MAX_LISTS_OF_ONE} to you; try again later",
                retry_after_s=_BUSY_S,
            )
        self._lists[client] += 1
        try:
            yield
        finally:
            self._lists[client] -= 1
            self._lists = +self._lists  # forgets who has none left
