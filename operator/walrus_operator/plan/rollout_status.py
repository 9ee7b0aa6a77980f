"""The rollout as data: what the status tells of it, with the plan for what is still to come.

The plan packs the nodes that are left into steps, in the order of the rollout, as the fault budget and the failure domains
allow when everybody else stays as they are and those who were restarted come back. It is what would happen, shown before
it does; the gates decide at each step anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from walrus_operator.api.chain_view import Seat
from walrus_operator.api.decisions import EventNote, RolloutNumbers
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.network_status import (
    RolloutBudget,
    RolloutHold,
    RolloutPart,
    RolloutStatus,
    RolloutStep,
    RolloutVersion,
)
from walrus_operator.api.world import NetworkObject, ObjectKey, Snapshot
from walrus_operator.plan import estimate, gates
from walrus_operator.plan.gates import Facts
from walrus_operator.plan.rollout import UNDER_WAY, Rollout
from walrus_operator.plan.rollout_members import Member


def report(snapshot: Snapshot, spec: NetworkSpec, found: Rollout) -> RolloutStatus:
    """What to store.

    Args:
        snapshot: The world.
        spec: The network's spec.
        found: What was decided.
    """
    facts, chain = found.facts, snapshot.chain.value
    plan = steps(found)
    plan += part_steps(found, plan)
    every = len(found.members)
    updated = sum(1 for member in found.members.values() if member.current)
    return RolloutStatus(
        state=_state(found),
        target=found.target,
        display=f"{updated}/{every}",
        updated=updated,
        outdated=len(found.outdated),
        returning=sorted(found.all_returning, key=_natural),
        stuck=found.stuck.message if found.stuck is not None else None,
        budget=RolloutBudget(
            allowed=facts.budget,
            reserve=facts.reserve,
            unavailable=sum(gates.unavailable(facts, name) for name in facts.seats),
        ),
        plan=plan,
        holds=_holds(found),
        ends_in_epoch=estimate.ends_in_epoch(
            chain,
            len(plan),
            now=snapshot.now,
            settle=spec.rollout.min_ready_seconds,
            allowed=spec.rollout.maintenance_windows,
        )
        if chain is not None
        else None,
        versions=_versions(found),
        parts=_parts(found) or None,
    )


def events(network: NetworkObject, status: RolloutStatus, found: Rollout) -> tuple[EventNote, ...]:
    """What to tell of a rollout as a whole: that it begins, has restarted all, or is stuck.

    Args:
        network: The network as stored, with the status of the pass before.
        status: The rollout now.
        found: What was decided.
    """
    about, before = ObjectKey("WalrusNetwork", network.name), network.status.rollout
    notes = []
    if found.all_outdated and not _left(before):
        pods = f" and {len(found.parts.outdated)} pods of gateway and devnet" if found.parts.outdated else ""
        sentence = f"{status.outdated} nodes{pods} are to be restarted, in {len(status.plan)} steps; the target is {status.target}"
        notes.append(EventNote(about, "RolloutStarted", sentence))
    if before is not None and before.state in UNDER_WAY and status.state == "Complete":
        notes.append(EventNote(about, "RolloutDone", f"all {status.updated} nodes run what the spec asks for"))
    # Not by condition Degraded, which may name something worse.
    if found.stuck is not None and (before is None or before.stuck is None):
        notes.append(EventNote(about, "RolloutStuck", found.stuck.message, "Warning"))
    return tuple(notes)


def _left(status: RolloutStatus | None) -> int:
    """How many pods were still to be restarted."""
    if status is None:
        return 0
    return status.outdated + sum(part.outdated for part in status.parts or ())


def numbers(found: Rollout) -> RolloutNumbers:
    """What metrics tell."""
    return RolloutNumbers(
        outdated=len(found.all_outdated),
        stuck=found.stuck is not None,
        gates={entry.gate: len(entry.nodes) + len(entry.pods or ()) for entry in _holds(found)},
    )


def steps(found: Rollout) -> list[RolloutStep]:
    """The nodes that are left, batch after batch; those that no budget bears are left out."""
    facts = found.facts
    idle = _down_otherwise(found)
    seats = (facts.seats, facts.following)
    tried = set(found.roll.proven)
    left = [*found.chosen, *(name for name in found.outdated if name not in found.chosen)]
    left = [name for name in left if name in facts.overridden or _fits(facts, seats, idle, [name])]
    batches: list[RolloutStep] = []
    while left:
        batch = [left[0]]
        domain = found.roll.domains.get(left[0], "")
        if left[0] in tried and left[0] not in facts.overridden:
            for name in left[1:]:
                if (
                    name in tried
                    and found.roll.domains.get(name, "") == domain
                    and _fits(facts, seats, idle, [*batch, name])
                ):
                    batch.append(name)
        batches.append(RolloutStep(nodes=batch, shards=sum(_weight(facts.seats, name) for name in batch)))
        tried |= _alike(found, batch[0])
        left = [name for name in left if name not in batch]
    return batches


def part_steps(found: Rollout, nodes: Iterable[RolloutStep]) -> list[RolloutStep]:
    """Gateway and devnet, one pod after the other; they wait for all nodes, also for those that no budget bears."""
    parts = found.parts
    if set(found.outdated) - {name for step in nodes for name in step.nodes}:
        return []
    return [
        RolloutStep(nodes=[], shards=0, pods=[name])
        for name in (*parts.chosen, *(name for name in parts.outdated if name not in parts.chosen))
    ]


def _parts(found: Rollout) -> list[RolloutPart]:
    groups: dict[str, list[Member]] = {}
    for name, member in found.parts.members.items():
        groups.setdefault(name.rpartition("-")[0], []).append(member)
    return [
        RolloutPart(
            name=workload,
            display=f"{sum(member.current for member in replicas)}/{len(replicas)}",
            updated=sum(member.current for member in replicas),
            outdated=sum(member.name in found.parts.outdated for member in replicas),
            images=sorted({member.pod.image for member in replicas if member.pod is not None}),
        )
        for workload, replicas in groups.items()
    ]


def _alike(found: Rollout, name: str) -> set[str]:
    """Nodes with the same kind of spec, which is proven when the first has rejoined."""
    wanted = found.members[name].wanted
    return {
        other
        for other, member in found.members.items()
        if wanted is not None and member.wanted is not None and member.wanted.spec == wanted.spec
    }


def _weight(seats: Mapping[str, Seat], name: str) -> int:
    seat = seats.get(name)
    return seat.weight if seat is not None else 0


def _down_otherwise(found: Rollout) -> tuple[int, int]:
    """Shards that are away in this committee and in the next, without those that the rollout itself takes."""
    facts, ours = found.facts, set(found.outdated) | set(found.returning)
    now = sum(gates.unavailable(facts, name) for name in facts.seats if name not in ours)
    away = (name for name in facts.following if name not in ours)
    following = sum(_weight(facts.following, name) for name in away if name not in facts.serving)
    return now, following


def _fits(
    facts: Facts, seats: tuple[Mapping[str, Seat], Mapping[str, Seat]], idle: tuple[int, int], batch: Iterable[str]
) -> bool:
    batch = tuple(batch)
    return all(
        down + sum(_weight(held, name) for name in batch) <= facts.budget or not any(name in held for name in batch)
        for held, down in zip(seats, idle, strict=True)
    )


def _state(found: Rollout) -> str:
    if found.all_chosen or (found.all_returning and found.under_way and found.stuck is None):
        return "Rolling"
    if found.under_way:
        return "Held"
    return "Settling" if found.returning else "Complete"


def _holds(found: Rollout) -> list[RolloutHold]:
    """Gates in the order of what they hold."""
    nodes: dict[str, list[str]] = {}
    pods: dict[str, list[str]] = {}
    words: dict[str, str] = {}
    for held, names, holds in (
        (nodes, found.outdated, found.holds),
        (pods, found.parts.outdated, found.parts.holds),
    ):
        for name in names:
            hold = holds.get(name)
            if hold is not None:
                held.setdefault(hold.reason, []).append(name)
                words.setdefault(hold.reason, hold.message)
    return [
        RolloutHold(gate=gate, nodes=nodes.get(gate, []), message=message, pods=pods.get(gate))
        for gate, message in words.items()
    ]


def _versions(found: Rollout) -> list[RolloutVersion]:
    counted: dict[tuple[str, str], int] = {}
    for name, member in found.members.items():
        if member.pod is not None:
            info = found.facts.infos.get(name)
            key = member.pod.image, info.version if info else ""
            counted[key] = counted.get(key, 0) + 1
    return [
        RolloutVersion(image=image, version=version, nodes=count) for (image, version), count in sorted(counted.items())
    ]


def _natural(name: str) -> tuple[int, str]:
    return len(name), name
