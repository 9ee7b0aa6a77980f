"""How many node pods may be evicted at once: the number of the network's one PodDisruptionBudget.

Kubernetes counts pods and knows nothing of shards, so the number must be safe whichever pods are taken: the largest k for
which any k of them, together with all that is unavailable without Kubernetes knowing it, hold at most f - reserve shards.
A pod that is not ready, or not there, is counted by Kubernetes itself, as one of the k. What it cannot see:

* a node that is not to run (hibernated) and a seat that is nobody's node: all of their shards;
* a ready pod whose node does not answer, or recovers: the shards that it cannot serve.

The budget is written as `minAvailable`, the pods that there should be less k. With `maxUnavailable` Kubernetes would add up
the StatefulSets of the pods that it finds: between the end of an evicted pod and its successor it finds neither, and allows
one eviction too many.

Shards on their way between two committees do not count, because their former owners serve them until they have arrived;
so an epoch change like any other leaves the number as it is. When the next committee is chosen, the lesser number of the
two holds.

**Evictions and the operator's own steps.** Both may take nodes away in the same moment, each within the budget and together
beyond it. So a pass that wants to take a node that serves closes evictions first: the number is 0. From that write on
Kubernetes refuses (it does so at once, because a budget whose newest form it has not counted yet allows nothing), and what
it allowed before stands in the budget's own status until the pod ends. A pass that finds the budget closed therefore knows
all that goes, decides anew with it, and acts. The budget opens again when Kubernetes has counted the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec.quorum import max_faulty
from walrus_operator.api import names
from walrus_operator.api.chain_view import Seat
from walrus_operator.api.decisions import Evictions, NodeWorkload
from walrus_operator.api.world import Manifest, ObjectKey, Snapshot
from walrus_operator.plan import gates, hibernation
from walrus_operator.plan.times import unix_seconds

RECOVERED_ANEW = "ActiveRecover"
"""Status of a shard that a node gets back symbol by symbol: nobody else has it whole."""

_SERVING = frozenset({gates.ACTIVE, "Standby"})
"""Statuses of nodes that serve what they have; a new member is on standby until it has seen its first epoch begin."""

Weights = Mapping[str, tuple[int, Seat | None]]
"""Weight of each node in a committee, and its seat; None when only the weight is remembered."""


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


def closed(snapshot: Snapshot, members: Iterable[NodeWorkload]) -> bool:
    """Whether Kubernetes evicts no node pod that is ready: there should be all of them."""
    least = (_live(snapshot).get("spec") or {}).get("minAvailable")
    # Somebody may have written a percentage.
    return isinstance(least, int) and least >= _pods(snapshot, members)


def promised(snapshot: Snapshot) -> frozenset[str]:
    """Pods that Kubernetes has allowed to be evicted and that have not ended yet, although they look as ever."""
    allowed_at: Mapping[str, str] = (_live(snapshot).get("status") or {}).get("disruptedPods") or {}
    found = set()
    for name, text in allowed_at.items():
        pod = snapshot.pods.get(name)
        # The one after it has the same name.
        if pod is not None and (pod.created_at is None or pod.created_at <= unix_seconds(text)):
            found.add(name)
    return frozenset(found)


def decide(
    facts: gates.Facts,
    members: Iterable[NodeWorkload],
    snapshot: Snapshot,
    *,
    remembered: Mapping[str, int],
    n_shards: int,
    reserve: int,
    close: bool,
) -> Evictions:
    """The budget over the pods of all nodes.

    Args:
        facts: What the gates look at, too.
        members: Nodes that have a StatefulSet.
        snapshot: The world.
        remembered: Weights by node, for the time before the chain is read.
        n_shards: n.
        reserve: Shards of f that are left alone.
        close: Whether the operator takes a node away itself, or is about to.
    """
    members = tuple(members)
    pods = _pods(snapshot, members)
    if close or (closed(snapshot, members) and not _counted(snapshot)):
        return Evictions(pods=pods, at_once=0)
    running = {member.name for member in members if member.replicas}
    committees: list[Weights] = [{name: (seat.weight, seat) for name, seat in facts.seats.items()}]
    if facts.chain is None:
        committees = [{name: (weight, None) for name, weight in remembered.items()}]
    elif facts.following:
        committees.append({name: (seat.weight, seat) for name, seat in facts.following.items()})
    budget = max(0, max_faulty(n_shards) - reserve)
    return Evictions(pods=pods, at_once=min(_allowed(facts, running, weights, budget) for weights in committees))


def _live(snapshot: Snapshot) -> Manifest:
    """The budget as stored."""
    return snapshot.live.get(ObjectKey("PodDisruptionBudget", names.nodes_budget(snapshot.network.name))) or {}


def _pods(snapshot: Snapshot, members: Iterable[NodeWorkload]) -> int:
    """How many pods there should be; one that is to go counts until it does, so that nobody goes in its place."""
    wanted = {names.pod(member.name) for member in members if member.replicas}
    return len(wanted | {name for name in hibernation.node_pods(snapshot) if not snapshot.pods[name].terminating})


def _counted(snapshot: Snapshot) -> bool:
    """Whether Kubernetes has seen all pods go that have gone, and so knows what more it may allow."""
    live = _live(snapshot)
    status = live.get("status") or {}
    if status.get("observedGeneration", 0) < (live.get("metadata") or {}).get("generation", 0):
        return False
    ready = [
        name for name in hibernation.node_pods(snapshot) if (pod := snapshot.pods[name]).ready and not pod.terminating
    ]
    return bool(status.get("currentHealthy", 0) <= len(ready))


def _allowed(facts: gates.Facts, running: set[str], weights: Weights, budget: int) -> int:
    gone = sum(weight for name, (weight, _) in weights.items() if name not in running)
    stands = [_stand(facts, name, *weights.get(name, (0, None))) for name in running]
    return allowed(stands, budget=budget - gone)


def _stand(facts: gates.Facts, name: str, weight: int, seat: Seat | None) -> Stand:
    if seat is None or name not in facts.serving:
        return Stand(weight, 0)
    info = facts.infos.get(name)
    if info is None or info.status not in _SERVING:
        return Stand(weight, weight)
    return Stand(weight, sum(1 for shard in seat.shards if info.shards.get(shard) == RECOVERED_ANEW))
