"""The machines below the cluster: which pods are where, and what Docker can do to a machine of a kind cluster."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.conftest import NODE_LABEL
from tests.e2e.support import Kubectl, run, until


def kind_only(machine: str) -> None:
    """Leaves a test out where machines are no containers of this Docker; CI has made such a cluster and must not go without."""
    if shutil.which("docker") and run("docker", "inspect", machine, check=False).returncode == 0:
        return
    reason = f"{machine} is no container here: this test needs a kind cluster of this machine's Docker"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def machine_of(pod: dict[str, Any]) -> str:
    return str(pod["spec"]["nodeName"])


def storage_nodes_by_machine(kubectl: Kubectl) -> dict[str, list[str]]:
    """Names of the storage nodes whose pods run on each machine."""
    found: dict[str, list[str]] = {}
    for pod in kubectl.items("pods", "-l", NODE_LABEL):
        found.setdefault(machine_of(pod), []).append(pod["metadata"]["name"].removesuffix("-0"))
    return found


def weights(kubectl: Kubectl) -> dict[str, int]:
    return {node["metadata"]["name"]: node["status"].get("weight", 0) for node in kubectl.items("wn")}


@contextlib.contextmanager
def cordoned(machine: str) -> Iterator[None]:
    run("kubectl", "cordon", machine)
    try:
        yield
    finally:
        run("kubectl", "uncordon", machine)


@contextlib.contextmanager
def stopped_machine(machine: str) -> Iterator[None]:
    """A worker that is off, and that the cluster has noticed to be."""
    run("docker", "stop", "-t", "5", machine)
    try:
        until(f"{machine} called NotReady", lambda: not ready(machine), seconds=120)
        yield
    finally:
        run("docker", "start", machine)
        until(f"{machine} Ready", lambda: ready(machine), seconds=120)


def ready(machine: str) -> bool:
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return run("kubectl", "get", "node", machine, "--output", path).stdout == "True"


def process_of(pod: str, machine: str) -> str:
    """Process id, as the machine counts, of a pod's first process."""
    files = run(
        *("docker", "exec", machine, "sh", "-c"),
        f"grep -lz '^POD_NAME={pod}$' /proc/[0-9]*/environ 2>/dev/null || true",
    ).stdout.split()
    numbers = sorted(int(file.split("/")[2]) for file in files)
    assert numbers, f"no process of {pod} on {machine}"
    return str(numbers[0])


def signal(machine: str, process: str, name: str) -> None:
    run("docker", "exec", machine, "kill", f"-{name}", process)
