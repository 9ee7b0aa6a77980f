"""Wrong objects are refused at `kubectl apply`, each with a sentence that says what to do; right ones are kept whole."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

NETWORK: dict[str, Any] = {
    "apiVersion": "walrus-operator.dev/v1alpha1",
    "kind": "WalrusNetwork",
    "metadata": {"name": "net", "annotations": {"walrus-operator.dev/reconcile": "paused"}},
    "spec": {"shards": 100, "epochDuration": "1m", "nodes": {"count": 4}},
}
NODE: dict[str, Any] = {
    "apiVersion": "walrus-operator.dev/v1alpha1",
    "kind": "WalrusNode",
    "metadata": {"name": "hand-made"},
    # No such network: a running operator leaves it alone.
    "spec": {"networkRef": {"name": "nobody"}},
}
REMOVE = object()


def changed(manifest: dict[str, Any], *changes: tuple[str, object]) -> dict[str, Any]:
    result = copy.deepcopy(manifest)
    for path, value in changes:
        target = result
        *parents, last = path.split(".")
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is REMOVE:
            target.pop(last, None)
        else:
            target[last] = value
    return result


def apply(
    kubectl: Kubectl, manifest: dict[str, Any], *, validate: str = "strict", **options: Any
) -> subprocess.CompletedProcess[str]:
    return kubectl("apply", f"--validate={validate}", "--filename", "-", text=json.dumps(manifest), **options)


def refused(kubectl: Kubectl, manifest: dict[str, Any], *, says: str) -> None:
    done = apply(kubectl, manifest, check=False)
    assert done.returncode != 0, "it was accepted"
    assert says in done.stderr


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("spec.unheardOf", 1)], 'unknown field "spec.unheardOf"'),
        ([("spec.nodes.template.stroage", {})], 'unknown field "spec.nodes.template.stroage"'),
        ([("spec.shards", 99)], "shards must be 1 more than a multiple of 3"),
        ([("spec.shards", 1)], "at least 4"),
        ([("spec.shards", 1003)], "less than or equal to 1000"),
        (
            [("spec.shards", 256)],
            "encoding isal works for at most 253 shards: lower spec.shards or choose encoding: rs2",
        ),
        ([("spec.encoding", "lt")], 'supported values: "isal", "rs2"'),
        ([("spec.epochDuration", "29s")], "epochDuration must be at least 30s"),
        ([("spec.epochDuration", "ten minutes")], "spec.epochDuration"),
        ([("spec.epochDuration", "")], "spec.epochDuration"),
        ([("spec.nodes.count", 0)], "nodes.count must be greater than or equal to 1"),
        ([("spec.nodes.count", 101)], "at most spec.shards"),
        ([("spec.nodes.template.stake", 0)], "greater than or equal to 1"),
        ([("spec.nodes.template.storage.size", "much")], "spec.nodes.template.storage.size"),
        ([("spec.nodes.template.storage.size", "1e3")], "spec.nodes.template.storage.size"),
        ([("spec.nodes.template.storage.size", "-1Gi")], "spec.nodes.template.storage.size"),
        ([("spec.nodes.template.storage.size", "0")], "the size of a volume must be above 0 and at most 999Pi"),
        ([("spec.nodes.template.storage.size", "1" + "0" * 30)], "the size of a volume must be above 0"),
        ([("spec.chain.devnet.storage.size", "0Gi")], "the size of a volume must be above 0 and at most 999Pi"),
        ([("spec.nodes.count", 10**9)], "at most spec.shards"),
        ([("spec.shards", 10**6)], "less than or equal to 1000"),
        ([("spec.rollout.reserve", 34)], "rollout.reserve must be at most f = (shards - 1) / 3"),
        ([("spec.nodes.template.stake", 10**9)], "must be at most 900000000 WAL: a devnet has no more"),
        ([("spec.epochDuration", "8761h")], "at least 30s and at most 8760h"),
        ([("spec.epochDuration", "9999999999h")], "spec.epochDuration"),
        ([("spec.epochZeroDuration", "169h")], "epochZeroDuration must be at most 168h"),
        ([("spec.epochZeroDuration", "9999999999h")], "spec.epochZeroDuration"),
        ([("spec.nodes.template.desiredState", "Hibernated")], "unknown field"),
        ([("spec.nodes.template.votes.commissionRate", 10001)], "less than or equal to 10000"),
        ([("spec.monitoring.otlpEndpoint", "collector:4317")], "otlpEndpoint must be an http:// or https:// URL"),
        (
            [("spec.monitoring.otlpEndpoint", "http://collector")],
            "with a port, such as http://collector.monitoring:4317",
        ),
        ([("spec.monitoring.otlpEndpoint", "http://collector:65536")], "with a port"),
        ([("spec.rollout.maintenanceWindows", [{"start": "24:00", "duration": "1h"}])], "maintenanceWindows[0].start"),
        (
            [("spec.rollout.maintenanceWindows", [{"start": "22:00", "duration": "25h"}])],
            "a maintenance window lasts from 1m to 24h",
        ),
        ([("spec.rollout.mode", "Manual")], 'supported values: "Automatic", "Supervised"'),
        ([("spec.challenges.mode", "Always")], 'supported values: "Off", "Report", "Vote"'),
        ([("spec.challenges.mode", False)], "spec.challenges.mode"),  # a bare Off in YAML
        ([("spec.challenges.kept", "0.996")], "challenges.kept must lie between 0.5 and 0.995"),
        ([("spec.challenges.kept", "1")], "spec.challenges.kept"),
        ([("spec.challenges.target", "0.2")], "challenges.target must lie between 1e-18 and 0.1"),
        ([("spec.challenges.target", "1e-19")], "challenges.target must lie between 1e-18 and 0.1"),
        ([("spec.challenges.keepEpochs", 3)], "greater than or equal to 4"),
        ([("spec.gateway.service.nodePort", 30000)], "nodePort needs type: NodePort"),
        ([("spec.chain", {})], "set exactly one of chain.devnet and chain.external"),
        (
            [("spec.chain", {"devnet": {}, "external": {"networkConfig": "https://example.com/x"}})],
            "set exactly one of chain.devnet and chain.external",
        ),
        (
            [("spec.chain", {"external": {"networkConfig": "file:///etc/passwd"}}), ("spec.encoding", "rs2")],
            "must be an http:// or https:// URL",
        ),
        ([("spec.chain", {"external": {"networkConfig": "https://example.com/x"}})], "set encoding: rs2"),
        ([("metadata.name", "9lives")], "starting with a letter"),
        ([("metadata.name", "n" * 41)], "at most 40"),
    ],
)
def test_a_wrong_network_is_refused(kubectl: Kubectl, changes: list[tuple[str, object]], says: str) -> None:
    refused(kubectl, changed(NETWORK, *changes), says=says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("spec.networkRef", REMOVE)], "spec.networkRef: Required value"),
        ([("spec", REMOVE)], "spec: Required value"),
        ([("spec.desiredState", "Asleep")], 'supported values: "Active", "Drained", "Fenced", "Hibernated"'),
        ([("spec.weight", 10)], 'unknown field "spec.weight"'),
        ([("spec.challenges", {})], "spec.challenges.mode: Required value"),
        ([("metadata.name", "demo-gateway")], "belong to the network's own parts"),
        ([("metadata.name", "n" * 53)], "at most 52"),
        ([("spec.storage.size", "0")], "the size of a volume must be above 0 and at most 999Pi"),
        ([("spec.networkRef.name", "n" * 41)], "spec.networkRef.name"),
    ],
)
def test_a_wrong_node_is_refused(kubectl: Kubectl, changes: list[tuple[str, object]], says: str) -> None:
    refused(kubectl, changed(NODE, *changes), says=says)


def test_an_epoch_is_steered_until_it_begins(kubectl: Kubectl) -> None:
    epoch = {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "StorageEpoch",
        "metadata": {"name": "net-1"},
        "spec": {"challenges": {"mode": "Off"}},
    }
    refused(kubectl, changed(epoch, ("spec.advance", "Now")), says='unknown field "spec.advance"')
    apply(kubectl, epoch)
    epoch = changed(epoch, ("spec.challenges.mode", "Report"))
    apply(kubectl, epoch)
    kubectl("patch", "se", "net-1", "--subresource=status", "--type=merge", "--patch", '{"status":{"state":"Sync"}}')
    refused(
        kubectl, changed(epoch, ("spec.challenges.mode", "Vote")), says="this epoch has begun, so its spec is fixed"
    )
    refused(kubectl, changed(epoch, ("spec.challenges", REMOVE)), says="this epoch has begun, so its spec is fixed")
    kubectl("patch", "se", "net-1", "--subresource=status", "--type=merge", "--patch", '{"status":{"state":"Done"}}')


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("spec.shards", 103)], "shards is fixed at genesis"),
        ([("spec.encoding", "rs2")], "encoding is fixed at genesis"),
        ([("spec.epochDuration", "2m")], "epochDuration is fixed at genesis"),
        ([("spec.maxEpochsAhead", 9)], "maxEpochsAhead is fixed at genesis"),
        (
            [("spec.chain", {"devnet": None, "external": {"networkConfig": "https://example.com/x"}})],
            "the kind of chain is fixed at genesis",
        ),
        ([("spec.chain.devnet.storage", {"size": "20Gi"})], "the size of this volume cannot change"),
        (
            [("spec.chain.devnet.storage", {"size": "2Gi", "storageClassName": "fast"})],
            "the storage class of this volume cannot change",
        ),
    ],
)
def test_what_genesis_fixed_cannot_change(kubectl: Kubectl, changes: list[tuple[str, object]], says: str) -> None:
    apply(kubectl, NETWORK)
    refused(kubectl, changed(NETWORK, *changes), says=says)
    # What may change, may.
    apply(kubectl, changed(NETWORK, ("spec.nodes.count", 7), ("spec.gateway", {"replicas": 2})))


@pytest.mark.parametrize(
    "changes",
    [
        [("spec.nodes.template.storage.size", size) for size in ("0.5Gi", "1.5Ti", "999Pi", "10737418240")],
        [("spec.epochDuration", "8760h"), ("spec.epochZeroDuration", "168h"), ("spec.rollout.reserve", 33)],
        [("spec.nodes.template.stake", 225_000_000)],
    ],
)
def test_what_is_just_possible_is_accepted(kubectl: Kubectl, changes: list[tuple[str, object]]) -> None:
    for number, change in enumerate(changes):
        apply(kubectl, changed(NETWORK, change, ("metadata.name", f"net-{number}")))


def test_the_shortest_network_gets_all_defaults(kubectl: Kubectl) -> None:
    short = {key: value for key, value in NETWORK.items() if key != "spec"}
    apply(kubectl, short)
    spec = json.loads(kubectl("get", "wnet", "net", "-o", "json").stdout)["spec"]
    assert spec["shards"] == 100
    assert spec["nodes"]["count"] == 10
    assert spec["nodes"]["template"]["storage"] == {"size": "10Gi"}
    assert spec["gateway"]["replicas"] == 1
    assert set(spec["chain"]) == {"devnet"}


def test_a_partly_given_object_gets_the_other_defaults(kubectl: Kubectl) -> None:
    apply(kubectl, changed(NETWORK, ("spec.nodes.template", {"resources": {"limits": {"cpu": 2, "memory": "2Gi"}}})))
    template = json.loads(kubectl("get", "wnet", "net", "-o", "json").stdout)["spec"]["nodes"]["template"]
    assert template["stake"] == 1000
    assert template["resources"] == {"limits": {"cpu": 2, "memory": "2Gi"}}


def test_what_the_schema_does_not_know_is_not_stored(kubectl: Kubectl) -> None:
    """Who asks the API server not to complain gets the fields that are known, and those whole."""
    extra = changed(
        NETWORK, ("spec.unheardOf", {"deep": 1}), ("spec.nodes.template.votes", {"writePrice": 7, "tip": 1})
    )
    apply(kubectl, extra, validate="ignore")
    spec = json.loads(kubectl("get", "wnet", "net", "-o", "json").stdout)["spec"]
    assert "unheardOf" not in spec
    assert spec["nodes"]["template"]["votes"]["writePrice"] == 7
    assert "tip" not in spec["nodes"]["template"]["votes"]
    # Free form where Kubernetes' own types are meant: kept as written.
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    apply(kubectl, changed(NETWORK, ("spec.gateway", {"affinity": affinity})))
    assert json.loads(kubectl("get", "wnet", "net", "-o", "json").stdout)["spec"]["gateway"]["affinity"] == affinity


def test_columns_tell_the_story(kubectl: Kubectl) -> None:
    apply(kubectl, NETWORK)
    lines = [
        kubectl("get", kind).stdout.splitlines()[0].split() if kind == "wnet" else kubectl("explain", kind).stdout
        for kind in ("wnet", "wn", "se")
    ]
    assert lines[0] == ["NAME", "READY", "REASON", "EPOCH", "STATE", "NODES", "SHARDS", "UPDATED", "AGE"]
    assert "WalrusNode" in lines[1]
    assert "StorageEpoch" in lines[2]
    assert "net" in kubectl("get", "walrus").stdout
