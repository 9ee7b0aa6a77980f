"""Errors of the HTTP API: one envelope, one table of reasons.

    {"error": {"status": "NOT_FOUND", "code": 404, "message": "...",
               "details": [{"@type": "ErrorInfo", "reason": "BLOB_NOT_FOUND",
                            "domain": "daemon.walrus.space", "metadata": {...}}]}}

Shape, domain and the names that Walrus has are those of the official daemon (walrus-service `client/daemon`); ours fill
the gaps: CHAIN_UNREACHABLE, INSUFFICIENT_FUNDS, NETWORK_NOT_READY, TOO_MANY_BYTES_IN_FLIGHT, BODY_TOO_LARGE,
ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED, UNSUPPORTED_ENCODING_TYPE, INVALID_BLOB.

Life of an error: any handler raises; `error_middleware` turns what it knows into an envelope and everything else into a
500 that names no internals (they are in the log, with the trace id).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from walrus_client.errors import ClientError, InsufficientConfirmationsError
from walrus_codec.errors import BlobTooLarge
from walrus_sui.errors import ChainError, ChainUnreachable, InsufficientFunds

_log = logging.getLogger(__name__)

DOMAIN = "daemon.walrus.space"
GLOBAL_DOMAIN = "global"
RETRY_AFTER_S = 5
CLIENT_GONE = 499
"""Status, in traces and metrics only, of a request whose client has gone away."""


class GatewayReason(StrEnum):
    """Reason of an error; the names are API."""

    MALFORMED_REQUEST = "MALFORMED_REQUEST"
    INVALID_BLOB_PERSISTENCE = "INVALID_BLOB_PERSISTENCE"
    UNSUPPORTED_ENCODING_TYPE = "UNSUPPORTED_ENCODING_TYPE"
    BLOB_NOT_FOUND = "BLOB_NOT_FOUND"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    INVALID_BYTE_RANGE = "INVALID_BYTE_RANGE"
    RANGE_NOT_SATISFIABLE = "RANGE_NOT_SATISFIABLE"
    TOO_MANY_BYTES_IN_FLIGHT = "TOO_MANY_BYTES_IN_FLIGHT"
    FORBIDDEN_BLOB = "FORBIDDEN_BLOB"
    INVALID_BLOB = "INVALID_BLOB"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    BLOB_UNAVAILABLE = "BLOB_UNAVAILABLE"
    CHAIN_UNREACHABLE = "CHAIN_UNREACHABLE"
    NETWORK_NOT_READY = "NETWORK_NOT_READY"
    STORAGE_EXHAUSTED = "STORAGE_EXHAUSTED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    INSUFFICIENT_CONFIRMATIONS = "INSUFFICIENT_CONFIRMATIONS"

    @property
    def http(self) -> int:
        """HTTP status code."""
        return _TABLE[self].http

    @property
    def status(self) -> str:
        """Canonical status in the envelope."""
        return _TABLE[self].status

    @property
    def retryable(self) -> bool:
        """True when the same request may succeed later: the answer carries `Retry-After`."""
        return _TABLE[self].retryable

    @property
    def meaning(self) -> str:
        """What it says and what to do, for the reference page."""
        return _TABLE[self].meaning


@dataclass(frozen=True)
class _Row:
    http: int
    status: str
    retryable: bool
    meaning: str


_TABLE = {
    GatewayReason.MALFORMED_REQUEST: _Row(
        400,
        "INVALID_ARGUMENT",
        retryable=False,
        meaning="The blob id, a query parameter or the body cannot be understood, or a parameter is unknown. Correct what the message names.",
    ),
    GatewayReason.INVALID_BLOB_PERSISTENCE: _Row(
        400,
        "INVALID_ARGUMENT",
        retryable=False,
        meaning="`permanent` and `deletable` were both given. Give one of them.",
    ),
    GatewayReason.UNSUPPORTED_ENCODING_TYPE: _Row(
        400,
        "INVALID_ARGUMENT",
        retryable=False,
        meaning="The network does not store blobs of this encoding. Leave `encoding_type` out.",
    ),
    GatewayReason.BLOB_NOT_FOUND: _Row(
        404,
        "NOT_FOUND",
        retryable=False,
        meaning="A quorum of the storage nodes does not know the blob. Check the id and whether the blob has expired.",
    ),
    GatewayReason.ROUTE_NOT_FOUND: _Row(
        404,
        "NOT_FOUND",
        retryable=False,
        meaning="There is no such path. `/v1/api` lists them.",
    ),
    GatewayReason.METHOD_NOT_ALLOWED: _Row(
        405,
        "INVALID_ARGUMENT",
        retryable=False,
        meaning="The path has no such method; the header `Allow` lists those that it has.",
    ),
    GatewayReason.REQUEST_TIMEOUT: _Row(
        408,
        "DEADLINE_EXCEEDED",
        retryable=False,
        meaning="The body came too slowly, or nothing of it for too long. Send it again.",
    ),
    GatewayReason.BODY_TOO_LARGE: _Row(
        413,
        "SIZE_EXCEEDED",
        retryable=False,
        meaning="The blob is larger than `metadata.limit` bytes: the gateway's limit, or what the network's shards can hold. Split it.",
    ),
    GatewayReason.INVALID_BYTE_RANGE: _Row(
        400,
        "INVALID_ARGUMENT",
        retryable=False,
        meaning="`start` and `length` of `/byte-range` name nothing, or bytes outside of the blob of `metadata.size` bytes.",
    ),
    GatewayReason.RANGE_NOT_SATISFIABLE: _Row(
        416,
        "RANGE_NOT_SATISFIABLE",
        retryable=False,
        meaning="The `Range` does not lie in the blob of `metadata.size` bytes, or is not of the form `bytes=first-last`.",
    ),
    GatewayReason.TOO_MANY_BYTES_IN_FLIGHT: _Row(
        429,
        "RESOURCE_EXHAUSTED",
        retryable=True,
        meaning="The gateway's memory is taken by other blobs. Try again, or use another gateway.",
    ),
    GatewayReason.FORBIDDEN_BLOB: _Row(
        451,
        "UNAVAILABLE_FOR_LEGAL_REASONS",
        retryable=False,
        meaning="A quorum of the storage nodes refuses to serve the blob.",
    ),
    GatewayReason.INVALID_BLOB: _Row(
        500,
        "INTERNAL",
        retryable=False,
        meaning="The blob id was marked invalid on chain, or its bytes are not what it commits to: nobody can read it.",
    ),
    GatewayReason.INTERNAL_ERROR: _Row(
        500,
        "INTERNAL",
        retryable=False,
        meaning="A fault of the gateway, or the chain refused a transaction. The gateway's log says more.",
    ),
    GatewayReason.BLOB_UNAVAILABLE: _Row(
        503,
        "UNAVAILABLE",
        retryable=True,
        meaning="Too few nodes answered just now. Try again; nothing is known to be lost.",
    ),
    GatewayReason.CHAIN_UNREACHABLE: _Row(
        503,
        "UNAVAILABLE",
        retryable=True,
        meaning="The chain does not answer: nothing can be stored, certified blobs can be read.",
    ),
    GatewayReason.NETWORK_NOT_READY: _Row(
        503,
        "UNAVAILABLE",
        retryable=True,
        meaning="The network has no committee yet. Wait for its first epoch.",
    ),
    GatewayReason.STORAGE_EXHAUSTED: _Row(
        503,
        "UNAVAILABLE",
        retryable=False,
        meaning="The network sells no more storage for that long. Ask for fewer epochs, or wait until other blobs expire.",
    ),
    GatewayReason.INSUFFICIENT_FUNDS: _Row(
        503,
        "UNAVAILABLE",
        retryable=True,
        meaning="The gateway's key has too little SUI or WAL. Send some to `metadata.address`.",
    ),
    GatewayReason.SHUTTING_DOWN: _Row(
        503,
        "UNAVAILABLE",
        retryable=True,
        meaning="This gateway is stopping. Use another one, or try again.",
    ),
    GatewayReason.INSUFFICIENT_CONFIRMATIONS: _Row(
        504,
        "DEADLINE_EXCEEDED",
        retryable=True,
        meaning="Nodes with too few shards confirmed the blob. Try again: what was paid is kept and used.",
    ),
}


class GatewayError(Exception):
    """An error with its envelope.

    Args:
        reason: What it is.
        message: What to do, for people.
        metadata: Facts for programs, such as the limit that was exceeded.
        close: Whether the connection must be closed because the body was not read.
        headers: Headers of the answer beyond those of every error.
    """

    def __init__(
        self,
        reason: GatewayReason,
        message: str,
        metadata: Mapping[str, str] | None = None,
        *,
        close: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.close = close
        self.headers = dict(headers or {})


def envelope(reason: GatewayReason, message: str, metadata: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The error as JSON."""
    domain = GLOBAL_DOMAIN if reason is GatewayReason.INTERNAL_ERROR else DOMAIN
    info = {"@type": "ErrorInfo", "reason": reason.value, "domain": domain, "metadata": dict(metadata or {})}
    return {"error": {"status": reason.status, "code": reason.http, "message": message, "details": [info]}}


def error_response(error: GatewayError) -> web.Response:
    """The HTTP answer of an error."""
    all_headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", **error.headers}
    if error.reason.retryable:
        all_headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    document = envelope(error.reason, error.message, error.metadata)
    response = web.json_response(document, status=error.reason.http, headers=all_headers)
    if error.close:
        response.force_close()
    return response


def describe(error: Exception) -> GatewayError | None:
    """The envelope of an error of the client, the chain or the codec; None when it is a fault of ours."""
    match error:
        case GatewayError():
            return error
        case BlobTooLarge():
            limit = {"limit": str(error.limit)}
            return GatewayError(GatewayReason.BODY_TOO_LARGE, str(error), limit, close=True)
        case InsufficientConfirmationsError():
            facts = {"confirmedShards": str(error.weight), "neededShards": str(error.needed)}
            return GatewayError(GatewayReason.INSUFFICIENT_CONFIRMATIONS, str(error), facts)
        case InsufficientFunds():
            facts = {"address": error.address, "token": error.coin, "needed": str(error.needed)}
            return GatewayError(GatewayReason.INSUFFICIENT_FUNDS, str(error), facts)
        case ChainUnreachable():
            return GatewayError(GatewayReason.CHAIN_UNREACHABLE, f"the chain cannot be reached: {error}")
        case ChainError():
            return GatewayError(GatewayReason.INTERNAL_ERROR, f"the chain refused the transaction: {error}")
        case ClientError():
            reason = GatewayReason.__members__.get(error.reason, GatewayReason.INTERNAL_ERROR)
            return GatewayError(reason, str(error))
        case _:
            return None


def error_middleware() -> Middleware:
    """Turns every error of a handler, and of the router, into an envelope."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except asyncio.CancelledError:
            raise
        except web.HTTPNotFound:
            known = "PUT /v1/blobs, GET /v1/blobs/{blob_id}, GET /status, GET /v1/api"
            message = f"there is no {request.path}; see /v1/api for all routes ({known})"
            return error_response(GatewayError(GatewayReason.ROUTE_NOT_FOUND, message))
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            message = f"{request.method} is not allowed on {request.path}; allowed: {allowed}"
            close = request.can_read_body
            headers = {"Allow": allowed}
            return error_response(GatewayError(GatewayReason.METHOD_NOT_ALLOWED, message, close=close, headers=headers))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return error_response(GatewayError(GatewayReason.MALFORMED_REQUEST, error.reason, close=True))
        except Exception as error:
            if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
                return web.Response(status=CLIENT_GONE)  # in the middle of its answer, which is no fault of ours
            described = describe(error)
            if described is None:
                _log.exception("a request failed", extra={"path": request.path})
                message = "an internal error has occurred; please report it with the time and the path"
                described = GatewayError(GatewayReason.INTERNAL_ERROR, message)
            elif described.reason.http >= 500:
                _log.warning(
                    "a request failed",
                    extra={"path": request.path, "reason": described.reason.value, "cause": described.message},
                )
            return error_response(described)

    return middleware
