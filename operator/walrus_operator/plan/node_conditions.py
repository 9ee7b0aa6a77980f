"""Conditions of a storage node: each answers one question of its own.

Can the spec be carried out (Valid), does the node serve (Ready), does the chain know it (Registered, InCommittee), has it
what its shards need (Synced), does it take more (StorageOk), does it use the keys that it should (KeysCurrent), is it kept
out of rotation (Fenced), why is it still there (DeletionBlocked), has it its data (ChallengesPassing). What the questions
share about the node is one `NodeContext`.
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_codec.types import NodeId
from walrus_operator.api import names, sizing
from walrus_operator.api.chain_view import FROST_PER_WAL, ChainView, EpochPhase, Seat
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, Truth, condition
from walrus_operator.api.decisions import NodeWorkload
from walrus_operator.api.world import NodeInfo, NodeObject, Snapshot
from walrus_operator.plan import pod_trouble
from walrus_operator.plan import stakes as pieces
from walrus_operator.plan.challenges import Standing
from walrus_operator.plan.departures import Departures
from walrus_operator.plan.fences import Fences
from walrus_operator.plan.gates import RECOVERING, Hold
from walrus_operator.plan.key_rotation import Rotations
from walrus_operator.plan.keys import Keys
from walrus_operator.plan.membership import Membership, memory_problem

_TAKES_SLIVERS = "OK"
_ACTIVE = "Active"
_LOST = "ActiveRecover"
_CATCHING_UP = "RecoveryCatchUp"
_NOT_SERVING = frozenset({"Standby", "RecoverMetadata"})
"""Statuses in which a member has not taken over its shards; a recovering node serves what it has."""


@dataclass(frozen=True)
class Steps:
    """What the pass does about nodes, and what holds it."""

    departures: Departures
    rotations: Rotations
    fences: Fences


@dataclass(frozen=True)
class NodeContext:
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

    @property
    def seat(self) -> Seat | None:
        """The node's seat in the current committee."""
        if self.chain is None:
            return None
        return next((seat for seat in self.chain.committee if seat.node_id == self.node_id), None)

    @property
    def stake(self) -> int:
        """FROST that the treasury has delegated and not asked back."""
        if self.chain is None or self.node_id is None:
            return 0
        return self.chain.stakes.get(self.node_id, 0)


def conditions(context: NodeContext) -> tuple[Condition, ...]:
    """The node's conditions, in the order of its status."""
    return (
        _valid(context),
        _ready(context),
        _registered(context.node_id, context.chain),
        _in_committee(context),
        _synced(context),
        _storage_ok(context),
        _keys_current(context),
        _fenced(context),
        _deletion_blocked(context),
        context.standing.node_condition(context.node.name),
    )


def _say(type_: ConditionType, status: Truth, reason: Reason, message: str) -> Condition:
    return condition(Kind.NODE, type_, status, reason, message)


def _valid(context: NodeContext) -> Condition:
    node = context.node
    if node.spec is None:
        return _say(ConditionType.VALID, "False", Reason.SPEC_INVALID, node.spec_error or "the spec cannot be read")
    problem = context.keys.node_problems.get(node.name)
    if problem is not None:
        return _say(ConditionType.VALID, "False", problem.reason, problem.message)
    taken = next((what for why, what in context.snapshot.refusals if _is_about(node.name, why, what)), None)
    if taken is not None:
        return _say(ConditionType.VALID, "False", Reason.NAME_CONFLICT, taken)
    network = context.snapshot.network.spec
    if network is not None and node.name in context.membership.misnamed:
        why = (
            f"the name is that of a node of the network's template, and nodes.count is {network.nodes.count}: make the node "
            "under a name that does not end in a number, or raise nodes.count"
        )
        return _say(ConditionType.VALID, "False", Reason.NAME_CONFLICT, why)
    too_small = memory_problem(network, node.spec) if network is not None else None
    if too_small is not None:
        return _say(ConditionType.VALID, "False", Reason.MEMORY_LIMIT_TOO_SMALL, too_small)
    return _say(ConditionType.VALID, "True", Reason.ACCEPTED, "the spec can be carried out")


def _is_about(node: str, why: Reason, what: str) -> bool:
    """Whether an object of the node's name is somebody else's; the sentence begins with kind/name."""
    return why is Reason.NAME_CONFLICT and what.split(maxsplit=1)[0].partition("/")[2] == node


def _ready(context: NodeContext) -> Condition:
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
        why = f"pod {name} does not exist yet; if it stays so, see `kubectl describe statefulset {node.name}`"
        return _say(ConditionType.READY, "False", Reason.POD_MISSING, why)
    if pod.terminating:
        return _say(ConditionType.READY, "False", Reason.POD_NOT_READY, f"pod {name} is being terminated")
    if not pod.ready:
        trouble = pod_trouble.remedy(snapshot, pod)
        why = f"pod {name} is {pod.phase} but not ready{f': {trouble}' if trouble else ''}"
        return _say(ConditionType.READY, "False", Reason.POD_NOT_READY, why)
    if info is None:
        observed = snapshot.infos.get(node.name)
        why = observed.error if observed and observed.error else "no answer yet"
        return _say(
            ConditionType.READY, "Unknown", Reason.NODE_UNREACHABLE, f"pod {name} is ready but does not answer: {why}"
        )
    seat = context.seat
    if seat is not None and info.status in _NOT_SERVING:
        return _say(
            ConditionType.READY,
            "False",
            Reason.CATCHING_UP,
            f"the node reports {info.status}: it takes over its shards",
        )
    return _say(ConditionType.READY, "True", Reason.SERVING, "the node serves")


def _registered(node_id: NodeId | None, chain: ChainView | None) -> Condition:
    if node_id is not None:
        return _say(ConditionType.REGISTERED, "True", Reason.REGISTERED, f"pool {node_id}")
    if chain is None:
        return _say(ConditionType.REGISTERED, "Unknown", Reason.CHAIN_UNREACHABLE, "the chain has not answered yet")
    return _say(ConditionType.REGISTERED, "False", Reason.NOT_REGISTERED, "the node has not registered on chain yet")


def _in_committee(context: NodeContext) -> Condition:
    chain = context.chain
    if chain is None:
        return _say(ConditionType.IN_COMMITTEE, "Unknown", Reason.CHAIN_UNREACHABLE, "the chain has not answered yet")
    if chain.phase is EpochPhase.WAITING:
        return _say(ConditionType.IN_COMMITTEE, "False", Reason.NO_COMMITTEE, "the first committee is not chosen yet")
    seat, in_committee = context.seat, ConditionType.IN_COMMITTEE
    if seat is None:
        return _say(in_committee, "False", *_outside(context, chain))
    held = f"{seat.weight} of {chain.n_shards} shards"
    if context.leaving and not context.stake:
        until = pieces.leaves_with(chain, seat.node_id) or chain.epoch
        when = f"leaves with epoch {until}" if until > chain.epoch else "the stake of others keeps it in the committee"
        return _say(in_committee, "True", Reason.LEAVING, f"{held}; {when}")
    return _say(in_committee, "True", Reason.MEMBER, held)


def _outside(context: NodeContext, chain: ChainView) -> tuple[Reason, str]:
    """Why a node has no seat, and whether it will."""
    if context.leaving:
        return Reason.NOT_MEMBER, "the node holds no shards any more"
    if context.node_id is None or not context.stake:
        return Reason.NOT_MEMBER, "the treasury has delegated no stake to it; it does so once the node serves"
    own = pieces.pieces(chain, context.node_id)
    counts_from = min(piece.activation_epoch for piece in own)
    if counts_from > chain.epoch:
        return Reason.JOINING, f"{context.stake // FROST_PER_WAL} WAL count from epoch {counts_from}"
    return Reason.NOT_MEMBER, "the node's stake earned it no shard in this epoch"


def _synced(context: NodeContext) -> Condition:
    chain, info, seat = context.chain, context.info, context.seat
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


def _storage_ok(context: NodeContext) -> Condition:
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


def _keys_current(context: NodeContext) -> Condition:
    current = ConditionType.KEYS_CURRENT
    if context.node.name in context.keys.node_problems:
        return _say(current, "Unknown", Reason.NOT_VALID, "see condition Valid")
    changing = context.steps.rotations.changing.get(context.node.name)
    if changing:
        return _say(current, "False", Reason.KEYS_CHANGING, "; ".join(changing))
    return _say(current, "True", Reason.KEYS_IN_USE, "the keys are those that spec.rotateKeys asks for")


def _fenced(context: NodeContext) -> Condition:
    fenced, member = ConditionType.FENCED, context.member
    hold = context.steps.fences.holds.get(context.node.name)
    if hold is not None:
        return _say(fenced, "False", hold.reason, f"{hold.message}; the node runs on")
    if member is None or member.spec.desired_state != "Fenced":
        return _say(fenced, "False", Reason.NOT_FENCED, "the node is not to be fenced")
    seat = context.seat
    lost = f"its {seat.weight} shards count as unavailable" if seat is not None else "it holds no shards"
    return _say(fenced, "True", Reason.FENCED, f"no pod; volume, keys and stake are left as they are; {lost}")


def _deletion_blocked(context: NodeContext) -> Condition:
    blocked = ConditionType.DELETION_BLOCKED
    if context.hold is not None:
        return _say(blocked, "True", context.hold.reason, context.hold.message)
    if context.leaving:
        return _say(blocked, "False", Reason.REMOVABLE, "nothing that anybody needs is left on the node")
    return _say(blocked, "False", Reason.NOT_LEAVING, "the node is to stay")
