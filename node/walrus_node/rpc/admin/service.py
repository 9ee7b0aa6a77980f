"""What the admin port does; nothing here knows gRPC.

Drain, as a rollout needs it: the node becomes not ready, so that evictions elsewhere and the fault budget count it; it
begins nothing that a restart would spoil, for others (stores, transfers, challenges) or of its own (challenges); it goes
on to serve reads. Transfers to this node, and its recovery, are not waited for: they go on from where they were.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from walrus_client.reasons import Reason, RequestRefused
from walrus_node.cheating.orders import HONEST, orders_of
from walrus_node.passes import Passes
from walrus_node.rpc.admin.model import Compacted, Drained, Fenced, Passed, State
from walrus_node.rpc.admin.rules import checked_lines, checked_why
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.fence import FenceFile
from walrus_node.rpc.door.rules import Drain, Fence, OpenCalls
from walrus_node.rpc.faults import faults_of
from walrus_node.rpc.info import InfoSource
from walrus_node.store.storage import Storage

_log = logging.getLogger(__name__)


class OwnChallenges(Protocol):
    """This node's attempts at others; `challenges.parts.Challenges`."""

    paused: bool

    @property
    def attempts(self) -> int:
        """How many are under way."""
        ...

    async def attempts_over(self) -> None:
        """Returns when none is."""
        ...

    def resume(self) -> None:
        """Takes `paused` back."""
        ...


class AdminService:
    """The handlers; one per process.

    Args:
        info: what the node tells about itself.
        not_ready: why it is not ready.
        door: who is let in.
        fence: the fence on the volume.
        challenges: attempts that a restart would spoil.
        passes: the loops.
        storage: what is kept.
        faults: the file of faults; None unless the node was started with one.
        now_ms: unix time.
    """

    def __init__(
        self,
        *,
        info: InfoSource,
        not_ready: Callable[[], list[str]],
        door: Door,
        fence: FenceFile,
        challenges: OwnChallenges,
        passes: Passes,
        storage: Storage,
        faults: Path | None,
        now_ms: Callable[[], int] = lambda: round(time.time() * 1000),
    ) -> None:
        self._info = info
        self._not_ready = not_ready
        self._door = door
        self._fence = fence
        self._challenges = challenges
        self._passes = passes
        self._storage = storage
        self._faults = faults
        self._now_ms = now_ms
        self._fencing = asyncio.Lock()
        self._compacting: asyncio.Task[Compacted] | None = None

    @property
    def open_calls(self) -> OpenCalls:
        """What is under way."""
        return replace(self._door.open_calls, own_challenges=self._challenges.attempts)

    async def state(self) -> State:
        """All that the node knows about itself."""
        return State(
            info=await self._info.read(),
            not_ready=tuple(self._not_ready()),
            open_calls=self.open_calls,
            drain=self._door.drain,
            fence=self._door.fence,
            faults=None if self._faults is None else await asyncio.to_thread(_lines_of, self._faults),
            loops=self._passes.names,
        )

    async def drain(self, *, timeout_s: float, hold_s: float) -> Drained:
        """Begins nothing new; returns when nothing is under way any more, after `timeout_s`, or when it is resumed.

        Args:
            timeout_s: seconds.
            hold_s: seconds after which the node resumes by itself.
        """
        now_ms, begun = self._now_ms(), self._door.drain
        since_ms = now_ms if begun is None else begun.since_ms
        drain = Drain(since_ms, now_ms + round(hold_s * 1000))
        self._door.begin_drain(drain, hold_s=hold_s, on_end=self._hold_is_over)
        self._challenges.paused = True
        if begun is None:
            _log.info("the node drains", extra={"hold_s": hold_s})
        waiting = [asyncio.ensure_future(self._quiet()), asyncio.ensure_future(self._door.drain_over())]
        try:
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return Drained(self.open_calls, resumed=self._door.drain is None)

    def resume(self) -> bool:
        """Takes everything again; False when the node did not drain."""
        drained = self._door.end_drain()
        self._challenges.resume()
        if drained:
            _log.info("the node takes everything again")
        return drained

    async def fence(self, why: str, *, grace_s: float) -> Fenced:
        """Shuts the node off, durably; raises `RequestRefused`, and `DiskError` when it is shut off until a restart only."""
        fence = Fence(self._now_ms(), checked_why(why))
        async with self._fencing:
            before = self._door.fence
            if before is not None:
                fence = replace(fence, since_ms=before.since_ms)
            inside = self.open_calls
            self._door.shut(fence, grace_s=grace_s)
            await asyncio.to_thread(self._fence.write, fence)
        _log.warning("the node is fenced", extra={"why": fence.why})
        return Fenced(before is not None, inside)

    async def unfence(self) -> bool:
        """Lets people in again, durably; False when they were. Raises `DiskError`."""
        async with self._fencing:
            await asyncio.to_thread(self._fence.remove)
            shut = self._door.open()
        if shut:
            _log.warning("the node is not fenced any more")
        return shut

    async def set_faults(self, lines: list[str]) -> None:
        """Replaces the file of faults; raises `RequestRefused`."""
        if self._faults is None:
            raise RequestRefused(
                Reason.FAULTS_NOT_ENABLED, "start the node with --enable-faults FILE to make it deviate; for tests only"
            )
        text = checked_lines(lines, [bool(faults_of(line)) or orders_of(line) != HONEST for line in lines])
        await asyncio.to_thread(_replace, self._faults, text)

    async def run_once(self, loop: str, *, timeout_s: float) -> Passed:
        """Has a loop make a pass; returns when it has ended, or after `timeout_s`. Raises `RequestRefused`."""
        known = self._passes.names
        if loop not in known:
            raise RequestRefused(
                Reason.UNKNOWN_LOOP,
                f"there is no loop {loop[:100]!r}; there are: {', '.join(known)}",
                {"known": ",".join(known)},
            )
        try:
            async with asyncio.timeout(timeout_s):
                return Passed(finished=True, failure=await self._passes.ask(loop))
        except TimeoutError:
            return Passed(finished=False)

    async def compact(self) -> Compacted:
        """Has the database give back space; goes on when nobody waits any more. Raises `StoreError`."""
        if self._compacting is None or self._compacting.done():
            self._compacting = asyncio.create_task(self._compact(), name="compaction")
        return await asyncio.shield(self._compacting)

    async def close(self) -> None:
        """Lets go of what goes on by itself; the database waits for its own part of it."""
        self._door.end_drain()
        if self._compacting is not None:
            self._compacting.cancel()
            await asyncio.gather(self._compacting, return_exceptions=True)

    async def _quiet(self) -> None:
        while not self.open_calls.quiet:
            await self._door.empty()
            await self._challenges.attempts_over()

    async def _compact(self) -> Compacted:
        before = await self._storage.size()
        await self._storage.reclaim()
        found = Compacted(before, await self._storage.size())
        _log.info("the database was compacted", extra={"bytes_before": found.before, "bytes_after": found.after})
        return found

    def _hold_is_over(self) -> None:
        _log.warning("nobody has restarted the node in time: it takes everything again")
        self._challenges.resume()


def _lines_of(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError):
        return ()


def _replace(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
