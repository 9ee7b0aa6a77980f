"""The records that one checkpoint touches: read through from the store, changed in memory, written in one batch.

Life of a working set: made by the writer for one checkpoint, handed to the pure rules (`events.rules`) event by event,
turned into a batch together with the cursor, thrown away. If a rule raises, nothing was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_node.store import layout
from walrus_node.store.blob_records import BlobInfo, ObjectInfo, blob_info_to_bytes
from walrus_node.store.forms import versioned
from walrus_node.store.kv import Batch
from walrus_node.store.pools import PoolSet


class WorkingSet:
    """Blob and object records as the events so far leave them."""

    def __init__(
        self,
        *,
        epoch: Epoch,
        read_blob: Callable[[BlobId], BlobInfo | None],
        read_object: Callable[[ObjectId], ObjectInfo | None],
        read_expired: Callable[[Epoch], Iterable[ObjectId]],
        pools: PoolSet,
    ) -> None:
        """Starts with the records that the three functions read; `epoch` is the node's current one."""
        self.pools = pools
        self.first_epoch = self.epoch = epoch
        self._read_blob = read_blob
        self._read_object = read_object
        self._read_expired = read_expired
        self._blobs: dict[BlobId, BlobInfo | None] = {}
        self._objects: dict[ObjectId, ObjectInfo | None] = {}
        self._stored_ends: dict[ObjectId, Epoch | None] = {}
        self._garbage: dict[BlobId, Epoch] = {}
        self._suspects: set[BlobId] = set()

    def blob(self, blob_id: BlobId) -> BlobInfo | None:
        """The record of a blob id, None when no event named it."""
        if blob_id not in self._blobs:
            self._blobs[blob_id] = self._read_blob(blob_id)
        return self._blobs[blob_id]

    def set_blob(self, blob_id: BlobId, info: BlobInfo | None) -> None:
        """Changes the record of a blob id; None removes it."""
        self._blobs[blob_id] = info

    def object(self, object_id: ObjectId) -> ObjectInfo | None:
        """The record of an object, None when no event named it or its time is over."""
        if object_id not in self._objects:
            info = self._read_object(object_id)
            self._objects[object_id] = info
            self._stored_ends[object_id] = info.end_epoch if info else None
        return self._objects[object_id]

    def set_object(self, object_id: ObjectId, info: ObjectInfo | None) -> None:
        """Changes the record of an object; None removes it."""
        self.object(object_id)  # its stored end epoch must be known, so that the index of ends can follow
        self._objects[object_id] = info

    def expired(self, epoch: Epoch) -> list[ObjectId]:
        """Objects whose end epoch (exclusive) is `epoch` or before, those changed in this set included."""
        stored = set(self._read_expired(epoch))
        for object_id in stored:
            self.object(object_id)
        return sorted(
            object_id for object_id, info in self._objects.items() if info is not None and info.end_epoch <= epoch
        )

    def mark_garbage(self, blob_id: BlobId, epoch: Epoch) -> None:
        """Notes that nothing keeps the blob's data alive since `epoch`; the collector will look again."""
        self._garbage[blob_id] = epoch

    def suspect(self, blob_id: BlobId) -> None:
        """Notes that the blob, which was just certified, may lack something here."""
        self._suspects.add(blob_id)

    @property
    def touched(self) -> frozenset[BlobId]:
        """Blob ids whose records were read or changed."""
        return frozenset(self._blobs)

    @property
    def has_garbage(self) -> bool:
        """True when some blob was marked."""
        return bool(self._garbage)

    def write_to(self, batch: Batch) -> None:
        """Adds all changes to a batch."""
        for blob_id, blob in self._blobs.items():
            if blob is None:
                batch.delete(layout.BLOB_INFO, blob_id)
            else:
                batch.put(layout.BLOB_INFO, blob_id, blob_info_to_bytes(blob))
        for object_id, info in self._objects.items():
            key = layout.object_key(object_id)
            before = self._stored_ends[object_id]
            after = info.end_epoch if info else None
            if info is None:
                batch.delete(layout.OBJECT_INFO, key)
            else:
                batch.put(layout.OBJECT_INFO, key, info.to_bytes())
            if before is not None and before != after:
                batch.delete(layout.EXPIRY, layout.expiry_key(before, object_id))
            if after is not None and before != after:
                batch.put(layout.EXPIRY, layout.expiry_key(after, object_id), versioned(b""))
        self.pools.write_to(batch)
        for blob_id, epoch in self._garbage.items():
            batch.put(layout.GARBAGE, blob_id, versioned(bcs.u32(epoch)))
        for blob_id in sorted(self._suspects):
            batch.put(layout.SUSPECTS, blob_id, versioned(b""))
