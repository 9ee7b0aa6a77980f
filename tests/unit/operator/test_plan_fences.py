"""Nodes are taken out of rotation, as many as the fault budget bears."""

import pytest
from tests.unit.operator.support import World

from walrus_operator.api.world import ObjectKey


@pytest.fixture
def world() -> World:
    found = World()
    found.bring_up()
    return found


def fence(world: World, *nodes: int, state: str = "Fenced") -> None:
    for number in nodes:
        world.edit_node(f"demo-{number}", desiredState=state)
    world.settle()


def replicas(world: World, node: str) -> int:
    return int(world.objects[ObjectKey("StatefulSet", node)]["spec"]["replicas"])


def test_a_fenced_node_has_no_pod_and_keeps_the_rest(world: World) -> None:
    keys, stakes, volume = dict(world.secrets["demo-4-keys"].public), world.stakes, world.claims["data-demo-4-0"]
    fence(world, 4)
    assert replicas(world, "demo-4") == 0
    assert world.says("Fenced", "demo-4") == ("True", "Fenced")
    assert "its 10 shards count as unavailable" in world.condition("Fenced", "demo-4")["message"]
    assert world.says("Ready", "demo-4") == ("False", "Fenced")
    assert world.says("Fenced", "demo-5") == ("False", "NotFenced")
    assert world.objects[ObjectKey("WalrusNode", "demo-4")]["status"]["state"] == "Fenced"
    assert (dict(world.secrets["demo-4-keys"].public), world.stakes) == (keys, stakes)
    assert world.network["status"]["shards"]["display"] == "90/100"
    workload = world.pass_once()[0].workload
    assert workload is not None
    assert workload.evictions.at_once == 2
    fence(world, 4, state="Active")
    assert world.says("Ready", "demo-4") == ("True", "Serving")
    assert world.claims["data-demo-4-0"] == volume


def test_more_than_the_budget_bears_is_refused_with_the_arithmetic(world: World) -> None:
    fence(world, 1, 2, 3, 4)
    assert [replicas(world, f"demo-{number}") for number in (1, 2, 3, 4)] == [0, 0, 0, 1]
    assert world.says("Fenced", "demo-4") == ("False", "FaultBudgetExceeded")
    message = "taking demo-4 away takes 10 shards, 30 of 33 are unavailable already; the node runs on"
    assert world.condition("Fenced", "demo-4")["message"] == message
    assert world.says("Available") == ("True", "QuorumAvailable")
    fence(world, 2, state="Active")
    assert world.says("Fenced", "demo-4") == ("True", "Fenced")


def test_what_is_unavailable_for_other_reasons_counts(world: World) -> None:
    world.edit(rollout={"reserve": 10})
    world.silent_nodes |= {"demo-8", "demo-9"}
    world.now += 60
    fence(world, 1)
    assert world.condition("Fenced", "demo-1")["message"].startswith(
        "taking demo-1 away takes 10 shards, 20 of 23 are unavailable already (10 more are kept in reserve)"
    )
    world.silent_nodes.clear()
    world.settle()
    assert world.says("Fenced", "demo-1") == ("True", "Fenced")


def test_a_node_that_is_down_takes_nothing_more(world: World) -> None:
    fence(world, 1, 2, 3)
    del world.pods["demo-5-0"]
    world.broken.add("demo-5-0")
    world.settle()
    fence(world, 5)
    assert world.says("Fenced", "demo-5") == ("True", "Fenced")
    assert replicas(world, "demo-5") == 0


def test_a_fence_waits_for_a_chain_that_is_away_and_stays_when_it_stands(world: World) -> None:
    fence(world, 1)
    world.chain_answers = False
    fence(world, 2)
    assert world.says("Fenced", "demo-1") == ("True", "Fenced")
    assert world.says("Fenced", "demo-2") == ("False", "ChainMirrorStale")
    assert (replicas(world, "demo-1"), replicas(world, "demo-2")) == (0, 1)


def test_the_gate_can_be_opened(world: World) -> None:
    fence(world, 1, 2, 3)
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/gates-off": "FaultBudgetExceeded"}
    fence(world, 4)
    assert world.says("Fenced", "demo-4") == ("True", "Fenced")


def test_nothing_is_rolled_out_to_a_fenced_node_and_it_comes_back_with_the_newest(world: World) -> None:
    fence(world, 4)
    world.edit(image="walrus:new")
    for _ in range(20):
        world.settle()
        world.now += 60
    assert "demo-4-0" not in world.pods
    assert world.pods["demo-5-0"].image == "walrus:new"
    fence(world, 4, state="Active")
    assert world.pods["demo-4-0"].image == "walrus:new"


def test_before_the_first_committee_a_fence_takes_nothing_from_anybody() -> None:
    world = World()
    world.settle()
    fence(world, 1)
    assert world.says("Fenced", "demo-1") == ("True", "Fenced")
    assert "it holds no shards" in world.condition("Fenced", "demo-1")["message"]


def test_a_node_that_leaves_is_not_fenced_past_the_budget(world: World) -> None:
    world.edit(nodes={"count": 5})
    for number in (8, 9):
        world.edit_node(f"demo-{number}", desiredState="Fenced")
    for _ in range(4):
        world.pass_once()
        world.kubelet()
        down = [seat for seat in world.committee if f"{node_of(world, seat.node_id)}-0" not in world.pods]
        assert sum(seat.weight for seat in down) <= 33


def node_of(world: World, node_id: str) -> str:
    sui = next(sui for sui, pool in world.registered.items() if pool == node_id)
    return next(str(secret.node) for secret in world.ever.values() if sui in secret.public.values())
