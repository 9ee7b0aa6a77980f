"""One pass: all questions in order, from a snapshot to a plan.

The plan always reports. It acts only on a network that is neither paused nor being deleted and whose spec can be read, and
on somebody else's chain only when that chain has been seen and is what the spec means;
money moves only by a chain that answers now and is the known one; after stake was delegated, what holds data is deleted
only through the gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from walrus_codec.types import NodeId, SuiAddress
from walrus_operator.api import names
from walrus_operator.api.chain_view import ChainView, EpochPhase
from walrus_operator.api.conditions import Condition, ConditionType, Kind, Reason, condition, merge
from walrus_operator.api.decisions import Action, DeleteObject, EventNote, Plan, StatusUpdate, Workload
from walrus_operator.api.world import NetworkObject, ObjectKey, Snapshot
from walrus_operator.plan import (
    belongings,
    budget,
    chain_state,
    challenge_schedule,
    challenges,
    departures,
    epochs,
    evictions,
    fences,
    figures,
    funding,
    gates,
    hibernation,
    key_rotation,
    keys,
    membership,
    network_conditions,
    network_status,
    node_conditions,
    node_status,
    overrides,
    rollout,
    rollout_status,
    tokens,
    volumes,
)
from walrus_operator.plan.chain_state import ChainState, ChainVerdict
from walrus_operator.plan.membership import Membership
from walrus_operator.plan.times import iso

SOON = 2.0
"""Seconds until the next look while something is on its way."""
IDLE = 10.0
"""Seconds until the next look when nothing is expected."""


def plan(snapshot: Snapshot) -> Plan:
    """Decides what to do about the snapshot."""
    network = snapshot.network
    if network.deleting:
        # Whatever was to be drained goes with the network.
        released = (departures.finalizer(node, wanted=False) for node in snapshot.nodes)
        return Plan(None, tuple(action for action in released if action is not None), (), (), (), IDLE)
    if network.spec is None:
        return _unreadable(snapshot)

    verdict = chain_state.judge(snapshot)
    chain = snapshot.chain.value if verdict.state is not ChainState.EXCHANGED else None
    members = membership.decide(snapshot)
    key_state = keys.decide(snapshot, members.members)
    members = _startable(snapshot, members, key_state)
    admin = tokens.decide(snapshot)
    node_ids = node_status.registered_ids(snapshot, chain)
    rotations = key_rotation.decide(snapshot, members.members, key_state, chain=chain, node_ids=node_ids)
    facts = _gate_facts(snapshot, members, chain, verdict, node_ids=node_ids)
    fenced = fences.decide(snapshot, members, facts)
    sleep = hibernation.decide(snapshot)
    members = hibernation.put_to_bed(fenced.members, sleep)
    leaving = departures.decide(
        snapshot, members, facts, node_ids=node_ids, taken=fenced.taken, keyless=key_state.node_problems
    )
    rolling = rollout.decide(_restartable(snapshot, key_state), members, facts, taken=leaving.taken)
    steps = node_conditions.Steps(leaving, rotations, fenced)
    schedule = challenge_schedule.decide(snapshot, network.spec, chain)
    name_of = {str(node_id): name for name, node_id in node_ids.items()}
    mirror, wishes = epochs.Epochs((), (), ()), overrides.Overrides()
    if chain is not None:
        wishes = overrides.decide(snapshot, chain, schedule)
        mirror = epochs.decide(snapshot, node_names=name_of, schedule=schedule, answers=wishes.conditions)
    standing = challenges.Standing(snapshot, chain, schedule, mirror.statuses)
    views = node_status.views(snapshot, members, key_state, steps, standing, chain=chain, node_ids=node_ids)
    ready = [view.node.name for view in views if view.ready]
    shards = budget.shards(snapshot, node_ids=node_ids, ready=ready, n_shards=network.spec.shards)
    money = None
    if chain is not None and verdict.state is ChainState.ANSWERING:
        money = funding.decide(
            chain,
            members=members.members,
            node_ids=node_ids,
            serving=ready,
            unstaked=leaving.unstaked,
            treasury=SuiAddress(key_state.treasury) if key_state.treasury else None,
            gateways=[SuiAddress(address) for address in key_state.gateways.values()],
            faucet=network.spec.chain.devnet is not None,
        )
    report = network_conditions.Facts(
        verdict=verdict,
        membership=members,
        keys=key_state,
        nodes=views,
        shards=shards,
        funding=money,
        departures=leaving,
        rollout=rolling,
        rollout_status=rollout_status.report(snapshot, network.spec, rolling),
        challenges=standing,
        sleep=sleep,
        tokens=admin,
    )
    conditions, status = network_status.report(snapshot, report)
    existing_epochs = {epoch.name for epoch in snapshot.epochs}
    epoch_statuses = [update for update in mirror.statuses if not network.paused or update.key.name in existing_epochs]
    statuses = _changed(snapshot, [status, *(view.status for view in views), *epoch_statuses, *wishes.statuses])
    events = (
        *_events(snapshot, conditions),
        *rollout_status.events(network, report.rollout_status, rolling),
        *standing.events(),
        *wishes.events,
    )
    pause = _requeue(
        snapshot, conditions, verdict, waiting=bool(leaving.holds or fenced.holds or fenced.awake) or rolling.moving
    )
    pause = IDLE if sleep.asleep else pause
    untouched = Plan(
        workload=None,
        actions=(),
        network_conditions=conditions,
        statuses=statuses,
        events=events,
        requeue_after=pause,
        rollout=rollout_status.numbers(rolling),
        challenges=standing.numbers(),
        standing=figures.numbers(
            conditions, nodes=views, shards=shards, hibernated=sleep.asleep, epoch=chain.epoch if chain else None
        ),
    )
    if network.paused or not _may_deploy(network, verdict):
        return untouched
    staying = leaving.staying if sleep.nodes else [replace(node, replicas=0) for node in leaving.staying]
    actions: list[Action] = [*key_state.create, *rotations.actions, *admin.actions]
    if money is not None and verdict.may_act and snapshot.chain.fresh is not None:
        actions += money.actions
    actions += belongings.decide(snapshot)
    actions += _removals(snapshot, members)
    actions += leaving.actions
    actions += mirror.deletions
    actions += rolling.actions
    everyone = (*members.members, *staying)
    kept = hibernation.kept(rolling.kept, network.name, sleep)
    resting = volumes.remade_at_rest(snapshot, (node for node in everyone if node.name not in kept))
    actions += resting.values()
    return replace(
        untouched,
        workload=Workload(
            network=network,
            devnet=network.spec.chain.devnet is not None,
            nodes=everyone,
            templated=members.templated,
            gateway=membership.gateway_problem(network.spec) is None,
            evictions=evictions.decide(
                facts,
                everyone,
                snapshot,
                remembered=shards.weights,
                n_shards=network.spec.shards,
                reserve=network.spec.rollout.reserve,
                close=any(gates.disturbs(facts, name) for name in (*leaving.taken, *rolling.disturbed)),
            ),
            epochs=mirror.records,
            challenges=schedule.to_json(),
            awake=sleep.awake,
            kept={**kept, **{name: snapshot.live[action.key] for name, action in resting.items()}},
        ),
        actions=tuple(actions),
        events=(*events, *rotations.events, *admin.events, *rolling.events),
    )


def _startable(snapshot: Snapshot, members: Membership, found: keys.Keys) -> Membership:
    """Without nodes that never ran and whose keys are no use: two nodes with the keys of one would contradict each other."""
    return replace(
        members,
        members=tuple(
            member
            for member in members.members
            if member.name not in found.node_problems or ObjectKey("StatefulSet", member.name) in snapshot.live
        ),
    )


def _restartable(snapshot: Snapshot, found: keys.Keys) -> Snapshot:
    """What rollouts see: a node whose keys are lost or exchanged runs on with those that it has read, and would not come back."""
    return replace(
        snapshot, revisions={name: made for name, made in snapshot.revisions.items() if name not in found.node_problems}
    )


def _gate_facts(
    snapshot: Snapshot,
    members: Membership,
    chain: ChainView | None,
    verdict: ChainVerdict,
    *,
    node_ids: Mapping[str, NodeId],
) -> gates.Facts:
    """What the gates look at; the chain's view counts as fresh only when money may move by it too."""
    spec, name_of = snapshot.network.spec, {node_id: name for name, node_id in node_ids.items()}
    infos = {name: node_status.usable(info, now=snapshot.now) for name, info in snapshot.infos.items()}
    pods = {name: snapshot.pods.get(names.pod(name)) for name in node_ids}
    # On a chain of our own every seat is a node of ours: one that nothing is left to know by must not count as up.
    strangers = spec is not None and spec.chain.devnet is not None
    evicted = evictions.promised(snapshot)
    return gates.Facts(
        chain=chain,
        fresh=verdict.may_act and snapshot.chain.fresh is not None,
        seats=gates.ours(chain.committee, name_of, strangers=strangers) if chain else {},
        previous=gates.ours(chain.previous_committee, name_of) if chain else {},
        following=gates.ours(chain.next_committee, name_of, strangers=strangers) if chain else {},
        infos={name: info for name, info in infos.items() if info is not None},
        serving=frozenset(
            name for name, pod in pods.items() if pod and pod.ready and not pod.terminating and pod.name not in evicted
        ),
        reserve=spec.rollout.reserve if spec else 0,
        off=gates.switched_off(snapshot.network.annotations),
        now=snapshot.now,
        closed=evictions.closed(snapshot, members.members),
    )


def _may_deploy(network: NetworkObject, verdict: ChainVerdict) -> bool:
    """Whether nodes may be started: on a chain of somebody else's not before it is known to be the right one."""
    if network.spec is None or network.spec.chain.devnet is not None:
        return True
    return verdict.state is not ChainState.NEVER_SEEN and verdict.mismatch is None


def _unreadable(snapshot: Snapshot) -> Plan:
    """Reports a spec that passed the API server's schema but not the operator's: nothing else may be touched."""
    network = snapshot.network
    message = network.spec_error or "the spec cannot be read"
    conditions = (
        condition(Kind.NETWORK, ConditionType.VALID, "False", Reason.SPEC_INVALID, message),
        condition(Kind.NETWORK, ConditionType.READY, "False", Reason.NOT_VALID, "see condition Valid"),
    )
    stored = network.live_status.get("conditions", [])
    merged = merge(conditions, stored, now=iso(snapshot.now), generation=network.generation)
    kept = network.status.model_copy(update={"conditions": merged, "observed_generation": network.generation})
    update = StatusUpdate(ObjectKey("WalrusNetwork", network.name), kept.to_live())
    return Plan(None, (), conditions, _changed(snapshot, [update]), (), IDLE, standing=figures.numbers(conditions))


def _changed(snapshot: Snapshot, updates: Sequence[StatusUpdate]) -> tuple[StatusUpdate, ...]:
    """The updates that differ from what is stored."""
    stored: dict[ObjectKey, Mapping[str, Any]] = {
        ObjectKey("WalrusNetwork", snapshot.network.name): snapshot.network.live_status
    }
    stored |= {ObjectKey("WalrusNode", node.name): node.live_status for node in snapshot.nodes}
    stored |= {ObjectKey("StorageEpoch", epoch.name): epoch.live_status for epoch in snapshot.epochs}
    return tuple(update for update in updates if stored.get(update.key) != update.status)


def _removals(snapshot: Snapshot, members: Membership) -> list[Action]:
    """Objects of nodes that left before anything was staked."""
    found: list[Action] = []
    for name in sorted(members.removed):
        for key, live in snapshot.live.items():
            if key.name == name and key.kind in {"StatefulSet", "Service", "ConfigMap"}:
                found.append(DeleteObject(key, live["metadata"]["uid"]))
        found += belongings.left_behind(snapshot, name)
        node = next((node for node in snapshot.nodes if node.name == name), None)
        if node is not None and not node.deleting:
            found.append(DeleteObject(ObjectKey("WalrusNode", name), node.uid))
    return found


def _status_of(conditions: Sequence[Mapping[str, Any]], type_: ConditionType) -> str | None:
    return next((str(entry.get("status")) for entry in conditions if entry.get("type") == type_), None)


def _events(snapshot: Snapshot, conditions: Sequence[Condition]) -> tuple[EventNote, ...]:
    """Transitions that a user may want to see in `kubectl describe`."""
    network = snapshot.network
    about = ObjectKey("WalrusNetwork", network.name)
    before = network.live_status.get("conditions", [])
    notes = []
    for entry in conditions:
        old = _status_of(before, entry.type)
        if entry.type is ConditionType.READY and old is not None and entry.status != old:
            kind: Literal["Normal", "Warning"] = "Normal" if entry.status == "True" else "Warning"
            notes.append(EventNote(about, entry.reason, f"Ready is {entry.status}: {entry.message}", kind))
        if entry.type is ConditionType.VALID and entry.status == "False" and old != "False":
            notes.append(EventNote(about, entry.reason, entry.message, "Warning"))
    chain = snapshot.chain.value
    if chain is not None and network.status.epoch is not None and chain.epoch > network.status.epoch:
        notes.append(EventNote(about, "EpochStarted", f"epoch {chain.epoch} has {len(chain.committee)} members"))
    return tuple(notes)


def _requeue(snapshot: Snapshot, conditions: Sequence[Condition], verdict: ChainVerdict, *, waiting: bool) -> float:
    """When to look again: soon while something is missing or held up, at the next turn of the epoch otherwise."""
    chain: ChainView | None = snapshot.chain.value
    ready = any(entry.type is ConditionType.READY and entry.status == "True" for entry in conditions)
    if (
        waiting
        or not ready
        or verdict.state is not ChainState.ANSWERING
        or chain is None
        or chain.phase is EpochPhase.SYNC
    ):
        return SOON
    if chain.change_done_at_ms is None:
        return IDLE
    length = chain.epoch_duration_ms / 1000
    turns = (chain.change_done_at_ms / 1000 + length / 2, chain.change_done_at_ms / 1000 + length)
    until = [turn - snapshot.now for turn in turns if turn > snapshot.now]
    return max(1.0, min([IDLE, *until])) if until else SOON
