"""Registrations that were paid for and not certified yet, and storage that waits for a blob.

Life of a registration: bought on chain, used by one store, certified. When the store fails or its asker goes away, it is
kept here, and the next store of the same blob takes it instead of buying another one. So a failure loses time, never
money. What an earlier process left behind when it was killed is learned from the wallet, once, before the first store;
later on the wallet is looked at again when a store asks for it (`reuse_resources`) or when the chain did not tell how a
transaction ended.

One registration serves one store at a time, whatever the wallet says meanwhile: an object that was seen here once is
never learned again, because its wallet entry may be older than what has become of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator

from walrus_codec.types import BlobId, Epoch, ObjectId
from walrus_sui.types import BlobObject, StorageObject


class Registrations:
    """Unused registrations of one key, newest last; at most `most` of them are remembered."""

    def __init__(self, *, most: int = 10_000) -> None:
        self._most = most
        self._kept: OrderedDict[ObjectId, BlobObject] = OrderedDict()
        self._seen: OrderedDict[ObjectId, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def saw(self, object_id: ObjectId) -> None:
        """This object is in the hands of a store, or was."""
        self._seen[object_id] = None
        self._seen.move_to_end(object_id)
        while len(self._seen) > 2 * self._most:
            self._seen.popitem(last=False)

    def keep(self, blob: BlobObject) -> None:
        """Remembers a registration that nobody uses any more."""
        self.saw(blob.object_id)
        self._kept[blob.object_id] = blob
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def learn(self, wallet: Iterable[BlobObject], *, now: Epoch) -> int:
        """Adds what the wallet has, can still be certified and was never seen here; returns how many those are."""
        new = [
            blob
            for blob in wallet
            if blob.certified_epoch is None and blob.storage.end_epoch > now and blob.object_id not in self._seen
        ]
        for blob in new:
            self.keep(blob)
        return len(new)

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


def choose_storage(
    storage: Iterable[StorageObject], *, size: int, now: Epoch, until: Epoch, taken: Collection[ObjectId] = ()
) -> StorageObject | None:
    """The storage that holds `size` bytes from now until epoch `until` and is hardly larger; None when there is none. Pure.

    What it has beyond that is cut off and stays in the wallet, so nothing is lost by taking a large one; but the one that
    needs no cut, or the smallest one, leaves the large pieces whole.
    """
    fitting = [
        item
        for item in storage
        if item.object_id not in taken and item.size >= size and item.start_epoch <= now and item.end_epoch >= until
    ]
    return min(
        fitting, key=lambda item: (item.size * (item.end_epoch - now), item.end_epoch, item.object_id), default=None
    )


def _fitting(blobs: Iterable[BlobObject], blob_id: BlobId, deletable: bool, until: Epoch) -> Iterator[BlobObject]:  # noqa: FBT001 - as the callers have it
    for blob in blobs:
        if blob.blob_id == blob_id and blob.deletable == deletable and blob.storage.end_epoch >= until:
            yield blob
