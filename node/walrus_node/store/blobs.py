"""The tables about blobs: what the chain says about them, their metadata, and the queue of those nobody pays for.

Blocking functions over a `KeyValueStore`; `storage.Storage` calls them from its threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_node.store import layout
from walrus_node.store.blob_records import BlobInfo, ObjectInfo, ValidBlob, blob_info_from_bytes, certified_since
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.pools import PoolSet, PoolTable
from walrus_node.store.records import Cursor
from walrus_node.store.tallies import put_blobs, stored_blobs
from walrus_node.store.working import WorkingSet


class BlobTable:
    """Records by blob id and object id, and the event cursor that they are written with."""

    def __init__(self, kv: KeyValueStore) -> None:
        self._kv = kv
        self.pools = PoolTable(kv)
        self.count = 0
        self.read_count()

    def read_count(self) -> None:
        """Takes the number of blobs with metadata that is on disk; an older release has none, then they are counted."""
        found = stored_blobs(self._kv)
        self.count = self.count_metadata() if found is None else found

    def is_uncounted(self) -> bool:
        """Whether the number of blobs with metadata is not on disk."""
        return stored_blobs(self._kv) is None

    def recount(self) -> int:
        """Counts the metadata anew and corrects their number, on disk too; returns 1 when it was absent or wrong."""
        before, counted, batch = stored_blobs(self._kv), self.count_metadata(), Batch()
        put_blobs(batch, counted)
        self._kv.write(batch)
        self.count = counted
        return int(before != counted)

    def cursor(self) -> Cursor | None:
        """The last applied checkpoint, None before the first."""
        value = self._kv.get(layout.EVENTS, layout.CURSOR_KEY)
        return None if value is None else Cursor.from_bytes(value)

    def epoch_start_ms(self) -> int | None:
        """Chain time at which the current epoch began, None when the store is older than this record."""
        value = self._kv.get(layout.EVENTS, layout.EPOCH_START_KEY)
        return None if value is None else int.from_bytes(unversioned(value, "epoch start"), "little")

    def info(self, blob_id: BlobId) -> BlobInfo | None:
        """What the events say about a blob id."""
        value = self._kv.get(layout.BLOB_INFO, blob_id)
        return None if value is None else blob_info_from_bytes(value)

    def object(self, object_id: ObjectId) -> ObjectInfo | None:
        """What the events say about one Blob object."""
        value = self._kv.get(layout.OBJECT_INFO, layout.object_key(object_id))
        return None if value is None else ObjectInfo.from_bytes(value)

    def expired(self, epoch: Epoch) -> Iterator[ObjectId]:
        """Objects whose end epoch is `epoch` or before."""
        for key, _ in self._kv.scan(layout.EXPIRY, end=layout.expired_end(epoch)):
            yield layout.object_of_key(key[4:])

    def metadata(self, blob_id: BlobId) -> bytes | None:
        """BCS BlobMetadata, None when it is not stored."""
        value = self._kv.get(layout.METADATA, blob_id)
        return None if value is None else bytes(unversioned(value, "metadata"))

    def has_metadata(self, blob_id: BlobId) -> bool:
        """Whether metadata is stored, be it readable or not."""
        return self._kv.get(layout.METADATA, blob_id) is not None

    def with_metadata(self, after: bytes) -> Iterator[BlobId]:
        """Blobs whose metadata is stored, from the id behind `after` on, in order."""
        for key, _ in self._kv.scan(layout.METADATA, start=after + b"\x00" if after else b""):
            yield BlobId(key)

    def take_out_metadata(self, blob_id: BlobId) -> None:
        """Removes metadata that have rotted."""
        batch = Batch()
        batch.delete(layout.METADATA, blob_id)
        batch.put(layout.SUSPECTS, blob_id, versioned(b""))
        put_blobs(batch, self.count - 1)
        self._kv.write(batch)
        self.count -= 1

    def count_metadata(self) -> int:
        """Number of blobs whose metadata is stored; reads the whole table."""
        return sum(1 for _ in self._kv.scan(layout.METADATA))

    def put_metadata(self, blob_id: BlobId, metadata: bytes) -> None:
        """Stores BCS BlobMetadata that is not there yet; those of a blob that nothing keeps alive (any more) are queued for the collector.

        So whatever is stored is either registered or in the queue, also when an upload and the blob's end cross.
        """
        batch = Batch()
        cursor = self.cursor()
        epoch = cursor.epoch if cursor else Epoch(0)
        info = self.info(blob_id)
        if not isinstance(info, ValidBlob) or not info.is_registered(epoch):
            batch.put(layout.GARBAGE, blob_id, versioned(bcs.u32(epoch)))
        batch.put(layout.METADATA, blob_id, versioned(metadata))
        put_blobs(batch, self.count + 1)
        self._kv.write(batch)
        self.count += 1

    def certified(self, epoch: Epoch, after: bytes = b"") -> Iterator[BlobId]:
        """Blobs that are certified in `epoch`, from the id behind `after` on, in order of their ids."""
        for key, value in self._kv.scan(layout.BLOB_INFO, start=after + b"\x00" if after else b""):
            info = blob_info_from_bytes(value)
            if isinstance(info, ValidBlob) and info.is_certified(epoch):
                yield BlobId(key)

    def certified_since(self, epoch: Epoch) -> Iterator[tuple[BlobId, Epoch]]:
        """Blobs that are certified in `epoch` and when they first were, in order of their ids; made for millions."""
        for key, value in self._kv.scan(layout.BLOB_INFO):
            if (since := certified_since(value, epoch)) is not None:
                yield BlobId(key), since

    def certified_after(self, epoch: Epoch, after: bytes, limit: int) -> list[BlobId]:
        """Blobs that are certified in `epoch`, at most `limit`, from the id behind `after` on."""
        return list(itertools.islice(self.certified(epoch, after), limit))

    def garbage(self) -> list[BlobId]:
        """Blobs that the collector has to look at, in order of their ids."""
        return [BlobId(key) for key, _ in self._kv.scan(layout.GARBAGE)]

    def working_set(self) -> WorkingSet:
        """An empty working set over the stored records."""
        cursor = self.cursor()
        return WorkingSet(
            epoch=cursor.epoch if cursor else Epoch(0),
            read_blob=self.info,
            read_object=self.object,
            read_expired=self.expired,
            pools=PoolSet(self.pools),
        )

    def commit(self, working: WorkingSet, cursor: Cursor) -> None:
        """Writes the effects of one checkpoint and the cursor behind it, both or neither."""
        batch = Batch()
        working.write_to(batch)
        if working.epoch != working.first_epoch:
            batch.put(layout.EVENTS, layout.EPOCH_START_KEY, versioned(bcs.u64(cursor.timestamp_ms)))
        batch.put(layout.EVENTS, layout.CURSOR_KEY, cursor.to_bytes())
        self._kv.write(batch)
