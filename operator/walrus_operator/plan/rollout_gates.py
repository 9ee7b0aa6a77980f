"""Gates of rollouts: what else holds a restart that is nobody's emergency.

Each is a pure predicate like those of `gates`, over the `Facts` that gates share and the `Roll` of this pass. Restarting a
node asks `BEFORE_ROLL` in order. Where nothing runs in a pod (its image cannot be pulled, it crashes, no machine takes it),
replacing it takes no shard from anybody, so only the gates of `BEFORE_REPAIR` are asked: otherwise a network that a bad
spec has brought down could not be repaired by a good one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from walrus_operator.api.conditions import Reason
from walrus_operator.api.markers import APPROVED_ANNOTATION
from walrus_operator.plan import gates
from walrus_operator.plan.gates import Facts, Hold
from walrus_operator.plan.times import iso

RESTART_SECONDS = 30.0
"""How long a node is away for a restart, as a rule."""


@dataclass(frozen=True)
class Roll:
    """What the gates of a rollout look at, beside the facts.

    Attributes:
        now: Unix seconds.
        network: name of the network.
        target: name of the rollout.
        paused: whether the user has paused rollouts.
        approved: whether nobody's approval is missing.
        opens: when the next maintenance window opens; `now` when one is open.
        expected: what was done and does not show yet, by what it was done to.
        returning: nodes that were started with what the spec asks for and have not rejoined, and why not.
        starting: those of them that do not even answer.
        proven: nodes whose kind of spec runs already on a node that has rejoined.
        silent: why the nodes do not answer that do not.
        domains: failure domain of each node.
    """

    now: float
    network: str = ""
    target: str = ""
    paused: bool = False
    approved: bool = True
    opens: float = 0.0
    expected: Mapping[str, str] = field(default_factory=dict)
    returning: Mapping[str, str] = field(default_factory=dict)
    starting: frozenset[str] = frozenset()
    proven: frozenset[str] = frozenset()
    silent: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)


RollGate = Callable[[Facts, Roll, str, Sequence[str]], Hold | None]
"""Facts, the rollout, the node in question, and the nodes that the same pass takes away already."""


def shared(gate: gates.Gate) -> RollGate:
    """A gate that every restart asks."""

    def asked(facts: Facts, _roll: Roll, node: str, taken: Sequence[str]) -> Hold | None:
        return gate(facts, node, taken)

    return asked


def rollout_paused(_facts: Facts, roll: Roll, _node: str, _taken: Sequence[str]) -> Hold | None:
    """The user wants nothing restarted."""
    if not roll.paused:
        return None
    return Hold(Reason.ROLLOUT_PAUSED, "spec.rollout.paused is set: take it away to let nodes restart")


def awaiting_approval(_facts: Facts, roll: Roll, _node: str, _taken: Sequence[str]) -> Hold | None:
    """The user wants to be asked."""
    if roll.approved:
        return None
    return Hold(
        Reason.AWAITING_APPROVAL,
        "spec.rollout.mode is Supervised: look at `walrusctl network plan`, then `kubectl annotate wnet "
        f"{roll.network} --overwrite {APPROVED_ANNOTATION}={roll.target}`",
    )


def outside_maintenance_window(_facts: Facts, roll: Roll, _node: str, _taken: Sequence[str]) -> Hold | None:
    """No maintenance window is open."""
    if roll.opens <= roll.now:
        return None
    return Hold(Reason.OUTSIDE_MAINTENANCE_WINDOW, f"the next maintenance window opens at {iso(roll.opens)}")


def expectation_pending(_facts: Facts, roll: Roll, _node: str, _taken: Sequence[str]) -> Hold | None:
    """Something that was done does not show yet: whoever acts now acts on an old picture."""
    if not roll.expected:
        return None
    what = min(roll.expected)
    return Hold(Reason.EXPECTATION_PENDING, f"{what}: {roll.expected[what]}; this lasts seconds")


def epoch_too_short_for_batch(facts: Facts, roll: Roll, _node: str, _taken: Sequence[str]) -> Hold | None:
    """The epoch is about to end: the node would be away while shards are handed over.

    An epoch that should have ended long ago is not waited for; perhaps it cannot end before nodes are restarted.
    """
    chain = facts.chain
    if chain is None or chain.change_done_at_ms is None:
        return None
    length = chain.epoch_duration_ms / 1000
    ends = chain.change_done_at_ms / 1000 + length
    margin = min(RESTART_SECONDS, length / 4)
    if not -length / 4 <= ends - roll.now < margin:
        return None
    return Hold(
        Reason.EPOCH_TOO_SHORT_FOR_BATCH,
        f"epoch {chain.epoch} ends at {iso(ends)}, before a restarted node is back for sure: wait for epoch {chain.epoch + 1}",
    )


def previous_node_not_rejoined(_facts: Facts, roll: Roll, node: str, taken: Sequence[str]) -> Hold | None:
    """Those that went before are not back, or nobody has shown yet that a node comes back with this spec."""
    missing = sorted(set(roll.returning) - {node}, key=_natural)
    if missing:
        more = f" ({len(missing) - 1} more likewise)" if len(missing) > 1 else ""
        return Hold(
            Reason.PREVIOUS_NODE_NOT_REJOINED,
            f"{missing[0]} runs what the spec asks for and has not rejoined: {roll.returning[missing[0]]}{more}",
        )
    return _goes_first(roll, node, taken)


def _goes_first(roll: Roll, node: str, taken: Sequence[str]) -> Hold | None:
    """A kind of spec that nobody has come back with is tried on one node."""
    if not taken or node in roll.proven:
        return None
    return Hold(Reason.PREVIOUS_NODE_NOT_REJOINED, f"{taken[0]} goes first; the others follow once it has rejoined")


def previous_node_not_started(_facts: Facts, roll: Roll, node: str, taken: Sequence[str]) -> Hold | None:
    """The same for pods in which nothing runs: it is enough that one comes up."""
    missing = sorted(roll.starting - {node}, key=_natural)
    if missing:
        return Hold(
            Reason.PREVIOUS_NODE_NOT_REJOINED,
            f"{missing[0]} was started anew and is not up yet: {roll.returning.get(missing[0], 'no answer')}",
        )
    return _goes_first(roll, node, taken)


def node_unreachable(facts: Facts, roll: Roll, node: str, _taken: Sequence[str]) -> Hold | None:
    """The node does not say how it is, so nobody knows what a restart would interrupt."""
    if node in facts.infos:
        return None
    why = roll.silent.get(node, "no answer yet")
    return Hold(
        Reason.NODE_UNREACHABLE,
        f"{node} does not answer: {why}; see the log of its pod, and delete the pod by hand if it hangs",
    )


def failure_domain_busy(_facts: Facts, roll: Roll, node: str, taken: Sequence[str]) -> Hold | None:
    """Nodes of another failure domain are being restarted: the loss of a third one would add up with both."""
    mine = roll.domains.get(node, "")
    other = next((name for name in taken if roll.domains.get(name, "") != mine), None)
    if other is None:
        return None
    return Hold(
        Reason.FAILURE_DOMAIN_BUSY,
        f"{other} of failure domain {roll.domains.get(other) or '(none)'} is restarted now: {mine or 'others'} follows",
    )


BEFORE_ROLL: tuple[RollGate, ...] = (
    rollout_paused,
    awaiting_approval,
    outside_maintenance_window,
    shared(gates.chain_mirror_stale),
    expectation_pending,
    previous_node_not_rejoined,
    shared(gates.epoch_change_in_progress),
    epoch_too_short_for_batch,
    node_unreachable,
    shared(gates.challenge_window_open),
    shared(gates.slashing_vote_pending),
    failure_domain_busy,
    shared(gates.shard_transfer_source),
    shared(gates.shard_transfer_target),
    shared(gates.node_recovering),
    shared(gates.fault_budget_exceeded),
)
"""Before a pod is deleted in which a node runs."""

BEFORE_REPAIR: tuple[RollGate, ...] = (
    rollout_paused,
    awaiting_approval,
    expectation_pending,
    previous_node_not_started,
)
"""Before a pod is deleted in which nothing runs."""


def first(asked: Iterable[RollGate], facts: Facts, roll: Roll, node: str, taken: Sequence[str]) -> Hold | None:
    """The first gate that holds and is not switched off."""
    held = (gate(facts, roll, node, taken) for gate in asked)
    off = facts.off - {Reason.CHAIN_MIRROR_STALE}
    return next((hold for hold in held if hold is not None and hold.reason not in off), None)


def _natural(name: str) -> tuple[int, str]:
    return len(name), name
