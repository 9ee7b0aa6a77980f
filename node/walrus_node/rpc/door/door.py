"""Lets calls of the public face in, or not, knows which are inside, and shows them out.

Life of a call: the rules say whether it may come in at this moment; then it counts as inside until its handler has ended.
A fence lets those inside go on for the given grace, then ends them with its reason. A drain ends nobody; `empty` returns
when the last one has gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import grpc.aio

from walrus_client import grpc_errors
from walrus_client.reasons import RequestRefused
from walrus_node.rpc.door.rules import Drain, Fence, OpenCalls, Work, refusal, work_of
from walrus_node.rpc.handlers import behavior_of, with_behavior
from walrus_sui.telemetry import meter, names


class Door(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Add it to a server before all other interceptors, of which the first makes coroutines of all methods.

    Args:
        service: whose calls are meant; all others pass.
        fence: what was remembered on the volume.
    """

    def __init__(self, service: str, *, fence: Fence | None = None) -> None:
        self._prefix = f"/{service}/"
        self._fence = fence
        self._drain: Drain | None = None
        self._end_of_drain: asyncio.TimerHandle | None = None
        self._inside: Counter[Work] = Counter()
        self._patience: set[asyncio.Timeout] = set()
        self._moved = asyncio.Event()
        self._refused = meter().create_counter(
            names.NODE_TURNED_AWAY, description="Calls that were turned away at the door, or shown out, by reason."
        )

    @property
    def fence(self) -> Fence | None:
        """Why nobody is let in; None when that is not so."""
        return self._fence

    @property
    def drain(self) -> Drain | None:
        """Since when nothing new begins; None when that is not so."""
        return self._drain

    @property
    def open_calls(self) -> OpenCalls:
        """Who is inside."""
        inside = self._inside
        return OpenCalls(
            stores=inside[Work.STORE],
            transfers=inside[Work.TRANSFER],
            challenges=inside[Work.CHALLENGE],
            reads=inside[Work.READ],
        )

    def closed(self) -> list[str]:
        """Why not everybody is let in, one phrase each; empty when everybody is."""
        reasons = {"the node is fenced": self._fence is not None, "the node drains": self._drain is not None}
        return [reason for reason, holds in reasons.items() if holds]

    def begin_drain(self, drain: Drain, *, hold_s: float, on_end: Callable[[], None]) -> None:
        """Nothing new begins from now on, until `end_drain`, or `hold_s` have passed.

        Args:
            drain: what to tell.
            hold_s: seconds.
            on_end: is called when they have passed.
        """
        self._forget_end()
        self._drain = drain
        self._end_of_drain = asyncio.get_running_loop().call_later(hold_s, self._hold_is_over, on_end)

    def end_drain(self) -> bool:
        """Everything may begin again; False when it might before."""
        drained, self._drain = self._drain is not None, None
        self._forget_end()
        self._moved.set()
        return drained

    def shut(self, fence: Fence, *, grace_s: float) -> None:
        """Lets nobody in any more; those inside may go on for `grace_s`."""
        self._fence = fence
        end = asyncio.get_running_loop().time() + grace_s
        for patience in self._patience:
            if not patience.expired():
                patience.reschedule(end)

    def open(self) -> bool:
        """Lets people in again, and those inside stay; False when it was open."""
        shut, self._fence = self._fence is not None, None
        for patience in self._patience:
            if not patience.expired():
                patience.reschedule(None)
        return shut

    async def empty(self) -> None:
        """Returns when nobody is inside."""
        await self._until(lambda: not self._inside.total())

    async def drain_over(self) -> None:
        """Returns when the node does not drain."""
        await self._until(lambda: self._drain is None)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._moved.clear()
            await self._moved.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wraps the method's behaviour."""
        handler: Any = await continuation(handler_call_details)
        method = str(handler_call_details.method)
        if handler is None or not method.startswith(self._prefix):
            return handler
        name = method.removeprefix(self._prefix)
        return with_behavior(handler, self._guarded(behavior_of(handler), name, streaming=handler.request_streaming))

    def _guarded(
        self, behavior: Callable[[Any, Any], Awaitable[Any]], name: str, *, streaming: bool
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        async def handle(request: Any, context: Any) -> Any:
            if (refused := refusal(name, drain=self._drain, fence=self._fence)) is not None:
                if streaming:
                    # Its sender may still be writing when the status comes.
                    await grpc_errors.announce(context, refused)
                return await self._turn_away(context, refused)
            try:
                with self._counted(work_of(name)):
                    async with asyncio.timeout(None) as patience:
                        with self._known(patience):
                            return await behavior(request, context)
            except TimeoutError:
                shut = refusal(name, drain=None, fence=self._fence)
                if not patience.expired() or shut is None:
                    raise
            return await self._turn_away(context, shut)

        return handle

    async def _turn_away(self, context: Any, refused: RequestRefused) -> Any:
        self._refused.add(1, {names.ATTR_REASON: refused.reason.value})
        try:
            await grpc_errors.abort(context, refused)
        except grpc.aio.InternalError:
            # The connection has ended: so does the call, as any whose client has gone.
            raise asyncio.CancelledError from None

    @contextlib.contextmanager
    def _counted(self, work: Work) -> Iterator[None]:
        self._inside[work] += 1
        try:
            yield
        finally:
            self._inside[work] -= 1
            if not self._inside.total():
                self._moved.set()

    @contextlib.contextmanager
    def _known(self, patience: asyncio.Timeout) -> Iterator[None]:
        self._patience.add(patience)
        try:
            yield
        finally:
            self._patience.discard(patience)

    def _hold_is_over(self, on_end: Callable[[], None]) -> None:
        self._end_of_drain = None
        self.end_drain()
        on_end()

    def _forget_end(self) -> None:
        if self._end_of_drain is not None:
            self._end_of_drain.cancel()
            self._end_of_drain = None
