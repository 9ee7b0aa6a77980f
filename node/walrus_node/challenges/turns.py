"""Whose challenge is answered now: a few members at once, the others one after the other in the order in which they came.

Life of a turn: a member joins (once; who is here already is refused), waits until it is admitted or has waited for too
long, and leaves. While the node waits for the member (its seed, its reading) the place is lent to others after a moment,
and the member waits for one again when it goes on, behind those that have kept nobody waiting: otherwise members that stall
could keep all others out, and these would take the node for a busy one. One that does not leave in time is expired, and is
told so at its next step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable


class Turn:
    """One member's place; made by `Turns.join`.

    Attributes:
        begun: it was admitted once.
        holds: it has a place now.
        stalled: its member has kept the node waiting.
        over: it has left, or was expired.
    """

    def __init__(self, turns: Turns, member: Hashable) -> None:
        self._turns = turns
        self._member = member
        self._admitted = _future()
        self._expiry: asyncio.TimerHandle | None = None
        self._lending: asyncio.TimerHandle | None = None
        self.begun = self.holds = self.stalled = self.over = False

    @property
    def waits(self) -> bool:
        """Whether it is to be admitted when there is a place."""
        return not self._admitted.done()

    async def wait(self, timeout_s: float) -> bool:
        """Whether it was admitted in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._admitted)
        except TimeoutError:
            return False
        return True

    def expire_in(self, seconds: float) -> None:
        """Gives the place to the next when it is not left until then."""
        self._expiry = asyncio.get_running_loop().call_later(seconds, self.leave)

    def lend_in(self, seconds: float) -> None:
        """From now on the node waits for the member: after so long others get the place, until it is `back`."""
        self._lending = asyncio.get_running_loop().call_later(seconds, self._lend)

    async def back(self) -> None:
        """The member goes on; returns when it has a place, or is over."""
        if self._lending is not None:
            self._lending.cancel()
        if not self.holds and not self.over:
            self._admitted = _future()
            self._turns.again(self._member)
            await self._admitted

    def leave(self) -> None:
        """Gives the place back; may be called twice."""
        for timer in (self._expiry, self._lending):
            if timer is not None:
                timer.cancel()
        if not self.over:
            self.over, self.holds = True, False
            self._wake()
            self._turns.left(self._member)

    def admit(self) -> None:
        """It is this member's turn."""
        self.begun = self.holds = True
        self._wake()

    def _wake(self) -> None:
        if not self._admitted.done():
            self._admitted.set_result(None)

    def _lend(self) -> None:
        self.stalled, self.holds = True, False
        self._turns.admit()


class Turns:
    """All places of one node.

    Args:
        at_once: members that are served at a time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: dict[Hashable, Turn] = {}

    @property
    def served(self) -> int:
        """Members whose turn has begun and is not over."""
        return sum(turn.begun for turn in self._turns.values())

    def join(self, member: Hashable) -> Turn | None:
        """The member's place, at the end; None when it has one already."""
        if member in self._turns:
            return None
        turn = self._turns[member] = Turn(self, member)
        self.admit()
        return turn

    def again(self, member: Hashable) -> None:
        """Called by a turn that needs a place again, at the end."""
        self._turns[member] = self._turns.pop(member)
        self.admit()

    def left(self, member: Hashable) -> None:
        """Called by the turn."""
        del self._turns[member]
        self.admit()

    def admit(self) -> None:
        """Gives the free places to those that wait."""
        free = self._at_once - sum(turn.holds for turn in self._turns.values())
        waiting = sorted((turn for turn in self._turns.values() if turn.waits), key=lambda turn: turn.stalled)
        for turn in waiting[: max(0, free)]:
            turn.admit()


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()
