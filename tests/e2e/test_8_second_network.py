"""A network with the official encoding in a namespace of its own, beside the first one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
from tests.e2e.conftest import install
from tests.e2e.support import ROOT, BackgroundReader, Gateway, Kubectl, run

NAMESPACE = "walrus-e2e-rs2"
SHARDS = 10
VECTORS = json.loads((ROOT / "tests" / "unit" / "codec" / "data" / "rs2-blob-ids.json").read_text())["vectors"]


def content(length: int) -> bytes:
    """What the vectors' blob ids were computed of, by the official WebAssembly encoder."""
    return bytes((i * 31 + 7 * (i >> 8)) & 255 for i in range(length))


@pytest.fixture
def second(kubectl: Kubectl) -> Iterator[Gateway]:
    run("kubectl", "delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=240s", timeout=300)
    run("kubectl", "create", "namespace", NAMESPACE)
    run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    values = {"encoding": "rs2", "shards": SHARDS, "nodes.count": 4, "nodes.template.deletionPolicy": "Drain"}
    install(
        *("rs2", "walrus-testnet", NAMESPACE, "--set"),
        ",".join(f"network.{key}={value}" for key, value in values.items()),
    )
    Kubectl(NAMESPACE).wait("wnet", "rs2", "Ready", "True", seconds=400)
    with contextlib.closing(Gateway(NAMESPACE, "rs2-gateway")) as face:
        yield face
    # Nodes to be drained do not hold a namespace that goes.
    run("kubectl", "delete", "namespace", NAMESPACE, "--timeout=240s", timeout=300)


def test_blob_ids_are_the_official_ones(second: Gateway, reader: BackgroundReader) -> None:
    known = [vector for vector in VECTORS if vector["n_shards"] == SHARDS]
    assert known
    for vector in known:
        data = content(vector["length"])
        answer = second.store(data)
        assert answer.status_code == 200, answer.text
        assert answer.json()["newlyCreated"]["blobObject"]["blobId"] == vector["blob_id"]
        assert second.read(vector["blob_id"]).content == data
