"""How one storage node is called: on its pinned channel, once more on a new one, with every fault as a `PeerError`.

When the connection itself fails, the certificate is fetched once more; if it has changed (and its key is still the
registered one) the call is made again on the new channel, otherwise the failure stands. Retries with back-off are the
caller's decision, because only it knows whether another node would serve as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from enum import Enum
from typing import Any, Protocol, TypeAlias, TypeVar, cast

import grpc
import grpc.aio

from walrus_client.errors import (
    PeerError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.peers.channels import Pinned, PinnedChannel
from walrus_client.peers.decoding import LenientChannel
from walrus_proto.node.v1 import node_pb2_grpc

T = TypeVar("T")
P = TypeVar("P")
D = TypeVar("D")
P_co = TypeVar("P_co", covariant=True)
P_contra = TypeVar("P_contra", contravariant=True)
D_co = TypeVar("D_co", covariant=True)

CallError: TypeAlias = grpc.aio.AioRpcError | grpc.aio.UsageError
CALL_ERRORS = (grpc.aio.AioRpcError, grpc.aio.UsageError)
"""What a call ends with that does not succeed; the second when its channel was closed before gRPC had begun it, as happens when
another task has found a new certificate."""

_LOST_STATUS = "Internal error from Core"
"""What grpc.aio itself says when a write fails before the status that the node has sent is there: no word of the node."""


class Parts(Protocol[P_co]):
    """A stream of answers, as gRPC gives it."""

    def __aiter__(self) -> AsyncIterator[P_co]: ...

    def cancel(self) -> bool:
        """Ends it early."""


class Parser(Protocol[P_contra, D_co]):
    """Lets nothing of a stream pass that was not asked for; both methods raise `wire.MalformedAnswer`."""

    def feed(self, part: P_contra, /) -> D_co | None:
        """Takes one message; returns what it completed."""

    def finish(self) -> None:
        """The stream has ended."""


class _End(Enum):
    END = "end"


_END = _End.END


class Caller:
    """Makes the calls of one node's client; safe to share between tasks.

    Attributes:
        name: the node's registered name, for messages.
        channel: leads to the node.
    """

    def __init__(self, member: Pinned, *, server_name: str | None = None) -> None:
        self.name = member.name
        self.channel = PinnedChannel(member, server_name=server_name)

    async def close(self) -> None:
        """Ends the channel."""
        await self.channel.close()

    async def call(self, call: Callable[[node_pb2_grpc.StorageNodeAsyncStub], Awaitable[T]]) -> T:
        """Makes a call with one answer, and once more on a new channel when the old one has failed."""
        return await self.call_on(lambda channel: call(stub_of(channel)))

    async def call_on(self, call: Callable[[grpc.aio.Channel], Awaitable[T]]) -> T:
        """The same for methods of any service."""
        channel = await self.channel.get()
        try:
            return self._read(await call(channel))
        except CALL_ERRORS as error:
            if not is_connection_failure(error) or not await self.channel.refresh(channel):
                raise self.peer_error(error) from error
        channel = await self.channel.get()
        try:
            return self._read(await call(channel))
        except CALL_ERRORS as error:
            raise self.peer_error(error) from error

    async def stream(
        self,
        call: Callable[[node_pb2_grpc.StorageNodeAsyncStub], Awaitable[Parts[P]]],
        parser: Parser[P, D],
        *,
        idle_s: float | None = None,
    ) -> AsyncGenerator[D, None]:
        """Yields what the parser completes of a stream; calls once more on a new channel if nothing has come yet.

        Args:
            call: opens the stream; may be called twice.
            parser: judges every message, and the end.
            idle_s: how long nothing may come; None leaves it to the deadline of the call.
        """
        channel = await self.channel.get()
        started = False
        while True:
            stream = None
            try:
                stream = await call(stub_of(channel))
                parts = aiter(stream)
                while True:
                    async with asyncio.timeout(idle_s):
                        part = await anext(parts, _END)
                    if isinstance(part, _End):
                        break
                    started = True
                    with self.well_formed():
                        done = parser.feed(decoded(part))
                    if done is not None:
                        yield done
                with self.well_formed():
                    parser.finish()
                return
            except TimeoutError:
                raise PeerTimeoutError(self.name, f"nothing of its answer came for {idle_s:.0f} s") from None
            except CALL_ERRORS as error:
                if started or not is_connection_failure(error) or not await self.channel.refresh(channel):
                    raise self.peer_error(error) from error
                channel = await self.channel.get()
            finally:
                if stream is not None:
                    stream.cancel()

    def _read(self, answer: T) -> T:
        with self.well_formed():
            return decoded(answer)

    def peer_error(self, error: CallError) -> PeerError:
        """What gRPC tells, as ours."""
        if isinstance(error, grpc.aio.UsageError):
            return PeerUnreachableError(self.name, f"the call could not begin: {error}")
        refusal = refusal_of(error)
        if refusal is not None:
            return PeerRefusedError(
                self.name, refusal.reason, refusal.message, refusal.metadata, retry_after_s=refusal.retry_after_s
            )
        details = error.details() or error.code().name
        match error.code():
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return PeerTimeoutError(self.name, "it did not answer in time")
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return PeerUnreachableError(self.name, details)
            case grpc.StatusCode.INTERNAL if details == _LOST_STATUS:
                return PeerUnreachableError(self.name, "it ended the call while the request was being sent")
            case _:
                return PeerMisbehavedError(self.name, f"it answered {error.code().name}: {details}")

    @contextlib.contextmanager
    def well_formed(self) -> Iterator[None]:
        """Turns `wire.MalformedAnswer` into the node's misbehaviour."""
        try:
            yield
        except wire.MalformedAnswer as error:
            raise PeerMisbehavedError(self.name, str(error)) from error


def stub_of(channel: grpc.aio.Channel) -> node_pb2_grpc.StorageNodeAsyncStub:
    """The node's methods on a channel; what they answer goes through `decoded`."""
    return cast("node_pb2_grpc.StorageNodeAsyncStub", node_pb2_grpc.StorageNodeStub(cast(Any, LenientChannel(channel))))


def decoded(message: T | None) -> T:
    """The message itself; `LenientChannel` gives None for bytes that are none of the documented type."""
    if message is None:
        raise wire.MalformedAnswer("its answer is not of the documented type")
    return message


def is_connection_failure(error: CallError) -> bool:
    """Whether the node was not reached, rather than that it refused, or that nobody tried."""
    if isinstance(error, grpc.aio.UsageError):
        return False
    return error.code() is grpc.StatusCode.UNAVAILABLE and refusal_of(error) is None
