"""The HTTP face for probes and metrics: /livez, /readyz, /metrics, and /v1/info with the JSON of GetInfo.

Also what it knows of an epoch's challenges, /v1/challenges/{epoch} (with ?own only what it says in its own name), and the
evidence of those that another node has failed here, /v1/challenges/{epoch}/{node}.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.evidence import EvidenceSource
from walrus_node.errors import WalrusNodeError
from walrus_node.rpc.info import InfoSource
from walrus_sui.telemetry import aiohttp_middleware, metrics_handler

Readiness = Callable[[], list[str]]
"""Why the node is not ready, one phrase each; empty when it is."""


class HttpServer:
    """One listening server. `start` once, `stop` once."""

    def __init__(self, info: InfoSource, readiness: Readiness, evidence: EvidenceSource) -> None:
        self._evidence = evidence
        self._info = info
        self._readiness = readiness
        app = web.Application(middlewares=[aiohttp_middleware()])
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", metrics_handler)
        app.router.add_get("/v1/info", self._show_info)
        app.router.add_get(r"/v1/challenges/{epoch:\d{1,9}}", self._show_results)
        app.router.add_get(r"/v1/challenges/{epoch:\d{1,9}}/{prover:0x[0-9a-f]{64}}", self._show_evidence)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises `WalrusNodeError` when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise WalrusNodeError(f"cannot listen on {host}:{port}: {error}") from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Closes."""
        await self._runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:  # noqa: ARG002
        # Answering at all is the proof: the event loop runs.
        return web.Response(text="ok\n")

    async def _readyz(self, request: web.Request) -> web.Response:  # noqa: ARG002
        missing = self._readiness()
        if missing:
            return web.Response(status=503, text="".join(f"not ready: {reason}\n" for reason in missing))
        return web.Response(text="ok\n")

    async def _show_results(self, request: web.Request) -> web.Response:
        found = await self._evidence.results(Epoch(int(request.match_info["epoch"])), own="own" in request.query)
        if found is None:
            return web.Response(status=503, text="this node is not registered yet; try again later\n")
        return web.json_response(text=found)

    async def _show_evidence(self, request: web.Request) -> web.Response:
        epoch, prover = Epoch(int(request.match_info["epoch"])), NodeId(request.match_info["prover"])
        found = await self._evidence.read(epoch, prover)
        if found is None:
            return web.Response(status=404, text=f"no transcript of a challenge of {prover} in epoch {epoch} is kept\n")
        return web.json_response(text=found)

    async def _show_info(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.json_response((await self._info.read()).to_json())
