"""What verification decides; pure.

Metadata are good when they give the blob id, whatever else has happened: nothing is needed to judge them. Slivers are good
when they are what good metadata commit to. So rotten metadata are the first to be replaced, and their blob's slivers are
judged in the round after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from walrus_codec import mapping
from walrus_codec.errors import BadSlivers, SliverError
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import BlobId, PairIndex
from walrus_node.store.shards import SliverKey

LEAST_COST = 64 << 10
"""Bytes that a batch counts as at least: a small blob costs lookups and hashes that its bytes do not tell."""


class Kind(Enum):
    """What is wrong."""

    ROTTEN = "rotten"
    LACKING = "lacking"


@dataclass(frozen=True)
class Fault:
    """One stored thing that is not what it should be.

    Attributes:
        kind: rotten things are taken out, lacking ones only recovered.
        blob_id: of which blob.
        key: which sliver; None for the metadata.
        why: a phrase for people.
        seen: a rotten thing's bytes, None when they could not be read.
    """

    kind: Kind
    blob_id: BlobId
    key: SliverKey | None
    why: str
    seen: bytes | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return "metadata" if self.key is None else f"shard {self.key.shard} {self.key.axis.value}"


def good_metadata(blob_id: BlobId, stored: bytes) -> BlobMetadata:
    """Reads stored metadata; raises `CodecError` when they are not this blob's."""
    metadata = BlobMetadata.from_bcs(stored)
    verify_metadata(blob_id, metadata, n_shards=len(metadata.hashes))
    return metadata


def rotten_slivers(metadata: BlobMetadata, batch: Mapping[SliverKey, bytes]) -> dict[SliverKey, str]:
    """Which slivers of one blob are not what its metadata commit to, and why.

    Args:
        metadata: good ones.
        batch: BCS forms by their places.
    """
    n = len(metadata.hashes)
    params = CodeParams(n, metadata.encoding_type)
    wrong: dict[SliverKey, str] = {}
    keys: list[SliverKey] = []
    slivers: list[tuple[PairIndex, Sliver]] = []
    for key, stored in batch.items():
        try:
            sliver = Sliver.from_bcs(key.axis, stored)
        except SliverError as error:
            wrong[key] = str(error)
        else:
            keys.append(key)
            slivers.append((mapping.pair_of_shard(key.shard, key.blob_id, n), sliver))
    try:
        verify_slivers(slivers, metadata, params)
    except BadSlivers as error:
        wrong |= {keys[position]: str(fault) for position, fault in error.faults.items()}
    return wrong


def fraction(after: bytes) -> float:
    """Share of a round that is done: blob ids are hashes, so the last one verified tells it, whatever is stored."""
    return int.from_bytes(after[:6].ljust(6, b"\x00"), "big") / 2**48


@dataclass
class Pace:
    """Spreads work over time so that it stays below a rate; work that had to wait does not catch up in a burst."""

    bytes_per_s: float
    _free_at: float = 0.0

    def spend(self, size: int, now: float) -> float:
        """Books a batch that was just done; returns how many seconds to wait before the next one."""
        self._free_at = max(self._free_at, now) + max(size, LEAST_COST) / self.bytes_per_s
        return self._free_at - now
