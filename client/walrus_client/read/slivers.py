"""Gets enough verified primary slivers of a blob from the nodes, whoever of them is slow, gone or lying.

One stream per request to a node; slivers are verified in batches while others still arrive. All decisions are made by
`Collection`, with the patience that the pool's `pace` gives; this module only moves bytes and time, and tells the pool
which nodes lied, failed or stalled, so that the next reads ask them last. A node that is busy is asked again when it wants
to be; meanwhile others are asked as for one that stalls, which is not held against it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from walrus_client.compute import Compute
from walrus_client.errors import (
    BlobUnavailableError,
    PeerError,
    PeerRefusedError,
    PeerUnreachableError,
)
from walrus_client.peers import ExpectedSlivers, Fault, MissingSliver, NodeClient, PeerPool
from walrus_client.peers.retrying import asked_for_s
from walrus_client.read.collecting import Collection
from walrus_codec import blob_id as blob_ids
from walrus_codec import mapping
from walrus_codec.errors import BadSlivers
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, NodeId, PairIndex, SliverIndex
from walrus_sui.types import Committee

T = TypeVar("T")

SLOWEST_BYTES_PER_S = 256 << 10
"""A stream may take as long as this rate needs, and `STREAM_TIMEOUT_S` on top."""

STREAM_TIMEOUT_S = 10.0

VERIFY_AT_ONCE = 16 << 20
"""Bytes of slivers that are verified together, one sliver at least: they are copied for the processes that do it."""


@dataclass(frozen=True)
class ReadContext:
    """What all steps of one read share."""

    blob_id: BlobId
    metadata: BlobMetadata
    params: CodeParams
    committee: Committee
    peers: PeerPool
    compute: Compute
    rng: Random

    def owner_of(self, pair: PairIndex) -> NodeId:
        """The node that stores this pair."""
        shard = mapping.shard_of_pair(pair, self.blob_id, self.params.n_shards)
        return self.committee.member_of_shard(shard).node_id


async def collect_primary(
    context: ReadContext, candidates: Sequence[PairIndex], *, needed: int, patient: bool = True
) -> dict[SliverIndex, Sliver]:
    """At least `needed` verified primary slivers by index, chosen from `candidates`.

    Args:
        context: The blob and whom to ask.
        candidates: Pairs that may be asked for, best first.
        needed: How many slivers make the read complete.
        patient: Whether to wait for slow nodes when no other candidates are left.

    Raises:
        BlobUnavailableError: The nodes do not give enough of them.
    """
    collector = _Collector(context, candidates, needed, patient)
    try:
        return await collector.run()
    finally:
        await collector.close()


class _Collector:
    def __init__(self, context: ReadContext, candidates: Sequence[PairIndex], needed: int, patient: bool) -> None:  # noqa: FBT001
        self._context = context
        self._patient = patient
        self._members = {member.node_id: member for member in context.committee.members}
        length = context.metadata.unencoded_length
        self._symbol_size = context.params.symbol_size(length)
        self._sliver_size = context.params.sliver_size(Axis.PRIMARY, length)
        self._collection = Collection(candidates, context.owner_of, needed=needed)
        self._received: dict[PairIndex, Sliver] = {}
        self._unverified: list[PairIndex] = []
        self._streams: dict[asyncio.Task[None], NodeId] = {}
        self._verifying: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._busy: set[NodeId] = set()
        self._problems: list[str] = []

    async def run(self) -> dict[SliverIndex, Sliver]:
        collection = self._collection
        loop, pace = asyncio.get_running_loop(), self._context.peers.pace
        while not collection.complete:
            for node_id, pairs in collection.next_requests(loop.time()).items():
                self._start_stream(node_id, pairs)
            self._start_verifying()
            if collection.hopeless:
                raise self._unavailable()
            self._news.clear()
            patience_s = pace.patience_s(self._sliver_size)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(collection.next_check_in(loop.time(), patience_s)):
                    await self._news.wait()
            collection.hedge(loop.time(), patience_s)
            if collection.slow_nodes and not self._patient:
                raise self._unavailable()
            if self._verifying is not None and self._verifying.done():
                self._verifying.result()
        return {SliverIndex(pair): self._received[pair] for pair in sorted(collection.verified)}

    async def close(self) -> None:
        # Whoever still owes something is left behind by others.
        for node_id in self._collection.slow_nodes - self._busy:
            self._context.peers.blame(self._members[node_id], Fault.STALLED, "it kept a read waiting")
        running = [*self._streams, *([self._verifying] if self._verifying else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _unavailable(self) -> BlobUnavailableError:
        return BlobUnavailableError(
            f"{len(self._collection.verified)} of the {self._collection.needed} slivers needed for "
            f"{blob_ids.to_text(self._context.blob_id)} could be fetched; try again later. {'; '.join(self._problems)}"
        )

    def _start_stream(self, node_id: NodeId, pairs: list[PairIndex]) -> None:
        task = asyncio.ensure_future(self._stream(node_id, pairs))
        self._streams[task] = node_id
        task.add_done_callback(self._stream_ended)

    def _stream_ended(self, task: asyncio.Task[None]) -> None:
        del self._streams[task]
        self._news.set()

    async def _stream(self, node_id: NodeId, pairs: list[PairIndex]) -> None:
        context, collection = self._context, self._collection
        client = context.peers.get(self._members[node_id])
        timeout_s = STREAM_TIMEOUT_S + len(pairs) * self._sliver_size / SLOWEST_BYTES_PER_S
        now = asyncio.get_running_loop().time
        try:
            # The certificate fetch and a name that does not resolve have no deadline of gRPC's: this one is ours.
            async with asyncio.timeout(timeout_s + 5):
                while owed := collection.owed_by(node_id) & set(pairs):
                    pause_s = await self._fetch(node_id, client, owed, timeout_s)
                    if pause_s is None:
                        break
                    await asyncio.sleep(pause_s)
            context.peers.standing.served(node_id, now())
        except (PeerError, TimeoutError) as error:
            problem = error if isinstance(error, PeerError) else PeerUnreachableError(client.name, "it is too slow")
            self._problems.append(str(problem))
            if node_id not in self._busy:
                context.peers.blame_for(client.member, problem)
            collection.exclude(node_id)

    async def _fetch(
        self, node_id: NodeId, client: NodeClient, pairs: frozenset[PairIndex], timeout_s: float
    ) -> float | None:
        """Takes what the node gives of these pairs; returns after how long it wants to be asked for the rest.

        Raises:
            PeerError: it gives nothing more, or not in time.
        """
        context, collection = self._context, self._collection
        expected = ExpectedSlivers(Axis.PRIMARY, pairs, self._symbol_size, self._sliver_size)
        now = asyncio.get_running_loop().time
        self._busy.discard(node_id)
        try:
            async with contextlib.aclosing(client.get_slivers(context.blob_id, expected, timeout_s=timeout_s)) as parts:
                async for part in parts:
                    if isinstance(part, MissingSliver):
                        self._problems.append(f"storage node {client.name}: {part.reason} for pair {part.pair}")
                        collection.lost(node_id, [part.pair])
                    else:
                        pair, sliver = part
                        self._received[pair] = sliver
                        self._unverified.append(pair)
                        context.peers.pace.took(self._sliver_size, collection.arrived(node_id, pair, now()))
                    self._news.set()
        except PeerRefusedError as refusal:
            pause_s = asked_for_s(refusal, context.rng.random())
            if pause_s is None:
                raise
            self._busy.add(node_id)
            context.peers.standing.busy(node_id, now() + pause_s)
            if pause_s > timeout_s:
                raise
            self._problems.append(str(refusal))
            return pause_s
        return None

    def _start_verifying(self) -> None:
        if self._unverified and (self._verifying is None or self._verifying.done()):
            pairs = next(batches(self._unverified, self._sliver_size))
            del self._unverified[: len(pairs)]
            self._verifying = asyncio.ensure_future(self._verify(pairs))
            self._verifying.add_done_callback(lambda _task: self._news.set())

    async def _verify(self, pairs: Sequence[PairIndex]) -> None:
        context, collection = self._context, self._collection
        batch = [(pair, self._received[pair]) for pair in pairs]
        bad: dict[PairIndex, Exception] = {}
        try:
            await context.compute.verify_slivers(batch, context.metadata, context.params)
        except BadSlivers as error:
            bad = {pairs[position]: fault for position, fault in error.faults.items()}
        collection.verify_succeeded(pair for pair in pairs if pair not in bad)
        for pair, fault in bad.items():
            node_id = collection.verify_failed(pair)
            member = self._members[node_id]
            context.peers.blame(member, Fault.LIED, f"its sliver of pair {pair} is wrong: {fault}")
            self._problems.append(f"storage node {member.name}: {fault}")
            for stream in [task for task, owner in self._streams.items() if owner == node_id]:
                stream.cancel()


def batches(slivers: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Cuts slivers of `size` bytes each into what is verified together (`VERIFY_AT_ONCE`)."""
    count = max(1, VERIFY_AT_ONCE // size)
    for first in range(0, len(slivers), count):
        yield slivers[first : first + count]


def candidates_of(context: ReadContext, rest: Sequence[PairIndex], now: float) -> list[PairIndex]:
    """Systematic pairs first, then `rest` (the others, in any order); pairs of doubtful nodes after all of them."""
    pairs = [*map(PairIndex, range(context.params.k1)), *rest]
    standing = context.peers.standing
    return sorted(pairs, key=lambda pair: standing.is_doubtful(context.owner_of(pair), now))
