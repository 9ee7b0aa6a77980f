"""How nodes leave, step by step, each step decided anew from what the chain and Kubernetes show.

`Drain`: the stake is asked back; the pod serves its shards until the epoch has moved them and everybody has them; then
the workload goes, then its keys, then the WalrusNode. `Delete`: stake and workload go in the same pass if the fault budget
bears it, and the others recover the shards after the next epoch change. The record of the node (its WalrusNode, or its
key Secret when that is gone) stays until it holds neither shards nor stake, because a seat without a pod counts as
unavailable until an epoch gives it to somebody else. Volume and key Secret go last, by `persistentVolumeClaimPolicy`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from walrus_codec.types import NodeId
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import Action, DeleteObject, DrainNode, NodeWorkload, SetFinalizer
from walrus_operator.api.markers import DRAIN_FINALIZER
from walrus_operator.api.world import NodeObject, ObjectKey, Snapshot
from walrus_operator.plan import belongings, gates, membership, volumes
from walrus_operator.plan.gates import Hold
from walrus_operator.plan.membership import Leave, Membership

WORKLOAD = ("StatefulSet", "Service", "ConfigMap")


@dataclass
class Departures:
    """The outcome.

    Attributes:
        staying: leaving nodes whose pod still runs.
        unstaked: nodes whose stake should come back, the drained ones among them.
        holds: why a node that leaves, or whose volume should go, is still there.
        ended: leaving nodes of which only the record is left, or nothing.
        taken: nodes whose pod goes in this pass, or as soon as evictions are closed, for whatever reason.
        actions: deletions and finalizers.
    """

    staying: list[NodeWorkload] = field(default_factory=list)
    unstaked: set[str] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)


def decide(
    snapshot: Snapshot,
    members: Membership,
    facts: gates.Facts,
    *,
    node_ids: Mapping[str, NodeId],
    taken: Iterable[str] = (),
    keyless: Container[str] = (),
) -> Departures:
    """What of the leaving nodes goes in this pass.

    Args:
        snapshot: The world.
        members: Who is asked for and who leaves.
        facts: What the gates look at.
        node_ids: Pool of each registered node, those without a WalrusNode included.
        taken: Nodes that the same pass takes away for other reasons.
        keyless: Nodes whose keys are lost or exchanged, which would not come back from a restart.
    """
    found = Departures(taken=[*taken])
    everyone = {node.name: node for node in snapshot.nodes}
    remain = any(member.name not in members.drained for member in members.members)
    known = set(node_ids.values())
    # Somebody else's node may hold the shards, too.
    remain = remain or (facts.chain is not None and any(seat.node_id not in known for seat in facts.chain.committee))
    for name in sorted(members.drained):
        hold = _unstake(found, name, remain=remain) or _drained(facts, name, node_ids.get(name))
        if hold is not None:
            found.holds[name] = hold
    for name, how in members.leaving.items():
        node_id, node = node_ids.get(name), everyone.get(name)
        if not _running(snapshot, name):
            found.unstaked.add(name)
            found.ended.add(name)
            hold = _record_needed(facts.chain, node_id, fresh=facts.fresh)
            if hold is not None:
                found.holds[name] = hold
            else:
                found.actions += _last_traces(snapshot, name, node)
            continue
        if how is Leave.DRAIN:
            hold = _unstake(found, name, remain=remain) or _drained(facts, name, node_id)
        else:
            hold = gates.first(gates.BEFORE_REMOVAL, facts, name, found.taken)
        if hold is not None:
            found.holds[name] = hold
            found.taken += [name] if hold is gates.EVICTIONS_OPEN else []
            if node is None or node.spec is not None:
                found.staying.append(_as_it_runs(membership.workload(name, node, snapshot), snapshot))
            continue
        found.taken.append(name)
        found.unstaked.add(name)
        found.actions += _workload_of(snapshot, name)
    found.actions += _finalizers(snapshot, members, found)
    _volumes(snapshot, members, facts, found, keyless)
    return found


def _running(snapshot: Snapshot, name: str) -> bool:
    return any(ObjectKey(kind, name) in snapshot.live for kind in WORKLOAD) or names.pod(name) in snapshot.pods


def _as_it_runs(workload: NodeWorkload, snapshot: Snapshot) -> NodeWorkload:
    """Switching off a node that leaves changes nothing: it goes as it leaves, and serves until then if it serves now."""
    live = snapshot.live.get(ObjectKey("StatefulSet", workload.name))
    if workload.spec.desired_state not in membership.SWITCHED_OFF or live is None:
        return workload
    return replace(workload, replicas=int((live.get("spec") or {}).get("replicas", 0)))


def _unstake(found: Departures, name: str, *, remain: bool) -> Hold | None:
    """Lets the stake go, unless nobody would be left to hold shards."""
    if remain:
        found.unstaked.add(name)
        return None
    return Hold(Reason.LAST_STAKED_NODE, "no other node has stake, and a committee without members cannot be chosen")


def _drained(facts: gates.Facts, name: str, node_id: NodeId | None) -> Hold | None:
    """Whether the pod of a drained node may go: its shards have left it and arrived elsewhere."""
    return _holds_shards(facts.chain, node_id, fresh=facts.fresh) or gates.first(gates.BEFORE_SOURCE_GOES, facts, name)


def _holds_shards(chain: ChainView | None, node_id: NodeId | None, *, fresh: bool) -> Hold | None:
    if chain is None or not fresh:
        return Hold(Reason.CHAIN_MIRROR_STALE, "the chain does not answer, so the node may hold shards")
    seat = next((seat for seat in chain.committee if seat.node_id == node_id), None)
    following = any(seat.node_id == node_id for seat in chain.next_committee)
    if following:
        return Hold(Reason.HOLDS_SHARDS, f"it is chosen for epoch {chain.epoch + 1}: its shards move one epoch later")
    if seat is None:
        return None
    if any(piece.node_id == node_id and piece.withdraw_epoch is None for piece in chain.delegations):
        return Hold(Reason.HOLDS_SHARDS, f"it holds {seat.weight} shards, and its stake is being withdrawn")
    return Hold(
        Reason.HOLDS_SHARDS,
        f"it holds {seat.weight} shards until epoch {chain.epoch + 1}, which gives them to others unless they stake on it",
    )


def _record_needed(chain: ChainView | None, node_id: NodeId | None, *, fresh: bool) -> Hold | None:
    """Whether the node must be remembered although nothing of it runs."""
    hold = _holds_shards(chain, node_id, fresh=fresh)
    if hold is not None or chain is None or not chain.stakes.get(node_id or NodeId("")):
        return hold
    return Hold(Reason.HOLDS_STAKE, "its stake is being withdrawn")


def _workload_of(snapshot: Snapshot, name: str) -> list[Action]:
    keys = (ObjectKey(kind, name) for kind in WORKLOAD)
    return [DeleteObject(key, snapshot.live[key]["metadata"]["uid"]) for key in keys if key in snapshot.live]


def _last_traces(snapshot: Snapshot, name: str, node: NodeObject | None) -> list[Action]:
    """Volume and keys, if they may go, and then the WalrusNode."""
    found: list[Action] = [*belongings.left_behind(snapshot, name)]
    if node is not None and not node.deleting:
        found.append(DeleteObject(ObjectKey("WalrusNode", name), node.uid))
    return found


def finalizer(node: NodeObject, *, wanted: bool) -> SetFinalizer | None:
    """Puts our finalizer on a WalrusNode or takes it off; None when that is done."""
    has = DRAIN_FINALIZER in node.finalizers
    if has == wanted or (wanted and node.deleting):  # the API server takes no new ones then
        return None
    others = tuple(entry for entry in node.finalizers if entry != DRAIN_FINALIZER)
    version = str(node.live["metadata"].get("resourceVersion", ""))
    return SetFinalizer(node.name, node.uid, (*others, DRAIN_FINALIZER) if wanted else others, version)


def _finalizers(snapshot: Snapshot, members: Membership, found: Departures) -> list[Action]:
    done = {name for name in found.ended if name not in found.holds}
    changes = []
    for node in snapshot.nodes:
        drains = membership.policy(snapshot, node) is Leave.DRAIN
        wanted = members.frozen and drains and node.name not in done
        changes.append(finalizer(node, wanted=wanted))
    return [change for change in changes if change is not None]


def _volumes(
    snapshot: Snapshot, members: Membership, facts: gates.Facts, found: Departures, keyless: Container[str]
) -> None:
    """A volume claim that was deleted goes when its pod goes: the pod is deleted for that, and comes back without data.

    One that is to be replaced is deleted with its pod, so that the node keeps its data until its turn has come.
    """
    everyone = {node.name: node for node in snapshot.nodes}
    for member in members.members:
        pod = snapshot.pods.get(names.pod(member.name))
        claim = snapshot.claims.get(names.claim(member.name))
        if pod is None or pod.terminating or claim is None:
            continue
        if not claim.terminating and not volumes.asked_to_go(everyone.get(member.name), claim):
            continue
        hold = gates.first(gates.BEFORE_RESTART, facts, member.name, found.taken)
        if member.name in keyless:
            hold = Hold(
                Reason.KEY_SECRET_LOST, "its keys are not as they should be, and without them it would not come back"
            )
        if hold is not None:
            found.holds[member.name] = hold
            found.taken += [member.name] if hold is gates.EVICTIONS_OPEN else []
            continue
        found.taken.append(member.name)
        if not claim.terminating:
            found.actions.append(DeleteObject(ObjectKey("PersistentVolumeClaim", claim.name), claim.uid))
        info = snapshot.infos.get(member.name)
        if pod.admin and info is not None and info.fresh is not None:
            found.actions.append(DrainNode(member.name, pod.name, pod.uid))
        found.actions.append(DeleteObject(ObjectKey("Pod", pod.name), pod.uid))
