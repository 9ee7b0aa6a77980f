"""A budget of bytes: bounds how much memory concurrent work may hold, first come first served.

Life of a reservation: `reserve(size)` waits until the bytes are free, the work runs, the bytes return. A single
piece of work larger than the whole budget is let in when nothing else runs, because refusing it for ever would help
nobody. `try_reserve` never waits: it is for callers that rather refuse than queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import Self


class ByteBudget:
    """Counts bytes in use against a capacity; single event loop, no threads."""

    def __init__(self, capacity: int) -> None:
        if capacity <= 0:
            raise ValueError("the capacity of a byte budget must be positive")
        self.capacity = capacity
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """Bytes reserved now; above `capacity` only while one oversized piece runs alone."""
        return self._used

    @property
    def waiting(self) -> int:
        """Number of reservations that wait."""
        return len(self._waiting)

    def try_reserve(self, size: int) -> bool:
        """Takes the bytes if they are free and nobody waits; the caller must `release` them."""
        if self._waiting or not self._fits(size):
            return False
        self._used += size
        return True

    def release(self, size: int) -> None:
        """Gives bytes back and lets in those who wait, in order."""
        self._used -= size
        while self._waiting:
            wanted, future = self._waiting[0]
            if future.done():
                self._waiting.popleft()
                continue
            if not self._fits(wanted):
                return
            self._waiting.popleft()
            self._used += wanted
            future.set_result(None)

    @contextlib.asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Holds `size` bytes while the block runs; waits for them as long as the caller lets it."""
        await self.acquire(size)
        try:
            yield
        finally:
            self.release(size)

    async def acquire(self, size: int) -> None:
        """Waits for the bytes and takes them; the caller must `release` them."""
        if self.try_reserve(size):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, future))
        try:
            await future
        except asyncio.CancelledError:
            # The grant and the cancellation may meet: then the bytes are ours and must go back.
            if future.done() and not future.cancelled():
                self.release(size)
            else:
                future.cancel()
                self.release(0)
            raise

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self.capacity


class Place:
    """One piece at a time of a budget, taken by one task and given back by another: leaving the block frees what is held.

    Args:
        budget: whose bytes; without one nothing is bounded.
    """

    def __init__(self, budget: ByteBudget | None) -> None:
        self._budget = budget
        self._held = 0
        self._left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self._left = True
        self._give_back()

    async def take(self, size: int) -> bool:
        """Gives back the piece before, waits for the next one; False when the block was left meanwhile."""
        self._give_back()
        if self._budget is not None:
            await self._budget.acquire(size)
            self._held = size
            if self._left:
                self._give_back()
        return not self._left

    def _give_back(self) -> None:
        if self._budget is not None and self._held:
            self._budget.release(self._held)
        self._held = 0
