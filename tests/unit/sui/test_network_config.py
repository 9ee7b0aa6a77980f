import dataclasses
import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from walrus_codec.types import EncodingType
from walrus_sui import network_config
from walrus_sui.errors import NetworkConfigError, PublicNetworkRefused
from walrus_sui.network_config import NetworkConfig
from walrus_sui.public_networks import PUBLIC_STAKING_OBJECTS, PUBLIC_SYSTEM_OBJECTS

DOCUMENT = {
    "rpc_url": "http://demo-devnet:9000",
    "system_object": "0x5",
    "staking_object": "0x" + "6A" * 32,
    "wal_type": "0x7::wal::WAL",
    "treasury_object": "0x8",
    "exchange_objects": ["0x9"],
    "encoding": "isal",
    "n_shards": 100,
}


def test_ids_become_canonical_and_unknown_names_are_ignored() -> None:
    config = NetworkConfig.from_json(DOCUMENT | {"max_epochs_ahead": 10, "credits_object": "0x1"})
    assert config.system_object == "0x" + "5".rjust(64, "0")
    assert config.staking_object == "0x" + "6a" * 32
    assert config.exchange_objects == ("0x" + "9".rjust(64, "0"),)
    assert config.encoding_type is EncodingType.ISAL
    assert (config.slashing_manager, config.faucet_url, config.max_epochs_ahead) == (None, None, 10)


def test_a_configuration_comes_back_from_its_json() -> None:
    config = NetworkConfig.from_json(DOCUMENT)
    assert NetworkConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system_object": None}, "lacks system_object"),
        ({"system_object": "xyz"}, "system_object holds object ids"),
        ({"system_object": "0x" + "1" * 65}, "system_object"),
        ({"exchange_objects": "0x9"}, "list of object ids"),
        ({"n_shards": "many"}, "n_shards is a whole number"),
        ({"encoding": "raptorq"}, '"rs2" or "isal"'),
        ({"rpc_url": 7}, "rpc_url is a text"),
        ({"allow_public_network": "yes"}, "allow_public_network is true or false"),
        ({"walrus_subsidies_object": "xyz"}, "walrus_subsidies_object holds object ids"),
        ({"rpc_url": None, "rpc_urls": []}, "lacks rpc_url"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(NetworkConfigError, match=message):
        NetworkConfig.from_json(DOCUMENT | change)


def test_the_official_list_of_endpoints_gives_the_first() -> None:
    official = DOCUMENT | {"rpc_url": None, "rpc_urls": ["https://one:443", "https://two:443"]}
    assert NetworkConfig.from_json(official).rpc_url == "https://one:443"


@pytest.mark.parametrize(
    ("name", "field", "object_id"),
    [(network, "system_object", key) for key, network in PUBLIC_SYSTEM_OBJECTS.items()]
    + [(network, "staking_object", key) for key, network in PUBLIC_STAKING_OBJECTS.items()],
)
def test_registering_on_a_public_network_needs_leave_in_so_many_words(name: str, field: str, object_id: str) -> None:
    config = NetworkConfig.from_json(DOCUMENT | {field: object_id.upper().replace("0X", "0x")})
    assert config.public_network == name
    with pytest.raises(PublicNetworkRefused, match=name):
        config.require_registering_allowed()
    dataclasses.replace(config, allow_public_network=True).require_registering_allowed()
    own = NetworkConfig.from_json(DOCUMENT)
    assert own.public_network is None
    own.require_registering_allowed()


async def test_it_is_loaded_from_json_and_yaml_files(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "net.yaml").write_text("\n".join(f"{name}: {json.dumps(value)}" for name, value in DOCUMENT.items()))
    for name in ("net.json", "net.yaml"):
        assert await network_config.load(str(tmp_path / name)) == NetworkConfig.from_json(DOCUMENT)
    with pytest.raises(NetworkConfigError, match=r"none\.json"):
        await network_config.load(str(tmp_path / "none.json"))
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(NetworkConfigError, match=r"list\.json.*object"):
        await network_config.load(str(tmp_path / "list.json"))


async def test_it_is_loaded_over_http(unused_tcp_port: int) -> None:
    app = web.Application()

    async def good(_request: web.Request) -> web.Response:
        return web.json_response(DOCUMENT)

    async def bad(_request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    app.router.add_get("/v1/network-config", good)

    async def deep(_request: web.Request) -> web.Response:
        return web.Response(text="[" * 100_000)

    app.router.add_get("/bad", bad)
    app.router.add_get("/deep", deep)
    async with TestServer(app) as server:
        assert await network_config.load(str(server.make_url("/v1/network-config"))) == NetworkConfig.from_json(
            DOCUMENT
        )
        with pytest.raises(NetworkConfigError, match="HTTP 404"):
            await network_config.load(str(server.make_url("/nothing")))
        with pytest.raises(NetworkConfigError, match="cannot fetch"):
            await network_config.load(str(server.make_url("/bad")))
        with pytest.raises(NetworkConfigError, match="RecursionError"):
            await network_config.load(str(server.make_url("/deep")))
    with pytest.raises(NetworkConfigError, match="cannot fetch"):
        await network_config.load(f"http://127.0.0.1:{unused_tcp_port}/v1/network-config")


@pytest.mark.parametrize("url", ["http://", "https:///x", "http://[/", "http://127.0.0.1:99999/", "http://host:port/"])
async def test_what_is_no_url_is_called_that(url: str) -> None:
    with pytest.raises(NetworkConfigError, match="that is no URL of a host"):
        await network_config.load(url)
