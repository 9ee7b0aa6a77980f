"""Lets requests under way end before the server does.

aiohttp's own shutdown drops the rest of a request's body as soon as it begins, so an upload that is half through would
never get its answer. Here the gateway first calls itself not ready and serves on for a moment, so that load balancers
send new requests elsewhere; then the listening socket is closed and the requests that have begun are waited for; only
what is left after the grace period is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from aiohttp import web
from aiohttp.typedefs import Middleware

_TURNS = 5
"""Turns of the event loop in which a request that has arrived already becomes a running handler."""


class RequestsUnderWay:
    """Counts requests; single event loop.

    Attributes:
        count: Requests under way, and stores that go on without their client.
    """

    def __init__(self) -> None:
        self.count = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False

    @property
    def draining(self) -> bool:
        """True once the end has begun."""
        return self._draining

    def begin(self) -> None:
        """The end begins: every answer from now on closes its connection, so that the next request goes elsewhere."""
        self._draining = True

    def middleware(self) -> Middleware:
        """Counts each request from its headers to the end of its handler."""

        @web.middleware
        async def counted(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            # The bytes of a short answer are sent after its handler has returned; aiohttp's own shutdown waits for them.
            with self.one_more():
                return await handler(request)

        return counted

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Counts the block as one request more."""
        self.count += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.count -= 1
            if not self.count:
                self._idle.set()

    async def close_when_draining(self, _request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`: a connection that is kept alive must not bring further requests."""
        if self._draining:
            response.force_close()

    async def drain(self, grace_s: float) -> bool:
        """Waits for the requests under way; False when some are left after `grace_s`."""
        self.begin()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
