"""How long-running work is run: a pass at a time, woken or after an interval, with back-off when the chain is away.

A loop is a `run_once` function; tests call it by itself. `repeat` calls it again and again: a `ChainError` and a
`DiskError` are waited out with exponential back-off, every other exception ends the loop and with it the process.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from walrus_node.errors import DiskError
from walrus_sui.errors import ChainError, NetworkConfigError

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

DISK_PAUSE_S = 5.0
"""A disk that refuses writes is tried this often at least: it costs nothing."""


class Wake:
    """A bell: `ring` ends the wait of one loop; rings while it works are remembered as one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._pause: asyncio.Timeout | None = None

    def ring(self) -> None:
        """Makes the next or the current `wait` return."""
        self._event.set()

    def ring_within(self, delay_s: float) -> None:
        """Makes the current `wait` return after so long at the latest.

        Without one nothing happens: the loop works, and says itself for how long it waits afterwards.
        """
        pause = self._pause
        if pause is None or pause.expired():
            return
        when, planned = asyncio.get_running_loop().time() + delay_s, pause.when()
        if planned is not None and when < planned:
            pause.reschedule(when)

    async def wait(self, timeout_s: float) -> bool:
        """Returns True when rung, False when `timeout_s` passed, or less if `ring_within` said so."""
        try:
            async with asyncio.timeout(timeout_s) as self._pause:
                await self._event.wait()
        except TimeoutError:
            return False
        finally:
            self._pause = None
        self._event.clear()
        return True


class Backoff:
    """Growing pauses with jitter: first_s, twice that, ... up to last_s, each shortened by up to a half."""

    def __init__(self, *, first_s: float, last_s: float, rng: random.Random) -> None:
        self._first_s, self._last_s, self._rng = first_s, last_s, rng
        self._failures = 0

    def next_s(self) -> float:
        """The pause after one more failure."""
        pause = min(self._last_s, self._first_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return pause * (0.5 + self._rng.random() / 2)

    def reset(self) -> None:
        """Starts anew after a success."""
        self._failures = 0


async def repeat(
    name: str,
    run_once: Callable[[], Awaitable[object]],
    *,
    interval_s: float,
    backoff: Backoff,
    wake: Wake | None = None,
) -> NoReturn:
    """Runs passes for ever.

    Args:
        name: for logs.
        run_once: one pass; may return the seconds until the next one as a float.
        interval_s: pause after a pass that succeeded and asked for no other, unless woken.
        backoff: pauses after `ChainError` and `DiskError`.
        wake: ends a pause early.
    """
    bell = wake or Wake()
    while True:
        try:
            wanted = await run_once()
        except ChainError as error:
            pause = backoff.next_s()
            _log.warning("a loop waits for the chain", extra=_facts(name, error, pause))
        except DiskError as error:
            pause = min(DISK_PAUSE_S, backoff.next_s())
            _log.warning("a loop waits for the disk", extra=_facts(name, error, pause))
        else:
            backoff.reset()
            pause = wanted if isinstance(wanted, float) else interval_s
        await bell.wait(pause)


async def until_done(name: str, attempt: Callable[[], Awaitable[_T]], *, backoff: Backoff) -> _T:
    """Tries again as long as the chain or the disk refuses; returns the first result."""
    while True:
        try:
            return await attempt()
        except (ChainError, NetworkConfigError, DiskError) as error:
            pause = backoff.next_s()
            _log.warning("waiting for the chain or the disk", extra=_facts(name, error, pause))
            await asyncio.sleep(pause)


async def together(*loops: Coroutine[Any, Any, NoReturn]) -> NoReturn:
    """Runs loops until one fails; the others are cancelled and the first failure is raised by itself.

    A loop that ends, or is cancelled by anybody but us, is a failure too: a task group would go on without it in silence.
    """
    parent = asyncio.current_task()
    failed = False

    async def guarded(loop: Coroutine[Any, Any, object]) -> None:
        nonlocal failed
        name = getattr(loop, "__qualname__", "unnamed")
        try:
            await loop
        except asyncio.CancelledError:
            if failed or (parent is not None and parent.cancelling()):
                raise
            failed = True
            raise AssertionError(f"the loop {name} was cancelled from outside") from None
        except BaseException:
            failed = True
            raise
        failed = True
        raise AssertionError(f"the loop {name} ended")

    try:
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(guarded(loop))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    raise AssertionError("loops do not end")


def _facts(name: str, error: Exception, pause: float) -> dict[str, object]:
    return {"loop": name, "error": str(error), "pause_s": round(pause, 1)}
