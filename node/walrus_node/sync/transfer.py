"""Brings one shard over from its previous owner.

    ask for the slivers of an axis from the persisted place on ─► collect a batch ─► which are wanted here?
        ─► metadata of those, from here or from other nodes ─► verify in a thread ─► store with the new place

While one batch is verified and stored, the next one arrives; never more than two are held. A sliver that is not what the
metadata commits to is left out, as is one whose metadata nobody gives: recovery brings it from the other nodes. A source
that keeps to the form and brings nothing, too slowly or nothing that is wanted and right, is not listened to for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Self

from walrus_client import rules as client_rules
from walrus_client.compute import Compute
from walrus_client.errors import PeerError, PeerMisbehavedError, PeerRefusedError
from walrus_client.peers import ExpectedShard, Fault, PeerPool, RequestSigner
from walrus_client.peers.retrying import LONGEST_HINT_S
from walrus_codec import blob_id as blob_ids
from walrus_codec import mapping
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import MAX_SYMBOL_SIZE, CodeParams
from walrus_codec.slivers import Sliver, verify_sliver
from walrus_codec.types import Axis, BlobId, EncodingType, Epoch, ShardIndex
from walrus_node.errors import DamagedError, ShardNotHereError
from walrus_node.recovery.gathering import Gatherer, NotEnoughSymbolsError
from walrus_node.store.storage import Storage
from walrus_node.store.transfers import following
from walrus_node.sync.patience import Fruitless, FruitlessError, Pace
from walrus_node.sync.rules import Failure, Verdict, verdict_of
from walrus_sui.types import CommitteeMember, StakingView

_log = logging.getLogger(__name__)

SLIVERS_PER_REQUEST = 1000
BATCH_BYTES = 2 << 20
IDLE_S = 15.0
"""A source that sends nothing for so long has stalled; sooner when shards are to be given up sooner."""
REQUEST_S = 600.0
_FORM = 16
"""Bytes that the BCS form of a sliver adds to its data, at most."""
_METADATA_AT_ONCE = 8

Slivers = list[tuple[BlobId, bytearray]]


@dataclass
class Counters:
    """What has come since the process began."""

    slivers: int = 0
    bytes: int = 0
    rejected: int = 0
    metadata: int = 0


@dataclass(frozen=True)
class _Part:
    """One axis of a shard, where it comes from, the epoch, how long to hear nothing, and what has come in vain."""

    shard: ShardIndex
    axis: Axis
    source: CommitteeMember
    view: StakingView
    idle_s: float
    fruitless: Fruitless


class MetadataFetcher:
    """Gets metadata from other nodes, a few at a time, and stores it.

    Args:
        storage: where it goes.
        gatherer: asks.
        counters: counts.
    """

    def __init__(self, *, storage: Storage, gatherer: Gatherer, counters: Counters) -> None:
        self._storage = storage
        self._gatherer = gatherer
        self._counters = counters

    async def fetch(self, wanted: Sequence[BlobId], view: StakingView) -> list[BlobId]:
        """Fetches the metadata of certified blobs; returns those that nobody gave."""
        here: dict[BlobId, bool] = {}
        queue = iter(wanted)

        async def work() -> None:
            for blob_id in queue:
                here[blob_id] = await self._one(blob_id, view)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_METADATA_AT_ONCE, len(wanted))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [blob_id for blob_id, is_here in here.items() if not is_here]

    async def _one(self, blob_id: BlobId, view: StakingView) -> bool:
        info = await self._storage.blob_info(blob_id)
        certified = getattr(info, "initial_certified_epoch", None)
        if certified is None:
            return True  # it has ended or was proved invalid: nobody needs it any more
        committee = client_rules.read_committee(view, certified)
        if isinstance(committee, client_rules.ReadChoice):
            return False
        try:
            metadata = await self._gatherer.metadata(blob_id, committee)
        except NotEnoughSymbolsError as error:
            _log.info("no metadata yet", extra={"blob_id": blob_ids.to_text(blob_id), "why": str(error)})
            return False
        stored = await self._storage.put_metadata(blob_id, metadata.to_bcs())
        self._counters.metadata += stored
        return True


class ShardMover:
    """Transfers shards, one call each; each holds two batches and two slivers at most.

    Args:
        storage: where slivers go.
        peers: channels to other nodes.
        compute: verification off the event loop.
        signer: shows who asks.
        metadata: fetches what is not here.
        counters: counts.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        peers: PeerPool,
        compute: Compute,
        signer: RequestSigner,
        metadata: MetadataFetcher,
        counters: Counters,
    ) -> None:
        self._storage = storage
        self._peers = peers
        self._compute = compute
        self._signer = signer
        self._metadata = metadata
        self.counters = counters

    async def move(
        self,
        shard: ShardIndex,
        source: CommitteeMember,
        view: StakingView,
        *,
        stall_s: float,
        on_progress: Callable[[], None],
    ) -> Failure | None:
        """Takes in what the source has of a shard, from where an earlier attempt stopped; None when all has come.

        Args:
            shard: which; must be ActiveSync.
            source: its previous owner.
            view: the current epoch's.
            stall_s: seconds without progress after which a shard is given up.
            on_progress: is called whenever something good was stored.
        """
        idle_s, fruitless = min(IDLE_S, stall_s), Fruitless()
        try:
            for axis in Axis:
                part = _Part(shard, axis, source, view, idle_s, fruitless)
                while (start := (await self._storage.transfer_state(shard)).next_id(axis)) is not None:
                    await self._stretch(part, start, on_progress)
        except PeerRefusedError as error:
            named = error.metadata.get("server_epoch", "")
            server_epoch = Epoch(int(named)) if named.isdecimal() else None
            after_s = min(error.retry_after_s or 0.0, LONGEST_HINT_S)
            return Failure(verdict_of(error.refusal, epoch=view.epoch, server_epoch=server_epoch), str(error), after_s)
        except PeerMisbehavedError as error:
            self._peers.blame_for(source, error)
            return Failure(Verdict.GIVE_UP, str(error))
        except PeerError as error:
            self._peers.blame_for(source, error)
            return Failure(Verdict.RETRY, str(error))
        except FruitlessError as error:
            return Failure(Verdict.GIVE_UP, f"storage node {source.name}: {error}")
        except ShardNotHereError as error:
            return Failure(Verdict.SUPERSEDED, str(error))
        return None

    async def _stretch(self, part: _Part, start: bytes, on_progress: Callable[[], None]) -> None:
        """One request for slivers of an axis; raises `PeerError`, `ShardNotHereError`."""
        # Both codes cut a row or column into the same number of symbols.
        symbols = CodeParams(part.view.n_shards, EncodingType.RS2).source_symbols(part.axis)
        largest = symbols * MAX_SYMBOL_SIZE + _FORM
        expected = ExpectedShard(part.shard, part.axis, start, SLIVERS_PER_REQUEST, part.view.epoch, largest)
        answers = self._peers.get(part.source).sync_shard(
            expected, self._signer, timeout_s=REQUEST_S, idle_s=part.idle_s
        )
        batch: Slivers = []
        size = 0

        async def store(slivers: Slivers, *, complete: bool) -> None:
            next_id = None if complete else following(slivers[-1][0])
            if await self._take(part, slivers, next_id) or complete:
                on_progress()

        async with _Awaited() as awaited, contextlib.aclosing(answers):
            async with Pace(part.source.name, part.idle_s, BATCH_BYTES) as pace:
                async for answer in answers:
                    batch += answer.slivers
                    size += sum(len(sliver) for _blob_id, sliver in answer.slivers)
                    if answer.complete or size >= BATCH_BYTES:
                        pace.rest()
                        await awaited.then(store(batch, complete=answer.complete))
                        pace.go_on()
                        batch, size = [], 0
            if batch:
                await awaited.then(store(batch, complete=False))
            await awaited.done()

    async def _take(self, part: _Part, slivers: Slivers, next_id: bytes | None) -> bool:
        """Verifies and stores what is wanted of a batch, and notes where the transfer goes on; True when any of it was good."""
        shard, axis, epoch = part.shard, part.axis, part.view.epoch
        by_id = dict(slivers)
        wanted = await self._storage.wanted(shard, axis, list(by_id), epoch)
        if wanted.unknown:
            await self._metadata.fetch(wanted.unknown, part.view)
            wanted = await self._storage.wanted(shard, axis, list(by_id), epoch)
        chosen = [(blob_id, by_id[blob_id], metadata) for blob_id, metadata in wanted.metadata.items()]
        good = await self._compute.run(_verified, shard, axis, chosen) if chosen else []
        if len(good) < len(chosen):
            count = len(chosen) - len(good)
            cause = f"{count} {axis.value} slivers of shard {shard} are not what the metadata commit to"
            self._peers.blame(part.source, Fault.LIED, cause)
        await self._storage.take_in(shard, axis, good, next_id)
        size = sum(len(sliver) for sliver in by_id.values())
        self.counters.slivers += len(slivers)
        self.counters.bytes += size
        self.counters.rejected += len(chosen) - len(good)
        part.fruitless.saw(len(slivers), size, good=bool(good))
        return bool(good)


class _Awaited:
    """One piece of work that goes on while the next is prepared; leaving the block waits for it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_failure: object) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # seen: the failure that ended the block is raised

    async def then(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins this when the piece before it is done."""
        try:
            await self.done()
        except BaseException:
            work.close()
            raise
        self._task = asyncio.create_task(work)

    async def done(self) -> None:
        """Waits for the piece that runs; raises its failure."""
        if self._task is not None:
            task = self._task
            await asyncio.shield(task)
            self._task = None


def _verified(
    shard: ShardIndex, axis: Axis, chosen: Sequence[tuple[BlobId, bytearray, bytes]]
) -> list[tuple[BlobId, bytes]]:
    """Those slivers that are what their blobs' metadata commits to."""
    good: list[tuple[BlobId, bytes]] = []
    for blob_id, encoded, stored in chosen:
        try:
            metadata = BlobMetadata.from_bcs(stored)
            n = len(metadata.hashes)
            sliver = Sliver.from_bcs(axis, encoded)
            verify_sliver(
                sliver, mapping.pair_of_shard(shard, blob_id, n), metadata, CodeParams(n, metadata.encoding_type)
            )
        except (CodecError, DamagedError):
            continue
        good.append((blob_id, sliver.to_bcs()))
    return good
