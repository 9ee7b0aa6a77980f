"""The gateway's HTTP face over the network of fakes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.client.conftest import World
from tests.unit.client.worlds import until

from walrus_client.budget import ByteBudget
from walrus_client.gateway.app import build_api, build_metrics
from walrus_client.gateway.body import Pace, send
from walrus_client.gateway.config import ChainConfig, GatewayConfig, LimitsConfig
from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.gateway.envelope import error_middleware
from walrus_client.gateway.services import Connector, Services
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.store import StoreOptions
from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, ObjectId
from walrus_sui.keys import SuiKey
from walrus_sui.network_config import NetworkConfig

BLOB = bytes(i % 249 for i in range(40_000))
ENCODED = redstuff.encode(BLOB, CodeParams(10, EncodingType.ISAL))
ID = blob_ids.to_text(ENCODED.blob_id)
NETWORK = NetworkConfig(
    rpc_url="http://127.0.0.1:1",
    system_object=ObjectId("0x" + "1" * 64),
    staking_object=ObjectId("0x" + "2" * 64),
    wal_type="0x1::wal::WAL",
    treasury_object=ObjectId("0x" + "3" * 64),
    encoding="isal",
    n_shards=10,
)


@dataclass
class Gateway:
    """A served gateway and a client session on it."""

    world: World
    connector: Connector
    session: aiohttp.ClientSession
    port: int


class _Connector(Connector):
    """Services over fakes instead of a chain."""

    def connect_to(self, world: World) -> None:
        chain = cast("Any", world.chain)
        self._services = Services(
            NETWORK, chain, world.committees, world.peers, world.reader, world.store, world.compute
        )


async def serve(
    world: World, config: GatewayConfig, under_way: RequestsUnderWay | None = None
) -> AsyncIterator[Gateway]:
    connector = _Connector(config, SuiKey.generate(), world.compute)
    connector.connect_to(world)
    await world.committees.view()
    server = TestServer(build_api(config, connector, under_way or RequestsUnderWay()))
    await server.start_server()
    async with aiohttp.ClientSession(server.make_url("/"), timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Gateway(world, connector, session, server.port or 0)
    await server.close()


def config(**limits: Any) -> GatewayConfig:
    body = limits.pop("max_body_size", None)
    return GatewayConfig(
        key_file="unused", chain=ChainConfig(network_config=""), limits=LimitsConfig(**limits), max_body_size=body
    )


@pytest.fixture
async def gateway(world: World) -> AsyncIterator[Gateway]:
    async for made in serve(world, config()):
        yield made


async def envelope(response: aiohttp.ClientResponse, code: int, reason: str) -> dict[str, Any]:
    document = await response.json()
    error = document["error"]
    assert (response.status, error["code"]) == (code, code), document
    (info,) = error["details"]
    assert (info["@type"], info["reason"]) == ("ErrorInfo", reason)
    assert info["domain"] == ("global" if reason == "INTERNAL_ERROR" else "daemon.walrus.space")
    return cast("dict[str, Any]", error)


async def test_a_blob_goes_in_and_comes_back(gateway: Gateway) -> None:
    async with gateway.session.put("/v1/blobs?epochs=2", data=BLOB) as response:
        assert response.status == 200
        created = (await response.json())["newlyCreated"]
    assert created["blobObject"]["blobId"] == ID
    assert created["blobObject"]["encodingType"] == "ISAL"
    async with gateway.session.get(f"/v1/blobs/{ID}") as response:
        assert response.status == 200
        assert await response.read() == BLOB
        assert response.headers["ETag"] == f'"{ID}"'
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "public, max-age=86400, stale-while-revalidate=3600"
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 40_000])
async def test_bodies_of_every_form_are_taken(gateway: Gateway, size: int, *, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 7000):
            yield BLOB[start : start + 7000][: size - start]

    data: Any = pieces() if chunked else BLOB[:size]
    async with gateway.session.put("/v1/blobs", data=data) as response:
        assert response.status == 200
        blob = (await response.json())["newlyCreated"]["blobObject"]
    assert blob["size"] == size
    async with gateway.session.get(f"/v1/blobs/{blob['blobId']}") as response:
        assert await response.read() == BLOB[:size]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Accept": "image/png"}, "image/png"),
        ({"Accept": "image/png", "Content-Type": "text/plain"}, "image/png"),
        ({"Accept": "image/*"}, "application/octet-stream"),
        ({"Accept": "image/avif,image/webp", "Content-Type": "text/plain"}, "text/plain"),
        ({"Content-Type": "text/plain"}, "text/plain"),
    ],
)
async def test_the_content_type_is_the_askers(gateway: Gateway, headers: dict[str, str], expected: str) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB[:9])
    blob_id = blob_ids.to_text(redstuff.encode(BLOB[:9], CodeParams(10, EncodingType.ISAL)).blob_id)
    async with gateway.session.get(f"/v1/blobs/{blob_id}", headers=headers) as response:
        assert response.headers["Content-Type"] == expected
        assert response.headers["Vary"] == "Accept, Content-Type"


async def test_head_tells_the_size_without_reading_the_blob(gateway: Gateway) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB)
    for node in gateway.world.nodes:
        node.calls.clear()
    async with gateway.session.head(f"/v1/blobs/{ID}") as response:
        assert response.status == 200
        assert response.headers["Content-Length"] == "40000"
        assert response.headers["ETag"] == f'"{ID}"'
    assert not any("GetSlivers" in node.calls for node in gateway.world.nodes)


async def test_ranges(gateway: Gateway) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB)
    async with gateway.session.get(f"/v1/blobs/{ID}", headers={"Range": "bytes=100-199"}) as response:
        assert response.status == 206
        assert response.headers["Content-Range"] == "bytes 100-199/40000"
        assert await response.read() == BLOB[100:200]
    async with gateway.session.get(f"/v1/blobs/{ID}", headers={"Range": "bytes=100-"}) as response:
        error = await envelope(response, 416, "RANGE_NOT_SATISFIABLE")
        assert error["details"][0]["metadata"] == {"size": "40000"}
        assert response.headers["Content-Range"] == "bytes */40000"


async def test_a_byte_range_by_start_and_length(gateway: Gateway) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB)
    path = f"/v1/blobs/{ID}/byte-range"
    async with gateway.session.get(path, params={"start": 100, "length": 100}) as response:
        assert response.status == 200
        assert "ETag" not in response.headers, "it would name the whole blob"
        assert await response.read() == BLOB[100:200]
    async with gateway.session.get(path, params={"start": 39_999, "length": 2}) as response:
        error = await envelope(response, 400, "INVALID_BYTE_RANGE")
        assert error["details"][0]["metadata"] == {"size": "40000"}
    async with gateway.session.get(path, params={"start": 1}) as response:
        await envelope(response, 400, "MALFORMED_REQUEST")


async def test_a_part_of_a_large_blob_takes_the_memory_of_the_part(world: World) -> None:
    """All of it takes twice the blob and 64 KiB, while it is verified; one sliver of seven fits into less."""
    large = BLOB * 10
    await world.store.store(large, StoreOptions())
    encoded = redstuff.encode(large, CodeParams(10, EncodingType.ISAL))
    path = f"/v1/blobs/{blob_ids.to_text(encoded.blob_id)}"
    async for gateway in serve(world, config(memory=1 << 20, admission_wait_s=0)):
        # A store that has begun holds a quarter of the memory.
        _reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"PUT /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 80000\r\n\r\nabc")
        strict = {"strict_consistency_check": "true"}
        part = {"Range": "bytes=0-9"}

        status = 200
        async with asyncio.timeout(20):
            while status != 429:
                async with gateway.session.get(path) as response:
                    status = response.status
        async with gateway.session.get(path, headers=part) as response:
            assert (response.status, await response.read()) == (206, large[:10])
        async with gateway.session.get(path, params=strict, headers=part) as response:
            await envelope(response, 429, "TOO_MANY_BYTES_IN_FLIGHT")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("leaves", [True, False])
async def test_an_answer_that_is_not_fetched_gives_its_memory_back(*, leaves: bool) -> None:
    """A client goes away in the middle of a large answer, or stays and takes nothing more: what it gets is cut off."""
    size, budget = 64 << 20, ByteBudget(1)
    taken = 0

    async def pieces() -> AsyncIterator[memoryview]:
        nonlocal taken
        while taken < size:
            taken += 1 << 18
            yield memoryview(bytes(1 << 18))

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        async with budget.reserve(1):
            await send(request, response, pieces(), Pace(stall_s=60 if leaves else 0.5, slowest_bytes_per_s=1))
        return response

    app = web.Application(middlewares=[error_middleware()])
    app.router.add_get("/", handler)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 12)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await reader.readline()
        assert budget.used
        if leaves:
            writer.transport.abort()
        await until(lambda: not budget.used)
        assert taken < size, "the end of it was never asked for"
        if not leaves:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(size)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest.mark.parametrize(
    ("if_range", "part"), [(f'"{ID}"', True), ('"another"', False), ("Wed, 21 Oct 2015 07:28:00 GMT", False)]
)
async def test_a_part_of_another_blob_is_not_continued(gateway: Gateway, if_range: str, *, part: bool) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB)
    headers = {"Range": "bytes=100-199", "If-Range": if_range}
    async with gateway.session.get(f"/v1/blobs/{ID}", headers=headers) as response:
        assert response.status == (206 if part else 200)
        assert await response.read() == (BLOB[100:200] if part else BLOB)


async def test_who_has_the_blob_is_told_so(gateway: Gateway) -> None:
    await gateway.session.put("/v1/blobs", data=BLOB)
    async with gateway.session.get(f"/v1/blobs/{ID}", headers={"If-None-Match": f'"{ID}"'}) as response:
        assert response.status == 304
        assert await response.read() == b""


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


async def test_blob_status_has_the_shape_of_the_nodes(gateway: Gateway) -> None:
    async with gateway.session.get(f"/v1/blobs/{ID}/status") as response:
        assert await response.json() == {"success": {"code": 200, "data": "nonexistent"}}


async def test_the_api_describes_itself(gateway: Gateway) -> None:
    async with gateway.session.get("/v1/api") as response:
        assert "/v1/blobs" in (await response.json())["paths"]
    async with gateway.session.get("/v1/api", headers={"Accept": "text/html"}) as response:
        page = await response.text()
    assert "PUT /v1/blobs" in page
    assert "<script" not in page


async def test_browsers_of_other_origins_may_ask(gateway: Gateway) -> None:
    headers = {"Origin": "http://x", "Access-Control-Request-Method": "PUT"}
    async with gateway.session.options("/v1/blobs", headers=headers) as response:
        assert response.status == 204
        assert "PUT" in response.headers["Access-Control-Allow-Methods"]
    async with gateway.session.get("/v1/nothing", headers={"Origin": "http://x"}) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"


class Client:
    """A client that may go away before it has its answer."""

    def __init__(
        self, gateway: Gateway, method: str, path: str, body: bytes = b"", *, length: int | None = None
    ) -> None:
        self._port = gateway.port
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self) -> "Client":
        _reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(self._request)
        await self._writer.drain()
        return self

    async def go_away(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()


@pytest.fixture
def under_way() -> RequestsUnderWay:
    return RequestsUnderWay()


async def test_a_client_that_goes_away_before_anything_is_paid_ends_the_store(
    world: World, under_way: RequestsUnderWay
) -> None:
    async for gateway in serve(world, config(memory=1 << 20, admission_wait_s=0), under_way):
        half = await Client(gateway, "PUT", "/v1/blobs", BLOB[:9], length=6 * len(BLOB)).ask()
        await until(lambda: under_way.count)
        async with gateway.session.put("/v1/blobs", data=BLOB * 5) as response:
            await envelope(response, 429, "TOO_MANY_BYTES_IN_FLIGHT")
        await half.go_away()
        await until(lambda: not under_way.count)
        for node in world.nodes:
            node.behaviour.stall = asyncio.Event()
        whole = await Client(gateway, "PUT", "/v1/blobs", BLOB * 5).ask()
        await until(lambda: all(node.stalled for node in world.nodes))  # asked for the blob's status
        await whole.go_away()
        await until(lambda: not under_way.count)
        await until(lambda: not any(node.stalled for node in world.nodes))
        for node in world.nodes:
            node.behaviour.stall = None
        assert not world.chain.transactions
        async with gateway.session.put("/v1/blobs", data=BLOB * 5) as response:
            assert response.status == 200, "the memory is free"


@pytest.mark.parametrize("back", ["while it goes on", "afterwards"])
async def test_a_store_that_is_paid_for_goes_on_without_its_client_who_gets_it_when_back(
    world: World, under_way: RequestsUnderWay, back: str
) -> None:
    query = "epochs=3&send_object_to=0x" + "5" * 64
    async for gateway in serve(world, config(), under_way):
        world.chain.certify_delay = asyncio.Event()
        client = await Client(gateway, "PUT", f"/v1/blobs?{query}", BLOB).ask()
        await until(lambda: "certify 1" in world.chain.transactions)
        for node in world.nodes:
            node.calls.clear()
        await client.go_away()
        gone = await Client(gateway, "PUT", f"/v1/blobs?{query}", BLOB).ask()
        await until(lambda: any("GetBlobStatus" in node.calls for node in world.nodes))
        await until(lambda: under_way.count == 3)  # two stores, and one client that waits for the first of them
        await gone.go_away()
        await until(lambda: under_way.count == 1)
        assert not await under_way.drain(0.01), "the end of the gateway waits for it"
        again = asyncio.create_task(gateway.session.put(f"/v1/blobs?{query}", data=BLOB))
        if back == "while it goes on":
            await until(lambda: under_way.count == 3)
        else:
            again.cancel()
            world.chain.certify_delay.set()
            await until(lambda: not under_way.count)
            again = asyncio.create_task(gateway.session.put(f"/v1/blobs?{query}", data=BLOB))
        world.chain.certify_delay.set()
        async with await again as response:
            created = (await response.json())["newlyCreated"]
        (only,) = world.chain.objects.values()
        assert (created["blobObject"]["id"], created["cost"]) == (only.object_id, 3 * 1000 + 200)
        assert world.chain.transactions == ["register 1", "certify 1"]
        async with gateway.session.put(f"/v1/blobs?{query}", data=BLOB) as response:
            assert (await response.json())["newlyCreated"]["blobObject"]["id"] != only.object_id, "it is answered once"
        assert await under_way.drain(20)


async def test_another_request_does_not_get_what_a_client_has_left(world: World, under_way: RequestsUnderWay) -> None:
    async for gateway in serve(world, config(), under_way):
        world.chain.certify_delay = asyncio.Event()
        client = await Client(gateway, "PUT", "/v1/blobs?epochs=2", BLOB).ask()
        await until(lambda: "certify 1" in world.chain.transactions)
        await client.go_away()
        await until(lambda: under_way.count == 1)
        world.chain.certify_delay.set()
        await until(lambda: not under_way.count)
        world.chain.epoch = 6  # so it ends too early for the same request of now
        for node in world.nodes:
            node.epoch = 6
        await world.committees.refresh()
        for query in ("epochs=3", "epochs=2&send_object_to=0x" + "5" * 64, "epochs=2"):
            before = len(world.chain.objects)
            async with gateway.session.put(f"/v1/blobs?{query}", data=BLOB) as response:
                assert response.status == 200
            assert len(world.chain.objects) == before + 1, query


async def test_a_store_without_its_client_that_fails_or_is_cut_off_keeps_what_it_has_paid_for(
    world: World, under_way: RequestsUnderWay
) -> None:
    async for gateway in serve(world, config(), under_way):
        for node in world.nodes[:2]:
            node.behaviour.stall = asyncio.Event()
            node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
        client = await Client(gateway, "PUT", "/v1/blobs?force=true", BLOB).ask()
        await until(lambda: all(node.stalled for node in world.nodes[:2]))
        await client.go_away()
        await until(lambda: under_way.count == 1)
        for node in world.nodes[:2]:
            assert node.behaviour.stall is not None
            node.behaviour.stall.set()
        await until(lambda: not under_way.count)
        assert len(world.store.registrations) == 1
        async with gateway.session.put("/v1/blobs?force=true", data=BLOB) as response:
            assert "reuseRegistration" in (await response.json())["newlyCreated"]["resourceOperation"]
        world.chain.certify_delay = asyncio.Event()
        client = await Client(gateway, "PUT", "/v1/blobs", BLOB * 2).ask()
        await until(
            lambda: world.chain.transactions[-2:] == ["register 1", "certify 1"] and len(world.chain.objects) == 2
        )
        await client.go_away()
        await until(lambda: under_way.count == 1)
    assert under_way.count == 0, "the server has ended"
    world.chain.certify_delay.set()
    assert len(world.store.registrations) == 1


async def test_a_reader_who_goes_away_is_not_fetched_for(world: World, under_way: RequestsUnderWay) -> None:
    async for gateway in serve(world, config(), under_way):
        async with gateway.session.put("/v1/blobs", data=BLOB) as response:
            assert response.status == 200
        await world.reader.metadata(ENCODED.blob_id)
        for node in world.nodes:
            node.behaviour.stall = asyncio.Event()
        reader = await Client(gateway, "GET", f"/v1/blobs/{ID}").ask()
        await until(lambda: any(node.stalled for node in world.nodes))
        await reader.go_away()
        await until(lambda: not under_way.count)
        await until(lambda: not any(node.stalled for node in world.nodes))
