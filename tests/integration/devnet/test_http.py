"""The HTTP port: faucet, network configuration, probes, metrics."""

import json
import urllib.error
import urllib.request

import pytest

from walrus_sui import network_config
from walrus_sui.keys import SuiKey


@pytest.mark.parametrize("path", ["/gas", "/v1/gas", "/v2/gas"])
async def test_the_faucet_gives_what_it_says(devnet, client, path):
    address = SuiKey.generate().address
    status, text = devnet.http(path, body={"FixedAmountRequest": {"recipient": address}})
    answer = json.loads(text)
    assert (status, answer["status"]) == (200, "Success")
    (sent,) = answer["coins_sent"]
    (coin,) = await client.gas_coins(address)
    assert (coin.object_id, coin.balance) == (sent["id"], sent["amount"]) == (sent["id"], 1000 * 10**9)
    transfer = await client.transaction(sent["transferTxDigest"], "effects.status", "transaction.kind")
    assert transfer.effects.status.success


async def test_short_addresses_are_understood(devnet, client):
    assert devnet.fund("0xabc")["amount"] > 0
    assert len(await client.gas_coins("0x" + "abc".rjust(64, "0"))) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 4000,
        {"FixedAmountRequest": {}},
        {"FixedAmountRequest": {"recipient": 7}},
        {"FixedAmountRequest": {"recipient": "nonsense"}},
        {"recipient": "0x1"},
    ],
)
def test_other_bodies_are_unprocessable(devnet, body):
    status, text = devnet.http("/v2/gas", body=body)
    assert status == 422
    assert "FixedAmountRequest" in text


def test_large_bodies_and_wrong_methods_are_refused(devnet):
    assert devnet.http("/v2/gas", body=b"x" * 100_000)[0] == 413
    assert devnet.http("/v2/gas")[0] == 405
    assert devnet.http("/nothing")[0] == 404


def test_the_root_says_ok(devnet):
    assert devnet.http("/") == (200, "OK")


async def test_the_network_configuration_leads_to_the_network(devnet, client):
    document = devnet.network
    loaded = network_config.NetworkConfig.from_json(document)
    assert loaded.rpc_url == f"http://{devnet.rpc}"
    assert loaded.faucet_url == f"http://127.0.0.1:{devnet.endpoints['faucet_port']}"
    assert (loaded.n_shards, loaded.encoding, loaded.max_epochs_ahead) == (10, "rs2", 53)
    assert loaded.epoch_duration_ms == 30_000
    assert loaded.chain_id == (await client.info()).chain_id
    types = {
        loaded.system_object: "::system::System",
        loaded.staking_object: "::staking::Staking",
        loaded.treasury_object: "::wal::ProtectedTreasury",
        loaded.slashing_manager: "::slashing::SlashingManager",
        loaded.upgrade_manager: "::upgrade::UpgradeManager",
        loaded.exchange_objects[0]: "::wal_exchange::Exchange",
        loaded.walrus_subsidies_object: "::walrus_subsidies::WalrusSubsidies",
    }
    for object_id, suffix in types.items():
        assert (await client.object(object_id, "object_type")).object_type.endswith(suffix)
    subsidies = await client.object(loaded.walrus_subsidies_object, "object_type")
    assert subsidies.object_type.startswith(document["walrus_subsidies_package"])
    url = f"http://127.0.0.1:{devnet.endpoints['faucet_port']}/v1/network-config"
    assert await network_config.load(url) == loaded


def test_urls_follow_the_name_that_was_asked(devnet):
    document = json.loads(devnet.http("/v1/network-config", headers={"Host": "demo-devnet.ns:9123"})[1])
    assert document["rpc_url"] == f"http://demo-devnet.ns:{devnet.endpoints['rpc_port']}"
    document = json.loads(devnet.http("/v1/network-config", headers={"Host": "[::1]:9123"})[1])
    assert document["rpc_url"] == f"http://[::1]:{devnet.endpoints['rpc_port']}"


def test_an_advertised_host_wins(make_devnet):
    devnet = make_devnet("--advertise-host=chain.example")
    assert devnet.network["rpc_url"] == f"http://chain.example:{devnet.endpoints['rpc_port']}"
    assert devnet.network["faucet_url"].startswith("http://chain.example:")
    assert devnet.network["rpc_tls_url"].startswith("https://chain.example:")


async def test_probes_and_metrics(devnet, client, key):
    assert devnet.http("/livez")[0] == devnet.http("/readyz")[0] == 200
    await client.gas_coins(key.address)
    status, text = devnet.http("/metrics")
    assert status == 200
    measured = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    assert {"walrus_devnet_checkpoints_total", "walrus_devnet_transactions_total"} <= measured
    assert any(name.startswith("rpc_server_call_duration") for name in measured)


def test_metrics_have_a_port_of_their_own_beside_the_faucets(devnet):
    alone = f"http://127.0.0.1:{devnet.endpoints['metrics_port']}"
    with urllib.request.urlopen(f"{alone}/metrics", timeout=10) as answer:
        assert b"walrus_devnet_checkpoints_total" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{alone}/v1/network-config", timeout=10)
