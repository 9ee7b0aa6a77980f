"""Completes one blob on this node: metadata, secondary slivers, primary slivers, and what to do when it cannot be whole.

Every sliver is stored as soon as its group is rebuilt, so an interruption costs one group at most. A blob that turns out
to be badly encoded is not completed by anybody: the proof goes to all members, their judgements are summed, and the chain
is told (walrus paper 4.4); the event that follows lets every node forget the blob.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from walrus_client import rules as client_rules
from walrus_client.budget import ByteBudget
from walrus_client.compute import Compute
from walrus_client.rules import ReadChoice
from walrus_codec import blob_id as blob_ids
from walrus_codec import mapping, recovery
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import InconsistencyProof
from walrus_codec.types import Axis, BlobId, Epoch, PairIndex
from walrus_node.errors import DamagedError, MetadataMissingError, ShardNotHereError
from walrus_node.recovery import rules
from walrus_node.recovery.gathering import Gatherer, Job, NotEnoughSymbolsError
from walrus_node.store.blob_records import ValidBlob
from walrus_node.store.storage import SliverKey, Storage
from walrus_sui.types import Committee, StakingView

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """How an attempt ended."""

    WHOLE = "nothing is lacking"
    DEAD = "nobody keeps the blob alive any more"
    LACKING = "something is lacking still"
    INVALID = "the blob is badly encoded"


class Denouncer(Protocol):
    """Brings a proof of inconsistency to the other members and to the chain."""

    async def denounce(self, blob_id: BlobId, proof: InconsistencyProof) -> bool:
        """True when the chain knows now; False when too few members agreed so far."""
        ...


@dataclass
class Counters:
    """What was recovered since the process began."""

    blobs: int = 0
    slivers: int = 0


class BlobRecoverer:
    """Completes blobs, one call each.

    Args:
        storage: where slivers go.
        gatherer: asks other nodes.
        compute: rebuilds off the event loop.
        denouncer: for badly encoded blobs.
        memory: bytes that all recoveries may hold together.
    """

    def __init__(
        self, *, storage: Storage, gatherer: Gatherer, compute: Compute, denouncer: Denouncer, memory: int
    ) -> None:
        self._storage = storage
        self._gatherer = gatherer
        self._compute = compute
        self._denouncer = denouncer
        self._memory = ByteBudget(memory)
        self.counters = Counters()

    async def length(self, blob_id: BlobId) -> int | None:
        """Bytes of a blob, None when there are no good metadata of it here."""
        try:
            stored = await self._storage.metadata(blob_id)
            return None if stored is None else BlobMetadata.from_bcs(stored).unencoded_length
        except (DamagedError, CodecError):
            return None

    async def complete(self, blob_id: BlobId, scope: rules.Scope, view: StakingView) -> Outcome:
        """Tries to get all that the shards of `scope` lack of this blob; logs why when it cannot."""
        info = await self._storage.blob_info(blob_id)
        if not isinstance(info, ValidBlob) or not info.is_certified(scope.epoch):
            return Outcome.DEAD
        committee = client_rules.read_committee(view, info.initial_certified_epoch)
        if isinstance(committee, ReadChoice):
            return Outcome.LACKING  # certified after the view; a newer one is on its way
        try:
            job = await self._job(blob_id, committee, view.epoch)
            lacked = 0
            for axis, pairs in rules.targets(
                await self._storage.missing(blob_id, scope.shards), committee.n_shards
            ).items():
                size = job.params.sliver_size(axis, job.metadata.unencoded_length)
                for batch in rules.batches(pairs, size, self._memory.capacity):
                    async with self._memory.reserve(rules.cost(len(batch), size)):
                        proof = await self._recover(job, axis, batch)
                    if proof is not None:
                        return await self._denounce(blob_id, proof)
                    lacked += len(batch)
        except (NotEnoughSymbolsError, MetadataMissingError, ShardNotHereError, CodecError) as error:
            facts = {"blob_id": blob_ids.to_text(blob_id), "why": str(error)}
            _log.info("a blob cannot be completed yet", extra=facts)
            return Outcome.LACKING
        if lacked:
            self.counters.blobs += 1
            _log.info("a blob was completed", extra={"blob_id": blob_ids.to_text(blob_id), "slivers": lacked})
        return Outcome.WHOLE

    async def _job(self, blob_id: BlobId, committee: Committee, epoch: Epoch) -> Job:
        metadata = await self._stored_metadata(blob_id, committee.n_shards)
        if metadata is None:
            metadata = await self._gatherer.metadata(blob_id, committee)
            await self._storage.put_metadata(blob_id, metadata.to_bcs())
        params = CodeParams(len(metadata.hashes), metadata.encoding_type)
        return Job(blob_id, metadata, params, committee, epoch)

    async def _stored_metadata(self, blob_id: BlobId, n_shards: int) -> BlobMetadata | None:
        """The blob's metadata if they are here; rotten ones are taken out, since they would accuse an honest writer."""
        stored = None
        try:
            stored = await self._storage.metadata(blob_id)
            if stored is None:
                return None
            metadata = BlobMetadata.from_bcs(stored)
            verify_metadata(blob_id, metadata, n_shards=n_shards)
        except (DamagedError, CodecError) as error:
            facts = {"blob_id": blob_ids.to_text(blob_id), "why": str(error)}
            if await self._storage.remove_metadata(blob_id, stored):
                _log.warning("bit rot was found in metadata and taken out; they are fetched anew", extra=facts)
            return None
        return metadata

    async def _recover(self, job: Job, axis: Axis, targets: Sequence[PairIndex]) -> InconsistencyProof | None:
        """Gathers, rebuilds and stores; returns the proof when the slivers are not what the metadata commits to."""
        symbols = await self._gatherer.symbols(job, axis, targets)
        found = await self._compute.run(recovery.recover, symbols, job.metadata, job.params)
        n = job.params.n_shards
        good: list[tuple[SliverKey, bytes]] = []
        proof = None
        for item in found:
            if isinstance(item, InconsistencyProof):
                proof = item
                break
            shard = mapping.shard_of_pair(mapping.pair_of_sliver(item.index, axis, n), job.blob_id, n)
            good.append((SliverKey(shard, axis, job.blob_id), item.to_bcs()))
        for outcome in await self._storage.put_slivers(good):
            if not isinstance(outcome, bool):
                raise outcome
            self.counters.slivers += outcome
        return proof

    async def _denounce(self, blob_id: BlobId, proof: InconsistencyProof) -> Outcome:
        _log.warning("a blob is badly encoded", extra={"blob_id": blob_ids.to_text(blob_id)})
        return Outcome.INVALID if await self._denouncer.denounce(blob_id, proof) else Outcome.LACKING
