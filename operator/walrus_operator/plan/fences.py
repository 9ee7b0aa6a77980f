"""Nodes that are taken out of rotation: `desiredState: Fenced`, and those that are switched off: `Hibernated`.

A fenced node has no pod. Its volume, keys, registration and stake stay as they are, for whoever wants to know what was wrong
with it; nothing is restarted, repaired or replaced, and its shards count as unavailable in every budget. So a fence takes
its shards away as a failure does, and waits until the fault budget bears that; a node that is down already takes nothing
more. Once the pod has gone, nothing brings it back but another desired state.

So it is with a node that hibernates, only that nothing is wrong with it: it also waits for a challenge that it is in, which
takes seconds, and for a vote to slash that it has open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from walrus_operator.api import names
from walrus_operator.api.world import ObjectKey, Snapshot
from walrus_operator.plan import gates
from walrus_operator.plan.gates import Facts, Hold
from walrus_operator.plan.membership import SWITCHED_OFF, Membership

BEFORE_FENCE: tuple[gates.Gate, ...] = (
    gates.chain_mirror_stale,
    gates.fault_budget_exceeded,
    gates.evictions_open,
)
"""A node that is fenced is in doubt: what it may be in the middle of does not matter, its challenges and votes included."""


@dataclass(frozen=True)
class Fences:
    """The outcome.

    Attributes:
        members: as they were, but nodes that may not be fenced yet run on.
        holds: why those run on.
        awake: why nodes that should hibernate run on.
        taken: nodes whose pod goes in this pass, or as soon as evictions are closed.
    """

    members: Membership
    holds: Mapping[str, Hold]
    awake: Mapping[str, Hold]
    taken: tuple[str, ...]


def decide(snapshot: Snapshot, members: Membership, facts: Facts) -> Fences:
    """Which of the nodes that should be fenced, or hibernate, may lose their pod."""
    holds: dict[str, Hold] = {}
    awake: dict[str, Hold] = {}
    taken: list[str] = []
    for member in members.members:
        name, wanted = member.name, member.spec.desired_state
        if wanted not in SWITCHED_OFF or not _runs(snapshot, name):
            continue
        hold = None
        if name in facts.serving:
            asked = BEFORE_FENCE if wanted == "Fenced" else gates.BEFORE_HIBERNATION
            hold = gates.first(asked, facts, name, taken)
        if hold in {None, gates.EVICTIONS_OPEN}:
            taken.append(name)
        if hold is not None:
            (holds if wanted == "Fenced" else awake)[name] = hold
    running = tuple(
        replace(member, replicas=1) if member.name in {*holds, *awake} else member for member in members.members
    )
    return Fences(replace(members, members=running), holds, awake, tuple(taken))


def _runs(snapshot: Snapshot, name: str) -> bool:
    """Whether a pod is there or will come; one that was fenced before is not asked about again."""
    live = snapshot.live.get(ObjectKey("StatefulSet", name))
    if live is None:
        return names.pod(name) in snapshot.pods
    return bool((live.get("spec") or {}).get("replicas", 0))
