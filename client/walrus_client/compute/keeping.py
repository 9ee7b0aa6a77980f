"""Keeps shared memory between jobs, so that its pages are faulted in once and not for every blob.

Measured with 150 MB, the encoding of a blob of 32 MiB: touching fresh pages takes 60 to 400 ms, more on a busy machine,
in each process that maps them; pages that are there already cost nothing.

Life of kept memory: `take` hands it out as a `Segment` with room to grow; when the segment is closed and the last view
of it is gone, wherever that is, it comes back by itself and waits for the next `take` of a like size. What would exceed
`most` bytes, and everything at `drop`, goes back to the system.

Kept memory holds what was in it before: whoever takes it writes every byte that is read afterwards.
"""

from __future__ import annotations

import threading

from walrus_client.compute.segments import Memory, Segment

MOST_KEPT = 192 << 20
"""Bytes that wait for their next use: one encoding of 32 MiB over 100 shards, with room."""

_SMALLEST = 1 << 20
"""Less than this costs less than looking for it."""


class SegmentKeeper:
    """Segments for one process; any thread may let go of one.

    Args:
        most: bytes of unused memory that are kept.
    """

    def __init__(self, *, most: int = MOST_KEPT) -> None:
        self._most = most
        # Memory comes back where its last view goes, which may be inside of a garbage collection inside of this class.
        self._lock = threading.RLock()
        self._kept: list[Memory] = []
        self._lent = 0
        self._for_good = False

    @property
    def kept(self) -> int:
        """Bytes that are kept now."""
        with self._lock:
            return sum(memory.capacity for memory in self._kept)

    @property
    def idle(self) -> bool:
        """True when nothing is kept and nothing can come back."""
        with self._lock:
            return not self._kept and not self._lent

    def take(self, size: int, *, room: int = 0, name: str = "walrus") -> Segment:
        """A segment of `size` bytes that can grow to `room` in place. Its bytes are anything; blocks for fresh pages."""
        wanted = max(size, room)
        if not _SMALLEST <= wanted <= self._most:
            return Segment.create(size, name=name)
        memory = self._find(wanted)
        if memory is None:
            memory = Memory.create(wanted, name=name)
            memory.allocate()
        with self._lock:
            self._lent += 1
        return Segment(memory, size, self._come_back)

    def drop(self, *, for_good: bool = False) -> None:
        """Gives everything that waits back to the system; with `for_good` nothing is kept from now on."""
        with self._lock:
            self._for_good = self._for_good or for_good
            dropped, self._kept = self._kept, []
        for memory in dropped:
            memory.close()

    def _find(self, wanted: int) -> Memory | None:
        """The newest one that is large enough, and not more than twice as large."""
        with self._lock:
            for memory in reversed(self._kept):
                if wanted <= memory.capacity <= 2 * wanted:
                    self._kept.remove(memory)
                    return memory
        return None

    def _come_back(self, memory: Memory) -> None:
        with self._lock:
            self._lent -= 1
            if self._for_good:
                memory.close()
                return
            self._kept.append(memory)
            while self.kept > self._most:
                self._kept.pop(0).close()
