"""How late this process's own event loop is while it measures others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

_STEP_S = 0.01


@dataclass
class Lag:
    """What was measured.

    Attributes:
        worst_us: microseconds that a timer came too late at worst.
    """

    worst_us: int = 0


@contextlib.asynccontextmanager
async def measured_lag() -> AsyncIterator[Lag]:
    """Measures while the block runs."""
    found, loop = Lag(), asyncio.get_running_loop()

    async def measure() -> None:
        while True:
            due = loop.time() + _STEP_S
            await asyncio.sleep(_STEP_S)
            found.worst_us = max(found.worst_us, round((loop.time() - due) * 1e6))

    task = asyncio.create_task(measure())
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
