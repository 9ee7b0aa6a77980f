"""The rest of the admin port: state, loops, faults, compaction, and requests that mean nothing."""

import asyncio
import contextlib

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from tests.unit.node.admin.world import (
    Administered,
    refusal,
    seconds,
)

from walrus_client.reasons import Reason
from walrus_node.loops import Wake
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.errors import ChainUnreachable


async def test_the_state_is_all_that_the_node_tells_elsewhere_and_more(node):
    async def nothing():
        pass

    node.passes.named("scrub", nothing, Wake())
    node.not_ready.append("it has a cold")
    state = await node.call("GetState")
    told = (await node.world.info.read()).to_json()
    fields = {field.name for field in state.info.DESCRIPTOR.fields}
    assert fields == told.keys()
    assert state.info == await node.world.stub.GetInfo(pb.GetInfoRequest(), timeout=20)
    assert (state.ready, list(state.not_ready), list(state.loops)) == (False, ["it has a cold"], ["scrub"])
    assert not state.HasField("drain")
    assert not state.HasField("fence")
    assert not state.faults_enabled
    assert MessageToDict(state.open_calls) == {}


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("Drain", {"timeout": seconds(3601)}),
        ("Drain", {"timeout": Duration(seconds=-1)}),
        ("Drain", {"hold": seconds(0.5)}),
        ("Drain", {"hold": seconds(86_401)}),
        ("Fence", {"why": ""}),
        ("Fence", {"why": "  "}),
        ("Fence", {"why": "x" * 501}),
        ("Fence", {"why": "two\nlines"}),
        ("Fence", {"why": "x", "grace": seconds(61)}),
        ("RunOnce", {"loop": "disk", "timeout": seconds(3601)}),
    ],
)
async def test_requests_that_mean_nothing_change_nothing(node, method, fields):
    assert (await refusal(node.call(method, **fields))).reason is Reason.MALFORMED_REQUEST
    assert (node.door.drain, node.door.fence, node.fence.read()) == (None, None, None)


async def test_faults_are_for_nodes_that_were_started_for_them(node, memory_storage, tmp_path):
    assert (await refusal(node.call("SetFaults", lines=["garbage"]))).reason is Reason.FAULTS_NOT_ENABLED
    node.service._faults = tmp_path / "faults"
    lines = ["GetBlobStatus equivocate", "drop 0.5", "honest"]
    await node.call("SetFaults", lines=lines)
    state = await node.call("GetState")
    assert state.faults_enabled
    assert list(state.faults) == lines
    for wrong in (["garbage", "nonsense"], ["drop 7"], ["drop 0.1\nlate 5"], ["x" * 201], ["garbage"] * 101):
        assert (await refusal(node.call("SetFaults", lines=wrong))).reason is Reason.MALFORMED_REQUEST
    assert list((await node.call("GetState")).faults) == lines
    await node.call("SetFaults")
    assert list((await node.call("GetState")).faults) == []


async def test_loops_make_a_pass_on_request(node):
    passes, wake, failing = [], Wake(), [None]

    async def work():
        passes.append(1)
        if failing[0] is not None:
            raise failing[0]

    loop = node.passes.named("collector", work, wake)

    async def turning():
        for _ in range(3):
            await wake.wait(30)
            with contextlib.suppress(ChainUnreachable):
                await loop()

    running = asyncio.create_task(turning())
    answer = await node.call("RunOnce", loop="collector")
    assert (answer.finished, answer.failure, len(passes)) == (True, "", 1)
    failing[0] = ChainUnreachable("the chain is away")
    answer = await node.call("RunOnce", loop="collector")
    assert (answer.finished, answer.failure, len(passes)) == (True, "the chain is away", 2)
    found = await refusal(node.call("RunOnce", loop="colector"))
    assert (found.reason, found.metadata) == (Reason.UNKNOWN_LOOP, {"known": "collector"})
    running.cancel()
    answer = await node.call("RunOnce", loop="collector", timeout=seconds(0.05))
    assert not answer.finished


async def test_what_waits_too_long_for_the_disk_is_said_to_be_unavailable(node, memory_storage, monkeypatch):
    async def hang():
        raise TimeoutError

    monkeypatch.setattr(memory_storage, "size", hang)
    found = await refusal(node.call("Compact"))
    assert (found.reason, found.message) == (Reason.UNAVAILABLE, "it took too long")


async def test_a_compaction_gives_space_back_and_is_shared(storage, tmp_path):
    node = await Administered(storage, tmp_path / "node").start()
    first, second = await asyncio.gather(node.call("Compact"), node.call("Compact"))
    assert first == second
    assert first.bytes_before > 0
    assert first.bytes_after > 0
    await node.stop()
