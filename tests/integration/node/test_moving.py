"""Shards follow the stake: nodes join, leave, die and are killed in the middle; each is a process of its own."""

import asyncio
import os

import pytest
from tests.integration.node.world import N_SHARDS, until

from walrus_codec.types import Axis

pytestmark = pytest.mark.timeout(500)

SIZES = [0, 1, 700, 50_000, 200_000, 200_000]
EPOCH_MS = 3_600_000


@pytest.fixture(scope="module")
def network(make_network):
    changes = {"sync": {"stall_s": 4}, "recovery": {"grace_s": 1}}
    return make_network(4, spares=2, manual_ms=EPOCH_MS, changes=changes, seed="moving")


def is_settled(node, owned):
    """Active with exactly these shards, all of them Active, and nothing beside them but what is still locked."""
    info = node.info
    states = {entry["shard"]: entry["status"] for entry in info["shards"]}
    active = {shard for shard, status in states.items() if status == "Active"}
    others = {status for shard, status in states.items() if shard not in active}
    return info["status"] == ("Active" if owned else "Standby") and active == owned and others <= {"LockedToMove"}


async def settled(network, view):
    for node in network.nodes:
        owned = network.shards_of(view, node)
        await asyncio.to_thread(until, f"{node.name} has {owned}", lambda n=node, o=owned: is_settled(n, o))


async def assert_all_hold(network, view, blobs):
    """Every member gives both slivers of all its shards; `network.slivers` compares each with the writer's own."""
    for node in network.members(view):
        pairs = len(network.shards_of(view, node))
        for blob in blobs:
            for axis in Axis:
                found = await network.slivers(node, blob, axis)
                assert len({sliver.index for sliver in found}) >= pairs


async def test_shards_move_with_the_stake_and_are_dropped_one_epoch_later(network):
    async with network.chain() as chain:
        blobs = [await network.store(chain, os.urandom(size)) for size in SIZES]
        await network.join(chain, 300, nodes=network.spares[:1])
        joined = network.nodes[-1]
        view = await network.next_epoch(chain)
        await settled(network, view)
        await assert_all_hold(network, view, blobs)
        gained = network.shards_of(view, joined)
        info = joined.info
        assert len(gained) >= 3
        assert (info["sync"]["shards_transferred"], info["sync"]["shards_given_up"]) == (len(gained), 0)
        assert info["sync"]["metadata_fetched"] == len(blobs)
        assert info["recovery"]["slivers_recovered"] == 0
        assert info["slivers_stored"] == 2 * len(gained) * len(blobs)
        locked = [entry for node in network.nodes for entry in node.info["shards"] if entry["status"] == "LockedToMove"]
        assert len(locked) == len(gained)
        view = await network.next_epoch(chain)
        for node in network.nodes:
            owned = network.shards_of(view, node)
            await asyncio.to_thread(
                until,
                f"{node.name} has dropped the rest",
                lambda n=node, o=owned: n.info["slivers_stored"] == 2 * len(o) * len(blobs),
            )
            assert {entry["shard"] for entry in node.info["shards"]} == owned
        assert sum(len(network.shards_of(view, node)) for node in network.nodes) == N_SHARDS
