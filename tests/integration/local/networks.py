"""Real local networks for tests: `walrusctl local up` and `down` as subprocesses, everything else through public doors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

UP_TIMEOUT_S = 150.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    code: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json()["error"]["details"][0]["reason"])


@dataclass
class Network:
    """A network that was brought up in `folder`."""

    folder: Path
    options: tuple[str, ...]
    gateway: str = ""
    timeout_s: float = UP_TIMEOUT_S

    def cli(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "walrus_client.cli", *arguments]
        environment = {**os.environ, "WALRUS_GATEWAY": self.gateway} if self.gateway else os.environ.copy()
        return subprocess.run(command, capture_output=True, timeout=timeout_s, check=False, env=environment)

    def up(self) -> dict[str, Any]:
        arguments = ["local", "up", "--dir", str(self.folder), "--detach", "-o", "json", *self.options]
        done = self.cli(*arguments, "--timeout", str(self.timeout_s - 20), timeout_s=self.timeout_s)
        assert done.returncode == 0, done.stderr.decode()
        summary: dict[str, Any] = json.loads(done.stdout)
        self.gateway = summary["gateway"]
        return summary

    def down(self, *, purge: bool = False) -> None:
        done = self.cli("local", "down", "--dir", str(self.folder), *(["--purge"] if purge else []))
        assert done.returncode == 0, done.stderr.decode()

    def pid(self, name: str) -> int:
        state = json.loads((self.folder / "local.json").read_text(encoding="utf-8"))
        return int(state["processes"][name]["pid"])

    def kill(self, *names: str) -> None:
        for name in names:
            os.kill(self.pid(name), signal.SIGKILL)

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """The gateway or a node, started as `local up` starts it but without the rest of the network."""
        program, folder = (
            ("gateway", self.folder / "gateway") if name == "gateway" else ("node", self.folder / "nodes" / name)
        )
        script = str(Path(sys.executable).with_name(f"walrus-{program}"))
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            command = [script, "run", "--config", str(folder / f"{program}.yaml")]
            process = subprocess.Popen(command, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(60) == 0

    def answers(self, method: str, path: str) -> int:
        """HTTP status of the answer; 0 when nobody answers."""
        try:
            return self.request(method, path).code
        except OSError:
            return 0

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 90,
    ) -> Answer:
        request = urllib.request.Request(self.gateway + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers), error.read())

    def store(self, data: bytes, query: str = "") -> dict[str, Any]:
        answer = self.request("PUT", f"/v1/blobs?{query}", data)
        assert answer.code == 200, answer.body
        created: dict[str, Any] = answer.json()["newlyCreated"]
        return created

    def read(self, blob_id: str) -> bytes:
        answer = self.request("GET", f"/v1/blobs/{blob_id}")
        assert answer.code == 200, answer.body
        return answer.body

    def metrics_ports(self) -> list[int]:
        """Where devnet, gateway and the first node serve /metrics."""
        ports = json.loads((self.folder / "local.json").read_text(encoding="utf-8"))["ports"]
        return [int(ports["faucet"]), int(ports["metrics"]), int(ports["nodes"][0]["http"])]

    def nodes_ready(self) -> list[bool]:
        """Which nodes say that they are ready, at this moment."""
        ports = json.loads((self.folder / "local.json").read_text(encoding="utf-8"))["ports"]["nodes"]
        return [_is_ready(int(port["http"])) for port in ports]

    def metrics_port(self) -> int:
        state = json.loads((self.folder / "local.json").read_text(encoding="utf-8"))
        return int(state["ports"]["metrics"])

    def network_config(self) -> str:
        state = json.loads((self.folder / "local.json").read_text(encoding="utf-8"))
        return f"http://127.0.0.1:{state['ports']['faucet']}/v1/network-config"


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def running(folder: Path, *options: str, timeout_s: float = UP_TIMEOUT_S) -> Iterator[Network]:
    """A network for the block, up within `timeout_s`; its logs are printed when the block fails."""
    network = Network(folder, options, timeout_s=timeout_s)
    try:
        network.up()
        yield network
    except BaseException:
        for log in sorted((folder / "logs").glob("*.log")):
            print(f"--- {log.name}\n{log.read_text(encoding='utf-8')[-3000:]}")
        raise
    finally:
        network.down(purge=True)


def runs(pid: int) -> bool:
    """True while the process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition: Callable[[], object], *, timeout_s: float = 60) -> None:
    """Waits until the condition is true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.2)


def pattern(length: int) -> bytes:
    """The content of the official vectors."""
    return bytes((i * 31 + 7 * (i >> 8)) & 255 for i in range(length))
