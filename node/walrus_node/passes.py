"""Loops by name, so that somebody can have one make a pass now.

Life of a wish: it is noted with the loop and the loop's bell is rung; the pass that begins next, and none that has begun
before, answers it when it ends. So passes of one loop never overlap, and the loop's own way with failures stays what it
is: it waits and tries again, while whoever wished is told why it could not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from walrus_node.errors import DiskError
from walrus_node.loops import Wake
from walrus_sui.errors import ChainError

RunOnce = Callable[[], Awaitable[object]]

_ENDED = "the loop has ended"


class Passes:
    """All loops of one process."""

    def __init__(self) -> None:
        self._loops: dict[str, _Loop] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The loops that run, in alphabetical order."""
        return tuple(sorted(self._loops))

    def named(
        self, name: str, run_once: RunOnce, wake: Wake, *, make_due: Callable[[], None] = lambda: None
    ) -> RunOnce:
        """Notes a loop; returns what it is to run in place of `run_once`.

        Args:
            name: told to people.
            run_once: one pass.
            wake: ends the loop's pause.
            make_due: has a pass work that would find nothing to be due yet.
        """
        loop = self._loops[name] = _Loop(run_once, wake, make_due)
        return loop.run_once

    async def ask(self, name: str) -> str:
        """Has a loop make a pass; returns when it has ended, with what it failed of, or an empty text.

        Raises:
            KeyError: there is no such loop.
        """
        return await self._loops[name].ask()


class _Loop:
    def __init__(self, run_once: RunOnce, wake: Wake, make_due: Callable[[], None]) -> None:
        self._pass = run_once
        self._wake = wake
        self._make_due = make_due
        self._wishes: list[asyncio.Future[str]] = []

    async def run_once(self) -> object:
        wishes, self._wishes = self._wishes, []
        outcome = _ENDED
        if wishes:
            self._make_due()
        try:
            result = await self._pass()
        except (ChainError, DiskError) as error:
            outcome = str(error)
            raise
        else:
            outcome = ""
            return result
        finally:
            for wish in wishes:
                if not wish.done():
                    wish.set_result(outcome)

    async def ask(self) -> str:
        wish: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._wishes.append(wish)
        self._wake.ring()
        return await wish
