"""Collects recovery symbols from other nodes: exactly as many as the code needs, each verified when it arrives.

The same sources serve all slivers of a blob that are recovered together: so every source node expands its sliver once for
all of them. What this node holds itself costs no traffic and is used first. A node that fails, lies or lacks a sliver is
replaced by others (`walrus_client.read.collecting` keeps the books); one that stalls is not waited for, though its answer
still counts when it comes. One that is busy is left alone for as long as it asks, and then asked for what it still owes;
meanwhile others are asked as for one that stalls, and the next searches ask it last.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from walrus_client import rules as client_rules
from walrus_client.compute import Compute
from walrus_client.errors import PeerError, PeerMisbehavedError, PeerRefusedError
from walrus_client.peers import ExpectedSymbols, Fault, MissingSource, PeerPool, RequestSigner
from walrus_client.peers.retrying import asked_for_s
from walrus_client.read.collecting import Collection
from walrus_codec import mapping, recovery
from walrus_codec.errors import CodecError, SliverError, SymbolError
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import RecoverySymbol
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, Epoch, NodeId, PairIndex
from walrus_node.errors import DamagedError
from walrus_node.recovery import rules
from walrus_node.store.storage import SliverKey, Storage
from walrus_sui.types import Committee, CommitteeMember

REQUEST_TIMEOUT_S = 45.0
PATIENCE_S = 5.0
"""A node that delivers nothing for so long is slow: others are asked in its place."""
METADATA_PATIENCE_S = 1.0
"""The same for metadata, which are small and come without any work."""

_INLINE_BYTES = 64 << 10
_INLINE_SYMBOLS = 64
"""So few symbols are verified on the event loop: it takes some 0.3 ms, and the way to a thread and back takes longer."""


class NotEnoughSymbolsError(Exception):
    """Too few nodes gave what was asked for; later there may be more."""


@dataclass(frozen=True)
class Job:
    """One blob that lacks something here, and whom to ask."""

    blob_id: BlobId
    metadata: BlobMetadata
    params: CodeParams
    committee: Committee
    epoch: Epoch

    @property
    def symbol_size(self) -> int:
        """Bytes of a symbol."""
        return self.params.symbol_size(self.metadata.unencoded_length)


class Gatherer:
    """Asks other nodes.

    Args:
        storage: for symbols of slivers that are here.
        peers: channels to other nodes.
        compute: verification off the event loop.
        signer: shows who asks.
        us: this node.
        rng: chooses whom to ask.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        peers: PeerPool,
        compute: Compute,
        signer: RequestSigner,
        us: NodeId,
        rng: random.Random,
    ) -> None:
        self._storage = storage
        self._peers = peers
        self._compute = compute
        self._signer = signer
        self._us = us
        self._rng = rng
        self.bytes_fetched = 0

    async def metadata(self, blob_id: BlobId, committee: Committee) -> BlobMetadata:
        """The blob's verified metadata, from one member after the other; one that is silent is not waited for.

        Raises:
            NotEnoughSymbolsError: nobody has it.
        """
        others = [member for member in committee.members if member.node_id != self._us]
        waiting = self._peers.doubtful_last(client_rules.weighted_order(others, self._rng.random))
        asked: dict[asyncio.Task[BlobMetadata], tuple[CommitteeMember, float]] = {}
        problems: list[str] = []
        now = asyncio.get_running_loop().time
        try:
            while waiting or asked:
                if waiting:
                    member = waiting.pop(0)
                    asked[asyncio.create_task(self._metadata_of(member, blob_id, committee.n_shards))] = member, now()
                patience_s = METADATA_PATIENCE_S if waiting else None
                done, _ = await asyncio.wait(asked, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    member, _since = asked.pop(task)
                    try:
                        found = task.result()
                    except PeerError as error:
                        problems.append(str(error))
                        self._remember(member, error)
                    else:
                        self._blame_silent(asked.values(), now())
                        return found
        finally:
            await _cancel(asked)
        raise NotEnoughSymbolsError(f"nobody gave the metadata: {'; '.join(problems) or 'there is nobody else'}")

    async def _metadata_of(self, member: CommitteeMember, blob_id: BlobId, n_shards: int) -> BlobMetadata:
        data = await self._peers.get(member).get_metadata(blob_id)
        try:
            metadata = BlobMetadata.from_bcs(data)
            verify_metadata(blob_id, metadata, n_shards=n_shards)
        except CodecError as error:
            raise PeerMisbehavedError(member.name, f"its metadata is not the blob's: {error}") from error
        return metadata

    def _remember(self, member: CommitteeMember, error: PeerError) -> None:
        self._peers.blame_for(member, error)
        pause_s = asked_for_s(error, self._rng.random())
        if pause_s is not None:
            self._peers.standing.busy(member.node_id, asyncio.get_running_loop().time() + pause_s)

    def _blame_silent(self, asked: Iterable[tuple[CommitteeMember, float]], now: float) -> None:
        for member, since in asked:
            if now - since >= METADATA_PATIENCE_S:
                self._peers.blame(member, Fault.STALLED, "it kept a recovery waiting for metadata")

    async def symbols(self, job: Job, axis: Axis, targets: Sequence[PairIndex]) -> list[RecoverySymbol]:
        """Verified symbols for these targets, exactly as many as are needed for each.

        Raises:
            NotEnoughSymbolsError: too few nodes gave theirs.
        """
        n, needed = job.params.n_shards, job.params.source_symbols(axis)
        own = await self._own(job, axis, targets, needed)
        held = {mapping.pair_of_sliver(symbols[0].source, axis.orthogonal, n) for symbols in own}
        order = rules.source_order(job.committee, self._us, job.blob_id, self._rng.random)
        search = _Search(
            job=job,
            axis=axis,
            targets=targets,
            order=sorted(
                (entry for entry in order if entry[1] not in held), key=lambda entry: self._is_doubtful(entry[0])
            ),
            needed=needed - len(own),
            peers=self._peers,
            compute=self._compute,
            signer=self._signer,
            rng=self._rng,
        )
        try:
            found = await search.run()
        finally:
            self.bytes_fetched += search.bytes_fetched
        return [symbol for symbols in [*own, *found] for symbol in symbols]

    def _is_doubtful(self, node_id: NodeId) -> bool:
        return self._peers.standing.is_doubtful(node_id, asyncio.get_running_loop().time())

    async def _own(self, job: Job, axis: Axis, targets: Sequence[PairIndex], needed: int) -> list[list[RecoverySymbol]]:
        """Symbols from slivers of the other axis that are stored here."""
        n = job.params.n_shards
        wanted = [mapping.sliver_of_pair(pair, axis, n) for pair in targets]
        found: list[list[RecoverySymbol]] = []
        keys = [SliverKey(shard, axis.orthogonal, job.blob_id) for shard in self._storage.shards]
        here = await self._storage.has_slivers(keys)
        for key in itertools.compress(keys, here):
            if len(found) == needed:
                break
            # One that has rotted on the disk gives none; others have good ones.
            with contextlib.suppress(SliverError, DamagedError):
                stored = await self._storage.sliver(key)
                if stored is None:
                    continue
                sliver = Sliver.from_bcs(axis.orthogonal, stored)
                found.append(await self._compute.run(recovery.make_symbols, sliver, wanted, job.metadata, job.params))
        return found


class _Search:
    """One round of questions; `run` it once."""

    def __init__(
        self,
        *,
        job: Job,
        axis: Axis,
        targets: Sequence[PairIndex],
        order: Sequence[tuple[NodeId, PairIndex]],
        needed: int,
        peers: PeerPool,
        compute: Compute,
        signer: RequestSigner,
        rng: random.Random,
    ) -> None:
        self._job = job
        self._axis = axis
        self._targets = targets
        self._owners = {pair: node_id for node_id, pair in order}
        self._collection = Collection([pair for _node_id, pair in order], self._owners.__getitem__, needed=needed)
        self._needed = needed
        self._peers = peers
        self._compute = compute
        self._signer = signer
        self._rng = rng
        self._found: dict[PairIndex, list[RecoverySymbol]] = {}
        self._problems: list[str] = []
        self._changed = asyncio.Event()
        self._busy: set[NodeId] = set()
        self.bytes_fetched = 0

    async def run(self) -> list[list[RecoverySymbol]]:
        """The symbols of as many sources as are needed; raises `NotEnoughSymbolsError`."""
        loop, collection = asyncio.get_running_loop(), self._collection
        async with contextlib.AsyncExitStack() as stack:
            tasks: set[asyncio.Task[None]] = set()
            stack.push_async_callback(_cancel, tasks)
            while not collection.complete:
                for node_id, pairs in collection.next_requests(loop.time()).items():
                    tasks.add(asyncio.create_task(self._ask(node_id, pairs)))
                if collection.hopeless:
                    raise NotEnoughSymbolsError(
                        f"{len(self._found)} of the {self._needed} symbols of each {self._axis.value} sliver came: "
                        f"{'; '.join(self._problems) or 'nobody has more'}"
                    )
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(collection.next_check_in(loop.time(), PATIENCE_S)):
                        await self._changed.wait()
                self._changed.clear()
                collection.hedge(loop.time(), PATIENCE_S)
                for task in [task for task in tasks if task.done()]:
                    tasks.remove(task)
                    task.result()
        for member in map(self._job.committee.by_id, collection.slow_nodes - self._busy):
            if member is not None:
                self._peers.blame(member, Fault.STALLED, "it kept a recovery waiting")
        return list(self._found.values())[: self._needed]

    async def _ask(self, node_id: NodeId, pairs: Sequence[PairIndex]) -> None:
        """Takes what the node gives of these pairs, in several requests when it is busy; after that it is asked no more."""
        member = self._job.committee.by_id(node_id)
        assert member is not None  # noqa: S101 - the order is made of members
        deadline = asyncio.get_running_loop().time() + REQUEST_TIMEOUT_S
        try:
            while owed := self._collection.owed_by(node_id).intersection(pairs):
                pause_s = await self._fetch(member, sorted(owed), deadline)
                if pause_s is None:
                    break
                await asyncio.sleep(pause_s)
            self._peers.standing.served(node_id, asyncio.get_running_loop().time())
        except PeerError as error:
            self._peers.blame_for(member, error)
            self._collection.exclude(node_id)
            self._problems.append(str(error))
        finally:
            self._changed.set()

    async def _fetch(self, member: CommitteeMember, pairs: Sequence[PairIndex], deadline: float) -> float | None:
        """One request; returns after how long the node wants to be asked for the rest.

        Raises:
            PeerError: it gives nothing more, or not before the deadline.
        """
        job, now = self._job, asyncio.get_running_loop().time
        self._busy.discard(member.node_id)
        expected = ExpectedSymbols(job.blob_id, self._axis, self._targets, pairs, job.symbol_size, job.params.n_shards)
        answers = self._peers.get(member).get_recovery_symbols(
            expected, self._signer, job.epoch, timeout_s=deadline - now()
        )
        try:
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    if isinstance(answer, MissingSource):
                        self._collection.lost(member.node_id, [answer.pair])
                        self._problems.append(f"{member.name} lacks pair {answer.pair} ({answer.reason})")
                    else:
                        await self._take(member.node_id, answer)
                    self._changed.set()
        except PeerRefusedError as refusal:
            pause_s = asked_for_s(refusal, self._rng.random())
            if pause_s is None:
                raise
            self._busy.add(member.node_id)
            self._peers.standing.busy(member.node_id, now() + pause_s)
            if now() + pause_s >= deadline:
                raise
            self._problems.append(str(refusal))
            return pause_s
        return None

    async def _take(self, node_id: NodeId, symbols: list[RecoverySymbol]) -> None:
        """Verifies the symbols of one source; raises `PeerMisbehavedError` when one is bad."""
        job, n = self._job, self._job.params.n_shards
        pair = mapping.pair_of_sliver(symbols[0].source, self._axis.orthogonal, n)
        self.bytes_fetched += sum(len(symbol.data) + len(symbol.proof) for symbol in symbols)
        self._collection.arrived(node_id, pair, asyncio.get_running_loop().time())
        try:
            if len(symbols) * job.symbol_size <= _INLINE_BYTES and len(symbols) <= _INLINE_SYMBOLS:
                recovery.verify_symbols(symbols, job.metadata, job.params)
            else:
                await self._compute.run(recovery.verify_symbols, symbols, job.metadata, job.params)
        except SymbolError as error:
            self._collection.verify_failed(pair)
            member = job.committee.by_id(node_id)
            raise PeerMisbehavedError(member.name if member else node_id, str(error)) from None
        self._collection.verify_succeeded([pair])
        self._found[pair] = symbols


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
