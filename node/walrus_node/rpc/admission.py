"""Memory for requests: wait a while for a place, then tell the asker to come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from walrus_client.budget import ByteBudget
from walrus_client.reasons import Reason, RequestRefused


@contextlib.asynccontextmanager
async def admitted(budget: ByteBudget, size: int, *, wait_s: float) -> AsyncIterator[None]:
    """Holds `size` bytes of the budget while the block runs.

    Raises:
        RequestRefused: CACHE_SATURATED, when they were not free within `wait_s`.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(wait_s):
                await stack.enter_async_context(budget.reserve(size))
        except TimeoutError:
            raise RequestRefused(
                Reason.CACHE_SATURATED,
                f"this node's memory is taken by other requests for {wait_s:.0f} s; try again later",
            ) from None
        yield
