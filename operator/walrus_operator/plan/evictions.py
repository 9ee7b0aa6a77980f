"""How many node pods may be evicted at once: the number of the network's one PodDisruptionBudget.

Kubernetes counts pods and knows nothing of shards, so the number must be safe whichever pods are taken: the largest k for
which any k of them, together with all that is unavailable without Kubernetes knowing it, hold at most f - reserve shards.
A pod that is not ready is counted by Kubernetes itself, as one of the k. What it cannot see:

* a member without a pod (hibernated, or refused by a quota) and a seat that is nobody's node: all of their shards;
* a ready pod whose node does not answer, or recovers: the shards that it cannot serve.

Shards on their way between two committees do not count, because their former owners serve them until they have arrived;
so an epoch change like any other leaves the number as it is. When the next committee is chosen, the lesser number of the
two holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.quorum import max_faulty
from walrus_operator.api import names
from walrus_operator.api.decisions import NodeWorkload
from walrus_operator.api.world import PodView, Seat
from walrus_operator.plan import gates

RECOVERED_ANEW = "ActiveRecover"
"""Status of a shard that a node gets back symbol by symbol: nobody else has it whole."""

_SERVING = frozenset({gates.ACTIVE, "Standby"})
"""Statuses of nodes that serve what they have; a new member is on standby until it has seen its first epoch begin."""


@dataclass(frozen=True)
class Stand:
    """A node in one committee, in shards."""

    weight: int
    lost: int
    """What of its weight is unavailable already, although Kubernetes takes its pod for one that is there."""


def allowed(nodes: Iterable[Stand], *, budget: int) -> int:
    """How many of the nodes may be without their pod at once, whichever they are.

    Args:
        nodes: All of them.
        budget: Shards that may be unavailable.
    """
    nodes = tuple(nodes)
    left = budget - sum(node.lost for node in nodes)
    count = 0
    for more in sorted((node.weight - node.lost for node in nodes), reverse=True):
        left -= more
        if left < 0:
            break
        count += 1
    return count


def max_unavailable(
    facts: gates.Facts,
    members: Iterable[NodeWorkload],
    pods: Mapping[str, PodView],
    *,
    remembered: Mapping[str, int],
    n_shards: int,
    reserve: int,
) -> int:
    """`maxUnavailable` over the pods of all nodes that should run.

    Args:
        facts: What the gates look at, too.
        members: Nodes that have a StatefulSet.
        pods: Pods by name.
        remembered: Weights by node, for the time before the chain is read.
        n_shards: n.
        reserve: Shards of f that are left alone.
    """
    running = {member.name for member in members if member.replicas}
    budget = max(0, max_faulty(n_shards) - reserve)
    if facts.chain is None:
        return _allowed(facts, running, pods, {name: (weight, None) for name, weight in remembered.items()}, budget)
    committees = [facts.seats, *([facts.following] if facts.following else [])]
    return min(
        _allowed(facts, running, pods, {name: (seat.weight, seat) for name, seat in seats.items()}, budget)
        for seats in committees
    )


def _allowed(
    facts: gates.Facts,
    running: set[str],
    pods: Mapping[str, PodView],
    weights: Mapping[str, tuple[int, Seat | None]],
    budget: int,
) -> int:
    gone = sum(weight for name, (weight, _) in weights.items() if name not in running)
    stands = [_stand(facts, name, pods.get(names.pod(name)), *weights.get(name, (0, None))) for name in running]
    return allowed(stands, budget=budget - gone)


def _stand(facts: gates.Facts, name: str, pod: PodView | None, weight: int, seat: Seat | None) -> Stand:
    if pod is None:
        return Stand(weight, weight)
    if seat is None or name not in facts.serving:
        return Stand(weight, 0)
    info = facts.infos.get(name)
    if info is None or info.status not in _SERVING:
        return Stand(weight, weight)
    return Stand(weight, sum(1 for shard in seat.shards if info.shards.get(shard) == RECOVERED_ANEW))
