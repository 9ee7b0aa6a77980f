"""Runs passes: takes due networks from the `DirtyQueue` and works on several of them at once, never twice on one."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from walrus_operator.runtime.dirty import DirtyQueue
from walrus_operator.runtime.gauges import gauge
from walrus_sui.telemetry import names

log = logging.getLogger(__name__)

Reconcile = Callable[[str], Awaitable[float | None]]
"""One pass over a network: seconds until the next look, or None when the network is gone."""

CONCURRENCY = 4


def first_cause(error: Exception) -> Exception:
    """The first of the errors of calls that ran together: a group's own text says nothing."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


class Worker:
    """The shell around the queue.

    Args:
        reconcile: Runs one pass.
        clock: Steady seconds; a virtual clock in tests.
    """

    def __init__(self, reconcile: Reconcile, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._reconcile = reconcile
        self._clock = clock
        self._queue = DirtyQueue(jitter=random.Random().random)  # noqa: S311  (jitter, no secret)
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.last_turn = clock()
        """When the loop last came round, for the liveness probe."""
        gauge(names.OPERATOR_QUEUE_DEPTH, lambda: len(self._queue), description="Networks that are looked after.")

    def mark(self, key: str) -> None:
        """Something happened to this network."""
        self._queue.mark(key, self._clock())
        self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set, then waits for the passes that are under way (they are short or cancelled)."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self.last_turn = self._clock()
                self._start_due()
                await self._sleep(stopped)
        finally:
            stopped.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_due(self) -> None:
        while len(self._tasks) < CONCURRENCY:
            key = self._queue.take(self._clock())
            if key is None:
                return
            task = asyncio.create_task(self._one(key), name=f"pass over {key}")
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()

    async def _sleep(self, stopped: asyncio.Future[Literal[True]]) -> None:
        """Until something is due, changed or stopped; at most a few seconds, so that `last_turn` stays young."""
        wait = self._queue.wait(self._clock()) if len(self._tasks) < CONCURRENCY else None
        changed = asyncio.ensure_future(self._changed.wait())
        timeout = 5.0 if wait is None else min(5.0, wait)
        waiting: set[asyncio.Future[Any]] = {changed, stopped}
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        self._changed.clear()

    async def _one(self, key: str) -> None:
        try:
            again_after = await self._reconcile(key)
        except Exception as error:
            pause = self._queue.failed(key, self._clock())
            first = first_cause(error)
            log.warning("pass over %s failed, again in %.1f s: %s", key, pause, str(first) or type(first).__name__)
            return
        if again_after is None:
            # In this order: what was marked meanwhile, such as a new network of the same name, gets its pass.
            self._queue.forget(key)
            self._queue.succeeded(key, self._clock(), again_after=0.0)
        else:
            self._queue.succeeded(key, self._clock(), again_after=again_after)
