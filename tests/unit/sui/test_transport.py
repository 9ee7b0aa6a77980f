"""The transport against small gRPC servers: each of pysui's ways to fail becomes one of ours."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import grpc.aio
import pytest

from walrus_proto.sui.rpc.v2 import (
    checkpoint_pb2,
    effects_pb2,
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    subscription_service_pb2,
    subscription_service_pb2_grpc,
    transaction_execution_service_pb2,
    transaction_execution_service_pb2_grpc,
)
from walrus_sui.client.transport import Transport
from walrus_sui.errors import (
    ChainTimeout,
    ChainUnreachable,
    MalformedChainData,
    NetworkConfigError,
    ObjectNotFound,
    RequestRefused,
)


class Ledger(ledger_service_pb2_grpc.LedgerServiceServicer):
    def __init__(self):
        self.code, self.calls, self.metadata = grpc.StatusCode.OK, 0, {}

    async def GetServiceInfo(self, request, context):
        self.calls += 1
        self.metadata = dict(context.invocation_metadata())
        if self.code is not grpc.StatusCode.OK:
            await context.abort(self.code, "because")
        return ledger_service_pb2.GetServiceInfoResponse(chain_id="abc", checkpoint_height=7)

    async def GetTransaction(self, request, context):
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown digest")

    async def GetCheckpoint(self, request, context):
        return ledger_service_pb2.GetCheckpointResponse(checkpoint=checkpoint_pb2.Checkpoint(sequence_number=1))


class Subscriptions(subscription_service_pb2_grpc.SubscriptionServiceServicer):
    end = grpc.StatusCode.OK

    async def SubscribeCheckpoints(self, request, context):
        event = effects_pb2.Event(event_type="0x2::events::EpochChangeStart")
        event.contents.value = b"\1\0\0\0"
        good = effects_pb2.ExecutedTransaction(digest="good")
        good.effects.status.success = True
        good.events.events.append(event)
        bad = effects_pb2.ExecutedTransaction(digest="bad")
        bad.effects.status.success = False
        checkpoint = checkpoint_pb2.Checkpoint(sequence_number=5, digest="cp", transactions=[good, bad])
        checkpoint.summary.timestamp.FromMilliseconds(1_700_000_000_123)
        yield subscription_service_pb2.SubscribeCheckpointsResponse(cursor=5, checkpoint=checkpoint)
        if self.end is not grpc.StatusCode.OK:
            await context.abort(self.end, "enough")


class Execution(transaction_execution_service_pb2_grpc.TransactionExecutionServiceServicer):
    def __init__(self, answer):
        self.answer = answer

    async def ExecuteTransaction(self, request, context):
        assert request.transaction.bcs.value == b"tx"
        assert request.signatures[0].bcs.value == b"sig"
        return transaction_execution_service_pb2.ExecuteTransactionResponse(transaction=self.answer)


@asynccontextmanager
async def serving(*, ledger=None, subscriptions=None, execution=None) -> AsyncIterator[str]:
    server = grpc.aio.server()
    if ledger:
        ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, server)
    if subscriptions:
        subscription_service_pb2_grpc.add_SubscriptionServiceServicer_to_server(subscriptions, server)
    if execution:
        transaction_execution_service_pb2_grpc.add_TransactionExecutionServiceServicer_to_server(execution, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def connected(url: str, **options) -> AsyncIterator[Transport]:
    transport = Transport(url, **options)
    try:
        yield transport
    finally:
        await transport.close()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.NOT_FOUND, ObjectNotFound),
        (grpc.StatusCode.DEADLINE_EXCEEDED, ChainTimeout),
        (grpc.StatusCode.UNAVAILABLE, ChainUnreachable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ChainUnreachable),
        (grpc.StatusCode.INTERNAL, ChainUnreachable),
        (grpc.StatusCode.UNKNOWN, ChainUnreachable),
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRefused),
        (grpc.StatusCode.FAILED_PRECONDITION, RequestRefused),
        (grpc.StatusCode.UNIMPLEMENTED, RequestRefused),
    ],
)
async def test_each_status_becomes_one_of_our_errors(code: grpc.StatusCode, error: type[Exception]) -> None:
    ledger = Ledger()
    ledger.code = code
    async with serving(ledger=ledger) as url, connected(url) as transport:
        with pytest.raises(error, match="because") as caught:
            await transport.service_info()
        assert type(caught.value) is error
        ledger.code = grpc.StatusCode.OK
        assert (await transport.service_info()).chain_id == "abc"


async def test_nobody_there_is_unreachable_and_certainly_not_sent(unused_tcp_port: int) -> None:
    async with connected(f"http://127.0.0.1:{unused_tcp_port}") as transport:
        with pytest.raises(ChainUnreachable) as caught:
            await transport.service_info()
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_silence_is_a_timeout_and_the_connection_is_not_used_again() -> None:
    connections: list[asyncio.Task[None]] = []

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.append(task)
        with suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connected(f"http://127.0.0.1:{port}", timeout=0.2) as transport:
        for _ in range(2):
            with pytest.raises(ChainTimeout, match=r"within 0\.2 s"):
                await transport.service_info()
        assert len(connections) == 2
    await asyncio.wait_for(asyncio.gather(*connections), 5)


async def test_a_server_without_tls_and_a_foreign_root_are_unreachable() -> None:
    async with serving(ledger=Ledger()) as url, connected(url.replace("http:", "https:")) as transport:
        with pytest.raises(ChainUnreachable) as caught:
            await transport.service_info()
        assert isinstance(caught.value.__cause__, ssl.SSLError | OSError | None)


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://x:1", "http://", ""])
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    async def make() -> None:
        Transport(url)

    with pytest.raises(NetworkConfigError, match="rpc_url"):
        asyncio.run(make())


async def test_an_unknown_transaction_is_none_and_an_incomplete_answer_is_malformed() -> None:
    async with serving(ledger=Ledger()) as url, connected(url) as transport:
        assert await transport.transaction("digest") is None
        with pytest.raises(MalformedChainData, match="lacks the checkpoint summary"):
            await transport.checkpoint(1)


async def test_the_stream_carries_events_of_successful_transactions_and_never_just_ends() -> None:
    subscriptions = Subscriptions()
    for end, error in (
        (grpc.StatusCode.OK, ChainUnreachable),
        (grpc.StatusCode.UNAVAILABLE, ChainUnreachable),
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRefused),
    ):
        subscriptions.end = end
        async with serving(subscriptions=subscriptions) as url, connected(url) as transport:
            frames = transport.subscribe()
            frame = await anext(frames)
            assert (frame.sequence, frame.timestamp_ms) == (5, 1_700_000_000_123)
            wide = "0x" + "2".rjust(64, "0")
            assert [(d, [(e.type, e.contents) for e in es]) for d, es in frame.transactions] == [
                ("good", [(f"{wide}::events::EpochChangeStart", b"\1\0\0\0")])
            ]
            with pytest.raises(error):
                await anext(frames)


async def test_a_service_that_does_not_exist_is_refused() -> None:
    async with serving(ledger=Ledger()) as url, connected(url) as transport:
        with pytest.raises(RequestRefused, match="UNIMPLEMENTED"):
            await anext(transport.subscribe())


async def test_a_dead_server_ends_the_stream_and_the_next_call_finds_the_new_one(unused_tcp_port: int) -> None:
    class Endless(Subscriptions):
        async def SubscribeCheckpoints(self, request, context):
            async for frame in super().SubscribeCheckpoints(request, context):
                yield frame
            await asyncio.Event().wait()

    async def server():
        made = grpc.aio.server()
        subscription_service_pb2_grpc.add_SubscriptionServiceServicer_to_server(Endless(), made)
        ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(Ledger(), made)
        made.add_insecure_port(f"127.0.0.1:{unused_tcp_port}")
        await made.start()
        return made

    first = await server()
    async with connected(f"http://127.0.0.1:{unused_tcp_port}", timeout=2) as transport:
        frames = transport.subscribe()
        await anext(frames)
        await first.stop(0)
        with pytest.raises(ChainUnreachable):
            await asyncio.wait_for(anext(frames), 5)
        second = await server()
        assert (await transport.service_info()).checkpoint_height == 7
        await second.stop(0)


async def test_a_lost_connection_leaves_no_cancellation_behind() -> None:
    """grpclib wakes those who wait on a lost connection by cancelling them; the caller's task must not remember it."""

    class Endless(Subscriptions):
        async def SubscribeCheckpoints(self, request, context):
            async for frame in super().SubscribeCheckpoints(request, context):
                yield frame
            await asyncio.sleep(60)

    task = asyncio.current_task()
    assert task is not None
    async with serving(subscriptions=Endless()) as url, connected(url) as transport:
        frames = transport.subscribe()
        await anext(frames)
        asyncio.get_running_loop().call_later(0.1, transport._client._channel._protocol.connection._transport.abort)
        with pytest.raises(ChainUnreachable):
            await anext(frames)
    assert task.cancelling() == 0


async def test_effects_are_read_whole() -> None:
    answer = effects_pb2.ExecutedTransaction(digest="d")
    answer.effects.status.success = False
    answer.effects.status.error.command = 1
    answer.effects.status.error.abort.abort_code = 5
    answer.effects.status.error.abort.location.module = "blob"
    answer.effects.status.error.abort.location.function_name = "certify"
    answer.effects.gas_used.computation_cost = 10
    answer.effects.gas_used.storage_cost = 5
    answer.effects.gas_used.storage_rebate = 3
    answer.effects.gas_object.object_id = "0x9"
    change = answer.effects.changed_objects.add(
        object_id="0x9",
        output_state="OUTPUT_OBJECT_STATE_OBJECT_WRITE",
        output_version=4,
        output_digest="dd",
        id_operation="NONE",
        object_type="0x2::coin::Coin<0x2::sui::SUI>",
    )
    change.output_owner.kind = 1
    change.output_owner.address = "0x5"
    async with serving(execution=Execution(answer)) as url, connected(url) as transport:
        executed = await transport.execute(b"tx", b"sig")
    assert executed.failure is not None
    assert (executed.failure.module, executed.failure.function, executed.failure.code) == ("blob", "certify", 5)
    assert (executed.gas_cost, executed.failure.command) == (12, 1)
    assert executed.gas_object_id == "0x" + "9".rjust(64, "0")
    (item,) = executed.changed
    assert item.ref is not None
    assert (item.created, item.ref.version, item.owner) == (False, 4, "0x" + "5".rjust(64, "0"))
