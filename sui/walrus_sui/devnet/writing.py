"""What the running chain has decided, on its way to disk: in order, and many things with one sync.

Life of a write: `submit` puts it into the queue; a task hands all that is due to a thread, as one database transaction for
each run of journal rows or checkpoint; then those go on who wait in `settled`. Writes that become due while others are being
synced go into the next sync together, so that many concurrent callers share the cost; while several write at once, a sync
also waits for those who come within milliseconds. When the disk fails, nothing is ever settled again.
"""

import asyncio
import contextlib
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from walrus_sui.devnet.ledger.records import Delta
from walrus_sui.devnet.storage.store import Store
from walrus_sui.devnet.storage.stored_chain import JournalRow

_log = logging.getLogger(__name__)
_GATHERING: Final = 0.01
"""Seconds that the writer waits at most for more to write, while several callers write at once."""
_PAUSE: Final = 0.002
"""Seconds without anything new after which the writer waits no longer."""


class EngineStopped(Exception):  # noqa: N818
    """The devnet stops or its disk has failed, so nothing can be answered. Remedy: see the log; retry later."""


@dataclass(frozen=True)
class CheckpointWrite:
    """A checkpoint, and the last row of the journal that it makes superfluous."""

    delta: Delta
    journaled: int


Write = JournalRow | CheckpointWrite


class Writer:
    """Writes to one store. Made inside the loop that uses it.

    Attributes:
        failure: why nothing is written any more; None while all is well.
    """

    def __init__(self, store: Store) -> None:
        self.failure: str | None = None
        self._store = store
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._queue: list[Write] = []
        self._submitted = self._durable = 0
        self._wake = asyncio.Event()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._task = asyncio.create_task(self._run(), name="ledger-writer")

    def submit(self, write: Write) -> None:
        """Has it written after all that was submitted before."""
        self._queue.append(write)
        self._submitted += 1
        self._wake.set()

    async def settled(self) -> None:
        """Waits until all that was submitted so far is on disk.

        Raises:
            EngineStopped: the disk failed, or the writer was closed.
        """
        if self._durable < self._submitted and self.failure is None:
            told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((self._submitted, told))
            await told
        if self.failure is not None:
            raise EngineStopped(self.failure)

    async def close(self) -> None:
        """Ends; whoever still waits for the disk waits in vain."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self.failure = self.failure or "the devnet has stopped"
        self._tell_waiting()
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        together = False
        while True:
            await self._wake.wait()
            if together:
                await self._gather()
            self._wake.clear()
            batch, self._queue = self._queue, []
            try:
                await loop.run_in_executor(self._threads, _write_batch, self._store, batch)
            except Exception as error:
                self.failure = f"the ledger's disk failed: {error}"
                _log.critical("cannot write the ledger; nothing more is answered", exc_info=error)
                self._tell_waiting()
                return
            self._durable += len(batch)
            together = len(batch) + len(self._queue) > 1
            self._tell_waiting()

    async def _gather(self) -> None:
        """Waits while more comes to write: a sync costs as much for one write as for many."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _GATHERING
        count = 0
        while count < len(self._queue) and loop.time() < end:
            count = len(self._queue)
            await asyncio.sleep(_PAUSE)

    def _tell_waiting(self) -> None:
        """Lets those go on whose writes are on disk, in order; all of them once the disk has failed."""
        while self._waiting and (self._waiting[0][0] <= self._durable or self.failure is not None):
            _, told = self._waiting.popleft()
            if not told.done():  # its caller may have gone away
                told.set_result(None)


def _write_batch(store: Store, batch: list[Write]) -> None:
    rows: list[JournalRow] = []
    for write in batch:
        if isinstance(write, JournalRow):
            rows.append(write)
            continue
        # What the checkpoint contains needs no journal any more.
        rows = [row for row in rows if row.ordinal > write.journaled]
        store.close_checkpoint(write.delta, journaled=write.journaled)
    if rows:
        store.journal(rows)
