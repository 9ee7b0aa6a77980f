"""The tables of the shards that are stored here: slivers, their index, and the status of each shard.

A shard exists here exactly when its state family does, and that one is created last, after the families of its
slivers: a crash in between leaves empty families that the next attempt uses. Blocking functions over a
`KeyValueStore`; `storage.Storage` calls the writing ones from its one writer thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

from walrus_codec import bcs
from walrus_codec.types import Axis, BlobId, ShardIndex
from walrus_node.errors import ShardNotHereError, StoreError
from walrus_node.store import layout
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.records import (
    ShardStatus,
    shard_status_from_bytes,
    shard_status_to_bytes,
    unversioned,
    versioned,
)


@dataclass(frozen=True)
class SliverKey:
    """One sliver's place in the store."""

    shard: ShardIndex
    axis: Axis
    blob_id: BlobId


class ShardTable:
    """Slivers by shard, axis and blob id."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Reads the statuses of all stored shards."""
        self._kv = kv
        self._statuses: dict[ShardIndex, ShardStatus] = {}
        for family in kv.families():
            shard = layout.shard_of_state_family(family)
            if shard is None:
                continue
            value = kv.get(family, layout.SHARD_STATUS_KEY)
            # No status yet: the process died between the last family and the first status. The shard is empty.
            self._statuses[shard] = ShardStatus.NONE if value is None else shard_status_from_bytes(value)

    @property
    def statuses(self) -> MappingProxyType[ShardIndex, ShardStatus]:
        """Status of every stored shard."""
        return MappingProxyType(self._statuses)

    def create(self, shard: ShardIndex, status: ShardStatus) -> None:
        """Makes the families of a shard, or completes them, and sets its status."""
        for axis in Axis:
            self._kv.create_family(layout.sliver_family(shard, axis), bulky=True)
        self._kv.create_family(layout.state_family(shard), bulky=False)
        self.set_status(shard, status)

    def set_status(self, shard: ShardIndex, status: ShardStatus) -> None:
        """Changes the status of a stored shard."""
        batch = Batch()
        batch.put(layout.state_family(shard), layout.SHARD_STATUS_KEY, shard_status_to_bytes(status))
        self._kv.write(batch)
        self._statuses[shard] = status

    def writable(self, shard: ShardIndex) -> bool:
        """True when the shard is stored here and takes new slivers."""
        return self._statuses.get(shard, ShardStatus.NONE).writable

    def put(self, key: SliverKey, sliver: bytes) -> None:
        """Stores the BCS form of a sliver with its index entry.

        Raises:
            ShardNotHereError: the shard is not stored here, or it is locked.
        """
        if not self.writable(key.shard):
            raise ShardNotHereError(f"shard {key.shard} takes no slivers here")
        batch = Batch()
        batch.put(layout.sliver_family(key.shard, key.axis), key.blob_id, versioned(sliver))
        size = versioned(bcs.u32(len(sliver)))
        batch.put(layout.state_family(key.shard), layout.index_key(key.axis, key.blob_id), size)
        self._kv.write(batch)

    def get(self, key: SliverKey) -> memoryview | None:
        """The BCS form of a sliver, None when it is not stored."""
        if key.shard not in self._statuses:
            return None
        value = self._kv.get(layout.sliver_family(key.shard, key.axis), key.blob_id)
        return None if value is None else unversioned(value, "sliver")

    def has(self, key: SliverKey) -> bool:
        """Whether a sliver is stored, without reading it."""
        if key.shard not in self._statuses:
            return False
        return self._kv.get(layout.state_family(key.shard), layout.index_key(key.axis, key.blob_id)) is not None

    def missing(self, blob_id: BlobId, shards: Iterable[ShardIndex]) -> list[SliverKey]:
        """Which slivers of a blob are lacking in the given shards."""
        keys = (SliverKey(shard, axis, blob_id) for shard in shards for axis in Axis)
        return [key for key in keys if not self.has(key)]

    def blobs(self, shard: ShardIndex, axis: Axis, after: bytes = b"") -> Iterator[tuple[BlobId, int]]:
        """Blob ids and sliver sizes of one axis of a shard, from the id behind `after` on, in order of the ids."""
        if shard not in self._statuses:
            return
        start, end = layout.index_range(axis)
        first = start + after + b"\x00" if after else start
        for key, value in self._kv.scan(layout.state_family(shard), start=first, end=end):
            yield BlobId(key[len(start) :]), int.from_bytes(unversioned(value, "sliver size"), "little")

    def count(self) -> int:
        """Number of slivers in all shards; reads all indexes."""
        return sum(1 for shard in self._statuses for axis in Axis for _ in self.blobs(shard, axis))

    def delete_into(self, batch: Batch, blob_id: BlobId) -> list[int]:
        """Adds the deletion of a blob's slivers in all shards to a batch; returns their sizes in bytes."""
        sizes = []
        for shard in self._statuses:
            for axis in Axis:
                size = self._kv.get(layout.state_family(shard), layout.index_key(axis, blob_id))
                if size is not None:
                    sizes.append(int.from_bytes(unversioned(size, "sliver size"), "little"))
                    batch.delete(layout.sliver_family(shard, axis), blob_id)
                    batch.delete(layout.state_family(shard), layout.index_key(axis, blob_id))
        return sizes

    def delete(self, key: SliverKey) -> None:
        """Removes a sliver and its index entry."""
        batch = Batch()
        batch.delete(layout.sliver_family(key.shard, key.axis), key.blob_id)
        batch.delete(layout.state_family(key.shard), layout.index_key(key.axis, key.blob_id))
        self._kv.write(batch)

    def stored(self, blob_id: BlobId) -> list[SliverKey]:
        """Which slivers of a blob are stored here."""
        keys = (SliverKey(shard, axis, blob_id) for shard in self._statuses for axis in Axis)
        return [key for key in keys if self.has(key)]

    def check_families(self) -> None:
        """Raises `StoreError` when a shard lacks a family, which only damage can cause."""
        families = self._kv.families()
        for shard in self._statuses:
            for axis in Axis:
                if layout.sliver_family(shard, axis) not in families:
                    raise StoreError(
                        f"shard {shard} has lost its {axis.value} slivers' family: restore or wipe the data"
                    )
