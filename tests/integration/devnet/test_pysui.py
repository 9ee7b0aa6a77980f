"""The pinned pysui against the devnet: what it sends is understood, what it reads is there.

Two clients: one whose channel is replaced so that it speaks plaintext, as the project does it, and pysui as it comes
over TLS, with the devnet's authority in the place of certifi's.
"""

import asyncio
import logging
from contextlib import asynccontextmanager
from pathlib import Path

import certifi
import pysui.sui.sui_common.sui_commands as cmd
import pysui.sui.sui_grpc.pgrpc_requests as rn
import pytest
from grpclib.client import Channel
from pysui import GroupProtocol, GrpcProtocolClient, NetworkType, PysuiConfiguration, client_factory
from pysui.sui.sui_common.config.confgroup import Profile, ProfileGroup
from pysui.sui.sui_common.config.confmodel import PysuiConfigModel

from walrus_sui.keys import SuiKey

SUI_COIN = "0x2::coin::Coin<0x2::sui::SUI>"


@pytest.fixture(autouse=True)
def quiet():
    """pysui logs every failed call with its traceback."""
    logging.getLogger("pgrpc_client").setLevel(logging.CRITICAL)


def configuration(url, key):
    profile = Profile("node", url, None, None, NetworkType.LOCAL)
    group = ProfileGroup("devnet", "node", "", [], [], [], [profile], GroupProtocol.GRPC)
    config = PysuiConfiguration.__new__(PysuiConfiguration)
    config._model = PysuiConfigModel(version="1.2.0", sui_binary="", group_active="devnet", groups=[group])
    config._config_root = Path("/nonexistent")
    config._config_file = config._config_root / "PysuiConfig.json"
    block = [{"key_string": key.to_text(), "alias": "key0"}]
    (address,) = config.add_keys(key_block=block, in_group="devnet", persist=False)
    config.make_active(group_name="devnet", profile_name="node", address=address, persist=False)
    assert address == key.address
    return config


class PlainClient(GrpcProtocolClient):
    """pysui's client with a plaintext channel."""

    def __init__(self, *, pysui_config, host, port):
        super().__init__(pysui_config=pysui_config)
        self._channel.close()
        self._channel = Channel(host=host, port=port, ssl=None)


async def run(client, command):
    result = await client.execute(command=command, timeout=30)
    assert result.is_ok(), result.result_string
    return result.result_data


async def ask(client, request):
    result = await client.execute_grpc_request(request=request, timeout=30)
    assert result.is_ok(), result.result_string
    return result.result_data


@asynccontextmanager
async def session(client):
    """An entered client whose socket is really closed afterwards; pysui leaves that to the garbage collector."""
    async with client:
        transport = client._channel._protocol.connection._transport
        yield client
    transport.abort()
    await asyncio.sleep(0)  # one turn of the loop runs the transport's last callback


@pytest.fixture
async def pysui(devnet, key):
    host, port = devnet.rpc.split(":")
    config = configuration(f"http://{devnet.rpc}", key)
    async with session(PlainClient(pysui_config=config, host=host, port=int(port))) as client:
        yield client


async def test_it_connects_and_reads(pysui, devnet, key):
    assert await run(pysui, cmd.GetChainIdentifier())
    info = await ask(pysui, rn.GetServiceInfo())
    assert info.chain_id == devnet.endpoints["chain_id"]
    epoch = await run(pysui, cmd.GetBasicCurrentEpochInfo())
    assert epoch.reference_gas_price > 0
    staking = await run(pysui, cmd.GetObject(object_id=devnet.network["staking_object"]))
    assert staking.object_type.endswith("::staking::Staking")
    assert staking.contents.value[:32].hex() == devnet.network["staking_object"][2:]
    coins = await run(pysui, cmd.GetCoins(owner=key.address, coin_type=SUI_COIN))
    assert [coin.balance for coin in coins.objects] == [1000 * 10**9]
    fields = await run(pysui, cmd.GetDynamicFields(object_id=devnet.network["staking_object"]))
    assert len(fields.dynamic_fields) == 1
    balance = await run(pysui, cmd.GetAddressCoinBalance(owner=key.address, coin_type="0x2::sui::SUI"))
    assert balance.balance.balance == 1000 * 10**9
    checkpoint = await run(pysui, cmd.GetLatestCheckpoint())
    assert checkpoint.checkpoint.summary.bcs.value


async def test_it_builds_signs_and_executes(pysui, devnet, key):
    recipient = SuiKey.generate().address
    transaction = await pysui.transaction(initial_sender=key.address)
    (part,) = [await transaction.split_coin(coin=transaction.gas, amounts=[12345])]
    await transaction.transfer_objects(transfers=[part], recipient=recipient)
    signed = await transaction.build_and_sign()
    result = await run(pysui, cmd.ExecuteTransaction(**signed))
    assert result.effects.status.success
    assert result.effects.bcs.value
    coins = await run(pysui, cmd.GetCoins(owner=recipient, coin_type=SUI_COIN))
    assert [coin.balance for coin in coins.objects] == [12345]
    digest = result.digest
    async with asyncio.timeout(30):
        while True:
            found = await run(pysui, cmd.GetTransaction(digest=digest))
            if found is not None and found.checkpoint is not None:
                break
            await asyncio.sleep(0.02)
    assert found.effects.status.success


async def test_it_calls_move_and_sees_an_abort(pysui, devnet, key):
    network = devnet.network
    staking = await run(pysui, cmd.GetObject(object_id=network["system_object"]))
    package = "0x" + staking.contents.value[40:72].hex()
    transaction = await pysui.transaction(initial_sender=key.address)
    await transaction.move_call(
        target=f"{package}::staking::initiate_epoch_change",
        arguments=[network["staking_object"], network["system_object"], "0x6"],
    )
    signed = await transaction.build_and_sign(gas_budget="50000000")
    result = await run(pysui, cmd.ExecuteTransaction(**signed))
    status = result.effects.status
    assert not status.success
    assert (status.error.abort.abort_code, status.error.abort.location.module) == (2, "staking")


async def test_it_follows_checkpoints(pysui):
    request = rn.SubscribeCheckpoints(field_mask=["sequence_number", "summary.timestamp", "transactions.digest"])
    result = await pysui.execute_grpc_request(request=request, timeout=20)
    assert result.is_ok(), result.result_string
    seen = []
    async for frame in result.result_data:
        seen.append(frame.cursor)
        assert frame.checkpoint.sequence_number == frame.cursor
        assert frame.checkpoint.transactions
        if len(seen) == 10:
            break
    assert seen == list(range(seen[0], seen[0] + 10))


async def test_what_fails_is_told(pysui):
    missing = await pysui.execute(command=cmd.GetObject(object_id="0x" + "99" * 32), timeout=30)
    assert not missing.is_ok()
    assert "not found" in str(missing.result_string)


async def test_the_unchanged_client_over_tls(devnet, key, monkeypatch):
    authority = str(devnet.data / "tls" / "ca.pem")
    monkeypatch.setattr(certifi, "where", lambda: authority)
    config = configuration(f"https://localhost:{devnet.endpoints['tls_port']}", key)
    async with session(client_factory(config)) as client:
        info = await ask(client, rn.GetServiceInfo())
        assert info.chain_id == devnet.endpoints["chain_id"]
        coins = await run(client, cmd.GetCoins(owner=key.address, coin_type=SUI_COIN))
        assert len(coins.objects) == 1
