"""Left alone, the network changes nothing but its epochs; all that was stored still reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from tests.e2e.conftest import NETWORK, OPERATOR_NAMESPACE
from tests.e2e.support import BackgroundReader, Kubectl, run, until

WRITES = "walrus_operator_api_writes"
PASSES = "walrus_operator_reconcile_duration_seconds_count"


def test_a_second_pass_writes_nothing(
    kubectl: Kubectl, reader: BackgroundReader, operator_metrics: Callable[[str], float]
) -> None:
    """Touches the network twice within one epoch, so that only a needless write could be counted."""
    kubectl.wait("wnet", NETWORK, "Ready", "True", seconds=120)

    def quiet_passes() -> bool:
        epoch = kubectl.get("wnet", NETWORK)["status"]["epoch"]
        state = kubectl.get("wnet", NETWORK)["status"]["epochState"]
        writes, passes = operator_metrics(WRITES), operator_metrics(PASSES)
        versions = versions_of_children(kubectl)
        kubectl("annotate", "wnet", NETWORK, f"e2e/touched={time.time()}", "--overwrite")
        until("another pass", lambda: operator_metrics(PASSES) >= passes + 1, seconds=60)
        now = kubectl.get("wnet", NETWORK)["status"]
        if (now["epoch"], now["epochState"]) != (epoch, state):
            return False  # the epoch moved meanwhile: its mirror is a rightful write
        assert versions_of_children(kubectl) == versions
        assert operator_metrics(WRITES) == writes
        return True

    until("two looks within one state of an epoch", quiet_passes, seconds=180)


def versions_of_children(kubectl: Kubectl) -> dict[str, str]:
    kinds = "statefulset,service,configmap,secret,networkpolicy,poddisruptionbudget"
    return {
        f"{item['kind']}/{item['metadata']['name']}": json.dumps(item["spec"] if "spec" in item else item.get("data"))
        + (item["metadata"]["resourceVersion"] if item["kind"] != "StatefulSet" else "")
        for item in kubectl.items(kinds)
    }


def test_five_epochs_pass_and_everything_still_reads(kubectl: Kubectl, reader: BackgroundReader) -> None:
    first = min(int(item["metadata"]["name"].rsplit("-", 1)[1]) for item in kubectl.items("se"))
    status = until(
        "five epochs",
        lambda: (now := kubectl.get("wnet", NETWORK)["status"])["epoch"] >= max(first, 1) + 5 and now,
        seconds=600,
    )
    reads = reader.reads
    until("every watched blob read again", lambda: reader.reads >= reads + len(reader._blobs), seconds=120)
    epochs = {item["metadata"]["name"]: item["status"] for item in kubectl.items("se")}
    current = epochs[f"{NETWORK}-{status['epoch']}"]
    assert sum(len(member["shards"]) for member in current["committee"]) == 100
    assert len(current["committee"]) == 10


def test_pods_did_not_restart_by_themselves_and_the_operator_logged_no_error(
    kubectl: Kubectl, operator: Kubectl, reader: BackgroundReader
) -> None:
    restarted = {
        pod["metadata"]["name"]: status["restartCount"]
        for pod in kubectl.items("pods")
        for status in pod["status"].get("containerStatuses", [])
        if status["restartCount"]
    }
    assert restarted == {}
    errors = []
    for pod in operator.items("pods", "--selector", "app.kubernetes.io/name=walrus-operator"):
        log = run("kubectl", "-n", OPERATOR_NAMESPACE, "logs", pod["metadata"]["name"]).stdout
        errors += [line for line in log.splitlines() if '"level": "ERROR"' in line or "Traceback" in line]
    assert errors == []
