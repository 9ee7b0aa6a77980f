"""How much is stored: counts beside the data, written in the same batches, so that a start reads no index.

    s<i>-state  03        slivers u64, bytes u64: of this shard; it goes when the shard is dropped
    node        "blobs"   u64: blobs whose metadata is stored

Life of a change: whoever adds slivers to a batch or deletes them puts the new tally of each shard into the same batch
(`ShardTally.into`), and takes it over when the batch is written (`taken`): a crash leaves both or neither, and a write
that fails changes nothing. A shard without a tally was written by an older release; it is counted once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.errors import BcsError
from walrus_codec.types import ShardIndex
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.forms import unversioned, versioned
from walrus_node.store.kv import Batch, KeyValueStore


@dataclass(frozen=True)
class Tally:
    """Slivers and their bytes; in a change both may be negative."""

    slivers: int = 0
    size: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.slivers + other.slivers, self.size + other.size)

    def __neg__(self) -> Tally:
        return Tally(-self.slivers, -self.size)

    def clamped(self) -> Tally:
        """No less than nothing: a count that damage has made too small must not stop deletion."""
        return Tally(max(0, self.slivers), max(0, self.size))

    @classmethod
    def of(cls, sizes: Iterable[int]) -> Tally:
        """Of slivers with these bytes."""
        found = tuple(sizes)
        return cls(len(found), sum(found))

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(bcs.u64(self.slivers) + bcs.u64(self.size))

    @classmethod
    def from_bytes(cls, value: bytes) -> Tally:
        """Reads the stored form; raises `StoreError`."""
        try:
            reader = bcs.Reader(unversioned(value, "count of slivers"))
            tally = cls(reader.u64(), reader.u64())
            reader.finish()
        except BcsError as error:
            raise StoreError(f"a stored count of slivers is damaged: {error}") from error
        return tally


def stored_tally(kv: KeyValueStore, shard: ShardIndex) -> Tally | None:
    """The tally of a shard as it is on disk; None when it was never written."""
    value = kv.get(layout.state_family(shard), layout.TALLY_KEY)
    return None if value is None else Tally.from_bytes(value)


def stored_blobs(kv: KeyValueStore) -> int | None:
    """The number of blobs with metadata as it is on disk; None when it was never written."""
    value = kv.get(layout.NODE, layout.BLOBS_KEY)
    return None if value is None else int.from_bytes(unversioned(value, "count of blobs"), "little")


def put_blobs(batch: Batch, count: int) -> None:
    """Adds the number of blobs with metadata to a batch."""
    batch.put(layout.NODE, layout.BLOBS_KEY, versioned(bcs.u64(count)))


class ShardTally:
    """The tallies of all stored shards; changed by the one writer, read by everybody."""

    def __init__(self) -> None:
        self._tallies: dict[ShardIndex, Tally] = {}
        self._total = Tally()

    @property
    def total(self) -> Tally:
        """Of all shards together."""
        return self._total

    def into(self, batch: Batch, changes: Iterable[tuple[ShardIndex, Tally]]) -> Mapping[ShardIndex, Tally]:
        """Adds the tallies that follow from the batch's changes to it; give them to `taken` when it is written."""
        sums: defaultdict[ShardIndex, Tally] = defaultdict(Tally)
        for shard, change in changes:
            sums[shard] += change
        after = {shard: (self._tallies.get(shard, Tally()) + change).clamped() for shard, change in sums.items()}
        for shard, tally in after.items():
            batch.put(layout.state_family(shard), layout.TALLY_KEY, tally.to_bytes())
        return after

    def taken(self, tallies: Mapping[ShardIndex, Tally]) -> None:
        """These tallies are on disk."""
        for shard, tally in tallies.items():
            self._total += tally + -self._tallies.get(shard, Tally())
            self._tallies[shard] = tally

    def dropped(self, shard: ShardIndex) -> Tally:
        """A shard is gone; returns what it had."""
        gone = self._tallies.pop(shard, Tally())
        self._total += -gone
        return gone
