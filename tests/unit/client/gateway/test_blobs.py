"""Blobs over HTTP: how they go in and come back, whole and in parts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import BLOB, ID, Gateway, config, envelope, serve
from tests.unit.client.worlds import until

from walrus_client.budget import ByteBudget
from walrus_client.gateway.body import Pace, send
from walrus_client.gateway.envelope import error_middleware
from walrus_client.store import StoreOptions
from walrus_codec import blob_id as blob_ids
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType


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
