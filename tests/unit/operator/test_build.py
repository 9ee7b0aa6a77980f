"""Manifests against golden files, and what must hold for all of them.

Rewrite the golden files with WALRUS_REWRITE_GOLDEN=1 after looking at the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.operator.chain_world import NAMESPACE, network_manifest
from tests.unit.operator.support import SETTINGS, World

from walrus_operator.api.decisions import CreateKeys, KeyKind
from walrus_operator.api.world import Manifest
from walrus_operator.build import objects, secrets
from walrus_operator.observe import reading
from walrus_operator.plan.passes import plan

GOLDEN = Path(__file__).parent / "golden"


def built(**spec: Any) -> list[Manifest]:
    world = World(network=network_manifest(**spec))
    world.bring_up()
    workload = plan(world.snapshot()).workload
    assert workload is not None
    return list(objects.manifests(workload, SETTINGS))


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("small-devnet", {"shards": 10, "nodes": {"count": 1}}),
        (
            "everything-set",
            {
                "shards": 10,
                "encoding": "rs2",
                "image": "registry.example/walrus:1",
                "imagePullPolicy": "Always",
                "persistentVolumeClaimPolicy": "Retain",
                "chain": {"devnet": {"storage": {"size": "1Gi", "storageClassName": "fast"}, "image": "devnet:1"}},
                "nodes": {
                    "count": 1,
                    "template": {
                        "stake": 5,
                        "storage": {"size": "20Gi", "storageClassName": "fast"},
                        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}},
                        "nodeSelector": {"disk": "ssd"},
                        "tolerations": [{"key": "storage", "operator": "Exists", "effect": "NoSchedule"}],
                        "affinity": {"nodeAffinity": {}},
                        "topologySpread": [
                            {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
                        ],
                        "priorityClassName": "high",
                        "imagePullSecrets": [{"name": "pull"}],
                        "labels": {"team": "storage", "app.kubernetes.io/name": "not yours"},
                        "annotations": {"note": "hello"},
                    },
                },
                "gateway": {
                    "replicas": 2,
                    "service": {"type": "NodePort", "nodePort": 31415, "annotations": {"lb": "internal"}},
                    "maxBodySize": 1048576,
                },
                "monitoring": {
                    "otlpEndpoint": "http://collector.monitoring:4317",
                    "scrapeNamespaces": ["monitoring"],
                    "logLevel": "debug",
                },
            },
        ),
    ],
)
def test_golden(name: str, spec: dict[str, Any]) -> None:
    text = yaml.safe_dump_all(built(**spec), sort_keys=False, width=120)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("WALRUS_REWRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), "see the module's docstring"


def pods(manifests: list[Manifest]) -> list[dict[str, Any]]:
    return [manifest["spec"]["template"] for manifest in manifests if manifest["kind"] == "StatefulSet"]


def test_every_pod_passes_the_restricted_standard_and_has_no_api_token() -> None:
    templates = pods(built())
    assert len(templates) == 12
    for template in templates:
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= set(container)
        kinds = {next(key for key in volume if key != "name") for volume in spec["volumes"]}
        assert kinds <= {"configMap", "secret", "emptyDir"}


def test_everything_belongs_to_the_network_and_carries_its_label() -> None:
    for manifest in built():
        assert manifest["metadata"]["namespace"] == NAMESPACE
        assert manifest["metadata"]["labels"]["walrus-operator.dev/network"] == "demo"
        assert [owner["kind"] for owner in manifest["metadata"]["ownerReferences"]] == ["WalrusNetwork"]


def test_exactly_one_budget_and_a_default_deny() -> None:
    manifests = built()
    budgets = [manifest for manifest in manifests if manifest["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == 1
    default = next(manifest for manifest in manifests if manifest["metadata"]["name"] == "demo-default")
    assert default["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in default["spec"]


def test_a_collector_is_told_to_every_process_and_may_be_reached() -> None:
    manifests = built(monitoring={"otlpEndpoint": "https://collector.monitoring:4317"}, nodes={"count": 1}, shards=10)
    maps = [m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"] != "demo.challenges"]
    files = [text for m in maps for text in m["data"].values()]
    assert len(files) == 3
    for text in files:
        assert yaml.safe_load(text)["telemetry"]["otlp_endpoint"] == "https://collector.monitoring:4317"
    default = next(m for m in manifests if m["metadata"]["name"] == "demo-default")
    assert {"ports": [{"port": 4317, "protocol": "TCP"}]} in default["spec"]["egress"]


def test_only_named_namespaces_read_the_metrics() -> None:
    def open_to_monitoring(**spec: Any) -> dict[str, list[int]]:
        found = {}
        for policy in (m for m in built(**spec) if m["kind"] == "NetworkPolicy"):
            rules = [rule for rule in policy["spec"].get("ingress", []) if "monitoring" in str(rule.get("from"))]
            found[policy["metadata"]["name"]] = [port["port"] for rule in rules for port in rule["ports"]]
        return {name: ports for name, ports in found.items() if ports}

    assert open_to_monitoring() == {}
    assert open_to_monitoring(monitoring={"scrapeNamespaces": ["monitoring"]}) == {
        "demo-node": [9184],
        "demo-gateway": [27182],
        "demo-devnet": [9184],
    }


def test_the_digest_changes_when_a_field_goes() -> None:
    with_label = built(nodes={"count": 1, "template": {"nodeSelector": {"disk": "ssd"}}}, shards=10)
    without = built(nodes={"count": 1}, shards=10)

    def digest(manifests: list[Manifest]) -> str:
        found = next(m for m in manifests if m["kind"] == "StatefulSet" and m["metadata"]["name"] == "demo-0")
        return str(found["metadata"]["annotations"]["walrus-operator.dev/applied-digest"])

    assert digest(with_label) != digest(without)


def test_key_secrets_outlive_the_network_exactly_when_volumes_do() -> None:
    action = CreateKeys("demo-3-keys", (("sui.key", KeyKind.SUI),))
    kept = secrets.key_secret(reading.network(network_manifest(persistentVolumeClaimPolicy="Retain")), action)
    assert "ownerReferences" not in kept["metadata"]
    gone = secrets.key_secret(reading.network(network_manifest()), action)
    assert gone["metadata"]["ownerReferences"]
    assert gone["metadata"]["labels"]["walrus-operator.dev/node"] == "demo-3"
    assert "data" not in gone
