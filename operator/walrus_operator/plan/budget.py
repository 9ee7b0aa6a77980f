"""Arithmetic over shards: who holds how many, and how many are available. The network bears the loss of f = (n - 1) // 3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.quorum import is_quorum, max_faulty
from walrus_codec.types import NodeId
from walrus_operator.api.world import Snapshot


@dataclass(frozen=True)
class Shards:
    """How the network stands."""

    total: int
    tolerated: int
    available: int
    weights: Mapping[str, int]
    """Shards of each of our nodes that is in the committee."""
    foreign: int
    """Shards of members that are not ours; they count as available, because nothing is known against them."""

    @property
    def quorum(self) -> bool:
        """Whether blobs can be stored."""
        return is_quorum(self.available, self.total)


def weights(snapshot: Snapshot, node_ids: Mapping[str, NodeId]) -> Mapping[str, int]:
    """Shards of each of our nodes in the current committee; the last known ones when the chain was never read."""
    chain = snapshot.chain.value
    if chain is None:
        return {node.name: node.status.weight for node in snapshot.nodes if node.status.weight}
    seats = {seat.node_id: seat.weight for seat in chain.committee}
    return {name: seats[node_id] for name, node_id in node_ids.items() if node_id in seats}


def shards(snapshot: Snapshot, *, node_ids: Mapping[str, NodeId], ready: Iterable[str], n_shards: int) -> Shards:
    """Counts available shards: those of our members that are ready, and those of members that are not ours.

    Args:
        snapshot: The world.
        node_ids: Pool of each of our nodes, also of those that left and have seats still.
        ready: Nodes that serve.
        n_shards: n.
    """
    of_ours = weights(snapshot, node_ids)
    chain = snapshot.chain.value
    seated = sum(seat.weight for seat in chain.committee) if chain else sum(of_ours.values())
    foreign = seated - sum(of_ours.values())
    serving = sum(of_ours.get(name, 0) for name in set(ready))
    return Shards(
        total=n_shards,
        tolerated=max_faulty(n_shards),
        available=serving + foreign,
        weights=of_ours,
        foreign=foreign,
    )
