"""Wrong resources are refused at `kubectl apply`, wrong requests get the documented error, and nothing is stored."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import requests
from tests.e2e.support import Gateway, Kubectl

NETWORK: dict[str, Any] = {
    "apiVersion": "walrus-operator.dev/v1alpha1",
    "kind": "WalrusNetwork",
    "metadata": {"name": "wrong"},
    "spec": {"shards": 100, "epochDuration": "1m", "nodes": {"count": 4}},
}


def changed(path: str, value: object) -> dict[str, Any]:
    manifest = copy.deepcopy(NETWORK)
    target = manifest["spec"]
    *parents, last = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value
    return manifest


def test_the_manifest_that_the_cases_change_is_itself_accepted(kubectl: Kubectl) -> None:
    kubectl("apply", "--dry-run=server", "--filename", "-", text=json.dumps(NETWORK))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("unheardOf", 1, 'unknown field "spec.unheardOf"'),
        ("shards", 99, "shards must be 1 more than a multiple of 3"),
        ("shards", 256, "at most 253 shards: lower spec.shards or choose encoding: rs2"),
        ("epochDuration", "10s", "epochDuration must be at least 30s"),
        ("epochDuration", "ten minutes", "spec.epochDuration"),
        ("challenges.kept", "0.999", "challenges.kept must lie between 0.5 and 0.995"),
        ("nodes.count", 0, "nodes.count must be greater than or equal to 1"),
        ("nodes.count", 101, "at most spec.shards: every node needs a shard"),
    ],
)
def test_a_wrong_network_is_refused_with_a_sentence(kubectl: Kubectl, path: str, value: object, says: str) -> None:
    done = kubectl.apply(changed(path, value), check=False)
    assert done.returncode != 0
    assert says in done.stderr
    assert kubectl.get("wnet", "wrong") == {}


def error(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body = answer.json()["error"]
    assert body["code"] == status
    assert body["message"]
    info = body["details"][0]
    assert info["@type"] == "ErrorInfo"
    assert info["domain"] == "daemon.walrus.space"
    return body


@pytest.mark.parametrize(
    "query",
    [{"epoch": "1"}, {"epochs": "0"}, {"epochs": "many"}, {"epochs": "54"}, {"permanent": "true", "deletable": "true"},
     {"encoding_type": "LT"}, {"send_object_to": "somebody"}],
)  # fmt: skip
def test_a_malformed_store_is_a_documented_400(gateway: Gateway, query: dict[str, str]) -> None:
    error(gateway.store(b"data", **query), 400)


def test_a_blob_too_large_is_refused_before_it_is_read(gateway: Gateway) -> None:
    limit = 149_286_452
    request = requests.Request("PUT", f"{gateway.url()}/v1/blobs", data=b"x" * 1000).prepare()
    # Announces more than it will ever send: only a gateway that decides by the header can answer.
    request.headers["Content-Length"] = str(limit + 1)
    with requests.Session() as session:
        answer = session.send(request, timeout=30)
    assert str(limit) in error(answer, 413)["message"]


def test_a_wrong_or_unknown_blob_id_is_a_documented_4xx(gateway: Gateway) -> None:
    error(gateway.read("not-a-blob-id"), 400)
    unknown = error(gateway.read("A" * 43), 404)
    assert unknown["details"][0]["reason"] == "BLOB_NOT_FOUND"
    error(gateway.read("A" * 43, colour="blue"), 400)
    error(requests.get(f"{gateway.url()}/v1/nothing", timeout=30), 404)
