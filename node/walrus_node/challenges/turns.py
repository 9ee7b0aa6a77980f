"""Whose challenge is answered now: a few members at once, the others one after the other in the order in which they came.

Life of a turn: a member joins (once; who is here already is refused), waits until it is admitted or has waited for too
long, and leaves. One that does not leave in time is expired: its place goes to the next, and it is told so at its next step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable


class Turn:
    """One member's place; made by `Turns.join`."""

    def __init__(self, turns: Turns, member: Hashable) -> None:
        self._turns = turns
        self._member = member
        self._admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self.over = False

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
        self._timer = asyncio.get_running_loop().call_later(seconds, self.leave)

    def leave(self) -> None:
        """Gives the place back; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.over:
            self.over = True
            self._turns.left(self._member)

    def admit(self) -> None:
        """It is this member's turn."""
        if not self._admitted.done():
            self._admitted.set_result(None)


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
        """Members that have their turn now."""
        return min(self._at_once, len(self._turns))

    def join(self, member: Hashable) -> Turn | None:
        """The member's place, at the end; None when it has one already."""
        if member in self._turns:
            return None
        turn = self._turns[member] = Turn(self, member)
        self._admit()
        return turn

    def left(self, member: Hashable) -> None:
        """Called by the turn."""
        del self._turns[member]
        self._admit()

    def _admit(self) -> None:
        for turn in list(self._turns.values())[: self._at_once]:
            turn.admit()
