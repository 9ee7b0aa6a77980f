"""The tables of the shards that are stored here: slivers, their index, and the status of each shard.

A shard exists here exactly when its state family does: that one is created last, after the families of its slivers, and
dropped first. A crash in between leaves families of slivers that belong to no shard; they are dropped at the next start.
Blocking functions over a `KeyValueStore`; `storage.Storage` calls the writing ones from its one writer thread. Readers may
meet a shard that is being dropped: to them it is not stored any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from walrus_codec import bcs
from walrus_codec.types import Axis, BlobId, ShardIndex
from walrus_node.errors import DamagedError, StoreError
from walrus_node.store import layout
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, Family, KeyValueStore
from walrus_node.store.records import ShardStatus, TransferState, shard_status_from_bytes, shard_status_to_bytes
from walrus_node.store.tallies import ShardTally, Tally, stored_tally


@dataclass(frozen=True)
class SliverKey:
    """One sliver's place in the store."""

    shard: ShardIndex
    axis: Axis
    blob_id: BlobId


class ShardTable:
    """Slivers by shard, axis and blob id."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Reads the statuses and tallies of all stored shards."""
        self._kv = kv
        self._tally = ShardTally()
        # Replaced as a whole by the writer, never changed, because readers go through it in other threads.
        self._statuses: dict[ShardIndex, ShardStatus] = {}
        for family in kv.families():
            shard = layout.shard_of_state_family(family)
            if shard is None:
                continue
            value = kv.get(family, layout.SHARD_STATUS_KEY)
            # No status yet: the process died between the last family and the first status. The shard is empty.
            self._statuses[shard] = ShardStatus.NONE if value is None else shard_status_from_bytes(value)
        self.read_tallies()

    @property
    def total(self) -> Tally:
        """How much all shards hold."""
        return self._tally.total

    def read_tallies(self) -> None:
        """Takes the tallies that are on disk; a shard of an older release has none and is counted."""
        tally = ShardTally()
        for shard in self._statuses:
            found = stored_tally(self._kv, shard)
            tally.taken({shard: self.count(shard) if found is None else found})
        self._tally = tally

    def is_uncounted(self) -> bool:
        """Whether a shard has no tally on disk and is not empty: an older release wrote it."""
        return any(stored_tally(self._kv, shard) is None for shard in self._statuses) and bool(self.total.slivers)

    def recount(self) -> int:
        """Counts all shards anew and corrects their tallies, on disk too; returns how many were absent or wrong."""
        counted = {shard: self.count(shard) for shard in self._statuses}
        wrong = {shard: tally for shard, tally in counted.items() if stored_tally(self._kv, shard) != tally}
        batch = Batch()
        for shard, tally in wrong.items():
            batch.put(layout.state_family(shard), layout.TALLY_KEY, tally.to_bytes())
        self._kv.write(batch)
        self._tally.taken(counted)
        return len(wrong)

    def count(self, shard: ShardIndex) -> Tally:
        """What a shard holds by its index, which is read whole."""
        return Tally.of(size for axis in Axis for _blob_id, size in self.blobs(shard, axis))

    def write(self, batch: Batch, changes: Iterable[tuple[ShardIndex, Tally]]) -> None:
        """Writes a batch that adds slivers to shards or takes them away by so much, and the tallies with it."""
        after = self._tally.into(batch, changes)
        self._kv.write(batch)
        self._tally.taken(after)

    def drop_leftovers(self) -> None:
        """Drops families of slivers that belong to no shard, because the process died while it made or dropped one."""
        for family in sorted(self._kv.families()):
            shard = layout.shard_of_sliver_family(family)
            if shard is not None and shard not in self._statuses:
                self._kv.drop_family(family)

    @property
    def statuses(self) -> MappingProxyType[ShardIndex, ShardStatus]:
        """Status of every stored shard, as it is now: a change makes a new mapping."""
        return MappingProxyType(self._statuses)

    def create(self, shard: ShardIndex, status: ShardStatus) -> None:
        """Makes the families of a shard, or completes them, and sets its status."""
        self.make(shard)
        self.set_statuses({shard: status}, Batch())

    def make(self, shard: ShardIndex) -> None:
        """Makes the families of a shard, or completes them; a new shard has status None."""
        for axis in Axis:
            self._kv.create_family(layout.sliver_family(shard, axis), bulky=True)
        self._kv.create_family(layout.state_family(shard), bulky=False)
        self._statuses = {shard: ShardStatus.NONE} | self._statuses

    def set_statuses(
        self, changes: Mapping[ShardIndex, ShardStatus], batch: Batch, *, looked_through: bool = False
    ) -> None:
        """Changes the statuses of stored shards together with whatever else the batch holds.

        A shard whose transfer begins forgets how far an earlier one was. With `looked_through` all that the shards lack
        is suspected already.
        """
        settle = (shard for shard, status in changes.items() if status.settled and not self.settled(shard))
        if not looked_through and any(True for _ in settle):
            self.ask_for_search(batch)
        for shard, status in changes.items():
            family = layout.state_family(shard)
            batch.put(family, layout.SHARD_STATUS_KEY, shard_status_to_bytes(status))
            if status is ShardStatus.ACTIVE_SYNC and self._statuses.get(shard) is not status:
                batch.delete(family, layout.TRANSFER_KEY)
        self._kv.write(batch)
        self._statuses = {**self._statuses, **changes}

    def ask_for_search(self, batch: Batch) -> None:
        """Notes that every certified blob may lack something: `suspects` searches through all of them."""
        asked = self._kv.get(layout.NODE, layout.SEARCH_KEY)
        number = 1 if asked is None else 1 + int.from_bytes(unversioned(asked, "search"), "little")
        batch.put(layout.NODE, layout.SEARCH_KEY, versioned(bcs.u64(number)))

    def drop(self, shard: ShardIndex) -> Tally:
        """Removes a shard with all its slivers; returns how much it held."""
        # First for the readers, then on disk, and the state family before the slivers.
        self._statuses = {other: status for other, status in self._statuses.items() if other != shard}
        self._kv.drop_family(layout.state_family(shard))
        gone = self._tally.dropped(shard)
        for axis in Axis:
            self._kv.drop_family(layout.sliver_family(shard, axis))
        return gone

    def transfer(self, shard: ShardIndex) -> TransferState:
        """How far the transfer of a stored shard is."""
        value = self._kv.get(layout.state_family(shard), layout.TRANSFER_KEY)
        return TransferState() if value is None else TransferState.from_bytes(value)

    def writable(self, shard: ShardIndex) -> bool:
        """True when the shard is stored here and takes new slivers."""
        return self._statuses.get(shard, ShardStatus.NONE).writable

    def settled(self, shard: ShardIndex) -> bool:
        """True when the shard is stored here and no transfer is to bring what it lacks."""
        return self._statuses.get(shard, ShardStatus.NONE).settled

    def put(self, key: SliverKey, sliver: bytes) -> None:
        """Stores the BCS form of a sliver with its index entry; the shard must take slivers, and not have this one."""
        self.put_all({key: sliver})

    def put_all(self, slivers: Mapping[SliverKey, bytes]) -> None:
        """Stores several slivers as `put` does, all or none of them."""
        if not slivers:
            return
        batch = Batch()
        for key, sliver in slivers.items():
            self.put_into(batch, key, sliver)
        self.write(batch, [(key.shard, Tally(1, len(sliver))) for key, sliver in slivers.items()])

    @staticmethod
    def put_into(batch: Batch, key: SliverKey, sliver: bytes) -> None:
        """Adds a sliver and its index entry to a batch."""
        batch.put(layout.sliver_family(key.shard, key.axis), key.blob_id, versioned(sliver))
        size = versioned(bcs.u32(len(sliver)))
        batch.put(layout.state_family(key.shard), layout.index_key(key.axis, key.blob_id), size)

    def get(self, key: SliverKey) -> memoryview | None:
        """The BCS form of a sliver, None when it is not stored."""
        value = self._read(key.shard, layout.sliver_family(key.shard, key.axis), key.blob_id)
        return None if value is None else unversioned(value, "sliver")

    def has(self, key: SliverKey) -> bool:
        """Whether a sliver is stored, without reading it."""
        index = layout.index_key(key.axis, key.blob_id)
        return self._read(key.shard, layout.state_family(key.shard), index) is not None

    def missing(self, blob_id: BlobId, shards: Iterable[ShardIndex]) -> list[SliverKey]:
        """Which slivers of a blob are lacking in the given shards."""
        keys = (SliverKey(shard, axis, blob_id) for shard in shards for axis in Axis)
        return [key for key in keys if not self.has(key)]

    def blobs(self, shard: ShardIndex, axis: Axis, after: bytes = b"") -> Iterator[tuple[BlobId, int]]:
        """Blob ids and sliver sizes of one axis of a shard, from the id behind `after` on, in order of the ids."""
        return self.blobs_from(shard, axis, after + b"\x00" if after else b"")

    def blobs_from(self, shard: ShardIndex, axis: Axis, first: bytes) -> Iterator[tuple[BlobId, int]]:
        """Blob ids and sliver sizes of one axis of a shard, from `first` on, in order of the ids."""
        if shard not in self._statuses:
            return
        start, end = layout.index_range(axis)
        try:
            for key, value in self._kv.scan(layout.state_family(shard), start=start + first, end=end):
                yield BlobId(key[len(start) :]), int.from_bytes(unversioned(value, "sliver size"), "little")
        except DamagedError:
            raise
        except StoreError:
            if shard in self._statuses:
                raise

    def size(self, key: SliverKey) -> int:
        """Bytes of a stored sliver, 0 when it is not stored."""
        value = self._kv.get(layout.state_family(key.shard), layout.index_key(key.axis, key.blob_id))
        return 0 if value is None else int.from_bytes(unversioned(value, "sliver size"), "little")

    def delete_into(self, batch: Batch, blob_id: BlobId) -> list[tuple[ShardIndex, int]]:
        """Adds the deletion of a blob's slivers in all shards to a batch; returns their shards and sizes in bytes."""
        sizes = []
        for shard in self._statuses:
            for axis in Axis:
                size = self._kv.get(layout.state_family(shard), layout.index_key(axis, blob_id))
                if size is not None:
                    sizes.append((shard, int.from_bytes(unversioned(size, "sliver size"), "little")))
                    batch.delete(layout.sliver_family(shard, axis), blob_id)
                    batch.delete(layout.state_family(shard), layout.index_key(axis, blob_id))
        return sizes

    def take_out(self, key: SliverKey) -> None:
        """Removes a sliver that has rotted, and its index entry."""
        batch = Batch()
        batch.delete(layout.sliver_family(key.shard, key.axis), key.blob_id)
        batch.delete(layout.state_family(key.shard), layout.index_key(key.axis, key.blob_id))
        batch.put(layout.SUSPECTS, key.blob_id, versioned(b""))
        self.write(batch, [(key.shard, Tally(-1, -self.size(key)))])

    def stored(self, blob_id: BlobId) -> list[SliverKey]:
        """Which slivers of a blob are stored here."""
        keys = (SliverKey(shard, axis, blob_id) for shard in self._statuses for axis in Axis)
        return [key for key in keys if self.has(key)]

    def _read(self, shard: ShardIndex, family: Family, key: bytes) -> bytes | None:
        if shard not in self._statuses:
            return None
        try:
            return self._kv.get(family, key)
        except DamagedError:
            raise
        except StoreError:
            if shard in self._statuses:
                raise
            return None  # it was dropped between the look and the read

    def check_families(self) -> None:
        """Raises `StoreError` when a shard lacks a family, which only damage can cause."""
        families = self._kv.families()
        for shard in self._statuses:
            for axis in Axis:
                if layout.sliver_family(shard, axis) not in families:
                    raise StoreError(
                        f"shard {shard} has lost its {axis.value} slivers' family: restore or wipe the data"
                    )
