"""Makes a node lie or stall, for tests: shows that the others bear with what the protocol promises to bear with.

Off unless the node was started with `--enable-faults FILE`. The file is read again for each call, so that a test can change
a running node. Each line has a fault, or a method and a fault, such as

    garbage
    GetBlobStatus equivocate
    GetInfo honest

where the last line that fits a method decides, and the faults are those of `Fault`. Lines that say nothing of this kind, an
empty file and no file mean an honest node. Faults are of answers of the service StorageNode only: what the node stores,
its health and its HTTP pages are never touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from walrus_node.rpc.handlers import behavior_of, with_behavior
from walrus_node.rpc.lies import Sign, forged, spoiled

_log = logging.getLogger(__name__)

_EVERY_METHOD: Final = "*"


class Fault(StrEnum):
    """How answers deviate."""

    HONEST = "honest"
    GARBAGE = "garbage"
    """The right form, wrong bytes: slivers, metadata, symbols, signatures, statuses."""
    FORGE = "forge"
    """Well signed, about something else; what has no signature is garbage."""
    UNDECODABLE = "undecodable"
    """Bytes that are no message of the documented type."""
    OVERSIZE = "oversize"
    """One message that is larger than any may be."""
    WITHHOLD = "withhold"
    """Empty answers: messages without content, streams that end before they begin."""
    STALL = "stall"
    """The call is taken, at most its first message is read, and no answer comes."""
    LINGER = "linger"
    """Streams stop behind their first message; all others stall."""
    EQUIVOCATE = "equivocate"
    """Who asks, and for what, decides whether the truth comes, and which lie otherwise; asked again, the same comes."""


@dataclass(frozen=True)
class Raw:
    """Stands for a message on its way out: these bytes are sent."""

    data: bytes

    def ByteSize(self) -> int:
        """As messages have it."""
        return len(self.data)


class FaultInjection(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Add it to a server as the last interceptor.

    Args:
        file: holds the faults.
        service: whose methods they are of.
        sign: the node's own signature.
        too_large: bytes of a message that nobody may send.
    """

    def __init__(self, file: Path, *, service: str, sign: Sign, too_large: int) -> None:
        self._file = file
        self._prefix = f"/{service}/"
        self._sign = sign
        self._too_large = too_large
        self._told: dict[str, Fault] = {}
        _log.warning("this node may be told to lie and to stall; never do that outside of tests", extra={"file": file})

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Lets the method's answers pass through the fault of the moment."""
        handler: Any = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or not method.startswith(self._prefix):
            return handler
        name = method.removeprefix(self._prefix)
        fault = await asyncio.to_thread(self._fault_of, name)
        return handler if fault is Fault.HONEST else self._deviating(handler, name, fault)

    def _fault_of(self, method: str) -> Fault:
        try:
            table = faults_of(self._file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            table = {}
        if table != self._told:
            self._told = table
            _log.warning("this node deviates as a test has told it", extra={"faults": dict(table)})
        return table.get(method, table.get(_EVERY_METHOD, Fault.HONEST))

    def _deviating(self, handler: Any, method: str, fault: Fault) -> Any:
        behavior = behavior_of(handler)

        def begin(request: Any, context: Any) -> tuple[Any, _Asked]:
            heard = _Heard(request) if handler.request_streaming else request
            return heard, _Asked(method, context.peer(), heard)

        async def one(request: Any, context: Any) -> Any:
            if fault in {Fault.STALL, Fault.LINGER}:
                if handler.request_streaming:
                    await anext(aiter(request), None)  # grpc.aio wants a stream begun before it is left
                await _for_ever()
            request, asked = begin(request, context)
            return self._twisted(await behavior(request, context), fault, asked)

        async def many(request: Any, context: Any) -> AsyncIterator[Any]:
            if fault is Fault.STALL:
                await _for_ever()
            request, asked = begin(request, context)
            async for answer in behavior(request, context):
                if _is_silent(fault, asked):
                    return
                yield self._twisted(answer, fault, asked)
                if fault is Fault.LINGER:
                    await _for_ever()

        def serialize(answer: Any) -> Any:
            return answer.data if isinstance(answer, Raw) else handler.response_serializer(answer)

        return with_behavior(handler, many if handler.response_streaming else one, encode=serialize)

    def _twisted(self, answer: Any, fault: Fault, asked: _Asked) -> Any:
        seed = 0
        if fault is Fault.EQUIVOCATE:
            seed = asked.seed
            fault = _EQUIVOCATIONS[seed % len(_EQUIVOCATIONS)]
            seed //= len(_EQUIVOCATIONS)
        match fault:
            case Fault.GARBAGE:
                return spoiled(answer, seed)
            case Fault.FORGE:
                return forged(answer, seed, self._sign)
            case Fault.UNDECODABLE:
                return Raw(b"\xff" * 11)
            case Fault.OVERSIZE:
                return Raw(bytes(self._too_large))
            case Fault.WITHHOLD:
                return type(answer)()
        return answer


_WORDS: Final = frozenset(fault.value for fault in Fault)
_EQUIVOCATIONS: Final = (Fault.HONEST, Fault.GARBAGE, Fault.FORGE, Fault.WITHHOLD)


def faults_of(text: str) -> dict[str, Fault]:
    """Reads a file of faults: method (or `*`) → fault."""
    table: dict[str, Fault] = {}
    for line in text.splitlines():
        *method, word = line.split() or [""]
        if word in _WORDS and len(method) <= 1:
            name = method[0] if method else _EVERY_METHOD
            if name == _EVERY_METHOD:
                table.clear()
            table[name] = Fault(word)
    return table


class _Heard:
    """A stream of requests that remembers the first one."""

    def __init__(self, requests: Any) -> None:
        self._requests = aiter(requests)
        self.first: Any = None

    def __aiter__(self) -> _Heard:
        return self

    async def __anext__(self) -> Any:
        request = await anext(self._requests)
        if self.first is None:
            self.first = request
        return request


@dataclass(frozen=True)
class _Asked:
    """Who asks for what."""

    method: str
    peer: str
    request: Any

    @property
    def seed(self) -> int:
        """The same for the same; known once the first request was read."""
        request = self.request.first if isinstance(self.request, _Heard) else self.request
        content = request.SerializeToString(deterministic=True) if request is not None else b""
        told = b"\0".join([self.method.encode(), self.peer.encode(), content])
        return int.from_bytes(hashlib.blake2b(told, digest_size=8).digest())


def _is_silent(fault: Fault, asked: _Asked) -> bool:
    """Whether a stream ends before it begins."""
    if fault is Fault.EQUIVOCATE:
        fault = _EQUIVOCATIONS[asked.seed % len(_EQUIVOCATIONS)]
    return fault is Fault.WITHHOLD


async def _for_ever() -> None:
    """Until the caller goes away or the server stops."""
    await asyncio.Event().wait()
