import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from walrus_sui import faucet
from walrus_sui.errors import FaucetError

ADDRESS = "0x" + "ab" * 32


async def answering(status: int, body: str) -> TestServer:
    seen: list[object] = []

    async def gas(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.Response(status=status, text=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v2/gas", gas)
    server = TestServer(app)
    server.seen = seen
    await server.start_server()
    return server


async def test_the_official_request_gets_coins() -> None:
    coin = '{"amount": 5, "id": "0x1", "transferTxDigest": "abc"}'
    server = await answering(200, f'{{"status": "Success", "coins_sent": [{coin}]}}')
    try:
        coins = await faucet.request_sui(str(server.make_url("/")), ADDRESS)
    finally:
        await server.close()
    assert coins == [faucet.FaucetCoin(5, "0x1", "abc")]
    assert server.seen == [{"FixedAmountRequest": {"recipient": ADDRESS}}]


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (429, "", "limits its rate"),
        (500, '{"status": {"Failure": {"internal": "empty"}}, "coins_sent": null}', "gave nothing.*empty"),
        (200, "<html>", "no answer that can be used"),
        (200, '{"status": "Success", "coins_sent": [{}]}', "unknown form"),
        (422, "[]", "gave nothing"),
    ],
)
async def test_every_failure_says_what_it_is(status: int, body: str, message: str) -> None:
    server = await answering(status, body)
    try:
        with pytest.raises(FaucetError, match=message):
            await faucet.request_sui(str(server.make_url("")), ADDRESS)
    finally:
        await server.close()


async def test_no_faucet_there(unused_tcp_port: int) -> None:
    with pytest.raises(FaucetError, match="no answer"):
        await faucet.request_sui(f"http://127.0.0.1:{unused_tcp_port}", ADDRESS)
