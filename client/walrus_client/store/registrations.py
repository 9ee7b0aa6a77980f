"""Registrations that were paid for and not certified yet.

Life of a registration: bought on chain, used by one store, certified. When the store fails or its asker goes away, it is
kept here, and the next store of the same blob takes it instead of buying another one. So a failure loses time, never
money. Kept in memory: after a restart, `reuse_resources` finds them in the wallet, and certified objects as well, which
make a store needless.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from walrus_codec.types import BlobId, Epoch
from walrus_sui.types import BlobObject


class Registrations:
    """Unused registrations of one key, newest last; at most `most` of them are remembered."""

    def __init__(self, *, most: int = 10_000) -> None:
        self._most = most
        self._kept: OrderedDict[str, BlobObject] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, blob: BlobObject) -> None:
        """Remembers a registration that nobody uses any more."""
        self._kept[blob.object_id] = blob
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def take(self, blob_id: BlobId, *, deletable: bool, now: Epoch, until: Epoch) -> BlobObject | None:
        """Hands out a registration of this blob that lasts at least until epoch `until` (exclusive)."""
        found = choose(self._kept.values(), blob_id, deletable=deletable, now=now, until=until)
        if found is not None:
            del self._kept[found.object_id]
        return found


def choose(
    blobs: Iterable[BlobObject], blob_id: BlobId, *, deletable: bool, now: Epoch, until: Epoch
) -> BlobObject | None:
    """The fitting uncertified object that ends first; None when there is none. Pure."""
    fitting = [blob for blob in _fitting(blobs, blob_id, deletable, until) if blob.certified_epoch is None]
    current = [blob for blob in fitting if blob.storage.start_epoch <= now]
    return min(current, key=lambda blob: (blob.storage.end_epoch, blob.object_id), default=None)


def choose_certified(
    blobs: Iterable[BlobObject], blob_id: BlobId, *, deletable: bool, until: Epoch
) -> BlobObject | None:
    """The fitting certified object that ends last; None when there is none. Pure."""
    fitting = [blob for blob in _fitting(blobs, blob_id, deletable, until) if blob.certified_epoch is not None]
    return max(fitting, key=lambda blob: (blob.storage.end_epoch, blob.object_id), default=None)


def _fitting(blobs: Iterable[BlobObject], blob_id: BlobId, deletable: bool, until: Epoch) -> Iterator[BlobObject]:  # noqa: FBT001 - as the callers have it
    for blob in blobs:
        if blob.blob_id == blob_id and blob.deletable == deletable and blob.storage.end_epoch >= until:
            yield blob
