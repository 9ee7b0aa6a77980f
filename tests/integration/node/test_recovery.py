"""Nodes get back what they lost or missed, from symbols of the others; each node is a process of its own."""

import asyncio
import json
import os
import shutil

import pytest
from tests.integration.node.world import N_SHARDS, until

from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType

pytestmark = pytest.mark.timeout(500)

SIZES = [0, 1, 700, 50_000, 200_000, 200_000]
PROOF = 4 * 32
"""Bytes of a Merkle proof over ten symbols."""


@pytest.fixture(scope="module")
def network(make_network):
    changes = {"sync": {"stall_s": 4}}  # an owner that sleeps is not waited for long
    return make_network(4, spares=1, manual_ms=3_600_000, changes=changes, seed="recovery")


def wipe(node):
    """Takes the node's disk away, while it is stopped."""
    shutil.rmtree(node.folder / "data")


def is_whole(node):
    info = node.info
    active = {entry["status"] for entry in info["shards"]} == {"Active"}
    return info["status"] == "Active" and active and info["recovery"]["fraction"] == 1 and info


def recovered(node):
    """Blobs that it has completed since its process began."""
    status, text = node.get("/v1/info")
    return json.loads(text)["recovery"]["blobs_recovered"] if status == 200 else None


async def assert_holds(network, node, blob):
    """All slivers of the node's shards are there; `network.slivers` compares each with the writer's own."""
    for axis in Axis:
        assert len(await network.slivers(node, blob, axis)) == len(node.info["shards"])


def least_bytes(blobs, shards):
    """What the symbols take that these shards' slivers are rebuilt from, with their proofs, as if nothing were at hand."""
    total = 0
    for blob in blobs:
        params = CodeParams(N_SHARDS, blob.encoded.metadata.encoding_type)
        symbol = params.symbol_size(len(blob.content)) + PROOF
        total += shards * (params.k1 + params.k2) * symbol
    return total


async def test_a_wiped_node_recovers_everything_while_the_others_serve(network):
    victim, others = network.nodes[1], [network.nodes[0], *network.nodes[2:]]
    async with network.chain() as chain:
        blobs = [await network.store(chain, os.urandom(size)) for size in SIZES]
    shards = len(victim.info["shards"])
    victim.kill()
    wipe(victim)
    victim.start()
    reads = 0
    async with asyncio.timeout(120):
        while True:
            for blob in blobs[:3]:
                assert await network.read(blob, nodes=others) == blob.content
                reads += 1
            if await asyncio.to_thread(lambda: victim.get("/v1/info")[0] == 200 and is_whole(victim)):
                break
            await asyncio.sleep(0.2)  # three reads a round are enough; the nodes need the processor too
    info = victim.info
    for blob in blobs:
        await assert_holds(network, victim, blob)
    assert info["recovery"]["slivers_recovered"] == 2 * shards * len(blobs)
    assert info["recovery"]["blobs_recovered"] == len(blobs)
    bound = least_bytes(blobs, shards)
    print(f"{reads} reads meanwhile; {info['recovery']['bytes_fetched']} bytes came, {bound} are needed")
    assert info["recovery"]["bytes_fetched"] <= 1.1 * bound
    assert "RecoveryInProgress" in victim.log.read_text()
    # What came back is as good as what was lost: the network does without any one of the others.
    for down in others[:1]:
        rest = [node for node in network.nodes if node is not down]
        for blob in blobs:
            assert await network.read(blob, nodes=rest) == blob.content


@pytest.fixture(scope="module")
def official(make_network):
    """The official code; epochs that do not end in between."""
    return make_network(4, seed="recovery-rs2", encoding="rs2", epoch_duration="10m")


async def test_with_f_shards_gone_a_wiped_node_gets_all_back_in_two_steps_through_kills(official):
    """Its k1 rows come from the two nodes that are left; its own columns are what its rows then need of the k2."""
    async with official.chain() as chain:
        weights = {member.name: member.weight for member in (await chain.staking()).committee.members}
        gone, victim = (node for node in official.nodes if weights[node.name] == 3)
        left = [node for node in official.nodes if weights[node.name] == 2]
        sizes = [0, 1, 700, 30_000, *range(90_000, 100_000, 1_000)]
        blobs = [await official.store(chain, os.urandom(size), encoding=EncodingType.RS2) for size in sizes]
    gone.kill()
    victim.kill()
    wipe(victim)
    victim.start()
    await asyncio.to_thread(until, "it is whole", lambda: victim.is_ready() and is_whole(victim))
    info = victim.info["recovery"]
    # Secondary slivers from k1 symbols each; of the k2 of the primary ones three are its own by then.
    needed = sum(
        3 * (params.k1 + params.k2 - 3) * (params.symbol_size(len(blob.content)) + PROOF)
        for blob in blobs
        for params in [CodeParams(N_SHARDS, EncodingType.RS2)]
    )
    print(f"{info['bytes_fetched']} bytes came, {needed} are needed")
    assert info["bytes_fetched"] <= 1.1 * needed
    assert info["slivers_recovered"] == 6 * len(blobs)

    # Once more from nothing, and killed three times on the way: what is there is not fetched again.
    victim.kill()
    wipe(victim)
    victim.document["recovery"] = {"grace_s": 2, "concurrent_blobs": 1}
    slow = victim.folder / "slow"
    slow.write_text("150")  # so that each kill comes on the way
    victim.arguments = ["--slow-disk", str(slow)]
    held = 0
    for _ in range(3):
        victim.start()
        held = await asyncio.to_thread(until, "it has got some", lambda h=held: progressed(victim, h))
        victim.kill()
        assert 0 < held < 6 * len(blobs), "it was killed on the way"
    slow.unlink()
    victim.start()
    await asyncio.to_thread(until, "it is whole", lambda: victim.is_ready() and is_whole(victim))
    info = victim.info
    assert info["slivers_stored"] == 6 * len(blobs)
    assert info["recovery"]["slivers_recovered"] <= 6 * len(blobs) - held
    for blob in blobs:
        await assert_holds(official, victim, blob)
        assert await official.read(blob, nodes=[victim, left[0]]) == blob.content
    gone.start()
    await asyncio.to_thread(until, "the other one is back", gone.is_ready)


def progressed(node, held):
    """Slivers that a recovering node stores, once they are more than `held`."""
    status, text = node.get("/v1/info")
    stored = json.loads(text)["slivers_stored"] if status == 200 else 0
    return stored if stored > held else None


async def test_a_node_that_was_away_while_the_committee_changed_twice_gets_what_it_missed(network):
    sleeper, awake = network.nodes[2], [*network.nodes[:2], network.nodes[3]]
    assert sleeper.stop() == 0
    async with network.chain() as chain:
        missed = [await network.store(chain, os.urandom(30_000), nodes=awake) for _ in range(3)]
        await network.join(chain, 100)
        between = network.shards_of(await network.next_epoch(chain), sleeper)
        await network.stake(chain, 100, sleeper)
        view = await network.next_epoch(chain)
        missed += [await network.store(chain, os.urandom(30_000), nodes=[*awake, network.nodes[-1]]) for _ in range(3)]
        # So slow at first that it sees one epoch change while the chain is in the next epoch already.
        slow = sleeper.folder / "slow"
        slow.write_text("200")
        sleeper.arguments = ["--slow-disk", str(slow)]
        sleeper.start()
        await asyncio.to_thread(until, "it catches up", lambda: "RecoveryCatchUp" in sleeper.log.read_text())
        slow.unlink()
        await asyncio.to_thread(
            until, "it has completed what it missed", lambda: (recovered(sleeper) or 0) >= len(missed)
        )
        await asyncio.to_thread(until, "it is active", lambda: is_whole(sleeper))
        owned = network.shards_of(view, sleeper)
        assert len(owned) > len(between), "its shards have changed twice"
        assert {entry["shard"] for entry in sleeper.info["shards"]} == owned
        for blob in missed:
            await assert_holds(network, sleeper, blob)
        (cap,) = await chain.node_caps(sleeper.keys["sui"].address)
        assert cap.last_epoch_sync_done == view.epoch
    log = sleeper.log.read_text()
    assert "RecoveryCatchUp" in log
    assert "RecoveryInProgress" in log


async def test_a_blob_that_a_running_node_never_got_is_completed_after_the_grace_period(network):
    left_out = network.nodes[3]
    others = [node for node in network.nodes if node is not left_out]
    await asyncio.to_thread(until, "it lacks nothing", lambda: is_whole(left_out))
    before = recovered(left_out)
    async with network.chain() as chain:
        blob = await network.store(chain, os.urandom(40_000), nodes=others)
    await asyncio.to_thread(until, "it is completed", lambda: (recovered(left_out) or 0) > before)
    await assert_holds(network, left_out, blob)
