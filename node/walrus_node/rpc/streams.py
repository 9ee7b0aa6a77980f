"""Streams that come in: their senders must keep a pace, and are heard out before they are refused.

Life of a stream: its first messages must be of the kinds that the call wants, the others are taken one by one, each under
a deadline that follows from the pace (`rules.Pace`). When the call is refused in the middle, the reason goes ahead, and
what the sender has under way is still taken, within bounds of time, bytes and number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_node.rpc.admission import CallCounter, Gate
from walrus_node.rpc.rules import Pace, Progress
from walrus_node.rpc.translating import malformed

_HEAR_OUT_S = 1.0
_HEAR_OUT_BYTES = 1 << 20
"""How long, and for how much, a sender is listened to that is refused already."""
_HEARD_AT_ONCE = 8
"""How many of them are listened to at a time: no budget counts their bytes."""


@dataclass(frozen=True)
class StreamLimits:
    """Bounds of one process's calls: the memory that they hold, how slow a peer may be, how many are open."""

    gate: Gate
    pace: Pace
    calls: CallCounter = field(default_factory=CallCounter)
    hearing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HEARD_AT_ONCE))


class RequestStream:
    """A request stream whose sender must keep a pace while it is listened to.

    Attributes:
        answered: something was said already, so that nothing can be said ahead any more.
    """

    def __init__(self, requests: AsyncIterator[Any], pace: Pace) -> None:
        self._requests = aiter(requests)
        self._progress = Progress(pace)
        self._over = False
        self.answered = False

    def __aiter__(self) -> RequestStream:
        return self

    async def __anext__(self) -> Any:
        pace, now = self._progress.pace, asyncio.get_running_loop().time
        begun = now()
        try:
            async with asyncio.timeout(self._progress.allowance_s):
                part = await anext(self._requests)
        except StopAsyncIteration:
            self._over = True
            raise
        except TimeoutError:
            self._over = True
            raise RequestRefused(
                Reason.UNAVAILABLE,
                f"the upload was ended: it must bring at least {pace.least_bytes_per_s:.0f} bytes per second, "
                f"with pauses of at most {pace.patience_s:.0f} s; send it again",
            ) from None
        self._progress.moved(part.ByteSize(), now() - begun)
        return part

    @contextlib.asynccontextmanager
    async def heard_out(
        self, context: grpc.aio.ServicerContext[Any, Any], hearing: asyncio.Semaphore
    ) -> AsyncIterator[None]:
        """Says ahead that a request is refused, and takes, within bounds, what its sender has under way.

        A client of grpc.aio that is still writing when the status arrives may lose it and tell of an internal error. Ours
        look into what was said ahead; others are helped by being listened to, as long as few want that at once.
        """
        try:
            yield
        except RequestRefused as refusal:
            if not self.answered:
                await grpc_errors.announce(context, refusal)
            if not hearing.locked():
                async with hearing:
                    await self._hear_out()
            raise

    async def _hear_out(self) -> None:
        taken = 0
        with contextlib.suppress(StopAsyncIteration, TimeoutError):
            async with asyncio.timeout(_HEAR_OUT_S):
                while not self._over and taken <= _HEAR_OUT_BYTES:
                    with contextlib.suppress(RequestRefused):  # one refusal is enough
                        taken += (await anext(self)).ByteSize()

    async def first(self, kind: str) -> Any:
        """The next message, which must be of this kind."""
        try:
            part = await anext(self)
        except StopAsyncIteration:
            raise malformed(f"the stream ended before its {kind}") from None
        if part.WhichOneof("part") != kind:
            raise malformed(f"the stream must go on with its {kind}")
        return part
