"""The number in the one PodDisruptionBudget follows the fault budget, and what Kubernetes cannot see of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.support import World

from walrus_codec.types import ShardIndex
from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import DeleteObject, Evictions
from walrus_operator.api.world import ObjectKey
from walrus_operator.plan.passes import plan
from walrus_operator.plan.times import iso


def decided(world: World) -> Evictions:
    workload = plan(world.snapshot()).workload
    assert workload is not None
    return workload.evictions


def number(world: World) -> int:
    """How many pods may be evicted at once by the next pass's word."""
    return decided(world).at_once


def running(count: int, shards: int, **spec: object) -> World:
    world = World(network=network_manifest(shards=shards, nodes={"count": count}, **spec))
    world.bring_up()
    return world


@pytest.fixture
def world() -> World:
    """Ten nodes of ten shards; 33 may be away."""
    return running(10, 100)


def test_before_there_is_a_committee_nothing_is_lost_by_an_eviction() -> None:
    world = World(network=network_manifest(shards=100, nodes={"count": 10}))
    world.settle()
    assert number(world) == 10


def test_ten_nodes_of_ten_shards_may_lose_three(world: World) -> None:
    assert number(world) == 3
    assert world.objects[ObjectKey("PodDisruptionBudget", "demo-nodes")]["spec"]["minAvailable"] == 7


@pytest.mark.parametrize(("reserve", "allowed"), [(3, 3), (4, 2), (13, 2), (14, 1), (33, 0)])
def test_the_reserve_is_left_alone(reserve: int, allowed: int) -> None:
    assert number(running(10, 100, rollout={"reserve": reserve})) == allowed


@pytest.mark.parametrize(("count", "shards", "allowed"), [(4, 10, 1), (3, 10, 0), (4, 100, 1), (7, 10, 1), (10, 10, 3)])
def test_the_heaviest_decide(count: int, shards: int, allowed: int) -> None:
    assert number(running(count, shards)) == allowed


def not_ready(world: World) -> None:
    world.pods["demo-3-0"] = replace(world.pods["demo-3-0"], ready=False)


def without_a_pod(world: World) -> None:
    world.pods.pop("demo-3-0", None)


def silent(world: World) -> None:
    world.silent_nodes.add("demo-3")


def recovering(world: World) -> None:
    world.statuses["demo-3"] = "RecoveryInProgress"


def rebuilding(world: World) -> None:
    world.missing["demo-3"] = "ActiveRecover"


def hibernated(world: World) -> None:
    world.edit_node("demo-3", desiredState="Hibernated")
    world.settle()


def stranger(world: World) -> None:
    """A seat that no node of ours answers for any more."""
    first, *others = world.committee
    world.committee = (replace(first, node_id="0x" + "9" * 64), *others)


def taking_over(world: World) -> None:
    world.missing["demo-3"] = "ActiveSync"


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        (not_ready, 3),  # Kubernetes counts it as one of the three
        (without_a_pod, 3),
        (silent, 2),
        (recovering, 2),
        (rebuilding, 2),
        (hibernated, 2),
        (stranger, 2),
        (taking_over, 3),  # the former owners still have them
    ],
)
def test_what_kubernetes_cannot_see_is_taken_off(world: World, change: Callable[[World], None], allowed: int) -> None:
    change(world)
    assert number(world) == allowed


def test_a_pod_that_is_to_go_counts_until_it_goes(world: World) -> None:
    """Kubernetes must not give its place to another one, nor take it for missing when it has gone."""
    world.edit_node("demo-3", desiredState="Hibernated")
    world.pass_once()  # closes evictions
    world.pass_once()  # and lets it go
    world.count_disruptions()
    assert decided(world) == Evictions(pods=10, at_once=2)
    world.kubelet()
    assert decided(world) == Evictions(pods=9, at_once=2)


def test_when_more_is_away_than_the_network_bears_nothing_may_go(world: World) -> None:
    for name in ("demo-1", "demo-2", "demo-3"):
        world.statuses[name] = "RecoveryInProgress"
    assert number(world) == 0


def test_the_next_committee_counts_as_soon_as_it_is_chosen(world: World) -> None:
    """One node is to hold 34 shards: from then on nobody knows that it is not this one that goes."""
    heavy, *others = world.committee
    given = [ShardIndex(shard) for seat in others for shard in seat.shards[:3]][:24]
    world.following = (replace(heavy, shards=(*heavy.shards, *given)), *others)
    assert number(world) == 0


def test_while_the_chain_is_away_the_last_committee_holds(world: World) -> None:
    world.chain_answers = False
    assert number(world) == 3
    world.chain_seen_at = None  # also for an operator that has just started
    assert number(world) == 3


def test_an_epoch_change_leaves_the_number_as_it_is(world: World) -> None:
    world.choose_committee()
    assert number(world) == 3


def budget(world: World) -> dict[str, Any]:
    return world.objects[ObjectKey("PodDisruptionBudget", "demo-nodes")]


def deleted(world: World) -> list[str]:
    """Pods that a pass deletes."""
    return [
        action.key.name
        for action in world.pass_once()[0].actions
        if isinstance(action, DeleteObject) and action.key.kind == "Pod"
    ]


def test_before_the_operator_takes_a_node_it_closes_evictions(world: World) -> None:
    world.edit(image="walrus:2")
    assert deleted(world) == []
    assert budget(world)["spec"]["minAvailable"] == 10
    world.kubelet()
    assert deleted(world) == ["demo-0-0"]
    assert budget(world)["spec"]["minAvailable"] == 10


def open_again(world: World) -> None:
    """Somebody else writes it."""
    budget(world)["spec"]["minAvailable"] = 7


def gone(world: World) -> None:
    del world.objects[ObjectKey("PodDisruptionBudget", "demo-nodes")]


def another_form(world: World) -> None:
    """A percentage is no number of pods, though it is allowed."""
    budget(world)["spec"]["minAvailable"] = "100%"


@pytest.mark.parametrize("change", [open_again, gone, another_form])
def test_while_others_can_evict_the_operator_takes_nobody(world: World, change: Callable[[World], None]) -> None:
    world.edit(image="walrus:2")
    for _ in range(3):
        assert deleted(world) == []
        world.kubelet()
        change(world)
    assert deleted(world) == []
    world.kubelet()
    assert deleted(world) == ["demo-0-0"]


def test_evictions_open_again_when_kubernetes_has_counted_the_loss(world: World) -> None:
    """Its controller may look at older pods than we do; a number that it works out from them would be one too many."""
    world.edit(image="walrus:2")
    world.pass_once()
    world.kubelet()
    before = dict(budget(world)["status"])
    world.pass_once()
    world.kubelet()
    world.pods["demo-0-0"] = replace(world.pods["demo-0-0"], ready=False)
    budget(world)["status"] = before
    assert number(world) == 0
    budget(world)["status"] = before | {"observedGeneration": 0, "currentHealthy": 9}
    assert number(world) == 0
    world.count_disruptions()
    assert number(world) == 3  # of which Kubernetes knows that one is away


@pytest.mark.parametrize(("made", "counts"), [(START - 60, True), (START, True), (START + 1, False), (None, True)])
def test_who_is_to_be_evicted_is_away_although_the_pod_looks_as_ever(
    world: World, made: float | None, counts: bool
) -> None:
    world.edit(rollout={"reserve": 23})  # one at a time
    world.settle()
    world.pods["demo-3-0"] = replace(world.pods["demo-3-0"], created_at=made)
    world.edit_node("demo-0", image="walrus:2")
    found = []
    for _ in range(3):
        budget(world)["status"]["disruptedPods"] = {"demo-3-0": iso(START), "demo-77-0": iso(START)}
        found += deleted(world)
        world.kubelet()
    assert found == ([] if counts else ["demo-0-0"])
    if counts:
        assert "10 of 10 are unavailable already" in world.condition("Progressing")["message"]


def test_evictions_stay_open_for_what_takes_no_shards_and_for_what_is_refused(world: World) -> None:
    world.pods["demo-3-0"] = replace(world.pods["demo-3-0"], ready=False, waiting="CrashLoopBackOff")
    world.edit_node("demo-3", image="walrus:2")
    for _ in range(2):
        assert number(world) == 3
        world.pass_once()
    world.settle()
    world.edit(image="walrus:3")
    refused = plan(world.snapshot(refusals=((Reason.OBJECT_REJECTED, "the StatefulSet is refused"),)))
    assert refused.workload is not None
    assert refused.workload.evictions.at_once == 3
