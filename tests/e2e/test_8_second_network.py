"""A network with the official encoding beside the first one: a node is fenced, all volumes grow, all of it sleeps
and in the end goes without its data."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.e2e.conftest import install
from tests.e2e.network import store
from tests.e2e.support import ROOT, BackgroundReader, Gateway, Kubectl, run, until

NAMESPACE = "walrus-e2e-rs2"
NETWORK = "rs2"
SHARDS = 10
NODES = [f"{NETWORK}-{number}" for number in range(4)]
VECTORS = json.loads((ROOT / "tests" / "unit" / "codec" / "data" / "rs2-blob-ids.json").read_text())["vectors"]


def content(length: int) -> bytes:
    """What the vectors' blob ids were computed of, by the official WebAssembly encoder."""
    return bytes((i * 31 + 7 * (i >> 8)) & 255 for i in range(length))


@dataclass(frozen=True)
class Network:
    """The second network: kubectl in its namespace, its gateway, and a reader of its own."""

    kubectl: Kubectl
    gateway: Gateway
    reader: BackgroundReader

    def claims(self) -> dict[str, tuple[str, str]]:
        """Identity and size asked for of each node's volume."""
        found = {name: self.kubectl.get("pvc", f"data-{name}-0") for name in NODES}
        return {
            name: (claim["metadata"]["uid"], claim["spec"]["resources"]["requests"]["storage"])
            for name, claim in found.items()
            if claim
        }

    def pods(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.kubectl.items("pods") if pod["status"]["phase"] != "Succeeded"}


@pytest.fixture(scope="module")
def second(kubectl: Kubectl) -> Iterator[Network]:
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=240s", timeout=300)
    run("kubectl", "create", "namespace", NAMESPACE)
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    values = {"encoding": "rs2", "shards": SHARDS, "nodes.count": 4, "nodes.template.deletionPolicy": "Drain"}
    install(
        *(NETWORK, "walrus-testnet", NAMESPACE, "--set"),
        ",".join(f"network.{key}={value}" for key, value in values.items()),
    )
    here = Kubectl(NAMESPACE)
    here.wait("wnet", NETWORK, "Ready", "True", seconds=400)
    with contextlib.closing(Gateway(NAMESPACE, f"{NETWORK}-gateway")) as face:
        reader = BackgroundReader(face)
        try:
            yield Network(here, face, reader)
        finally:
            reader.stop()
    # Nodes to be drained do not hold a namespace that goes.
    run("kubectl", "delete", "namespace", NAMESPACE, "--timeout=240s", timeout=300)


@pytest.fixture(autouse=True)
def its_reads_never_fail(second: Network) -> Iterator[None]:
    yield
    failures, second.reader.failures = second.reader.failures, []
    assert failures == []


def test_blob_ids_are_the_official_ones(second: Network, reader: BackgroundReader) -> None:
    known = [vector for vector in VECTORS if vector["n_shards"] == SHARDS]
    assert known
    for vector in known:
        data = content(vector["length"])
        answer = second.gateway.store(data, epochs="50")
        assert answer.status_code == 200, answer.text
        assert answer.json()["newlyCreated"]["blobObject"]["blobId"] == vector["blob_id"]
        assert second.gateway.read(vector["blob_id"]).content == data
        second.reader.watch(vector["blob_id"], data)


def test_a_node_is_fenced_and_a_second_one_only_when_the_network_bears_it(second: Network) -> None:
    kubectl, (one, other) = second.kubectl, NODES[2:]
    claim = second.claims()[one]
    kubectl.patch("wn", one, {"spec": {"desiredState": "Fenced"}})
    kubectl.wait("wn", one, "Fenced", "True", seconds=120)
    until("its pod gone", lambda: f"{one}-0" not in second.pods(), seconds=120)
    kubectl.patch("wn", other, {"spec": {"desiredState": "Fenced"}})

    def refused() -> dict[str, str] | None:
        found = kubectl.condition("wn", other, "Fenced")
        return found if found["reason"] == "FaultBudgetExceeded" else None

    said = until("the second one waits", refused, seconds=60)
    assert said["status"] == "False"
    assert "of 3 are unavailable already" in said["message"]
    assert f"{other}-0" in second.pods()
    data = os.urandom(100_000)
    second.reader.watch(store(second.gateway, data), data)
    second.reader.read_all()
    for name in (other, one):
        kubectl.patch("wn", name, {"spec": {"desiredState": "Active"}})
    kubectl.wait("wn", one, "Ready", "True", seconds=180)
    assert second.claims()[one] == claim
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)


def test_a_stateful_set_that_somebody_deletes_finds_its_volume_again(second: Network) -> None:
    kubectl, name, before = second.kubectl, NODES[1], second.claims()
    for claim in kubectl.items("pvc"):
        owners = claim["metadata"].get("ownerReferences", [])
        assert [(owner["kind"], owner["name"]) for owner in owners] == [("WalrusNetwork", NETWORK)]
    pod = kubectl.get("pod", f"{name}-0")["metadata"]["uid"]
    kubectl("delete", "statefulset", name, "--timeout=60s")

    def another() -> bool:
        now = kubectl.get("pod", f"{name}-0")
        return bool(now) and now["metadata"]["uid"] != pod

    until("another pod", another, seconds=120)
    kubectl("wait", "--for=condition=Ready", f"pod/{name}-0", "--timeout=120s")
    assert second.claims() == before
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)
    second.reader.read_all()


def test_all_volumes_grow_by_replacement_one_after_the_other(second: Network) -> None:
    """The cluster's storage class enlarges nothing, so each node recovers what it held from the others."""
    kubectl, before = second.kubectl, second.claims()
    assert {size for _, size in before.values()} == {"10Gi"}
    kubectl.patch("wnet", NETWORK, {"spec": {"nodes": {"template": {"storage": {"size": "11Gi"}}}}})

    def grown() -> bool:
        ready = {
            node["metadata"]["name"]
            for node in kubectl.items("wn")
            if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in node["status"]["conditions"])
        }
        assert len(ready) >= len(NODES) - 1, f"more than one is away, {ready} are there"
        now = second.claims()
        return set(now) == set(NODES) and all(size == "11Gi" for _, size in now.values())

    until("four larger volumes", grown, seconds=900)
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=240)
    kubectl.wait("wnet", NETWORK, "Progressing", "False", seconds=240)
    assert not {uid for uid, _ in second.claims().values()} & {uid for uid, _ in before.values()}
    for name in NODES:
        kubectl.wait("wn", name, "Synced", "True", seconds=240)
    second.reader.read_all()


def test_the_network_sleeps_with_its_data_and_wakes_with_it(second: Network) -> None:
    kubectl, before = second.kubectl, second.claims()
    ids = {node["metadata"]["name"]: node["status"]["nodeId"] for node in kubectl.items("wn")}
    with second.reader.paused():
        kubectl.patch("wnet", NETWORK, {"spec": {"hibernated": True}})
        until("no pod", lambda: not second.pods(), seconds=240)
        asleep = kubectl.wait("wnet", NETWORK, "Ready", "False", seconds=60)
        until("it says so", lambda: kubectl.condition("wnet", NETWORK, "Ready")["reason"] == "Hibernated", seconds=60)
        assert kubectl.condition("wnet", NETWORK, "Degraded")["status"] == "False", asleep
        assert second.claims() == before
        kubectl.patch("wnet", NETWORK, {"spec": {"hibernated": False}})
        kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=300)
    assert {node["metadata"]["name"]: node["status"]["nodeId"] for node in kubectl.items("wn")} == ids
    assert second.claims() == before
    second.reader.read_all()
    data = os.urandom(100_000)
    assert second.gateway.read(store(second.gateway, data)).content == data


def test_what_a_deleted_network_leaves_behind_is_what_its_policy_says(second: Network) -> None:
    kubectl = second.kubectl
    kubectl.patch("wnet", NETWORK, {"spec": {"persistentVolumeClaimPolicy": "Retain"}})
    owned = ("pvc", "secret")

    def owners() -> list[str]:
        found = [item for kind in owned for item in kubectl.items(kind)]
        return [item["metadata"]["name"] for item in found if item["metadata"].get("ownerReferences")]

    until("only the token goes with the network", lambda: owners() == [f"{NETWORK}-admin"], seconds=60)
    kept = {item["metadata"]["name"] for kind in owned for item in kubectl.items(kind)} - {f"{NETWORK}-admin"}
    assert {f"data-{NODES[0]}-0", f"data-{NETWORK}-devnet-0", f"{NODES[0]}-keys", f"{NETWORK}-treasury"} <= kept
    second.reader.stop()
    kubectl("delete", "wnet", NETWORK, "--timeout=120s")
    for kind in ("wn", "statefulset", "pod"):
        until(f"no {kind}", lambda kind=kind: not kubectl.items(kind), seconds=180)
    assert {item["metadata"]["name"] for kind in owned for item in kubectl.items(kind)} == kept
