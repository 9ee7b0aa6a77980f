"""What the events have said, as a list for other nodes; and the tables made anew from such lists.

A node whose chain has pruned the events that it needs asks the others for what those events left: storage pools, blob
objects, pooled blob objects, and invalid blob ids (`recovery.history`). Everything else about blobs follows from these. The
list is read in steps; it is no picture of one moment, each record is of its own. The tables are replaced in one batch, so
a crash leaves either the old ones with the old cursor or the new ones with the new.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from walrus_client.records import RawRecord, RecordKey, RecordKind
from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_node.errors import DamagedError
from walrus_node.store import layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.blob_records import (
    BlobInfo,
    InvalidBlob,
    ObjectInfo,
    PooledInfo,
    ValidBlob,
    blob_info_from_bytes,
    blob_info_to_bytes,
)
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, Family
from walrus_node.store.records import Cursor, NodeState, NodeStatus

Record = Epoch | ObjectInfo | PooledInfo | InvalidBlob
"""A storage pool's end, a blob object, a pooled blob object, an invalid blob id."""

_FAMILIES = {
    RecordKind.POOL: layout.POOLS,
    RecordKind.OBJECT: layout.OBJECT_INFO,
    RecordKind.POOLED: layout.POOLED_INFO,
    RecordKind.INVALID: layout.BLOB_INFO,
}
_REPLACED = (
    layout.BLOB_INFO,
    layout.OBJECT_INFO,
    layout.EXPIRY,
    layout.POOLS,
    layout.POOLED_INFO,
    layout.POOL_MEMBERS,
    layout.GARBAGE,
)


@dataclass(frozen=True)
class Records:
    """All that the chain's events have left, as far as it lives.

    Attributes:
        pools: end epoch of each storage pool.
        objects: Blob objects, those that were deleted before their end included.
        pooled: blob objects in storage pools.
        blobs: what follows from these for each blob id, and the invalid ones.
    """

    pools: Mapping[ObjectId, Epoch]
    objects: Mapping[ObjectId, ObjectInfo]
    pooled: Mapping[ObjectId, PooledInfo]
    blobs: Mapping[BlobId, BlobInfo]


def read_record(raw: RawRecord) -> Record:
    """Reads a record; raises `StoreError`, `DamagedError`."""
    match raw.key.kind:
        case RecordKind.POOL:
            body = unversioned(raw.value, "storage pool")
            if len(body) != 4:
                raise DamagedError("a storage pool's end epoch has 4 bytes")
            return Epoch(int.from_bytes(body, "little"))
        case RecordKind.OBJECT:
            return ObjectInfo.from_bytes(raw.value)
        case RecordKind.POOLED:
            return PooledInfo.from_bytes(raw.value)
        case RecordKind.INVALID:
            info = blob_info_from_bytes(raw.value)
            if not isinstance(info, InvalidBlob):
                raise DamagedError("the record of an invalid blob says that it is valid")
            return info


class History(StoreAccess):
    """The part of the store that gives and takes whole histories."""

    async def records_after(self, after: RecordKey | None, limit: int) -> list[RawRecord]:
        """At most `limit` records behind one, in order; fewer only at the end."""
        return await self._read(lambda: list(itertools.islice(self._records(after), limit)))

    async def replay_until(self) -> int:
        """The last checkpoint whose events the records may show already; -1 when they follow from ours alone."""
        value = await self._read(self._kv.get, layout.NODE, layout.REPLAY_KEY)
        return -1 if value is None else int.from_bytes(unversioned(value, "replay"), "little")

    async def replace_history(self, records: Records, cursor: Cursor, *, replay_until: int) -> None:
        """Makes the tables anew, durably, and with them cursor and node state: the epoch is to be dealt with again.

        Blobs that nothing keeps alive any more are queued for the collector, all others for a look whether they are whole.
        """

        def replace() -> None:
            batch = Batch()
            for family in _REPLACED:
                for key, _ in self._kv.scan(family):
                    batch.delete(family, key)
            _put_all(batch, records)
            for blob_id in self._blobs.with_metadata(b""):
                info = records.blobs.get(blob_id)
                if not isinstance(info, ValidBlob) or not info.is_registered(cursor.epoch):
                    batch.put(layout.GARBAGE, blob_id, versioned(bcs.u32(cursor.epoch)))
            batch.put(layout.EVENTS, layout.CURSOR_KEY, cursor.to_bytes())
            batch.delete(layout.EVENTS, layout.EPOCH_START_KEY)
            state = NodeState(NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY, Epoch(max(0, cursor.epoch - 1)))
            batch.put(layout.NODE, layout.STATE_KEY, state.to_bytes())
            batch.put(layout.NODE, layout.REPLAY_KEY, versioned(bcs.u64(replay_until)))
            self._shards.ask_for_search(batch)
            self._kv.write(batch)
            self._kv.sync()

        await self._write(replace)

    def _records(self, after: RecordKey | None) -> Iterator[RawRecord]:
        for kind, family in _FAMILIES.items():
            if after is not None and kind < after.kind:
                continue
            start = after.id + b"\x00" if after is not None and kind is after.kind else b""
            for key, value in self._kv.scan(family, start=start):
                if kind is RecordKind.INVALID and not _is_invalid(value):
                    continue
                yield RawRecord(RecordKey(kind, key), value)


def _is_invalid(value: bytes) -> bool:
    try:
        return isinstance(blob_info_from_bytes(value), InvalidBlob)
    except DamagedError:
        return False


def _put_all(batch: Batch, records: Records) -> None:
    def put(family: Family, entries: Iterable[tuple[bytes, bytes]]) -> None:
        for key, value in entries:
            batch.put(family, key, value)

    object_key = layout.object_key
    put(layout.POOLS, ((object_key(pool), versioned(bcs.u32(end))) for pool, end in records.pools.items()))
    put(layout.OBJECT_INFO, ((object_key(each), info.to_bytes()) for each, info in records.objects.items()))
    put(
        layout.EXPIRY,
        ((layout.expiry_key(info.end_epoch, each), versioned(b"")) for each, info in records.objects.items()),
    )
    put(layout.POOLED_INFO, ((object_key(each), info.to_bytes()) for each, info in records.pooled.items()))
    put(
        layout.POOL_MEMBERS,
        ((layout.member_key(info.pool_id, each), versioned(b"")) for each, info in records.pooled.items()),
    )
    put(layout.BLOB_INFO, ((blob_id, blob_info_to_bytes(info)) for blob_id, info in records.blobs.items()))
