"""Twenty-five nodes of one machine store and read 100 MiB, with 100 shards and with the 1000 of the real networks.

Run by `make soak`, never by `make test`: it needs about 6 GB and, with two cores, some minutes. It tells what store and
read took and how much memory each kind of process had at most; `docs/soak.md` keeps what it told.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.integration.local.memory import Watch
from tests.integration.local.networks import Network, pattern, running

from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType

pytestmark = pytest.mark.timeout(1800)

MIB = 1 << 20
SIZE = 100 * MIB
NODES = 25


@pytest.mark.parametrize(("encoding", "n_shards"), [("isal", 100), ("rs2", 100), ("rs2", 1000)])
def test_25_nodes_store_and_read_100_mib(
    encoding: str, n_shards: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--nodes", str(NODES), "--shards", str(n_shards), "--encoding", encoding, "--epoch-duration", "1h")
    content = pattern(SIZE)
    expected = redstuff.encode(content, CodeParams(n_shards, EncodingType.parse(encoding))).blob_id
    with running(tmp_path / "network", *options, timeout_s=600) as network:
        with Watch(processes(network), every_s=0.2) as watch:
            began = time.monotonic()
            answer = network.request("PUT", "/v1/blobs?epochs=3", content, timeout=900)
            stored = time.monotonic()
            assert answer.code == 200, answer.body
            blob_id = answer.json()["newlyCreated"]["blobObject"]["blobId"]
            assert blob_id == blob_ids.to_text(expected)
            back = network.request("GET", f"/v1/blobs/{blob_id}", timeout=900)
            read = time.monotonic()
            assert (back.code, back.body == content) == (200, True)
        told = {
            "network": f"{NODES} nodes, {n_shards} shards, {encoding}",
            "store_s": round(stored - began, 1),
            "read_s": round(read - stored, 1),
            "peak_pss_mib": peaks(watch),
        }
    with capsys.disabled():
        print(f"\n{json.dumps(told)}")


def processes(network: Network) -> dict[str, int]:
    """The process of each part of the network."""
    state = json.loads((network.folder / "local.json").read_text(encoding="utf-8"))
    return {name: int(process["pid"]) for name, process in state["processes"].items()}


def peaks(watch: Watch) -> dict[str, int]:
    """The most memory that each kind of process has had, workers of its own included, in MiB."""
    nodes = [peak for name, peak in watch.peak.items() if name.startswith("local-")]
    assert len(nodes) == NODES
    found = {
        "gateway, idle": watch.idle["gateway"],
        "gateway": watch.peak["gateway"],
        "devnet": watch.peak["devnet"],
        "largest node": max(nodes),
        "all nodes": sum(nodes),
    }
    return {name: size // MIB for name, size in found.items()}
