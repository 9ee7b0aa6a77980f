"""A real API server (any cluster in KUBECONFIG), the current CRDs, and a namespace of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from walrus_operator.api import generate
from walrus_operator.api.schema import ALL
from walrus_operator.observe.kube import KubeClient

ROOT = Path(__file__).parents[3]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]

TRACE = "walrus-operator.dev/made-by=integration-tests"
"""Label of what these tests make in the whole cluster, so that the next run finds what a killed one left."""


def environment() -> dict[str, str]:
    result = dict(os.environ)
    result.setdefault("KUBECONFIG", str(ROOT / ".kube" / "config"))
    result["PATH"] = f"{ROOT / '.tools' / 'bin'}:{result['PATH']}"
    return result


def run_kubectl(*arguments: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["kubectl", *arguments], env=environment(), input=text, capture_output=True, text=True, timeout=120, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done


def let_nodes_go(namespace: str) -> None:
    """Takes the finalizers of nodes that drain: no operator is left that would, and the namespace would stay for ever."""
    for node in run_kubectl("--namespace", namespace, "get", "wn", "-o", "name", check=False).stdout.split():
        clear = '{"metadata":{"finalizers":null}}'
        run_kubectl("--namespace", namespace, "patch", node, "--type=merge", "-p", clear, check=False)


def leave_out(reason: str) -> NoReturn:
    """Skips where somebody sees it; CI has made a cluster of its own for these tests and must not go without them."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Skips without a cluster (in CI: fails); installs the CRDs as they are generated now, and removes those that were not there.

    Helm would refuse to install its chart over definitions that it does not own. What an earlier run left, because it
    was killed, is removed first.
    """
    kubeconfig = environment()["KUBECONFIG"]
    os.environ["KUBECONFIG"] = kubeconfig
    if not Path(kubeconfig.split(os.pathsep)[0]).exists():
        leave_out(f"no cluster: {kubeconfig} does not exist; run `make cluster-up`")
    if run_kubectl("version", "--request-timeout=10s", check=False).returncode:
        leave_out(f"the cluster of {kubeconfig} does not answer; run `make cluster-up`")
    for left in run_kubectl("get", "namespaces", "--selector", TRACE, "-o", "name").stdout.split():
        let_nodes_go(left.removeprefix("namespace/"))
    run_kubectl("delete", "namespaces,customresourcedefinitions", "--selector", TRACE, "--timeout=110s")
    crds = [crd.name for crd in ALL]
    were_there = run_kubectl("get", "crd", *crds, "--ignore-not-found", "-o", "name").stdout.strip()
    run_kubectl(
        *("apply", "--server-side", "--force-conflicts", "--filename", "-"),
        text=generate.bare_crds(),
    )
    if not were_there:
        run_kubectl("label", "crd", *crds, TRACE, "--overwrite")
    run_kubectl("wait", "--for=condition=Established", "crd", *crds, "--timeout=60s")
    deadline = time.monotonic() + 60
    # Established comes a moment before the storage: lists are refused in between.
    while run_kubectl("get", ",".join(crds), "-A", check=False).returncode:
        assert time.monotonic() < deadline, "the custom resources cannot be listed"
        time.sleep(0.2)
    yield
    if not were_there:
        run_kubectl("delete", "crd", *crds, "--timeout=100s")


@pytest.fixture(scope="session")
def alone(cluster: None) -> None:
    """No other operator may work on the networks of these tests."""
    found = run_kubectl("get", "deployments", "-A", "-l", "app.kubernetes.io/name=walrus-operator", "-o", "json").stdout
    if any(item["spec"].get("replicas") for item in json.loads(found)["items"]):
        leave_out("an operator runs in this cluster and would work on the same networks; run this without one")


@pytest.fixture
def namespace(cluster: None) -> Iterator[str]:
    name = f"operator-test-{uuid.uuid4().hex[:8]}"
    run_kubectl("create", "namespace", name)
    run_kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted", TRACE)
    yield name
    let_nodes_go(name)
    run_kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(namespace: str) -> Kubectl:
    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run_kubectl("--namespace", namespace, *arguments, **options)

    return call


@pytest.fixture
async def kube(cluster: None) -> AsyncIterator[KubeClient]:
    async with await KubeClient.connect() as client:
        yield client
