"""Records that come from other nodes instead of from events; pure.

Life of a history that was pruned: other nodes' records of objects and pools are agreed upon (`recovery.history`),
`derive` computes from them what the events would have counted for each blob id, and events are applied again from a
checkpoint on that was the newest before anybody was asked. Until the one that was the newest when all had answered, an
event may be shown by the records already, or concern what the events after it have removed: `replay_all` leaves out
those, and applies the others by the rules that hold for all.

What `derive` cannot know are bounds that only grow: when a blob id was certified first by an object that is gone, and ends
that gone deletable objects had. Both concern answers about blobs that have other living objects, and no right to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from walrus_client.records import RecordKey, RecordKind
from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_node.events import rules
from walrus_node.store.blob_records import BlobInfo, InvalidBlob, ObjectInfo, PermanentInfo, PooledInfo, ValidBlob
from walrus_node.store.history import Record, Records
from walrus_node.store.working import WorkingSet
from walrus_sui.events import (
    BlobCertified,
    BlobDeleted,
    BlobRegistered,
    Event,
    EventId,
    PooledBlobCertified,
    PooledBlobDeleted,
    PooledBlobRegistered,
    StoragePoolCreated,
    StoragePoolExtended,
)


def derive(agreed: Mapping[RecordKey, Record]) -> Records:
    """All records from those of pools, objects and invalid blobs; pooled objects without their pool are left out."""
    pools: dict[ObjectId, Epoch] = {}
    objects: dict[ObjectId, ObjectInfo] = {}
    pooled: dict[ObjectId, PooledInfo] = {}
    blobs: dict[BlobId, BlobInfo] = {}
    for key, record in agreed.items():
        object_id = ObjectId("0x" + key.id.hex())
        match record:
            case ObjectInfo():
                objects[object_id] = record
            case PooledInfo():
                pooled[object_id] = record
            case InvalidBlob():
                blobs[BlobId(key.id)] = record
            case _ if key.kind is RecordKind.POOL:
                pools[object_id] = record
    pooled = {object_id: info for object_id, info in pooled.items() if info.pool_id in pools}
    for info in objects.values():
        if not info.deleted and not isinstance(known := blobs.get(info.blob_id, ValidBlob()), InvalidBlob):
            blobs[info.blob_id] = _with_object(known, info)
    for entry in pooled.values():
        if not isinstance(known := blobs.get(entry.blob_id, ValidBlob()), InvalidBlob):
            certified = entry.certified_epoch is not None
            blobs[entry.blob_id] = replace(
                _first_certified(known, entry.certified_epoch),
                pooled_total=known.pooled_total + 1,
                pooled_certified=known.pooled_certified + certified,
            )
    return Records(pools, objects, pooled, blobs)


def replay_all(working: WorkingSet, events: Iterable[tuple[EventId, Event]]) -> None:
    """Applies those events of one checkpoint that the records do not show yet.

    Raises:
        EventConflictError: epochs are not in order; the working set must be thrown away.
    """
    for event_id, event in events:
        if not is_shown(working, event):
            rules.apply(working, event_id, event)


def is_shown(working: WorkingSet, event: Event) -> bool:
    """Whether the records show the event already, or later ones have removed what it is about."""
    match event:
        case BlobRegistered():
            return working.object(event.object_id) is not None
        case BlobCertified(is_extension=True):
            known = working.object(event.object_id)
            return known is None or known.deleted or known.certified_epoch is None or known.end_epoch >= event.end_epoch
        case BlobCertified():
            known = working.object(event.object_id)
            return known is None or known.deleted or known.certified_epoch is not None
        case BlobDeleted():
            known = working.object(event.object_id)
            return known is None or known.deleted
        case StoragePoolCreated():
            return working.pools.end(event.storage_pool_id) is not None
        case StoragePoolExtended():
            return working.pools.end(event.storage_pool_id) is None
        case PooledBlobRegistered():
            gone = working.pools.end(event.storage_pool_id) is None
            return gone or working.pools.blob(event.object_id) is not None
        case PooledBlobCertified():
            pooled = working.pools.blob(event.object_id)
            return pooled is None or pooled.certified_epoch is not None
        case PooledBlobDeleted():
            return working.pools.blob(event.object_id) is None
        case _:
            return False


def _with_object(blob: ValidBlob, info: ObjectInfo) -> ValidBlob:
    """Counts one living object."""
    certified = info.certified_epoch is not None
    blob = _first_certified(blob, info.certified_epoch)
    if not info.deletable:
        return replace(
            blob,
            permanent_total=_counted(blob.permanent_total, info),
            permanent_certified=_counted(blob.permanent_certified, info) if certified else blob.permanent_certified,
        )
    end, certified_end = blob.deletable_end, blob.deletable_certified_end
    return replace(
        blob,
        deletable_total=blob.deletable_total + 1,
        deletable_certified=blob.deletable_certified + certified,
        deletable_end=_later(end, info.end_epoch),
        deletable_certified_end=_later(certified_end, info.end_epoch) if certified else certified_end,
    )


def _counted(known: PermanentInfo | None, info: ObjectInfo) -> PermanentInfo:
    """The latest end wins, and its event; among equal ends the first event by its place, so that all nodes agree."""
    if known is None:
        return PermanentInfo(1, info.end_epoch, info.event)
    latest = min((known.end_epoch, known.event), (info.end_epoch, info.event), key=lambda each: (-each[0], each[1]))
    return PermanentInfo(known.count + 1, *latest)


def _first_certified(blob: ValidBlob, epoch: Epoch | None) -> ValidBlob:
    first = blob.initial_certified_epoch
    known = [each for each in (first, epoch) if each is not None]
    return replace(blob, initial_certified_epoch=min(known, default=None))


def _later(first: Epoch | None, second: Epoch) -> Epoch:
    return second if first is None else max(first, second)
