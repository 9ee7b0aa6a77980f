"""What the move of a shard from node to node asks of the tables: pages to send, pages to take in, and what still lacks.

A page is a stretch of one axis of one shard in ascending order of blob ids. The sender reads it by the shard's index, so
that sizes are known before any sliver is read; the receiver writes its slivers together with the place where the
transfer goes on, in one batch: a crash repeats nothing and loses nothing. Blocking functions, as in `shards`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from walrus_codec.types import Axis, BlobId, Epoch, ShardIndex
from walrus_node.errors import DamagedError, ShardNotHereError
from walrus_node.store import layout
from walrus_node.store.blob_records import BlobInfo, ValidBlob
from walrus_node.store.blobs import BlobTable
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.records import ShardStatus, TransferState
from walrus_node.store.shards import ShardTable, SliverKey
from walrus_node.store.tallies import Tally

_LOOKED_AT = 4096
"""Index entries that one page looks at: most of them may be of blobs that are not to be sent."""


@dataclass(frozen=True)
class SliverPage:
    """Slivers in their BCS form, and the blob id from which on the next page goes; None when there is no more."""

    slivers: Sequence[tuple[BlobId, memoryview]]
    next_id: bytes | None


@dataclass(frozen=True)
class Wanted:
    """Which slivers of a page are to be taken in.

    Attributes:
        metadata: BCS BlobMetadata of the wanted blobs that have them stored.
        unknown: wanted blobs whose metadata is not stored.
    """

    metadata: dict[BlobId, bytes] = field(default_factory=dict)
    unknown: list[BlobId] = field(default_factory=list)


def is_certified_before(info: BlobInfo | None, epoch: Epoch) -> bool:
    """Whether a blob is certified in `epoch` and was so before it began: only these move with their shards."""
    return (
        isinstance(info, ValidBlob)
        and info.is_certified(epoch)
        and info.initial_certified_epoch is not None
        and info.initial_certified_epoch < epoch
    )


def following(blob_id: bytes) -> bytes | None:
    """The next larger blob id; None after the largest."""
    number = int.from_bytes(blob_id, "big") + 1
    return number.to_bytes(32, "big") if number < 2**256 else None


class TransferTable:
    """The tables of blobs and shards, seen together."""

    def __init__(self, kv: KeyValueStore, blobs: BlobTable, shards: ShardTable) -> None:
        self._kv = kv
        self._blobs = blobs
        self._shards = shards

    def page(  # noqa: PLR0917 - called through an executor
        self, shard: ShardIndex, axis: Axis, start: bytes, epoch: Epoch, max_slivers: int, max_bytes: int
    ) -> SliverPage:
        """The next slivers from `start` on: as many as fit, at least one if there is any; rotten ones are left out."""
        found: list[tuple[BlobId, memoryview]] = []
        size = looked = 0
        for blob_id, length in self._shards.blobs_from(shard, axis, start):
            if found and (len(found) >= max_slivers or size + length > max_bytes):
                return SliverPage(found, blob_id)
            if looked >= _LOOKED_AT:
                return SliverPage(found, blob_id)
            looked += 1
            if not is_certified_before(self._blobs.info(blob_id), epoch):
                continue
            try:
                sliver = self._shards.get(SliverKey(shard, axis, blob_id))
            except DamagedError:
                continue  # scrub takes it out; the asker recovers its own
            if sliver is not None:
                found.append((blob_id, sliver))
                size += length
        return SliverPage(found, None)

    def wanted(self, shard: ShardIndex, axis: Axis, blob_ids: Iterable[BlobId], epoch: Epoch) -> Wanted:
        """Which of these blobs' slivers are to come: certified before the epoch, and not here yet."""
        wanted = Wanted()
        for blob_id in blob_ids:
            if not is_certified_before(self._blobs.info(blob_id), epoch):
                continue
            if self._shards.has(SliverKey(shard, axis, blob_id)):
                continue
            metadata = self._blobs.metadata(blob_id)
            if metadata is None:
                wanted.unknown.append(blob_id)
            else:
                wanted.metadata[blob_id] = metadata
        return wanted

    def take_in(
        self, shard: ShardIndex, axis: Axis, slivers: Sequence[tuple[BlobId, bytes]], next_id: bytes | None
    ) -> int:
        """Stores verified slivers and where the transfer goes on; returns how many were new.

        Raises:
            ShardNotHereError: the shard is not being transferred (any more).
        """
        status = self._shards.statuses.get(shard, ShardStatus.NONE)
        if status is not ShardStatus.ACTIVE_SYNC:
            raise ShardNotHereError(f"shard {shard} is {status.value} by now, not ActiveSync: its transfer has ended")
        batch, stored = Batch(), list[int]()
        for blob_id, sliver in slivers:
            key = SliverKey(shard, axis, blob_id)
            # Without metadata the blob has ended meanwhile.
            if not self._shards.has(key) and self._blobs.has_metadata(blob_id):
                self._shards.put_into(batch, key, sliver)
                stored.append(len(sliver))
        state = self._shards.transfer(shard).after(axis, next_id)
        batch.put(layout.state_family(shard), layout.TRANSFER_KEY, state.to_bytes())
        taken = Tally.of(stored)
        self._shards.write(batch, [(shard, taken)])
        return taken.slivers

    def transfer(self, shard: ShardIndex) -> TransferState:
        """How far the transfer of a stored shard is."""
        return self._shards.transfer(shard)

    def without_metadata(self, epoch: Epoch) -> list[BlobId]:
        """Blobs certified in `epoch` whose metadata is not stored, in order of their ids."""
        return [blob_id for blob_id in self._blobs.certified(epoch) if not self._blobs.has_metadata(blob_id)]
