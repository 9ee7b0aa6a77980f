"""Whether there is room for an upload: asks disk and store, remembers what was let in, tries to revive what failed.

Life of an upload here: `check` says no before any of its bytes are taken; `pending` counts it until it has ended, so that
many at once do not overrun what each alone would fit into. `run_once` is called now and then: it notices that the disk has
come back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from walrus_node.store import rules
from walrus_node.store.rules import Condition, Room
from walrus_node.store.storage import Storage

WATCH_INTERVAL_S = 5.0
_REVIVE_INTERVAL_S = 1.0


class RoomKeeper:
    """One per process.

    Args:
        storage: what is filled.
        free: bytes that the disk has left.
        capacity: bytes that the node offers on chain.
        reserve: bytes of disk that uploads must leave.
    """

    def __init__(self, storage: Storage, *, free: Callable[[], int], capacity: int, reserve: int) -> None:
        self._storage = storage
        self._free = free
        self._capacity = capacity
        self._reserve = reserve
        self._pending = 0
        self._last_free = free()
        self._condition = Condition.OK
        self._condition = rules.condition(self.room)

    @property
    def room(self) -> Room:
        """What is known now."""
        return Room(
            capacity=self._capacity,
            stored=self._storage.bytes_stored,
            free=self._last_free,
            reserve=self._reserve,
            pending=self._pending,
            fault=self._storage.fault,
        )

    @property
    def condition(self) -> Condition:
        """Whether uploads are taken now, as far as was looked lately."""
        return self._condition if self._storage.fault is None else Condition.DISK_FAILING

    @property
    def message(self) -> str:
        """What is wrong and what to do; empty when all is well."""
        return rules.explain(self.condition, self.room)

    async def check(self, size: int) -> tuple[Condition, str]:
        """Looks whether `size` bytes may come; returns OK, or what is wrong and a sentence about it."""
        await self._look()
        found = rules.condition(self.room, size, before=self._condition)
        return found, rules.explain(found, self.room)

    @contextlib.contextmanager
    def pending(self, size: int) -> Iterator[None]:
        """Counts an upload that was let in while the block runs."""
        self._pending += size
        try:
            yield
        finally:
            self._pending -= size

    async def run_once(self) -> float:
        """Looks, and revives the store if it failed; returns seconds until the next pass."""
        await self._look()
        if self._storage.fault is None or await self._storage.revive():
            return WATCH_INTERVAL_S
        return _REVIVE_INTERVAL_S

    async def _look(self) -> None:
        # In a thread: the file system may be one over a network, and hang.
        self._last_free = await asyncio.to_thread(self._free)
        self._condition = rules.condition(self.room, before=self._condition)
