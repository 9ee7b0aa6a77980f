"""Puts the HTTP faces together: the API for users, and a second port for probes and metrics."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Any

import yaml
from aiohttp import web
from aiohttp.typedefs import Middleware
from opentelemetry.metrics import Observation

from walrus_client.gateway.blobs import BlobRoutes
from walrus_client.gateway.config import GatewayConfig
from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.gateway.envelope import GatewayError, GatewayReason, error_middleware
from walrus_client.gateway.query import parse_nothing
from walrus_client.gateway.services import Connector
from walrus_sui.telemetry import aiohttp_middleware, meter, metrics_handler, names

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "*",
}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, PUT, OPTIONS",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Max-Age": "86400",
}


def build_api(config: GatewayConfig, connector: Connector, under_way: RequestsUnderWay) -> web.Application:
    """The application behind the API port."""
    middlewares = [under_way.middleware(), aiohttp_middleware(), _cors(), error_middleware()]
    app = web.Application(middlewares=middlewares, client_max_size=1 << 16)
    app.on_response_prepare.append(under_way.close_when_draining)
    app.on_response_prepare.append(_allow_origins)
    BlobRoutes(config, lambda: connector.services, under_way).add_to(app)
    meter().create_observable_up_down_counter(
        names.CLIENT_REQUESTS_UNDER_WAY,
        callbacks=[lambda _options: [Observation(under_way.count)]],
        unit="{request}",
        description="Requests that have not ended, and stores that go on without their client.",
    )
    service = _ServiceRoutes(connector, under_way)
    app.router.add_get("/status", service.status)
    app.router.add_get("/v1/api", service.docs)
    return app


def build_metrics(connector: Connector, under_way: RequestsUnderWay, *, address: str) -> web.Application:
    """The application behind the metrics port: probes, metrics, what the gateway knows of itself."""

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        if under_way.draining:
            return web.Response(status=503, text="stopping\n")
        # The chain may be away: reads go on without it, so it must not take the gateway out of service.
        return (
            web.Response(text="ok\n") if connector.ready else web.Response(status=503, text="no committee known yet\n")
        )

    async def info(_request: web.Request) -> web.Response:
        return web.json_response(_info(connector, address))

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics_handler)
    app.router.add_get("/v1/info", info)
    return app


class _ServiceRoutes:
    def __init__(self, connector: Connector, under_way: RequestsUnderWay) -> None:
        self._connector = connector
        self._under_way = under_way
        self._document: dict[str, Any] = yaml.safe_load(
            resources.files("walrus_client.gateway").joinpath("openapi.yaml").read_text(encoding="utf-8")
        )
        self._page = _page(self._document)

    async def status(self, request: web.Request) -> web.Response:
        """GET /status: `OK`, or why not."""
        parse_nothing(list(request.query.items()))
        if self._under_way.draining:
            raise GatewayError(GatewayReason.SHUTTING_DOWN, "this gateway is stopping; use another one, or come back")
        committees = self._connector.services.committees
        if committees.failure is not None:
            raise GatewayError(
                GatewayReason.CHAIN_UNREACHABLE,
                f"the chain cannot be reached: {committees.failure}; certified blobs can be read, nothing can be stored",
            )
        if not self._connector.ready:
            message = "the network has no committee yet; wait for its first epoch change"
            raise GatewayError(GatewayReason.NETWORK_NOT_READY, message)
        return web.Response(text="OK", headers={"Cache-Control": "no-store"})

    async def docs(self, request: web.Request) -> web.Response:
        """GET /v1/api: this API's description, as a page for browsers and as OpenAPI JSON for programs."""
        parse_nothing(list(request.query.items()))
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=self._page, content_type="text/html")
        return web.json_response(self._document)


def _info(connector: Connector, address: str) -> dict[str, Any]:
    try:
        committees = connector.services.committees
    except GatewayError as error:
        return {"address": address, "ready": False, "problem": error.message}
    view = committees.last
    funds = connector.funds
    return {
        "address": address,
        "ready": connector.ready,
        "epoch": None if view is None else view.epoch,
        "nShards": None if view is None else view.n_shards,
        "chainReachable": committees.failure is None,
        "funds": None if funds is None else {"wal": funds.wal, "sui": funds.sui, "low": funds.low},
    }


def _cors() -> Middleware:
    """Answers browsers' preflights: any origin may use the API, as with the official daemon."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)

    return middleware


async def _allow_origins(_request: web.Request, response: web.StreamResponse) -> None:
    """Runs before headers are sent, also those of streamed answers."""
    response.headers.update(_CORS)


def _page(document: dict[str, Any]) -> str:
    """A plain page of the routes; it needs no script and no other server."""
    rows = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = "".join(
                f"<li><code>{html.escape(entry['name'])}</code> ({entry['in']}): {html.escape(entry['description'])}</li>"
                for entry in operation.get("parameters", [])
            )
            answers = "".join(
                f"<li><code>{code}</code> {html.escape(answer['description'])}</li>"
                for code, answer in operation["responses"].items()
            )
            rows.append(
                f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>"
                f"<p>{html.escape(operation['summary'])}. {html.escape(operation.get('description', ''))}</p>"
                f"<ul>{parameters}</ul><p>Answers</p><ul>{answers}</ul>"
            )
    info = document["info"]
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(info['title'])}</title>"
        "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
        "code{background:#8882;padding:0 .2em;border-radius:.2em}</style>"
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])}</p>{''.join(rows)}</html>"
    )
