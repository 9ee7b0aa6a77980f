"""Whatever happened to the world: passes come to rest, repeat nothing, and never destroy what holds data."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_codec.quorum import max_faulty
from walrus_operator.api import names
from walrus_operator.api.chain_view import EpochPhase, Seat
from walrus_operator.api.decisions import DeleteObject, DrainNode
from walrus_operator.api.markers import REPLACE_VOLUME_ANNOTATION
from walrus_operator.api.world import ObjectKey, SecretView
from walrus_operator.plan.passes import plan

NODES = 4


def running() -> World:
    world = World(network=network_manifest(shards=10, nodes={"count": NODES}))
    world.bring_up()
    return world


def damage(world: World, kind: str, number: int) -> None:
    """One thing that users, clusters and chains do."""
    node = f"demo-{number % NODES}"
    match kind:
        case "pod dies":
            world.pods.pop(f"{node}-0", None)
        case "pod is not ready":
            if f"{node}-0" in world.pods:
                world.pods[f"{node}-0"] = replace(world.pods[f"{node}-0"], ready=False)
        case "hibernate":
            if ObjectKey("WalrusNode", node) in world.objects:
                world.edit_node(node, desiredState="Hibernated")
        case "wake":
            if ObjectKey("WalrusNode", node) in world.objects:
                world.edit_node(node, desiredState="Active")
        case "object deleted":
            keys = sorted((key for key in world.objects if key.kind != "StatefulSet"), key=str)
            del world.objects[keys[number % len(keys)]]
        case "workload deleted":
            world.objects.pop(ObjectKey("StatefulSet", node), None)
        case "secret lost":
            world.secrets.pop(f"{node}-keys", None)
        case "count":
            world.edit(nodes={"count": 1 + number % 9})
        case "chain silent":
            world.chain_answers = False
            world.now += 60
        case "chain answers":
            world.chain_answers = True
        case "epoch":
            world.choose_committee()
        case "time":
            world.now += 5
        case "voting ends":
            if not world.following and world.phase is EpochPhase.DONE:
                world.end_voting()
        case "drain":
            if ObjectKey("WalrusNode", node) in world.objects:
                world.edit_node(node, desiredState="Drained")
        case "sleep":
            world.edit(hibernated=number % 2 == 0)
        case "fence":
            if ObjectKey("WalrusNode", node) in world.objects:
                world.edit_node(node, desiredState="Fenced")
        case "new keys":
            kind = ("protocol", "network")[number % 2]
            world.edit(nodes={"template": {"rotateKeys": {kind: str(number % 3)}}})
        case "keys announced":
            world.nodes_change_keys()
        case "next key lost":
            name, file = f"{node}-keys", ("protocol-next.key", "network-next.key")[number % 2]
            if file in (secret := world.secrets.get(name, SecretView(name, {}))).public:
                left = {key: value for key, value in secret.public.items() if key != file}
                world.secrets[name] = replace(secret, public=left)
        case "new token":
            world.edit(rotateAdminToken=str(number % 3))
        case "token lost":
            world.secrets.pop("demo-admin", None)
        case "token late":
            world.stale = world.stale ^ {node}
        case "stake":
            world.edit(nodes={"template": {"stake": 400 + 100 * number}})
        case "policy":
            world.edit(nodes={"template": {"deletionPolicy": ("Drain", "Delete")[number % 2]}})
        case "volume deleted":
            claim = world.claims.get(f"data-{node}-0")
            if claim is not None:
                world.claims[claim.name] = replace(claim, terminating=True)
        case "volume wanted else":
            storage = {"size": f"{5 * (1 + number % 4)}Gi"}
            world.edit(nodes={"template": {"storage": storage | ({"storageClassName": "fast"} if number > 20 else {})}})
        case "volumes grow":
            world.grows = number % 2 == 0
        case "volume to be replaced":
            claim, live = world.claims.get(f"data-{node}-0"), world.objects.get(ObjectKey("WalrusNode", node))
            if claim is not None and live is not None:
                live["metadata"].setdefault("annotations", {})[REPLACE_VOLUME_ANNOTATION] = claim.uid
        case "image":
            world.edit(image=f"walrus:{number % 3}")
        case "canary":
            if ObjectKey("WalrusNode", node) in world.objects:
                world.edit_node(node, image=f"walrus:{number % 3}")
        case "restart":
            world.edit(rollout={"restart": str(number % 3), "paused": number % 5 == 0})
        case "operator":
            world.settings = replace(world.settings, image=f"walrus-on-kubernetes:{number % 3}")
        case "pod is dead":
            if f"{node}-0" in world.pods:
                world.pods[f"{node}-0"] = replace(world.pods[f"{node}-0"], ready=False, waiting="CrashLoopBackOff")
        case "node silent":
            world.silent_nodes.add(node)
        case _:
            world.silent_nodes.clear()


KINDS = [
    "pod dies", "pod is not ready", "hibernate", "wake", "object deleted", "workload deleted", "secret lost", "count",
    "chain silent", "chain answers", "epoch", "time", "node silent", "nodes answer", "voting ends", "drain", "stake",
    "policy", "volume deleted", "image", "canary", "restart", "operator", "pod is dead",
    "fence", "sleep", "new keys", "keys announced", "next key lost",
    "new token", "token lost", "token late",
    "volume wanted else", "volumes grow", "volume to be replaced",
]  # fmt: skip
stories = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30)), max_size=6)


@settings(max_examples=60, deadline=None)
@example(
    story=[("secret lost", 0), ("canary", 0), ("pod is dead", 1)], between=False
)  # degraded by more than one thing
@given(story=stories, between=st.booleans())
def test_any_story_comes_to_rest_and_keeps_keys_and_budget(story: list[tuple[str, int]], between: bool) -> None:
    world = running()
    ever = dict(world.secrets)
    for kind, number in story:
        damage(world, kind, number)
        if between:
            world.settle()
    world.settle()
    decided, writes = world.pass_once()
    assert writes == 0
    assert decided.actions == decided.statuses == decided.events == ()
    # Keys that existed are the same or gone; new ones under their name belong to a node that came after one that left.
    assert all(
        world.secrets[name].public.items() >= remaining(world, secret).items()
        for name, secret in ever.items()
        if name in world.secrets and str(secret.public) not in world.dismissed and name != "demo-admin"
    )
    # Every eviction that Kubernetes would now allow leaves a quorum.
    if decided.workload is not None:
        held = {node["metadata"]["name"]: node.get("status", {}).get("weight", 0) for node in nodes(world)}
        running_now = {member.name for member in decided.workload.nodes if member.replicas}
        lost = sum(weight for name, weight in held.items() if name not in running_now)
        heaviest = sorted((held.get(name, 0) for name in running_now), reverse=True)
        at_once = decided.workload.evictions.at_once
        assert decided.workload.evictions.pods == len(running_now)
        assert at_once == 0 or lost + sum(heaviest[:at_once]) <= max_faulty(10)


@settings(max_examples=150, deadline=None)
@example(story=[("secret lost", 0), ("object deleted", 18)], count=1, reserve=0)  # nothing is left to know a seat by
@example(story=[("fence", 1)], count=1, reserve=0)  # it leaves, too
@given(story=stories, count=st.integers(1, 5), reserve=st.integers(0, 2))
def test_no_pass_takes_more_shards_down_than_the_fault_budget_bears(
    story: list[tuple[str, int]], count: int, reserve: int
) -> None:
    world = running()
    world.edit(nodes={"count": count}, rollout={"reserve": reserve})
    for kind, number in story:
        damage(world, kind, number)
        for _ in range(2):
            snapshot = world.snapshot()
            decided = plan(snapshot)
            ends = {"StatefulSet": "", "Pod": "-0", "PersistentVolumeClaim": "-0"}
            gone = [action for action in decided.actions if isinstance(action, DeleteObject) and not action.orphan]
            deleted = [action.key for action in gone]
            told = {action.uid for action in decided.actions if isinstance(action, DrainNode)}
            ask = {f"{name}-0" for name in world.infos() if world.pods[f"{name}-0"].admin}
            assert all(action.uid in told for action in gone if action.key.kind == "Pod" and action.key.name in ask)
            emptied = {key.name[5:-2] for key in deleted if key.kind == "PersistentVolumeClaim"}
            taken = {key.name.removeprefix("data-").removesuffix(ends[key.kind]) for key in deleted if key.kind in ends}
            before = {name for name in world.infos() if world.pods[f"{name}-0"].ready}
            awake = decided.workload is not None and decided.workload.awake.gateway
            workloads = decided.workload.nodes if decided.workload is not None and awake else ()
            fenced = {node.name for node in workloads if node.spec.desired_state == "Fenced" and not node.replicas}
            taken |= {name for name in fenced & before if replicas(world, name)}
            # Where nothing runs, a new pod takes nothing away.
            dead = {name for name in taken if (pod := world.pods.get(f"{name}-0")) and not pod.ready and pod.waiting}
            up = before - taken
            for seats in (world.committee, world.following):
                weight = {owner(world, seat): seat.weight for seat in seats}
                if any(weight.get(name) for name in (taken - dead) | emptied):
                    assert world.chain_answers
                    assert sum(held for name, held in weight.items() if name not in up) <= max_faulty(10) - reserve
            world.carry_out(snapshot, decided)
            world.kubelet()
            world.nodes_register()


def remaining(world: World, secret: SecretView) -> dict[str, str | None]:
    """What a Secret must still hold: all but the keys in whose place the chain knows others."""
    known = world.chain_keys.get(secret.node or "")
    files = dict(secret.public)
    if known is not None and known.protocol != files[names.PROTOCOL_KEY]:
        del files[names.PROTOCOL_KEY]
    if known is not None and known.network != files[names.NETWORK_KEY]:
        del files[names.NETWORK_KEY]
    return files


def owner(world: World, seat: Seat) -> str:
    address = next(sui for sui, node_id in world.registered.items() if node_id == seat.node_id)
    return next((s.node for s in world.ever.values() if address in s.public.values()), None) or ""


@settings(max_examples=30, deadline=None)
@given(story=stories)
def test_the_same_snapshot_gives_the_same_plan(story: list[tuple[str, int]]) -> None:
    world = running()
    for kind, number in story:
        damage(world, kind, number)
    snapshot = world.snapshot()
    assert plan(snapshot) == plan(snapshot)


def replicas(world: World, name: str) -> int:
    live = world.objects.get(ObjectKey("StatefulSet", name))
    return int(live["spec"]["replicas"]) if live is not None else 0


def nodes(world: World) -> list[dict[str, object]]:
    return [live for key, live in world.objects.items() if key.kind == "WalrusNode"]
