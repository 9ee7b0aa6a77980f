"""A refusal crosses gRPC unchanged, in unary and in streaming calls."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_proto.node.v1 import node_pb2, node_pb2_grpc

REFUSAL = RequestRefused(Reason.INVALID_EPOCH, "Ask again with epoch 7.", {"request_epoch": "6", "server_epoch": "7"})


class Node(node_pb2_grpc.StorageNodeServicer):
    async def GetInfo(self, request, context):
        await grpc_errors.abort(context, REFUSAL)

    async def GetSlivers(self, request, context):
        yield node_pb2.GetSliversResponse(data=b"x")
        await grpc_errors.abort(context, REFUSAL)

    async def StoreBlob(self, request_iterator, context):
        await anext(request_iterator)
        await grpc_errors.announce(context, REFUSAL)
        await grpc_errors.abort(context, REFUSAL)

    async def GetMetadata(self, request, context):
        await context.abort(grpc.StatusCode.INTERNAL, "not one of ours")


@pytest.fixture
async def stub():
    server = grpc.aio.server()
    node_pb2_grpc.add_StorageNodeServicer_to_server(Node(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield node_pb2_grpc.StorageNodeStub(channel)
    await server.stop(None)


def test_the_advice_when_to_ask_again_crosses_too():
    class Ended:
        def __init__(self, refusal):
            self.trailing_metadata = lambda: grpc_errors.to_status(refusal).trailing_metadata
            self.initial_metadata = lambda: None

    for advice in (None, 0.0, 1.5):
        refusal = RequestRefused(Reason.CACHE_SATURATED, "later", retry_after_s=advice)
        assert grpc_errors.refusal_of(Ended(refusal)).retry_after_s == advice


def assert_same(refusal: RequestRefused | None) -> None:
    assert refusal is not None
    assert (refusal.reason, refusal.message, refusal.metadata) == (REFUSAL.reason, REFUSAL.message, REFUSAL.metadata)


async def test_a_unary_refusal_arrives_with_reason_message_and_facts(stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetInfo(node_pb2.GetInfoRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert_same(grpc_errors.refusal_of(caught.value))


async def test_a_refusal_in_the_middle_of_a_stream_arrives_too(stub) -> None:
    call = stub.GetSlivers(node_pb2.GetSliversRequest(), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    assert_same(grpc_errors.refusal_of(caught.value))


async def test_an_error_of_another_origin_is_not_taken_for_a_refusal(stub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetMetadata(node_pb2.GetMetadataRequest(), timeout=5)
    assert grpc_errors.refusal_of(caught.value) is None


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_status_that_grpc_knows(reason: Reason) -> None:
    status = grpc_errors.to_status(RequestRefused(reason, "m"))
    assert status.code is not grpc.StatusCode.OK
    assert 400 <= reason.status.http < 600


async def test_a_sender_in_the_middle_of_much_hears_the_refusal_whatever_becomes_of_the_status(stub) -> None:
    async def requests():
        while True:
            yield node_pb2.StoreBlobRequest(data=bytes(1 << 20))

    for _ in range(30):  # the library loses the status of about every third
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.StoreBlob(requests(), timeout=20)
        assert caught.value.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL}
        assert_same(grpc_errors.refusal_of(caught.value))


def test_a_refusal_ahead_that_cannot_be_read_is_none() -> None:
    ahead = grpc.aio.Metadata(("walrus-refusal-bin", b"\xff"))
    error = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, ahead, grpc.aio.Metadata(), "lost")
    assert grpc_errors.refusal_of(error) is None
