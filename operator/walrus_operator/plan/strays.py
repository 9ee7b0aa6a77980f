"""WalrusNodes whose network does not exist: they are told so, and let go when they are being deleted."""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.conditions import ConditionType, Kind, Reason, condition, merge
from walrus_operator.api.decisions import SetFinalizer, StatusUpdate
from walrus_operator.api.world import NodeObject, ObjectKey
from walrus_operator.plan import departures
from walrus_operator.plan.times import iso


def report(nodes: Iterable[NodeObject], *, network: str, now: float) -> tuple[StatusUpdate, ...]:
    """Statuses that differ from what is stored.

    Args:
        nodes: Nodes that refer to the network.
        network: Its name.
        now: Unix seconds.
    """
    updates = []
    for node in nodes:
        # Those that the operator made are about to be collected with their network.
        if node.deleting or node.live["metadata"].get("ownerReferences"):
            continue
        conditions = (
            condition(
                Kind.NODE,
                ConditionType.VALID,
                "False",
                Reason.NETWORK_NOT_FOUND,
                f"there is no WalrusNetwork {network} in this namespace: create it, or correct networkRef.name",
            ),
            condition(
                Kind.NODE, ConditionType.READY, "False", Reason.NOT_VALID, "the node does not run; see condition Valid"
            ),
        )
        stored = node.live_status.get("conditions", [])
        merged = merge(conditions, stored, now=iso(now), generation=node.generation)
        status = node.status.model_copy(update={"conditions": merged, "observed_generation": node.generation})
        if status.to_live() != node.live_status:
            updates.append(StatusUpdate(ObjectKey("WalrusNode", node.name), status.to_live()))
    return tuple(updates)


def released(nodes: Iterable[NodeObject]) -> tuple[SetFinalizer, ...]:
    """Finalizers to take off: there is no network any more that a node could be drained from."""
    changes = (departures.finalizer(node, wanted=False) for node in nodes if node.deleting)
    return tuple(change for change in changes if change is not None)
