"""The tables of storage pools: when each pool ends, the blobs in it, and which blob objects belong to which pool.

A pooled blob has no end of its own, its pool has; so an extension of a pool changes one record, however many blobs it
holds. Life of a change: `PoolSet` is the pools' part of a working set (`working.WorkingSet`), read through from
`PoolTable`, changed in memory, and written in the batch of the checkpoint. When a pool ends, its record goes and with
it all records of its blobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from walrus_codec import bcs
from walrus_codec.types import Epoch, ObjectId
from walrus_node.store import layout
from walrus_node.store.blob_records import PooledInfo
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, KeyValueStore

_T = TypeVar("_T")


class PoolTable:
    """Pools and pooled blob objects; blocking."""

    def __init__(self, kv: KeyValueStore) -> None:
        self._kv = kv

    def end(self, pool_id: ObjectId) -> Epoch | None:
        """End epoch of a pool, exclusive; None for one that no event named, or that is over."""
        value = self._kv.get(layout.POOLS, layout.object_key(pool_id))
        return None if value is None else _epoch(value)

    def ended(self, epoch: Epoch) -> Iterator[ObjectId]:
        """Pools whose end epoch is `epoch` or before; reads the whole table, which has one short entry per pool."""
        for key, value in self._kv.scan(layout.POOLS):
            if _epoch(value) <= epoch:
                yield layout.object_of_key(key)

    def blob(self, object_id: ObjectId) -> PooledInfo | None:
        """What the events say about one pooled blob object."""
        value = self._kv.get(layout.POOLED_INFO, layout.object_key(object_id))
        return None if value is None else PooledInfo.from_bytes(value)

    def members(self, pool_id: ObjectId) -> Iterator[ObjectId]:
        """The blob objects in a pool."""
        start, end = layout.members_range(pool_id)
        for key, _ in self._kv.scan(layout.POOL_MEMBERS, start=start, end=end):
            yield layout.object_of_key(key[len(start) :])


class PoolSet:
    """Pools and pooled blobs as the events of one checkpoint so far leave them."""

    def __init__(self, table: PoolTable) -> None:
        self._table = table
        self._ends: dict[ObjectId, Epoch | None] = {}
        self._blobs: dict[ObjectId, PooledInfo | None] = {}
        self._gone: dict[ObjectId, ObjectId] = {}

    def end(self, pool_id: ObjectId) -> Epoch | None:
        """End epoch of a living pool, or None."""
        return _through(self._ends, pool_id, self._table.end)

    def set_end(self, pool_id: ObjectId, end: Epoch | None) -> None:
        """Changes a pool's end; None removes the pool."""
        self._ends[pool_id] = end

    def ended(self, epoch: Epoch) -> list[ObjectId]:
        """Living pools whose end epoch (exclusive) is `epoch` or before, those changed in this set included."""
        for pool_id in list(self._table.ended(epoch)):
            self.end(pool_id)
        return sorted(pool_id for pool_id, end in self._ends.items() if end is not None and end <= epoch)

    def blob(self, object_id: ObjectId) -> PooledInfo | None:
        """The record of a pooled blob object, or None."""
        return _through(self._blobs, object_id, self._table.blob)

    def put(self, object_id: ObjectId, info: PooledInfo) -> None:
        """Sets the record of a pooled blob object."""
        self._blobs[object_id] = info

    def remove(self, object_id: ObjectId, pool_id: ObjectId) -> None:
        """Removes the record of a pooled blob object of this pool."""
        self._blobs[object_id] = None
        self._gone[object_id] = pool_id

    def members(self, pool_id: ObjectId) -> list[ObjectId]:
        """The blob objects in a pool, those changed in this set included."""
        for object_id in list(self._table.members(pool_id)):
            self.blob(object_id)
        return sorted(
            object_id for object_id, info in self._blobs.items() if info is not None and info.pool_id == pool_id
        )

    def write_to(self, batch: Batch) -> None:
        """Adds all changes to a batch."""
        for pool_id, end in self._ends.items():
            if end is None:
                batch.delete(layout.POOLS, layout.object_key(pool_id))
            else:
                batch.put(layout.POOLS, layout.object_key(pool_id), versioned(bcs.u32(end)))
        for object_id, info in self._blobs.items():
            if info is not None:
                batch.put(layout.POOLED_INFO, layout.object_key(object_id), info.to_bytes())
                batch.put(layout.POOL_MEMBERS, layout.member_key(info.pool_id, object_id), versioned(b""))
        for object_id, pool_id in self._gone.items():
            batch.delete(layout.POOLED_INFO, layout.object_key(object_id))
            batch.delete(layout.POOL_MEMBERS, layout.member_key(pool_id, object_id))


def _through(cache: dict[ObjectId, _T | None], key: ObjectId, read: Callable[[ObjectId], _T | None]) -> _T | None:
    if key not in cache:
        cache[key] = read(key)
    return cache[key]


def _epoch(value: bytes) -> Epoch:
    return Epoch(int.from_bytes(unversioned(value, "storage pool"), "little"))
