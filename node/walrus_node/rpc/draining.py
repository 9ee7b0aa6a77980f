"""Ends answers that nobody fetches: a reader that does not drain its stream must not hold the node's memory.

An interceptor writes each message of a streamed answer itself, under a deadline (`rules.Pace`). When it passes, the
handler is closed first, which gives back what it holds; then the call is ended with a reason. Flow control holds that
reason, and the one message before it, until the reader drains or leaves: so long its bytes stay counted in the lane of
reads, even when that is full, because they are there. A reader that does neither, for as long as it may pause, loses its
connection: it would hold the place of others for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_node.rpc.admission import Gate, client_of
from walrus_node.rpc.connections import hang_up
from walrus_node.rpc.rules import Lane, Pace, Progress
from walrus_sui.telemetry import meter, names

_log = logging.getLogger(__name__)


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
        """Wraps methods with streamed answers, except the health service's watch, which may be silent for ever."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler.response_streaming:
            return handler
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._wrap(handler.stream_stream), handler.request_deserializer, handler.response_serializer
            )
        return grpc.unary_stream_rpc_method_handler(
            self._wrap(handler.unary_stream), handler.request_deserializer, handler.response_serializer
        )

    def _wrap(self, behavior: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], Awaitable[None]]:
        async def handle(request: Any, context: Any) -> None:
            answers: Any = behavior(request, context)
            progress = Progress(self._pace)
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    size, begun = answer.ByteSize(), time.monotonic()
                    try:
                        async with asyncio.timeout(progress.allowance_s):
                            await context.write(answer)
                    except TimeoutError:
                        del answer
                        break
                    progress.moved(size, time.monotonic() - begun)
                    # The next one may be waited for: what was sent must not be held so long.
                    del answer
                else:
                    return
            await self._end(context, size)

        return handle

    async def _end(self, context: Any, stuck: int) -> None:
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
        last_word = asyncio.get_running_loop().call_later(pace.patience_s, self._hang_up, peer)
        try:
            # The encoded message and gRPC's copy of it.
            with self._gate.charged(Lane.READ, client_of(peer), 2 * stuck):
                self.cut += 1
                await grpc_errors.abort(context, refusal)
        finally:
            last_word.cancel()
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
