"""A fence: everybody is turned away, also after restarts, until it is taken back."""

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
    METADATA,
    until,
)

from walrus_client.reasons import Reason
from walrus_node.errors import DiskError
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.fence import FenceFile
from walrus_node.rpc.server import SERVICE_NAME
from walrus_proto.node.v1 import node_pb2 as pb


async def test_a_fence_turns_everybody_away_and_outlives_the_process(node):
    async with uploading(node) as (_go_on, upload):
        node.world.now_ms[0] = 5_000
        answer = await node.call("Fence", why="its disk is being copied")
        assert not answer.was_fenced
        assert answer.open_calls.stores == 1
        found = await refusal(upload)
        assert found.reason is Reason.NODE_FENCED
        assert "its disk is being copied" in found.message
    await until(lambda: node.door.open_calls.quiet)
    stub = node.world.stub
    for method in pb.DESCRIPTOR.services_by_name["StorageNode"].methods:
        call = getattr(stub, method.name)
        request = getattr(pb, method.input_type.name)()
        made = call(iter([request]) if method.client_streaming else request, timeout=20)
        found = await refusal(last_of(made) if method.server_streaming else made)
        assert found.reason is Reason.NODE_FENCED, method.name
    state = await node.call("GetState")
    assert (state.fence.why, state.fence.since_ms) == ("its disk is being copied", 5_000)
    assert list(state.not_ready) == ["the node is fenced"]

    node.world.now_ms[0] = 9_000
    assert (await node.call("Fence", why="still")).was_fenced
    again = Door(SERVICE_NAME, fence=FenceFile(node.folder / "data" / "fence.json").read())
    assert (again.fence.why, again.fence.since_ms) == ("still", 5_000)
    assert (await node.call("Unfence")).was_fenced
    assert not (await node.call("Unfence")).was_fenced
    assert node.fence.read() is None
    assert (await stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB), timeout=20)).metadata == METADATA


@pytest.mark.parametrize("taken_back", [False, True])
async def test_calls_that_are_under_way_may_have_a_grace_and_stay_when_the_fence_goes(node, taken_back):
    async with uploading(node) as (go_on, upload):
        await node.call("Fence", why="soon", grace=seconds(60))
        (patience,) = node.door._patience
        assert 0 < patience.when() - asyncio.get_running_loop().time() <= 60
        if taken_back:
            await node.call("Unfence")
            assert patience.when() is None
        go_on.set()
        assert (await upload).WhichOneof("outcome") == "confirmation"


async def test_a_fence_that_the_disk_does_not_take_holds_until_a_restart(node, monkeypatch):
    def fails(_fence):
        raise DiskError("no space left")

    monkeypatch.setattr(node.fence, "write", fails)
    found = await refusal(node.call("Fence", why="broken"))
    assert found.reason is Reason.UNAVAILABLE
    assert "no space left" in found.message
    assert (await refusal(node.world.stub.GetInfo(pb.GetInfoRequest(), timeout=20))).reason is Reason.NODE_FENCED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"since_ms": 1}', b"\xff", b'{"since_ms": "x", "why": "y"}'])
def test_a_fence_that_cannot_be_read_is_one(tmp_path, content):
    path = tmp_path / "fence.json"
    path.write_bytes(content)
    assert "cannot be read" in FenceFile(path).read().why
