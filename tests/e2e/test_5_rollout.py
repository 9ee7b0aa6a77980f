"""Changed specs reach all nodes, or stop at the first, while readers notice nothing and the budget is watched."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.e2e.conftest import NAMESPACE, NETWORK, NODE_LABEL
from tests.e2e.network import store
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


def test_a_changed_setting_reaches_all_nodes_within_the_budget(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(2**20)
    reader.watch(store(gateway, data), data)
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=300)
    before = uids(kubectl)
    assert len(before) == NODES

    # The plan stands before anything moves.
    change(kubectl, rollout={"paused": True}, nodes={"template": {"votes": {"writePrice": 20_001}}})
    until("the plan", lambda: plan()["upToDate"] and plan()["outdated"] == NODES, seconds=120)
    steps = plan()["plan"]
    assert sorted(name for step in steps for name in step["nodes"]) == sorted(before)
    assert len(steps[0]["nodes"]) == 1
    assert all(step["shards"] <= TOLERATED for step in steps)
    assert {hold["gate"] for hold in plan()["holds"]} == {"RolloutPaused"}
    assert uids(kubectl) == before

    change(kubectl, rollout={"paused": False})

    def done() -> bool:
        assert away(kubectl) <= TOLERATED
        return bool(plan()["state"] == "Complete")

    until("all nodes restarted and back", done, seconds=900)
    after = uids(kubectl)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert "20001" in kubectl.get("configmap", f"{NETWORK}-4")["data"]["node.yaml"]
    assert plan()["display"] == f"{NODES}/{NODES}"
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
