"""The frame around every gRPC handler: durability, errors, statuses.

A read handler is a plain function from request to answer; it sees one state of the chain because nothing awaits inside
it, and its answer leaves when all that it shows is on disk. A handler that executes or streams is asynchronous. Errors
of the ledger and the engine become the statuses of a real node here; anything unexpected is logged with its traceback
and answered as INTERNAL without telling more.
"""

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.hub import Closed, SubscriptionEnded, TooManySubscribers
from walrus_sui.devnet.ledger.records import Rejected, RejectionKind
from walrus_sui.devnet.server import faults
from walrus_sui.devnet.server.faults import Fault
from walrus_sui.devnet.writing import EngineStopped

_log = logging.getLogger(__name__)
_DETAILS_KEY: Final = "grpc-status-details-bin"
_OWN_METHODS: Final = "/sui.rpc.v2."


class Service(Protocol):
    """What the wrappers need of a servicer."""

    @property
    def engine(self) -> Engine:
        """The chain that it answers from."""


_S = TypeVar("_S", bound=Service)
_Request = TypeVar("_Request")
_T = TypeVar("_T")


def read(handler: Callable[[_S, _Request], _T]) -> Callable[[_S, _Request, Any], Awaitable[_T]]:
    """Wraps a handler that only reads."""

    @functools.wraps(handler)
    async def wrapped(self: _S, request: _Request, context: Any) -> _T:
        try:
            _check_decoded(request)
            answer = handler(self, request)
            await self.engine.settled()
            return answer
        except Exception as error:
            fault = _translated(error, handler.__qualname__)
        return await _end(context, fault)

    return wrapped


def unary(handler: Callable[[_S, _Request], Awaitable[_T]]) -> Callable[[_S, _Request, Any], Awaitable[_T]]:
    """Wraps an asynchronous handler with one answer."""

    @functools.wraps(handler)
    async def wrapped(self: _S, request: _Request, context: Any) -> _T:
        try:
            _check_decoded(request)
            return await handler(self, request)
        except Exception as error:
            fault = _translated(error, handler.__qualname__)
        return await _end(context, fault)

    return wrapped


def stream(
    handler: Callable[[_S, _Request], AsyncIterator[_T]],
) -> Callable[[_S, _Request, Any], AsyncIterator[_T]]:
    """Wraps a handler with a stream of answers."""

    @functools.wraps(handler)
    async def wrapped(self: _S, request: _Request, context: Any) -> AsyncIterator[_T]:
        try:
            _check_decoded(request)
            async for answer in handler(self, request):
                yield answer
            return
        except Exception as error:
            fault = _translated(error, handler.__qualname__)
        await _end(context, fault)

    return wrapped


@dataclass(frozen=True)
class Undecodable:
    """Stands for a request whose bytes are no message of the call's type."""

    reason: str


class DecodingInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets requests that cannot be decoded reach the wrappers, which answer them; grpc itself would log a traceback."""

    def __init__(self) -> None:
        self._replaced: dict[str, Any] = {}

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Replaces the handler's decoder by one that never raises."""
        method = str(handler_call_details.method)
        if (known := self._replaced.get(method)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(_OWN_METHODS):
            return handler
        decoder = functools.partial(_decode, handler.request_deserializer)
        return self._replaced.setdefault(method, handler._replace(request_deserializer=decoder))


def _decode(decoder: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return decoder(data)
    except DecodeError as error:
        return Undecodable(str(error))


def _check_decoded(request: Any) -> None:
    if isinstance(request, Undecodable):
        raise Fault(grpc.StatusCode.INTERNAL, f"failed to decode Protobuf message: {request.reason}")


def _translated(error: Exception, method: str) -> Fault:
    codes = grpc.StatusCode
    match error:
        case Fault():
            return error
        case Rejected(kind=RejectionKind.NOT_FOUND):
            return faults.not_found(str(error))
        case Rejected():
            return Fault(codes.INVALID_ARGUMENT, str(error))
        case EngineStopped() | Closed() | TooManySubscribers():
            return Fault(codes.UNAVAILABLE, str(error))
        case SubscriptionEnded():
            return Fault(codes.RESOURCE_EXHAUSTED, str(error))
        case _:
            _log.error("unexpected error in %s", method, exc_info=error)
            return Fault(codes.INTERNAL, "internal error of the devnet; its log has the details")


async def _end(context: Any, fault: Fault) -> NoReturn:
    details = ((_DETAILS_KEY, fault.status().SerializeToString()),)
    await context.abort(fault.code, fault.message, trailing_metadata=details)
    raise AssertionError("abort always raises")
