"""Ends answers that nobody fetches: a reader that does not drain its stream must not hold the node's memory.

An interceptor writes each message of a streamed answer itself, under a deadline (`rules.Pace`). When it passes, the
handler is closed first, which gives back what it holds; then the call is ended with a reason. Flow control holds that
reason, and the one message before it, until the reader drains or leaves: so long its bytes stay counted in the lane of
reads, even when that is full, because they are there. A reader that does neither, for as long as it may pause, loses its
connection: it would hold the place of others for nothing.

An answer of one message, and the end of a longer one, gRPC takes at once, and keeps them until they can be sent. They are
counted likewise until the call is over, and there is no way to end it but with its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc.aio

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_node.rpc.admission import Gate, client_of
from walrus_node.rpc.connections import hang_up
from walrus_node.rpc.handlers import behavior_of, with_behavior
from walrus_node.rpc.rules import Lane, Pace, Progress
from walrus_sui.telemetry import meter, names

_log = logging.getLogger(__name__)

_SMALL = 4 << 10
"""So few bytes belong to what an open call takes anyway."""
_WRITE_BUFFER = 64 << 10
"""Bytes of a stream that gRPC takes before it lets the next one wait."""


class SlowReaders(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Add it to a server before all other interceptors.

    Args:
        pace: what readers must keep.
        gate: counts what is stuck.

    Attributes:
        cut: answers that were ended.
        hung_up: connections that were closed because even the reason was not fetched.
    """

    def __init__(self, pace: Pace, gate: Gate) -> None:
        self._pace = pace
        self._gate = gate
        self.cut = 0
        self.hung_up = 0
        self._gone: set[str] = set()
        self._counter = meter().create_counter(
            names.NODE_SLOW_READERS,
            description="Answers that were ended because nobody fetched them, and connections closed.",
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the method's behaviour."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return handler
        wrap = self._many if handler.response_streaming else self._one
        return with_behavior(handler, wrap(behavior_of(handler)))

    def _one(self, behavior: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def handle(request: Any, context: Any) -> Any:
            answer = await behavior(request, context)
            self._until_sent(context, answer.ByteSize())
            return answer

        return handle

    def _many(self, behavior: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], Awaitable[None]]:
        async def handle(request: Any, context: Any) -> None:
            answers: Any = behavior(request, context)
            progress, sent = Progress(self._pace), 0
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    size, begun = answer.ByteSize(), time.monotonic()
                    writing = asyncio.ensure_future(context.write(answer))
                    # The next one may be waited for: what was sent must not be held so long.
                    del answer
                    if not await _done(writing, timeout_s=progress.allowance_s):
                        break
                    progress.moved(size, time.monotonic() - begun)
                    sent += size
                else:
                    self._until_sent(context, min(sent, _WRITE_BUFFER))
                    return
            await self._end(context, writing, size)

        return handle

    async def _end(self, context: Any, writing: asyncio.Future[None], size: int) -> None:
        peer, pace = context.peer(), self._pace
        self._counter.add(1, {names.ATTR_OUTCOME: "ended"})
        _log.info("a reader does not fetch its answer", extra={"peer": peer})
        refusal = RequestRefused(
            Reason.CACHE_SATURATED,
            f"the answer was not fetched: at least {pace.least_bytes_per_s:.0f} bytes per second are expected, "
            f"and a pause of at most {pace.patience_s:.0f} s; ask again for what is missing",
            {"least_bytes_per_second": f"{pace.least_bytes_per_s:.0f}", "longest_pause_s": f"{pace.patience_s:.0f}"},
            retry_after_s=1.0,
        )
        with self._stuck(peer, size, pace.patience_s):
            self.cut += 1
            try:
                # gRPC takes no status while it has the first message, with which the call begins.
                await _done(writing)
                await grpc_errors.abort(context, refusal)
            except grpc.aio.InternalError:
                # The connection has ended: so does the call, as any whose client has gone.
                raise asyncio.CancelledError from None

    def _until_sent(self, context: Any, size: int) -> None:
        """The handler is done with its answer, gRPC is not: counts what it may still hold until the call is over."""
        if size > _SMALL:
            stuck = contextlib.ExitStack()
            stuck.enter_context(self._stuck(context.peer(), size, self._pace.most_s(size)))
            context.add_done_callback(lambda _context: stuck.close())

    @contextlib.contextmanager
    def _stuck(self, peer: str, size: int, patience_s: float) -> Iterator[None]:
        """Counts a message while the block runs; ends its connection when that takes longer than the patience."""
        end = asyncio.get_running_loop().call_later(patience_s, self._hang_up, peer)
        try:
            # The message, its encoded form, and gRPC's copy of that.
            with self._gate.charged(Lane.READ, client_of(peer), 3 * size):
                yield
        finally:
            end.cancel()
            self._gone.discard(peer)

    def _hang_up(self, peer: str) -> None:
        """Once for all the answers of a connection that are stuck: looking through the open files takes a while."""
        if peer in self._gone:
            return
        self._gone.add(peer)
        if hang_up(peer):
            self.hung_up += 1
            self._counter.add(1, {names.ATTR_OUTCOME: "disconnected"})
            _log.info("a reader that fetches nothing was disconnected", extra={"peer": peer})


async def _done(writing: asyncio.Future[None], *, timeout_s: float | None = None) -> bool:
    """Whether gRPC has taken a message, after waiting for it; one that it has begun to take cannot be called back.

    Whoever stops to wait because the call is over lets the message go with it.
    """
    try:
        done, _ = await asyncio.wait([writing], timeout=timeout_s)
    except asyncio.CancelledError:
        writing.cancel()
        raise
    if done:
        writing.result()
    return bool(done)
