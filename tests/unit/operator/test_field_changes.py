"""Every field of a WalrusNetwork: what a change of it does to a running network, and that nothing else happens.

The table has a row for every field of the model; a field without one fails. `reach` plays the cluster until the operator
has nothing left to do, then looks at what is different: whose pods are others, which objects were written, what moved on
chain. What is fixed at genesis is refused by the definitions (`tests/integration/operator/test_crds.py`).
"""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.world import ObjectKey

NODES, GATEWAY, DEVNET = "restarts nodes", "restarts gateways", "restarts the devnet"
NODE_JOINS, GATEWAY_JOINS = "starts a node", "starts a gateway"
STAKE, FINALIZERS, EPOCHS = "moves stake", "sets finalizers", "drops epochs"
POLICIES, SERVICE, BUDGET, VOLUMES, CHALLENGES = (
    "writes network policies",
    "writes the gateway's service",
    "writes the disruption budget",
    "writes what becomes of volumes and keys",
    "writes the policy of challenges",
)
NEXT_KEYS, SLEEPS, EMPTIED = "makes next keys", "ends all pods", "replaces volumes"
TOKEN = "exchanges the admin token"
FIXED = "fixed at genesis"
ALL_PODS = {NODES, GATEWAY, DEVNET}

PLACEMENT: dict[str, Any] = {
    "resources.requests": {"cpu": "2"},
    "resources.limits": {"memory": "3Gi"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "registry"}],
    "labels": {"team": "storage"},
    "annotations": {"note": "hello"},
    "image": "walrus:2",
}
"""What every pod has, with values."""

TABLE: dict[str, tuple[Any, set[str]]] = {
    **{f"nodes.template.{field}": (value, {NODES}) for field, value in PLACEMENT.items()},
    **{f"gateway.{field}": (value, {GATEWAY}) for field, value in PLACEMENT.items()},
    **{f"chain.devnet.{field}": (value, {DEVNET}) for field, value in PLACEMENT.items()},
    "chain.devnet.storage.size": (None, {FIXED}),
    "chain.devnet.storage.storageClassName": (None, {FIXED}),
    "chain.external.networkConfig": (None, {FIXED}),
    "chain.external.treasurySecretRef.name": (None, {FIXED}),
    "shards": (None, {FIXED}),
    "encoding": (None, {FIXED}),
    "epochDuration": (None, {FIXED}),
    "epochZeroDuration": (None, {FIXED}),
    "maxEpochsAhead": (None, {FIXED}),
    "epochsToKeep": (1, {EPOCHS}),
    "image": ("walrus:2", ALL_PODS),
    "imagePullPolicy": ("Always", ALL_PODS),
    "nodes.count": (5, {NODE_JOINS, STAKE, BUDGET}),
    "nodes.template.stake": (1500, {STAKE}),
    "nodes.template.votes.commissionRate": (5, {NODES}),
    "nodes.template.votes.storagePrice": (5, {NODES}),
    "nodes.template.votes.writePrice": (5, {NODES}),
    "nodes.template.votes.nodeCapacity": (1_000_000, {NODES}),
    "nodes.template.storage.size": ("20Gi", {NODES, EMPTIED}),
    "nodes.template.storage.storageClassName": ("fast", {NODES, EMPTIED}),
    "nodes.template.rotateKeys.protocol": ("1", {NEXT_KEYS}),
    "nodes.template.rotateKeys.network": ("1", {NEXT_KEYS}),
    "nodes.template.deletionPolicy": ("Drain", {FINALIZERS}),
    "nodes.template.topologySpread": (
        [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        {NODES},
    ),
    "nodes.template.challenges.mode": ("Report", {CHALLENGES}),
    "gateway.replicas": (2, {GATEWAY_JOINS}),
    "gateway.service.type": ("NodePort", {SERVICE}),
    "gateway.service.nodePort": (31000, {SERVICE}),
    "gateway.service.annotations": ({"lb": "internal"}, {SERVICE}),
    "gateway.maxBodySize": (1_000_000, {GATEWAY}),
    "monitoring.otlpEndpoint": ("http://collector:4317", ALL_PODS | {POLICIES}),
    "monitoring.scrapeNamespaces": (["monitoring"], {POLICIES}),
    "monitoring.logLevel": ("debug", ALL_PODS),
    "rollout.reserve": (1, {BUDGET}),
    "rollout.paused": (True, set()),
    "rollout.mode": ("Supervised", set()),
    "rollout.maintenanceWindows": ([{"start": "22:00", "duration": "1h"}], set()),
    "rollout.minReadySeconds": (0, set()),
    "rollout.restart": ("again", ALL_PODS),
    "rotateAdminToken": ("1", {TOKEN}),
    "challenges.mode": ("Report", {CHALLENGES}),
    "challenges.kept": ("0.8", {CHALLENGES}),
    "challenges.target": ("1e-8", {CHALLENGES}),
    "challenges.latencyMilliseconds": (10, {CHALLENGES}),
    "challenges.bytesPerSecond": (3_000_000, {CHALLENGES}),
    "challenges.graceMilliseconds": (1000, {CHALLENGES}),
    "challenges.keepEpochs": (9, {CHALLENGES}),
    "hibernated": (True, {SLEEPS, BUDGET}),
    "persistentVolumeClaimPolicy": ("Retain", {VOLUMES}),
}
NEEDS = {"gateway.service.nodePort": {"gateway": {"service": {"type": "NodePort"}}}}
"""What must be set first."""


def fields(model: type[BaseModel] = NetworkSpec, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every field that has no fields of its own."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        inner = [part for part in (field.annotation, *typing.get_args(field.annotation)) if isinstance(part, type)]
        models = [part for part in inner if issubclass(part, BaseModel)]
        for part in models:
            yield from fields(part, here)
        if not models:
            yield ".".join(here)


def edit(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


@pytest.fixture(scope="module")
def running() -> World:
    """Four nodes in epoch 2, at rest; copied by each test."""
    world = World(network=network_manifest(shards=10, nodes={"count": 4}))
    world.bring_up()
    world.choose_committee()
    world.settle()
    return world


def reach(world: World) -> None:
    """Passes until nothing is to be done and no rollout is under way."""
    quiet = 0
    for _ in range(80):
        _, writes = world.pass_once()
        world.kubelet()
        world.nodes_register()
        quiet = 0 if writes else quiet + 1
        if quiet > 1:
            return
    raise AssertionError(f"passes go on writing: {world.log[-3:]}")


def component(pod: str) -> str:
    if pod == "demo-devnet-0":
        return DEVNET
    return GATEWAY if pod.startswith("demo-gateway-") else NODES


def stored(world: World) -> dict[ObjectKey, Any]:
    """What objects say, without what is counted or signed."""
    return {
        key: [
            live.get("spec"),
            live.get("data"),
            {name: text for name, text in live["metadata"].get("annotations", {}).items() if "digest" not in name},
        ]
        for key, live in world.objects.items()
    }


def effects(world: World, pods: dict[str, str], objects: dict[ObjectKey, Any], log: list[str]) -> set[str]:
    """What has become different."""
    joins = {NODES: NODE_JOINS, GATEWAY: GATEWAY_JOINS}
    found = {
        component(name) if name in pods else joins[component(name)]
        for name, pod in world.pods.items()
        if pods.get(name) != pod.uid
    }
    now = stored(world)
    changed = {key for key in {*now, *objects} if now.get(key) != objects.get(key)}
    kinds = {key.kind for key in changed}
    found |= {text for kind, text in (("NetworkPolicy", POLICIES), ("PodDisruptionBudget", BUDGET)) if kind in kinds}
    if ObjectKey("Service", "demo-gateway") in changed:
        found.add(SERVICE)
    if ObjectKey("ConfigMap", "demo.challenges") in changed:
        found.add(CHALLENGES)
    if any(key.kind == "StorageEpoch" and key not in now for key in changed):
        found.add(EPOCHS)
    if any(entry.startswith("SetOwners") and "with_network=False" in entry for entry in log):
        found.add(VOLUMES)
    if any(entry.startswith(("Delegate", "WithdrawStake")) for entry in log):
        found.add(STAKE)
    if any(entry.startswith("CreateKeys") and "-next.key" in entry for entry in log):
        found.add(NEXT_KEYS)
    if any(entry.startswith("DeleteObject") and "PersistentVolumeClaim" in entry for entry in log):
        found.add(EMPTIED)
    if [entry.split("(")[0] for entry in log if "Token(" in entry] == ["AddToken", "DropToken"]:
        found.add(TOKEN)
    if pods and not world.pods:
        found.add(SLEEPS)
    if any(entry.startswith("SetFinalizer") for entry in log):
        found.add(FINALIZERS)
    return found


def test_every_field_has_a_row() -> None:
    assert sorted(set(fields()) ^ set(TABLE)) == []


@pytest.mark.parametrize("field", [field for field, (_, does) in TABLE.items() if does != {FIXED}])
def test_a_change_does_what_the_table_says_and_nothing_else(running: World, field: str) -> None:
    world = copy.deepcopy(running)
    if field in NEEDS:
        world.edit(**NEEDS[field])
        reach(world)
    value, does = TABLE[field]
    pods, objects, log = {name: pod.uid for name, pod in world.pods.items()}, stored(world), len(world.log)
    world.edit(**edit(field, value))
    reach(world)
    assert world.says("Valid") == ("True", "Accepted")
    assert effects(world, pods, objects, world.log[log:]) == does
