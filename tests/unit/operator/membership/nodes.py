"""Nodes of a world that come and go, and what they have on the chain."""

from __future__ import annotations

from typing import Any

from tests.unit.operator.support import World

from walrus_operator.api.world import Manifest, ObjectKey

WAL = 10**9


def node(name: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "WalrusNode",
        "metadata": {"name": name, "namespace": "walrus", "uid": f"uid of {name}", "generation": 1},
        "spec": {"networkRef": {"name": "demo"}, **spec},
    }


def put(world: World, name: str, **spec: Any) -> None:
    world.objects[ObjectKey("WalrusNode", name)] = node(name, **spec)


def stakes(world: World) -> dict[str, int]:
    """WAL by node."""
    return {
        name: live["status"]["stake"]
        for name in world.nodes()
        if "stake" in (live := world.objects[ObjectKey("WalrusNode", name)])["status"]
    }


def weight(world: World, name: str) -> int:
    return int(world.objects[ObjectKey("WalrusNode", name)]["status"]["weight"])


def workload(world: World, name: str) -> bool:
    return ObjectKey("StatefulSet", name) in world.objects
