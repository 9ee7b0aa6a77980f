"""Clients that go away before they have their answer: what ends with them, and what goes on because it is paid for."""

import asyncio

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.gateway.served import BLOB, ENCODED, ID, Gateway, config, envelope, serve
from tests.unit.client.worlds import until

from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.reasons import Reason, RequestRefused


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
