"""The committee as this process knows it: read from the chain, kept for a while, kept longer when the chain is away.

Life of a view: `view()` gives the last one if it is young enough, otherwise it reads the chain; askers that come while
a read is under way share it. When the chain cannot be reached, the last view is given on, because readers need nothing
else: certified blobs stay readable. `refresh()` always asks the chain and tells when it fails; writers use it after a
node or the contract has spoken of another epoch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from walrus_client.errors import CommitteeUnknownError
from walrus_sui.errors import ChainError, ChainUnreachable
from walrus_sui.types import StakingView

_log = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""How long an asker waits for a younger view when there is an older one."""


class StakingSource(Protocol):
    """The part of the chain client that is needed here."""

    async def staking(self) -> StakingView:
        """One consistent look at the Staking object."""


class CommitteeTracker:
    """Keeps the newest staking view; single event loop.

    Args:
        chain: Where views come from.
        max_age_s: Older views are read again; also how soon a failed read is repeated.
        remembered: The last view of an earlier process, to be used until the chain gives one.
    """

    def __init__(self, chain: StakingSource, *, max_age_s: float = 5.0, remembered: StakingView | None = None) -> None:
        self._chain = chain
        self._max_age_s = max_age_s
        self._view = remembered
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._failure: ChainError | None = None
        self._reading: asyncio.Task[StakingView] | None = None

    @property
    def last(self) -> StakingView | None:
        """The newest view, however old."""
        return self._view

    @property
    def age_s(self) -> float:
        """Seconds since the newest view was read; infinite before the first."""
        return time.monotonic() - self._read_at

    @property
    def failure(self) -> ChainError | None:
        """Why the last read failed; None when it succeeded."""
        return self._failure

    async def view(self) -> StakingView:
        """A view that is young, or the last one when the chain is away.

        Raises:
            CommitteeUnknownError: The chain is away and there never was a view.
        """
        if self._view is not None and self.age_s <= self._max_age_s:
            return self._view
        if self._view is not None and time.monotonic() - self._tried_at <= self._max_age_s:
            return self._view  # the last attempt failed just now
        try:
            # A chain that is silent must not hold up readers who have a view; the attempt goes on without them.
            async with asyncio.timeout(None if self._view is None else PATIENCE_S):
                return await self.refresh()
        except (ChainError, TimeoutError) as error:
            if self._view is None:
                raise CommitteeUnknownError(
                    f"the chain cannot be read and no committee is known yet: {error}"
                ) from error
            return self._view

    async def refresh(self) -> StakingView:
        """Reads the chain now.

        Raises:
            ChainError: It cannot be read; the last view stays.
        """
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
            self._reading.add_done_callback(self._read_ended)
        return await asyncio.shield(self._reading)

    async def _read(self) -> StakingView:
        self._tried_at = time.monotonic()
        view = await self._chain.staking()
        self._view, self._read_at = view, time.monotonic()
        return view

    def _read_ended(self, task: asyncio.Task[StakingView]) -> None:
        self._reading = None
        self._tried_at = time.monotonic()
        error = None if task.cancelled() else task.exception()
        if error is None:
            if self._failure is not None:
                _log.info("the chain can be read again")
            self._failure = None
        elif isinstance(error, ChainError):
            if self._failure is None:
                _log.warning("the chain cannot be read; the last committee stays in use", extra={"cause": str(error)})
            self._failure = error
        else:
            self._failure = ChainUnreachable(str(error))
