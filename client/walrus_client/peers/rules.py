"""What is remembered of each node between requests: how long nodes take, and which of them are to be asked last. Pure.

Life of a memory: reads tell how long each sliver kept them waiting (`Pace`) and which nodes lied, failed or stalled
(`Standing`). From the first follows after how long a silent node is hedged by others; from the second which nodes are
asked only when the others do not suffice. A bad mark ends by itself, later each time that the node earns another one,
until it has served well in between; nobody is shut out for ever, because a blob may need everybody. A node that asks
to be left alone for a while gets no mark, but is asked last for so long.

The clock is an argument, in seconds of any monotonic clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from walrus_client.errors import PeerError, PeerMisbehavedError, PeerRefusedError, PeerTimeoutError
from walrus_codec.types import NodeId

QUANTILE = 0.95
MARGIN = 2.0
"""A node is hedged once it is silent for twice as long as all but one in twenty slivers took."""

FEWEST_SAMPLES = 16
SAMPLES = 256
UNKNOWN_PATIENCE_S = 0.4
SHORTEST_PATIENCE_S = 0.05
LONGEST_PATIENCE_S = 2.0


def patience_s(samples: Sequence[float]) -> float:
    """How long a node may be silent before it is hedged, from the waits that nodes caused lately."""
    if len(samples) < FEWEST_SAMPLES:
        return UNKNOWN_PATIENCE_S
    ordered = sorted(samples)
    typical = ordered[math.ceil(QUANTILE * len(ordered)) - 1]
    return min(max(MARGIN * typical, SHORTEST_PATIENCE_S), LONGEST_PATIENCE_S)


class Pace:
    """Waits for slivers, kept apart by the sliver's size (in powers of two), because large ones take longer."""

    def __init__(self) -> None:
        self._waits: dict[int, deque[float]] = {}

    def took(self, size: int, wait_s: float) -> None:
        """A sliver of `size` bytes came after so long a silence of its node."""
        self._waits.setdefault(size.bit_length(), deque(maxlen=SAMPLES)).append(wait_s)

    def patience_s(self, size: int) -> float:
        """For slivers of this size (`patience_s`)."""
        return patience_s(self._waits.get(size.bit_length(), ()))


class Fault(Enum):
    """What a node did; the values are seconds of the first mark and of the longest one."""

    LIED = (60.0, 3600.0)
    FAILED = (5.0, 120.0)
    STALLED = (10.0, 300.0)

    @property
    def first_s(self) -> float:
        """How long the first mark lasts."""
        return self.value[0]

    @property
    def longest_s(self) -> float:
        """How long a mark lasts at most."""
        return self.value[1]


def fault_of(error: PeerError) -> Fault | None:
    """What a failed call says against the node: a refusal for a documented reason speaks of the request or the moment."""
    match error:
        case PeerRefusedError():
            return None
        case PeerMisbehavedError():
            return Fault.LIED
        case PeerTimeoutError():
            return Fault.STALLED
    return Fault.FAILED


@dataclass(frozen=True)
class _Mark:
    until: float
    lasts_s: float


class Standing:
    """Nodes with a bad mark, and nodes that are busy."""

    def __init__(self) -> None:
        self._marks: dict[NodeId, _Mark] = {}
        self._busy: dict[NodeId, float] = {}

    def blame(self, node_id: NodeId, fault: Fault, now: float) -> bool:
        """Marks the node; a mark that is renewed after it has ended lasts twice as long, one that still holds is not shortened.

        Returns:
            Whether this is news: no mark holds yet, or one for a lesser fault.
        """
        known = self._marks.get(node_id)
        if known is None:
            lasts_s = fault.first_s
        elif known.until <= now:
            lasts_s = min(2 * known.lasts_s, max(fault.longest_s, known.lasts_s))
        else:
            lasts_s = max(known.lasts_s, fault.first_s)
        until = now + lasts_s if known is None else max(known.until, now + lasts_s)
        self._marks[node_id] = _Mark(until, lasts_s)
        return known is None or known.until <= now or lasts_s > known.lasts_s

    def served(self, node_id: NodeId, now: float) -> None:
        """The node did what it was asked for, and all of it: a mark that has ended is forgotten."""
        known = self._marks.get(node_id)
        if known is not None and known.until <= now:
            del self._marks[node_id]

    def busy(self, node_id: NodeId, until: float) -> None:
        """The node has asked to be left alone until then: no fault of its own, whatever it was before."""
        self._busy[node_id] = max(until, self._busy.get(node_id, until))

    def is_doubtful(self, node_id: NodeId, now: float) -> bool:
        """True while a mark holds, and while the node is busy."""
        known = self._marks.get(node_id)
        return (known is not None and now < known.until) or now < self._busy.get(node_id, now)
