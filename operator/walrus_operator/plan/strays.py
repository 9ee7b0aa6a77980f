"""WalrusNodes whose network does not exist: nothing can be done for them but to say so."""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.conditions import ConditionType, Kind, Reason, condition, merge
from walrus_operator.api.world import NodeObject, ObjectKey, StatusUpdate
from walrus_operator.plan.times import iso


def report(nodes: Iterable[NodeObject], *, network: str, now: float) -> tuple[StatusUpdate, ...]:
    """Statuses that differ from what is stored.

    Args:
        nodes: Nodes that refer to the network and are not being deleted.
        network: Its name.
        now: Unix seconds.
    """
    updates = []
    for node in nodes:
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
