"""Follows the chain's events into the store, and makes the records anew when the chain has forgotten what they need.

Life of a checkpoint here: the follower delivers it, gap-free and in order; it is applied as often as disk and chain refuse;
then the next one. When the chain has pruned events that the node has not seen, the other nodes' records take their place
(`recovery.history`), and following goes on from where these end.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NoReturn, cast

from walrus_node.events.processor import EventProcessor
from walrus_node.loops import DISK_PAUSE_S, Backoff, until_done
from walrus_node.recovery.history import HistoryRebuilder, NoAgreementError
from walrus_sui.client import ChainClient
from walrus_sui.follower import CheckpointEvents, CheckpointFollower, HistoryPrunedError

_log = logging.getLogger(__name__)

_NEAR_THE_TIP = 8


class Following:
    """One per process.

    Args:
        processor: applies checkpoints.
        on_rebuilt: is called when the records were made anew: everybody who rests on them has to look.
        rng: jitter.
    """

    def __init__(self, *, processor: EventProcessor, on_rebuilt: Callable[[], None], rng: random.Random) -> None:
        self._processor = processor
        self._on_rebuilt = on_rebuilt
        self._rng = rng
        self._follower: CheckpointFollower | None = None
        self._rebuilder: HistoryRebuilder | None = None
        self._caught_up = False

    @property
    def caught_up(self) -> bool:
        """Whether the events have reached the chain's tip since the process began."""
        if not self._caught_up and (follower := self._follower) is not None:
            self._caught_up = follower.head >= 0 and follower.position >= follower.head - _NEAR_THE_TIP
        return self._caught_up

    def age_s(self) -> float:
        """Seconds since the chain was last heard."""
        return self._follower.last_frame_age if self._follower is not None else float("inf")

    @property
    def waits_for_history(self) -> str:
        """What the node waits for because the chain has pruned events that it needs; empty when it does not."""
        return self._rebuilder.waits_for if self._rebuilder is not None else ""

    async def run(self, client: ChainClient, rebuilder: HistoryRebuilder) -> NoReturn:
        """Runs for ever.

        Args:
            client: the chain.
            rebuilder: takes the other nodes' records when they are needed.
        """
        self._rebuilder = rebuilder
        while True:
            try:
                await self._follow(client)
            except HistoryPrunedError as error:
                _log.warning("the chain has pruned what this node needs", extra={"why": str(error)})
                await self._rebuild(rebuilder)

    async def _follow(self, client: ChainClient) -> NoReturn:
        cursor = self._processor.cursor
        self._follower = CheckpointFollower(client, start_after=cursor.sequence if cursor is not None else None)
        # It is an asynchronous generator, though typed as the iterator that most callers need.
        stream = cast("AsyncGenerator[CheckpointEvents]", aiter(self._follower))
        async with aclosing(stream) as checkpoints:
            async for checkpoint in checkpoints:
                await until_done(
                    "the chain's events",
                    functools.partial(
                        self._processor.apply, checkpoint.sequence, checkpoint.timestamp_ms, checkpoint.events
                    ),
                    backoff=self._backoff(DISK_PAUSE_S),
                )
        raise AssertionError("a follower does not end")

    async def _rebuild(self, rebuilder: HistoryRebuilder) -> None:
        """Takes the other nodes' records for the events that are gone, as often as it needs."""
        self._caught_up = False
        backoff = self._backoff(30.0)
        await until_done("records", rebuilder.begin, backoff=backoff)
        while True:
            try:
                await until_done("records", rebuilder.run_once, backoff=backoff)
            except NoAgreementError as error:
                pause = backoff.next_s()
                _log.warning("waiting for other nodes' records", extra={"why": str(error), "pause_s": round(pause, 1)})
                await asyncio.sleep(pause)
            else:
                break
        self._on_rebuilt()

    def _backoff(self, last_s: float) -> Backoff:
        return Backoff(first_s=0.5, last_s=last_s, rng=self._rng)
