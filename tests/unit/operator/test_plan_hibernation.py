"""A whole network goes to sleep with its data, from the outside in, and wakes as it was."""

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.world import ObjectKey


@pytest.fixture
def world() -> World:
    found = World()
    found.bring_up()
    return found


def sleep(world: World, *, hibernated: bool = True) -> None:
    world.edit(hibernated=hibernated)


def kinds(world: World) -> set[str]:
    return {name.removeprefix("demo-").split("-")[0] for name in world.pods}


def test_the_gateway_goes_first_then_the_nodes_then_the_chain(world: World) -> None:
    world.graceful = 1
    sleep(world)
    seen = [kinds(world)]
    said = []
    for _ in range(12):
        world.pass_once()
        world.kubelet()
        said.append(world.condition("Progressing")["message"])
        if kinds(world) != seen[-1]:
            seen.append(kinds(world))
    nodes = {str(number) for number in range(10)}
    assert seen == [{"gateway", "devnet", *nodes}, {"devnet", *nodes}, {"devnet"}, set()]
    assert said[0].startswith("going to sleep: demo-")
    assert said[-1] == "the network sleeps, with its data; set spec.hibernated: false to wake it"


def test_it_sleeps_quietly_and_wakes_with_everything_that_it_had(world: World) -> None:
    secrets, stakes = dict(world.secrets), world.stakes
    objects = {str(key): live["metadata"]["uid"] for key, live in world.objects.items()}
    sleep(world)
    world.settle()
    world.chain_answers = False
    world.now += 600
    world.settle()
    assert world.pods == {}
    for type_, status in {"Ready": "False", "Available": "False", "CommitteeSynced": "Unknown"}.items():
        assert world.says(type_) == (status, "Hibernated")
    assert world.says("Progressing") == ("False", "Hibernated")
    assert world.says("Degraded") == ("False", "AsExpected")
    assert world.says("Valid") == ("True", "Accepted")
    assert world.says("Ready", "demo-3") == ("False", "Hibernated")
    assert world.condition("Ready", "demo-3")["message"] == "the network sleeps"
    assert world.pass_once()[0].requeue_after == 10

    sleep(world, hibernated=False)
    world.settle()
    assert "devnet" in kinds(world)
    world.chain_answers = True
    world.settle()
    assert world.says("Ready") == ("True", "Serving")
    assert world.network["status"]["shards"]["display"] == "100/100"
    assert (dict(world.secrets), world.stakes) == (secrets, stakes)
    assert {str(key): live["metadata"]["uid"] for key, live in world.objects.items()} == objects


def test_lost_keys_are_told_also_in_sleep_and_never_made_again(world: World) -> None:
    sleep(world)
    world.settle()
    del world.secrets["demo-3-keys"]
    world.settle()
    assert world.says("Degraded") == ("True", "KeySecretLost")
    assert "demo-3-keys" not in world.secrets


def test_single_nodes_stay_as_they_are_asked_for(world: World) -> None:
    world.edit_node("demo-4", desiredState="Fenced")
    world.edit_node("demo-5", desiredState="Hibernated")
    world.settle()
    sleep(world)
    world.settle()
    assert world.objects[ObjectKey("WalrusNode", "demo-4")]["status"]["state"] == "Fenced"
    assert world.objects[ObjectKey("WalrusNode", "demo-3")]["status"]["state"] == "Hibernated"
    sleep(world, hibernated=False)
    world.settle()
    assert {"demo-4-0", "demo-5-0"}.isdisjoint(world.pods)
    assert "demo-3-0" in world.pods


def test_a_node_that_leaves_sleeps_with_the_others_and_goes_on_leaving(world: World) -> None:
    world.edit(nodes={"template": {"deletionPolicy": "Drain"}})
    world.settle()
    world.edit(nodes={"count": 9})
    world.settle()
    sleep(world)
    world.settle()
    assert world.pods == {}
    sleep(world, hibernated=False)
    world.settle()
    assert world.says("DeletionBlocked", "demo-9") == ("True", "HoldsShards")
    for _ in range(3):
        world.choose_committee()
        world.settle()
    assert ObjectKey("WalrusNode", "demo-9") not in world.objects


def test_an_image_that_changed_meanwhile_is_what_it_wakes_with(world: World) -> None:
    sleep(world)
    world.settle()
    world.edit(image="walrus:new")
    world.settle()
    sleep(world, hibernated=False)
    world.settle()
    assert {pod.image for pod in world.pods.values()} == {"walrus:new"}


def test_a_node_that_leaves_wakes_with_its_network_because_it_holds_shards_still() -> None:
    world = World(network=network_manifest(shards=22, nodes={"count": 7, "template": {"deletionPolicy": "Drain"}}))
    world.bring_up()
    world.edit(nodes={"count": 6})
    world.settle()
    world.edit(hibernated=True)
    world.settle()
    assert world.pods == {}
    world.edit(hibernated=False)
    world.settle()
    assert world.pods["demo-6-0"].ready
    assert world.says("DeletionBlocked", "demo-6") == ("True", "HoldsShards")
