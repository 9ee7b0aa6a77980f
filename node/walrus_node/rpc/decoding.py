"""Gives undecodable messages a named reason: gRPC itself would answer INTERNAL without any detail.

An interceptor exchanges each method's decoder for one that returns `Undecodable` instead of failing, and refuses the
call with MALFORMED_REQUEST when a handler would meet one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_node.rpc.handlers import behavior_of, with_behavior

_REFUSAL: Final = RequestRefused(Reason.MALFORMED_REQUEST, "a message of the request is not of the documented type")


class Undecodable:
    """Stands for a message that could not be decoded."""


class StrictDecoding(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Add it to a server before the ones that measure."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the method's decoder and its behaviour."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        wrap = {
            (False, False): _unary,
            (False, True): _unary_stream,
            (True, False): _stream_unary,
            (True, True): _stream_stream,
        }[handler.request_streaming, handler.response_streaming]
        return with_behavior(handler, wrap(behavior_of(handler)), decode=_lenient(handler.request_deserializer))


def _lenient(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def attempt(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return Undecodable()

    return attempt


def _unary(behavior: Any) -> Any:
    async def handle(request: Any, context: Any) -> Any:
        if isinstance(request, Undecodable):
            await grpc_errors.abort(context, _REFUSAL)
        return await behavior(request, context)

    return handle


def _unary_stream(behavior: Any) -> Any:
    async def handle(request: Any, context: Any) -> AsyncIterator[Any]:
        if isinstance(request, Undecodable):
            await grpc_errors.abort(context, _REFUSAL)
        async for answer in behavior(request, context):
            yield answer

    return handle


def _stream_unary(behavior: Any) -> Any:
    async def handle(requests: Any, context: Any) -> Any:
        return await behavior(_Checked(requests), context)

    return handle


def _stream_stream(behavior: Any) -> Any:
    async def handle(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for answer in behavior(_Checked(requests), context):
            yield answer

    return handle


class _Checked:
    """A request stream that refuses what cannot be decoded; it goes on behind it, for whoever hears the sender out."""

    def __init__(self, requests: Any) -> None:
        self._requests = aiter(requests)

    def __aiter__(self) -> _Checked:
        return self

    async def __anext__(self) -> Any:
        request = await anext(self._requests)
        if isinstance(request, Undecodable):
            raise _REFUSAL
        return request
