"""The status that a node tells about a blob, from its record; pure.

Strongest first, as the official node answers (walrus-service, `blob_info_v1.rs`): invalid; permanent and certified;
permanent; deletable; nonexistent. Pooled blobs count as deletable there, and so here.
"""

from __future__ import annotations

from walrus_client.statuses import BlobStatus, DeletableBlob, DeletableCounts, Invalid, Nonexistent, PermanentBlob
from walrus_codec.types import Epoch
from walrus_node.store.blob_records import BlobInfo, InvalidBlob


def status_of(info: BlobInfo | None, epoch: Epoch) -> BlobStatus:
    """The status in `epoch` of the blob id with this record."""
    if info is None:
        return Nonexistent()
    if isinstance(info, InvalidBlob):
        return Invalid(info.event)
    counts = DeletableCounts(info.pooled_total, info.pooled_certified)
    if (info.deletable_end or 0) > epoch:
        counts = DeletableCounts(
            info.pooled_total + info.deletable_total, info.pooled_certified + info.deletable_certified
        )
    first = info.initial_certified_epoch if info.is_certified(epoch) else None
    for permanent, certified in ((info.permanent_certified, True), (info.permanent_total, False)):
        if permanent is not None and permanent.end_epoch > epoch:
            return PermanentBlob(permanent.end_epoch, certified, permanent.event, counts, first)
    return DeletableBlob(first, counts) if counts.total else Nonexistent()
