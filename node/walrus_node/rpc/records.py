"""This node's records, for one whose chain has pruned the events behind them.

Life of a request: the asker names the newest checkpoint of the chain, which this node's events must reach first; then
the records go out in steps, as background work, and few lists at a time. A node that is itself making its records anew
says nothing. The records are no secret, every follower of the chain has them: so anybody may ask.
"""

from __future__ import annotations

import contextlib
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
_WAIT_S = 10.0
_LISTS = 4
_BUSY_S = 5.0


class RecordService:
    """The handler; one per process.

    Args:
        storage: whose records.
        processor: how far the events are.
        gate: memory for pages.
    """

    def __init__(self, *, storage: Storage, processor: EventProcessor, gate: Gate) -> None:
        self._storage = storage
        self._processor = processor
        self._gate = gate
        self._lists = 0

    async def pages(self, checkpoint: int, *, client: str) -> AsyncGenerator[tuple[list[RawRecord], bool]]:
        """Yields all records in order, page by page, and with each page whether it is the last.

        Raises:
            RequestRefused: UNAVAILABLE, CACHE_SATURATED.
        """
        with self._one_list():
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
        if not await self._processor.wait_applied(checkpoint, timeout_s=_WAIT_S):
            raise RequestRefused(
                Reason.UNAVAILABLE,
                f"this node's events have not reached checkpoint {checkpoint} yet; ask again later",
                retry_after_s=_BUSY_S,
            )

    @contextlib.contextmanager
    def _one_list(self) -> Iterator[None]:
        if self._lists >= _LISTS:
            raise RequestRefused(
                Reason.CACHE_SATURATED, f"{_LISTS} lists are being sent already; try again later", retry_after_s=_BUSY_S
            )
        self._lists += 1
        try:
            yield
        finally:
            self._lists -= 1
