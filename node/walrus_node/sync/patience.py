"""How long a shard's previous owner is listened to that keeps to the form and brings nothing.

One that lets its slivers trickle in, or sends what nobody wants and what is wrong, would otherwise hold a shard up for ever,
because something always comes. Neither is told from honest bad luck: what the shard lacks is then recovered from all nodes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from walrus_client.errors import PeerTimeoutError

SLOWEST_BYTES_PER_S = 256 << 10
"""A batch, or all that is left, must come within `IDLE_S` and the time that this rate needs for it."""
FRUITLESS_SLIVERS = 10_000
FRUITLESS_BYTES = 64 << 20
"""After so much in a row of which nothing was wanted and right, what the shard lacks is recovered instead."""


class FruitlessError(Exception):
    """The source goes on and on with what nobody needs."""


@dataclass
class Fruitless:
    """What came in a row of which nothing was wanted and right."""

    slivers: int = 0
    bytes: int = 0

    def saw(self, slivers: int, size: int, *, good: bool) -> None:
        """A batch came; raises `FruitlessError` when it is too much."""
        if good:
            self.slivers = self.bytes = 0
            return
        self.slivers += slivers
        self.bytes += size
        if self.slivers >= FRUITLESS_SLIVERS or self.bytes >= FRUITLESS_BYTES:
            raise FruitlessError(f"of its last {self.slivers} slivers none was wanted and right")


class Pace:
    """How long a batch may take to come; our own work does not count. Leaving the block raises `PeerTimeoutError` if it took longer."""

    def __init__(self, source: str, idle_s: float, batch_bytes: int) -> None:
        """`source` is the node's name; `idle_s` are on top of what the slowest rate needs for a batch."""
        self._source = source
        self._batch_s = idle_s + batch_bytes / SLOWEST_BYTES_PER_S
        self._limit = asyncio.timeout(self._batch_s)

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            raise PeerTimeoutError(self._source, f"its slivers trickle in: no batch in {self._batch_s:.0f} s") from None

    def rest(self) -> None:
        """What has come is worked on."""
        self._limit.reschedule(None)

    def go_on(self) -> None:
        """The next batch is waited for."""
        self._limit.reschedule(asyncio.get_running_loop().time() + self._batch_s)
