"""The database's in-memory twin, with the same promises: `crashed` shows what a machine crash would leave."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from walrus_node.errors import StoreError
from walrus_node.store.kv import Batch, Family


class MemoryStore:
    """A `KeyValueStore` in dictionaries."""

    def __init__(self) -> None:
        self._live: dict[Family, dict[bytes, bytes]] = {}
        self._durable: dict[Family, dict[bytes, bytes]] = {}
        self._closed = False

    @property
    def read_only(self) -> bool:
        """Never."""
        return False

    @property
    def fault(self) -> str | None:
        """None: memory does not fail."""
        return None

    def revive(self) -> bool:
        """True: memory does not fail."""
        return True

    def families(self) -> frozenset[Family]:
        """All families that exist."""
        return frozenset(self._live)

    def create_family(self, family: Family, *, bulky: bool) -> None:  # noqa: ARG002 - all values are equal here
        """Makes an empty family, durably."""
        self._live.setdefault(family, {})
        self._durable.setdefault(family, {})

    def drop_family(self, family: Family) -> None:
        """Removes a family with all its keys."""
        self._live.pop(family, None)
        self._durable.pop(family, None)

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Reads one value."""
        return self._family(family).get(key)

    def scan(self, family: Family, *, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Yields keys and values with start <= key < end in key order."""
        table = dict(self._family(family))
        keys = sorted(table)
        for key in keys[bisect_left(keys, start) :]:
            if end is not None and key >= end:
                return
            yield key, table[key]

    def write(self, batch: Batch) -> None:
        """Applies a batch atomically."""
        for family, _key, _value in batch.operations:
            self._family(family)
        for family, key, value in batch.operations:
            if value is None:
                self._live[family].pop(key, None)
            else:
                self._live[family][key] = bytes(value)

    def sync(self) -> None:
        """Makes all earlier writes survive `crashed`."""
        self._durable = {family: dict(table) for family, table in self._live.items()}

    def reclaim(self, family: Family) -> None:
        """Does nothing: what is deleted takes no space."""
        self._family(family)

    def size(self) -> int:
        """Bytes of all keys and values."""
        tables = [dict(table) for table in list(self._live.values())]
        return sum(len(key) + len(value) for table in tables for key, value in table.items())

    def close(self) -> None:
        """Flushes and closes."""
        if not self._closed:
            self.sync()
        self._closed = True

    def crashed(self) -> MemoryStore:
        """The store as it would be found after the machine lost power now: without unsynced writes."""
        return self._copy_of(self._durable)

    def killed(self) -> MemoryStore:
        """The store as it would be found after the process was killed now: every whole batch is there."""
        return self._copy_of(self._live)

    @staticmethod
    def _copy_of(tables: dict[Family, dict[bytes, bytes]]) -> MemoryStore:
        other = MemoryStore()
        other._live = {family: dict(table) for family, table in tables.items()}
        other.sync()
        return other

    def _family(self, family: Family) -> dict[bytes, bytes]:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return self._live[family]
        except KeyError:
            raise StoreError(f"there is no column family {family!r}") from None
