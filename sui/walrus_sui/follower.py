"""Follow the chain: every checkpoint once, in order, without gaps, with the Walrus events inside.

Life of a checkpoint: history is fetched by number, several at a time, until the tip is near; then a subscription
delivers new ones, and whatever lies between the last one seen and the first one delivered is fetched by number again
(subscriptions start at the tip and never resume). A frame that is late, a broken stream or a dead endpoint leads back
to the start after a pause that grows, with jitter; the consumer notices nothing but time. Endpoints that offer no
subscription are asked for new checkpoints instead.

Fetching runs in a task of its own: the transport below interrupts a task that waits on a dying connection by cancelling
it, and now and then such a cancellation comes late. It then ends the fetching, which begins anew, never the consumer.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from walrus_codec.types import ObjectId
from walrus_sui import events
from walrus_sui.client import wire
from walrus_sui.errors import ChainError, ChainTimeout, ChainUnreachable, ObjectNotFound, RequestRefused
from walrus_sui.events import Event, EventId
from walrus_sui.types import CheckpointInfo

logger = logging.getLogger(__name__)

_WINDOW = 32
_NEAR = 8
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class CheckpointEvents:
    """One checkpoint: its place, its time (unix ms of the chain), and the Walrus events in order."""

    sequence: int
    timestamp_ms: int
    events: tuple[tuple[EventId, Event], ...]


class CheckpointSource(Protocol):
    """What the follower needs of a `ChainClient`."""

    async def event_packages(self) -> frozenset[ObjectId]:
        """Packages whose events count."""

    async def service_info(self) -> wire.ServiceInfo:
        """Height and oldest checkpoint."""

    async def latest_checkpoint(self) -> CheckpointInfo:
        """The tip."""

    async def checkpoint(self, sequence: int) -> wire.RawCheckpoint:
        """One checkpoint."""

    def subscribe(self) -> AsyncGenerator[wire.RawCheckpoint]:
        """New checkpoints."""


class HistoryPrunedError(ChainError):
    """The endpoint no longer has the next checkpoint. Remedy: use an endpoint with more history."""


class CheckpointFollower:
    """An endless asynchronous iterator over checkpoints; use it with one consumer.

    Args:
        client: where checkpoints come from.
        start_after: the last checkpoint that was dealt with; None starts with the first one of the chain.
        frame_timeout: seconds without a new checkpoint after which the subscription counts as dead.
        poll_interval: seconds between questions to an endpoint without subscriptions.
        clock: monotonic seconds.
        rng: source of jitter.
    """

    def __init__(
        self,
        client: CheckpointSource,
        *,
        start_after: int | None,
        frame_timeout: float = 10.0,
        poll_interval: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._delivered = -1 if start_after is None else start_after
        self._next = self._delivered + 1
        self._frame_timeout = frame_timeout
        self._poll_interval = poll_interval
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311  (jitter, no secret)
        self._packages: set[ObjectId] = set()
        self._head = -1
        self._last_frame = clock()
        self._last_error: ChainError | None = None

    @property
    def head(self) -> int:
        """The highest checkpoint that the endpoint is known to have; -1 before the first answer."""
        return self._head

    @property
    def position(self) -> int:
        """The last checkpoint handed out (or dealt with before); -1 for none."""
        return self._delivered

    @property
    def last_frame_age(self) -> float:
        """Seconds since the chain was last seen alive: since the last checkpoint or news of the tip."""
        return self._clock() - self._last_frame

    @property
    def last_error(self) -> ChainError | None:
        """Why nothing comes at the moment; None while all is well."""
        return self._last_error

    async def __aiter__(self) -> AsyncIterator[CheckpointEvents]:
        """Yield checkpoints for ever; close the iterator to stop.

        Raises:
            HistoryPrunedError: the next checkpoint is gone; everything else is retried.
        """
        pause = _FIRST_PAUSE
        while True:
            queue: asyncio.Queue[wire.RawCheckpoint] = asyncio.Queue(maxsize=_WINDOW)
            self._next = self._delivered + 1
            pump = asyncio.create_task(self._pump(queue))
            try:
                while (checkpoint := await _next_of(queue, pump)) is not None:
                    self._delivered = checkpoint.sequence
                    pause, self._last_error = _FIRST_PAUSE, None
                    yield self._decoded(checkpoint)
            finally:
                pump.cancel()
                await asyncio.wait([pump])
            error = _failure_of(pump)
            if not isinstance(error, ChainError) or isinstance(error, HistoryPrunedError):
                raise error
            if self._last_error is None:
                logger.warning("the checkpoint stream stopped at %d: %s", self.position, error)
            self._last_error = error
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _pump(self, queue: asyncio.Queue[wire.RawCheckpoint]) -> None:
        """Fetch into the queue until something fails."""
        async with aclosing(self._once()) as checkpoints:
            async for checkpoint in checkpoints:
                self._next = checkpoint.sequence + 1
                await queue.put(checkpoint)

    async def _once(self) -> AsyncGenerator[wire.RawCheckpoint]:
        """Yield checkpoints from `_next` on until something fails."""
        if not self._packages:
            self._packages.update(await self._client.event_packages())
        behind = _NEAR + 1
        while behind > _NEAR:
            behind = await self._tip() + 1 - self._next
            if behind < 0:
                raise ChainUnreachable(
                    f"the endpoint is at checkpoint {self._next - 1 + behind}, behind our {self._next - 1}: "
                    "it lags, or serves another chain"
                )
            async with aclosing(self._range(self._next, self._head + 1)) as checkpoints:
                async for checkpoint in checkpoints:
                    yield checkpoint
        async with aclosing(self._client.subscribe()) as frames:
            while True:
                try:
                    frame = await self._next_frame(frames)
                except RequestRefused:
                    break
                self._saw(frame.sequence)
                if frame.sequence > self._next:
                    async with aclosing(self._range(self._next, frame.sequence)) as checkpoints:
                        async for checkpoint in checkpoints:
                            yield checkpoint
                if frame.sequence >= self._next:
                    yield frame
        async with aclosing(self._poll()) as checkpoints:
            async for checkpoint in checkpoints:
                yield checkpoint

    async def _poll(self) -> AsyncGenerator[wire.RawCheckpoint]:
        """Ask for the tip again and again: the way of endpoints that offer no subscription."""
        while True:
            tip = await self._tip()
            async with aclosing(self._range(self._next, tip + 1)) as checkpoints:
                async for checkpoint in checkpoints:
                    yield checkpoint
            await asyncio.sleep(self._poll_interval)

    async def _next_frame(self, frames: AsyncGenerator[wire.RawCheckpoint]) -> wire.RawCheckpoint:
        try:
            async with asyncio.timeout(self._frame_timeout):
                return await anext(frames)
        except TimeoutError:
            raise ChainTimeout(f"no checkpoint came within {self._frame_timeout} s") from None
        except StopAsyncIteration:
            raise ChainTimeout("the checkpoint stream ended") from None

    async def _range(self, start: int, stop: int) -> AsyncGenerator[wire.RawCheckpoint]:
        """Yield checkpoints start..stop-1 in order, keeping a window of requests under way."""
        tasks: dict[int, asyncio.Task[wire.RawCheckpoint]] = {}
        try:
            for sequence in range(start, stop):
                for ahead in range(sequence + len(tasks), min(sequence + _WINDOW, stop)):
                    tasks[ahead] = asyncio.create_task(self._fetch(ahead))
                yield await tasks.pop(sequence)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _fetch(self, sequence: int) -> wire.RawCheckpoint:
        try:
            return await self._client.checkpoint(sequence)
        except ObjectNotFound:
            lowest = (await self._client.service_info()).lowest_available_checkpoint
            if sequence < lowest:
                raise HistoryPrunedError(
                    f"checkpoint {sequence} is gone, the endpoint starts at {lowest}; use one with more history"
                ) from None
            raise

    async def _tip(self) -> int:
        tip = (await self._client.latest_checkpoint()).sequence
        self._saw(tip)
        return tip

    def _saw(self, sequence: int) -> None:
        if sequence > self._head:
            self._head = sequence
            self._last_frame = self._clock()

    def _decoded(self, checkpoint: wire.RawCheckpoint) -> CheckpointEvents:
        found: list[tuple[EventId, Event]] = []
        for digest, raw_events in checkpoint.transactions:
            for position, raw in enumerate(raw_events):
                event = events.decode(raw.type, raw.contents, packages=self._packages)
                if isinstance(event, events.ContractUpgraded):
                    self._packages.add(event.package_id)  # its new types are defined there
                if event is not None:
                    found.append((EventId(digest, position), event))
        return CheckpointEvents(checkpoint.sequence, checkpoint.timestamp_ms, tuple(found))


async def _next_of(queue: asyncio.Queue[wire.RawCheckpoint], pump: asyncio.Task[None]) -> wire.RawCheckpoint | None:
    """Return the next checkpoint, or None when the pump has ended and everything before was taken."""
    if not queue.empty():
        return queue.get_nowait()
    getter = asyncio.ensure_future(queue.get())
    try:
        await asyncio.wait([getter, pump], return_when=asyncio.FIRST_COMPLETED)
        return getter.result() if getter.done() else None
    finally:
        getter.cancel()


def _failure_of(pump: asyncio.Task[None]) -> BaseException:
    """Return why the pump has ended; nobody but the transport cancels it."""
    if pump.cancelled():
        return ChainUnreachable("the connection was interrupted")
    return pump.exception() or ChainUnreachable("the checkpoint stream ended")
