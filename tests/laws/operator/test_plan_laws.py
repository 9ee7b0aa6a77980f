"""Whatever happened to the world: passes come to rest, repeat nothing, and never destroy what holds data."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.operator.support import World, network_manifest

from walrus_codec.quorum import max_faulty
from walrus_operator.api.world import DeleteObject, ObjectKey
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
        case "node silent":
            world.silent_nodes.add(node)
        case _:
            world.silent_nodes.clear()


KINDS = [
    "pod dies", "pod is not ready", "hibernate", "wake", "object deleted", "workload deleted", "secret lost", "count",
    "chain silent", "chain answers", "epoch", "time", "node silent", "nodes answer",
]  # fmt: skip
stories = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30)), max_size=6)


@settings(max_examples=60, deadline=None)
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
    # Keys that existed are the same or gone, never new ones in their place.
    assert all(world.secrets[name].public == secret.public for name, secret in ever.items() if name in world.secrets)
    # Every eviction that Kubernetes would now allow leaves a quorum.
    if decided.workload is not None:
        held = {node["metadata"]["name"]: node.get("status", {}).get("weight", 0) for node in nodes(world)}
        running_now = {member.name for member in decided.workload.nodes if member.replicas}
        lost = sum(weight for name, weight in held.items() if name not in running_now)
        heaviest = sorted((held.get(name, 0) for name in running_now), reverse=True)
        assert decided.workload.max_unavailable == 0 or lost + sum(
            heaviest[: decided.workload.max_unavailable]
        ) <= max_faulty(10)


@settings(max_examples=60, deadline=None)
@given(story=stories)
def test_nothing_that_holds_data_is_deleted_after_the_first_committee(story: list[tuple[str, int]]) -> None:
    world = running()
    for kind, number in story:
        damage(world, kind, number)
        decided = plan(world.snapshot())
        deleted = {action.key.kind for action in decided.actions if isinstance(action, DeleteObject)}
        assert deleted <= {"StorageEpoch"}
        world.carry_out(world.snapshot(), decided)
        world.kubelet()


@settings(max_examples=30, deadline=None)
@given(story=stories)
def test_the_same_snapshot_gives_the_same_plan(story: list[tuple[str, int]]) -> None:
    world = running()
    for kind, number in story:
        damage(world, kind, number)
    snapshot = world.snapshot()
    assert plan(snapshot) == plan(snapshot)


def nodes(world: World) -> list[dict[str, object]]:
    return [live for key, live in world.objects.items() if key.kind == "WalrusNode"]
