"""Arithmetic over shards: what is available, and how many pods may be evicted at once.

A network of n shards bears the loss of f = (n - 1) // 3. Kubernetes counts pods, so its one disruption budget must be
safe whichever pods are taken: the largest k for which the k heaviest nodes together hold at most what is left of f once
the members without a pod are counted as lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.quorum import is_quorum, max_faulty
from walrus_codec.types import NodeId
from walrus_operator.api.decisions import NodeWorkload
from walrus_operator.api.world import Snapshot


def max_unavailable(deployed: Iterable[int], *, tolerated: int, lost: int) -> int:
    """How many of the deployed nodes may be unavailable at once, whichever they are.

    Args:
        deployed: Weights of the nodes that have a pod, in shards; 0 for nodes outside of the committee.
        tolerated: f.
        lost: Shards of members that have no pod (hibernated); they count as unavailable already.
    """
    left = tolerated - lost
    count = 0
    for weight in sorted(deployed, reverse=True):
        left -= weight
        if left < 0:
            break
        count += 1
    return count


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


def disruption_budget(members: Iterable[NodeWorkload], held: Mapping[str, int], *, n_shards: int) -> int:
    """`maxUnavailable` of the network's one PodDisruptionBudget."""
    members = tuple(members)
    running = {member.name for member in members if member.replicas}
    return max_unavailable(
        [held.get(name, 0) for name in running],
        tolerated=max_faulty(n_shards),
        lost=sum(weight for name, weight in held.items() if name not in running),
    )
