"""Who may hold how much of the node's memory, and how long a peer may take; pure, the time is an argument.

Four lanes (writes, reads, background, challenges) have bytes of their own, so that none takes another's. Life of a ticket: a request
offers itself with the bytes that it will hold; it is admitted at once, or waits in its client's queue, or is refused; it
leaves when its work is done, when it has waited too long, or when nobody wants it any more, and others get their turn.

Within a lane the clients that wait take turns by deficit round robin over bytes (Shreedhar and Varghese 1995): many small
requests of one client and few large ones of another get the same bytes. No client holds more than three quarters: so one
that came first, or one that never lets go, leaves room for those who come later. The queue is bounded; when it is full,
whoever has most in it loses its newest ticket. The background lane keeps to a fraction of its bytes while users wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

QUANTUM = 1 << 20
"""Bytes that a client gains with each turn."""
SHARE = 0.75
"""A client that holds something already may hold this much of a lane's bytes."""
HELD_BACK = 4
"""While users wait, the background holds one byte of so many of its own."""


class Lane(Enum):
    """What the bytes are for."""

    WRITE = "write"
    READ = "read"
    BACKGROUND = "background"
    CHALLENGE = "challenge"


class TicketState(Enum):
    """Where a ticket is."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    REFUSED = "refused"
    LEFT = "left"


@dataclass(frozen=True)
class LaneLimits:
    """Bounds of one lane.

    Attributes:
        capacity: bytes that its requests may hold together; a single larger one is admitted when it is alone.
        queue: tickets that may wait.
        wait_s: longest wait.
    """

    capacity: int
    queue: int
    wait_s: float


@dataclass(eq=False)
class Ticket:
    """One request for bytes."""

    lane: Lane
    client: str
    size: int
    deadline: float
    state: TicketState = TicketState.WAITING


@dataclass
class _Client:
    held: int = 0
    deficit: int = 0
    in_turn: bool = False
    waiting: deque[Ticket] = field(default_factory=deque)


class _LaneState:
    """One lane: who holds what, and whose turn it is."""

    def __init__(self, limits: LaneLimits) -> None:
        self.limits = limits
        self.used = 0
        self.admitted = 0
        self.clients: dict[str, _Client] = {}
        self.turns: deque[str] = deque()

    @property
    def waiting(self) -> int:
        return sum(len(self.clients[name].waiting) for name in self.turns)

    def longest_queue(self) -> str:
        return max(self.turns, key=lambda name: len(self.clients[name].waiting))

    def fits(self, size: int, *, capacity: int) -> bool:
        return self.admitted == 0 or self.used + size <= capacity

    def within_share(self, client: _Client, size: int) -> bool:
        return client.held == 0 or client.held + size <= SHARE * self.limits.capacity

    def enqueue(self, ticket: Ticket) -> None:
        client = self.clients.setdefault(ticket.client, _Client())
        if not client.waiting:
            self.turns.append(ticket.client)
        client.waiting.append(ticket)

    def take_out(self, ticket: Ticket, state: TicketState) -> None:
        """Removes a ticket that waits."""
        client = self.clients[ticket.client]
        client.waiting.remove(ticket)
        ticket.state = state
        self._tidy(ticket.client)

    def give_back(self, ticket: Ticket) -> None:
        self.clients[ticket.client].held -= ticket.size
        self.used -= ticket.size
        self.admitted -= 1
        ticket.state = TicketState.LEFT
        self._tidy(ticket.client)

    def admit_next(self, capacity: int) -> Ticket | None:
        """Admits the one ticket whose turn it is, if there is room for it."""
        skipped = 0
        while skipped < len(self.turns):
            client = self.clients[self.turns[0]]
            head = client.waiting[0]
            if not self.within_share(client, head.size):
                # It waits for its own earlier requests; others need not.
                skipped += 1
                self.turns.rotate(-1)
                continue
            if not client.in_turn:
                client.in_turn = True
                client.deficit += QUANTUM
            if client.deficit < head.size:
                client.in_turn, skipped = False, 0
                self.turns.rotate(-1)
                continue
            if not self.fits(head.size, capacity=capacity):
                # The bytes that come free are for it: otherwise small requests would starve large ones.
                return None
            self._admit(head)
            return head
        return None

    def charge(self, ticket: Ticket) -> None:
        self.clients.setdefault(ticket.client, _Client()).held += ticket.size
        self.used += ticket.size
        self.admitted += 1
        ticket.state = TicketState.ADMITTED

    def _admit(self, ticket: Ticket) -> None:
        client = self.clients[ticket.client]
        client.waiting.popleft()
        client.deficit -= ticket.size
        self.charge(ticket)
        self._tidy(ticket.client)

    def _tidy(self, name: str) -> None:
        client = self.clients[name]
        if client.waiting:
            return
        # Who has nothing to ask for saves nothing up.
        client.deficit, client.in_turn = 0, False
        if name in self.turns:
            self.turns.remove(name)
        if not client.held:
            del self.clients[name]


class Admission:
    """The queue in front of the node's memory."""

    def __init__(self, limits: Mapping[Lane, LaneLimits]) -> None:
        self._lanes = {lane: _LaneState(limits[lane]) for lane in Lane}

    def used(self, lane: Lane) -> int:
        """Bytes that the lane's requests hold."""
        return self._lanes[lane].used

    def waiting(self, lane: Lane) -> int:
        """Tickets that wait in the lane."""
        return self._lanes[lane].waiting

    def retry_after_s(self, lane: Lane) -> float:
        """When it is worth to try again: a second, and longer the fuller the queue is."""
        state = self._lanes[lane]
        return 1.0 + state.limits.wait_s * min(1.0, state.waiting / max(1, state.limits.queue))

    def offer(self, lane: Lane, client: str, size: int, *, now: float) -> tuple[Ticket, list[Ticket]]:
        """A request wants `size` bytes; returns its ticket, and the tickets whose state has changed (it among them).

        Args:
            lane: what for.
            client: who asks: those of one name share their turns.
            size: bytes, at least one.
            now: seconds.
        """
        state = self._lanes[lane]
        ticket = Ticket(lane, client, size, now + state.limits.wait_s)
        state.enqueue(ticket)
        changed = self._admit_all()
        if state.waiting > state.limits.queue:
            # Its newest one: the oldest will have its turn soonest.
            newest = state.clients[state.longest_queue()].waiting[-1]
            state.take_out(newest, TicketState.REFUSED)
            changed.append(newest)
            changed += self._admit_all()
        return ticket, changed

    def charge(self, lane: Lane, client: str, size: int) -> Ticket:
        """Counts bytes that the client holds already, whether or not they fit; what comes later waits for them."""
        ticket = Ticket(lane, client, size, deadline=0.0)
        self._lanes[lane].charge(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """The request has ended, or does not want to wait any more; returns the tickets that are admitted thereby."""
        if ticket.state is TicketState.ADMITTED:
            self._lanes[ticket.lane].give_back(ticket)
        elif ticket.state is TicketState.WAITING:
            self._lanes[ticket.lane].take_out(ticket, TicketState.LEFT)
        return self._admit_all()

    def expire(self, *, now: float) -> list[Ticket]:
        """Refuses those that have waited too long; returns all tickets whose state has changed."""
        late = [ticket for ticket in self._all_waiting() if ticket.deadline <= now]
        for ticket in late:
            self._lanes[ticket.lane].take_out(ticket, TicketState.REFUSED)
        return late + self._admit_all()

    def _all_waiting(self) -> Iterator[Ticket]:
        for state in self._lanes.values():
            for name in state.turns:
                yield from state.clients[name].waiting

    def _admit_all(self) -> list[Ticket]:
        admitted: list[Ticket] = []
        for lane in Lane:
            while (ticket := self._lanes[lane].admit_next(self._capacity(lane))) is not None:
                admitted.append(ticket)
        return admitted

    def _capacity(self, lane: Lane) -> int:
        """Bytes that the lane may hold now; the background comes behind the users in `Lane`, so they have been admitted before."""
        capacity = self._lanes[lane].limits.capacity
        users_wait = self._lanes[Lane.WRITE].waiting or self._lanes[Lane.READ].waiting
        return capacity // HELD_BACK if lane is Lane.BACKGROUND and users_wait else capacity


@dataclass(frozen=True)
class Pace:
    """How long a peer may be waited for: some patience at once, and a least rate over all of the waiting.

    Attributes:
        patience_s: longest wait without progress, and what all waits may take besides the bytes.
        least_bytes_per_s: the rate that the peer must keep.
    """

    patience_s: float
    least_bytes_per_s: float

    def allowance_s(self, *, waited_s: float, moved: int) -> float:
        """How long the peer may take for the next bytes, after `waited_s` for the `moved` bytes so far."""
        return min(self.patience_s, self.patience_s + moved / self.least_bytes_per_s - waited_s)

    def most_s(self, size: int) -> float:
        """How long a peer that keeps the pace takes at most for so many bytes."""
        return self.patience_s + size / self.least_bytes_per_s


class Progress:
    """How one peer keeps the pace."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._waited_s = 0.0
        self._moved = 0

    @property
    def allowance_s(self) -> float:
        """Seconds that the peer may take for the next bytes."""
        return self.pace.allowance_s(waited_s=self._waited_s, moved=self._moved)

    def moved(self, size: int, waited_s: float) -> None:
        """Bytes have moved after a wait."""
        self._moved += size
        self._waited_s += waited_s
