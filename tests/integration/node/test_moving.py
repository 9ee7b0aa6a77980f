"""Shards follow the stake: nodes join, leave, die and are killed in the middle; each is a process of its own."""

import asyncio
import json
import os
import random
from contextlib import asynccontextmanager

import pytest
from tests.integration.node.world import N_SHARDS, WAL, until

from walrus_client import treasury
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.peers import PeerPool
from walrus_client.read import Reader
from walrus_client.store import Store, StoreOptions
from walrus_codec.quorum import max_faulty
from walrus_codec.types import Axis, EncodingType
from walrus_sui.keys import SuiKey
from walrus_sui.types import EpochPhase

pytestmark = pytest.mark.timeout(500)

SIZES = [0, 1, 700, 50_000, 200_000, 200_000]
EPOCH_MS = 3_600_000


@pytest.fixture(scope="module")
def network(make_network):
    changes = {"sync": {"stall_s": 4}, "recovery": {"grace_s": 1}}
    return make_network(4, spares=2, manual_ms=EPOCH_MS, changes=changes, seed="moving")


def is_settled(node, owned):
    """Active with exactly these shards, all of them Active, and nothing beside them but what is still locked."""
    status, text = node.get("/v1/info")
    if status != 200:
        return False  # it is being started again
    info = json.loads(text)
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


class Load:
    """Stores and reads all the time, as a gateway does; what it could not read, or read wrongly, is kept."""

    def __init__(self, reader, store):
        self.reader = reader
        self.store = store
        self.blobs = {}
        self.reads = 0
        self.failures = []

    @classmethod
    @asynccontextmanager
    async def on(cls, network, chain):
        key, compute = SuiKey.generate(), Compute(workers=1, inline_limit_s=1e9)
        await treasury.fund(chain, network.treasury, key.address, sui=10**10, wal=50 * WAL)
        committees = CommitteeTracker(chain, max_age_s=2.0)
        async with PeerPool() as peers:
            store = Store(chain, key, committees, peers, compute, default_encoding=EncodingType.ISAL)
            load = cls(Reader(committees, peers, compute), store)
            tasks = [asyncio.create_task(work()) for work in (load.write, load.read, load.read)]
            try:
                yield load
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await store.close()
                await compute.close()

    async def write(self):
        while True:
            content = os.urandom(random.choice([0, 500, 30_000, 150_000]))
            try:
                result = await self.store.store(content, StoreOptions(epochs=20, deletable=False))
            except Exception as error:
                self.failures.append(f"store: {error!r}")
                continue
            if hasattr(result, "blob"):
                self.blobs[result.blob.blob_id] = content
            await asyncio.sleep(0.2)  # the nodes need the processor too

    async def read(self):
        while True:
            if self.blobs:
                blob_id, content = random.choice(list(self.blobs.items()))
                await self.check(blob_id, content)
            await asyncio.sleep(0.1)

    async def check(self, blob_id, content):
        self.reads += 1
        try:
            found = (await self.reader.read(blob_id)).data
        except Exception as error:
            self.failures.append(f"read: {error!r}")
        else:
            if found != content:
                self.failures.append("read: other bytes")

    async def more(self, blobs):
        """Waits until so many more blobs were stored, and at least as often read."""
        stored, reads = len(self.blobs), self.reads
        async with asyncio.timeout(100):
            while len(self.blobs) < stored + blobs or self.reads < reads + blobs:  # noqa: ASYNC110 - the load rings no bell
                await asyncio.sleep(0.1)

    async def all_readable(self):
        for blob_id, content in list(self.blobs.items()):  # more come meanwhile
            await self.check(blob_id, content)
        assert self.failures == []


async def test_without_a_quorum_of_attestations_reads_and_writes_go_on_and_a_restarted_owner_ends_the_change(network):
    """The new owner of half of the shards waits for a previous owner that is dead, and is killed twice on the way."""
    async with network.chain() as chain:
        blobs = [await network.store(chain, os.urandom(200_000)) for _ in range(8)]
        view = await chain.staking()
        dead = next(node for node in network.nodes if len(network.shards_of(view, node)) == 2)
        (joined,) = network.spares
        joined.document["sync"] = {"stall_s": 600}  # it waits for longer than this test takes
        await network.join(chain, 700)
        dead.kill()
        before, view = view, await network.next_epoch(chain, done=False)
        gained = network.shards_of(view, joined)
        assert len(gained) > max_faulty(N_SHARDS)
        awaited = gained & network.shards_of(before, dead)
        assert awaited
        await asyncio.to_thread(until, "its transfers have begun", lambda: "ActiveSync" in joined.get("/v1/info")[1])
        joined.kill()
        joined.start()
        await asyncio.to_thread(until, "only the dead node's are missing", lambda: pending(joined) == awaited)
        async with Load.on(network, chain) as load:
            await load.more(5)
            assert load.failures == []
            view = await chain.staking()
            assert (view.epoch, view.epoch_state.phase) == (before.epoch + 1, EpochPhase.SYNC)
            assert pending(joined) == awaited
            # With less patience it takes from all what the dead one does not give.
            joined.kill()
            joined.document["sync"] = dead.document["sync"]
            joined.start()
            view = await network.until_epoch(chain, view.epoch)
        dead.start()
        await settled(network, view)
        await assert_all_hold(network, view, blobs)


def pending(node):
    """The shards that are still to come; None while the node starts."""
    status, text = node.get("/v1/info")
    shards = json.loads(text)["shards"] if status == 200 else []
    return {entry["shard"] for entry in shards if entry["status"] == "ActiveSync"} if shards else None


async def test_five_epochs_with_joins_and_leaves_under_load_lose_no_blob_and_fail_no_read(network):
    first, second = network.nodes[0], network.nodes[1]
    large = network.nodes[-1]
    async with network.chain() as chain, Load.on(network, chain) as load:
        steps = [
            lambda: network.withdraw(chain, first),
            lambda: network.withdraw(chain, large),
            lambda: network.stake(chain, 200, first),
            lambda: network.stake(chain, 250, large),
            lambda: network.withdraw(chain, second),
        ]
        for step in steps:
            await step()
            view = await network.next_epoch(chain)
            await settled(network, view)
            await load.more(3)
        await load.all_readable()
        print(f"{len(load.blobs)} blobs, {load.reads} reads")
    assert len({len(network.shards_of(view, node)) for node in network.nodes}) > 1


async def test_nodes_that_are_gone_for_good_are_replaced_by_recovery_and_again(network):
    async with network.chain() as chain:
        blobs = [
            await network.store(chain, os.urandom(size), nodes=network.members(await chain.staking())) for size in SIZES
        ]
        for _ in range(2):
            view = await chain.staking()
            gone = worth(network, view, max_faulty(N_SHARDS))
            for node in gone:
                node.kill()
            network.nodes = [node for node in network.nodes if node not in gone]
            for blob in blobs:
                assert await network.read(blob, nodes=network.members(view)) == blob.content
            await network.withdraw(chain, *gone)
            view = await network.next_epoch(chain)
            await settled(network, view)
            await assert_all_hold(network, view, blobs)
            assert sum(len(network.shards_of(view, node)) for node in network.nodes) == N_SHARDS
        assert any(node.info["sync"]["shards_given_up"] for node in network.nodes)


def worth(network, view, shards):
    """Members that hold as many shards as may be lost, or nearly so."""
    chosen, weight = [], 0
    for node in sorted(network.members(view), key=lambda node: -len(network.shards_of(view, node))):
        owned = len(network.shards_of(view, node))
        if weight + owned <= shards:
            chosen.append(node)
            weight += owned
    assert weight >= shards - 1
    return chosen
