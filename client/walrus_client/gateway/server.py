"""Runs the gateway: two ports, graceful end.

On SIGTERM or SIGINT the gateway is not ready any more, but serves on for `drain_delay_s`; then no new connection is
accepted, requests under way get `grace_period_s`, and the services are closed in the order in which they need each other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web

from walrus_client.compute import Compute
from walrus_client.errors import PortError
from walrus_client.gateway.app import build_api, build_metrics
from walrus_client.gateway.config import GatewayConfig
from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.gateway.services import Connector
from walrus_sui.keys import SuiKey

_log = logging.getLogger(__name__)

CUT_OFF_S = 2.0
"""After the grace period, how long what is left may take to send its last bytes."""

LINGER_S = 2.0
"""How long an unwanted body is read away so that the client sees the answer instead of a reset connection."""


async def serve(
    config: GatewayConfig,
    key: SuiKey,
    stop: asyncio.Event,
    *,
    listening: Callable[[int, int], None] | None = None,
) -> None:
    """Serves until `stop` is set.

    Args:
        config: The configuration.
        key: The key that stores.
        stop: Ends the service.
        listening: Told the two ports once both are open.

    Raises:
        PortError: A port is taken.
    """
    compute = Compute(workers=config.limits.compute_workers, memory_limit=config.limits.memory)
    connector = Connector(config, key, compute)
    under_way = RequestsUnderWay()
    api = web.AppRunner(
        build_api(config, connector, under_way),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=CUT_OFF_S,
        lingering_time=LINGER_S,
        # A blob is what was sent: a body with a Content-Encoding is stored as it comes, never unpacked.
        auto_decompress=False,
        # Nobody computes or fetches for a client that has gone away; stores that are paid for see to themselves.
        handler_cancellation=True,
    )
    probes = build_metrics(connector, under_way, address=key.address)
    metrics = web.AppRunner(probes, access_log=None, handle_signals=False)
    try:
        await _open(metrics, config.listen.metrics_host or config.listen.host, config.listen.metrics_port)
        await _open(api, config.listen.host, config.listen.port)
        connector.start()
        ports = _port(api), _port(metrics)
        _log.info("listening", extra={"api_port": ports[0], "metrics_port": ports[1], "address": key.address})
        if listening is not None:
            listening(*ports)
        await stop.wait()
        under_way.begin()
        if config.limits.drain_delay_s:
            _log.info("not ready any more", extra={"closing_in_s": config.limits.drain_delay_s})
            await asyncio.sleep(config.limits.drain_delay_s)
        for site in list(api.sites):
            await site.stop()
        _log.info("stopping: no new requests; those under way may end")
        if not await under_way.drain(config.limits.grace_period_s):
            _log.warning("requests are cut off after the grace period")
    finally:
        await api.cleanup()
        await connector.close()
        await compute.close()
        await metrics.cleanup()


async def _open(runner: web.AppRunner, host: str, port: int) -> None:
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
    except OSError as error:
        raise PortError(
            f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or choose another"
        ) from error


def _port(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])
