"""What a user sees and does first: the columns tell the story, files go in and come back, the chain agrees."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.e2e.conftest import EPOCHS, NAMESPACE, NETWORK, OPERATOR_NAMESPACE
from tests.e2e.support import BackgroundReader, Gateway, Kubectl, run
from tests.laws.codec import dumb

from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, ObjectId
from walrus_sui.client import ChainClient
from walrus_sui.keys import SuiKey

MIB = 2**20
SIZES = [0, 1, 444, MIB, 32 * MIB, int.from_bytes(os.urandom(3), "big") % (4 * MIB)]


def test_the_columns_tell_the_story(kubectl: Kubectl) -> None:
    header, row = kubectl("get", "wnet").splitlines()
    assert header.split() == ["NAME", "READY", "REASON", "EPOCH", "STATE", "NODES", "SHARDS", "UPDATED", "AGE"]
    assert row.split()[1:3] == ["True", "Serving"]
    assert row.split()[5:7] == ["10/10", "100/100"]
    nodes = table(kubectl("get", "wn"))
    assert len(nodes) == 10
    for node in nodes:
        assert (node["READY"], node["STATE"]) == ("True", "Active")
        assert int(node["WEIGHT"]) > 0
        assert int(node["EPOCH"]) >= 1
    first = table(kubectl("get", "se"))[0]
    assert (first["EPOCH"], first["MEMBERS"]) == ("1", "10")
    assert first["STATE"] in {"Sync", "Done", "ParamsSelected", "Past"}


def table(page: str) -> list[dict[str, str]]:
    """Rows by column, of a page without empty cells."""
    header, *rows = (line.split() for line in page.splitlines())
    return [dict(zip(header, row, strict=False)) for row in rows]


def test_weights_of_all_nodes_sum_up_to_the_shards(kubectl: Kubectl) -> None:
    weights = [node["status"]["weight"] for node in kubectl.items("wn")]
    assert sum(weights) == 100
    assert len(weights) == 10
    assert min(weights) > 0


@pytest.mark.parametrize("namespace", [NAMESPACE, OPERATOR_NAMESPACE])
def test_every_pod_keeps_to_the_restricted_standard(kubectl: Kubectl, namespace: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    assert Kubectl(namespace).items("pods")
    # The API server tries the label on the pods that run and warns of each that would be refused.
    done = run("kubectl", "label", "namespace", namespace, label, "--overwrite", "--dry-run=server")
    assert "Warning" not in done.stderr


@pytest.mark.parametrize("size", SIZES)
async def test_a_blob_of_any_size_comes_back_and_the_chain_agrees(
    size: int, gateway: Gateway, reader: BackgroundReader, chain: ChainClient
) -> None:
    data = os.urandom(size)
    owner = SuiKey.generate().address
    answer = gateway.store(data, epochs=EPOCHS, send_object_to=owner)
    assert answer.status_code == 200, answer.text
    created = answer.json()["newlyCreated"]["blobObject"]

    read = gateway.read(created["blobId"])
    assert read.status_code == 200
    assert read.content == data
    reader.watch(created["blobId"], data)

    encoded = redstuff.encode(data, CodeParams(100, EncodingType.ISAL))
    assert created["blobId"] == blob_ids.to_text(encoded.blob_id)
    if size < 1000:  # the twin shares no code with the gateway, and is slow
        assert encoded.blob_id == dumb.encode(data, 100, dumb.Cauchy()).blob_id

    blob = await chain.blob(ObjectId(created["id"]))
    assert blob is not None
    assert blob.certified_epoch is not None
    assert blob.owner == owner
    assert (blob.blob_id, blob.size) == (encoded.blob_id, size)
    assert created["certifiedEpoch"] == blob.certified_epoch


def test_walrusctl_stores_and_reads_through_its_own_port_forward(kubectl: Kubectl, tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.write_bytes(os.urandom(300_000))
    walrusctl = ("walrusctl", "--namespace", NAMESPACE, "--network", NETWORK)
    answer = json.loads(run(*walrusctl, "blob", "store", str(original), "-o", "json").stdout)
    blob_id = answer["newlyCreated"]["blobObject"]["blobId"]
    computed = run("walrusctl", "blob", "id", str(original), "--n-shards", "100", "--encoding", "isal").stdout.strip()
    assert computed == blob_id
    run(*walrusctl, "blob", "read", blob_id, "--out", str(copy))
    assert copy.read_bytes() == original.read_bytes()
    status = run(*walrusctl, "blob", "status", blob_id).stdout
    assert "certified" in status.lower()
    page = run(*walrusctl, "network", "status").stdout
    assert NETWORK in page
    assert "100/100" in page


def test_helm_test_stores_and_reads_from_inside(kubectl: Kubectl) -> None:
    done = run("helm", "test", NETWORK, "--namespace", NAMESPACE, "--timeout", "3m", timeout=200)
    assert "Succeeded" in done.stdout
