"""Whether a node that was restarted is back, and when the wait for it is in vain.

A node is back when its pod is ready, it answers, has reached the epoch, follows the chain and has its shards, and those who
use it find its new address. Nothing is remembered about the restart: since when a node is away follows from its pod and
from the end of the last epoch change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from walrus_operator.api.chain_view import ChainView, Seat
from walrus_operator.api.conditions import Reason
from walrus_operator.api.world import NodeInfo, PodView, Snapshot
from walrus_operator.plan import pod_trouble
from walrus_operator.plan.gates import ACTIVE, Facts, Hold
from walrus_operator.plan.rollout_gates import Roll
from walrus_operator.plan.rollout_members import Member
from walrus_operator.plan.times import iso

_FOLLOWS_WITHIN = 60.0
"""Seconds by which a node that follows the chain may be behind; empty checkpoints are recorded only now and then."""
STUCK_AFTER = 300.0
"""Seconds after which a node that has not rejoined is reported; a start on a busy machine takes its time."""
_HOPELESS = pod_trouble.NO_IMAGE | {"CrashLoopBackOff", "RunContainerError"}
"""What a container waits for that seldom goes away by itself."""


def not_rejoined(facts: Facts, member: Member, snapshot: Snapshot, settle: float = 0.0) -> str | None:
    """Why a node does not count as back; None when it does.

    Args:
        facts: What nodes say.
        member: The node.
        snapshot: The world.
        settle: Seconds that its pod must have been ready, so that everybody finds its new address.
    """
    pod, info, seat = member.pod, facts.infos.get(member.name), facts.seats.get(member.name)
    if pod is None or pod.terminating:
        return "its pod is being replaced"
    if not pod.ready:
        return f"its pod is {pod.phase}{f', {pod.waiting}' if pod.waiting else ''}"
    if info is None:
        observed = snapshot.infos.get(member.name)
        return f"it does not answer: {(observed.error if observed else None) or 'not yet'}"
    behind = _behind(facts, info, seat)
    if behind is None and pod.ready_since is not None and snapshot.now < pod.ready_since + settle:
        return f"not everybody finds its new address before {iso(pod.ready_since + settle)}"
    return behind


def _behind(facts: Facts, info: NodeInfo, seat: Seat | None) -> str | None:
    if facts.chain is not None and info.epoch < facts.chain.epoch:
        return f"it is in epoch {info.epoch}, the chain in {facts.chain.epoch}"
    if not info.chain_reachable or info.chain_age > _FOLLOWS_WITHIN:
        return "it does not follow the chain"
    if seat is None:
        return None
    if info.status != ACTIVE:
        return f"it reports {info.status}"
    missing = sum(1 for shard in seat.shards if info.shards.get(shard) != ACTIVE)
    return f"{missing} of its {seat.weight} shards are not ready" if missing else None


def unfinished(outdated: Sequence[str], members: Mapping[str, Member], roll: Roll, taken: Sequence[str]) -> str | None:
    """Why gateway and devnet wait for the nodes; None when all are restarted and back.

    A node that has been down for long does not hold up those who read and write, unless nobody has come back with its spec.
    """
    if outdated:
        return f"{outdated[0]} is still to be restarted{f', and {len(outdated) - 1} more' if outdated[1:] else ''}"
    for name in sorted(roll.returning, key=lambda name: (len(name), name)):
        pod = members[name].pod
        began = pod.created_at if pod is not None and not pod.terminating else None
        if name not in roll.proven or began is None or roll.now - began <= STUCK_AFTER:
            return f"{name} has not rejoined: {roll.returning[name]}"
    return f"{taken[0]} is being removed" if taken else None


def _away_since(pod: PodView, chain: ChainView | None) -> float | None:
    """Since when at most a node has not rejoined; None when nobody can say."""
    if pod.terminating:  # the pod of before, whatever its age, has until the end of its grace to go
        return pod.gone_by
    if chain is not None and chain.epoch and chain.change_done_at_ms is None:
        return None  # the epoch changes: who is behind has just been left behind
    epoch = chain.change_done_at_ms / 1000 if chain is not None and chain.change_done_at_ms is not None else None
    moments = [moment for moment in (pod.created_at, pod.ready_changed, epoch) if moment is not None]
    return max(moments, default=None)


def stuck(members: Mapping[str, Member], returning: Mapping[str, str], snapshot: Snapshot) -> Hold | None:
    """The node that the rollout waits for in vain."""
    for name in sorted(returning, key=lambda name: (len(name), name)):
        pod = members[name].pod
        if pod is None:
            continue
        since = _away_since(pod, snapshot.chain.value)
        hopeless = not pod.terminating and pod.waiting is not None and pod.waiting.split(",")[0] in _HOPELESS
        late = since is not None and snapshot.now - since > STUCK_AFTER
        if hopeless or late:
            return Hold(
                Reason.PREVIOUS_NODE_NOT_REJOINED,
                f"{name} was restarted and does not rejoin: {returning[name]}. No other node is restarted until it does: see "
                f"`kubectl describe pod {pod.name}` and its log, and correct the spec or set it back",
            )
    return None
