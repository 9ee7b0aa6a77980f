"""Reads all that the store says about blobs, objects and storage pools, beside each other; for a stopped node's folder.

The records of blob ids count objects, the records of objects name blob ids, pools and ends: each fact stands in two places,
so what was lost or changed in one of them is found. Blocking; memory grows with the number of blobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from walrus_codec import blob_id as blob_ids
from walrus_codec.types import BlobId
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.blob_records import InvalidBlob, ObjectInfo, PooledInfo, ValidBlob, blob_info_from_bytes
from walrus_node.store.kv import KeyValueStore
from walrus_node.store.pools import PoolTable
from walrus_node.store.shards import ShardTable
from walrus_node.store.tallies import stored_blobs, stored_tally

_KINDS = ("permanent", "deletable", "pooled")
Counts = Counter[tuple[str, bool]]
"""Objects of one blob id by kind and by whether they are certified."""


def wrong_records(kv: KeyValueStore) -> Iterator[str]:
    """A sentence for each record that is damaged, or contradicts another one."""
    yield from _wrong_tallies(kv)
    counted: dict[BlobId, Counts] = {}
    readable = True
    for wrong in (*_wrong_objects(kv, counted), *_wrong_pools(kv, counted)):
        readable = False
        yield wrong
    for key, value in kv.scan(layout.BLOB_INFO):
        objects = counted.pop(BlobId(key), Counts())
        try:
            info = blob_info_from_bytes(value)
        except StoreError as error:
            yield f"the record of blob {key.hex()}: {error}"
            continue
        # An unreadable object would only be told twice.
        if readable and isinstance(info, ValidBlob) and +_counts_of(info) != objects:
            yield f"the record of blob {key.hex()} counts {_told(_counts_of(info))}, but there are {_told(objects)}"
    for blob_id, objects in counted.items():
        yield f"there are {_told(objects)} of blob {blob_id.hex()}, but no record of it"


def records(kv: KeyValueStore) -> Iterator[dict[str, Any]]:
    """Every record as plain values: `kind` is blob, object, pool or pooled; unreadable ones are left out."""
    pools = PoolTable(kv)
    for key, value in kv.scan(layout.BLOB_INFO):
        try:
            info = blob_info_from_bytes(value)
        except StoreError:
            continue
        state = "invalid" if isinstance(info, InvalidBlob) else "valid"
        yield {"kind": "blob", "blob_id": blob_ids.to_text(BlobId(key)), "state": state, **asdict(info)}
    for kind, family, read in (
        ("object", layout.OBJECT_INFO, ObjectInfo.from_bytes),
        ("pooled", layout.POOLED_INFO, PooledInfo.from_bytes),
    ):
        for key, value in kv.scan(family):
            try:
                found: ObjectInfo | PooledInfo = read(value)
            except StoreError:
                continue
            fields = asdict(found) | {"blob_id": blob_ids.to_text(found.blob_id)}
            yield {"kind": kind, "object_id": layout.object_of_key(key), **fields}
    for key, _ in kv.scan(layout.POOLS):
        pool_id = layout.object_of_key(key)
        try:
            yield {"kind": "pool", "pool_id": pool_id, "end_epoch": pools.end(pool_id)}
        except StoreError:
            continue


def _wrong_tallies(kv: KeyValueStore) -> Iterator[str]:
    shards = ShardTable(kv)
    for shard in sorted(shards.statuses):
        counted, told = shards.count(shard), stored_tally(kv, shard)
        if told is not None and told != counted:
            yield f"shard {shard} counts {told.slivers} slivers of {told.size} bytes, but there are {counted.slivers} of {counted.size}"
    blobs = sum(1 for _ in kv.scan(layout.METADATA))
    if (known := stored_blobs(kv)) not in {None, blobs}:
        yield f"{known} blobs with metadata are counted, but there are {blobs}"


def _wrong_objects(kv: KeyValueStore, counted: dict[BlobId, Counts]) -> Iterator[str]:
    for key, value in kv.scan(layout.OBJECT_INFO):
        object_id = layout.object_of_key(key)
        try:
            info = ObjectInfo.from_bytes(value)
        except StoreError as error:
            yield f"the record of object {object_id}: {error}"
            continue
        if not info.deleted:
            kind = "deletable" if info.deletable else "permanent"
            counted.setdefault(info.blob_id, Counts())[kind, info.certified_epoch is not None] += 1
        if kv.get(layout.EXPIRY, layout.expiry_key(info.end_epoch, object_id)) is None:
            yield f"object {object_id} ends in epoch {info.end_epoch}, but the index of ends does not name it"
    for key, _ in kv.scan(layout.EXPIRY):
        if kv.get(layout.OBJECT_INFO, key[4:]) is None:
            yield f"the index of ends names object {layout.object_of_key(key[4:])}, of which there is no record"


def _wrong_pools(kv: KeyValueStore, counted: dict[BlobId, Counts]) -> Iterator[str]:
    pools, known = PoolTable(kv), set[bytes]()
    for key, _ in kv.scan(layout.POOLS):
        pool_id = layout.object_of_key(key)
        known.add(key)
        try:
            pools.end(pool_id)
        except StoreError as error:
            yield f"the record of storage pool {pool_id}: {error}"
    for key, value in kv.scan(layout.POOLED_INFO):
        object_id = layout.object_of_key(key)
        try:
            info = PooledInfo.from_bytes(value)
        except StoreError as error:
            yield f"the record of pooled object {object_id}: {error}"
            continue
        counted.setdefault(info.blob_id, Counts())["pooled", info.certified_epoch is not None] += 1
        if layout.object_key(info.pool_id) not in known:
            yield f"pooled object {object_id} is in storage pool {info.pool_id}, of which there is no record"
        if kv.get(layout.POOL_MEMBERS, layout.member_key(info.pool_id, object_id)) is None:
            yield f"pooled object {object_id} is in storage pool {info.pool_id}, but the index of its pool does not name it"
    for key, _ in kv.scan(layout.POOL_MEMBERS):
        if kv.get(layout.POOLED_INFO, key[32:]) is None:
            yield f"a storage pool's index names pooled object {layout.object_of_key(key[32:])}, of which there is no record"


def _counts_of(info: ValidBlob) -> Counts:
    permanent, certified = (entry.count if entry else 0 for entry in (info.permanent_total, info.permanent_certified))
    totals = (permanent, info.deletable_total, info.pooled_total)
    certified_ones = (certified, info.deletable_certified, info.pooled_certified)
    counts = Counts()
    for kind, total, good in zip(_KINDS, totals, certified_ones, strict=True):
        counts[kind, True], counts[kind, False] = good, total - good
    return counts


def _told(counts: Counts) -> str:
    return ", ".join(f"{counts[kind, True]} certified and {counts[kind, False]} other {kind}" for kind in _KINDS)
