"""Faults on demand: what a client must live with when its full node is slow, away, behind or unreliable.

All knobs are off until somebody with the admin token turns them, and no restart remembers them. They act on calls of
``sui.rpc.v2`` only; health, reflection and HTTP stay true, so that a test can tell an injected fault from a real one.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import grpc
import grpc.aio
from pydantic import BaseModel, ConfigDict, Field

from walrus_sui.devnet.engine import MAX_LAG, Engine

_OWN_METHODS: Final = "/sui.rpc.v2."
_CODES: Final = {code.name: code for code in grpc.StatusCode}


class FailedCall(BaseModel):
    """One call that fails, once.

    Attributes:
        method: name of the call, like ``ExecuteTransaction``.
        nth: which one, counted from when the knob is turned; 1 is the next.
        code: status that it ends with.
        after: whether the call takes effect all the same and only its answer is lost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(default="ExecuteTransaction", min_length=1, max_length=100)
    nth: int = Field(default=1, ge=1)
    code: Literal["UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"] = "UNAVAILABLE"
    after: bool = False


class Knobs(BaseModel):
    """How the knobs stand; the defaults are off.

    Attributes:
        methods: names of the calls that `latency_ms` and `unavailable` act on; empty: all.
        latency_ms: added to each of these calls.
        unavailable: refuse these calls with UNAVAILABLE.
        stream_reset_after: end each stream with UNAVAILABLE after so many messages; 0 resets it at once.
        index_lag: checkpoints by which reads of objects, transactions and checkpoints are behind; execution, simulation
            and subscriptions are not.
        slow_checkpoint_ms: added to the time between two checkpoints.
        fail_call: let one call fail.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    methods: tuple[str, ...] = ()
    latency_ms: int = Field(default=0, ge=0, le=60_000)
    unavailable: bool = False
    stream_reset_after: int | None = Field(default=None, ge=0)
    index_lag: int = Field(default=0, ge=0, le=MAX_LAG)
    slow_checkpoint_ms: int = Field(default=0, ge=0, le=60_000)
    fail_call: FailedCall | None = None


OFF: Final = Knobs()


class FaultInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Makes calls fail as the knobs say. With all knobs off, calls pass untouched.

    Attributes:
        knobs: how they stand.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counted = 0
        self.knobs = OFF

    def turn(self, knobs: Knobs) -> None:
        """Sets all knobs; counting of calls starts anew."""
        self.knobs = knobs
        self._counted = 0
        self._engine.lag = knobs.index_lag
        self._engine.slow_ms = knobs.slow_checkpoint_ms

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Wraps the handler of a call, if there is a fault to inject."""
        handler = await continuation(handler_call_details)
        path = str(handler_call_details.method)
        if self.knobs is OFF or handler is None or not path.startswith(_OWN_METHODS):
            return handler
        method = path.rpartition("/")[2]
        if handler.unary_unary is not None:
            return handler._replace(unary_unary=self._unary(handler.unary_unary, method))
        return handler._replace(unary_stream=self._stream(handler.unary_stream, method))

    def _unary(self, run: Any, method: str) -> Any:
        async def wrapped(request: Any, context: Any) -> Any:
            await self._hold(method, context)
            failed = self._due(method)
            answer = await run(request, context) if failed is None or failed.after else None
            if failed is not None:
                await context.abort(_CODES[failed.code], f"fault: this call of {method} was to fail")
            return answer

        return wrapped

    def _stream(self, run: Any, method: str) -> Any:
        async def wrapped(request: Any, context: Any) -> AsyncIterator[Any]:
            await self._hold(method, context)
            count = 0
            async for answer in run(request, context):
                limit = self.knobs.stream_reset_after
                if limit is not None and count >= limit:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, f"fault: stream reset after {limit} messages")
                yield answer
                count += 1

        return wrapped

    async def _hold(self, method: str, context: Any) -> None:
        knobs = self.knobs
        if knobs.methods and method not in knobs.methods:
            return
        if knobs.latency_ms:
            await asyncio.sleep(knobs.latency_ms / 1000)
        if knobs.unavailable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "fault: the devnet is to be unavailable")

    def _due(self, method: str) -> FailedCall | None:
        wanted = self.knobs.fail_call
        if wanted is None or wanted.method != method:
            return None
        self._counted += 1
        if self._counted != wanted.nth:
            return None
        self.turn(self.knobs.model_copy(update={"fail_call": None}))
        return wanted
