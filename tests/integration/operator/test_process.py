"""The operator as a process: it leads, reconciles, gives the Lease back on SIGTERM, and is replaced when it freezes.

Its way to the API server can lead through a proxy that breaks connections: watches that die are begun again, and who
cannot renew the Lease ends before somebody else may lead.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from tests.integration.operator.conftest import environment, run_kubectl

from walrus_operator.runtime.main import EXIT_LOST_LEASE

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

    def __init__(self, namespace: str, name: str, log: Path, **more: str) -> None:
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
                env={**environment(), "POD_NAME": name, "POD_NAMESPACE": namespace, "WALRUS_IMAGE": "none:0", **more},
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
def start(namespace: str, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(name: str, **more: str) -> Process:
        started.append(Process(namespace, name, tmp_path / f"{name}.log", **more))
        return started[-1]

    yield begin
    for process in started:
        if process.child.poll() is None:
            process.child.kill()
        process.child.wait(timeout=20)


class Proxy:
    """Bytes to the API server and back, until it is told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> int:
        """Breaks all connections; how many there were. New ones are let through."""
        with self._lock:
            broken, self._open = self._open, []
        for wire in broken:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        return len(broken) // 2

    def close(self) -> None:
        """Breaks all connections and takes no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(timeout=10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(near,), daemon=True))
                self._threads[-1].start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._target) as far:
            with self._lock:
                self._open += [near, far]
            back = threading.Thread(target=self._pass_on, args=(far, near), daemon=True)
            back.start()
            self._pass_on(near, far)
            back.join()

    @staticmethod
    def _pass_on(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for wire in (one, other):
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxied(cluster: None, tmp_path: Path) -> Iterator[tuple[Proxy, str]]:
    """A proxy, and a kubeconfig whose way leads through it."""
    view = json.loads(run_kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
    target = view["clusters"][0]["cluster"]
    url = urlsplit(target["server"])
    proxy = Proxy(url.hostname or "", url.port or 443)
    target |= {"server": f"https://127.0.0.1:{proxy.port}", "insecure-skip-tls-verify": True}
    target.pop("certificate-authority-data", None)
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(view))
    yield proxy, str(file)
    proxy.close()


def holder(kubectl: Kubectl) -> str:
    text = kubectl("get", "lease", "walrus-operator", "--ignore-not-found", "-o", "json").stdout
    return str(json.loads(text)["spec"].get("holderIdentity", "")) if text.strip() else ""


def status(kubectl: Kubectl, name: str = "net") -> dict[str, Any]:
    found = json.loads(kubectl("get", "wnet", name, "-o", "json").stdout)
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
    second.child.send_signal(signal.SIGSTOP)  # frozen: to others as good as killed, until it wakes up
    frozen = time.monotonic()
    until("the third one leads", lambda: holder(kubectl) == "third", seconds=40)
    assert time.monotonic() - frozen >= 9, "it took over while the old one could still have been alive"
    second.child.send_signal(signal.SIGCONT)
    assert second.child.wait(timeout=40) == EXIT_LOST_LEASE, second.log.read_text()
    assert holder(kubectl) == "third"
    until("its first passes", lambda: "walrus_operator_reconcile_duration" in third.answer("/metrics")[1], seconds=30)
    os.kill(third.child.pid, signal.SIGTERM)
    assert third.child.wait(timeout=20) == 0
    assert "Traceback" not in third.log.read_text()


@pytest.mark.timeout(240)
def test_watches_that_die_begin_again_and_who_cannot_renew_the_lease_ends(
    kubectl: Kubectl, start: Callable[..., Process], proxied: tuple[Proxy, str]
) -> None:
    proxy, kubeconfig = proxied
    only = start("only", KUBECONFIG=kubeconfig)
    until("it leads", lambda: only.ready() and holder(kubectl) == "only", seconds=90)
    kubectl("apply", "--filename", "-", text=json.dumps(NETWORK))
    until("a status", lambda: status(kubectl).get("conditions"), seconds=60)

    # A network that nobody knows yet is found by a watch, or by the list every two minutes, which is too late here.
    assert proxy.cut() > 3
    kubectl("apply", "--filename", "-", text=json.dumps({**NETWORK, "metadata": {"name": "second"}}))
    until("a watch that lives", lambda: status(kubectl, "second").get("conditions"), seconds=60)
    assert only.answer("/livez") == (200, "ok")

    # Without a way to the API server it stops while the Lease is still its own, and says why.
    proxy.close()
    assert only.child.wait(timeout=90) == EXIT_LOST_LEASE, only.log.read_text()
    assert "the Lease is lost" in only.log.read_text()
    assert holder(kubectl) == "only"
