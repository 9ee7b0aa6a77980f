"""Left alone, the network changes nothing but its epochs; all that was stored still reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable

from tests.e2e.conftest import EPOCHS, NAMESPACE, NETWORK, OPERATOR_NAMESPACE
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, run, until

WRITES = "walrus_operator_api_writes"
PASSES = "walrus_operator_reconcile_duration_seconds_count"


def test_a_second_pass_writes_nothing(
    kubectl: Kubectl, reader: BackgroundReader, operator_metrics: Callable[[str], float]
) -> None:
    """Touches the network between two steps of its epochs, whose mirrors are rightful writes, and counts."""
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)
    assert operator_metrics(WRITES) > 0  # the count is alive: the network was made

    def quiet_passes() -> bool:
        children, writes, passes = versions_of_children(kubectl), operator_metrics(WRITES), operator_metrics(PASSES)
        for more in (1, 2):
            kubectl("annotate", "wnet", NETWORK, f"e2e/touched={time.time()}", "--overwrite")
            until("another pass", lambda more=more: operator_metrics(PASSES) >= passes + more, seconds=120)
        added = operator_metrics(WRITES) - writes
        changed = sorted(set(versions_of_children(kubectl).items()) ^ set(children.items()))
        # Steps of an epoch change no child: whatever changes one is wrong at any time.
        assert changed == []
        return added == 0

    until("two passes without a write", quiet_passes, seconds=240)


def versions_of_children(kubectl: Kubectl) -> dict[str, str]:
    kinds = "statefulset,service,configmap,secret,networkpolicy,poddisruptionbudget"
    return {
        f"{item['kind']}/{item['metadata']['name']}": json.dumps(item["spec"] if "spec" in item else item.get("data"))
        + (item["metadata"]["resourceVersion"] if item["kind"] != "StatefulSet" else "")
        for item in kubectl.items(kinds)
    }


def certified_since(gateway: Gateway, blob_id: str) -> int:
    """The epoch in which the blob was certified, as the storage nodes have it once they have seen it on chain."""

    def asked() -> int | None:
        answer = gateway.blob_status(blob_id)
        assert answer.status_code == 200, answer.text
        data = answer.json()["success"]["data"]
        return None if data == "nonexistent" else data["deletable"]["initialCertifiedEpoch"]

    return until(f"{blob_id} certified for the nodes", asked, seconds=60)


def test_five_epochs_pass_and_everything_still_reads(
    kubectl: Kubectl, gateway: Gateway, reader: BackgroundReader
) -> None:
    data = os.urandom(1000)
    reader.watch(gateway.store(data, epochs=EPOCHS).json()["newlyCreated"]["blobObject"]["blobId"], data)
    # Of the blobs that are read all the time at least the oldest has lived through them.
    first = min(certified_since(gateway, blob_id) for blob_id in reader.known())
    status = until(
        "five epochs",
        lambda: (now := kubectl.get("wnet", NETWORK)["status"])["epoch"] >= first + 5 and now,
        seconds=900,
    )
    reader.read_all()
    current = status["epoch"]
    for epoch in range(current - 5, current + 1):
        mirrored = kubectl.get("se", f"{NETWORK}-{epoch}")["status"]
        assert (mirrored["epoch"], mirrored["members"], len(mirrored["committee"])) == (epoch, 10, 10)
        assert sorted(shard for member in mirrored["committee"] for shard in member["shards"]) == list(range(100))
        assert mirrored["state"] == "Past" or epoch == current


def test_one_page_tells_it_all_also_as_a_plugin_of_kubectl(kubectl: Kubectl, record: Callable[..., str]) -> None:
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)
    page = record("network-status", "kubectl", "walrus", "-n", NAMESPACE, "network", "status")
    assert page.startswith(f"Walrus network {NETWORK} in namespace {NAMESPACE}: Ready, ")
    for row in ("Epoch", "Shards", "Committee", "Nodes", "Rollout", "Storage", "Encoding", "Chain", "Gateway"):
        assert f"\n{row} " in page, page
    assert "0 of the 33 shards that may be away are away" in page
    assert "10 nodes hold 100 shards, 10 of them serve" in page
    assert "answers; all nodes follow it" in page
    assert f"kubectl walrus -n {NAMESPACE} --network {NETWORK} blob store FILE" in page
    listed = record("kubectl-get", "kubectl", "-n", NAMESPACE, "get", "wnet,wn,se")
    assert f"walrusnetwork.walrus-operator.dev/{NETWORK} " in listed


def test_pods_did_not_restart_by_themselves_and_the_operator_logged_no_error(
    kubectl: Kubectl, operator: Kubectl, reader: BackgroundReader
) -> None:
    restarted = {
        pod["metadata"]["name"]: status["restartCount"]
        for pod in [*kubectl.items("pods"), *operator.items("pods")]
        for status in pod["status"].get("containerStatuses", [])
        if status["restartCount"]
    }
    assert restarted == {}
    errors = []
    started = kubectl.get("wnet", NETWORK)["metadata"]["creationTimestamp"]
    for pod in operator.items("pods", "--selector", "app.kubernetes.io/name=walrus-operator"):
        since = f"--since-time={started}"
        log = run("kubectl", "-n", OPERATOR_NAMESPACE, "logs", pod["metadata"]["name"], since).stdout
        errors += [line for line in log.splitlines() if '"level": "ERROR"' in line or "Traceback" in line]
    assert errors == []
