"""A local network with the fast code and 100 shards, and epochs that are short enough to watch one pass."""

import os
import time
from collections.abc import Iterator

import pytest
from tests.integration.local.memory import Watch
from tests.integration.local.networks import Network, running

from walrus_client.read import read_footprint
from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType

pytestmark = pytest.mark.timeout(240)
PARAMS = CodeParams(100, EncodingType.ISAL)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    options = ("--shards", "100", "--epoch-duration", "30s", "--challenges", "Off")  # latency and memory are measured
    with running(tmp_path_factory.mktemp("isal"), *options) as made:
        yield made


@pytest.mark.parametrize("size", [0, 1, 444, 1 << 20, 8 << 20])
def test_every_size_comes_back(network: Network, size: int) -> None:
    content = os.urandom(size)
    created = network.store(content, "epochs=20")
    blob = created["blobObject"]
    assert (blob["encodingType"], blob["size"]) == ("ISAL", size)
    assert blob["blobId"] == blob_ids.to_text(redstuff.encode(content, PARAMS).blob_id)
    assert network.read(blob["blobId"]) == content


def test_parts_and_headers(network: Network) -> None:
    content = os.urandom(3 << 20)
    blob_id = network.store(content, "epochs=20")["blobObject"]["blobId"]
    path = f"/v1/blobs/{blob_id}"
    part = network.request("GET", path, headers={"Range": "bytes=1000000-2000000"})
    assert (part.code, part.headers["Content-Range"]) == (206, f"bytes 1000000-2000000/{len(content)}")
    assert part.body == content[1_000_000:2_000_001]
    head = network.request("HEAD", path)
    assert (head.code, head.headers["Content-Length"], head.headers["ETag"]) == (200, str(len(content)), f'"{blob_id}"')
    for check in ("strict_consistency_check=true", "skip_consistency_check=true"):
        assert network.request("GET", f"{path}?{check}").body == content


def test_a_store_and_a_read_take_no_more_memory_than_they_reserve(network: Network) -> None:
    """What the gateway and its workers take beyond what they had before: the reservation, and a third of it for copies."""
    gateway = {"gateway": network.pid("gateway")}
    network.store(os.urandom(8 << 20), "epochs=20")  # so that the workers have begun
    content = os.urandom(64 << 20)
    with Watch(gateway) as storing:
        created = network.store(content, "epochs=20")
    assert storing.peak["gateway"] - storing.idle["gateway"] <= PARAMS.writing_memory(len(content)) * 4 // 3
    with Watch(gateway) as reading:
        assert network.read(created["blobObject"]["blobId"]) == content
    reserved = read_footprint(redstuff.encode(content, PARAMS).metadata)
    assert reading.peak["gateway"] - reading.idle["gateway"] <= reserved * 4 // 3


def test_stores_and_reads_go_on_while_an_epoch_changes(network: Network) -> None:
    kept = os.urandom(5000)
    kept_id = network.store(kept, "epochs=20")["blobObject"]["blobId"]
    epochs: set[int] = set()
    deadline = time.monotonic() + 100
    while len(epochs) < 2:
        assert time.monotonic() < deadline, f"no epoch change was seen: {epochs}"
        content = os.urandom(3000)
        created = network.store(content, "epochs=2")
        epochs.add(created["blobObject"]["certifiedEpoch"])
        assert network.read(created["blobObject"]["blobId"]) == content
        assert network.read(kept_id) == kept
        time.sleep(0.5)
