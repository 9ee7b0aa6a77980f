"""Memory for requests: waits for a place in the queue of `rules.Admission`, then tells the asker to come back.

Also how many calls a client may have open: each costs some memory of its own, whatever it asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote

from walrus_client.reasons import Reason, RequestRefused
from walrus_node.rpc.rules import SHARE, Admission, Lane, LaneLimits, Ticket, TicketState

QUEUE = 256
"""Requests that wait in one lane."""
WAIT_S = 8.0
"""Longest wait in the queue: shorter than the time-outs of clients (10 s and more), so that they hear the reason."""
MAX_CALLS = 1024
"""Calls that are served at a time, health and information not counted."""
_BUSY_S = 1.0


class Gate:
    """Bytes in flight of one process, by lane and client.

    Args:
        capacity: bytes of each lane.
        wait_s: longest wait in the queue.
        clock: seconds.
    """

    def __init__(
        self, capacity: Mapping[Lane, int], *, wait_s: float = WAIT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rules = Admission({lane: LaneLimits(capacity[lane], QUEUE, wait_s) for lane in Lane})
        self._clock = clock
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}

    def used(self, lane: Lane) -> int:
        """Bytes that the lane's requests hold now."""
        return self._rules.used(lane)

    def waiting(self, lane: Lane) -> int:
        """Requests that wait in the lane."""
        return self._rules.waiting(lane)

    @contextlib.asynccontextmanager
    async def admitted(self, lane: Lane, client: str, size: int) -> AsyncIterator[None]:
        """Holds `size` bytes of the lane while the block runs.

        Raises:
            RequestRefused: CACHE_SATURATED, when it had to wait for too long, or too many wait.
        """
        ticket, changed = self._rules.offer(lane, client, max(1, size), now=self._clock())
        self._tell(changed)
        try:
            if ticket.state is TicketState.WAITING:
                await self._turn(ticket)
            if ticket.state is not TicketState.ADMITTED:
                raise RequestRefused(
                    Reason.CACHE_SATURATED,
                    f"this node's memory for {lane.value} requests is taken by others; try again later",
                    {"lane": lane.value},
                    retry_after_s=self._rules.retry_after_s(lane),
                )
            yield
        finally:
            self._tell(self._rules.leave(ticket))

    @contextlib.contextmanager
    def charged(self, lane: Lane, client: str, size: int) -> Iterator[None]:
        """Counts bytes that are held already while the block runs, whether or not they fit."""
        ticket = self._rules.charge(lane, client, max(1, size))
        try:
            yield
        finally:
            self._tell(self._rules.leave(ticket))

    async def _turn(self, ticket: Ticket) -> None:
        future = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            while ticket.state is TicketState.WAITING:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ticket.deadline - self._clock()):
                        await future
                self._tell(self._rules.expire(now=self._clock()))
        finally:
            del self._waiting[ticket]

    def _tell(self, changed: Iterable[Ticket]) -> None:
        for ticket in changed:
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_result(None)


class CallCounter:
    """Open calls, all together and by client."""

    def __init__(self, limit: int = MAX_CALLS) -> None:
        self._limit = limit
        self._calls: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._calls.total()

    @contextlib.contextmanager
    def open(self, client: str) -> Iterator[None]:
        """Counts a call while the block runs.

        Raises:
            RequestRefused: CACHE_SATURATED, when there are too many.
        """
        if self._calls.total() >= self._limit or self._calls[client] >= SHARE * self._limit:
            raise RequestRefused(
                Reason.CACHE_SATURATED,
                f"{self._calls[client]} of the {self._limit} calls that this node serves at a time are yours; "
                "open fewer, or try again later",
                retry_after_s=_BUSY_S,
            )
        self._calls[client] += 1
        try:
            yield
        finally:
            self._calls[client] -= 1
            if not self._calls[client]:
                del self._calls[client]


def client_of(peer: str) -> str:
    """Whom a connection's turns belong to: its address without the port, of IPv6 the /64 that one subscriber has.

    Args:
        peer: as gRPC names it: "ipv4:10.0.0.7:4711", "ipv6:%5B2001:db8::7%5D:4711".
    """
    family, _, rest = unquote(peer).partition(":")
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return family
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)
