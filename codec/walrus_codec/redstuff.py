"""RedStuff: from a blob to n sliver pairs with commitments, and from enough slivers back to the blob.

    bytes ── encode ──► EncodedBlob: blob id, metadata, n pairs
    k1 primary or k2 secondary slivers ── decode ──► bytes ── check_default / check_strict

Decoding trusts its slivers: verify each against verified metadata first (`walrus_codec.slivers`). Even then the writer
may have committed to a matrix that is no codeword, and readers of different slivers would see different bytes. So a
reader checks what it decoded:

* `check_default`: the k1 systematic primary slivers of the decoded bytes are those of the metadata. The reader gets what
  the systematic slivers commit to. Slivers that were received and verified need no second look.
* `check_strict`: the decoded bytes, encoded again, give the blob id. All honest readers agree.

A reader that sends a blob on while it holds the slivers does without decoded bytes: `walrus_codec.rows`.

(Walrus paper section 4; contract module redstuff.)
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from walrus_codec import blob_id as blob_ids
from walrus_codec.backend import Encoded, backend_for
from walrus_codec.errors import CodecError, DecodeError, InconsistentBlob
from walrus_codec.mapping import secondary_index
from walrus_codec.metadata import BlobMetadata, check_same_code
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, SliverPair
from walrus_codec.types import Axis, BlobId, Buffer, PairIndex, SliverIndex

__all__ = [
    "EncodedBlob",
    "SliverPairs",
    "check_default",
    "check_same_id",
    "check_strict",
    "decode",
    "decode_into",
    "encode",
    "wrap",
]


class SliverPairs(Sequence[SliverPair]):
    """The n sliver pairs of a blob in pair order, made on access."""

    def __init__(self, encoded: Encoded, symbol_size: int) -> None:
        self._encoded = encoded
        self._symbol_size = symbol_size

    def __len__(self) -> int:
        return len(self._encoded.metadata.hashes)

    @overload
    def __getitem__(self, at: int) -> SliverPair: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[SliverPair]: ...

    def __getitem__(self, at: int | slice) -> SliverPair | Sequence[SliverPair]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        row = SliverIndex(range(len(self))[at])
        column = secondary_index(PairIndex(row), len(self))
        return SliverPair(
            PairIndex(row),
            Sliver(Axis.PRIMARY, row, self._symbol_size, self._encoded.primary[row]),
            Sliver(Axis.SECONDARY, column, self._symbol_size, self._encoded.secondary[column]),
        )


@dataclass(frozen=True, slots=True)
class EncodedBlob:
    """All that a writer needs: the id to register, the metadata and the pairs to upload."""

    blob_id: BlobId
    metadata: BlobMetadata
    pairs: Sequence[SliverPair]


def encode(data: Buffer, params: CodeParams) -> EncodedBlob:
    """Encodes a blob over both axes with all commitments.

    Raises:
        BlobTooLarge: longer than `params.max_blob_size`.
    """
    return wrap(backend_for(params).encode(data), params)


def wrap(encoded: Encoded, params: CodeParams) -> EncodedBlob:
    """Puts identities on what a backend encoded; `walrus_codec.matrix.Encoding` shared by processes ends here."""
    symbol_size = params.symbol_size(encoded.metadata.unencoded_length)
    return EncodedBlob(encoded.metadata.blob_id(), encoded.metadata, SliverPairs(encoded, symbol_size))


def decode(
    slivers: Mapping[SliverIndex, Sliver] | Iterable[Sliver], unencoded_length: int, params: CodeParams
) -> bytes:
    """Decodes verified slivers of one axis: any k1 primary or any k2 secondary ones; more do no harm.

    Raises:
        BlobTooLarge: `unencoded_length` cannot be encoded with these parameters.
        DecodeError: too few distinct slivers, two axes, or a sliver of another size.
    """
    out = np.empty(params.padded_length(unencoded_length), np.uint8).data
    return bytes(decode_into(slivers, unencoded_length, params, out))


def decode_into(
    slivers: Mapping[SliverIndex, Sliver] | Iterable[Sliver], unencoded_length: int, params: CodeParams, out: memoryview
) -> memoryview:
    """Does the same as `decode` in memory of the caller, for instance shared with another process.

    Args:
        slivers: as for `decode`.
        unencoded_length: bytes of the blob.
        params: the code.
        out: writable, at least `params.padded_length(unencoded_length)` bytes; what is behind the blob becomes padding.

    Returns:
        The part of `out` that holds the blob.
    """
    given = list(slivers.values() if isinstance(slivers, Mapping) else slivers)
    if len(axes := {sliver.axis for sliver in given}) != 1:
        raise DecodeError(f"slivers of one axis are needed, these are of {len(axes)}")
    axis = axes.pop()
    size = params.sliver_size(axis, unencoded_length)
    if len(out) < (room := params.padded_length(unencoded_length)):
        raise CodecError(f"decoding needs a buffer of {room} bytes, this one has {len(out)}")
    by_index: dict[int, Buffer] = {}
    for sliver in given:
        if not 0 <= sliver.index < params.n_shards:
            raise DecodeError(f"sliver index {sliver.index} is not below the number of shards, {params.n_shards}")
        if len(sliver.data) != size:
            raise DecodeError(f"{axis.value} sliver {sliver.index} has {len(sliver.data)} bytes instead of {size}")
        by_index[sliver.index] = sliver.data
    if len(by_index) < (needed := params.slivers_needed(axis)):
        raise DecodeError(f"{len(by_index)} distinct {axis.value} slivers, but {needed} are needed: collect more")
    backend_for(params).decode_into(axis, by_index, unencoded_length, out)
    return out[:unencoded_length]


def check_default(
    data: Buffer, metadata: BlobMetadata, params: CodeParams, received: Collection[SliverIndex] = ()
) -> None:
    """Checks that decoded bytes are what the systematic primary slivers of verified metadata commit to.

    Args:
        data: the decoded bytes.
        metadata: verified metadata of the blob.
        params: the code.
        received: primary slivers that were received and verified, and went into decoding; they are not checked again.

    Raises:
        InconsistentBlob: they are not, or the length is another.
        CodecError: the metadata is of another code than `params`.
    """
    check_same_code(metadata, params)
    view = memoryview(data).cast("B")
    if len(view) != metadata.unencoded_length:
        raise InconsistentBlob(f"decoded {len(view)} bytes, but the metadata tells {metadata.unencoded_length}")
    size = params.sliver_size(Axis.PRIMARY, len(view))
    wanted = sorted(set(range(params.k1)) - set(received))
    rows = [(index, _padded(view[index * size : (index + 1) * size], size)) for index in wanted]
    if wrong := backend_for(params).find_foreign(Axis.PRIMARY, rows, metadata):
        raise InconsistentBlob(
            f"decoded bytes differ from what the blob commits to in primary sliver {rows[wrong[0]][0]}: "
            f"its writer encoded it wrongly, it has no content"
        )


def check_strict(data: Buffer, blob_id: BlobId, params: CodeParams) -> None:
    """Checks that decoded bytes, encoded again, give the blob id.

    Raises:
        InconsistentBlob: they give another one.
    """
    check_same_id(backend_for(params).encode(data).metadata.blob_id(), blob_id)


def check_same_id(actual: BlobId, blob_id: BlobId) -> None:
    """The end of the strict check: compares the id of what was encoded again with that of the blob.

    Raises:
        InconsistentBlob: they differ.
    """
    if actual != blob_id:
        raise InconsistentBlob(
            f"decoded bytes belong to blob {blob_ids.to_text(actual)}, not to {blob_ids.to_text(blob_id)}: "
            f"its writer encoded it wrongly, it has no content"
        )


def _padded(part: memoryview, size: int) -> Buffer:
    return part if len(part) == size else bytes(part) + bytes(size - len(part))
