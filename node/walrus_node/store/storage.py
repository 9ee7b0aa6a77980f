"""The node's store as everybody else sees it: typed, asynchronous, one writer.

Each part is a module of its own over the same open database (`access`, which tells the life of a write): what the node
keeps about itself, what the chain says, how that is made anew from other nodes, what is stored for others, which shards
come and go, which blobs may lack something, what nobody keeps alive, what verification needs, what challenges leave
behind.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from walrus_codec.types import Axis
from walrus_node.store.chain_records import ChainRecords
from walrus_node.store.challenge_records import ChallengeRecords
from walrus_node.store.garbage import Collected, Garbage
from walrus_node.store.history import History
from walrus_node.store.kv import KeyValueStore
from walrus_node.store.moving import Moving
from walrus_node.store.reviving import RevivingStore, free_bytes
from walrus_node.store.shards import SliverKey
from walrus_node.store.slow import SlowStore
from walrus_node.store.suspects import Suspects
from walrus_node.store.verification import Verification


class Storage(Moving, ChainRecords, History, Suspects, Garbage, Verification, ChallengeRecords):
    """All that the node keeps. Make it with `open`; every method raises `StoreError` when the database fails."""

    @classmethod
    async def open(cls, path: Path, *, floor: int = 0, slow: Path | None = None) -> Storage:
        """Opens the database on disk; one on a disk that refuses writes is read until `revive` succeeds.

        Args:
            path: its directory.
            floor: bytes of disk that slivers must leave.
            slow: for tests: a file with the milliseconds that each write takes longer (`slow`).

        Raises:
            DiskError: the disk refuses writes, and there is nothing to be read either.
            StoreError: it cannot be opened, or was written by a newer release.
        """
        from walrus_node.store.rocks import RocksStore  # noqa: PLC0415 - tests with memory need no RocksDB

        def open_(read_only: bool) -> KeyValueStore:  # noqa: FBT001 - the type `reviving.Opener`
            return RocksStore(path, read_only=read_only)

        def opened() -> Storage:
            free = partial(free_bytes, path)
            kv = (
                RevivingStore(open_, free=free, floor=floor)
                if slow is None
                else SlowStore(open_, free=free, floor=floor, delay=slow)
            )
            storage = cls._taking_over(kv)
            if storage.fault is None:
                storage.drop_leftovers()
            return storage

        return await asyncio.to_thread(opened)

    @classmethod
    async def over(cls, kv: KeyValueStore) -> Storage:
        """Uses a database that is open already; closes it when that fails."""
        return await asyncio.to_thread(cls._taking_over, kv)

    @classmethod
    def _taking_over(cls, kv: KeyValueStore) -> Storage:
        try:
            return cls(kv)
        except BaseException:
            kv.close()
            raise


__all__ = ["Axis", "Collected", "SliverKey", "Storage"]
