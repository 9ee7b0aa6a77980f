"""B_e: the blobs that are asked for in an epoch, in one order, under one root that all honest members share.

Computed once when `EpochChangeStart` of the epoch has been processed, from events alone: a blob counts when a
registration of it is certified and alive, it was first certified at least two epochs ago, so that whoever missed it had a
whole epoch for repair, and it is neither invalid nor deny-listed (`challenges-spec.md` 1).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from walrus_codec import merkle
from walrus_codec.types import BlobId, Epoch

AGE_EPOCHS = 2
"""So many epochs after its first certification a blob is asked for."""

_HEIGHT = 12
"""Of the trees that a set's root is put together from: 4,096 ids are hashed at a time."""

FIRST_EPOCH = Epoch(3)
"""Before it no blob can be old enough, and nobody is challenged."""


def is_old_enough(certified_epoch: Epoch, epoch: Epoch) -> bool:
    """Whether a blob that was first certified then, and is certified now, belongs to B_e."""
    return certified_epoch + AGE_EPOCHS <= epoch


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
        return cls.in_order(sorted(set(blob_ids)))

    @classmethod
    def in_order(cls, blob_ids: Iterable[bytes]) -> BlobSet:
        """The set of these ids, which come in ascending order, each once; they need not fit into memory as objects."""
        ids, tops, level, rest = bytearray(), b"", b"", iter(blob_ids)
        while some := list(islice(rest, 1 << _HEIGHT)):
            ids += b"".join(some)
            level = merkle.leaves(some)
            tops += merkle.raised(level, _HEIGHT)
        return cls(bytes(ids), merkle.root(level if len(tops) <= merkle.NODE_SIZE else tops))

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
