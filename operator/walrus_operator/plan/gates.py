"""Named gates: why the operator waits before it takes a node's pod or data away. Pure predicates, one concept each.

An action asks the gates that concern it (`BEFORE_REMOVAL`, `BEFORE_SOURCE_GOES`, `BEFORE_RESTART`, `BEFORE_HIBERNATION`, and
those of `rollout_gates`) in order; the first that holds is the reason and the message of the condition. Each gate looks at `Facts`, which are counted in shards, never in
pods, from the committee on chain and from what the nodes say about themselves. Annotation `walrus-operator.dev/gates-off`
on the WalrusNetwork, a list of names with commas, opens gates for those who know better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from walrus_codec.quorum import max_faulty
from walrus_codec.types import NodeId
from walrus_operator.api.chain_view import ChainView, EpochPhase, Seat
from walrus_operator.api.conditions import Reason
from walrus_operator.api.markers import OVERRIDE_ANNOTATION
from walrus_operator.api.world import NodeInfo
from walrus_operator.plan.times import iso

ACTIVE = "Active"
RECOVERING = frozenset(
    {"RecoverMetadata", "RecoveryCatchUp", "RecoveryInProgress", "RecoveryCatchUpWithIncompleteHistory"}
)
GATES_OFF_ANNOTATION = "walrus-operator.dev/gates-off"
CHALLENGES_END = 0.6
"""Share of an epoch after which verdicts over challenges are final."""
LAST_CALL = 0.1
"""Share of an epoch before that in which a node must not lose time."""


@dataclass(frozen=True)
class Hold:
    """Why an action waits."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Facts:
    """What the gates look at. Nodes go by their WalrusNode's name.

    Attributes:
        chain: the last view of the chain.
        fresh: whether that view is of this pass and of the chain that the network lives on.
        seats: seat of each of our nodes in the current committee; on a chain of our own every seat (`ours`).
        previous: seat of each of our nodes in the committee before.
        following: likewise in the next committee, once it is chosen.
        infos: what each node said lately; missing for those that did not answer.
        serving: nodes whose pod is ready.
        reserve: shards of f that stay out of the operator's reach.
        off: gates that the user has switched off.
        pods: UID of each node's pod.
        overridden: nodes whose pod may be restarted although they alone are heavier than the budget.
        now: Unix seconds.
        closed: whether Kubernetes evicts no node that serves, so that what is decided here stays true while it is done.
    """

    chain: ChainView | None
    fresh: bool
    seats: Mapping[str, Seat]
    previous: Mapping[str, Seat]
    following: Mapping[str, Seat]
    infos: Mapping[str, NodeInfo]
    serving: frozenset[str]
    reserve: int = 0
    off: frozenset[str] = frozenset()
    pods: Mapping[str, str] = field(default_factory=dict)
    overridden: frozenset[str] = frozenset()
    now: float = 0.0
    closed: bool = False

    @property
    def budget(self) -> int:
        """Shards that may be unavailable at once."""
        return max(0, max_faulty(self.chain.n_shards) - self.reserve) if self.chain is not None else 0


def unavailable(facts: Facts, node: str) -> int:
    """Shards of a member that cannot be counted on now: all when it is down or recovers, else those that are not whole."""
    seat, info = facts.seats.get(node), facts.infos.get(node)
    if seat is None:
        return 0
    behind = info is not None and facts.chain is not None and info.epoch < facts.chain.epoch
    if info is None or node not in facts.serving or behind or info.status != ACTIVE:
        return seat.weight
    return sum(1 for shard in seat.shards if info.shards.get(shard) != ACTIVE)


Gate = Callable[[Facts, str, Sequence[str]], Hold | None]
"""Facts, the node in question, and the nodes that the same pass takes away already."""


def chain_mirror_stale(facts: Facts, _node: str, _taken: Sequence[str]) -> Hold | None:
    """The chain did not answer in this pass, or answered what was true once: the committee may have changed."""
    if not facts.fresh or facts.chain is None:
        return Hold(Reason.CHAIN_MIRROR_STALE, "the chain does not answer, so the committee may be another by now")
    ahead = {name for name, info in facts.infos.items() if info.epoch > facts.chain.epoch and name in facts.seats}
    # A liar alone must not stop everything.
    if sum(facts.seats[name].weight for name in ahead) <= max_faulty(facts.chain.n_shards):
        return None
    return Hold(
        Reason.CHAIN_MIRROR_STALE,
        f"the chain's RPC is behind: it says epoch {facts.chain.epoch}, and {len(ahead)} nodes have seen a later one",
    )


def epoch_change_in_progress(facts: Facts, _node: str, _taken: Sequence[str]) -> Hold | None:
    """Shards are on their way between two committees."""
    if facts.chain is None or facts.chain.phase is not EpochPhase.SYNC:
        return None
    return Hold(
        Reason.EPOCH_CHANGE_IN_PROGRESS,
        f"the committee takes over its shards of epoch {facts.chain.epoch}: wait for it",
    )


def shard_transfer_source(facts: Facts, node: str, _taken: Sequence[str]) -> Hold | None:
    """The node's former shards have not arrived at their new owners, who may still copy them from it."""
    before = facts.previous.get(node)
    if before is None or facts.chain is None:
        return None
    now = facts.seats.get(node)
    moved = set(before.shards) - set(now.shards if now else ())
    if not moved:
        return None
    arrived: set[int] = set()
    waiting = []
    for name, seat in facts.seats.items():
        info = facts.infos.get(name)
        taken_over = moved & set(seat.shards)
        if info is not None and info.epoch >= facts.chain.epoch:
            arrived |= {shard for shard in taken_over if info.shards.get(shard) == ACTIVE}
        if taken_over - arrived:
            waiting.append(name)
    missing = len(moved - arrived)
    if not missing:
        return None
    at = f" at {', '.join(sorted(waiting))}" if waiting else ""
    return Hold(
        Reason.SHARD_TRANSFER_SOURCE,
        f"{missing} of its former shards have not arrived{at}: it serves as their source, at most until epoch "
        f"{facts.chain.epoch + 1}",
    )


def shard_transfer_target(facts: Facts, node: str, _taken: Sequence[str]) -> Hold | None:
    """The node takes over shards; a restart would delay them."""
    seat, info = facts.seats.get(node), facts.infos.get(node)
    if seat is None or info is None:
        return None
    coming = sum(1 for shard in seat.shards if info.shards.get(shard) in {None, "None", "ActiveSync"})
    if not coming:
        return None
    return Hold(Reason.SHARD_TRANSFER_TARGET, f"it takes over {coming} of its {seat.weight} shards")


def node_recovering(facts: Facts, node: str, _taken: Sequence[str]) -> Hold | None:
    """The node gets back what it lost; a restart would delay that."""
    seat, info = facts.seats.get(node), facts.infos.get(node)
    if seat is None or info is None:
        return None
    lost = sum(1 for shard in seat.shards if info.shards.get(shard) == "ActiveRecover")
    if info.status not in RECOVERING and not lost:
        return None
    return Hold(Reason.NODE_RECOVERING, f"it recovers ({info.status}, {round(100 * info.recovered)} % looked through)")


def challenge_window_open(facts: Facts, node: str, _taken: Sequence[str]) -> Hold | None:
    """The node asks or is asked now, or has members left to ask and hardly any time for it."""
    chain, info = facts.chain, facts.infos.get(node)
    if chain is None or info is None or info.challenges.epoch != chain.epoch:
        return None
    said = info.challenges
    if said.running or said.answering:
        return Hold(
            Reason.CHALLENGE_WINDOW_OPEN,
            "it is in an availability challenge: its attempts would have to be made again",
        )
    if not said.pending or not said.window_open or chain.change_done_at_ms is None:
        return None
    begun, length = chain.change_done_at_ms / 1000, chain.epoch_duration_ms / 1000
    closes = begun + CHALLENGES_END * length
    if closes - facts.now >= LAST_CALL * length:
        return None
    return Hold(
        Reason.CHALLENGE_WINDOW_OPEN,
        f"it is still to challenge {said.pending} members, and the window closes at {iso(closes)}",
    )


def slashing_vote_pending(facts: Facts, node: str, _taken: Sequence[str]) -> Hold | None:
    """The node has voted to slash another, and sees to it that this is carried out before the epoch ends."""
    chain, info = facts.chain, facts.infos.get(node)
    if chain is None or info is None or info.challenges.epoch != chain.epoch:
        return None
    open_votes = info.challenges.votes - info.challenges.executed
    if open_votes <= 0:
        return None
    return Hold(
        Reason.SLASHING_VOTE_PENDING,
        f"it has {open_votes} votes to slash open, which end with epoch {chain.epoch}: wait for the next one",
    )


def fault_budget_exceeded(facts: Facts, node: str, taken: Sequence[str]) -> Hold | None:
    """Together with what is unavailable already, the node would take more shards down than the network bears."""
    if facts.chain is None:
        return None
    for seats, when in ((facts.seats, ""), (facts.following, f" in epoch {facts.chain.epoch + 1}")):
        seat = seats.get(node)
        if seat is None:
            continue  # without shards nothing is taken
        down = sum(_down(facts, name, other, taken) for name, other in seats.items() if name != node)
        if node in facts.overridden and not down and not taken:
            continue
        if down + seat.weight > facts.budget:
            reserve = f" ({facts.reserve} more are kept in reserve)" if facts.reserve else ""
            return Hold(
                Reason.FAULT_BUDGET_EXCEEDED,
                f"taking {node} away takes {seat.weight} shards{when}, {down} of {facts.budget} are unavailable "
                f"already{reserve}{_too_heavy(facts, node, seat)}",
            )
    return None


def _too_heavy(facts: Facts, node: str, seat: Seat) -> str:
    """What to do about a node that waiting does not help; only for restarts, after which its shards are back."""
    if seat.weight <= facts.budget or node not in facts.pods:
        return ""
    reserve = "lower spec.rollout.reserve, " if facts.reserve else ""
    return (
        f"; alone it is heavier than the budget: {reserve}take stake from it, or allow one restart with `kubectl annotate wn {node} "
        f"--overwrite {OVERRIDE_ANNOTATION}={facts.pods[node]}`"
    )


def _down(facts: Facts, name: str, seat: Seat, taken: Sequence[str]) -> int:
    """Shards of a seat that cannot be counted on, in this committee or in the next."""
    if name in taken or name not in facts.serving or name not in facts.infos:
        return seat.weight
    return unavailable(facts, name) if seat is facts.seats.get(name) else 0


EVICTIONS_OPEN = Hold(
    Reason.EXPECTATION_PENDING,
    "its turn has come: evictions are closed first, so that nobody else takes a node away meanwhile; this lasts seconds",
)
"""All other gates are open, and Kubernetes may still evict whom it likes: see `evictions`."""


def disturbs(facts: Facts, node: str) -> bool:
    """Whether shards go when the node's pod does."""
    return node in facts.serving and (node in facts.seats or node in facts.following)


def evictions_open(facts: Facts, node: str, _taken: Sequence[str]) -> Hold | None:
    """An eviction that Kubernetes allows now and the operator's own step would add up; asked last, because it closes them."""
    return EVICTIONS_OPEN if disturbs(facts, node) and not facts.closed else None


BEFORE_SOURCE_GOES: tuple[Gate, ...] = (chain_mirror_stale, epoch_change_in_progress, shard_transfer_source)
"""Before the pod of a node that has left the committee goes; without a seat it is in no challenge, and its votes are over."""

BEFORE_HIBERNATION: tuple[Gate, ...] = (
    chain_mirror_stale,
    fault_budget_exceeded,
    challenge_window_open,
    slashing_vote_pending,
    evictions_open,
)
"""Before a member is switched off that is expected back some day."""

BEFORE_REMOVAL: tuple[Gate, ...] = (
    *BEFORE_SOURCE_GOES,
    fault_budget_exceeded,
    challenge_window_open,
    slashing_vote_pending,
    evictions_open,
)
"""Before a member goes for good with its data. A budget holds for longer than a challenge, so it is the reason that is told."""

BEFORE_RESTART: tuple[Gate, ...] = (
    *BEFORE_SOURCE_GOES,
    challenge_window_open,
    slashing_vote_pending,
    fault_budget_exceeded,
    shard_transfer_target,
    node_recovering,
    evictions_open,
)
"""Before a pod is deleted that comes back."""


def first(gates: Iterable[Gate], facts: Facts, node: str, taken: Sequence[str] = ()) -> Hold | None:
    """The first gate that holds and is not switched off; without a view of the chain there is nothing to decide by."""
    held = (gate(facts, node, taken) for gate in gates)
    off = facts.off - {Reason.CHAIN_MIRROR_STALE}
    return next((hold for hold in held if hold is not None and hold.reason not in off), None)


def switched_off(annotations: Mapping[str, str]) -> frozenset[str]:
    """Names of the gates that the user has switched off."""
    return frozenset(name.strip() for name in annotations.get(GATES_OFF_ANNOTATION, "").split(",") if name.strip())


def ours(seats: Iterable[Seat], names: Mapping[NodeId, str], *, strangers: bool = False) -> Mapping[str, Seat]:
    """Seats of our nodes by name.

    Args:
        seats: A committee.
        names: WalrusNode name of each node id.
        strangers: also the other seats, by their node ids, which are no names of nodes: nobody answers for them, so they
            count as unavailable.
    """
    return {names.get(seat.node_id, str(seat.node_id)): seat for seat in seats if strangers or seat.node_id in names}
