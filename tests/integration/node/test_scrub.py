"""Bits rot on a node's disk: the check of the stopped node's folder names them, scrub heals them, readers notice nothing."""

import asyncio
import os
import subprocess
import sys

import grpc.aio
import pytest
from tests.integration.node.world import N_SHARDS, until

from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis
from walrus_node.store import layout
from walrus_node.store.kv import Batch
from walrus_node.store.rocks import RocksStore

pytestmark = pytest.mark.timeout(500)

SIZES = [1, 700, 50_000, 200_000, 200_000]


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, seed="scrub", epoch_duration="60s")


def db(command, node, *arguments):
    """`walrus-node db` on a node's folder."""
    program = [sys.executable, "-m", "walrus_node.main", "db", command, node.document["data_dir"], *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=100, check=False)


def faults(checked):
    """What a check has named: kind, blob, and place."""
    return {tuple(line.split(": ")[:2]) for line in checked.stdout.splitlines()[:-1]}


def rot(node, slivers, metadata):
    """Flips a bit in each of these, through the store, while the node is stopped; says what a check must name."""
    kv = RocksStore(node.folder / "data" / "db")
    batch = Batch()
    expected = set()
    places = [(layout.sliver_family(shard, axis), blob, f"shard {shard} {axis.value}") for shard, axis, blob in slivers]
    places += [(layout.METADATA, blob, "metadata") for blob in metadata]
    for family, blob, name in places:
        value = bytearray(kv.get(family, blob.blob_id))
        value[len(value) // 2] ^= 0x04
        batch.put(family, blob.blob_id, bytes(value))
        expected.add(("rotten", f"blob {blob_ids.to_text(blob.blob_id)} {name}"))
    kv.write(batch)
    kv.close()
    return expected


def some(node, blobs):
    """Slivers of both axes in several shards, several of one blob among them."""
    shards = [entry["shard"] for entry in node.info["shards"]]
    return [
        (shards[0], Axis.PRIMARY, blobs[1]),
        (shards[0], Axis.SECONDARY, blobs[1]),
        (shards[-1], Axis.PRIMARY, blobs[1]),
        (shards[0], Axis.SECONDARY, blobs[2]),
        (shards[-1], Axis.PRIMARY, blobs[3]),
    ]


async def read(network, blob, first):
    """A reader who asks the rotten node first, and goes to the others for what is not good there."""
    slivers = []
    for node in [first, *(node for node in network.nodes if node is not first)]:
        try:
            slivers += await network.slivers(node, blob, all_good=False)
        except grpc.aio.AioRpcError:
            assert node is first
    params = CodeParams(N_SHARDS, blob.encoded.metadata.encoding_type)
    assert redstuff.decode(slivers[: params.k1], len(blob.content), params) == blob.content


async def holds_all(network, node, blobs):
    """Whether a node gives all slivers of its shards, each as the writer made it."""
    for blob in blobs:
        for axis in Axis:
            try:
                good = await network.slivers(node, blob, axis, all_good=False)
            except grpc.aio.AioRpcError:
                return False
            if len(good) != len(node.info["shards"]):
                return False
    return True


async def test_flipped_bits_are_named_healed_and_never_seen_by_a_reader(network):
    victim, other = network.nodes[1], network.nodes[2]
    async with network.chain() as chain:
        blobs = [await network.store(chain, os.urandom(size)) for size in SIZES]
    flips = some(victim, blobs)
    assert victim.stop() == 0
    checked = db("check", victim)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    expected = rot(victim, flips, [blobs[4]])
    checked = db("check", victim)
    assert checked.returncode == 6, checked.stdout + checked.stderr
    assert faults(checked) == expected
    refused = db("check", other)
    assert refused.returncode == 3
    assert "stop the node first" in refused.stderr

    victim.document["scrub"] = {"bytes_per_s": 1 << 26, "pause_s": 1}
    victim.start()
    await asyncio.to_thread(until, "it is ready", victim.is_ready)
    reads = 0
    async with asyncio.timeout(120):
        while not await holds_all(network, victim, blobs):
            for blob in blobs:
                await read(network, blob, victim)
                reads += 1
            await asyncio.sleep(0.2)
    scrub = victim.info["scrub"]
    print(f"{reads} reads meanwhile; {scrub}")
    assert scrub["rotten_found"] == len(expected)
    assert victim.log.read_text().count("bit rot was found") == len(expected)
    assert "walrus_node_scrub_rotten" in victim.get("/metrics")[1]
    # One more round finds nothing more.
    await asyncio.to_thread(
        until, "another round ends", lambda: victim.info["scrub"]["finished_ms"] > scrub["finished_ms"]
    )
    assert victim.info["scrub"]["rotten_found"] == len(expected)
    assert victim.stop() == 0
    checked = db("check", victim)
    assert checked.returncode == 0, checked.stdout
    victim.start()
    await asyncio.to_thread(until, "it is ready", victim.is_ready)


async def test_a_repaired_folder_is_healed_at_the_next_start_without_scrub(network):
    victim = network.nodes[3]
    async with network.chain() as chain:
        blobs = [await network.store(chain, os.urandom(5_000 + size)) for size in SIZES]
    flips = some(victim, blobs)
    assert victim.stop() == 0
    expected = rot(victim, flips, [blobs[4]])
    repaired = db("repair", victim)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert f"{len(expected)} of {len(expected)} rotten things taken out" in repaired.stdout
    assert db("check", victim).returncode == 7
    victim.document["scrub"] = {"enabled": False}
    victim.start()
    await asyncio.to_thread(until, "it is ready", victim.is_ready)
    async with asyncio.timeout(120):
        while not await holds_all(network, victim, blobs):
            await read(network, blobs[1], victim)
            await asyncio.sleep(0.5)
    assert victim.info["scrub"]["blobs_verified"] == 0
