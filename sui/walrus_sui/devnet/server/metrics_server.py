"""Metrics on a port of their own: whoever may scrape a devnet need not reach its faucet for that.

The HTTP face (`http_server`) has ``/metrics`` too, for those who run a devnet by hand. NetworkPolicies know ports and no
paths, so that in a cluster only this port is opened to a monitoring namespace.
"""

from aiohttp import web

from walrus_sui.devnet.server.grpc_server import PortError
from walrus_sui.telemetry import metrics_handler


class MetricsServer:
    """Serves ``/metrics`` and nothing else.

    Attributes:
        port: the port in use, after `start`.
    """

    def __init__(self) -> None:
        self.port = 0
        app = web.Application()
        app.router.add_get("/metrics", metrics_handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)

    async def start(self, host: str, port: int) -> None:
        """Listens; port 0 means any free one.

        Raises:
            PortError: the port is taken or the host is not this machine's.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise PortError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stops listening."""
        await self._runner.cleanup()
