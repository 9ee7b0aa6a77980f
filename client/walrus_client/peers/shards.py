"""What a shard's new owner asks of the previous one, and the parser that lets nothing else in. Pure.

Every sliver comes with the id of its blob, in ascending order from the one that was asked for; how many come and how
large they may be is known before, so a node that sends something else is found out at once and costs no memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_client.peers import wire
from walrus_codec.types import Axis, BlobId, Epoch, ShardIndex
from walrus_proto.node.v1 import node_pb2 as pb


@dataclass(frozen=True)
class ExpectedShard:
    """Slivers of one axis of a shard.

    Attributes:
        shard: which shard.
        axis: of the slivers.
        start: the first blob id that is wanted.
        count: the most slivers that may come.
        epoch: the current one; blobs that were certified before it are meant.
        max_size: bytes of the largest sliver that there can be, in its BCS form.
    """

    shard: ShardIndex
    axis: Axis
    start: bytes
    count: int
    epoch: Epoch
    max_size: int

    def query(self) -> pb.SyncShardQuery:
        """The body of the request."""
        return pb.SyncShardQuery(
            shard_index=self.shard,
            axis=wire.axis_to_pb(self.axis),
            starting_blob_id=self.start,
            sliver_count=self.count,
            epoch=self.epoch,
        )


@dataclass(frozen=True)
class SyncedSlivers:
    """Slivers in their BCS form, not verified, in order of their blob ids; `complete` when the node has no more."""

    slivers: list[tuple[BlobId, bytearray]]
    complete: bool


class ShardParser:
    """Puts the slivers of one SyncShard stream together."""

    def __init__(self, expected: ExpectedShard) -> None:
        self._expected = expected
        self._left = expected.count
        self._last = b""
        self._complete = False
        self._open: tuple[BlobId, bytearray] | None = None
        self._filled = 0

    def feed(self, part: pb.SyncShardResponse) -> SyncedSlivers:
        """Takes one message; returns the slivers that it completed.

        Raises:
            MalformedAnswer: something that was not asked for, out of order, too large or too much.
        """
        if self._complete:
            raise wire.MalformedAnswer("a shard goes on after its end")
        done: list[tuple[BlobId, bytearray]] = []
        if part.rest:
            self._continue(part.rest, done)
        for entry in part.slivers:
            if self._open is not None:
                raise wire.MalformedAnswer("a sliver of a shard began inside of another")
            self._begin(entry, done)
        self._complete = part.complete
        if self._complete and self._open is not None:
            raise wire.MalformedAnswer("a shard ended inside of a sliver")
        return SyncedSlivers(done, self._complete)

    def finish(self) -> None:
        """The stream has ended: by its count, or because there is no more."""
        if self._open is not None or (self._left and not self._complete):
            raise wire.MalformedAnswer("the slivers of a shard broke off")

    def _begin(self, entry: pb.SyncedSliver, done: list[tuple[BlobId, bytearray]]) -> None:
        expected, blob_id = self._expected, BlobId(entry.blob_id)
        if len(blob_id) != 32 or blob_id < expected.start or blob_id <= self._last:
            raise wire.MalformedAnswer("blob ids of a shard are not in ascending order from the wanted one on")
        if not 0 < entry.size <= expected.max_size or len(entry.data) > entry.size:
            raise wire.MalformedAnswer(f"a sliver of {entry.size} bytes, where none is larger than {expected.max_size}")
        if not self._left:
            raise wire.MalformedAnswer(f"more than the {expected.count} slivers that were asked for")
        self._left -= 1
        self._last = blob_id
        self._open, self._filled = (blob_id, bytearray(entry.size)), 0
        self._fill(entry.data, done)

    def _continue(self, data: bytes, done: list[tuple[BlobId, bytearray]]) -> None:
        if self._open is None or self._filled + len(data) > len(self._open[1]):
            raise wire.MalformedAnswer("data of a shard that belong to no sliver")
        self._fill(data, done)

    def _fill(self, data: bytes, done: list[tuple[BlobId, bytearray]]) -> None:
        assert self._open is not None  # noqa: S101 - both callers have looked
        buffer = self._open[1]
        buffer[self._filled : self._filled + len(data)] = data
        self._filled += len(data)
        if self._filled == len(buffer):
            done.append(self._open)
            self._open = None
