"""Anonymous shared memory that travels between processes as a file descriptor.

Life of a segment: one side creates it, writes through `view`, sends the descriptor over a Unix socket; the other side
maps the same pages. Nothing has a name, so nothing is left behind when a process is killed; the pages go back to the
system when the last mapping and the last descriptor are gone, or wait for their next use (`keeping`).

Why not `multiprocessing.shared_memory`: that lives in /dev/shm, which a container limits to 64 MiB by default, and a
process that writes past it is killed by SIGBUS. A memory file counts against the container's memory limit only.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np


class Memory:
    """A memory file and its mapping in this process."""

    def __init__(self, fd: int, capacity: int) -> None:
        """Takes over `fd`, a memory file of at least `capacity` bytes."""
        self._fd = fd
        self.capacity = capacity
        self._map: mmap.mmap | None = None

    @classmethod
    def create(cls, capacity: int, *, name: str) -> Self:
        """Makes a new one, all zeros."""
        fd = _memory_file(name)
        try:
            if capacity:
                os.ftruncate(fd, capacity)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, capacity)

    @property
    def fd(self) -> int:
        """The descriptor, to be sent to another process. It stays ours."""
        if self._fd < 0:
            raise ValueError("the segment is closed")
        return self._fd

    def allocate(self) -> None:
        """Takes all pages from the system now: a third of the time that touching each would take; blocking."""
        with contextlib.suppress(OSError):  # the file system may not know how; then each page is taken when touched
            os.posix_fallocate(self.fd, 0, self.capacity)

    def map(self) -> mmap.mmap:
        """The mapping, the same one each time."""
        if self._map is None:
            self._map = mmap.mmap(self.fd, self.capacity)
        return self._map

    def resize(self, capacity: int) -> None:
        """Grows or shrinks the file. Views taken before must not be used past a smaller size."""
        os.ftruncate(self.fd, capacity)
        self.capacity = capacity
        self._map = None

    def close(self) -> None:
        """Gives up the descriptor and our mapping; views keep the pages alive. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._map = None

    def __del__(self) -> None:
        # What is dropped by an exception on its way must not leak its descriptor.
        self.close()


class Segment:
    """Pages shared by file descriptor.

    `close` gives up the descriptor and this object's mapping. Views taken before keep their pages alive until they
    are gone themselves, so closing early is always safe.
    """

    def __init__(self, memory: Memory, size: int, come_back: Callable[[Memory], None] | None = None) -> None:
        """Uses the first `size` bytes of `memory`.

        With `come_back` the memory is only lent: that is called when neither the segment nor a view needs it any more.
        """
        self.size = size
        self._memory: Memory | None = memory
        # All views of lent memory hang on this array: when it is gone, nobody looks at the memory any more.
        self._lent: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        if come_back is not None:
            self._lent = np.frombuffer(memory.map(), np.uint8)
            weakref.finalize(self._lent, come_back, memory).atexit = False

    @classmethod
    def received(cls, fd: int, size: int) -> Segment:
        """Takes over the descriptor of a segment of another process."""
        return cls(Memory(fd, size), size)

    @classmethod
    def create(cls, size: int, *, name: str = "walrus") -> Segment:
        """Makes a new segment of `size` zero bytes (0 is allowed)."""
        return cls(Memory.create(size, name=name), size)

    @classmethod
    def of_bytes(cls, data: bytes | bytearray | memoryview, *, name: str = "walrus") -> Segment:
        """Makes a segment that holds a copy of `data`."""
        segment = cls.create(len(data), name=name)
        if segment.size:
            segment.view[:] = data
        return segment

    @property
    def fd(self) -> int:
        """The descriptor, to be sent to another process. It stays ours."""
        return self._open.fd

    @property
    def view(self) -> memoryview:
        """All bytes of the segment, writable."""
        if self.size == 0:
            return memoryview(b"")
        pages = memoryview(self._open.map()) if self._lent is None else self._lent.data
        return pages[: self.size]

    def resize(self, size: int) -> None:
        """Grows or shrinks it. Views taken before must not be used past a smaller size.

        Raises:
            ValueError: lent memory has not so much room.
        """
        if self._lent is None:
            self._open.resize(size)
        elif size > self._open.capacity:
            raise ValueError(f"this segment has room for {self._open.capacity} bytes, not for {size}")
        self.size = size

    def close(self) -> None:
        """Gives up the descriptor; may be called twice."""
        memory, self._memory = self._memory, None
        if memory is not None and self._lent is None:
            memory.close()
        self._lent = None

    @property
    def _open(self) -> Memory:
        if self._memory is None:
            raise ValueError("the segment is closed")
        return self._memory

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _memory_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    # Systems without memory files (macOS) get an unlinked temporary file: slower, the same semantics.
    fd, path = tempfile.mkstemp(prefix=f"{name}-")
    Path(path).unlink()
    return fd
