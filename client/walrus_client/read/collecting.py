"""Which pairs to ask from whom, and when to ask for others: the book-keeping of a read. Pure.

Life of a pair: a candidate until it is asked for; then owed by its owner; then arrived (to be verified), verified, or
lost. `Collection` keeps the sum "verified + arrived + owed by nodes that are not slow" at the number of slivers needed:
whenever a node fails or lies, the next candidates take the place of what it owed at once. What a node owes that only
stalls is asked from others as well, in waves: each wave may ask for half as many slivers as the read needs, and the next
one follows only when patience has run out again. So a network that is slow as a whole is not asked for everything twice.
A stalled node still may deliver; whatever comes first counts.

Candidates stand in the order of preference: systematic primary slivers first, because the blob is put together from
them without decoding; which shards hold them changes with every blob id, so the load spreads by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from walrus_codec.types import NodeId, PairIndex


@dataclass
class _Node:
    owed: set[PairIndex] = field(default_factory=set)
    progress_at: float = 0.0
    slow: bool = False
    excluded: bool = False


class Collection:
    """The state of one read.

    Args:
        candidates: All pairs that may be asked for, best first.
        owner_of: The node that stores a pair.
        needed: How many verified slivers make the read complete.
    """

    def __init__(
        self, candidates: Sequence[PairIndex], owner_of: Callable[[PairIndex], NodeId], *, needed: int
    ) -> None:
        self.needed = needed
        self._owner_of = owner_of
        self._candidates = list(candidates)
        self._nodes: dict[NodeId, _Node] = {}
        self._arrived: dict[PairIndex, NodeId] = {}
        self._verified: set[PairIndex] = set()
        self._may_exceed_by = 0
        self._next_wave_at = float("-inf")

    @property
    def complete(self) -> bool:
        """True when enough slivers are verified."""
        return len(self._verified) >= self.needed

    @property
    def verified(self) -> frozenset[PairIndex]:
        """Pairs whose sliver is verified."""
        return frozenset(self._verified)

    @property
    def hopeless(self) -> bool:
        """True when nothing is under way and no candidate is left, but slivers are missing."""
        owed = any(node.owed for node in self._nodes.values())
        return not self.complete and not owed and not self._arrived and not self._askable()

    def next_requests(self, now: float) -> dict[NodeId, list[PairIndex]]:
        """Takes as many candidates as are missing and says whom to ask for them."""
        requests: dict[NodeId, list[PairIndex]] = {}
        for pair in self._askable()[: self._wanted()]:
            self._candidates.remove(pair)
            owner = self._owner_of(pair)
            requests.setdefault(owner, []).append(pair)
            node = self._nodes.setdefault(owner, _Node())
            if not node.owed:
                node.progress_at = now
            node.owed.add(pair)
        return requests

    def arrived(self, node_id: NodeId, pair: PairIndex, now: float) -> float:
        """The node delivered the pair's sliver, which is not verified yet. Returns how long it had been silent."""
        node = self._nodes[node_id]
        node.owed.discard(pair)
        silent_s = now - node.progress_at
        node.progress_at, node.slow = now, False
        self._arrived[pair] = node_id
        return silent_s

    def verify_succeeded(self, pairs: Iterable[PairIndex]) -> None:
        """These slivers are what the metadata commits to."""
        for pair in pairs:
            self._arrived.pop(pair, None)
            self._verified.add(pair)

    def verify_failed(self, pair: PairIndex) -> NodeId:
        """The sliver is forged or damaged: its node gets no further request. Returns the node."""
        node_id = self._arrived.pop(pair)
        self.exclude(node_id)
        return node_id

    def lost(self, node_id: NodeId, pairs: Iterable[PairIndex]) -> None:
        """The node does not have these pairs; others are asked for others."""
        self._nodes[node_id].owed.difference_update(pairs)

    def exclude(self, node_id: NodeId) -> None:
        """The node failed: nothing more is expected from it, and it is not asked again."""
        node = self._nodes.setdefault(node_id, _Node())
        node.owed.clear()
        node.excluded = True

    def owed_by(self, node_id: NodeId) -> frozenset[PairIndex]:
        """What the node still owes."""
        return frozenset(self._nodes[node_id].owed)

    @property
    def slow_nodes(self) -> frozenset[NodeId]:
        """Nodes that owe something and are silent for longer than patience lasts."""
        return frozenset(node_id for node_id, node in self._nodes.items() if node.owed and node.slow)

    def hedge(self, now: float, patience_s: float) -> bool:
        """Marks nodes that owe something and delivered nothing for `patience_s`; True when others may be asked instead."""
        for node in self._nodes.values():
            if node.owed and not node.slow and now - node.progress_at >= patience_s:
                node.slow = True
        if now < self._next_wave_at or not self._is_wave_wanted():
            return False
        self._may_exceed_by += math.ceil(self.needed / 2)
        self._next_wave_at = now + patience_s
        return True

    def next_check_in(self, now: float, patience_s: float) -> float | None:
        """Seconds until `hedge` may have an effect; None when it cannot have one."""
        due = [node.progress_at + patience_s for node in self._nodes.values() if node.owed and not node.slow]
        if self._is_wave_wanted():
            due.append(self._next_wave_at)
        return max(0.0, min(due) - now) if due else None

    def _missing(self) -> int:
        """Slivers that neither are here nor are expected soon."""
        soon = sum(len(node.owed) for node in self._nodes.values() if not node.slow)
        return max(0, self.needed - len(self._verified) - len(self._arrived) - soon)

    def _wanted(self) -> int:
        """How many more slivers to ask for now."""
        owed_slowly = sum(len(node.owed) for node in self._nodes.values() if node.slow)
        missing = self._missing()
        # What slow nodes owe may still come: asking for it elsewhere makes the read exceed what it needs.
        return max(0, min(missing, missing + self._may_exceed_by - owed_slowly))

    def _is_wave_wanted(self) -> bool:
        return self._missing() > 0 and not self._wanted() and bool(self._askable())

    def _askable(self) -> list[PairIndex]:
        def may_ask(pair: PairIndex) -> bool:
            node = self._nodes.get(self._owner_of(pair))
            return node is None or not (node.excluded or node.slow)

        return [pair for pair in self._candidates if may_ask(pair)]
