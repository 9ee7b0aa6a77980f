"""What the end-to-end tests share: kubectl and helm, port-forwards, polling with a deadline, the background reader.

Everything here needs nothing but a KUBECONFIG (default: the project's `.kube/config`), so that any cluster serves.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import requests

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def environment() -> dict[str, str]:
    """The environment for kubectl, helm and walrusctl: the project's own tools first."""
    result = dict(os.environ)
    result.setdefault("KUBECONFIG", str(ROOT / ".kube" / "config"))
    result["PATH"] = f"{ROOT / '.tools' / 'bin'}:{ROOT / '.venv' / 'bin'}:{result['PATH']}"
    result["NO_COLOR"] = "1"
    return result


def run(
    *command: str, check: bool = True, text: str | None = None, timeout: float = 180
) -> subprocess.CompletedProcess[str]:
    """Runs a command; a failure shows everything that it printed."""
    done = subprocess.run(
        command, env=environment(), input=text, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def until(what: str, probe: Callable[[], T | None], *, seconds: float, every: float = 0.5) -> T:
    """Polls until the probe returns something true; the deadline's message names the last value seen."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what} (last seen: {value!r})")
        time.sleep(every)


class Kubectl:
    """kubectl bound to one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def __call__(self, *arguments: str, check: bool = True, text: str | None = None, timeout: float = 180) -> str:
        return self.result(*arguments, check=check, text=text, timeout=timeout).stdout

    def result(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return run("kubectl", "--namespace", self.namespace, *arguments, **options)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        text = self("get", kind, name, "--ignore-not-found", "--output", "json")
        return json.loads(text) if text.strip() else {}

    def items(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        return list(json.loads(self("get", kind, *arguments, "--output", "json"))["items"])

    def apply(self, manifest: dict[str, Any], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.result("apply", "--filename", "-", text=json.dumps(manifest), check=check)

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        self("patch", kind, name, "--type", "merge", "--patch", json.dumps(change))

    def condition(self, kind: str, name: str, condition: str) -> dict[str, Any]:
        entries = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((entry for entry in entries if entry["type"] == condition), {})

    def wait(self, kind: str, name: str, condition: str, status: str, *, seconds: float) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            entry = self.condition(kind, name, condition)
            return entry if entry.get("status") == status else None

        return until(f"{kind}/{name} {condition}={status}", probe, seconds=seconds)


@contextlib.contextmanager
def port_forward(namespace: str, target: str, port: int) -> Iterator[int]:
    """`kubectl port-forward` as a child process; yields the local port once kubectl says that it listens."""
    process = subprocess.Popen(
        ["kubectl", "--namespace", namespace, "port-forward", target, f":{port}"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    drain = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+) ->", line)
        if found is None:
            process.kill()
            raise AssertionError(f"port-forward to {target}: {line}{process.stdout.read()}")
        drain.start()
        yield int(found.group(1))
    finally:
        process.kill()
        process.wait(timeout=10)
        if drain.is_alive():
            drain.join(timeout=10)
        process.stdout.close()


class Gateway:
    """The gateway's HTTP face through a port-forward that is renewed when it breaks with its pod."""

    def __init__(self, namespace: str, service: str) -> None:
        self._namespace, self._service = namespace, service
        self._stack = contextlib.ExitStack()
        self._lock = threading.Lock()
        self._url = ""

    def url(self) -> str:
        with self._lock:
            if not self._url:
                port = self._stack.enter_context(port_forward(self._namespace, f"svc/{self._service}", 31415))
                self._url = f"http://127.0.0.1:{port}"
            return self._url

    def close(self) -> None:
        with self._lock:
            self._stack.close()
            self._url = ""

    def store(self, data: bytes, **query: str) -> requests.Response:
        return requests.put(f"{self.url()}/v1/blobs", params=query, data=data, timeout=120)

    def read(self, blob_id: str, **query: str) -> requests.Response:
        return requests.get(f"{self.url()}/v1/blobs/{blob_id}", params=query, timeout=120)

    def status(self) -> requests.Response:
        return requests.get(f"{self.url()}/status", timeout=30)


class BackgroundReader:
    """Reads known blobs all the time; whatever fails while it is not paused fails the test that looks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._blobs: dict[str, bytes] = {}
        self._stop, self._paused = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self.reads = 0
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def watch(self, blob_id: str, data: bytes) -> None:
        self._blobs[blob_id] = data

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """For the tests that break more than the network promises to bear."""
        self._paused.set()
        assert self._idle.wait(130)
        try:
            yield
        finally:
            self._paused.clear()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=130)

    def _loop(self) -> None:
        while not self._stop.wait(0.2):
            if self._paused.is_set():
                self._idle.set()
                continue
            self._idle.clear()
            for blob_id, data in list(self._blobs.items()):
                if self._paused.is_set() or self._stop.is_set():
                    break
                self._read(blob_id, data)

    def _read(self, blob_id: str, data: bytes) -> None:
        try:
            answer = self._gateway.read(blob_id)
        except requests.RequestException as error:
            self.failures.append(f"{time.strftime('%T')} {blob_id}: {error}")
            return
        self.reads += 1
        if answer.status_code != 200 or answer.content != data:
            self.failures.append(f"{time.strftime('%T')} {blob_id}: {answer.status_code} {answer.text[:300]}")
