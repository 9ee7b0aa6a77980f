"""Slivers that come in: checked in order, verified and stored in batches off the event loop.

The checks of one sliver (walrus-service `store_sliver`): pair exists; its row or column belongs to the pair; size;
the shard is stored here and takes writes; not stored yet; the Merkle root fits the metadata. Everything up to the last
is known from the head alone, so data that will not be kept are never buffered.

Life of a sliver: `admit` says whether its data are wanted; complete ones collect in a batch; a full batch is verified
off the event loop and stored in one go while the next one is received, never more than two at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from walrus_client.compute import Compute
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec import mapping
from walrus_codec.errors import BadSlivers, IndexOutOfRange
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, PairIndex
from walrus_node.errors import MetadataMissingError, ShardNotHereError
from walrus_node.rpc.model import SliverHead, SliverRefusal
from walrus_node.store.records import ShardStatus
from walrus_node.store.storage import SliverKey, Storage

BATCH_BYTES = 4 << 20
"""A batch is verified once it holds this much; small slivers share the cost of a call, large ones go one or two at once."""


@dataclass(frozen=True)
class _Arrived:
    key: SliverKey
    pair: PairIndex
    sliver: Sliver


@dataclass
class Upload:
    """One stream of slivers of one blob.

    Attributes:
        blob_id: which blob.
        metadata: its verified metadata.
        params: its code.
        storage: where good slivers go.
        compute: where they are verified.
        lacking: bytes of slivers that are not stored yet.
        stored: how many this upload stored.
        refusals: which were refused, and why.
    """

    blob_id: BlobId
    metadata: BlobMetadata
    params: CodeParams
    storage: Storage
    compute: Compute
    lacking: int = 0
    stored: int = 0
    refusals: list[SliverRefusal] = field(default_factory=list)
    _batch: list[_Arrived] = field(default_factory=list)
    _batch_bytes: int = 0
    _seen: set[SliverKey] = field(default_factory=set)
    _known: frozenset[SliverKey] | None = None
    _working: asyncio.Task[None] | None = None

    @property
    def memory(self) -> int:
        """Bytes that this upload may hold at most: two batches, the sliver that completes one, and the one under way."""
        largest = self.params.sliver_size(Axis.PRIMARY, self.metadata.unencoded_length)
        all_of_it = self.params.encoded_length(self.metadata.unencoded_length)
        return min(all_of_it, 2 * (BATCH_BYTES + largest) + largest)

    async def admit(self, head: SliverHead) -> bool:
        """Whether the data of this sliver are wanted; False when it is stored already or was sent twice.

        Raises:
            RequestRefused: INDEX_OUT_OF_RANGE, SLIVER_INDEX_MISMATCH, SLIVER_TOO_LARGE, INVALID_SLIVER,
                SHARD_NOT_ASSIGNED, or UNAVAILABLE while the shard is only being set up.
        """
        n = self.params.n_shards
        size = self.params.sliver_size(head.axis, self.metadata.unencoded_length)
        if head.size > size:
            raise RequestRefused(
                Reason.SLIVER_TOO_LARGE,
                f"a {head.axis.value} sliver of this blob has {size} bytes, {head.size} were announced",
                {"limit": str(size)},
            )
        try:
            expected = mapping.sliver_of_pair(head.pair, head.axis, n)
        except IndexOutOfRange as error:
            raise RequestRefused(Reason.INDEX_OUT_OF_RANGE, str(error)) from None
        if head.index != expected:
            raise RequestRefused(
                Reason.SLIVER_INDEX_MISMATCH,
                f"pair {head.pair} has {head.axis.value} sliver {expected}, not {head.index}",
            )
        shard = mapping.shard_of_pair(head.pair, self.blob_id, n)
        if not self.storage.shards.get(shard, ShardStatus.NONE).writable:
            raise RequestRefused(
                Reason.SHARD_NOT_ASSIGNED, f"shard {shard}, which keeps pair {head.pair}, is not stored here"
            )
        if head.size != size or head.symbol_size != size // self.params.source_symbols(head.axis):
            raise RequestRefused(
                Reason.INVALID_SLIVER,
                f"a {head.axis.value} sliver of this blob has {size} bytes; {head.size} bytes with symbols of "
                f"{head.symbol_size} were announced",
            )
        key = SliverKey(shard, head.axis, self.blob_id)
        if key in self._seen or key in await self._stored_before():
            return False
        self._seen.add(key)
        return True

    async def _stored_before(self) -> frozenset[SliverKey]:
        """The blob's slivers that were stored when the first head came; one that came since is stored only once anyway."""
        if self._known is None:
            self._known = frozenset(await self.storage.stored(self.blob_id))
        return self._known

    async def add(self, head: SliverHead, data: bytearray) -> None:
        """Takes a complete sliver that was admitted; may wait until an earlier batch is stored."""
        shard = mapping.shard_of_pair(head.pair, self.blob_id, self.params.n_shards)
        sliver = Sliver(head.axis, head.index, head.symbol_size, memoryview(data).toreadonly())
        self._batch.append(_Arrived(SliverKey(shard, head.axis, self.blob_id), head.pair, sliver))
        self._batch_bytes += len(data)
        if self._batch_bytes >= BATCH_BYTES:
            await self._begin_batch()

    async def finish(self) -> None:
        """Returns when every sliver that was added is stored or refused."""
        await self._begin_batch()
        await self._previous()

    async def abandon(self) -> None:
        """The stream broke: lets the running batch end, drops the rest."""
        self._batch = []
        if self._working is not None:
            await asyncio.wait([self._working])

    async def _begin_batch(self) -> None:
        await self._previous()
        if self._batch:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._working = asyncio.create_task(self._store(batch))

    async def _previous(self) -> None:
        if self._working is not None:
            working, self._working = self._working, None
            await working

    async def _store(self, batch: list[_Arrived]) -> None:
        try:
            await self.compute.verify_slivers([(item.pair, item.sliver) for item in batch], self.metadata, self.params)
            faults = {}
        except BadSlivers as error:
            faults = error.faults
        good = []
        for position, item in enumerate(batch):
            if (fault := faults.get(position)) is not None:
                self._refuse(item, Reason.INVALID_SLIVER, str(fault))
            else:
                good.append(item)
        outcomes = await self.storage.put_slivers((item.key, item.sliver.to_bcs()) for item in good)
        for item, outcome in zip(good, outcomes, strict=True):
            match outcome:
                case ShardNotHereError():
                    self._refuse(item, Reason.SHARD_NOT_ASSIGNED, str(outcome))
                case MetadataMissingError():
                    self._refuse(item, Reason.NOT_REGISTERED, str(outcome))
                case _:
                    self.stored += outcome

    def _refuse(self, item: _Arrived, reason: Reason, message: str) -> None:
        self.refusals.append(SliverRefusal(item.sliver.axis, item.pair, reason, message))
