"""Receives request bodies into shared memory, within limits, before anything is computed; and sends blobs in pieces.

Life of a body: its declared length is compared with the limit before a byte is read; then memory for the blob and its
encoding is reserved, for a while if need be; then the bytes go straight into the segment that will become the front of
the encoding. A body without a declared length reserves memory as it grows. Whatever goes wrong, the answer names it and
the connection is closed, because the rest of the body is still on its way.

Life of an answer: each piece is written when the client has fetched most of the one before, so that no more than one waits
here. A client that goes away, or fetches too slowly, ends the answer, and its memory is free again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import ClientPayloadError, web

from walrus_client.budget import ByteBudget
from walrus_client.compute import Segment
from walrus_client.gateway.envelope import GatewayError, GatewayReason
from walrus_codec.params import CodeParams

_log = logging.getLogger(__name__)

_FIRST_STEP = 1 << 20


@dataclass(frozen=True)
class Pace:
    """How slow a client may be. Only what the gateway waits for it counts, not what it is made to wait.

    Attributes:
        stall_s: longest wait for the next part to come, or to be taken.
        slowest_bytes_per_s: what it must send or take per second, beyond the first `stall_s` of waiting.
    """

    stall_s: float
    slowest_bytes_per_s: int

    def patience_s(self, moved: int, waited_s: float) -> float:
        """How long the next part may take after `moved` bytes and `waited_s` seconds of waiting; not above 0: too slow."""
        return min(self.stall_s, self.stall_s + moved / self.slowest_bytes_per_s - waited_s)


class Admission:
    """Bytes of the gateway's memory that one request holds; give them all back at the end of the block."""

    def __init__(self, budget: ByteBudget, *, wait_s: float) -> None:
        self._budget = budget
        self._wait_s = wait_s
        self._held = contextlib.AsyncExitStack()

    async def grow(self, size: int) -> None:
        """Takes `size` more bytes.

        Raises:
            GatewayError: TOO_MANY_BYTES_IN_FLIGHT when they do not become free in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._held.enter_async_context(self._budget.reserve(size))
        except TimeoutError:
            raise GatewayError(
                GatewayReason.TOO_MANY_BYTES_IN_FLIGHT,
                "the gateway is busy with other blobs; try again in a moment, or use another gateway",
                {"limit": str(self._budget.capacity)},
                close=True,
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._held.aclose()


def footprint(params: CodeParams, length: int) -> int:
    """Bytes of memory that storing a blob of `length` bytes takes."""
    return params.writing_memory(length)


def too_large(limit: int) -> GatewayError:
    """The answer to a body above the limit."""
    return GatewayError(
        GatewayReason.BODY_TOO_LARGE,
        f"the blob is larger than this gateway's limit of {limit} bytes; split it",
        {"limit": str(limit)},
        close=True,
    )


def check_declared(request: web.BaseRequest, limit: int) -> None:
    """Refuses a body by its declared length; raises `GatewayError` BODY_TOO_LARGE."""
    if request.content_length is not None and request.content_length > limit:
        raise too_large(limit)


async def receive(
    request: web.Request,
    *,
    limit: int,
    params: CodeParams,
    admission: Admission,
    pace: Pace,
    make: Callable[[int, CodeParams], Awaitable[Segment]],
) -> Segment:
    """Reads the whole body; the caller owns the segment, whose size is that of the body.

    Args:
        request: has the body.
        limit: bytes that it may have.
        params: the code in which it will be encoded.
        admission: memory.
        pace: how slow the sender may be.
        make: gives the memory for a body of a declared length (`Compute.segment`).

    Raises:
        GatewayError: BODY_TOO_LARGE, TOO_MANY_BYTES_IN_FLIGHT, REQUEST_TIMEOUT when the sender is too slow, or
            MALFORMED_REQUEST when the body breaks off.
    """
    check_declared(request, limit)
    declared = request.content_length
    if not request.can_read_body:
        declared = 0
    if declared is None:
        segment = Segment.create(0, name="walrus-body")
    else:
        await admission.grow(footprint(params, declared))
        segment = await make(declared, params)
    try:
        received = 0
        view = segment.view
        async for chunk in _chunks(request, pace):
            end = received + len(chunk)
            if end > limit:
                raise too_large(limit)
            if end > segment.size:
                await _enlarge(segment, end, limit=limit, params=params, admission=admission)
                view = segment.view
            view[received:end] = chunk
            received = end
        if received != segment.size:
            segment.resize(received)
    except BaseException:
        segment.close()
        raise
    return segment


async def send(
    request: web.BaseRequest, response: web.StreamResponse, pieces: AsyncIterator[memoryview], pace: Pace
) -> None:
    """Sends an answer whose length is declared. If it cannot be sent whole, its connection ends: it is never cut short.

    Args:
        request: what is answered.
        response: not prepared yet.
        pieces: the body.
        pace: how slowly the client may take it.
    """
    clock = asyncio.get_running_loop().time
    sent, waited_s = 0, 0.0
    try:
        await response.prepare(request)
        async for piece in pieces:
            before = clock()
            async with asyncio.timeout(pace.patience_s(sent, waited_s)):
                await response.write(piece)
            waited_s += clock() - before
            sent += len(piece)
        async with asyncio.timeout(pace.patience_s(sent, waited_s)):
            await response.write_eof()
    except ConnectionError:
        _log.debug("a client went away", extra={"path": request.path, "sent": sent})
    except TimeoutError:
        _log.info(
            "a client took an answer too slowly; its connection was ended", extra={"path": request.path, "sent": sent}
        )
        _abort(request)
    except BaseException:
        _abort(request)
        raise


def _abort(request: web.BaseRequest) -> None:
    """Ends the connection at once, with whatever was still to be sent on it."""
    if request.transport is not None:
        request.transport.abort()


async def _enlarge(segment: Segment, wanted: int, *, limit: int, params: CodeParams, admission: Admission) -> None:
    size = min(max(2 * segment.size, wanted, _FIRST_STEP), limit)
    await admission.grow(footprint(params, size) - footprint(params, segment.size))
    segment.resize(size)


async def _chunks(request: web.Request, pace: Pace) -> AsyncIterator[bytes]:
    clock = asyncio.get_running_loop().time
    received, waited_s = 0, 0.0
    try:
        while True:
            before = clock()
            async with asyncio.timeout(pace.patience_s(received, waited_s)):
                chunk = await request.content.readany()
            waited_s += clock() - before
            if not chunk:
                return
            received += len(chunk)
            yield chunk
    except TimeoutError:
        message = (
            f"the body comes too slowly: {received} bytes, then nothing in time; send at least {pace.slowest_bytes_per_s} "
            f"bytes per second, with pauses of less than {pace.stall_s:.0f} s"
        )
        raise GatewayError(GatewayReason.REQUEST_TIMEOUT, message, close=True) from None
    except (ClientPayloadError, ConnectionError) as error:
        message = f"the body broke off: {error}"
        raise GatewayError(GatewayReason.MALFORMED_REQUEST, message, close=True) from error
