"""What tests do with the network: store blobs, let nodes sleep, ask nodes and chain what they know."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests
from tests.e2e.conftest import EPOCHS, NAMESPACE, NETWORK
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, port_forward, until

from walrus_sui.client import ChainClient


def store(gateway: Gateway, data: bytes) -> str:
    answer = gateway.store(data, epochs=EPOCHS)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["newlyCreated"]["blobObject"]["blobId"])


def ordinal(number: int) -> str:
    return f"{NETWORK}-{number}"


@contextlib.contextmanager
def without_budget(kubectl: Kubectl) -> Iterator[None]:
    """Nodes may be switched off beyond what the network bears."""
    gates_off = "walrus-operator.dev/gates-off"
    kubectl.patch("wnet", NETWORK, {"metadata": {"annotations": {gates_off: "FaultBudgetExceeded"}}})
    try:
        yield
    finally:
        kubectl.patch("wnet", NETWORK, {"metadata": {"annotations": {gates_off: None}}})


@contextlib.contextmanager
def hibernated(kubectl: Kubectl, names: list[str]) -> Iterator[None]:
    for name in names:
        kubectl.patch("wn", name, {"spec": {"desiredState": "Hibernated"}})
    try:
        for name in names:
            until(f"pod of {name} gone", lambda name=name: not kubectl.get("pod", f"{name}-0"), seconds=120)
        yield
    finally:
        for name in names:
            kubectl.patch("wn", name, {"spec": {"desiredState": "Active"}})
        for name in names:
            kubectl.wait("wn", name, "Ready", "True", seconds=300)


def own_words(name: str) -> dict[str, Any]:
    """What the node's pod says about itself: what the operator remembers of the pod before is no proof."""
    with port_forward(NAMESPACE, f"pod/{name}-0", 9184) as port:
        return dict(requests.get(f"http://127.0.0.1:{port}/v1/info", timeout=30).json())


def slivers_rebuilt(name: str) -> float:
    """How many slivers the node's pod has rebuilt from other nodes since it started."""
    with port_forward(NAMESPACE, f"pod/{name}-0", 9184) as port:
        page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    values = [line.rsplit(" ", 1)[1] for line in page.splitlines() if line.startswith("walrus_node_recovery_slivers")]
    assert values, page
    return sum(map(float, values))


class BackgroundWriter:
    """Stores small blobs one after the other and lets the reader watch them; whatever fails is kept for the test."""

    def __init__(self, gateway: Gateway, reader: BackgroundReader) -> None:
        self._gateway, self._reader = gateway, reader
        self._stop = threading.Event()
        self.stored: dict[str, bytes] = {}
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=130)

    def _loop(self) -> None:
        while not self._stop.wait(2.0):
            data = os.urandom(20_000)
            try:
                blob_id = store(self._gateway, data)
            except (requests.RequestException, AssertionError) as error:
                self.failures.append(f"{time.strftime('%T')} {error}")
                continue
            self.stored[blob_id] = data
            if len(self.stored) % 5 == 0:
                self._reader.watch(blob_id, data)


async def shards_on_chain(chain: ChainClient, kubectl: Kubectl) -> dict[str, set[int]]:
    """Shards of each WalrusNode by the chain; every member must be one of ours."""
    names = {node["status"]["nodeId"]: node["metadata"]["name"] for node in kubectl.items("wn")}
    committee = (await chain.staking()).committee
    return {names[member.node_id]: {int(shard) for shard in member.shards} for member in committee.members}


def active_shards(name: str) -> set[int]:
    """Shards that the node itself calls Active."""
    return {entry["shard"] for entry in own_words(name)["shards"] if entry["status"] == "Active"}


async def everybody_holds_what_the_chain_says(chain: ChainClient, kubectl: Kubectl) -> dict[str, set[int]]:
    """Waits until each member holds exactly its shards, all whole; returns them by node."""
    for name in await shards_on_chain(chain, kubectl):
        kubectl.wait("wn", name, "Synced", "True", seconds=600)
    wanted = await shards_on_chain(chain, kubectl)
    for name, shards in wanted.items():
        until(f"the shards of {name}", lambda name=name, shards=shards: active_shards(name) == shards, seconds=60)
    assert sorted(shard for shards in wanted.values() for shard in shards) == list(range(100))
    return wanted


def next_epoch(kubectl: Kubectl) -> int:
    """Waits for the first moments of an epoch, whose first half is the time for stake to move with the next one."""
    before = kubectl.get("wnet", NETWORK)["status"]["epoch"]

    def begun() -> int | None:
        status = kubectl.get("wnet", NETWORK)["status"]
        return status["epoch"] if status["epoch"] > before and status["epochState"] == "Done" else None

    return until("the next epoch", begun, seconds=240)
