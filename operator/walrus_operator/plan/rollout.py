"""Rollouts: which nodes run something else than the spec asks for, and which of them may restart in this pass.

Life of a change: the spec of a node, or of the network, gets another digest than the node's pod carries. The node keeps
its pod template and its configuration (`kept`) until all gates are open for it. Then one pass writes the new template, and
a later one, when the StatefulSet's controller has seen that template, deletes the pod by its UID. The pod that comes back
carries the new digest; until its node has rejoined (it answers, has reached the epoch, follows the chain and has its
shards), nobody else goes. The first node of each kind of spec goes alone; after it batches go that fit the fault budget.

Gateway and devnet follow the nodes (`parts`). Nothing is remembered: who has been restarted stands on the pods, who has
rejoined is asked of the nodes. A pod whose spec digest is right and whose template is not was made by another version of
the operator: that restarts nobody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from walrus_operator.api import names
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import Action, DeleteObject, DrainNode, EventNote
from walrus_operator.api.markers import APPROVED_ANNOTATION, OVERRIDE_ANNOTATION
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.world import Manifest, ObjectKey, Snapshot
from walrus_operator.plan import gates, parts, rollout_gates, rollout_members, volumes, windows
from walrus_operator.plan.gates import Facts, Hold
from walrus_operator.plan.membership import Membership
from walrus_operator.plan.parts import Parts
from walrus_operator.plan.rejoining import not_rejoined, stuck, unfinished
from walrus_operator.plan.rollout_gates import Roll
from walrus_operator.plan.rollout_members import Member, left_alone

UNDER_WAY = frozenset({"Rolling", "Held"})
"""States of a rollout that has not ended."""


@dataclass(frozen=True)
class Rollout:
    """The outcome.

    Attributes:
        target: name of what all nodes should run.
        members: all nodes that should run, by name.
        outdated: nodes that are still to be restarted, the next ones in front.
        by_operator_only: nodes that differ only by the version of the operator that made their pods.
        returning: nodes that run what the spec asks for and have not rejoined, and why not.
        under_way: whether nodes are to be restarted, or were and have not all rejoined.
        chosen: nodes that may restart now.
        holds: why the other outdated nodes may not.
        stuck: why the rollout does not go on by itself; None when it may.
        kept: StatefulSets whose templates are left alone, by name; those of gateway and devnet too.
        actions: pods to delete, and what goes before them; those of gateway and devnet too.
        disturbed: nodes whose pod goes in this pass, or in the next one if evictions are closed by then.
        events: what to tell of them.
        parts: gateway and devnet, which follow the nodes.
        facts: what the gates looked at.
        roll: the rest of that.
    """

    target: str
    members: Mapping[str, Member]
    outdated: tuple[str, ...]
    by_operator_only: tuple[str, ...]
    returning: Mapping[str, str]
    under_way: bool
    chosen: tuple[str, ...]
    holds: Mapping[str, Hold]
    stuck: Hold | None
    kept: Mapping[str, Manifest]
    actions: tuple[Action, ...]
    events: tuple[EventNote, ...]
    facts: Facts
    roll: Roll
    parts: Parts = field(default_factory=Parts)
    disturbed: tuple[str, ...] = ()

    @property
    def moving(self) -> bool:
        """Whether something is on its way."""
        return bool(self.all_chosen or self.all_returning)

    @property
    def all_outdated(self) -> tuple[str, ...]:
        """Nodes, and pods of gateway and devnet, that are still to be restarted."""
        return (*self.outdated, *self.parts.outdated)

    @property
    def all_chosen(self) -> tuple[str, ...]:
        """Those of them that may restart now."""
        return (*self.chosen, *self.parts.chosen)

    @property
    def all_holds(self) -> Mapping[str, Hold]:
        """Why the others may not."""
        return {**self.holds, **self.parts.holds}

    @property
    def all_returning(self) -> Mapping[str, str]:
        """Nodes that have not rejoined, and pods of gateway and devnet that are not back."""
        return {**self.returning, **self.parts.returning}


def decide(snapshot: Snapshot, members: Membership, facts: Facts, *, taken: Sequence[str]) -> Rollout:
    """Which nodes may restart in this pass.

    Args:
        snapshot: The world; the network's spec must be readable.
        members: Who is asked for.
        facts: What the gates look at.
        taken: Nodes that the same pass takes away for other reasons.
    """
    network = snapshot.network
    if network.spec is None:
        raise ValueError("a rollout needs a readable spec")
    spec = network.spec.rollout
    known = {
        member.name: rollout_members.read(
            snapshot, member.name, member.name, names.pod(member.name), storage=member.spec.storage
        )
        for member in members.members
        if member.replicas
    }
    others = parts.members(snapshot)
    others_left = parts.left(others, spec.restart)
    facts = _with_new_answers(snapshot, facts)
    outdated = [member for member in known.values() if not member.current and not left_alone(member, spec.restart)]
    target = _target((*known.values(), *others.values()))
    before = network.status.rollout
    going = bool(outdated or others_left) or (before is not None and before.state in UNDER_WAY)
    # Nobody waits for addresses to be known while nothing is to be restarted.
    settle = float(spec.min_ready_seconds) if going else 0.0
    returning = {
        member.name: why
        for member in known.values()
        if member.current
        and member.live is not None
        and (why := not_rejoined(facts, member, snapshot, settle)) is not None
    }
    roll = Roll(
        now=snapshot.now,
        network=network.name,
        target=target,
        paused=spec.paused,
        approved=spec.mode == "Automatic" or network.annotations.get(APPROVED_ANNOTATION) == target,
        opens=windows.next_opening(spec.maintenance_windows, snapshot.now),
        expected=_expected(snapshot, network.spec, members),
        returning=returning,
        starting=frozenset(name for name in returning if name not in facts.infos),
        proven=_proven(known.values(), returning),
        silent={name: info.error for name, info in snapshot.infos.items() if info.error},
        domains={name: rollout_members.domain(snapshot, name) for name in known},
    )
    ordered = sorted(outdated, key=lambda member: _turn(member, facts))
    chosen, holds = choose(ordered, facts, roll, taken=taken)
    # What is refused may stay so, and evictions must not stay closed for it.
    alive = [name for name in chosen if name not in taken]  # the pods of those go already
    actions, events, disturbed = _restarts(ordered, alive, facts, ahead=not snapshot.refusals)
    following = parts.decide(
        snapshot,
        facts,
        roll,
        others,
        outdated=others_left,
        nodes=unfinished([member.name for member in ordered], known, roll, taken),
        running=frozenset(name for name, member in known.items() if member.live is not None),
        going=going,
    )
    # The last batch belongs to it until it is back; a node that is lost at any other time is nobody's doing.
    under_way = bool(outdated or others_left or (going and (returning or following.returning)))
    # While only gateway and devnet are left, a node that is down with a spec that others run is down, and not stuck.
    waited_for = {
        name: why for name, why in returning.items() if outdated or not others_left or name not in roll.proven
    }
    kept = {
        **{
            name: member.live for name, member in known.items() if member.remade or (member.kept and name not in chosen)
        },
        **{
            name: rollout_members.read(snapshot, name, name, names.pod(name)).live for name in members.leaving
        },  # nobody restarts those
        **following.kept,
    }
    return Rollout(
        target=target,
        members=known,
        outdated=tuple(member.name for member in ordered),
        by_operator_only=tuple(
            member.name for member in known.values() if member.by_operator_only and member not in outdated
        ),
        returning=returning,
        under_way=under_way,
        chosen=chosen,
        holds=holds,
        stuck=stuck({**known, **others}, {**waited_for, **following.returning}, snapshot) if under_way else None,
        kept={name: live for name, live in kept.items() if live is not None},
        actions=(*actions, *following.actions),
        events=(*events, *following.events),
        facts=facts,
        roll=roll,
        parts=following,
        disturbed=disturbed,
    )


def choose(
    ordered: Iterable[Member], facts: Facts, roll: Roll, *, taken: Sequence[str]
) -> tuple[tuple[str, ...], Mapping[str, Hold]]:
    """Who may restart now, and what holds the others.

    Args:
        ordered: Nodes to restart, the first in front.
        facts: What the gates look at.
        roll: The rest of that.
        taken: Nodes that the same pass takes away already.
    """
    chosen: list[str] = []
    holds: dict[str, Hold] = {}
    alone = False
    for member in ordered:
        if member.pod is not None and member.pod.terminating:
            holds[member.name] = Hold(
                Reason.EXPECTATION_PENDING, f"pod {member.pod.name} is ending: it comes back first"
            )
            continue
        asked = rollout_gates.BEFORE_REPAIR if member.dead else rollout_gates.BEFORE_ROLL
        others = (*taken, *chosen)
        # A pod in which nothing runs is repaired with its data.
        losing = member.loses_data and not member.dead
        # Who allows a restart beyond the budget does not allow to lose data beyond it.
        seen = replace(facts, overridden=frozenset(), pods={}) if losing else facts
        hold = rollout_gates.first(asked, seen, roll, member.name, others)
        if hold is None and others and (losing or alone):
            hold = Hold(
                Reason.PREVIOUS_NODE_NOT_REJOINED, f"{others[0]} goes first: volumes are replaced one after the other"
            )
        alone = alone or (hold is None and losing)
        if hold is None:
            chosen.append(member.name)
        else:
            holds[member.name] = hold
    return tuple(chosen), holds


def _with_new_answers(snapshot: Snapshot, facts: Facts) -> Facts:
    """Facts with nothing but what nodes have said in this pass, and what users allow for this pod alone."""
    fresh = {name: info.fresh for name, info in snapshot.infos.items()}
    pods = {
        node.name: snapshot.pods[pod].uid for node in snapshot.nodes if (pod := names.pod(node.name)) in snapshot.pods
    }
    overridden = {
        node.name
        for node in snapshot.nodes
        if node.name in pods
        and ((node.live.get("metadata") or {}).get("annotations") or {}).get(OVERRIDE_ANNOTATION) == pods[node.name]
    }
    return replace(
        facts,
        infos={name: info for name, info in fresh.items() if info is not None},
        pods=pods,
        overridden=frozenset(overridden),
    )


def _target(members: Iterable[Member]) -> str:
    wanted = sorted((member.name, member.wanted.spec) for member in members if member.wanted is not None)
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:10]


def _expected(snapshot: Snapshot, network: NetworkSpec, members: Membership) -> dict[str, str]:
    """What was done and does not show yet."""
    found = {}
    for name, uid in snapshot.deleted_pods.items():
        pod = snapshot.pods.get(name)
        if pod is not None and pod.uid == uid and not pod.terminating:
            found[f"pod {name}"] = "it was deleted, and its end does not show yet"
    ending = parts.ending_chain(snapshot)
    if ending is not None:
        found[f"pod {ending}"] = "it ends, and the chain is away until it is back"
    template = network.nodes.template.model_dump(exclude_none=True)
    ours = set(members.templated)
    for member in members.members:
        spec = member.spec.model_dump(exclude_none=True)
        if member.name in ours and not _contains(spec, template):
            found[f"WalrusNode {member.name}"] = "the network's template is not in its spec yet"
    return found


def _contains(whole: Any, part: Any) -> bool:
    """Whether every field of one spec stands in the other, which may have more."""
    if isinstance(whole, Mapping) and isinstance(part, Mapping):
        return all(key in whole and _contains(whole[key], value) for key, value in part.items())
    return bool(whole == part)


def _proven(members: Iterable[Member], returning: Mapping[str, str]) -> frozenset[str]:
    members = tuple(members)
    good = {
        member.wanted.spec
        for member in members
        if member.wanted is not None and member.live is not None and member.current and member.name not in returning
    }
    return frozenset(member.name for member in members if member.wanted is not None and member.wanted.spec in good)


def _turn(member: Member, facts: Facts) -> tuple[bool, bool, int, int, str]:
    """Nodes whose template is out go first, then those in which nothing runs, then the lightest: they risk the least."""
    seat = facts.seats.get(member.name)
    return not member.written, not member.dead, seat.weight if seat else 0, len(member.name), member.name


def _restarts(
    ordered: Iterable[Member], chosen: Sequence[str], facts: Facts, *, ahead: bool
) -> tuple[tuple[Action, ...], tuple[EventNote, ...], tuple[str, ...]]:
    """Deletes the pods of chosen nodes whose StatefulSet is ready to make the new one, and before that what must go first.

    The last part are the nodes whose pods go, or would if evictions were closed; those whose StatefulSet is being written
    `ahead` of that, too.
    """
    actions: list[Action] = []
    events: list[EventNote] = []
    disturbed: list[str] = []
    for member in ordered:
        if member.name not in chosen or member.pod is None:
            continue
        if not (member.written or member.remade):
            disturbed += [member.name] if ahead else []
            continue
        first, waits = volumes.before_restart(member.volume, member.pod) if member.volume is not None else ([], False)
        if member.dead and member.runs == member.wanted and not (first or waits):
            continue  # it is the right one already, and its volume waits until it runs
        if not waits:
            disturbed.append(member.name)
            if gates.evictions_open(facts, member.name, ()) is not None:
                continue
        actions += first
        if waits:
            continue
        seat = facts.seats.get(member.name)
        shards = f"{seat.weight} shards" if seat else "no shards"
        if member.pod.admin and member.name in facts.infos:
            actions.append(DrainNode(member.name, member.pod.name, member.pod.uid))
        actions.append(DeleteObject(ObjectKey("Pod", member.pod.name), member.pod.uid))
        sentence = f"pod {member.pod.name} ends and comes back with what the spec asks for; it holds {shards}"
        if first and member.loses_data:
            sentence += ", which it recovers from the other nodes: its volume is replaced"
        events.append(EventNote(ObjectKey("WalrusNode", member.name), "Restarting", sentence))
    return tuple(actions), tuple(events), tuple(disturbed)
