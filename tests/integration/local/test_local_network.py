"""A whole network of processes on this machine: 4 nodes, 10 shards, the official code."""

import asyncio
import concurrent.futures
import json
import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.local.networks import Network, pattern, running, runs, until

from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, ObjectId
from walrus_sui import network_config
from walrus_sui.client import ChainClient
from walrus_sui.types import BlobObject

pytestmark = pytest.mark.timeout(240)

# Official blob ids for 10 shards (@mysten/walrus-wasm 0.3.0, and the stability test of walrus-core).
OFFICIAL = [
    (pattern(100), "oACFqDG9e8FyZG3jr4HMkK0ctEBEU2jb2Feg0Sr7EXc"),
    (pattern(12_345), "4irhQWUlyeoS6iF6GtYsKrrYzeBWES8PvwGD9WcHs9I"),
    (b"walrus blob id v1 regression test", "RcU82Mwf-CFkv1LaI_2qcpANwpGUuG3TMwnVzZxD2kY"),
]
PARAMS = CodeParams(10, EncodingType.RS2)
ADDRESS = "0x" + "5a" * 32


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("local"), "--nodes", "4", "--shards", "10", "--encoding", "rs2") as made:
        yield made


def blob_on_chain(network: Network, object_id: str) -> BlobObject:
    async def read() -> BlobObject:
        async with ChainClient(await network_config.load(network.network_config())) as chain:
            return await chain.blob(ObjectId(object_id))

    return asyncio.run(read())


@pytest.mark.parametrize(("content", "expected"), OFFICIAL, ids=["100 bytes", "12345 bytes", "walrus-core"])
def test_blob_ids_are_the_official_ones(network: Network, tmp_path: Path, content: bytes, expected: str) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(content)
    stored = network.cli("blob", "store", str(source), "-o", "json")
    assert stored.returncode == 0, stored.stderr
    blob = json.loads(stored.stdout)["newlyCreated"]["blobObject"]
    assert (blob["blobId"], blob["encodingType"]) == (expected, "RS2")
    read = network.cli("blob", "read", expected, "--out", str(copy))
    assert read.returncode == 0, read.stderr
    assert copy.read_bytes() == content


@pytest.mark.parametrize("size", [0, 1, 444, 1 << 20, PARAMS.max_blob_size])
def test_every_size_comes_back_and_is_certified_on_chain_for_its_new_owner(network: Network, size: int) -> None:
    content = os.urandom(size)
    created = network.store(content, f"epochs=3&send_object_to={ADDRESS}")
    blob_id = created["blobObject"]["blobId"]
    assert blob_id == blob_ids.to_text(redstuff.encode(content, PARAMS).blob_id)
    assert network.read(blob_id) == content
    found = blob_on_chain(network, created["blobObject"]["id"])
    assert blob_ids.to_text(found.blob_id) == blob_id
    assert (found.owner, found.size, found.deletable) == (ADDRESS, size, True)
    assert found.certified_epoch is not None
    assert found.storage.end_epoch - found.storage.start_epoch == 3


def test_one_byte_too_many_is_refused(network: Network) -> None:
    answer = network.request("PUT", "/v1/blobs", bytes(PARAMS.max_blob_size + 1))
    assert (answer.code, answer.reason) == (413, "BODY_TOO_LARGE")


def test_a_permanent_blob_is_stored_once_and_its_status_is_known(network: Network) -> None:
    content = os.urandom(2000)
    created = network.store(content, "permanent=true&epochs=5")
    blob_id = created["blobObject"]["blobId"]

    def certified_everywhere() -> bool:
        data = network.request("GET", f"/v1/blobs/{blob_id}/status").json()["success"]["data"]
        return data != "nonexistent" and data["permanent"]["isCertified"]

    until(certified_everywhere, timeout_s=20)
    again = network.request("PUT", "/v1/blobs?epochs=5&permanent=true", content).json()["alreadyCertified"]
    assert (again["blobId"], again["endEpoch"]) == (blob_id, created["blobObject"]["storage"]["endEpoch"])
    assert network.store(content)["blobObject"]["deletable"], "a permanent blob does not stand for a deletable one"
    own = network.request("PUT", "/v1/blobs?reuse_resources=true", content).json()["alreadyCertified"]
    assert own["object"].startswith("0x")
    assert network.cli("blob", "status", blob_id).stdout.startswith(b"permanent until epoch")


def test_every_metric_of_ours_is_documented(network: Network) -> None:
    network.read(network.store(b"measured")["blobObject"]["blobId"])
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "telemetry.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(walrus_[a-z_]+)`", reference))
    for port in network.metrics_ports():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            page = answer.read().decode()
        found = set(re.findall(r"^# TYPE (walrus_[a-z_]+)", page, re.MULTILINE))
        assert found, f"port {port} has metrics of ours"
        assert found <= documented, f"port {port}"


def test_many_stores_at_once(network: Network) -> None:
    contents = [os.urandom(5000 + i) for i in range(24)]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        created = list(pool.map(network.store, contents))
        ids = [entry["blobObject"]["blobId"] for entry in created]
        assert list(pool.map(network.read, ids)) == contents
    assert len({entry["blobObject"]["id"] for entry in created}) == 24


def test_a_killed_node_hurts_nobody_and_comes_back_with_its_data(network: Network) -> None:
    before = network.store(os.urandom(100_000))["blobObject"]["blobId"]
    content = network.read(before)
    network.kill("local-0")
    assert network.read(before) == content
    during = os.urandom(50_000)
    during_id = network.store(during)["blobObject"]["blobId"]
    assert network.read(during_id) == during
    status = network.cli("local", "status", "--dir", str(network.folder), "-o", "json")
    assert status.returncode == 4
    assert json.loads(status.stdout)["processes"]["local-0"] is False
    network.up()
    # With another node gone, the one that came back must serve what it had.
    network.kill("local-3")
    assert network.read(before) == content
    network.up()


def test_more_than_f_shards_away_gives_the_documented_error_and_loses_nothing(network: Network) -> None:
    kept = network.store(os.urandom(30_000))["blobObject"]["blobId"]
    content = network.read(kept)
    wanted = os.urandom(40_000)
    network.kill("local-1", "local-2")
    answer = network.request("PUT", "/v1/blobs?epochs=3", wanted)
    assert (answer.code, answer.reason) == (504, "INSUFFICIENT_CONFIRMATIONS")
    network.up()
    assert network.nodes_ready() == [True] * 4, "a network that is up can be stored in"
    # For less long than was paid for: what is left must serve also when an epoch has passed since.
    created = network.store(wanted)
    assert "reuseRegistration" in created["resourceOperation"]
    assert network.read(created["blobObject"]["blobId"]) == wanted
    assert network.read(kept) == content


def test_without_the_chain_reads_go_on(network: Network) -> None:
    content = os.urandom(10_000)
    blob_id = network.store(content)["blobObject"]["blobId"]
    network.kill("devnet")
    until(lambda: network.request("GET", "/status").code == 503, timeout_s=30)
    assert network.request("GET", "/status").reason == "CHAIN_UNREACHABLE"
    assert network.read(blob_id) == content
    network.up()
    until(lambda: network.request("GET", "/status").body == b"OK", timeout_s=30)
    assert network.read(network.store(content[:99])["blobObject"]["blobId"]) == content[:99]


def test_a_gateway_that_starts_without_the_chain_reads_what_it_remembers(network: Network) -> None:
    content = os.urandom(12_000)
    blob_id = network.store(content)["blobObject"]["blobId"]
    # Also what is killed and not known to be down must come up again below, as after a reboot.
    network.kill("devnet", "gateway", "local-1")
    with network.alone("gateway"):
        until(lambda: network.answers("GET", f"/v1/blobs/{blob_id}") == 200, timeout_s=30)
        assert network.read(blob_id) == content
        assert network.request("GET", "/status").reason == "CHAIN_UNREACHABLE"
        answer = network.request("PUT", "/v1/blobs", content[:99])
        assert (answer.code, answer.reason) == (503, "CHAIN_UNREACHABLE")
    network.up()
    until(lambda: network.request("GET", "/status").body == b"OK", timeout_s=30)
    assert network.read(network.store(content[:98])["blobObject"]["blobId"]) == content[:98]


def test_it_goes_down_and_comes_up_with_its_data(network: Network) -> None:
    content = os.urandom(20_000)
    blob_id = network.store(content)["blobObject"]["blobId"]
    pids = [network.pid(name) for name in ("devnet", "gateway", "local-0")]
    network.down()
    assert not any(runs(pid) for pid in pids)
    network.up()
    assert network.read(blob_id) == content
