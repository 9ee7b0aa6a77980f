"""The network that some rows share: ten nodes, a chain and a gateway, each a process of its own on this machine.

It is started by the first row that asks for it and taken down at the end of the run (`harness.Shared`). Its data lie in
a folder of their own below the system's folder for temporary files; `TMPDIR` moves them to another disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import Shared, scratch_folder
from walrus_client.local import LocalNetwork, Parameters
from walrus_client.local.state import HOST, LocalState

PARAMETERS = Parameters(nodes=10, n_shards=100, encoding="isal", epoch_duration="60m", challenges="Off")
START_S = 240.0
PATIENCE_S = 120.0
KIB = 1 << 10
MIB = 1 << 20


@dataclass
class Network:
    """A running network, and the sizes of the blobs that were stored on it."""

    local: LocalNetwork
    state: LocalState
    stored: list[int] = field(default_factory=list)

    @property
    def node_pids(self) -> list[int]:
        """Processes of the nodes."""
        return [self.state.processes[name].pid for name in self.state.parameters.node_names]

    def info(self, index: int) -> dict[str, Any]:
        """What a node tells about itself; empty while it does not answer."""
        url = f"http://{HOST}:{self.state.ports.nodes[index].http}/v1/info"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except OSError:
            return {}

    def wipe(self, index: int) -> None:
        """Kills a node and takes its disk away."""
        name = self.state.parameters.node_names[index]
        os.kill(self.state.processes[name].pid, signal.SIGKILL)
        until(lambda: not self.local.alive(self.state)[name])
        shutil.rmtree(self.local.layout.node(name) / "data")

    def restart(self) -> None:
        """Starts what does not run; returns when the network is ready again."""
        self.state = asyncio.run(self.local.bring_up(self.state.parameters))


class Gateway:
    """One kept-alive connection to the gateway, with as little work on our side as can be."""

    def __init__(self, network: Network) -> None:
        self._stored = network.stored
        self._socket = socket.create_connection((HOST, network.state.ports.api), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def store(self, blob: bytes, *, epochs: int = 1) -> str:
        """Stores a new blob for so many epochs; returns its id."""
        head = f"PUT /v1/blobs?epochs={epochs} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(blob)}\r\n\r\n"
        self._socket.sendall(head.encode())
        self._socket.sendall(blob)
        self._stored.append(len(blob))
        created: dict[str, Any] = json.loads(bytes(self._answer()))["newlyCreated"]
        return str(created["blobObject"]["blobId"])

    def read(self, blob_id: str) -> bytearray:
        """Reads a blob."""
        self._socket.sendall(f"GET /v1/blobs/{blob_id} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
        return self._answer()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _answer(self) -> bytearray:
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._some()
        head, _, start = head.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = bytearray(int(headers["content-length"]))
        body[: len(start)] = start
        view, filled = memoryview(body), len(start)
        while filled < len(body):
            if not (count := self._socket.recv_into(view[filled:])):
                raise AssertionError("the gateway broke off")
            filled += count
        if " 200 " not in status + " ":
            raise AssertionError(f"the gateway answers {status}: {bytes(body[:300])!r}")
        return body

    def _some(self) -> bytes:
        if not (part := self._socket.recv(1 << 16)):
            raise AssertionError("the gateway broke off")
        return part


@contextmanager
def running(parameters: Parameters) -> Iterator[Network]:
    """A network of one's own."""
    with scratch_folder() as folder:
        local = LocalNetwork(folder / "network", timeout_s=START_S)
        try:
            yield Network(local, asyncio.run(local.bring_up(parameters)))
        finally:
            local.take_down()


NETWORK: Shared[Network] = Shared(lambda: running(PARAMETERS))
"""The one that most rows share."""


def until(condition: Any, *, patience_s: float = PATIENCE_S, pause_s: float = 0.05) -> None:
    """Waits until the condition is true."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"the network did not do its part in {patience_s:.0f} s")
        time.sleep(pause_s)


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory of a process, now or the most since `forget_peak`."""
    wanted = "VmHWM" if peak else "VmRSS"
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(wanted)) / 1024


def forget_peak(pid: int) -> None:
    """Lets the most memory of a process begin with what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
