"""Availability challenges between processes: honest epochs slash nobody, a node that lost slivers in silence is slashed."""

import asyncio
import os
from contextlib import suppress

import pytest
from tests.integration.node.world import until

from walrus_node.store.kv import Batch
from walrus_node.store.rocks import RocksStore
from walrus_node.store.storage import Storage

pytestmark = pytest.mark.timeout(500)

EPOCH_MS = 3_600_000
SIZES = [1, 700, 50_000, 50_000, 200_000, 200_000]


@pytest.fixture(scope="module")
def network(make_network):
    challenges = {"network": "Vote", "grace_ms": 30_000}
    # Scrub would find what is missing before anybody asks for it.
    changes = {"challenges": challenges, "scrub": {"enabled": False}}
    return make_network(4, manual_ms=EPOCH_MS, changes=changes, seed="challenges")


class Clock:
    """The chain's clock within one epoch, in percent of it."""

    def __init__(self, network, view):
        self.network = network
        self.epoch = view.epoch
        self.percent = 0

    async def at(self, percent, what, look):
        """Moves on, and waits until every node of the network shows what is expected of it."""
        await asyncio.to_thread(self.network.devnet.advance, EPOCH_MS * (percent - self.percent) // 100)
        self.percent = percent
        for node in self.network.nodes:
            await asyncio.to_thread(until, f"{node.name} {what}", lambda n=node: look(self.of(n)))

    def of(self, node):
        """What the node says of this epoch's challenges; nothing while it is behind."""
        found = node.info["challenges"]
        return found if found["epoch"] == self.epoch else dict.fromkeys(found, -1)

    def have_ended(self, patience_s=15):
        """Whether all cases are settled before long; if not, what is left may wait for its next attempt."""
        with suppress(AssertionError):
            return until("all have challenged all", self.none_pending, patience=patience_s)
        return False

    def none_pending(self):
        return all(self.of(node)["pending"] == 0 for node in self.network.nodes)

    async def verdicts(self):
        """Until all have judged all; attempts that were void on a busy machine are made again."""
        for percent in (41, 47, 53):
            await self.at(percent, "sees the window", lambda said: said["window_open"] is True)
            if await asyncio.to_thread(self.have_ended):
                break
        await self.at(61, "has judged", lambda said: judged(said) == 3)


def judged(said):
    return said["passed"] + said["failed"] + said["excused"] + said["none"]


async def lose(node, blobs):
    """Deletes all slivers of these blobs from a stopped node's disk, and their index entries; nobody is told."""
    kv = RocksStore(node.folder / "data" / "db")
    storage = await Storage.over(kv)
    for blob in blobs:
        batch = Batch()
        assert storage._shards.delete_into(batch, blob.blob_id)
        kv.write(batch)
    await storage.close()


async def test_honest_nodes_pass_and_one_that_lost_slivers_in_silence_is_slashed(network):
    async with network.chain() as chain:
        blobs = [await network.store(chain, os.urandom(size)) for size in SIZES]
        for _ in range(2):
            view = await network.next_epoch(chain)
        clock = Clock(network, view)
        await clock.verdicts()
        for percent in (66, 72):
            await clock.at(percent, "goes on", lambda said: judged(said) == 3)
        for node in network.nodes:
            said = clock.of(node)
            assert (said["passed"], said["failed"], said["votes"]) == (3, 0, 0), (node.name, said)
        assert await chain.slashing_proposals() == []

        view = await network.next_epoch(chain)
        *honest, cheater = network.nodes
        cheater.stop()
        await lose(cheater, blobs[::3])
        cheater.start()
        await asyncio.to_thread(until, "it is back", cheater.is_ready)
        commission = (await chain.pool(cheater.known_id)).commission
        assert commission > 0
        clock = Clock(network, view)
        await clock.verdicts()
        for node in honest:
            said = clock.of(node)
            assert (said["passed"], said["failed"]) == (2, 1), (node.name, said)
        assert cheater.info["recovery"]["slivers_recovered"] == 0, "nobody feeds it in the window"
        for percent in (66, 70, 75, 80, 85, 89, 93):
            await clock.at(percent, "goes on", lambda said: judged(said) == 3)
            with suppress(AssertionError):  # what is pulled or seen later needs the clock to move on
                await asyncio.to_thread(
                    until, "all see the end", lambda: all(clock.of(n)["executed"] for n in honest), patience=5
                )
                break
        assert [(clock.of(node)["votes"], clock.of(node)["executed"]) for node in honest] == [(1, 1)] * 3
        assert clock.of(cheater)["votes"] == 0
        assert (await chain.pool(cheater.known_id)).commission == 0
        for node in honest:
            assert (await chain.pool(node.known_id)).commission > 0
