"""The background round through everything that is stored: bit rot is found, taken out, and recovered from other nodes.

Life of a round: blob by blob in the order of ids, never faster than the configured rate; the last id is stored after each
blob, so a restart goes on behind it. What is rotten is removed by the store's one writer, only if it is still the same
bytes, and recovery is told of the blob; should the process end before, recovery's first look finds the gap. After the last
blob the round's end is stored, and the next one begins a pause later.

Priority is kept low by the rate and by small batches, not by the system's niceness: a thread that the system holds back
while it has the interpreter's lock would hold back the event loop with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from walrus_client.compute import Compute
from walrus_codec import blob_id as blob_ids
from walrus_codec.types import BlobId
from walrus_node.scrub import rules
from walrus_node.scrub.examination import Counts, examine
from walrus_node.scrub.rules import Fault, Kind
from walrus_node.store.records import ScrubState
from walrus_node.store.storage import Storage

_log = logging.getLogger(__name__)

IDLE_S = 60.0
_CHUNK = 256


@dataclass(frozen=True)
class ScrubProgress:
    """What verification has done since the process began.

    Attributes:
        blobs_verified: blobs looked at.
        slivers_verified: slivers whose Merkle root was computed anew.
        bytes_verified: of them and of the metadata.
        rotten_found: metadata and slivers that were rotten and taken out, those that recovery came upon included.
        fraction: share of the running round that is done; 1 between rounds.
        finished_ms: unix time at which the last whole round ended, 0 before the first.
    """

    blobs_verified: int = 0
    slivers_verified: int = 0
    bytes_verified: int = 0
    rotten_found: int = 0
    fraction: float = 0.0
    finished_ms: int = 0


class Scrubber:
    """One round at a time.

    Args:
        storage: what is verified.
        compute: verifies off the event loop.
        bytes_per_s: the rate.
        pause_s: from the end of a round to the beginning of the next.
        on_lost: is told of each blob that lacks something now.
        now_ms: unix time.
        sleep: waits the given seconds.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        compute: Compute,
        bytes_per_s: int,
        pause_s: float,
        on_lost: Callable[[BlobId], None],
        now_ms: Callable[[], int] = lambda: round(time.time() * 1000),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._storage = storage
        self._compute = compute
        self._pause_ms = round(pause_s * 1000)
        self._on_lost = on_lost
        self._now_ms = now_ms
        self._sleep = sleep
        self._pace = rules.Pace(bytes_per_s)
        self._counts = Counts()
        self._state: ScrubState | None = None
        self._wanted = False

    @property
    def progress(self) -> ScrubProgress:
        """Where verification stands."""
        state = self._state or ScrubState()
        between = not state.after and state.finished_ms > 0
        return ScrubProgress(
            blobs_verified=self._counts.blobs,
            slivers_verified=self._counts.slivers,
            bytes_verified=self._counts.size,
            rotten_found=self._storage.rotten_removed,
            fraction=1.0 if between else rules.fraction(state.after),
            finished_ms=state.finished_ms,
        )

    def make_due(self) -> None:
        """The next pass does not wait for the end of the pause."""
        self._wanted = True

    async def run_once(self) -> float:
        """Goes on to the end of the round when one is due; returns seconds until the next look."""
        wanted, self._wanted = self._wanted, False
        state = self._state = await self._storage.scrub_state()
        wait_ms = state.finished_ms + self._pause_ms - self._now_ms()
        if wanted or state.after or not state.finished_ms or wait_ms <= 0:
            await self._round(state)
            wait_ms = self._pause_ms
        return min(IDLE_S, wait_ms / 1000)

    async def _round(self, state: ScrubState) -> None:
        before = self._storage.rotten_removed
        while chunk := await self._storage.blobs_after(state.after, _CHUNK):
            for blob_id in chunk:
                await self._blob(blob_id)
                state = ScrubState(bytes(blob_id), state.finished_ms)
                await self._note(state)
        await self._note(ScrubState(finished_ms=self._now_ms()))
        _log.info("everything stored was verified", extra={"rotten": self._storage.rotten_removed - before})

    async def _note(self, state: ScrubState) -> None:
        await self._storage.set_scrub_state(state)
        self._state = state

    async def _blob(self, blob_id: BlobId) -> None:
        # Shards that are on their way out take no slivers, so nothing could be brought back there.
        shards = {shard for shard, status in self._storage.shards.items() if status.writable}
        lost = False
        async for fault in examine(
            self._storage, self._compute, blob_id, shards=shards, counts=self._counts, spent=self._spent
        ):
            lost |= fault.kind is Kind.LACKING or await self._remove(fault)
        if lost:
            self._on_lost(blob_id)

    async def _remove(self, fault: Fault) -> bool:
        removed = await remove(self._storage, fault)
        if removed:
            facts = {"blob_id": blob_ids.to_text(fault.blob_id), "place": fault.place, "why": fault.why}
            _log.warning("bit rot was found and taken out; it is recovered from other nodes", extra=facts)
        return removed

    async def _spent(self, size: int) -> None:
        await self._sleep(self._pace.spend(size, asyncio.get_running_loop().time()))


async def remove(storage: Storage, fault: Fault) -> bool:
    """Takes a rotten thing out; False when it is another one by now, or gone."""
    if fault.key is None:
        return await storage.remove_metadata(fault.blob_id, fault.seen)
    return await storage.remove_sliver(fault.key, fault.seen)
