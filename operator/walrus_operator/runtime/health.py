"""The operator's own HTTP face: /livez, /readyz, /metrics.

Alive means that the loops turn; ready means leader or standby with all permissions. Both answer with a sentence, so that
`kubectl describe pod` shows why a probe fails.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from walrus_sui.telemetry import metrics_handler

Check = Callable[[], str | None]
"""Why it is not so; None when all is well."""


class Health:
    """Serves the probes.

    Args:
        alive: Check for /livez.
        ready: Check for /readyz.
    """

    def __init__(self, *, alive: Check, ready: Check) -> None:
        self._alive = alive
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listens."""
        app = web.Application()
        app.router.add_get("/livez", self._answer(self._alive))
        app.router.add_get("/readyz", self._answer(self._ready))
        app.router.add_get("/metrics", metrics_handler)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @staticmethod
    def _answer(check: Check) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_request: web.Request) -> web.Response:
            problem = check()
            return web.Response(text=problem or "ok", status=200 if problem is None else 503)

        return answer
