"""The boundary to the database: named families of ordered byte keys, atomic batches, explicit durability.

    write(batch)   all of it or nothing, in order, survives a crash of the process (kill -9)
    sync()         everything written before also survives a crash of the machine

Two implementations: `rocks.RocksStore` on disk (opened anew by `reviving` when the disk has failed), and
`memory.MemoryStore` as the twin that tests use. Calls block; the
caller (`storage.Storage`) keeps them off the event loop and lets one thread write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NewType, Protocol

Family = NewType("Family", str)
"""Name of a family of keys."""


@dataclass
class Batch:
    """Writes that take effect together, in the order in which they were added; None as a value deletes the key."""

    operations: list[tuple[Family, bytes, bytes | None]] = field(default_factory=list)

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Sets a key."""
        self.operations.append((family, key, value))

    def delete(self, family: Family, key: bytes) -> None:
        """Removes a key; one that is absent is no error."""
        self.operations.append((family, key, None))

    def __len__(self) -> int:
        return len(self.operations)


class KeyValueStore(Protocol):
    """What the node needs of a database. All methods raise `StoreError` when the database fails."""

    @property
    def read_only(self) -> bool:
        """Whether every write fails."""
        ...

    @property
    def fault(self) -> str | None:
        """Why every write is refused at present, None when they are not."""
        ...

    def revive(self) -> bool:
        """Tries to take writes again after they were refused; True when it does."""
        ...

    def families(self) -> frozenset[Family]:
        """All families that exist."""
        ...

    def create_family(self, family: Family, *, bulky: bool) -> None:
        """Makes an empty family, durably; an existing one stays as it is.

        Args:
            family: its name.
            bulky: values are slivers: kept apart from their keys, so that compaction does not copy them.
        """
        ...

    def drop_family(self, family: Family) -> None:
        """Removes a family with all its keys; an absent one is no error."""
        ...

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Reads one value."""
        ...

    def scan(self, family: Family, *, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yields keys and values with start <= key < end in key order.

        In bulky families this reads every value from disk: keep an index elsewhere instead.
        """
        ...

    def write(self, batch: Batch) -> None:
        """Applies a batch atomically."""
        ...

    def sync(self) -> None:
        """Returns when all earlier writes are durable."""
        ...

    def reclaim(self, family: Family) -> None:
        """Gives the space of deleted and replaced values back to the file system; slow, everything else goes on."""
        ...

    def size(self) -> int:
        """Bytes that its files take."""
        ...

    def close(self) -> None:
        """Flushes and closes; may be called twice."""
        ...
