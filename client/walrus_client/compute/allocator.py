"""Lets what is allocated for an encoding go back to the system, block by block, when it is freed.

glibc takes a block above a threshold from the system by itself: pages of it that nobody writes cost nothing, and freeing
it gives it back. Smaller ones come out of the heap, which is faster, but keeps what is freed, and hands out pages that
were used before. By default the threshold grows to the size of whatever block was freed, up to 32 MiB. The RS2 library
reserves more room for each sliver than it needs; out of the heap, a blob that it encoded took seven times its size
instead of four and a half, and much of it stayed afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_APART = 128 << 10
"""Where glibc's threshold begins."""
_TOGETHER = 32 << 20
"""Where it ends."""

_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def large_blocks_apart() -> Iterator[None]:
    """While the block runs, every large allocation of the process is one of its own; nothing with another C library."""
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _users  # noqa: PLW0603 - as the allocator is of the whole process
    with _lock, contextlib.suppress(AttributeError, OSError):
        _users += change
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _APART if _users else _TOGETHER)
        # Whoever sets one threshold must set the other one, which no longer follows it.
        library.mallopt(_M_TRIM_THRESHOLD, 2 * _TOGETHER)
