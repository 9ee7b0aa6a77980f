"""The HTTP face: faucet, network configuration, probes and metrics on one port.

``GET /`` answers ``OK`` and ``POST /gas``, ``/v1/gas``, ``/v2/gas`` give SUI, as Sui's local faucet does;
``GET /v1/network-config`` tells a participant all it needs to know of the network; ``/livez`` holds while the process
can answer, ``/readyz`` while it should be asked; ``/metrics`` is Prometheus text; ``/v1/admin`` is for holders of the
admin token.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.faucet import MAX_BODY, Faucet, FaucetFailure, FaucetRequestError
from walrus_sui.devnet.server.admin import Admin
from walrus_sui.devnet.server.grpc_server import PortError
from walrus_sui.devnet.writing import EngineStopped
from walrus_sui.telemetry import aiohttp_middleware, metrics_handler

_ORIGIN: Final = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "content-type"}

_protocol_log = logging.getLogger(f"{__name__}.protocol")

NetworkConfigFor = Callable[[str], dict[str, Any]]
"""Makes the network configuration for a host name under which the asker reaches the devnet."""


class HttpServer:
    """Serves a faucet and what there is to know of an engine.

    Args:
        engine: the chain.
        faucet: its faucet.
        admin: the admin interface.
        network_config: makes the answer of ``/v1/network-config``.
        ready: whether the devnet should be asked.

    Attributes:
        port: the port in use, after `start`.
    """

    def __init__(
        self,
        engine: Engine,
        faucet: Faucet,
        admin: Admin,
        *,
        network_config: NetworkConfigFor,
        ready: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._faucet = faucet
        self._network_config = network_config
        self._ready = ready
        self.port = 0
        app = web.Application(client_max_size=MAX_BODY, middlewares=[aiohttp_middleware()])
        app.router.add_get("/", self._ok)
        for path in ("/gas", "/v1/gas", "/v2/gas"):
            app.router.add_post(path, self._gas)
            app.router.add_options(path, self._preflight)
        app.router.add_get("/v1/network-config", self._config)
        admin.add_routes(app)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", metrics_handler)
        _protocol_log.addFilter(_is_no_garbage)
        self._runner = web.AppRunner(
            app, access_log=None, logger=_protocol_log, handler_cancellation=True, shutdown_timeout=5
        )

    async def start(self, host: str, port: int) -> None:
        """Listens; port 0 means any free one.

        Raises:
            PortError: the port is taken or the host is not this machine's.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PortError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops listening and gives running requests a few seconds."""
        await self._runner.cleanup()

    async def _ok(self, _: web.Request) -> web.Response:
        return web.Response(text="OK", headers=_ORIGIN)

    async def _preflight(self, _: web.Request) -> web.Response:
        return web.Response(status=204, headers=_ORIGIN)

    async def _gas(self, request: web.Request) -> web.Response:
        try:
            answer = await self._faucet.give(await request.read())
        except FaucetRequestError as error:
            return web.Response(status=422, text=str(error), headers=_ORIGIN)
        except FaucetFailure as error:
            return _failure(500, str(error))
        except EngineStopped as error:
            return _failure(503, str(error))
        return web.json_response(answer, headers=_ORIGIN)

    async def _config(self, request: web.Request) -> web.Response:
        await self._engine.settled()
        host = request.url.host or "localhost"
        return web.json_response(self._network_config(f"[{host}]" if ":" in host else host), headers=_ORIGIN)

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok") if not self._engine.failed else web.Response(status=503, text="disk failed")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok") if self._ready() else web.Response(status=503, text="not ready")


def _is_no_garbage(record: logging.LogRecord) -> bool:
    """Keeps bytes that are no HTTP, which anybody may send, from filling the log with tracebacks."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


def _failure(status: int, text: str) -> web.Response:
    answer = {"status": {"Failure": {"internal": text}}, "coins_sent": None}
    return web.json_response(answer, status=status, headers=_ORIGIN)
