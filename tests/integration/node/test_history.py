"""A chain that keeps twenty seconds of its past: nodes that slept longer, or come new, take the others' records for it."""

import asyncio
import os
import shutil
from dataclasses import replace

import pytest
from tests.integration.node.test_moving import assert_all_hold, settled
from tests.integration.node.world import until

from walrus_codec.types import Epoch
from walrus_node.store import layout
from walrus_node.store.blob_records import ObjectInfo
from walrus_node.store.kv import Batch
from walrus_node.store.rocks import RocksStore
from walrus_proto.node.v1 import node_pb2 as pb

pytestmark = pytest.mark.timeout(400)

EPOCH_MS = 3_600_000
KEPT = {"checkpoints": 400, "object_versions": 400}


@pytest.fixture(scope="module")
def network(make_network):
    changes = {"sync": {"stall_s": 4}, "recovery": {"grace_s": 1}}
    return make_network(
        4, spares=1, manual_ms=EPOCH_MS, changes=changes, seed="history", retention=KEPT, checkpoint_interval_ms=50
    )


async def status_of(node, blob):
    async with node.stub() as stub:
        return await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=20)


async def pruned_beyond(chain, cursor):
    async with asyncio.timeout(120):
        while (await chain.service_info()).lowest_available_checkpoint <= cursor + 1:  # noqa: ASYNC110 - no bell rings
            await asyncio.sleep(0.2)


async def took_over(network, chain, node, *, times=1):
    """Waits until a node has made its records anew and is whole with what the chain gives to it."""
    await asyncio.to_thread(
        until, f"{node.name} has made its records anew", lambda: node.log.read_text().count("made anew") >= times
    )
    view = await chain.staking()
    await settled(network, view)
    return view


def lie(node, hidden, changed):
    """Makes a stopped node's records of objects wrong: one is missing, one ends later, one was never made."""
    kv, batch = RocksStore(node.folder / "data" / "db"), Batch()
    batch.delete(layout.OBJECT_INFO, layout.object_key(hidden.object_id))
    key = layout.object_key(changed.object_id)
    info = ObjectInfo.from_bytes(kv.get(layout.OBJECT_INFO, key))
    batch.put(layout.OBJECT_INFO, key, replace(info, end_epoch=Epoch(99)).to_bytes())
    batch.put(layout.OBJECT_INFO, bytes(32), replace(info, blob_id=bytes(32)).to_bytes())
    kv.write(batch)
    kv.close()


async def test_nodes_that_the_chain_has_forgotten_take_the_others_records(network):
    async with network.chain() as chain:
        kept, gone, long = [
            await network.store(chain, os.urandom(50_000), deletable=deletable) for deletable in (False, True, False)
        ]
        # The one that goes to sleep, so that a quorum stays; and of those a liar, who has no more than f shards.
        view = await chain.staking()
        sleeper, *awake = sorted(network.nodes, key=lambda node: len(network.shards_of(view, node)))
        liar, honest = awake[-1], awake[0]
        assert len(network.shards_of(view, liar)) == 3
        cursor = int(sleeper.info["event_cursor"])
        sleeper.kill()
        liar.stop()
        lie(liar, kept, long)
        liar.start()
        await asyncio.to_thread(until, "the liar is back", liar.is_ready)
        await chain.delete_blobs(network.treasury, [gone.object_id])
        for _ in range(2):
            await network.next_epoch(chain)
        missed = [
            await network.store(chain, os.urandom(50_000), nodes=awake, deletable=deletable)
            for deletable in (False, True)
        ]
        blobs = [kept, long, *missed]
        await pruned_beyond(chain, cursor)
        sleeper.start()
        view = await took_over(network, chain, sleeper)
        await assert_all_hold(network, view, blobs)
        for blob in (kept, gone, long, *missed):
            assert await status_of(sleeper, blob) == await status_of(honest, blob)
        (cap,) = await chain.node_caps(sleeper.keys["sui"].address)
        assert cap.last_epoch_sync_done == view.epoch

        # A node that comes to a chain without a beginning; then one of the others loses its disk.
        await network.join(chain, 300)
        joined = network.nodes[-1]
        await asyncio.to_thread(until, "it is ready", joined.is_ready)
        assert joined.info["status"] == "Standby"
        assert "made anew" in joined.log.read_text()
        await network.next_epoch(chain)
        honest.kill()
        shutil.rmtree(honest.folder / "data")
        honest.start()
        view = await took_over(network, chain, honest)
        assert len(network.shards_of(view, joined)) >= 3
        await assert_all_hold(network, view, blobs)
        for node in (joined, honest):
            (cap,) = await chain.node_caps(node.keys["sui"].address)
            assert cap.last_epoch_sync_done == view.epoch
        # What is written from now on reaches all of them.
        blobs.append(await network.store(chain, os.urandom(50_000), nodes=network.members(view)))
        await assert_all_hold(network, view, blobs)
