"""Examines one blob in the store: its metadata, then its slivers in small batches off the event loop.

Both users share it: the background round (`scrubber`) and the check of a stopped node's folder (`offline`). Nothing is
changed here. What cannot be read because the database itself finds it damaged is rotten like any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from walrus_client.compute import Compute
from walrus_codec.errors import CodecError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.types import BlobId, ShardIndex
from walrus_node.errors import DamagedError
from walrus_node.scrub import rules
from walrus_node.scrub.rules import Fault, Kind
from walrus_node.store.storage import SliverKey, Storage

_BATCH = 4 << 20
"""Bytes that are read and verified together: enough to share set-up, little enough that nobody waits for long."""

_NOT_THERE = "the index names it, but it is not there"


@dataclass
class Counts:
    """What was verified."""

    blobs: int = 0
    slivers: int = 0
    size: int = 0


async def examine(
    storage: Storage,
    compute: Compute,
    blob_id: BlobId,
    *,
    shards: Collection[ShardIndex],
    counts: Counts,
    spent: Callable[[int], Awaitable[None]],
) -> AsyncIterator[Fault]:
    """Yields what is wrong with a blob in these shards.

    Args:
        storage: the store.
        compute: verifies off the event loop.
        blob_id: the blob.
        shards: whose slivers to look at.
        counts: is added to.
        spent: is awaited after each batch with its bytes; may wait.
    """
    keys = [key for key in await storage.stored(blob_id) if key.shard in shards]
    counts.blobs += 1
    stored = None
    try:
        stored = await storage.metadata(blob_id)
        if stored is None:
            if keys:
                yield Fault(Kind.LACKING, blob_id, None, "there are slivers, but no metadata to verify them by")
            return
        metadata = await compute.run(rules.good_metadata, blob_id, stored)
    except (DamagedError, CodecError) as error:
        yield Fault(Kind.ROTTEN, blob_id, None, str(error), stored)
        return
    counts.size += len(stored)
    held, size = {}, len(stored)
    for key in keys:
        sliver = await _read(storage, key)
        if isinstance(sliver, Fault):
            yield sliver
            continue
        held[key] = sliver
        size += len(sliver)
        if size >= _BATCH:
            for fault in await _verify(compute, metadata, held, counts):
                yield fault
            await spent(size)
            held, size = {}, 0
    for fault in await _verify(compute, metadata, held, counts):
        yield fault
    await spent(size)


async def _read(storage: Storage, key: SliverKey) -> bytes | Fault:
    try:
        found = await storage.sliver(key)
    except DamagedError as error:
        return Fault(Kind.ROTTEN, key.blob_id, key, str(error))
    return Fault(Kind.ROTTEN, key.blob_id, key, _NOT_THERE) if found is None else bytes(found)


async def _verify(
    compute: Compute, metadata: BlobMetadata, held: dict[SliverKey, bytes], counts: Counts
) -> Sequence[Fault]:
    counts.slivers += len(held)
    counts.size += sum(map(len, held.values()))
    wrong = await compute.run(rules.rotten_slivers, metadata, held)
    return [Fault(Kind.ROTTEN, key.blob_id, key, why, held[key]) for key, why in wrong.items()]
