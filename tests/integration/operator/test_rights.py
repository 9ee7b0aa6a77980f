"""What the chart grants is enough for the whole life of a network, in one namespace or in all; what is missing is named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.operator.conftest import ROOT, TRACE, environment, run_kubectl
from tests.integration.operator.test_reconcile import Operator, apply, get, images, network, start

from walrus_operator.observe.kube import KubeClient
from walrus_operator.runtime import config, main, permissions

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
Grant = Callable[..., None]


@pytest.fixture
def grant(namespace: str) -> Iterator[Grant]:
    """Gives the service account `walrus` of the namespace the rights that the chart has for it."""
    names = [f"walrus-{namespace}"]

    def give(*values: str, without: tuple[str, str] = ("", "")) -> None:
        """Renders with these values; `without` takes a verb off a resource."""
        chosen = ",".join((f"fullnameOverride={names[0]}", "serviceAccount.name=walrus", *values))
        shown = ("--show-only", "templates/rbac.yaml", "--show-only", "templates/serviceaccount.yaml")
        chart = str(ROOT / "charts" / "walrus-operator")
        rendered = subprocess.run(
            ["helm", "template", "rights", chart, "--namespace", namespace, "--set", chosen, *shown],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        found = [item for item in yaml.safe_load_all(rendered) if item]
        for item in found:
            for rule in item.get("rules", []):
                if without[1] in rule["resources"]:
                    rule["verbs"] = [verb for verb in rule["verbs"] if verb != without[0]]
            key, _, value = TRACE.partition("=")
            item["metadata"].setdefault("labels", {})[key] = value
        run_kubectl("apply", "--filename", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": found}))

    yield give
    run_kubectl("delete", "clusterrolebindings,clusterroles", names[0], "--ignore-not-found")


@pytest.fixture
async def granted(namespace: str, grant: Grant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """Connects as that account, once it is made."""
    clients: list[KubeClient] = []

    async def connect(*values: str, **options: Any) -> KubeClient:
        grant(*values, **options)
        token = run_kubectl("create", "token", "walrus", "--namespace", namespace).stdout.strip()
        view = json.loads(run_kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
        view["users"][0]["user"] = {"token": token}
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(view))
        with monkeypatch.context() as patch:
            patch.setenv("KUBECONFIG", str(file))
            clients.append(await KubeClient.connect())
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


async def test_rights_in_one_namespace_are_enough_for_a_networks_life(
    namespace: str, kubectl: Kubectl, granted: Any, alone: None
) -> None:
    kube = await granted(f"watchNamespaces={{{namespace}}}")
    assert await permissions.missing(kube, namespaces=[namespace], own_namespace=namespace) == []
    beyond = await permissions.missing(kube, namespaces=[None], own_namespace=namespace)
    assert len(beyond) == len({permission.of for permission in permissions.NETWORK_PERMISSIONS})

    operator = Operator(kube, namespace)
    spec = network()
    spec["spec"]["nodes"]["template"]["deletionPolicy"] = "Drain"
    apply(kubectl, spec)
    await operator.settle()
    # Nothing that passes do is refused: settings, a rollout, a node that leaves, an epoch, and the end.
    for name in ("net-0", "net-1", "net-2"):
        start(kubectl, name)
    await operator.settle()
    kubectl("patch", "wnet", "net", "--type=merge", "-p", '{"spec":{"image":"walrus:2","epochsToKeep":1}}')
    while "walrus:2" not in images(kubectl)[0].values():
        await operator.one()
    operator.chain.epoch = 2
    kubectl("patch", "wnet", "net", "--type=merge", "-p", '{"spec":{"nodes":{"count":2}}}')
    await operator.one()
    operator.chain.left.add(get(kubectl, "wn", "net-2")["status"]["nodeId"])
    for _ in range(20):
        await operator.one()
        if not get(kubectl, "wn", "net-2"):
            break
    assert get(kubectl, "secret", "net-2-keys") == {}
    assert get(kubectl, "se", "net-1") == {}
    assert operator.reconciler._carried[operator.key].error is None


async def test_rights_in_all_namespaces_are_enough(namespace: str, granted: Any) -> None:
    kube = await granted()
    assert await permissions.missing(kube, namespaces=[None], own_namespace=namespace) == []


async def test_a_verb_that_is_missing_is_named_at_the_start(namespace: str, granted: Any) -> None:
    kube = await granted(f"watchNamespaces={{{namespace}}}", without=("patch", "statefulsets"))
    lacking = await permissions.missing(kube, namespaces=[namespace], own_namespace=namespace)
    assert lacking == [f"patch statefulsets.apps in namespace {namespace}"]
    settings = config.read(["run", "--namespaces", namespace], {"POD_NAMESPACE": namespace})
    obstacle = await main.Operator(settings)._obstacle(kube, [namespace])
    assert obstacle is not None
    assert obstacle.startswith(f"the service account may not patch statefulsets.apps in namespace {namespace}. ")
    assert "RBAC" in obstacle
