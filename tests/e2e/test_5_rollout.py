"""Changed specs reach all nodes, or stop at the first, while readers notice nothing and the budget is watched."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import NAMESPACE, NETWORK, NODE_LABEL, deploy_operator
from tests.e2e.network import hibernated, store
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, run, until

NODES = 10
TOLERATED = 33


def plan() -> dict[str, Any]:
    command = ("walrusctl", "-n", NAMESPACE, "--network", NETWORK, "network", "plan", "--output", "json")
    found: dict[str, Any] = json.loads(run(*command, check=False).stdout)
    return found


def pods(kubectl: Kubectl) -> dict[str, dict[str, Any]]:
    return {pod["metadata"]["name"].removesuffix("-0"): pod for pod in kubectl.items("pods", "-l", NODE_LABEL)}


def uids(kubectl: Kubectl) -> dict[str, str]:
    return {name: pod["metadata"]["uid"] for name, pod in pods(kubectl).items()}


def away(kubectl: Kubectl) -> int:
    """Shards of nodes whose pods are not ready, by Kubernetes' own word."""
    weights = {node["metadata"]["name"]: node["status"].get("weight", 0) for node in kubectl.items("wn")}
    there = pods(kubectl)
    ready = {
        name
        for name, pod in there.items()
        if "deletionTimestamp" not in pod["metadata"]
        and any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"].get("conditions", []))
    }
    return sum(weight for name, weight in weights.items() if name not in ready)


def change(kubectl: Kubectl, **spec: Any) -> None:
    kubectl.patch("wnet", NETWORK, {"spec": spec})


def another_name(kubectl: Kubectl) -> tuple[str, dict[str, str]]:
    """The image that runs under another name, and how the operator's chart is told of it."""
    pod = pods(kubectl)[f"{NETWORK}-0"]
    image = str(pod["spec"]["containers"][0]["image"])
    if "/" not in image:
        name = f"docker.io/library/{image}"  # as containerd calls it
        return name, {"repository": name.rpartition(":")[0]}
    name = str(pod["status"]["containerStatuses"][0]["imageID"])
    return name, {"digest": name.rpartition("@")[2]}


def test_the_same_source_under_another_image_of_the_operator_restarts_nothing(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(2**20)
    reader.watch(store(gateway, data), data)
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=300)
    _, other = another_name(kubectl)
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in kubectl.items("pods")}
    deploy_operator(**other)
    try:
        said = kubectl.wait("wnet", NETWORK, "RequiresUpdate", "True", seconds=90)
        assert said["reason"] == "OperatorChanged"
        assert plan()["state"] == "Complete"
        assert plan()["plan"] == []
    finally:
        deploy_operator()
    kubectl.wait("wnet", NETWORK, "RequiresUpdate", "False", seconds=90)
    assert {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in kubectl.items("pods")} == before
    reader.read_all()


def test_an_image_goes_to_a_canary_to_the_nodes_while_one_is_down_and_to_gateway_and_devnet(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader, record: Callable[..., str]
) -> None:
    """One roll for all of it: two images mixed, smaller batches, epoch changes on the way, and everything in its order."""
    data = os.urandom(2**20)
    reader.watch(store(gateway, data), data)
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=300)
    before = uids(kubectl)
    assert len(before) == NODES
    image, _ = another_name(kubectl)
    canary, sleeper = f"{NETWORK}-4", f"{NETWORK}-9"

    def running(wanted: str) -> bool:
        assert away(kubectl) <= TOLERATED
        return bool(plan()["upToDate"] and plan()["state"] == wanted)

    kubectl.patch("wn", canary, {"spec": {"image": image}})
    until("the canary is seen", lambda: uids(kubectl).get(canary) not in {None, before[canary]}, seconds=200)
    until("the canary is back", lambda: running("Complete"), seconds=200)
    assert {entry["image"]: entry["nodes"] for entry in plan()["versions"]}[image] == 1

    with hibernated(kubectl, [sleeper]):
        with_canary = uids(kubectl)
        change(kubectl, rollout={"paused": True}, image=image)
        # The plan stands before anything moves. The canary has shown that nodes come back with it, and stays as it is.
        until("the plan", lambda: plan()["upToDate"] and plan()["outdated"] == NODES - 2, seconds=120)
        steps = [step for step in plan()["plan"] if step["nodes"]]
        assert sorted(name for step in steps for name in step["nodes"]) == sorted(set(before) - {canary, sleeper})
        assert all(step["shards"] <= TOLERATED - 10 for step in steps), "one node is down already"
        last = [step["pods"] for step in plan()["plan"] if not step["nodes"]]
        assert last == [[f"{NETWORK}-gateway-0"], [f"{NETWORK}-devnet-0"]]
        assert {hold["gate"] for hold in plan()["holds"]} == {"RolloutPaused"}
        record("network-plan", "kubectl", "walrus", "-n", NAMESPACE, "network", "plan")
        began = kubectl.get("wnet", NETWORK)["status"]["epoch"]
        change(kubectl, rollout={"paused": False})

        def nodes_done() -> bool:
            assert away(kubectl) <= TOLERATED
            return not plan()["outdated"]

        until("all nodes restarted", nodes_done, seconds=900)
        assert kubectl.get("wnet", NETWORK)["status"]["epoch"] > began, "it went on across an epoch change"
        # The only gateway goes once the last batch is back, which takes longer than this.
        with reader.paused():
            until("gateway and devnet too", lambda: running("Complete"), seconds=400)
    after = uids(kubectl)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert after[canary] == with_canary[canary]
    running_pods = [pod for pod in kubectl.items("pods") if pod["status"]["phase"] == "Running"]
    assert {pod["spec"]["containers"][0]["image"] for pod in running_pods} == {image}
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)
    reader.read_all()


def test_an_image_that_nobody_can_pull_stops_at_the_first_node(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(2**20)
    reader.watch(store(gateway, data), data)
    before = uids(kubectl)
    change(kubectl, nodes={"template": {"image": "walrus-on-kubernetes:nobody-has-it"}})
    try:
        degraded = kubectl.wait("wnet", NETWORK, "Degraded", "True", seconds=300)
        until(
            "the reason",
            lambda: kubectl.condition("wnet", NETWORK, "Degraded")["reason"] == "PreviousNodeNotRejoined",
            seconds=120,
        )
        assert plan()["stuck"], degraded
        (first,) = [name for name, uid in uids(kubectl).items() if uid != before[name]]
        assert first in plan()["stuck"]
        assert kubectl.condition("wnet", NETWORK, "Available")["status"] == "True"
        reader.read_all()
    finally:
        change(kubectl, nodes={"template": {"image": None}})
    until("the first node back as it was", lambda: plan()["state"] == "Complete", seconds=300)
    assert [name for name, uid in uids(kubectl).items() if uid != before[name]] == [first]
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)
    reader.read_all()
