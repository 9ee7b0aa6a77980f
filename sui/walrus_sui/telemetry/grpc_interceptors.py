"""gRPC side of telemetry: a span and a duration for every call, on both ends, joined by `traceparent`.

grpc.aio sorts client interceptors by their one base class, so the four call shapes need four classes; all four only
prepare the call and observe its end in `_ClientCalls`. On the server one interceptor wraps the method handlers.
Health checks and reflection are not recorded: probes would drown everything else. A served call has a span if its caller
is in a trace, or if this process sends spans to a collector; otherwise nobody could ever see it, and it is only measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from walrus_sui.telemetry import names
from walrus_sui.telemetry.provider import exports_spans, meter, tracer

_QUIET = ("/grpc.health.", "/grpc.reflection.")
_TRACE_KEYS = frozenset(propagate.get_global_textmap().fields)


@dataclass(frozen=True)
class _OpenCall:
    span: Span
    method: str
    started: float


class _ClientCalls:
    """Starts a client span for a call and ends it, with its status, when the call is done."""

    def __init__(self) -> None:
        self._duration = meter().create_histogram(
            names.RPC_CLIENT_DURATION, unit="s", description="Duration of outgoing gRPC calls."
        )
        self._ending: set[asyncio.Task[None]] = set()

    def prepare(self, details: grpc.aio.ClientCallDetails) -> tuple[grpc.aio.ClientCallDetails, _OpenCall]:
        """Adds `traceparent` to the call's metadata and opens its span."""
        raw: str | bytes = details.method
        method = (raw.decode() if isinstance(raw, bytes) else raw).lstrip("/")
        attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: method}
        span = tracer().start_span(method, kind=SpanKind.CLIENT, attributes=attributes)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, context=trace.set_span_in_context(span))
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        for key, value in carrier.items():
            metadata.add(key, value)
        prepared = grpc.aio.ClientCallDetails(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
        )
        return prepared, _OpenCall(span, method, time.perf_counter())

    async def finish(self, call: Any, opened: _OpenCall) -> None:
        """Waits for the call's status and closes the span."""
        code = await call.code()
        self.close(opened, code.name)

    def finish_later(self, call: Any, opened: _OpenCall) -> None:
        """Closes the span once a response stream has ended; until then the stream is the caller's."""

        def done(finished: Any) -> None:
            task = asyncio.ensure_future(self.finish(finished, opened))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

        call.add_done_callback(done)

    def close(self, opened: _OpenCall, code: str) -> None:
        """Ends the span and records the duration."""
        opened.span.set_attribute(names.RPC_STATUS_CODE, code)
        if code != "OK":
            opened.span.set_status(Status(StatusCode.ERROR, code))
        opened.span.end()
        attributes = {names.RPC_METHOD: opened.method, names.RPC_STATUS_CODE: code}
        self._duration.record(time.perf_counter() - opened.started, attributes)

    async def one_answer(self, continuation: Callable[..., Awaitable[Any]], details: Any, request: Any) -> Any:
        """A call with one answer: the interceptor may wait for its end."""
        prepared, opened = self.prepare(details)
        code = "CANCELLED"
        try:
            call = await continuation(prepared, request)
            code = (await call.code()).name
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            raise
        finally:
            self.close(opened, code)
        return call

    async def many_answers(self, continuation: Callable[..., Awaitable[Any]], details: Any, request: Any) -> Any:
        """A call with a stream of answers."""
        prepared, opened = self.prepare(details)
        try:
            call = await continuation(prepared, request)
        except BaseException:
            self.close(opened, "CANCELLED")
            raise
        self.finish_later(call, opened)
        return call


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, calls: _ClientCalls) -> None:
        self._calls = calls

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._calls.one_answer(continuation, client_call_details, request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, calls: _ClientCalls) -> None:
        self._calls = calls

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._calls.many_answers(continuation, client_call_details, request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, calls: _ClientCalls) -> None:
        self._calls = calls

    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._calls.one_answer(continuation, client_call_details, request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]
    def __init__(self, calls: _ClientCalls) -> None:
        self._calls = calls

    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._calls.many_answers(continuation, client_call_details, request_iterator)


def grpc_client_interceptors() -> list[Any]:
    """Interceptors for `grpc.aio.secure_channel(..., interceptors=...)`; make one list per channel."""
    calls = _ClientCalls()
    return [_UnaryUnary(calls), _UnaryStream(calls), _StreamUnary(calls), _StreamStream(calls)]


class _Server(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Wraps each method handler so that it runs inside a server span and is measured."""

    def __init__(self) -> None:
        self._duration = meter().create_histogram(
            names.RPC_SERVER_DURATION, unit="s", description="Duration of served gRPC calls."
        )
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or method.startswith(_QUIET):
            return handler
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = self._wrapped[method] = handler, self._wrap(handler, method.lstrip("/"))
        return known[1]

    def _wrap(self, handler: Any, method: str) -> Any:
        def unary(body: Callable[..., Any]) -> Callable[..., Any]:
            async def measured(request: Any, context: Any) -> Any:
                with _ServedCall(method, context, self._duration):
                    return await body(request, context)

            return measured

        def stream(body: Callable[..., Any]) -> Callable[..., Any]:
            async def measured(request: Any, context: Any) -> AsyncIterator[Any]:
                with _ServedCall(method, context, self._duration):
                    async for answer in body(request, context):
                        yield answer

            return measured

        wrap = stream if handler.response_streaming else unary
        shapes = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
        bodies = {shape: getattr(handler, shape) for shape in shapes}
        return handler._replace(**{shape: wrap(body) for shape, body in bodies.items() if body})


class _ServedCall:
    """One call that is being served: a measurement, and a span if anybody will see it."""

    __slots__ = ("_context", "_duration", "_method", "_span", "_started")

    def __init__(self, method: str, context: Any, duration: Histogram) -> None:
        self._method = method
        self._context = context
        self._duration = duration
        self._span: Span | None = None
        self._started = time.perf_counter()

    def __enter__(self) -> None:
        carrier = _trace_metadata(self._context.invocation_metadata())
        if not carrier and not exports_spans():
            return  # nobody asked for it and nobody would get it
        parent = propagate.extract(carrier)
        attributes = {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: self._method}
        # Each call has a task, and so a context, of its own: the span may stay current to its end. Detaching would fail
        # where a stream is closed from another task than the one it was read in.
        self._span = tracer().start_span(self._method, context=parent, kind=SpanKind.SERVER, attributes=attributes)
        otel_context.attach(trace.set_span_in_context(self._span, parent))

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        code = _name_of(self._context.code()) or _name_of_end(error)
        if self._span is not None:
            self._span.set_attribute(names.RPC_STATUS_CODE, code)
            if code != "OK":
                self._span.set_status(Status(StatusCode.ERROR, code))
            self._span.end()
        measured = {names.RPC_METHOD: self._method, names.RPC_STATUS_CODE: code}
        self._duration.record(time.perf_counter() - self._started, measured)


def grpc_server_interceptors() -> list[Any]:
    """Interceptors for `grpc.aio.server(interceptors=...)`."""
    return [_Server()]


def _name_of(code: Any) -> str | None:
    """Name of a status that a handler set, whether as enum or as number; None when it set none."""
    if isinstance(code, grpc.StatusCode):
        return code.name if code is not grpc.StatusCode.OK else None
    if isinstance(code, int) and code:
        return next((entry.name for entry in grpc.StatusCode if entry.value[0] == code), str(code))
    return None


def _name_of_end(error: BaseException | None) -> str:
    """Name of the status that grpc gives to a call whose handler ended in this way, without setting one."""
    if error is None:
        return "OK"
    return "CANCELLED" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "UNKNOWN"


def _trace_metadata(metadata: Any) -> dict[str, str]:
    """What a call's metadata tells of the trace that it belongs to; mostly nothing."""
    return {key: value for key, value in metadata or () if key in _TRACE_KEYS and isinstance(value, str)}
