"""B_e: the blobs that are asked for in an epoch, in one order, under one root that all honest members share.

Computed once when `EpochChangeStart` of the epoch has been processed, from events alone: a blob counts when a
registration of it is certified and alive, it was first certified at least two epochs ago, so that whoever missed it had a
whole epoch for repair, and it is neither invalid nor deny-listed (`challenges-spec.md` 1).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from walrus_codec import merkle
from walrus_codec.types import BlobId, Epoch

AGE_EPOCHS = 2
"""So many epochs after its first certification a blob is asked for."""

FIRST_EPOCH = Epoch(3)
"""Before it no blob can be old enough, and nobody is challenged."""


@dataclass(frozen=True)
class KnownBlob:
    """What the events say of a blob.

    Attributes:
        blob_id: its id.
        certified_epoch: of its first certification; None while it is only registered.
        alive: some certified registration of it has neither ended nor been deleted.
        blocked: invalid, or on a deny list that is in force.
    """

    blob_id: BlobId
    certified_epoch: Epoch | None
    alive: bool
    blocked: bool


def is_asked(blob: KnownBlob, epoch: Epoch) -> bool:
    """Whether the blob belongs to B_e."""
    old_enough = blob.certified_epoch is not None and blob.certified_epoch + AGE_EPOCHS <= epoch
    return old_enough and blob.alive and not blob.blocked


@dataclass(frozen=True)
class BlobSet(Collection[bytes]):
    """The blobs of one epoch.

    Attributes:
        ids: all ids in ascending order, 32 bytes each, as one byte string: a million blobs are 32 MB.
        root: Merkle root over the ids in this order.
    """

    ids: bytes
    root: bytes

    @classmethod
    def of(cls, blob_ids: Iterable[BlobId]) -> BlobSet:
        """The set of these ids, each once."""
        ordered = sorted(set(blob_ids))
        return cls(b"".join(ordered), merkle.root(merkle.leaves(ordered)))

    @classmethod
    def select(cls, blobs: Iterable[KnownBlob], epoch: Epoch) -> BlobSet:
        """B_e out of all blobs that are known."""
        return cls.of(blob.blob_id for blob in blobs if is_asked(blob, epoch))

    def __len__(self) -> int:
        return len(self.ids) // 32

    def __getitem__(self, index: int) -> BlobId:
        """The id at a place of the order."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return BlobId(self.ids[32 * index : 32 * (index + 1)])

    def __iter__(self) -> Iterator[bytes]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, blob_id: object) -> bool:
        if not isinstance(blob_id, bytes):
            return False
        index = bisect_left(_View(self), blob_id)
        return index < len(self) and self[index] == blob_id


class _View(Sequence[bytes]):
    """The ids as a sequence, for `bisect`."""

    def __init__(self, blobs: BlobSet) -> None:
        self._blobs = blobs

    def __len__(self) -> int:
        return len(self._blobs)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN204, ANN001 - bisect asks for single places only
        return self._blobs[index]
