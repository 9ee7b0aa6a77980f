"""A chain that keeps twenty seconds of its past: nodes that slept longer, or come new, take the others' records for it."""

import asyncio
import os

import pytest
from tests.integration.node.test_moving import assert_all_hold, settled
from tests.integration.node.world import until

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
        return (await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=20)).WhichOneof(
            "status"
        )


async def pruned_beyond(chain, cursor):
    async with asyncio.timeout(120):
        while (await chain.service_info()).lowest_available_checkpoint <= cursor + 1:  # noqa: ASYNC110 - no bell rings
            await asyncio.sleep(0.2)


async def test_a_node_that_slept_longer_than_the_chain_remembers_takes_the_others_records(network):
    async with network.chain() as chain:
        kept, gone = [await network.store(chain, os.urandom(50_000), deletable=d) for d in (False, True)]
        # The one that goes to sleep; a quorum stays.
        view = await chain.staking()
        sleeper = min(network.nodes, key=lambda node: len(network.shards_of(view, node)))
        awake = [node for node in network.nodes if node is not sleeper]
        cursor = sleeper.info["event_cursor"]
        sleeper.kill()
        await chain.delete_blobs(network.treasury, [gone.object_id])
        for _ in range(2):
            await network.next_epoch(chain)
        missed = [await network.store(chain, os.urandom(50_000), nodes=awake, deletable=d) for d in (False, True)]
        await pruned_beyond(chain, int(cursor))
        sleeper.start()
        view = await chain.staking()
        await settled(network, view)
        await assert_all_hold(network, view, [kept, *missed])
        assert [await status_of(sleeper, blob) for blob in (kept, gone, *missed)] == [
            await status_of(awake[0], blob) for blob in (kept, gone, *missed)
        ]
        assert "made anew" in sleeper.log.read_text()
        (cap,) = await chain.node_caps(sleeper.keys["sui"].address)
        await asyncio.to_thread(until, "it follows", lambda: int(sleeper.info["event_cursor"]) > int(cursor) + 400)

        # A node that comes to a chain without a beginning.
        await network.join(chain, 300)
        joined = network.nodes[-1]
        await asyncio.to_thread(until, "it is ready", joined.is_ready)
        assert joined.info["status"] == "Standby"
        assert "made anew" in joined.log.read_text()
        view = await network.next_epoch(chain)
        await settled(network, view)
        assert len(network.shards_of(view, joined)) >= 3
        await assert_all_hold(network, view, [kept, *missed])
        (cap,) = await chain.node_caps(joined.keys["sui"].address)
        assert cap.last_epoch_sync_done == view.epoch
