"""Gates of gateway and devnet: what holds the restart of a pod that holds no shards, but that others need.

The order is that of what is risked. Nodes go first: one of them shows that the new image starts at all, and nothing is lost
by it. Gateways follow one by one, each ready before the next, because requests end where no gateway is. The devnet goes
last and alone: it is the only one of its kind, and nodes that start, recover or change committees need the chain.

A pod in which nothing runs, and a devnet by which nobody can reach the chain, is replaced without asking more than whether
the user wants nothing restarted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from walrus_operator.api.conditions import Reason
from walrus_operator.plan import gates, rollout_gates
from walrus_operator.plan.gates import Facts, Hold
from walrus_operator.plan.rollout_gates import Roll, RollGate


@dataclass(frozen=True)
class Scene:
    """What these gates look at.

    Attributes:
        facts: what the gates of nodes look at.
        roll: likewise.
        nodes: why the nodes are not done; None when they are.
        gateways: gateway pods that are not ready, and why not.
        gateways_left: gateway pods that are still to be restarted.
        running: nodes whose pods should run.
    """

    facts: Facts
    roll: Roll
    nodes: str | None = None
    gateways: Mapping[str, str] = field(default_factory=dict)
    gateways_left: tuple[str, ...] = ()
    running: frozenset[str] = frozenset()


PartGate = Callable[[Scene, str, Sequence[str]], Hold | None]
"""The scene, the pod in question, and the pods that the same pass restarts already."""


def shared(gate: RollGate) -> PartGate:
    """A gate that nodes ask too."""

    def asked(scene: Scene, pod: str, _taken: Sequence[str]) -> Hold | None:
        return gate(scene.facts, scene.roll, pod, ())

    return asked


def nodes_first(scene: Scene, _pod: str, _taken: Sequence[str]) -> Hold | None:
    """Nodes are still to be restarted, or not back."""
    if scene.nodes is None:
        return None
    return Hold(Reason.PREVIOUS_NODE_NOT_REJOINED, f"nodes go first: {scene.nodes}")


def gateway_not_ready(scene: Scene, pod: str, taken: Sequence[str]) -> Hold | None:
    """Another gateway is away: requests need this one."""
    if taken:
        return Hold(Reason.GATEWAY_NOT_READY, f"{taken[0]} goes first; the others follow once it is ready")
    away = sorted(set(scene.gateways) - {pod})
    if not away:
        return None
    return Hold(Reason.GATEWAY_NOT_READY, f"{away[0]} is not ready: {scene.gateways[away[0]]}")


def gateways_first(scene: Scene, pod: str, taken: Sequence[str]) -> Hold | None:
    """Gateways are still to be restarted: a gateway that starts needs the chain."""
    if scene.gateways_left:
        return Hold(Reason.GATEWAY_NOT_READY, f"gateways go first: {scene.gateways_left[0]} is still to be restarted")
    return gateway_not_ready(scene, pod, taken)


def members_down(scene: Scene, _pod: str, _taken: Sequence[str]) -> Hold | None:
    """A member is down: it needs the chain to come back."""
    facts = scene.facts
    down = sorted(
        name for name in facts.seats if name in scene.running and not (name in facts.serving and name in facts.infos)
    )
    if not down:
        return None
    return Hold(Reason.MEMBERS_DOWN, f"{down[0]} does not serve, and needs the chain to come back")


def shards_on_their_way(scene: Scene, _pod: str, _taken: Sequence[str]) -> Hold | None:
    """A member takes over shards or recovers, by what the chain says."""
    for name in sorted(scene.facts.seats):
        for gate in (gates.shard_transfer_target, gates.node_recovering):
            hold = gate(scene.facts, name, ())
            if hold is not None:
                return Hold(hold.reason, f"{name}: {hold.message}")
    return None


_BY_THE_USER: tuple[PartGate, ...] = (
    shared(rollout_gates.rollout_paused),
    shared(rollout_gates.awaiting_approval),
)
_BEFORE_ANY: tuple[PartGate, ...] = (
    *_BY_THE_USER,
    shared(rollout_gates.outside_maintenance_window),
    shared(rollout_gates.shared(gates.chain_mirror_stale)),
    shared(rollout_gates.expectation_pending),
    nodes_first,
)

BEFORE_GATEWAY: tuple[PartGate, ...] = (*_BEFORE_ANY, gateway_not_ready)
"""Before the pod of a gateway is deleted."""

BEFORE_DEVNET: tuple[PartGate, ...] = (
    *_BEFORE_ANY,
    gateways_first,
    shared(rollout_gates.shared(gates.epoch_change_in_progress)),
    shared(rollout_gates.epoch_too_short_for_batch),
    members_down,
    shards_on_their_way,
)
"""Before the pod of the devnet is deleted."""

BEFORE_REPAIR: tuple[PartGate, ...] = (*_BY_THE_USER, shared(rollout_gates.expectation_pending))
"""Before a pod is deleted in which nothing runs, or that nobody reaches."""


def first(asked: Iterable[PartGate], scene: Scene, pod: str, taken: Sequence[str]) -> Hold | None:
    """The first gate that holds and is not switched off."""
    held = (gate(scene, pod, taken) for gate in asked)
    off = scene.facts.off - {Reason.CHAIN_MIRROR_STALE}
    return next((hold for hold in held if hold is not None and hold.reason not in off), None)
