"""What the gateway refuses or gives up, in the form that the official services have, and what goes on without the chain."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import BLOB, ID, Gateway, config, envelope, serve
from tests.unit.client.worlds import until

from walrus_client.gateway.app import build_api, build_metrics
from walrus_client.gateway.body import Pace
from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.gateway.services import Connector
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType
from walrus_sui.keys import SuiKey


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("PUT", "/v1/blobs?permanant=true", 400, "MALFORMED_REQUEST"),
        ("PUT", "/v1/blobs?epochs=0", 400, "MALFORMED_REQUEST"),
        ("PUT", "/v1/blobs?permanent=true&deletable=true", 400, "INVALID_BLOB_PERSISTENCE"),
        ("GET", "/v1/blobs/short", 400, "MALFORMED_REQUEST"),
        ("GET", f"/v1/blobs/{ID}?x=1", 400, "MALFORMED_REQUEST"),
        ("GET", f"/v1/blobs/{ID}?strict_consistency_check=true&skip_consistency_check=true", 400, "MALFORMED_REQUEST"),
        ("GET", f"/v1/blobs/{ID}", 404, "BLOB_NOT_FOUND"),
        ("GET", "/v1/nothing", 404, "ROUTE_NOT_FOUND"),
        ("GET", "/", 404, "ROUTE_NOT_FOUND"),
        ("POST", "/v1/blobs", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", f"/v1/blobs/{ID}", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/status?x=1", 400, "MALFORMED_REQUEST"),
    ],
)
async def test_bad_requests_get_the_envelope(gateway: Gateway, method: str, path: str, code: int, reason: str) -> None:
    async with gateway.session.request(method, path) as response:
        await envelope(response, code, reason)
    if code == 405:
        assert "Allow" in response.headers
    assert gateway.world.chain.transactions == []


@pytest.mark.parametrize("how", ["declared", "chunked"])
async def test_a_body_above_the_limit_is_refused_with_the_limit(world: World, how: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield BLOB

    async for gateway in serve(world, config(max_body_size=50_000)):
        data: Any = pieces() if how == "chunked" else BLOB * 2
        async with gateway.session.put("/v1/blobs", data=data) as response:
            error = await envelope(response, 413, "BODY_TOO_LARGE")
        assert error["details"][0]["metadata"] == {"limit": "50000"}
        assert "50000 bytes" in error["message"]


async def test_a_declared_length_is_refused_before_the_body_is_sent(gateway: Gateway) -> None:
    limit = CodeParams(10, EncodingType.ISAL).max_blob_size
    for expect in ("", "Expect: 100-continue\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        head = f"PUT /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: {limit + 1}\r\n{expect}\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(10):
            assert b"413" in await reader.readline()
            headers = await reader.readuntil(b"\r\n\r\n")
            length = int(headers.lower().partition(b"content-length: ")[2].split()[0])
            body = await reader.readexactly(length)
        assert json.loads(body)["error"]["details"][0]["metadata"] == {"limit": str(limit)}
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_waits_for_the_go_gets_it(gateway: Gateway) -> None:
    async with gateway.session.put("/v1/blobs", data=BLOB, expect100=True) as response:
        assert response.status == 200


async def test_a_busy_gateway_says_so(world: World) -> None:
    stall = asyncio.Event()
    async for gateway in serve(world, config(memory=1 << 20, admission_wait_s=0.1)):
        world.chain.register_delay = stall
        first = asyncio.create_task(gateway.session.put("/v1/blobs", data=BLOB * 5))
        await until(lambda: world.chain.transactions)
        async with gateway.session.put("/v1/blobs", data=BLOB * 5) as response:
            await envelope(response, 429, "TOO_MANY_BYTES_IN_FLIGHT")
            assert response.headers["Retry-After"]
        stall.set()
        async with await first as response:
            assert response.status == 200
        async with gateway.session.put("/v1/blobs", data=BLOB * 5) as response:
            assert response.status == 200


async def test_a_body_that_stalls_is_given_up(world: World) -> None:
    async for gateway in serve(world, config(body_stall_s=0.2)):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"PUT /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        async with asyncio.timeout(10):
            assert b"408" in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_trickles_is_given_up_though_it_never_stalls(world: World) -> None:
    async for gateway in serve(world, config(body_stall_s=0.5, slowest_bytes_per_s=1000)):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"PUT /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        answer = asyncio.create_task(reader.readline())
        async with asyncio.timeout(30):
            while not answer.done():
                writer.write(b"x")
                await asyncio.wait([answer], timeout=0.02)
        assert b"408" in await answer
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        async with gateway.session.put("/v1/blobs", data=BLOB) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("received", "waited_s", "patience_s"),
    [(0, 0.0, 10.0), (0, 4.0, 6.0), (1000, 4.0, 7.0), (5000, 4.0, 10.0), (1000, 11.0, 0.0), (1000, 12.0, -1.0)],
)
def test_a_slow_sender_has_as_much_time_as_it_has_earned(received: int, waited_s: float, patience_s: float) -> None:
    assert Pace(stall_s=10.0, slowest_bytes_per_s=1000).patience_s(received, waited_s) == patience_s


async def test_too_few_confirmations_are_a_504_and_lose_nothing(gateway: Gateway) -> None:
    for node in gateway.world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    async with gateway.session.put("/v1/blobs", data=BLOB) as response:
        await envelope(response, 504, "INSUFFICIENT_CONFIRMATIONS")
    async with gateway.session.put("/v1/blobs", data=BLOB) as response:
        assert "reuseRegistration" in (await response.json())["newlyCreated"]["resourceOperation"]


async def test_reads_go_on_without_the_chain(gateway: Gateway) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB)
    async with gateway.session.get("/status") as response:
        assert (response.status, await response.text()) == (200, "OK")
    gateway.world.chain.reachable = False
    with pytest.raises(Exception, match="away"):
        await gateway.world.committees.refresh()
    async with gateway.session.get("/status") as response:
        await envelope(response, 503, "CHAIN_UNREACHABLE")
    async with gateway.session.get(f"/v1/blobs/{ID}") as response:
        assert await response.read() == BLOB
    async with gateway.session.put("/v1/blobs", data=BLOB[:9]) as response:
        await envelope(response, 503, "CHAIN_UNREACHABLE")
    assert gateway.connector.ready, "reads work, so the gateway must stay in service"


async def test_before_the_chain_is_reached_every_request_is_told(world: World) -> None:
    connector = Connector(config(), SuiKey.generate(), world.compute)
    api = TestServer(build_api(config(), connector, RequestsUnderWay()))
    metrics = TestServer(build_metrics(connector, RequestsUnderWay(), address="0x1"))
    await api.start_server()
    await metrics.start_server()
    async with aiohttp.ClientSession() as session:
        for path in ("/status", f"/v1/blobs/{ID}"):
            async with session.get(api.make_url(path)) as response:
                await envelope(response, 503, "CHAIN_UNREACHABLE")
        async with session.get(metrics.make_url("/readyz")) as response:
            assert response.status == 503
        async with session.get(metrics.make_url("/livez")) as response:
            assert response.status == 200
        async with session.get(metrics.make_url("/metrics")) as response:
            assert response.status == 200
        async with session.get(metrics.make_url("/v1/info")) as response:
            assert (await response.json())["ready"] is False
    await api.close()
    await metrics.close()
