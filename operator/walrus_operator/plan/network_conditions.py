"""Conditions of the network as a whole: each answers one question of its own.

Can the spec be carried out (Valid), does everything serve (Ready), can blobs be stored and read (Available), does the
committee hold its shards (CommitteeSynced), is the operator still at work (Progressing), is something broken (Degraded), do
pods run an old template (RequiresUpdate), is the operator held back (Paused), do the nodes have their data
(ChallengesPassing). The message of Ready names what is missing, because it is the line that people wait on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from walrus_operator.api import names
from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, Truth, condition
from walrus_operator.api.network_status import RolloutStatus
from walrus_operator.api.world import ObjectKey, Snapshot
from walrus_operator.plan import hibernation, pod_trouble
from walrus_operator.plan import membership as members
from walrus_operator.plan.budget import Shards
from walrus_operator.plan.chain_state import ChainState, ChainVerdict
from walrus_operator.plan.challenges import Standing
from walrus_operator.plan.departures import Departures
from walrus_operator.plan.funding import Funding
from walrus_operator.plan.hibernation import Sleep
from walrus_operator.plan.keys import Keys
from walrus_operator.plan.membership import Membership
from walrus_operator.plan.node_status import NodeView
from walrus_operator.plan.rollout import Rollout
from walrus_operator.plan.tokens import Tokens

_LISTED = 5


@dataclass(frozen=True)
class Facts:
    """What the other questions of the planner have answered."""

    verdict: ChainVerdict
    membership: Membership
    keys: Keys
    nodes: Sequence[NodeView]
    shards: Shards
    funding: Funding | None
    """None when money was not looked at, because the chain does not answer."""
    departures: Departures
    rollout: Rollout
    rollout_status: RolloutStatus
    challenges: Standing
    sleep: Sleep
    tokens: Tokens


def listed(items: Iterable[str]) -> str:
    """A few names in natural order, and how many more."""
    ordered = sorted(items, key=lambda name: (len(name), name))
    rest = len(ordered) - _LISTED
    return ", ".join(ordered[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def conditions(
    snapshot: Snapshot, facts: Facts, *, not_ready: Sequence[str], gateways_ready: int, gateways_wanted: int
) -> tuple[Condition, ...]:
    """The network's conditions, in the order of its status.

    Args:
        snapshot: The world.
        facts: What is known of it.
        not_ready: Nodes that should serve and do not.
        gateways_ready: How many gateways serve.
        gateways_wanted: How many should.
    """
    found = (
        _valid(snapshot, facts),
        _ready(snapshot, facts, not_ready, gateways_ready, gateways_wanted),
        _available(snapshot, facts, not_ready),
        _committee_synced(snapshot, facts),
        _progressing(snapshot, facts, not_ready, all_gateways=gateways_ready >= gateways_wanted),
        _degraded(snapshot, facts, not_ready),
        _requires_update(facts),
        _paused(snapshot),
        facts.challenges.network_condition(),
    )
    return hibernation.conditions(found, facts.sleep)


def pass_failed(sentence: str) -> Condition:
    """`Degraded` for passes that fail."""
    return _say(ConditionType.DEGRADED, "True", Reason.RECONCILE_FAILED, sentence)


def _say(type_: ConditionType, status: Truth, reason: Reason, message: str) -> Condition:
    return condition(Kind.NETWORK, type_, status, reason, message)


def _valid(snapshot: Snapshot, facts: Facts) -> Condition:
    valid = ConditionType.VALID
    network = snapshot.network
    if network.spec is None:
        return _say(valid, "False", Reason.SPEC_INVALID, network.spec_error or "the spec cannot be read")
    if facts.verdict.mismatch is not None:
        return _say(valid, "False", *facts.verdict.mismatch)
    problem = facts.keys.network_problem or facts.tokens.problem
    if problem is not None:
        return _say(valid, "False", problem.reason, problem.message)
    taken = members.name_problem(snapshot, network.spec)
    if taken is not None:
        return _say(valid, "False", Reason.NAME_CONFLICT, taken)
    too_small = members.memory_problem(network.spec, network.spec.nodes.template)
    too_small = too_small or members.gateway_problem(network.spec)
    if too_small is not None:
        return _say(valid, "False", Reason.MEMORY_LIMIT_TOO_SMALL, too_small)
    if facts.funding is not None and facts.funding.problem is not None:
        return _say(valid, "False", Reason.SPEC_INVALID, facts.funding.problem)
    if snapshot.refusals:
        return _say(valid, "False", *snapshot.refusals[0])
    return _say(valid, "True", Reason.ACCEPTED, "the spec can be carried out")


def _ready(
    snapshot: Snapshot, facts: Facts, not_ready: Sequence[str], gateways_ready: int, gateways_wanted: int
) -> Condition:
    ready = ConditionType.READY
    verdict, chain = facts.verdict, snapshot.chain.value
    if snapshot.network.spec is None or verdict.mismatch is not None:
        return _say(ready, "False", Reason.NOT_VALID, "the spec cannot be carried out; see condition Valid")
    if verdict.state is ChainState.EXCHANGED:
        return _say(ready, "False", Reason.CHAIN_CHANGED, verdict.message)
    devnet = (names.pod(names.devnet(snapshot.network.name)),)
    if verdict.state is ChainState.NEVER_SEEN:
        return _say(ready, "False", Reason.CHAIN_STARTING, _and_why(snapshot, verdict.message, devnet))
    if verdict.state is ChainState.SILENT:
        return _say(ready, "False", Reason.CHAIN_UNREACHABLE, _and_why(snapshot, verdict.message, devnet))
    if facts.funding is not None and chain is not None and chain.phase is EpochPhase.WAITING:
        if facts.funding.unregistered:
            waiting = f"not registered on chain yet: {listed(facts.funding.unregistered)}"
            what = _and_why(snapshot, waiting, map(names.pod, facts.funding.unregistered))
            return _say(ready, "False", Reason.WAITING_FOR_REGISTRATION, what)
        if facts.funding.unstaked:
            return _say(
                ready, "False", Reason.WAITING_FOR_STAKE, f"stake not delegated yet: {listed(facts.funding.unstaked)}"
            )
    if chain is None or chain.phase is EpochPhase.WAITING:
        return _say(ready, "False", Reason.WAITING_FOR_COMMITTEE, "the first committee is not chosen yet")
    if chain.epoch == 1 and chain.phase is EpochPhase.SYNC:
        return _say(ready, "False", Reason.WAITING_FOR_COMMITTEE, "the first committee takes over its shards")
    if not_ready:
        what = _and_why(snapshot, f"not ready: {listed(not_ready)}", map(names.pod, not_ready))
        return _say(ready, "False", Reason.NODES_NOT_READY, what)
    if gateways_ready < gateways_wanted:
        pods = (names.gateway_pod(snapshot.network.name, index) for index in range(gateways_wanted))
        what = _and_why(snapshot, f"{gateways_ready} of {gateways_wanted} gateways are ready", pods)
        return _say(ready, "False", Reason.GATEWAY_NOT_READY, what)
    return _say(ready, "True", Reason.SERVING, "all nodes and gateways serve")


def _and_why(snapshot: Snapshot, what: str, pods: Iterable[str]) -> str:
    """What is missing, and why the first of these pods is not there."""
    trouble = pod_trouble.first(snapshot, pods)
    return f"{what}; {trouble}" if trouble else what


def _available(snapshot: Snapshot, facts: Facts, not_ready: Sequence[str]) -> Condition:
    available = ConditionType.AVAILABLE
    chain, shards = snapshot.chain.value, facts.shards
    if chain is None and not shards.weights:
        return _say(available, "Unknown", Reason.CHAIN_UNREACHABLE, facts.verdict.message)
    if chain is not None and chain.phase is EpochPhase.WAITING:
        return _say(available, "False", Reason.NO_COMMITTEE, "the first committee is not chosen yet")
    stand = f"{shards.available} of {shards.total} shards are available, {shards.tolerated} may be away"
    if shards.quorum:
        return _say(available, "True", Reason.QUORUM_AVAILABLE, stand)
    down = [view.node.name for view in facts.nodes if shards.weights.get(view.node.name) and not view.ready]
    return _say(
        available, "False", Reason.QUORUM_LOST, f"{stand}; bring back {listed(down or not_ready)}: nothing is lost"
    )


def _committee_synced(snapshot: Snapshot, facts: Facts) -> Condition:
    synced = ConditionType.COMMITTEE_SYNCED
    chain = snapshot.chain.value
    if facts.verdict.state is not ChainState.ANSWERING or chain is None:
        return _say(synced, "False", Reason.CHAIN_UNREACHABLE, facts.verdict.message)
    if chain.phase is EpochPhase.WAITING:
        return _say(synced, "False", Reason.NO_COMMITTEE, "the first committee is not chosen yet")
    if chain.phase is EpochPhase.SYNC:
        return _say(
            synced, "False", Reason.EPOCH_CHANGE_IN_PROGRESS, f"members take over their shards of epoch {chain.epoch}"
        )
    return _say(synced, "True", Reason.EPOCH_DONE, f"a quorum holds its shards of epoch {chain.epoch}")


def _progressing(snapshot: Snapshot, facts: Facts, not_ready: Sequence[str], *, all_gateways: bool) -> Condition:
    progressing = ConditionType.PROGRESSING
    if snapshot.network.paused:
        return _say(progressing, "False", Reason.RECONCILE_PAUSED, "the operator only reports")
    missing = [
        member.name for member in facts.membership.members if ObjectKey("StatefulSet", member.name) not in snapshot.live
    ]
    if missing or facts.keys.create:
        return _say(progressing, "True", Reason.CREATING, f"being created: {listed(missing) or 'keys'}")
    rolling = _rolling(facts)
    if rolling is not None:
        return rolling
    if not_ready or not all_gateways:
        return _say(progressing, "True", Reason.WAITING_FOR_PODS, f"not ready: {listed(not_ready) or 'gateway'}")
    changing = _changing(facts)
    if changing:
        return _say(progressing, "True", Reason.MEMBERS_CHANGING, changing)
    return _say(progressing, "False", Reason.RECONCILED, "everything is as the spec asks")


_UP_TO_THE_USER = frozenset({Reason.ROLLOUT_PAUSED, Reason.AWAITING_APPROVAL})


def _rolling(facts: Facts) -> Condition | None:
    """How a rollout goes, and what holds it when nobody may restart."""
    rollout, status = facts.rollout, facts.rollout_status
    if not rollout.under_way:
        return None
    stand = f"{status.display} nodes run what the spec asks for"
    if rollout.parts.outdated:
        stand += f"; of gateway and devnet follow: {listed(rollout.parts.outdated)}"
    if rollout.all_chosen:
        now = listed(rollout.all_chosen)
        return _say(ConditionType.PROGRESSING, "True", Reason.ROLLING_OUT, f"{stand}; being restarted: {now}")
    if not rollout.all_outdated and rollout.stuck is None:
        coming = listed(rollout.all_returning)
        return _say(ConditionType.PROGRESSING, "True", Reason.ROLLING_OUT, f"{stand}; still to rejoin: {coming}")
    if rollout.stuck is not None:
        return _say(ConditionType.PROGRESSING, "True", rollout.stuck.reason, f"{stand}; {rollout.stuck.message}")
    first = next(name for name in rollout.all_outdated if name in rollout.all_holds)
    hold = rollout.all_holds[first]
    truth: Truth = "False" if hold.reason in _UP_TO_THE_USER else "True"
    return _say(ConditionType.PROGRESSING, truth, hold.reason, f"{stand}; {first} waits: {hold.message}")


def _changing(facts: Facts) -> str:
    """Which nodes are on their way into the committee or out of it; empty when none is."""
    leaving = set(facts.membership.leaving) - (facts.departures.ended - set(facts.departures.holds))
    stakes = set(facts.funding.changing if facts.funding is not None else ()) - leaving
    parts = []
    if leaving:
        parts.append(f"leaving: {listed(leaving)}")
    if stakes:
        parts.append(f"stake changes: {listed(stakes)}")
    why = [f"{name}: {facts.departures.holds[name].message}" for name in leaving if name in facts.departures.holds]
    return "; ".join([*parts, *sorted(why)[:1]])


def _degraded(snapshot: Snapshot, facts: Facts, not_ready: Sequence[str]) -> Condition:
    degraded = ConditionType.DEGRADED
    if facts.verdict.state is ChainState.EXCHANGED:
        return _say(degraded, "True", Reason.CHAIN_CHANGED, facts.verdict.message)
    if snapshot.last_error is not None:
        return pass_failed(snapshot.last_error)
    lost = [name for name, problem in facts.keys.node_problems.items() if problem.reason is Reason.KEY_SECRET_LOST]
    if lost:
        return _say(degraded, "True", Reason.KEY_SECRET_LOST, f"key Secrets are gone of {listed(lost)}")
    if facts.verdict.state is ChainState.SILENT:
        return _say(degraded, "True", Reason.CHAIN_UNREACHABLE, facts.verdict.message)
    if facts.rollout.stuck is not None:
        return _say(degraded, "True", facts.rollout.stuck.reason, facts.rollout.stuck.message)
    # Who is being restarted is away on purpose.
    on_purpose = set(facts.rollout.returning) if facts.rollout.under_way else set()
    down = [name for name in not_ready if facts.shards.weights.get(name) and name not in on_purpose]
    if down:
        return _say(degraded, "True", Reason.MEMBERS_DOWN, f"committee members do not serve: {listed(down)}")
    no_image = pod_trouble.without_image(snapshot)
    if no_image is not None:
        return _say(degraded, "True", Reason.POD_CANNOT_START, no_image)
    return _say(degraded, "False", Reason.AS_EXPECTED, "nothing is broken")


def _requires_update(facts: Facts) -> Condition:
    older = (*facts.rollout.by_operator_only, *facts.rollout.parts.by_operator_only)
    if older:
        return _say(
            ConditionType.REQUIRES_UPDATE,
            "True",
            Reason.OPERATOR_CHANGED,
            f"another version of the operator made the pods of {listed(older)}; they run on as they are: set "
            "spec.rollout.restart to another text to let them take over what this one makes",
        )
    return _say(
        ConditionType.REQUIRES_UPDATE,
        "False",
        Reason.UP_TO_DATE,
        "all pods are up to date, or follow in the rollout",
    )


def _paused(snapshot: Snapshot) -> Condition:
    if snapshot.network.paused:
        return _say(
            ConditionType.PAUSED,
            "True",
            Reason.RECONCILE_PAUSED,
            "the operator only reports: remove the annotation walrus-operator.dev/reconcile to go on",
        )
    return _say(ConditionType.PAUSED, "False", Reason.ACTIVE, "the operator acts")
