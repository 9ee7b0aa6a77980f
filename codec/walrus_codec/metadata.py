"""Blob metadata: what a node must hold before it accepts a sliver, and what a reader checks slivers against.

    variant   0 (V1)                 uleb
    encoding  1 RS2, 128 ISAL        uleb
    length    of the content         u64
    hashes    count n                uleb
              n × (01 primary 32, 01 secondary 32)      in pair order

`primary` is the Merkle root over the n symbols of the fully expanded row i, `secondary` the one of column n − 1 − i. The
blob's own root has one leaf per pair, `primary | secondary`, and goes into the blob id. So metadata that gives the blob
id back is the writer's own, whoever sent it.

BCS knows an empty Merkle node (variant 0) too; no expanded sliver has one as its root, so it is refused here.
"""

from dataclasses import dataclass

from walrus_codec import bcs, merkle
from walrus_codec import blob_id as blob_ids
from walrus_codec.errors import BcsError, CodecError, MetadataError
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, BlobId, Buffer, EncodingType

_V1 = 0
_DIGEST = 1
_PAIR_SIZE = 2 * (1 + merkle.NODE_SIZE)

__all__ = ["BlobMetadata", "MetadataError", "SliverPairHashes", "check_same_code", "verify_metadata"]


@dataclass(frozen=True, slots=True)
class SliverPairHashes:
    """The Merkle roots, 32 bytes each, of the two slivers of a pair."""

    primary: bytes
    secondary: bytes


@dataclass(frozen=True, slots=True)
class BlobMetadata:
    """The commitments of one encoded blob; `hashes` is in pair order and has one entry per shard."""

    encoding_type: EncodingType
    unencoded_length: int
    hashes: tuple[SliverPairHashes, ...]

    def sliver_hash(self, axis: Axis, index: int) -> bytes:
        """The Merkle root that the sliver at this row or column must have, 32 bytes."""
        if axis is Axis.PRIMARY:
            return self.hashes[index].primary
        return self.hashes[len(self.hashes) - 1 - index].secondary

    def to_bcs(self) -> bytes:
        """The form that nodes store and exchange (without the blob id)."""
        parts = [
            bcs.uleb(_V1),
            bcs.uleb(self.encoding_type),
            bcs.u64(self.unencoded_length),
            bcs.uleb(len(self.hashes)),
        ]
        for pair in self.hashes:
            parts += (b"\x01", pair.primary, b"\x01", pair.secondary)
        return b"".join(parts)

    @classmethod
    def from_bcs(cls, data: Buffer) -> "BlobMetadata":
        """Reads the form of `to_bcs`; the content is not checked against any blob id.

        Raises:
            UnsupportedEncoding: the encoding is unknown.
            MetadataError: the bytes are not metadata.
        """
        try:
            reader = bcs.Reader(data)
            if (variant := reader.uleb()) != _V1:
                raise MetadataError(f"metadata of unknown version {variant}: this release knows version 0")
            encoding_type = EncodingType.from_byte(reader.uleb())
            length = reader.u64()
            count = reader.uleb()
            body = reader.fixed(count * _PAIR_SIZE)
            reader.finish()
        except BcsError as error:
            raise MetadataError(f"malformed metadata: {error}") from error
        half = _PAIR_SIZE // 2
        if set(body[::half]) - {_DIGEST}:
            raise MetadataError("malformed metadata: a sliver hash is not a digest")
        return cls(
            encoding_type,
            length,
            tuple(
                SliverPairHashes(body[at + 1 : at + half], body[at + half + 1 : at + _PAIR_SIZE])
                for at in range(0, len(body), _PAIR_SIZE)
            ),
        )

    def root(self) -> bytes:
        """The blob's Merkle root, 32 bytes."""
        return merkle.root(merkle.leaves(pair.primary + pair.secondary for pair in self.hashes))

    def blob_id(self) -> BlobId:
        """The only blob id that this metadata fits to."""
        return blob_ids.compute(self.root(), self.encoding_type, self.unencoded_length)


def verify_metadata(blob_id: BlobId, metadata: BlobMetadata, *, n_shards: int) -> None:
    """Checks metadata from an untrusted source against the blob id.

    Raises:
        MetadataError: not one hash pair per shard, a length that cannot be encoded, or another blob's metadata.
    """
    try:
        params = CodeParams(n_shards, metadata.encoding_type)
    except CodecError as error:
        raise MetadataError(str(error)) from error
    if len(metadata.hashes) != n_shards:
        raise MetadataError(f"metadata has {len(metadata.hashes)} hash pairs, but there are {n_shards} shards")
    if metadata.unencoded_length > params.max_blob_size:
        raise MetadataError(
            f"metadata tells {metadata.unencoded_length} bytes, but the largest blob has {params.max_blob_size}"
        )
    if (actual := metadata.blob_id()) != blob_id:
        raise MetadataError(f"metadata belongs to blob {blob_ids.to_text(actual)}, not to {blob_ids.to_text(blob_id)}")


def check_same_code(metadata: BlobMetadata, params: CodeParams) -> None:
    """Guards against verified metadata being used with the parameters of another network.

    Raises:
        CodecError: the encoding or the number of shards differs.
    """
    if metadata.encoding_type is not params.encoding or len(metadata.hashes) != params.n_shards:
        raise CodecError(
            f"metadata of {metadata.encoding_type.label} over {len(metadata.hashes)} shards cannot be used with "
            f"{params.encoding.label} over {params.n_shards}"
        )
