"""Looks into a stopped node's store: is everything what it should be, how much is there, and files of it.

Each function takes an open store and returns plain values; `walrus_node.db` opens, prints and chooses exit codes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from walrus_client.compute import Compute
from walrus_codec import blob_id as blob_ids
from walrus_codec.types import Axis, BlobId, Epoch
from walrus_node.errors import DamagedError
from walrus_node.scrub.examination import Counts, examine
from walrus_node.scrub.rules import Fault, Kind
from walrus_node.store import layout
from walrus_node.store.kv import KeyValueStore
from walrus_node.store.records import ShardStatus
from walrus_node.store.shards import ShardTable
from walrus_node.store.storage import Storage

_CHUNK = 256


@dataclass
class Verdict:
    """What a check has found.

    Attributes:
        counts: what was verified.
        rotten: stored things that are not what they should be.
        lacking: things of certified blobs that are not stored.
        records: unreadable or contradicting records about blobs, which nothing here can repair.
    """

    counts: Counts
    rotten: int = 0
    lacking: int = 0
    records: int = 0


async def check(
    storage: Storage, compute: Compute, *, fault: Callable[[Fault], None], record: Callable[[str], None]
) -> Verdict:
    """Verifies every sliver against its metadata, these against their blob id, and certified blobs for gaps.

    Args:
        storage: the store.
        compute: verifies.
        fault: is told of each thing that is rotten or lacking.
        record: is told of each record that is damaged.
    """
    verdict = Verdict(Counts())

    def tell(found: Fault) -> None:
        verdict.rotten += found.kind is Kind.ROTTEN
        verdict.lacking += found.kind is Kind.LACKING
        fault(found)

    async def at_once(_size: int) -> None:
        pass

    after = b""
    while chunk := await storage.blobs_after(after, _CHUNK):
        for blob_id in chunk:
            async for found in examine(
                storage, compute, blob_id, shards=storage.shards, counts=verdict.counts, spent=at_once
            ):
                tell(found)
        after = chunk[-1]
    for wrong in await storage.wrong_records():
        verdict.records += 1
        record(wrong)
    if verdict.records:
        return verdict  # what the chain says cannot be read, so gaps cannot be told
    cursor = await storage.cursor()
    # Other shards are being filled or left: gaps are their nature.
    active = [shard for shard, status in storage.shards.items() if status is ShardStatus.ACTIVE]
    for blob_id in await storage.incomplete(cursor.epoch if cursor else Epoch(0), active):
        for key in await storage.missing(blob_id, active):
            tell(Fault(Kind.LACKING, blob_id, key, "the blob is certified, but this is not stored"))
    return verdict


@dataclass(frozen=True)
class FamilyStats:
    """Keys and bytes of a column family; slivers count by their own bytes."""

    family: str
    keys: int
    size: int
    status: str = ""


def stats(kv: KeyValueStore) -> list[FamilyStats]:
    """Counts everything; blocking. Slivers are counted by their index, so they are not read."""
    shards = ShardTable(kv)
    found = []
    there = kv.families()
    # The folder of an older release has fewer.
    for family in (family for family in layout.FIXED_FAMILIES if family in there):
        entries = [len(key) + len(value) for key, value in kv.scan(family)]
        found.append(FamilyStats(family, len(entries), sum(entries)))
    for shard, status in sorted(shards.statuses.items()):
        for axis in Axis:
            sizes = [size for _blob_id, size in shards.blobs(shard, axis)]
            found.append(FamilyStats(layout.sliver_family(shard, axis), len(sizes), sum(sizes), status.value))
    return found


async def export(storage: Storage, target: Path, chosen: Sequence[BlobId]) -> tuple[int, list[str]]:
    """Writes metadata and slivers in their BCS forms: TARGET/<blob id>/metadata.bcs and s<shard>-<axis>.bcs.

    Without a choice also TARGET/records.jsonl: what the events said of blobs, objects and storage pools, a record a line.

    Args:
        storage: the store.
        target: a folder; made when it is not there.
        chosen: which blobs; all that are stored when empty.

    Returns:
        How many files were written, and a sentence for each thing that could not be.
    """
    files, problems = 0, []

    async def one(blob_id: BlobId) -> None:
        nonlocal files
        folder = target / blob_ids.to_text(blob_id)
        keys = await storage.stored(blob_id)
        parts: list[tuple[str, Callable[[], Awaitable[bytes | memoryview | None]]]] = [
            ("metadata", functools.partial(storage.metadata, blob_id))
        ]
        parts.extend(
            (layout.sliver_family(key.shard, key.axis), functools.partial(storage.sliver, key)) for key in keys
        )
        found = 0
        for name, read in parts:
            try:
                content = await read()
            except DamagedError as error:
                problems.append(f"{blob_ids.to_text(blob_id)} {name}: {error}")
                continue
            if content is not None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{name}.bcs").write_bytes(content)
                found += 1
        files += found
        if not found:
            problems.append(f"{blob_ids.to_text(blob_id)}: nothing of it is stored here")

    if chosen:
        for blob_id in chosen:
            await one(blob_id)
        return files, problems
    lines = [json.dumps(record) for record in await storage.records()]
    _write_lines(target, lines)
    files += 1
    after = b""
    while chunk := await storage.blobs_after(after, _CHUNK):
        for blob_id in chunk:
            await one(blob_id)
        after = chunk[-1]
    return files, problems


def _write_lines(target: Path, lines: Sequence[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    (target / "records.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
