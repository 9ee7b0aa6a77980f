"""HTTP side of telemetry: server spans and durations for aiohttp, trace headers for requests, the metrics page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from prometheus_client import exposition
from prometheus_client.core import REGISTRY

from walrus_sui.telemetry import names
from walrus_sui.telemetry.provider import meter, tracer


def aiohttp_middleware() -> Middleware:
    """Makes a server span and a duration measurement of each request, joined to the caller's `traceparent`."""
    duration = meter().create_histogram(names.HTTP_SERVER_DURATION, unit="s", description="Duration of HTTP requests.")

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unmatched"
        attributes: dict[str, str | int] = {names.HTTP_METHOD: request.method, names.HTTP_ROUTE: route}
        parent = propagate.extract(dict(request.headers))
        started = time.perf_counter()
        status = 500
        with tracer().start_as_current_span(
            f"{request.method} {route}", context=parent, kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            try:
                response = await handler(request)
                status = response.status
                return response
            except web.HTTPException as error:
                status = error.status
                raise
            except asyncio.CancelledError:
                status = 499
                raise
            finally:
                span.set_attribute(names.HTTP_STATUS_CODE, status)
                if status >= 500:
                    span.set_status(Status(StatusCode.ERROR))
                duration.record(time.perf_counter() - started, attributes | {names.HTTP_STATUS_CODE: status})

    return middleware


def http_trace_headers() -> dict[str, str]:
    """Headers that carry the current span to another process; empty outside of a span."""
    headers: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(headers)
    return headers


async def metrics_handler(request: web.Request) -> web.Response:
    """GET /metrics: all measurements of the process in Prometheus' text form."""
    encoder, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    body = encoder(REGISTRY)
    return web.Response(body=body, headers={"Content-Type": content_type})
