"""Gateway and devnet in a rollout: which of their pods run something else than the spec asks for, and which may restart.

Their life is that of a node's pod (see `rollout`): the template waits for its turn, is written, and a later pass deletes
the pod. Replicas of a gateway share one template, so it is written for the first of them. Pods that an older operator made
without digests, or of which only the operator's version differs, are left alone as nodes are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from walrus_operator.api import names
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import DeleteObject, EventNote
from walrus_operator.api.world import Manifest, ObjectKey, Snapshot
from walrus_operator.plan import chain_state, part_gates, rollout_members
from walrus_operator.plan.chain_state import ChainState
from walrus_operator.plan.gates import Facts, Hold
from walrus_operator.plan.part_gates import Scene
from walrus_operator.plan.rollout_gates import Roll
from walrus_operator.plan.rollout_members import Member


@dataclass(frozen=True)
class Parts:
    """The outcome; pods go by their names.

    Attributes:
        members: all pods of gateway and devnet that should run.
        outdated: pods that are still to be restarted, the next ones in front.
        by_operator_only: pods that differ only by the version of the operator that made them.
        returning: pods that run what the spec asks for and are not ready, and why not; while a rollout is under way.
        chosen: pods that may restart now.
        holds: why the other outdated pods may not.
        kept: StatefulSets whose template is left alone, by name.
        actions: pods to delete.
        events: what to tell of them.
    """

    members: Mapping[str, Member] = field(default_factory=dict)
    outdated: tuple[str, ...] = ()
    by_operator_only: tuple[str, ...] = ()
    returning: Mapping[str, str] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    kept: Mapping[str, Manifest] = field(default_factory=dict)
    actions: tuple[DeleteObject, ...] = ()
    events: tuple[EventNote, ...] = ()


def members(snapshot: Snapshot) -> Mapping[str, Member]:
    """All pods of gateway and devnet that should run, in their order."""
    found = {}
    for workload in (names.gateway(snapshot.network.name), names.devnet(snapshot.network.name)):
        live = snapshot.live.get(ObjectKey("StatefulSet", workload))
        for index in range(int(((live or {}).get("spec") or {}).get("replicas", 0))):
            pod = f"{workload}-{index}"
            found[pod] = rollout_members.read(snapshot, pod, workload, pod)
    return found


def left(found: Mapping[str, Member], restart: str | None) -> tuple[str, ...]:
    """Pods that are still to be restarted.

    Args:
        found: All pods.
        restart: What the spec says of restarts.
    """
    return tuple(
        name for name, member in found.items() if not member.current and not rollout_members.left_alone(member, restart)
    )


def ending_chain(snapshot: Snapshot) -> str | None:
    """The devnet's pod when it is about to end, and the chain with it."""
    pod = snapshot.pods.get(names.pod(names.devnet(snapshot.network.name)))
    return pod.name if pod is not None and pod.terminating else None


def decide(
    snapshot: Snapshot,
    facts: Facts,
    roll: Roll,
    found: Mapping[str, Member],
    *,
    outdated: Sequence[str],
    nodes: str | None,
    running: frozenset[str],
    going: bool,
) -> Parts:
    """Which pods may restart in this pass.

    Args:
        snapshot: The world.
        facts: What the gates look at.
        roll: The rest of that.
        found: All pods (`members`).
        outdated: Those that are to be restarted (`left`).
        nodes: Why the nodes are not done; None when they are.
        running: Nodes whose pods should run.
        going: Whether a rollout is under way.
    """
    devnet = names.pod(names.devnet(snapshot.network.name))
    away = {name: why for name, member in found.items() if (why := _not_ready(member, facts, devnet)) is not None}
    scene = Scene(
        facts=facts,
        roll=roll,
        nodes=nodes,
        gateways={name: why for name, why in away.items() if name != devnet},
        gateways_left=tuple(name for name in outdated if name != devnet),
        running=running,
    )
    # The devnet is asked last; of gateways, one that is away anyway goes first.
    ordered = sorted(outdated, key=lambda name: (name == devnet, not found[name].written, name not in away, name))
    chosen: list[str] = []
    holds: dict[str, Hold] = {}
    for name in ordered:
        hold = part_gates.first(_asked(snapshot, facts, found[name], devnet), scene, name, chosen)
        pod = found[name].pod
        if pod is not None and pod.terminating:
            hold = Hold(Reason.EXPECTATION_PENDING, f"pod {name} is ending: it comes back first")
        if hold is None:
            chosen.append(name)
        else:
            holds[name] = hold
    actions, events = _restarts(snapshot, found, chosen)
    return Parts(
        members=found,
        outdated=tuple(ordered),
        by_operator_only=tuple(
            name for name, member in found.items() if member.by_operator_only and name not in outdated
        ),
        returning={name: why for name, why in away.items() if going and found[name].current},
        chosen=tuple(chosen),
        holds=holds,
        kept=_kept(found, chosen),
        actions=actions,
        events=events,
    )


def _asked(snapshot: Snapshot, facts: Facts, member: Member, devnet: str) -> tuple[part_gates.PartGate, ...]:
    if member.dead:
        return part_gates.BEFORE_REPAIR
    if member.name != devnet:
        return part_gates.BEFORE_GATEWAY
    # Who restarts a chain that neither the operator nor any node reaches takes nothing away.
    unreached = chain_state.judge(snapshot).state in {ChainState.SILENT, ChainState.NEVER_SEEN}
    if unreached and not any(info.chain_reachable for info in facts.infos.values()):
        return part_gates.BEFORE_REPAIR
    return part_gates.BEFORE_DEVNET


def _not_ready(member: Member, facts: Facts, devnet: str) -> str | None:
    pod = member.pod
    if pod is None or pod.terminating:
        return "it is being replaced"
    if not pod.ready:
        return f"it is {pod.phase}{f', {pod.waiting}' if pod.waiting else ''}"
    if member.name == devnet and not facts.fresh:
        return "the chain does not answer yet"
    return None


def _kept(found: Mapping[str, Member], chosen: Sequence[str]) -> Mapping[str, Manifest]:
    """StatefulSets none of whose pods may restart or has been restarted."""
    groups: dict[str, list[Member]] = {}
    for member in found.values():
        if member.live is not None:
            groups.setdefault(member.live["metadata"]["name"], []).append(member)
    return {
        name: replicas[0].live
        for name, replicas in groups.items()
        if replicas[0].live is not None
        and all(member.kept for member in replicas)
        and not any(member.name in chosen for member in replicas)
    }


def _restarts(
    snapshot: Snapshot, found: Mapping[str, Member], chosen: Sequence[str]
) -> tuple[tuple[DeleteObject, ...], tuple[EventNote, ...]]:
    """Deletes the chosen pods whose StatefulSet is ready to make the new one."""
    pods = [found[name].pod for name in chosen if found[name].written]
    going = [pod for pod in pods if pod is not None]
    about = ObjectKey("WalrusNetwork", snapshot.network.name)
    return (
        tuple(DeleteObject(ObjectKey("Pod", pod.name), pod.uid) for pod in going),
        tuple(
            EventNote(about, "Restarting", f"pod {pod.name} ends and comes back with what the spec asks for")
            for pod in going
        ),
    )
