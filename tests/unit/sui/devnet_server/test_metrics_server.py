"""The devnet's metrics on a port of their own."""

from __future__ import annotations

import aiohttp
import pytest

from walrus_sui.devnet.server.grpc_server import PortError
from walrus_sui.devnet.server.metrics_server import MetricsServer

HOST = "127.0.0.1"


async def test_metrics_and_nothing_else() -> None:
    server = MetricsServer()
    await server.start(HOST, 0)
    try:
        async with aiohttp.ClientSession(f"http://{HOST}:{server.port}") as session:
            for path, status in {"/metrics": 200, "/": 404, "/v1/network-config": 404, "/v1/admin/clock": 404}.items():
                async with session.get(path) as answer:
                    assert (path, answer.status) == (path, status)
            async with session.post("/v2/gas", json={}) as answer:
                assert answer.status == 404
        taken = MetricsServer()
        with pytest.raises(PortError, match=f"cannot listen on {HOST}:{server.port}"):
            await taken.start(HOST, server.port)
        await taken.stop()
    finally:
        await server.stop()
