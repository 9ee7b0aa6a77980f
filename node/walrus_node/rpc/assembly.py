"""Puts slivers together from a stream of heads and data; pure.

    head, data, data, ... head, data, ... end        exactly `size` bytes follow each head, in chunks of at most 1 MiB

Every other order or amount is a refusal of the whole stream. Memory is taken when a head is accepted, never because of
what a sender merely announces: `begin` is told whether the data are wanted, and unwanted data are counted and dropped.
"""

from __future__ import annotations

from walrus_client.reasons import Reason, RequestRefused
from walrus_node.rpc.model import SliverHead

MAX_CHUNK = 1 << 20


class SliverAssembler:
    """One sliver at a time."""

    def __init__(self) -> None:
        self._head: SliverHead | None = None
        self._buffer: bytearray | None = None
        self._received = 0

    def check_begin(self, head: SliverHead) -> None:
        """Looks whether a sliver may begin now; raises `RequestRefused`: the one before it is not complete."""
        if self._head is not None:
            raise _malformed(f"a new sliver begins although {self._left} bytes of the one before are missing")
        if not head.size:
            raise _malformed("a sliver has at least one symbol")

    def begin(self, head: SliverHead, *, wanted: bool) -> None:
        """A head has come and was checked; with `wanted` false its data will be dropped."""
        self.check_begin(head)
        self._head = head
        self._buffer = bytearray(head.size) if wanted else None
        self._received = 0

    def add(self, chunk: bytes) -> tuple[SliverHead, bytearray] | None:
        """Data have come; returns the sliver when it is complete and wanted.

        Raises:
            RequestRefused: no sliver was announced, the chunk is too large, or more than was announced.
        """
        if self._head is None:
            raise _malformed("data came without a sliver's head before them")
        if not 0 < len(chunk) <= MAX_CHUNK:
            raise _malformed(f"a chunk has 1 to {MAX_CHUNK} bytes, this one has {len(chunk)}")
        if len(chunk) > self._left:
            raise _malformed(f"{len(chunk) - self._left} bytes more came than the sliver's head announced")
        if self._buffer is not None:
            self._buffer[self._received : self._received + len(chunk)] = chunk
        self._received += len(chunk)
        if self._left:
            return None
        head, buffer = self._head, self._buffer
        self._head = self._buffer = None
        return None if buffer is None else (head, buffer)

    def finish(self) -> None:
        """The stream has ended; raises `RequestRefused` when a sliver is not complete."""
        if self._head is not None:
            raise _malformed(f"the stream ended although {self._left} bytes of a sliver are missing; send it again")

    @property
    def _left(self) -> int:
        return self._head.size - self._received if self._head is not None else 0


def _malformed(message: str) -> RequestRefused:
    return RequestRefused(Reason.MALFORMED_REQUEST, message)
