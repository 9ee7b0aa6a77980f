"""The number in the one PodDisruptionBudget follows the fault budget, and what Kubernetes cannot see of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_codec.types import ShardIndex
from walrus_operator.api.decisions import Evictions
from walrus_operator.api.world import ObjectKey
from walrus_operator.plan.passes import plan


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
    hibernated(world)
    assert decided(world) == Evictions(pods=10, at_once=2)
    world.settle()
    assert decided(world) == Evictions(pods=9, at_once=2)
    without_a_pod(world)
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
