"""Sends many small requests as few transactions.

Transactions of one key run one after the other, so requests pile up while one is under way; all that have piled up for
the same group (same lifetime, same recipient) then go into the next transaction together. Nobody waits for company: the
first request leaves at once.

A transaction that the contract refuses would take down every request in it, so its requests are then sent one by one,
and only the guilty one fails.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from walrus_sui.errors import ChainError, ChainUnreachable, MalformedChainData

G = TypeVar("G", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[G, T, R]):
    group: G
    item: T
    answer: asyncio.Future[R]


class Batcher(Generic[G, T, R]):
    """Groups requests of one kind.

    Args:
        send: Sends items of one group as one transaction and returns one answer for each, in order.
        most: The most items of one transaction.
        orphaned: Told the answer of a request whose asker was cancelled meanwhile.
    """

    def __init__(
        self,
        send: Callable[[G, Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most: int = 16,
        orphaned: Callable[[R], None] | None = None,
    ) -> None:
        self._send = send
        self._most = most
        self._orphaned = orphaned
        self._waiting: deque[_Waiting[G, T, R]] = deque()
        self._pump: asyncio.Task[None] | None = None

    async def submit(self, group: G, item: T) -> R:
        """Sends the item with others of its group; raises what the transaction raises."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(group, item, answer))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.ensure_future(self._run())
        try:
            return await answer
        except asyncio.CancelledError:
            # The answer and the cancellation may meet: then nobody else hears of it.
            if self._orphaned is not None and not answer.cancelled() and answer.done() and answer.exception() is None:
                self._orphaned(answer.result())
            raise

    async def close(self) -> None:
        """Waits for what was submitted."""
        if self._pump is not None:
            await asyncio.wait([self._pump])

    async def _run(self) -> None:
        while self._waiting:
            batch = self._take()
            if batch:
                await self._send_batch(batch)

    def _take(self) -> list[_Waiting[G, T, R]]:
        """The oldest request and those of its group; requests whose asker is gone before they were sent are dropped."""
        batch: list[_Waiting[G, T, R]] = []
        later: deque[_Waiting[G, T, R]] = deque()
        for entry in self._waiting:
            if entry.answer.done():
                continue
            if len(batch) < self._most and (not batch or entry.group == batch[0].group):
                batch.append(entry)
            else:
                later.append(entry)
        self._waiting = later
        return batch

    async def _send_batch(self, batch: Sequence[_Waiting[G, T, R]]) -> None:
        try:
            answers = await self._send(batch[0].group, [entry.item for entry in batch])
            if len(answers) != len(batch):
                raise MalformedChainData(f"{len(answers)} answers to a transaction of {len(batch)} requests")
        except ChainError as error:
            # After a time-out the transaction may have happened: sending its parts again could do things twice.
            if len(batch) > 1 and not isinstance(error, ChainUnreachable | MalformedChainData):
                for entry in batch:
                    await self._send_batch([entry])
                return
            for entry in batch:
                self._fail(entry, error)
        except BaseException as error:
            for entry in batch:
                self._fail(entry, error)
            if not isinstance(error, Exception):
                raise
        else:
            for entry, answer in zip(batch, answers, strict=True):
                if not entry.answer.done():
                    entry.answer.set_result(answer)
                elif self._orphaned is not None:
                    self._orphaned(answer)

    def _fail(self, entry: _Waiting[G, T, R], error: BaseException) -> None:
        if not entry.answer.done():
            entry.answer.set_exception(error)
