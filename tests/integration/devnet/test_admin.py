"""The admin interface of a real devnet: who may use it, time that passes on demand, faults on demand."""

import json
import time

import grpc
import pytest
from typer.testing import CliRunner

from walrus_client.cli import app
from walrus_proto.sui.rpc.v2 import ledger_service_pb2, subscription_service_pb2
from walrus_sui.keys import SuiKey

TOKEN = "a token of enough characters"
DAY_MS = 86_400_000


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return file


@pytest.fixture(scope="module")
def shared(tmp_path_factory, tools):
    """A devnet with a manual clock; in its own file, because what tests ask of it is turned off again after each."""
    folder = tmp_path_factory.mktemp("admin")
    (folder / "token").write_text(TOKEN)
    process = tools.process(folder, clock="manual", admin_token_file=str(folder / "token")).start()
    yield process
    assert process.stop() == 0, process.log.read_text()


@pytest.fixture
def devnet(shared):
    yield shared
    admin(shared, "DELETE", "faults")


@pytest.fixture
async def client(devnet):
    async with devnet.client() as client:
        yield client


def admin(devnet, method, path, body=None, *, token=TOKEN):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    status, text = devnet.http(f"/v1/admin/{path}", body=body, headers=headers, method=method)
    return status, json.loads(text)


def turn(devnet, **knobs):
    assert admin(devnet, "PUT", "faults", knobs)[0] == 200


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name


def test_it_is_off_without_a_token_of_its_own(make_devnet):
    devnet = make_devnet()
    for token in (None, "", TOKEN):
        for method, path, body in (("GET", "faults", None), ("PUT", "faults", {}), ("POST", "advance", {"ms": 1})):
            status, answer = admin(devnet, method, path, body, token=token)
            assert status == 403
            assert "admin_token_file" in answer["error"]


def test_it_is_refused_without_the_token(devnet):
    for token in (None, "", "another token", TOKEN[:-1], TOKEN + "x"):
        assert admin(devnet, "POST", "advance", {"ms": 1}, token=token)[0] == 401
        assert admin(devnet, "PUT", "faults", {"unavailable": True}, token=token)[0] == 401
    assert admin(devnet, "GET", "faults")[1]["unavailable"] is False


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("advance", {}, "either ms or epochs"),
        ("advance", {"ms": 1, "epochs": 1}, "either ms or epochs"),
        ("advance", {"ms": -1}, "ms"),
        ("advance", {"weeks": 1}, "weeks"),
        ("advance", [], "body"),
        ("faults", {"latency": 1}, "latency"),
        ("faults", {"index_lag": 1000}, "index_lag"),
        ("faults", {"fail_call": {"nth": 0}}, "fail_call.nth"),
        ("faults", b"{", "no JSON"),
    ],
)
def test_bad_requests_name_what_is_wrong(devnet, path, body, word):
    status, answer = admin(devnet, "POST" if path == "advance" else "PUT", path, body)
    assert status == 422
    assert word in answer["error"]


async def test_time_stands_until_it_is_moved(devnet, client):
    info = await client.info()
    await client.height(info.checkpoint_height + 5)
    assert (await client.info()).timestamp == info.timestamp
    status, answer = admin(devnet, "POST", "advance", {"ms": DAY_MS})
    assert status == 200
    assert answer["now_ms"] == info.timestamp.ToMilliseconds() + DAY_MS
    clock = await client.object("0x6", "contents")
    assert int.from_bytes(clock.contents.value[32:40], "little") == answer["now_ms"]


async def test_a_manual_clock_stands_where_it_stood_after_a_restart(make_devnet, token_file):
    devnet = make_devnet(clock="manual", admin_token_file=str(token_file))
    _, answer = admin(devnet, "POST", "advance", {"ms": DAY_MS})
    assert devnet.stop() == 0
    devnet.start()
    async with devnet.client() as again:
        assert (await again.info()).timestamp.ToMilliseconds() == answer["now_ms"]


def test_a_real_clock_cannot_be_moved(make_devnet, token_file):
    status, answer = admin(make_devnet(admin_token_file=str(token_file)), "POST", "advance", {"ms": 1})
    assert status == 409
    assert "clock: manual" in answer["error"]


def test_an_epoch_that_cannot_end_says_why(devnet):
    status, answer = admin(devnet, "POST", "advance", {"epochs": 1})
    assert status == 409
    assert "epoch 0 cannot end: voting_end" in answer["error"]
    assert "ENoStake" in answer["error"]


async def test_walrusctl_moves_time_and_turns_knobs(devnet, token_file):
    common = [
        "--devnet",
        f"http://127.0.0.1:{devnet.endpoints['faucet_port']}",
        "--token-file",
        str(token_file),
        "-o",
        "json",
    ]

    def run(*arguments):
        result = CliRunner().invoke(app, ["devnet", *arguments, *common])
        return result.exit_code, result.output

    code, output = run("advance", "--ms", "5000")
    assert code == 0, output
    before = json.loads(output)["now_ms"]
    assert json.loads(run("advance", "--ms", "1")[1])["now_ms"] == before + 1
    assert run("advance")[0] == 2
    code, output = run("advance", "--epochs", "3")
    assert code == 4
    assert "epoch 0 cannot end" in output
    code, output = run("faults", "--set", '{"latency_ms": 7}')
    assert (code, json.loads(output)["latency_ms"]) == (0, 7)
    assert run("faults", "--set", '{"nonsense": 7}')[0] == 2
    assert json.loads(run("faults")[1])["latency_ms"] == 7
    assert json.loads(run("faults", "--clear")[1])["latency_ms"] == 0
    token_file.write_text("another token")
    code, output = run("faults")
    assert code == 2
    assert "admin token" in output


async def test_calls_can_be_slow_or_refused(devnet, client):
    turn(devnet, latency_ms=200, methods=["GetServiceInfo"])
    start = time.monotonic()
    await client.info()
    assert time.monotonic() - start >= 0.2
    turn(devnet, unavailable=True, methods=["GetServiceInfo"])
    assert await refused(client.info()) == "UNAVAILABLE"
    await client.object("0x6")
    turn(devnet, unavailable=True)
    assert await refused(client.object("0x6")) == "UNAVAILABLE"
    assert devnet.http("/readyz")[0] == 200
    admin(devnet, "DELETE", "faults")
    await client.info()


async def test_a_certain_call_fails_before_or_after_it_took_effect(devnet, client, tools):
    key = SuiKey.generate()
    devnet.fund(key.address)
    turn(devnet, fail_call={"method": "ExecuteTransaction", "nth": 2, "code": "ABORTED"})
    (coin,) = await client.gas_coins(key.address)
    coin = tools.own_coin(await client.execute(tools.transfer(key, coin, key.address), key), key.address)
    second = tools.transfer(key, coin, key.address)
    assert await refused(client.execute(second, key)) == "ABORTED"
    assert await refused(client.transaction(second.digest)) == "NOT_FOUND"
    coin = tools.own_coin(await client.execute(second, key), key.address)
    turn(devnet, fail_call={"after": True})
    third = tools.transfer(key, coin, key.address)
    assert await refused(client.execute(third, key)) == "UNAVAILABLE"
    assert (await client.transaction(third.digest)).effects.status.success, "only the answer was lost"


async def test_streams_can_be_reset(devnet, client, tools):
    turn(devnet, stream_reset_after=3)
    request = subscription_service_pb2.SubscribeCheckpointsRequest(read_mask=tools.mask("sequence_number"))
    stream = aiter(client.subscriptions.SubscribeCheckpoints(request, timeout=30))
    frames = [(await anext(stream)).cursor for _ in range(3)]
    assert frames == list(range(frames[0], frames[0] + 3))
    assert await refused(anext(stream)) == "UNAVAILABLE"


async def test_an_index_can_lag(devnet, client, tools):
    key, recipient = SuiKey.generate(), SuiKey.generate().address
    devnet.fund(key.address)
    await client.height((await client.info()).checkpoint_height + 25)
    turn(devnet, index_lag=20)
    (coin,) = await client.gas_coins(key.address)
    executed = await client.execute(tools.transfer(key, coin, recipient, amount=777), key)
    assert executed.effects.status.success
    assert await refused(client.transaction(executed.digest)) == "NOT_FOUND"
    assert (await client.object(coin.object_id)).version == coin.version
    assert await client.gas_coins(key.address) == [coin]
    assert await client.gas_coins(recipient) == []
    height = (await client.info()).checkpoint_height
    request = ledger_service_pb2.GetCheckpointRequest(read_mask=tools.mask("sequence_number"))
    assert (await client.ledger.GetCheckpoint(request)).checkpoint.sequence_number >= height
    assert await refused(client.checkpoint(height + 19)) == "NOT_FOUND"
    admin(devnet, "DELETE", "faults")
    assert (await client.transaction(executed.digest)).effects == executed.effects
    assert [item.balance for item in await client.gas_coins(recipient)] == [777]
    sequence = await client.finality(executed.digest)
    turn(devnet, index_lag=2)
    await client.height(sequence)
    assert (await client.transaction(executed.digest)).checkpoint == sequence, "it arrives, only later"


async def test_checkpoints_can_be_slow(devnet, client):
    turn(devnet, slow_checkpoint_ms=2_000)
    first = (await client.info()).checkpoint_height
    await client.height(first + 1)  # one may have been under way
    start = time.monotonic()
    await client.height(first + 2)
    assert time.monotonic() - start > 1
    admin(devnet, "DELETE", "faults")


def test_a_token_file_that_is_none_is_named(tmp_path, tools):
    process = tools.process(tmp_path, admin_token_file=str(tmp_path / "absent"))
    assert process.spawn().wait(timeout=60) == 2
    assert "admin_token_file" in process.log.read_text()
    assert "Traceback" not in process.log.read_text()
