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

    def result(self, *arguments: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        command = ("kubectl", "--namespace", self.namespace, *arguments)
        done = run(*command, check=False, **options)
        if done.returncode and "Unable to connect to the server" in done.stderr:
            # An API server that is too busy for a handshake did nothing and is not what these tests are about.
            done = run(*command, check=False, **options)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

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


class PortForward:
    """`kubectl port-forward` as a child process; made once kubectl says on which local port it listens."""

    def __init__(self, namespace: str, target: str, port: int) -> None:
        self._process = subprocess.Popen(
            ["kubectl", "--namespace", namespace, "port-forward", target, f":{port}"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        line = self._output.readline()
        found = re.search(r"127\.0\.0\.1:(\d+) ->", line)
        if found is None:
            self._process.kill()
            words = f"port-forward to {target}: {line}{self._output.read()}"
            self._process.wait(timeout=10)
            self._output.close()
            raise AssertionError(words)
        self.port = int(found.group(1))
        # What kubectl says later must not fill the pipe and stop it.
        self._drain = threading.Thread(target=self._output.read, daemon=True)
        self._drain.start()

    def ended(self, *, within: float = 0.0) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=within)
        return self._process.poll() is not None

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)
        self._drain.join(timeout=10)
        self._output.close()


@contextlib.contextmanager
def port_forward(namespace: str, target: str, port: int) -> Iterator[int]:
    """The local port of a `kubectl port-forward` that lives as long as the block."""
    with contextlib.closing(PortForward(namespace, target, port)) as forward:
        yield forward.port


class Gateway:
    """The gateway's HTTP face through a port-forward, which is renewed when kubectl has ended it."""

    def __init__(self, namespace: str, service: str) -> None:
        self._namespace, self._service = namespace, service
        self._lock = threading.Lock()
        self._forward: PortForward | None = None

    def url(self) -> str:
        with self._lock:
            if self._forward is not None and self._forward.ended():
                self._forward.close()
                self._forward = None
            if self._forward is None:
                self._forward = PortForward(self._namespace, f"svc/{self._service}", 31415)
            return f"http://127.0.0.1:{self._forward.port}"

    def close(self) -> None:
        with self._lock:
            if self._forward is not None:
                self._forward.close()
                self._forward = None

    def store(self, data: bytes, **query: str) -> requests.Response:
        return self._call("PUT", "/v1/blobs", params=query, data=data, timeout=120)

    def read(self, blob_id: str, **query: str) -> requests.Response:
        return self._call("GET", f"/v1/blobs/{blob_id}", params=query, timeout=120)

    def blob_status(self, blob_id: str) -> requests.Response:
        return self._call("GET", f"/v1/blobs/{blob_id}/status", timeout=60)

    def status(self) -> requests.Response:
        return self._call("GET", "/status", timeout=30)

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request. When the port-forward ended under it, which says nothing about the network, it is sent again."""
        url, forward = self.url(), self._forward
        try:
            return requests.request(method, url + path, **options)
        except requests.ConnectionError:
            if forward is None or not forward.ended(within=2):
                raise
            return requests.request(method, self.url() + path, **options)


class BackgroundReader:
    """Reads known blobs all the time; whatever fails while it is not paused fails the test that looks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._blobs: dict[str, bytes] = {}
        self._stop, self._paused = threading.Event(), threading.Event()
        self._idle = threading.Event()
        self.reads = 0
        self.rounds = 0
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def watch(self, blob_id: str, data: bytes) -> None:
        self._blobs[blob_id] = data

    def known(self) -> list[str]:
        """The ids of the blobs that it reads."""
        return list(self._blobs)

    def read_all(self) -> None:
        """Waits until every known blob was read once more; the round that runs now may have begun before."""
        assert self._blobs
        wanted = self.rounds + 2
        until("every known blob read again", lambda: self.rounds >= wanted, seconds=300)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """For the tests that break more than the network promises to bear."""
        self._idle.clear()
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
            else:
                self.rounds += 1

    def _read(self, blob_id: str, data: bytes) -> None:
        try:
            answer = self._gateway.read(blob_id)
        except (requests.RequestException, AssertionError) as error:  # nothing may end the thread unnoticed
            self.failures.append(f"{time.strftime('%T')} {blob_id}: {error}")
            return
        self.reads += 1
        if answer.status_code != 200 or answer.content != data:
            self.failures.append(f"{time.strftime('%T')} {blob_id}: {answer.status_code} {answer.text[:300]}")
