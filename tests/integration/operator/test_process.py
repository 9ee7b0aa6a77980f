"""The operator as a process: it leads, reconciles, gives the Lease back on SIGTERM, and is replaced when it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.integration.operator.conftest import environment

T = TypeVar("T")
Kubectl = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.usefixtures("alone")

NETWORK = {
    "apiVersion": "walrus-operator.dev/v1alpha1",
    "kind": "WalrusNetwork",
    "metadata": {"name": "net"},
    "spec": {
        "shards": 10,
        "chain": {"devnet": {"nodeSelector": {"walrus-test/nowhere": "true"}}},
        "nodes": {"count": 1, "template": {"nodeSelector": {"walrus-test/nowhere": "true"}}},
        "gateway": {"replicas": 0},
    },
}


def until(what: str, probe: Callable[[], T | None], *, seconds: float) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class Process:
    """`walrus-operator run` for one namespace."""

    def __init__(self, namespace: str, name: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = log
        with log.open("w") as output:
            self.child = subprocess.Popen(
                [
                    *(sys.executable, "-m", "walrus_operator.runtime.main", "run"),
                    *("--namespaces", namespace, "--listen", f"127.0.0.1:{self.port}", "--log-format", "text"),
                ],
                env={**environment(), "POD_NAME": name, "POD_NAMESPACE": namespace, "WALRUS_IMAGE": "none:0"},
                stderr=output,
                stdout=output,
            )

    def answer(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> bool:
        assert self.child.poll() is None, self.log.read_text()
        return self.answer("/readyz")[0] == 200


@pytest.fixture
def start(namespace: str, tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    started: list[Process] = []

    def begin(name: str) -> Process:
        started.append(Process(namespace, name, tmp_path / f"{name}.log"))
        return started[-1]

    yield begin
    for process in started:
        if process.child.poll() is None:
            process.child.kill()
        process.child.wait(timeout=20)


def holder(kubectl: Kubectl) -> str:
    text = kubectl("get", "lease", "walrus-operator", "--ignore-not-found", "-o", "json").stdout
    return str(json.loads(text)["spec"].get("holderIdentity", "")) if text.strip() else ""


def status(kubectl: Kubectl) -> dict[str, Any]:
    found = json.loads(kubectl("get", "wnet", "net", "-o", "json").stdout)
    return dict(found.get("status", {}))


@pytest.mark.timeout(240)
def test_the_life_of_two_operators(kubectl: Kubectl, start: Callable[[str], Process]) -> None:
    first = start("first")
    until("the first one ready", first.ready, seconds=60)
    until("the first one leads", lambda: holder(kubectl) == "first", seconds=30)
    kubectl("apply", "--filename", "-", text=json.dumps(NETWORK))
    until("a status", lambda: status(kubectl).get("conditions"), seconds=60)

    second = start("second")
    until("the second one stands by", second.ready, seconds=60)
    assert holder(kubectl) == "first"

    # A good end: the Lease is given back, and the standby need not wait for its time to run out.
    first.child.send_signal(signal.SIGTERM)
    assert first.child.wait(timeout=20) == 0, first.log.read_text()
    ended = time.monotonic()
    until("the second one leads", lambda: holder(kubectl) == "second", seconds=15)
    assert time.monotonic() - ended < 10
    kubectl("delete", "service", "net-0")
    until("the second one works", lambda: kubectl("get", "service", "net-0", check=False).returncode == 0, seconds=60)

    # A bad end: the Lease runs out, and nobody leads before.
    third = start("third")
    until("the third one stands by", third.ready, seconds=60)
    second.child.kill()
    killed = time.monotonic()
    until("the third one leads", lambda: holder(kubectl) == "third", seconds=40)
    assert time.monotonic() - killed >= 9, "it took over while the old one could still have been alive"
    until("its first passes", lambda: "walrus_operator_reconcile_duration" in third.answer("/metrics")[1], seconds=30)
    os.kill(third.child.pid, signal.SIGTERM)
    assert third.child.wait(timeout=20) == 0
    assert "Traceback" not in third.log.read_text()
