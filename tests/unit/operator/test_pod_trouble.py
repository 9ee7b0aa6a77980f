"""Pods that do not start: the network and the node say why, and which field is to be corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.world import ObjectKey, PodView
from walrus_operator.plan.times import iso


def fail(world: World, pod: str, waiting: str, **more: Any) -> None:
    world.broken.add(pod)
    before = world.pods.get(pod) or PodView(pod, "u", ready=False, phase="Pending", revision="r")
    world.pods[pod] = replace(before, ready=False, phase="Pending", waiting=waiting, **more)
    world.silent_nodes.add(pod.removesuffix("-0"))


IMAGES = {
    "ImagePullBackOff": "cannot be pulled: correct {}",
    "ErrImagePull": "cannot be pulled: correct {}",
    "InvalidImageName": "is no name of an image: correct {}",
    "ErrImageNeverPull": "is not on the machine and spec.imagePullPolicy is Never: load it, or correct {}",
}
WHOSE = {
    "demo-gateway-0": {"gateway": {"image": "wlarus:1"}},
    "demo-devnet-0": {"chain": {"devnet": {"image": "wlarus:1"}}},
    "demo-2-0": {"nodes": {"template": {"image": "wlarus:1"}}},
}
FIELDS = {
    "demo-gateway-0": "spec.gateway.image",
    "demo-devnet-0": "spec.chain.devnet.image",
    "demo-2-0": "spec.nodes.template.image",
}


def started(pod: str, waiting: str, **spec: Any) -> World:
    """A network that one pod keeps from coming up."""
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    world.edit(**spec)
    world.chain_answers = "devnet" not in pod
    world.pass_once()
    world.kubelet()
    if "gateway" in pod:
        world.bring_up()
    fail(world, pod, waiting, image="wlarus:1")
    for _ in range(2):
        world.pass_once()
    return world


@pytest.mark.parametrize("pod", FIELDS)
@pytest.mark.parametrize("waiting", IMAGES)
def test_an_image_that_is_not_to_be_had_is_named_with_its_field(pod: str, waiting: str) -> None:
    world = started(pod, waiting, **WHOSE[pod])
    assert world.says("Ready")[0] == "False"
    said = f"its image wlarus:1 {IMAGES[waiting].format(FIELDS[pod])}"
    assert f"pod {pod} is Pending: " in world.condition("Ready")["message"]
    assert said in world.condition("Ready")["message"]
    assert world.says("Degraded") == ("True", "PodCannotStart")
    assert said in world.condition("Degraded")["message"]
    if pod == "demo-2-0":
        assert world.says("Ready", "demo-2") == ("False", "PodNotReady")
        assert said in world.condition("Ready", "demo-2")["message"]


def test_what_the_kubelet_says_by_turns_is_one_sentence() -> None:
    one, other = (
        started("demo-2-0", waiting).condition("Ready", "demo-2") for waiting in ("ErrImagePull", "ImagePullBackOff")
    )
    assert one["message"] == other["message"]
    assert "correct spec.image," in one["message"]


def test_the_image_of_a_canary_is_looked_for_on_its_walrusnode() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    world.bring_up()
    world.edit_node("demo-2", image="wlarus:1")
    fail(world, "demo-2-0", "ImagePullBackOff", image="wlarus:1")
    world.pass_once()
    assert "correct spec.image of WalrusNode demo-2" in world.condition("Ready", "demo-2")["message"]


def test_a_volume_that_does_not_come_is_said_with_its_class() -> None:
    world = started("demo-2-0", "Unschedulable")
    fail(world, "demo-2-0", "Unschedulable", unplaced="0/3 nodes are available: pod has unbound immediate claims")
    claim = replace(world.claims["data-demo-2-0"], bound=False, storage_class="fsat", size="10Gi")
    world.claims["data-demo-2-0"] = claim
    world.pass_once()
    message = world.condition("Ready", "demo-2")["message"]
    assert "(0/3 nodes are available: pod has unbound immediate claims)" in message
    assert "storage class fsat must exist and provide 10Gi: if that is wrong, correct storage" in message
    assert message.removeprefix("pod demo-2-0 is Pending but not ready: ") in world.condition("Ready")["message"]
    world.claims["data-demo-2-0"] = replace(claim, bound=True)
    world.pass_once()
    assert "add machines, or correct its resources" in world.condition("Ready", "demo-2")["message"]


def test_a_devnets_volume_that_does_not_come_is_said_too() -> None:
    world = started("demo-devnet-0", "Unschedulable")
    world.claims["data-demo-devnet-0"] = replace(world.claims["data-demo-devnet-0"], bound=False, storage_class=None)
    world.pass_once()
    assert world.says("Ready") == ("False", "ChainStarting")
    message = world.condition("Ready")["message"]
    assert "a default storage class must exist" in message
    assert message.endswith("if that is wrong, delete the network and create it anew")


def test_a_pod_that_nobody_makes_has_a_place_to_look() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    world.bring_up()
    del world.pods["demo-2-0"]
    world.pass_once()
    assert world.condition("Ready", "demo-2")["message"].endswith("see `kubectl describe statefulset demo-2`")
    world.settle()
    del world.pods["demo-gateway-0"]
    live = world.objects[ObjectKey("StatefulSet", "demo-gateway")]["metadata"]
    for age, said in ((50, "0 of 1 gateways are ready"), (70, "see `kubectl describe statefulset demo-gateway`")):
        live["creationTimestamp"] = iso(world.now - age)
        world.pass_once()
        assert world.condition("Ready")["message"].endswith(said)
