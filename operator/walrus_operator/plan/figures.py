"""How a network stands, in numbers: what the metrics tell of conditions, nodes and the fault budget.

Alerts rest on them (`prometheusrule.yaml` of the operator's chart), so they say the same as the status: they are made from the
very conditions and counts that a pass reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from walrus_operator.api.conditions import Condition, ConditionType
from walrus_operator.api.decisions import StandingNumbers
from walrus_operator.plan.budget import Shards
from walrus_operator.plan.node_status import NodeView


class NodeState(StrEnum):
    """What a node does; each is in one of them."""

    READY = "ready"
    DOWN = "down"
    FENCED = "fenced"
    ASLEEP = "asleep"
    LEAVING = "leaving"


def numbers(
    conditions: Iterable[Condition],
    *,
    nodes: Iterable[NodeView] = (),
    shards: Shards | None = None,
    hibernated: bool = False,
    epoch: int | None = None,
) -> StandingNumbers:
    """What metrics tell.

    Args:
        conditions: Of the network.
        nodes: All of them.
        shards: How they are spread; None when the spec cannot be read.
        hibernated: Whether the network sleeps.
        epoch: The chain's, as last seen.
    """
    counted = Counter(_state(node) for node in nodes)
    seated = sum(shards.weights.values()) + shards.foreign if shards is not None else 0
    return StandingNumbers(
        conditions={str(entry.type): entry.status for entry in conditions},
        nodes={state.value: counted[state] for state in NodeState},
        # Before the first committee nobody has a seat, and nothing is missing.
        unavailable=seated - shards.available if shards is not None else 0,
        tolerated=shards.tolerated if shards is not None else 0,
        hibernated=hibernated,
        epoch=epoch,
    )


def _state(node: NodeView) -> NodeState:
    if any(entry.type is ConditionType.FENCED and entry.status == "True" for entry in node.conditions):
        return NodeState.FENCED
    if node.leaving:
        return NodeState.LEAVING
    if node.ready:
        return NodeState.READY
    return NodeState.ASLEEP if node.member is not None and not node.member.replicas else NodeState.DOWN
