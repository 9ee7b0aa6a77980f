"""Whatever bytes arrive, a status goes back: no exception that nobody expected, no memory that stays taken."""

import asyncio
import contextlib
import os
import random
import socket
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass

from walrus_proto.sui.rpc.v2 import (
    ledger_service_pb2,
    move_package_service_pb2,
    state_service_pb2,
    subscription_service_pb2,
    transaction_execution_service_pb2,
)

SEED = int(os.environ.get("CRASH_SEED", "5"))
METHODS = [
    (service.full_name, method)
    for module in (
        ledger_service_pb2,
        state_service_pb2,
        move_package_service_pb2,
        transaction_execution_service_pb2,
        subscription_service_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
IDS = [method.name for _, method in METHODS]
MAX_RSS_KB = 1_100_000  # half of what the requests of the memory test would take if they were kept


@pytest.fixture(autouse=True)
def _nothing_unexpected(devnet):
    """After each test the devnet is alive and has logged no error of its own."""
    yield
    assert devnet.http("/livez")[0] == 200
    log = devnet.log.read_text()
    assert "unexpected error" not in log
    assert "Traceback" not in log


async def call(client, service, method, data):
    """Sends raw bytes; gives the status, OK for an answer or the first message of a stream, UNKNOWN for long details."""
    path = f"/{service}/{method.name}"
    try:
        async with asyncio.timeout(20):
            if method.server_streaming:
                stream = client.channel.unary_stream(path)(data)
                with contextlib.suppress(StopAsyncIteration):
                    await anext(aiter(stream))
                stream.cancel()
            else:
                await client.channel.unary_unary(path)(data, timeout=15)
    except grpc.aio.AioRpcError as error:
        return error.code() if len(error.details() or "") < 1000 else grpc.StatusCode.UNKNOWN
    return grpc.StatusCode.OK


def filled(message, rng, depth=0):
    """A message with all its fields set to something, often to something absurd."""
    texts = ["", "0x2", "0x" + "f" * 64, "*", "a.b.c", "0x2::coin::Coin<0x2::sui::SUI>", "é" * 5, "::", "vector<" * 40]
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.4:
            continue
        kind, many = field.cpp_type, field.is_repeated
        for _ in range(rng.randrange(1, 4) if many else 1):
            if kind == field.CPPTYPE_MESSAGE:
                if depth < 5 and not field.message_type.GetOptions().map_entry:
                    target = getattr(message, field.name)
                    filled(target.add() if many else target, rng, depth + 1)
                continue
            value = {
                field.CPPTYPE_STRING: lambda: rng.choice(texts),
                field.CPPTYPE_BOOL: lambda: rng.random() < 0.5,
                field.CPPTYPE_ENUM: lambda field=field: rng.choice(field.enum_type.values).number,
                field.CPPTYPE_DOUBLE: lambda: rng.choice([0.0, -1e300, float("nan")]),
                field.CPPTYPE_FLOAT: lambda: 1.0,
            }.get(kind, lambda: rng.choice([0, 1, 7, 2**31 - 1]))()
            if field.type == field.TYPE_BYTES:
                value = rng.randbytes(rng.choice([0, 1, 32, 97, 300]))
            if many:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


@pytest.mark.parametrize(("service", "method"), METHODS, ids=IDS)
async def test_garbage_gets_a_status(client, service, method):
    rng = random.Random(SEED)
    for size in (0, 1, 2, 5, 20, 200, 5000):
        code = await call(client, service, method, rng.randbytes(size))
        assert code is not grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize(("service", "method"), METHODS, ids=IDS)
async def test_absurd_and_damaged_messages_get_a_status(client, service, method):
    rng = random.Random(SEED)
    request = GetMessageClass(method.input_type)
    seen = set()
    for _ in range(40):
        data = bytearray(filled(request(), rng).SerializeToString())
        seen.add(await call(client, service, method, bytes(data)))
        if data:
            for _ in range(rng.randrange(1, 4)):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            seen.add(await call(client, service, method, bytes(data[: rng.randrange(1, len(data) + 1)])))
    assert not seen & {grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.mark.parametrize(
    "text", ["0x" + "f" * 200_000, "vector<" * 100_000, "a" * 1_000_000, "0x2::" + "x" * 100_000, "," * 50_000]
)
async def test_huge_texts_are_refused_shortly(client, tools, text):
    for request, run in (
        (ledger_service_pb2.GetObjectRequest(object_id=text), client.ledger.GetObject),
        (ledger_service_pb2.GetTransactionRequest(digest=text), client.ledger.GetTransaction),
        (ledger_service_pb2.GetObjectRequest(object_id="0x6", read_mask=tools.mask(text)), client.ledger.GetObject),
        (state_service_pb2.GetBalanceRequest(owner="0x1", coin_type=text), client.state.GetBalance),
        (state_service_pb2.ListOwnedObjectsRequest(owner="0x1", object_type=text), client.state.ListOwnedObjects),
        (move_package_service_pb2.GetFunctionRequest(package_id=text), client.packages.GetFunction),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await run(request, timeout=20)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert len(caught.value.details()) < 1000


async def test_page_tokens_of_nobody_are_refused(client):
    rng = random.Random(SEED)
    for size in (1, 16, 17, 48, 100_000):
        for request, run in (
            (state_service_pb2.ListOwnedObjectsRequest(owner="0x1"), client.state.ListOwnedObjects),
            (state_service_pb2.ListDynamicFieldsRequest(parent="0x1"), client.state.ListDynamicFields),
            (state_service_pb2.ListBalancesRequest(owner="0x1"), client.state.ListBalances),
        ):
            request.page_token = rng.randbytes(size)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await run(request, timeout=20)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "page_token" in caught.value.details()


async def test_memory_stays_bounded(devnet, client):
    """Large requests, as many as may be under way at once, leave nothing behind."""
    execution = "sui.rpc.v2.TransactionExecutionService"
    method = transaction_execution_service_pb2.DESCRIPTOR.services_by_name["TransactionExecutionService"].methods[0]

    def megabytes(size):
        request = transaction_execution_service_pb2.ExecuteTransactionRequest()
        request.transaction.bcs.value = bytes(size)
        request.signatures.add().bcs.value = bytes(97)
        return request.SerializeToString()

    assert await call(client, execution, method, megabytes(5_000_000)) is grpc.StatusCode.RESOURCE_EXHAUSTED
    large, codes = megabytes(3_900_000), []
    for _ in range(70):
        codes += await asyncio.gather(*(call(client, execution, method, large) for _ in range(8)))
    assert set(codes) == {grpc.StatusCode.INVALID_ARGUMENT}
    assert rss_kb(devnet) < MAX_RSS_KB


def rss_kb(devnet):
    lines = Path(f"/proc/{devnet.process.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def test_what_is_no_protocol_is_dropped(devnet, client):
    rng = random.Random(SEED)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for port in ("rpc_port", "tls_port", "faucet_port"):
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n", preface + rng.randbytes(300), rng.randbytes(3000), preface):
            with socket.create_connection(("127.0.0.1", devnet.endpoints[port]), timeout=10) as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
    assert (await client.info()).chain_id == devnet.endpoints["chain_id"]
