"""What to report of each storage node: its conditions (`node_conditions`), status fields, and whether it counts as ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from walrus_codec.types import NodeId, SuiAddress
from walrus_operator.api import names
from walrus_operator.api.chain_view import FROST_PER_WAL, ChainView
from walrus_operator.api.conditions import Condition, ConditionType, merge
from walrus_operator.api.decisions import NodeWorkload, StatusUpdate
from walrus_operator.api.node import NodeStatus
from walrus_operator.api.world import NodeInfo, NodeObject, ObjectKey, Observed, Snapshot
from walrus_operator.plan import node_conditions
from walrus_operator.plan.challenges import Standing
from walrus_operator.plan.keys import Keys
from walrus_operator.plan.membership import SWITCHED_OFF, Membership
from walrus_operator.plan.node_conditions import NodeContext, Steps
from walrus_operator.plan.times import iso

INFO_MAX_AGE = 20.0
"""Seconds for which an answer of a node stands in for one that did not come."""

_MINUTE = 60.0


def usable(info: Observed[NodeInfo] | None, *, now: float) -> NodeInfo | None:
    """The node's last answer, unless it is too old to rely on."""
    if info is None or info.value is None or info.seen_at is None:
        return None
    if info.error is not None and now - info.seen_at > INFO_MAX_AGE:
        return None
    return info.value


@dataclass(frozen=True)
class NodeView:
    """All that is known of one node in this pass."""

    node: NodeObject
    member: NodeWorkload | None
    conditions: tuple[Condition, ...]
    status: StatusUpdate
    leaving: bool = False

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return any(entry.type == ConditionType.READY and entry.status == "True" for entry in self.conditions)


def registered_ids(snapshot: Snapshot, chain: ChainView | None) -> Mapping[str, NodeId]:
    """Pool of each node, from the chain by the node's address, or as remembered; also of nodes without a WalrusNode."""
    found: dict[str, NodeId] = {}
    for node in snapshot.nodes:
        known = node.status.public_keys
        node_id = chain.registered.get(SuiAddress(known.sui_address)) if chain is not None and known else None
        # The chain's word comes first: a status may have been edited, and whose shards are counted hangs on it.
        if node_id or node.status.node_id:
            found[node.name] = node_id or NodeId(str(node.status.node_id))
    if chain is not None:
        for secret in snapshot.secrets.values():
            address = secret.public.get(names.SUI_KEY)
            node_id = chain.registered.get(SuiAddress(address)) if address else None
            if secret.node and node_id:
                found.setdefault(secret.node, node_id)
    return found


def views(
    snapshot: Snapshot,
    membership: Membership,
    keys: Keys,
    steps: Steps,
    standing: Standing,
    *,
    chain: ChainView | None,
    node_ids: Mapping[str, NodeId],
) -> list[NodeView]:
    """A view of each WalrusNode that exists."""
    members = {member.name: member for member in (*membership.members, *steps.departures.staying)}
    return [
        _view(
            NodeContext(
                snapshot=snapshot,
                membership=membership,
                keys=keys,
                steps=steps,
                node=node,
                member=members.get(node.name),
                node_id=node_ids.get(node.name),
                chain=chain,
                info=usable(snapshot.infos.get(node.name), now=snapshot.now),
                leaving=node.name in membership.leaving or node.name in membership.drained,
                hold=steps.departures.holds.get(node.name) or steps.fences.awake.get(node.name),
                standing=standing,
            )
        )
        for node in snapshot.nodes
    ]


def _view(context: NodeContext) -> NodeView:
    snapshot, node, member = context.snapshot, context.node, context.member
    chain, info = context.chain, context.info
    found = node_conditions.conditions(context)
    before = node.status
    weight = before.weight
    if chain is not None:
        seat = context.seat
        weight = (seat.weight if seat else 0) if chain.epoch > 0 else None
    host = names.host(node.name, snapshot.network.namespace, snapshot.cluster_domain)
    status = NodeStatus(
        observed_generation=node.generation,
        node_id=context.node_id,
        public_keys=context.keys.nodes.get(node.name) or before.public_keys,
        keys_for=context.steps.rotations.keys_for.get(node.name) or before.keys_for,
        weight=weight,
        stake=context.stake // FROST_PER_WAL if chain is not None else before.stake,
        state=_state(context),
        epoch=info.epoch if info else before.epoch,
        slivers_stored=info.slivers_stored if info else before.slivers_stored,
        bytes_stored=info.bytes_stored if info else before.bytes_stored,
        capacity=info.capacity if info else before.capacity,
        chain_lag_seconds=_chain_lag(info) if info else before.chain_lag_seconds,
        version=info.version if info and info.version else before.version,
        address=before.address if member is None else f"{host}:{names.GRPC_PORT}",
        challenges=context.standing.node(node.name),
        conditions=merge(
            found,
            node.live_status.get("conditions", []),
            now=iso(snapshot.now),
            generation=node.generation,
        ),
    )
    update = StatusUpdate(ObjectKey("WalrusNode", node.name), status.to_live())
    return NodeView(node, member, found, update, context.leaving)


def _chain_lag(info: NodeInfo) -> int:
    """Whole minutes, so that a status is not written at each pass; empty checkpoints are recorded only now and then."""
    return int(info.chain_age // _MINUTE * _MINUTE)


def _state(context: NodeContext) -> str:
    if context.member is None:
        return "Removed" if context.leaving else "Refused"
    if not context.member.replicas:
        state = context.member.spec.desired_state
        return state if state in SWITCHED_OFF else "Hibernated"
    return context.info.status if context.info else "Starting"
