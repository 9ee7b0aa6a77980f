"""What becomes of a store whose client goes away before it has the answer.

    client waits ──────────────────────────────► answer
       │ goes away before anything is paid for: the store stops, its memory is free
       └ goes away after that: the store goes on ─► its result waits for the same request, for a while

A store that is paid for is finished, because the money would be lost otherwise when the client does not come back; and a
client that comes back (its connection broke, a proxy had no more patience) gets the store that is under way, or its
result, instead of paying for another one. The same request is one for the same bytes with the same parameters.

Stores without a client count as requests under way until they end, hold their memory until then, and are cut off like
requests when the gateway stops; what they have paid for is found in the wallet at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.store import BeforePaying, NewlyCreated, StoreOptions, StoreResult
from walrus_codec.types import BlobId, Epoch

_log = logging.getLogger(__name__)

KEPT_S = 600.0
"""How long a result waits for its client."""
MOST_KEPT = 1000
"""Results that wait, and stores that go on; the oldest are forgotten first, and only forgotten."""

_Key = tuple[BlobId, StoreOptions]


class PaidStores:
    """Runs stores on behalf of requests; single event loop.

    Args:
        under_way: Counts what runs.
        kept_s: How long a result waits for its client.
    """

    def __init__(self, under_way: RequestsUnderWay, *, kept_s: float = KEPT_S) -> None:
        self._under_way = under_way
        self._kept_s = kept_s
        self._running: set[asyncio.Task[StoreResult]] = set()
        self._left: OrderedDict[_Key, asyncio.Task[StoreResult]] = OrderedDict()

    async def run(
        self, options: StoreOptions, store: Callable[[BeforePaying], Coroutine[Any, Any, StoreResult]]
    ) -> StoreResult:
        """Runs a store to its end; when the caller is cancelled, only if it is paid for.

        Args:
            options: Of the request.
            store: Makes the store; it is given what to call before it pays.
        """
        asked = _Asked(options, self._join)
        task = asyncio.ensure_future(self._counted(store(asked.before_paying)))
        self._running.add(task)
        task.add_done_callback(lambda _task: self._ended(asked.key, task))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if asked.key is not None and not task.cancelled():
                self._leave(asked.key, task)
            else:
                task.cancel()
                await asyncio.wait([task])
            raise

    async def close(self) -> None:
        """Cuts off what still runs."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._left.clear()

    async def _counted(self, store: Coroutine[Any, Any, StoreResult]) -> StoreResult:
        with self._under_way.one_more():
            return await store

    def _leave(self, key: _Key, task: asyncio.Task[StoreResult]) -> None:
        """Nobody waits for this one any more; the next same request may have it."""
        self._left[key] = task
        while len(self._left) > MOST_KEPT:
            self._left.popitem(last=False)
        if task.done():
            self._ended(key, task)

    def _ended(self, key: _Key | None, task: asyncio.Task[StoreResult]) -> None:
        self._running.discard(task)
        failure = None if task.cancelled() else task.exception()
        if key is None or self._left.get(key) is not task:
            return  # its client hears of it
        if not task.cancelled() and failure is None:
            asyncio.get_running_loop().call_later(self._kept_s, self._forget, key, task)
            return
        del self._left[key]
        if failure is not None:
            facts = {"cause": str(failure)}
            _log.warning("a store whose client had gone away failed; what it has paid for is kept", extra=facts)

    def _forget(self, key: _Key, task: asyncio.Task[StoreResult]) -> None:
        if self._left.get(key) is task:
            del self._left[key]

    async def _join(self, key: _Key, until: Epoch) -> StoreResult | None:
        """The result of the same request, if its store lasts until epoch `until`; None when there is none."""
        task = self._left.pop(key, None)
        if task is None:
            return None
        try:
            result = await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                self._leave(key, task)
            raise
        except Exception:
            return None  # what it has paid for is used now
        return result if _end_epoch(result) >= until else None


class _Asked:
    """One request; it has a key from the moment on that it is paid for."""

    def __init__(self, options: StoreOptions, join: Callable[[_Key, Epoch], Awaitable[StoreResult | None]]) -> None:
        self._options = options
        self._join = join
        self.key: _Key | None = None

    async def before_paying(self, blob_id: BlobId, until: Epoch) -> StoreResult | None:
        key = (blob_id, self._options)
        result = await self._join(key, until)
        self.key = key
        return result


def _end_epoch(result: StoreResult) -> Epoch:
    return result.blob.storage.end_epoch if isinstance(result, NewlyCreated) else result.end_epoch
