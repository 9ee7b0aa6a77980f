"""What a node may send when it is asked for slivers, and the parser that lets nothing else pass.

A GetSlivers stream brings, for every pair that was asked for and in any order, a head and data, or the word that the node
lacks it. Sizes are known from the blob's metadata, so nothing that does not fit is ever held; whether the bytes are the
right ones is the asker's business.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from walrus_client.peers import wire
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, PairIndex
from walrus_proto.node.v1 import node_pb2 as pb


@dataclass(frozen=True)
class ExpectedSlivers:
    """What the asker knows about the slivers it wants: bounds what a node may send."""

    axis: Axis
    pairs: Collection[PairIndex]
    symbol_size: int
    size: int


class SliverParser:
    """Assembles slivers from the parts of a GetSlivers stream and refuses everything that was not asked for."""

    def __init__(self, expected: ExpectedSlivers) -> None:
        self._expected = expected
        self._open_pairs = set(expected.pairs)
        self._head: wire.SliverHead | None = None
        self._data = bytearray()
        self._filled = 0

    def feed(self, part: pb.GetSliversResponse) -> tuple[PairIndex, Sliver] | wire.MissingSliver | None:
        """Takes one message; returns a sliver that it completed, or a pair that the node misses."""
        match part.WhichOneof("part"):
            case "sliver":
                self._begin(wire.head_from_pb(part.sliver))
                return None
            case "data":
                return self._append(part.data)
            case "missing":
                pair = PairIndex(part.missing.pair_index)
                self._take(pair)
                return wire.MissingSliver(pair, wire.reason_from_text(part.missing.reason))
        raise wire.MalformedAnswer("an empty message in a stream of slivers")

    def finish(self) -> None:
        """The stream has ended: nothing may be open."""
        if self._head is not None:
            raise wire.MalformedAnswer(f"the stream ended inside of sliver {self._head.index}")
        if self._open_pairs:
            raise wire.MalformedAnswer(f"the stream ended without pairs {sorted(self._open_pairs)}")

    def _begin(self, head: wire.SliverHead) -> None:
        if self._head is not None:
            raise wire.MalformedAnswer(f"sliver {head.index} began inside of sliver {self._head.index}")
        self._take(head.pair)
        if head.axis is not self._expected.axis:
            raise wire.MalformedAnswer(f"a {head.axis.value} sliver was not asked for")
        if head.size != self._expected.size or head.symbol_size != self._expected.symbol_size:
            raise wire.MalformedAnswer(f"a sliver of {head.size} bytes, where this blob has {self._expected.size}")
        self._head, self._data, self._filled = head, bytearray(head.size), 0

    def _append(self, data: bytes) -> tuple[PairIndex, Sliver] | None:
        head = self._head
        if head is None:
            raise wire.MalformedAnswer("sliver data without an announcement")
        end = self._filled + len(data)
        if end > head.size or not data:
            raise wire.MalformedAnswer(f"sliver {head.index} has more data than announced, or an empty part")
        self._data[self._filled : end] = data
        self._filled = end
        if end < head.size:
            return None
        self._head = None
        return head.pair, Sliver(head.axis, head.index, head.symbol_size, memoryview(self._data))

    def _take(self, pair: PairIndex) -> None:
        if pair not in self._open_pairs:
            raise wire.MalformedAnswer(f"pair {pair} was not asked for, or came twice")
        self._open_pairs.discard(pair)
