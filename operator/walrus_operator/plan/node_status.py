"""What to report of each storage node: conditions, status fields, and whether it counts as ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from walrus_codec.types import NodeId, SuiAddress
from walrus_operator.api import names, sizing
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, Truth, condition, merge
from walrus_operator.api.decisions import NodeWorkload, StatusUpdate
from walrus_operator.api.node import NodeStatus
from walrus_operator.api.world import (
    FROST_PER_WAL,
    ChainView,
    EpochPhase,
    NodeInfo,
    NodeObject,
    ObjectKey,
    Observed,
    Seat,
    Snapshot,
)
from walrus_operator.plan import stakes as pieces
from walrus_operator.plan.challenges import Standing
from walrus_operator.plan.departures import Departures
from walrus_operator.plan.fences import Fences
from walrus_operator.plan.gates import RECOVERING, Hold
from walrus_operator.plan.key_rotation import Rotations
from walrus_operator.plan.keys import Keys
from walrus_operator.plan.membership import SWITCHED_OFF, Membership, memory_problem
from walrus_operator.plan.times import iso

INFO_MAX_AGE = 20.0
"""Seconds for which an answer of a node stands in for one that did not come."""

_TAKES_SLIVERS = "OK"
_ACTIVE = "Active"
_LOST = "ActiveRecover"
_MINUTE = 60.0
_CATCHING_UP = "RecoveryCatchUp"
_NOT_SERVING = frozenset({"Standby", "RecoverMetadata"})
"""Statuses in which a member has not taken over its shards; a recovering node serves what it has."""


def usable(info: Observed[NodeInfo] | None, *, now: float) -> NodeInfo | None:
    """The node's last answer, unless it is too old to rely on."""
    if info is None or info.value is None or info.seen_at is None:
        return None
    if info.error is not None and now - info.seen_at > INFO_MAX_AGE:
        return None
    return info.value


@dataclass(frozen=True)
class Steps:
    """What the pass does about nodes, and what holds it."""

    departures: Departures
    rotations: Rotations
    fences: Fences


@dataclass(frozen=True)
class _Context:
    """What the questions about one node share."""

    snapshot: Snapshot
    membership: Membership
    keys: Keys
    steps: Steps
    node: NodeObject
    member: NodeWorkload | None
    """None when nothing of the node should run."""
    node_id: NodeId | None
    chain: ChainView | None
    info: NodeInfo | None
    leaving: bool
    """Whether it should hold no shards: it is no longer asked for, or drained."""
    hold: Hold | None
    """Why what should go is still there."""
    standing: Standing
    """What challenges have found out."""


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
        if node.status.node_id:
            found[node.name] = NodeId(node.status.node_id)
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
            _Context(
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
                hold=steps.departures.holds.get(node.name),
                standing=standing,
            )
        )
        for node in snapshot.nodes
    ]


def _say(type_: ConditionType, status: Truth, reason: Reason, message: str) -> Condition:
    return condition(Kind.NODE, type_, status, reason, message)


def _view(context: _Context) -> NodeView:
    snapshot, node, member, chain, info = (
        context.snapshot,
        context.node,
        context.member,
        context.chain,
        context.info,
    )
    conditions = (
        _valid(context),
        _ready(context),
        _registered(context.node_id, chain),
        _in_committee(context),
        _synced(context),
        _storage_ok(context),
        _keys_current(context),
        _fenced(context),
        _deletion_blocked(context),
        context.standing.node_condition(node.name),
    )
    before = node.status
    weight = before.weight
    if chain is not None:
        seat = _seat(context)
        weight = (seat.weight if seat else 0) if chain.epoch > 0 else None
    host = names.host(node.name, snapshot.network.namespace, snapshot.cluster_domain)
    status = NodeStatus(
        observed_generation=node.generation,
        node_id=context.node_id,
        public_keys=context.keys.nodes.get(node.name) or before.public_keys,
        keys_for=context.steps.rotations.keys_for.get(node.name) or before.keys_for,
        weight=weight,
        stake=_stake(context) // FROST_PER_WAL if chain is not None else before.stake,
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
            conditions,
            node.live_status.get("conditions", []),
            now=iso(snapshot.now),
            generation=node.generation,
        ),
    )
    update = StatusUpdate(ObjectKey("WalrusNode", node.name), status.to_live())
    return NodeView(node, member, conditions, update, context.leaving)


def _chain_lag(info: NodeInfo) -> int:
    """Whole minutes, so that a status is not written at each pass; empty checkpoints are recorded only now and then."""
    return int(info.chain_age // _MINUTE * _MINUTE)


def _valid(context: _Context) -> Condition:
    node = context.node
    if node.spec is None:
        return _say(ConditionType.VALID, "False", Reason.SPEC_INVALID, node.spec_error or "the spec cannot be read")
    problem = context.keys.node_problems.get(node.name)
    if problem is not None:
        return _say(ConditionType.VALID, "False", problem.reason, problem.message)
    network = context.snapshot.network.spec
    too_small = memory_problem(network, node.spec) if network is not None else None
    if too_small is not None:
        return _say(ConditionType.VALID, "False", Reason.MEMORY_LIMIT_TOO_SMALL, too_small)
    return _say(ConditionType.VALID, "True", Reason.ACCEPTED, "the spec can be carried out")


def _ready(context: _Context) -> Condition:
    snapshot, node, member, info = context.snapshot, context.node, context.member, context.info
    if member is None and context.leaving:
        return _say(
            ConditionType.READY, "False", Reason.LEAVING, "the node is taken away; see condition DeletionBlocked"
        )
    if member is None:
        return _say(ConditionType.READY, "False", Reason.NOT_VALID, "the node does not run; see condition Valid")
    if member.replicas == 0 and member.spec.desired_state == "Fenced":
        return _say(ConditionType.READY, "False", Reason.FENCED, "out of rotation; see condition Fenced")
    if member.replicas == 0:
        asleep = snapshot.network.spec is not None and snapshot.network.spec.hibernated
        why = "the network sleeps" if asleep else "switched off: set desiredState: Active to bring it back"
        return _say(ConditionType.READY, "False", Reason.HIBERNATED, why)
    name = names.pod(node.name)
    pod = snapshot.pods.get(name)
    if pod is None:
        return _say(ConditionType.READY, "False", Reason.POD_MISSING, f"pod {name} does not exist yet")
    if pod.terminating:
        return _say(ConditionType.READY, "False", Reason.POD_NOT_READY, f"pod {name} is being terminated")
    if not pod.ready:
        why = f": {pod.waiting}" if pod.waiting else ""
        return _say(ConditionType.READY, "False", Reason.POD_NOT_READY, f"pod {name} is {pod.phase} but not ready{why}")
    if info is None:
        observed = snapshot.infos.get(node.name)
        why = observed.error if observed and observed.error else "no answer yet"
        return _say(
            ConditionType.READY, "Unknown", Reason.NODE_UNREACHABLE, f"pod {name} is ready but does not answer: {why}"
        )
    seat = _seat(context)
    if seat is not None and info.status in _NOT_SERVING:
        return _say(
            ConditionType.READY,
            "False",
            Reason.CATCHING_UP,
            f"the node reports {info.status}: it takes over its shards",
        )
    return _say(ConditionType.READY, "True", Reason.SERVING, "the node serves")


def _seat(context: _Context) -> Seat | None:
    """The node's seat in the current committee."""
    if context.chain is None:
        return None
    return next((seat for seat in context.chain.committee if seat.node_id == context.node_id), None)


def _registered(node_id: NodeId | None, chain: ChainView | None) -> Condition:
    if node_id is not None:
        return _say(ConditionType.REGISTERED, "True", Reason.REGISTERED, f"pool {node_id}")
    if chain is None:
        return _say(ConditionType.REGISTERED, "Unknown", Reason.CHAIN_UNREACHABLE, "the chain has not answered yet")
    return _say(ConditionType.REGISTERED, "False", Reason.NOT_REGISTERED, "the node has not registered on chain yet")


def _in_committee(context: _Context) -> Condition:
    chain = context.chain
    if chain is None:
        return _say(ConditionType.IN_COMMITTEE, "Unknown", Reason.CHAIN_UNREACHABLE, "the chain has not answered yet")
    if chain.phase is EpochPhase.WAITING:
        return _say(ConditionType.IN_COMMITTEE, "False", Reason.NO_COMMITTEE, "the first committee is not chosen yet")
    seat, in_committee = _seat(context), ConditionType.IN_COMMITTEE
    if seat is None:
        return _say(in_committee, "False", *_outside(context, chain))
    held = f"{seat.weight} of {chain.n_shards} shards"
    if context.leaving and not _stake(context):
        until = pieces.leaves_with(chain, seat.node_id) or chain.epoch
        when = f"leaves with epoch {until}" if until > chain.epoch else "the stake of others keeps it in the committee"
        return _say(in_committee, "True", Reason.LEAVING, f"{held}; {when}")
    return _say(in_committee, "True", Reason.MEMBER, held)


def _outside(context: _Context, chain: ChainView) -> tuple[Reason, str]:
    """Why a node has no seat, and whether it will."""
    if context.leaving:
        return Reason.NOT_MEMBER, "the node holds no shards any more"
    if context.node_id is None or not _stake(context):
        return Reason.NOT_MEMBER, "the treasury has delegated no stake to it; it does so once the node serves"
    own = pieces.pieces(chain, context.node_id)
    counts_from = min(piece.activation_epoch for piece in own)
    if counts_from > chain.epoch:
        return Reason.JOINING, f"{_stake(context) // FROST_PER_WAL} WAL count from epoch {counts_from}"
    return Reason.NOT_MEMBER, "the node's stake earned it no shard in this epoch"


def _stake(context: _Context) -> int:
    """FROST that the treasury has delegated and not asked back."""
    if context.chain is None or context.node_id is None:
        return 0
    return context.chain.stakes.get(context.node_id, 0)


def _synced(context: _Context) -> Condition:
    chain, info, seat = context.chain, context.info, _seat(context)
    if info is None:
        return _say(ConditionType.SYNCED, "Unknown", Reason.NODE_UNREACHABLE, "the node does not answer")
    if chain is not None and info.epoch < chain.epoch:
        behind = f"the node is in epoch {info.epoch}, the chain in {chain.epoch}"
        return _say(ConditionType.SYNCED, "False", Reason.CATCHING_UP, behind)
    if seat is None:
        return _say(ConditionType.SYNCED, "True", Reason.NO_SHARDS, "the node holds no shards")
    lost = [shard for shard in seat.shards if info.shards.get(shard) == _LOST]
    if lost or info.status in RECOVERING - {_CATCHING_UP}:
        what = f"{len(lost)} of {seat.weight} shards are recovered" if lost else f"the node reports {info.status}"
        progress = (
            f"{round(100 * info.recovered)} % of the blobs looked through, {info.blobs_pending} may lack something"
        )
        return _say(ConditionType.SYNCED, "False", Reason.RECOVERING, f"{what}: {progress}")
    if info.status != _ACTIVE:
        return _say(ConditionType.SYNCED, "False", Reason.CATCHING_UP, f"the node reports {info.status}")
    waiting = [shard for shard in seat.shards if info.shards.get(shard) != _ACTIVE]
    if waiting:
        what = f"{len(waiting)} of {seat.weight} shards are not ready{_coming(info)}"
        return _say(ConditionType.SYNCED, "False", Reason.SHARDS_NOT_READY, what)
    return _say(ConditionType.SYNCED, "True", Reason.ALL_SHARDS_READY, f"all {seat.weight} shards are ready")


def _coming(info: NodeInfo) -> str:
    """How far the transfers from previous owners are; whole per cents, so that not every pass writes."""
    if not info.shards_pending:
        return ""
    come = int(100 * info.synced)  # 100 would look as if all had come
    return f": {info.shards_pending} still come from their previous owners, {come} % of this epoch's transfers are done"


_FULL = {
    "CAPACITY_REACHED": (
        Reason.CAPACITY_REACHED,
        "as much is stored as the node offers: raise votes.nodeCapacity, add nodes, or wait until blobs expire",
    ),
    "DISK_NEARLY_FULL": (
        Reason.DISK_NEARLY_FULL,
        "the volume has only its reserve left: give the node a larger one, or wait until blobs expire",
    ),
}
"""The node's own sentences have numbers that change all the time; each change would be a write."""


def _storage_ok(context: _Context) -> Condition:
    """What the node says now comes before what would go wrong later."""
    info, spec, storage_ok = context.info, context.node.spec, ConditionType.STORAGE_OK
    if info is not None and info.storage != _TAKES_SLIVERS:
        failing = Reason.DISK_FAILING, info.storage_message or f"the node reports {info.storage}"
        return _say(storage_ok, "False", *_FULL.get(info.storage, failing))
    too_small = sizing.volume_problem(spec.storage.size, spec.votes.node_capacity) if spec is not None else None
    if too_small is not None:
        return _say(storage_ok, "False", Reason.VOLUME_TOO_SMALL, too_small)
    if info is None:
        return _say(storage_ok, "Unknown", Reason.NODE_UNREACHABLE, "the node does not answer")
    return _say(storage_ok, "True", Reason.TAKES_SLIVERS, "the node takes slivers")


def _keys_current(context: _Context) -> Condition:
    current = ConditionType.KEYS_CURRENT
    if context.node.name in context.keys.node_problems:
        return _say(current, "Unknown", Reason.NOT_VALID, "see condition Valid")
    changing = context.steps.rotations.changing.get(context.node.name)
    if changing:
        return _say(current, "False", Reason.KEYS_CHANGING, "; ".join(changing))
    return _say(current, "True", Reason.KEYS_IN_USE, "the keys are those that spec.rotateKeys asks for")


def _fenced(context: _Context) -> Condition:
    fenced, member = ConditionType.FENCED, context.member
    hold = context.steps.fences.holds.get(context.node.name)
    if hold is not None:
        return _say(fenced, "False", hold.reason, f"{hold.message}; the node runs on")
    if member is None or member.spec.desired_state != "Fenced":
        return _say(fenced, "False", Reason.NOT_FENCED, "the node is not to be fenced")
    seat = _seat(context)
    lost = f"its {seat.weight} shards count as unavailable" if seat is not None else "it holds no shards"
    return _say(fenced, "True", Reason.FENCED, f"no pod; volume, keys and stake are left as they are; {lost}")


def _deletion_blocked(context: _Context) -> Condition:
    blocked = ConditionType.DELETION_BLOCKED
    if context.hold is not None:
        return _say(blocked, "True", context.hold.reason, context.hold.message)
    if context.leaving:
        return _say(blocked, "False", Reason.REMOVABLE, "nothing that anybody needs is left on the node")
    return _say(blocked, "False", Reason.NOT_LEAVING, "the node is to stay")


def _state(context: _Context) -> str:
    if context.member is None:
        return "Removed" if context.leaving else "Refused"
    if not context.member.replicas:
        state = context.member.spec.desired_state
        return state if state in SWITCHED_OFF else "Hibernated"
    return context.info.status if context.info else "Starting"
