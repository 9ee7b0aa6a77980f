"""What each event does to the records; pure, and strict about order.

Events are applied exactly once and in the chain's order, so every contradiction (a second certification, a deletion of
an unknown object) means that the store or the follower is wrong: `EventConflictError`, and nothing is written. The
arithmetic is that of the official node (walrus-service, `storage/blob_info.rs`):

    registered   object record made; counts of the blob id up
    certified    once per object; the first certification epoch of the blob id is the smallest of its certified objects;
                 recovery will look whether all of the blob is here
    extension    is a "certified" event that moves the end and counts nothing
    deleted      deletable objects only; counts down; the object record stays, marked, until its end epoch
    invalid      terminal: no later event brings the blob id back
    pooled       counted apart; it ends with its storage pool, whose end an extension of the pool moves
    epoch start  garbage collection, phase 1: pools and objects whose end epoch is reached leave the counts

A blob id that nothing keeps alive any more is marked for the collector, which deletes its data later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_node.errors import EventConflictError
from walrus_node.store.blob_records import InvalidBlob, ObjectInfo, PermanentInfo, PooledInfo, ValidBlob
from walrus_node.store.working import WorkingSet
from walrus_sui.events import (
    BlobCertified,
    BlobDeleted,
    BlobRegistered,
    EpochChangeStart,
    Event,
    EventId,
    InvalidBlobId,
    PooledBlobCertified,
    PooledBlobDeleted,
    PooledBlobRegistered,
    StoragePoolCreated,
    StoragePoolExtended,
)


def apply_all(working: WorkingSet, events: Iterable[tuple[EventId, Event]]) -> None:
    """Applies the events of one checkpoint in order.

    Raises:
        EventConflictError: an event cannot follow what is recorded; the working set must be thrown away.
    """
    for event_id, event in events:
        apply(working, event_id, event)


def apply(working: WorkingSet, event_id: EventId, event: Event) -> None:
    """Applies one event; events that concern no record change nothing. Raises `EventConflictError`."""
    match event:
        case BlobRegistered():
            _register(working, event_id, event)
        case BlobCertified(is_extension=False):
            _certify(working, event_id, event)
        case BlobCertified():
            _extend(working, event_id, event)
        case BlobDeleted():
            _delete(working, event)
        case InvalidBlobId():
            working.set_blob(event.blob_id, InvalidBlob(event.epoch, event_id))
            working.mark_garbage(event.blob_id, working.epoch)
        case StoragePoolCreated():
            if working.pools.end(event.storage_pool_id) is not None:
                raise EventConflictError(f"storage pool {event.storage_pool_id} was created twice")
            working.pools.set_end(event.storage_pool_id, event.end_epoch)
        case StoragePoolExtended():
            end = _known_pool(working, event.storage_pool_id)
            working.pools.set_end(event.storage_pool_id, _later(end, event.new_end_epoch))
        case PooledBlobRegistered():
            _register_pooled(working, event_id, event)
        case PooledBlobCertified():
            _certify_pooled(working, event_id, event)
        case PooledBlobDeleted():
            known = _known_pooled(working, event)
            if not known.deletable:
                raise EventConflictError(f"pooled object {event.object_id} is permanent, but was deleted")
            _forget_pooled(working, event.object_id, known)
        case EpochChangeStart():
            _start_epoch(working, event.epoch)
        case _:
            pass


def _register(working: WorkingSet, event_id: EventId, event: BlobRegistered) -> None:
    if working.object(event.object_id) is not None:
        raise EventConflictError(f"object {event.object_id} was registered twice")
    working.set_object(
        event.object_id,
        ObjectInfo(event.blob_id, event.epoch, None, event.end_epoch, event.deletable, event_id),
    )
    info = _valid(working, event.blob_id)
    if info is None:
        return
    if event.deletable:
        info = replace(
            info, deletable_total=info.deletable_total + 1, deletable_end=_later(info.deletable_end, event.end_epoch)
        )
    else:
        info = replace(info, permanent_total=_with_object(info.permanent_total, event.end_epoch, event_id))
    working.set_blob(event.blob_id, info)


def _certify(working: WorkingSet, event_id: EventId, event: BlobCertified) -> None:
    known = _known_object(working, event.object_id, event.blob_id)
    if known.certified_epoch is not None:
        raise EventConflictError(f"object {event.object_id} was certified twice")
    working.set_object(
        event.object_id, replace(known, certified_epoch=event.epoch, end_epoch=event.end_epoch, event=event_id)
    )
    info = _valid(working, event.blob_id)
    if info is None:
        return
    working.suspect(event.blob_id)
    info = _first_certified(info, event.epoch)
    if event.deletable:
        info = replace(
            info,
            deletable_certified=info.deletable_certified + 1,
            deletable_certified_end=_later(info.deletable_certified_end, event.end_epoch),
        )
    else:
        info = replace(info, permanent_certified=_with_object(info.permanent_certified, event.end_epoch, event_id))
    working.set_blob(event.blob_id, info)


def _extend(working: WorkingSet, event_id: EventId, event: BlobCertified) -> None:
    known = _known_object(working, event.object_id, event.blob_id)
    if known.certified_epoch is None:
        raise EventConflictError(f"object {event.object_id} was extended before it was certified")
    working.set_object(event.object_id, replace(known, end_epoch=event.end_epoch, event=event_id))
    info = _valid(working, event.blob_id)
    if info is None:
        return
    if event.deletable:
        info = replace(
            info,
            deletable_end=_later(info.deletable_end, event.end_epoch),
            deletable_certified_end=_later(info.deletable_certified_end, event.end_epoch),
        )
    else:
        info = replace(
            info,
            permanent_total=_extended(info.permanent_total, event.end_epoch, event_id),
            permanent_certified=_extended(info.permanent_certified, event.end_epoch, event_id),
        )
    working.set_blob(event.blob_id, info)


def _register_pooled(working: WorkingSet, event_id: EventId, event: PooledBlobRegistered) -> None:
    _known_pool(working, event.storage_pool_id)
    if working.pools.blob(event.object_id) is not None:
        raise EventConflictError(f"pooled object {event.object_id} was registered twice")
    record = PooledInfo(event.blob_id, event.epoch, None, event.storage_pool_id, event.deletable, event_id)
    working.pools.put(event.object_id, record)
    info = _valid(working, event.blob_id)
    if info is not None:
        working.set_blob(event.blob_id, replace(info, pooled_total=info.pooled_total + 1))


def _certify_pooled(working: WorkingSet, event_id: EventId, event: PooledBlobCertified) -> None:
    known = _known_pooled(working, event)
    if known.certified_epoch is not None:
        raise EventConflictError(f"pooled object {event.object_id} was certified twice")
    working.pools.put(event.object_id, replace(known, certified_epoch=event.epoch, event=event_id))
    info = _valid(working, event.blob_id)
    if info is not None:
        working.suspect(event.blob_id)
        info = replace(_first_certified(info, event.epoch), pooled_certified=info.pooled_certified + 1)
        working.set_blob(event.blob_id, info)


def _delete(working: WorkingSet, event: BlobDeleted) -> None:
    known = _known_object(working, event.object_id, event.blob_id)
    if not known.deletable:
        raise EventConflictError(f"object {event.object_id} is permanent, but was deleted")
    working.set_object(event.object_id, replace(known, deleted=True))
    _forget(working, known)


def _start_epoch(working: WorkingSet, epoch: Epoch) -> None:
    if epoch != working.epoch + 1:
        raise EventConflictError(f"epoch {epoch} began after epoch {working.epoch}")
    working.epoch = epoch
    for pool_id in working.pools.ended(epoch):
        for object_id in working.pools.members(pool_id):
            pooled = working.pools.blob(object_id)
            if pooled is not None:
                _forget_pooled(working, object_id, pooled)
        working.pools.set_end(pool_id, None)
    for object_id in working.expired(epoch):
        known = working.object(object_id)
        working.set_object(object_id, None)
        if known is not None and not known.deleted:
            _forget(working, known)


def _forget(working: WorkingSet, known: ObjectInfo) -> None:
    """Takes one object off the counts of its blob id, because it was deleted or its time is over."""
    info = _valid(working, known.blob_id)
    if info is None:
        return
    certified = known.certified_epoch is not None
    if known.deletable:
        info = replace(
            info,
            deletable_total=info.deletable_total - 1,
            deletable_certified=info.deletable_certified - certified,
        )
    else:
        info = replace(
            info,
            permanent_total=_without_object(info.permanent_total),
            permanent_certified=_without_object(info.permanent_certified) if certified else info.permanent_certified,
        )
    _settle(working, known.blob_id, info)


def _forget_pooled(working: WorkingSet, object_id: ObjectId, known: PooledInfo) -> None:
    """Removes one pooled object and takes it off the counts, because it was deleted or its pool's time is over."""
    working.pools.remove(object_id, known.pool_id)
    info = _valid(working, known.blob_id)
    if info is None:
        return
    certified = info.pooled_certified - (known.certified_epoch is not None)
    _settle(working, known.blob_id, replace(info, pooled_total=info.pooled_total - 1, pooled_certified=certified))


def _settle(working: WorkingSet, blob_id: BlobId, info: ValidBlob) -> None:
    """Records counts that shrank, without what is left over from objects that are gone."""
    if info.deletable_total == 0:
        info = replace(info, deletable_end=None)
    if info.deletable_certified == 0:
        info = replace(info, deletable_certified_end=None)
        if info.permanent_certified is None and info.pooled_certified == 0:
            info = replace(info, initial_certified_epoch=None)
    working.set_blob(blob_id, info)
    if not info.is_registered(working.epoch):
        working.mark_garbage(blob_id, working.epoch)


def _first_certified(info: ValidBlob, epoch: Epoch) -> ValidBlob:
    first = info.initial_certified_epoch
    return replace(info, initial_certified_epoch=epoch if first is None else min(first, epoch))


def _valid(working: WorkingSet, blob_id: BlobId) -> ValidBlob | None:
    """The record to change, an empty one for a new blob id, or None for an invalid one, which never changes."""
    info = working.blob(blob_id)
    if isinstance(info, InvalidBlob):
        return None
    return info or ValidBlob()


def _known_object(working: WorkingSet, object_id: ObjectId, blob_id: BlobId) -> ObjectInfo:
    known = working.object(object_id)
    if known is None:
        raise EventConflictError(f"object {object_id} was never registered, or its time is over")
    if known.deleted:
        raise EventConflictError(f"object {object_id} was deleted before")
    if known.blob_id != blob_id:
        raise EventConflictError(f"object {object_id} was registered for another blob")
    return known


def _known_pool(working: WorkingSet, pool_id: ObjectId) -> Epoch:
    end = working.pools.end(pool_id)
    if end is None:
        raise EventConflictError(f"storage pool {pool_id} was never created, or its time is over")
    return end


def _known_pooled(working: WorkingSet, event: PooledBlobCertified | PooledBlobDeleted) -> PooledInfo:
    known = working.pools.blob(event.object_id)
    if known is None:
        raise EventConflictError(
            f"pooled object {event.object_id} was never registered, was deleted, or its pool ended"
        )
    if (known.blob_id, known.pool_id) != (event.blob_id, event.storage_pool_id):
        raise EventConflictError(f"pooled object {event.object_id} was registered for another blob or pool")
    return known


def _with_object(info: PermanentInfo | None, end_epoch: Epoch, event_id: EventId) -> PermanentInfo:
    if info is None:
        return PermanentInfo(1, end_epoch, event_id)
    return replace(_extended_info(info, end_epoch, event_id), count=info.count + 1)


def _extended(info: PermanentInfo | None, end_epoch: Epoch, event_id: EventId) -> PermanentInfo | None:
    return None if info is None else _extended_info(info, end_epoch, event_id)


def _extended_info(info: PermanentInfo, end_epoch: Epoch, event_id: EventId) -> PermanentInfo:
    if end_epoch <= info.end_epoch:
        return info
    return replace(info, end_epoch=end_epoch, event=event_id)


def _without_object(info: PermanentInfo | None) -> PermanentInfo | None:
    return None if info is None or info.count == 1 else replace(info, count=info.count - 1)


def _later(first: Epoch | None, second: Epoch) -> Epoch:
    return second if first is None else max(first, second)
