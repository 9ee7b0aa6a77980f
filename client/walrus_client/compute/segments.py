"""Anonymous shared memory that travels between processes as a file descriptor.

Life of a segment: one side creates it, writes through `view`, sends the descriptor over a Unix socket; the other side
maps the same pages. Nothing has a name, so nothing is left behind when a process is killed; the pages go back to the
system when the last mapping and the last descriptor are gone.

Why not `multiprocessing.shared_memory`: that lives in /dev/shm, which a container limits to 64 MiB by default, and a
process that writes past it is killed by SIGBUS. A memory file counts against the container's memory limit only.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import Self


class Segment:
    """Pages shared by file descriptor.

    `close` gives up the descriptor and this object's mapping. Views taken before keep their pages alive until they
    are gone themselves, so closing early is always safe.
    """

    def __init__(self, fd: int, size: int) -> None:
        """Takes over `fd`, a memory file of at least `size` bytes."""
        self._fd = fd
        self.size = size
        self._map: mmap.mmap | None = None

    @classmethod
    def create(cls, size: int, *, name: str = "walrus") -> Segment:
        """Makes a new segment of `size` zero bytes (0 is allowed)."""
        fd = _memory_file(name)
        try:
            if size:
                os.ftruncate(fd, size)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd, size)

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
        if self._fd < 0:
            raise ValueError("the segment is closed")
        return self._fd

    @property
    def view(self) -> memoryview:
        """All bytes of the segment, writable."""
        if self.size == 0:
            return memoryview(b"")
        if self._map is None:
            self._map = mmap.mmap(self.fd, self.size)
        return memoryview(self._map)

    def resize(self, size: int) -> None:
        """Grows or shrinks the file. Views taken before must not be used past a smaller size."""
        os.ftruncate(self.fd, size)
        self.size = size
        self._map = None

    def close(self) -> None:
        """Gives up the descriptor; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._map = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A segment that is dropped by an exception on its way must not leak its descriptor.
        self.close()


def _memory_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC)
    # Systems without memory files (macOS) get an unlinked temporary file: slower, the same semantics.
    fd, path = tempfile.mkstemp(prefix=f"{name}-")
    Path(path).unlink()
    return fd
