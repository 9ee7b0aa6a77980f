"""Carries refusals over gRPC, both ways.

A server calls `abort`: the refusal becomes a gRPC status with a `google.rpc.ErrorInfo` detail, and a
`google.rpc.RetryInfo` when the node knows when it is worth to ask again. A client passes the `grpc.aio.AioRpcError` to
`refusal_of` and gets the refusal back, or `None` when the error has another origin (a broken connection, a deadline, a
foreign server).

A client of grpc.aio that is still writing when the status comes may lose it, and tells of an internal error instead. What
has come before the status is not lost: a server that refuses in the middle of a stream therefore says so ahead
(`announce`), in the initial metadata.
"""

from __future__ import annotations

import contextlib
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from walrus_client.reasons import DOMAIN, Reason, RequestRefused

_MAX_MESSAGE = 1024
_AHEAD = "walrus-refusal-bin"
"""Initial metadata with the same bytes as grpc-status-details-bin, a name that the library keeps for itself."""


def to_status(refusal: RequestRefused) -> grpc.Status:
    """Builds the gRPC status with its details; the message is cut so that it fits a header."""
    return rpc_status.to_status(_status_of(refusal))


def _status_of(refusal: RequestRefused) -> status_pb2.Status:
    info = error_details_pb2.ErrorInfo(reason=refusal.reason.value, domain=DOMAIN, metadata=dict(refusal.metadata))
    details = [_packed(info)]
    if refusal.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(refusal.retry_after_s * 1000))
        details.append(_packed(retry))
    message = refusal.message[:_MAX_MESSAGE]
    return status_pb2.Status(code=refusal.reason.status.grpc_number, message=message, details=details)


async def announce(context: grpc.aio.ServicerContext[Any, Any], refusal: RequestRefused) -> None:
    """Says ahead that the call will be refused; for calls that have answered nothing yet. Whoever is gone hears nothing."""
    with contextlib.suppress(grpc.aio.InternalError):
        await context.send_initial_metadata(((_AHEAD, _status_of(refusal).SerializeToString()),))


async def abort(context: grpc.aio.ServicerContext[Any, Any], refusal: RequestRefused) -> NoReturn:
    """Ends a call with the refusal; works in unary and in streaming handlers."""
    status = to_status(refusal)
    context.set_trailing_metadata(status.trailing_metadata)
    await context.abort(status.code, status.details)
    raise AssertionError("abort never returns")


def refusal_of(error: grpc.aio.AioRpcError) -> RequestRefused | None:
    """The refusal that a node put into the error, or None when the error carries none of ours."""
    places = ((error.trailing_metadata(), "grpc-status-details-bin"), (error.initial_metadata(), _AHEAD))
    for metadata, name in places:
        pairs: Any = metadata or ()
        details = next((value for key, value in pairs if key == name), None)
        if isinstance(details, bytes):
            try:
                return _refusal_in(status_pb2.Status.FromString(details))
            except DecodeError:
                return None
    return None


def _refusal_in(status: status_pb2.Status) -> RequestRefused | None:
    retry_after_s = _retry_after_s(status)
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
            try:
                reason = Reason(info.reason)
            except ValueError:
                # A newer node: keep its sentence, treat it as a fault of the node.
                reason = Reason.INTERNAL_ERROR
            return RequestRefused(reason, status.message, dict(info.metadata), retry_after_s=retry_after_s)
    return None


def _packed(message: Message) -> any_pb2.Any:
    detail = any_pb2.Any()
    detail.Pack(message)
    return detail


def _retry_after_s(status: status_pb2.Status) -> float | None:
    for detail in status.details:
        retry = error_details_pb2.RetryInfo()
        if detail.Is(retry.DESCRIPTOR) and detail.Unpack(retry):
            delay: int = retry.retry_delay.ToMilliseconds()
            return max(0.0, delay / 1000)
    return None
