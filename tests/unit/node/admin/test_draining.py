"""A drain: what begins no more, what goes on, who is told when, and how it ends."""

import asyncio

import pytest
from tests.unit.node.admin.world import (
    last_of,
    refusal,
    seconds,
    uploading,
)
from tests.unit.node.face.world import (
    BLOB,
    EPOCH,
    METADATA,
    PAIRS,
    PERMANENT,
    both,
    header,
    parts,
    until,
)

from walrus_client.reasons import Reason
from walrus_node.rpc.admin import servicer
from walrus_proto.admin.v1 import admin_pb2
from walrus_proto.node.v1 import node_pb2 as pb


async def test_a_drain_begins_nothing_serves_reads_and_ends_when_nothing_is_under_way(node):
    stub = node.world.stub
    async with uploading(node) as (go_on, upload):
        node.attempts.attempts = 2
        early = await node.call("Drain", timeout=seconds(0.05))
        assert not early.quiet
        assert (early.open_calls.stores, early.open_calls.own_challenges) == (1, 2)
        assert node.attempts.paused
        state = await node.call("GetState")
        assert list(state.not_ready) == ["the node drains"]
        assert not state.drain.quiet
        assert state.drain.until_ms - state.drain.since_ms == 600_000

        query = pb.SyncShardRequest(body=b"", envelope=pb.Envelope())
        refused = [
            stub.StoreBlob(iter([header(), *parts(both(PAIRS))]), timeout=20),
            stub.StoreMetadata(pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH), timeout=20),
            stub.StoreSliver(iter([pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=BLOB))]), timeout=20),
            last_of(stub.SyncShard(query, timeout=20)),
            last_of(stub.ListRecords(pb.ListRecordsRequest(), timeout=20)),
            last_of(stub.Challenge(iter([pb.ChallengeRequest()]), timeout=20)),
        ]
        for call in refused:
            found = await refusal(call)
            assert found.reason is Reason.NODE_DRAINING
            assert found.retry_after_s is not None
        assert (await stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB), timeout=20)).metadata == METADATA
        await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB), timeout=20)

        waiting = asyncio.ensure_future(node.call("Drain", timeout=seconds(15)))
        go_on.set()
        assert (await upload).WhichOneof("outcome") == "confirmation"
        await until(lambda: node.door.open_calls.quiet)
        assert not waiting.done()
        node.attempts.attempts = 0
        node.attempts.over.set()
        answer = await waiting
        assert (answer.quiet, answer.resumed) == (True, False)
    confirm = pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)
    assert (await stub.GetConfirmation(confirm, timeout=20)).confirmation.message
    assert (await node.call("GetState")).drain.quiet

    assert (await node.call("Resume")).was_draining
    assert not (await node.call("Resume")).was_draining
    assert not node.attempts.paused
    assert (await node.call("GetState")).ready
    answer = await stub.StoreBlob(iter([header(), *parts(both(PAIRS))]), timeout=20)
    assert answer.WhichOneof("outcome") == "confirmation"


async def test_a_drain_that_nobody_follows_up_ends_by_itself(node):
    assert (await node.call("Drain", hold=seconds(60))).quiet
    since = node.door.drain.since_ms
    node.world.now_ms[0] += 5_000
    await node.call("Drain", hold=seconds(3600), timeout=seconds(0))
    assert (node.door.drain.since_ms, node.door.drain.until_ms) == (since, since + 5_000 + 3_600_000)
    await node.call("Drain", hold=seconds(1), timeout=seconds(0))
    await until(lambda: node.door.drain is None)
    assert node.attempts.resumed == 1
    assert (await node.call("GetState")).ready


async def test_whoever_waits_for_a_drain_hears_that_it_was_taken_back(node):
    async with uploading(node):
        waiting = asyncio.ensure_future(node.call("Drain", timeout=seconds(15)))
        await until(lambda: node.door.drain is not None)
        assert (await node.call("Resume")).was_draining
        answer = await waiting
        assert (answer.quiet, answer.resumed) == (False, True)


@pytest.mark.parametrize(
    ("asked", "left", "waits"), [(None, None, 30), (None, 20.0, 19.5), (3000, 20.0, 19.5), (5, 20.0, 5), (5, 0.2, 0)]
)
def test_a_wait_ends_before_the_deadline_of_its_caller(asked, left, waits):
    class Context:
        def time_remaining(self):
            return left

    for kind in (admin_pb2.DrainRequest, admin_pb2.RunOnceRequest):
        request = kind() if asked is None else kind(timeout=seconds(asked))
        assert servicer._wait_s(request, Context()) == waits
