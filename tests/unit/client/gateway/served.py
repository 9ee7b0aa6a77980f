"""The gateway's HTTP server over fakes of chain and nodes, and a blob that is stored through it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
from aiohttp.test_utils import TestServer
from tests.unit.client.conftest import World

from walrus_client.gateway.app import build_api
from walrus_client.gateway.config import ChainConfig, GatewayConfig, LimitsConfig
from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.gateway.services import Connector, Services
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


async def envelope(response: aiohttp.ClientResponse, code: int, reason: str) -> dict[str, Any]:
    document = await response.json()
    error = document["error"]
    assert (response.status, error["code"]) == (code, code), document
    (info,) = error["details"]
    assert (info["@type"], info["reason"]) == ("ErrorInfo", reason)
    assert info["domain"] == ("global" if reason == "INTERNAL_ERROR" else "daemon.walrus.space")
    return cast("dict[str, Any]", error)
