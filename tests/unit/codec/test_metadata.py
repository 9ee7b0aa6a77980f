"""Metadata: the wire form byte by byte, and what is refused."""

import dataclasses

import pytest

from walrus_codec import bcs, redstuff
from walrus_codec.errors import MetadataError, UnsupportedEncoding
from walrus_codec.metadata import BlobMetadata, SliverPairHashes, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, BlobId, EncodingType

BLOB = redstuff.encode(b"hello walrus", CodeParams(7, EncodingType.ISAL))


def hand_made(encoding: EncodingType) -> BlobMetadata:
    pairs = (SliverPairHashes(b"p" * 32, b"s" * 32), SliverPairHashes(b"q" * 32, b"t" * 32))
    return BlobMetadata(encoding, 5, pairs)


@pytest.mark.parametrize(("encoding", "number"), [(EncodingType.RS2, b"\x01"), (EncodingType.ISAL, b"\x80\x01")])
def test_wire_form(encoding: EncodingType, number: bytes) -> None:
    metadata = hand_made(encoding)
    wire = metadata.to_bcs()
    assert wire == (
        b"\0" + number + bcs.u64(5) + b"\x02"
        b"\x01" + b"p" * 32 + b"\x01" + b"s" * 32 + b"\x01" + b"q" * 32 + b"\x01" + b"t" * 32
    )
    assert BlobMetadata.from_bcs(memoryview(wire)) == metadata


def test_hashes_are_found_by_axis_and_index() -> None:
    metadata = hand_made(EncodingType.ISAL)
    assert [metadata.sliver_hash(Axis.PRIMARY, row) for row in (0, 1)] == [b"p" * 32, b"q" * 32]
    assert [metadata.sliver_hash(Axis.SECONDARY, column) for column in (0, 1)] == [b"t" * 32, b"s" * 32]


def test_malformed_bytes_are_refused() -> None:
    wire = BLOB.metadata.to_bcs()
    head = wire.index(BLOB.metadata.hashes[0].primary) - 1
    for bad, why in (
        (b"", "ends early"),
        (wire[:-1], "ends early"),
        (wire + b"\0", "left over"),
        (b"\x01" + wire[1:], "version 1"),
        (wire[:head] + b"\0" + wire[head + 1 :], "not a digest"),
        (wire[:head] + b"\x02" + wire[head + 1 :], "not a digest"),
        (b"\0\x01" + bcs.u64(0) + bcs.uleb(2**32 - 1), "ends early"),
    ):
        with pytest.raises(MetadataError, match=why):
            BlobMetadata.from_bcs(bad)


def test_an_unknown_encoding_has_its_own_error() -> None:
    with pytest.raises(UnsupportedEncoding, match="unknown encoding type 2"):
        BlobMetadata.from_bcs(b"\0\x02" + bcs.u64(0) + b"\0")


def test_metadata_must_give_the_blob_id() -> None:
    verify_metadata(BLOB.blob_id, BLOB.metadata, n_shards=7)
    with pytest.raises(MetadataError, match="belongs to blob"):
        verify_metadata(BlobId(bytes(32)), BLOB.metadata, n_shards=7)
    longer = dataclasses.replace(BLOB.metadata, unencoded_length=13)
    with pytest.raises(MetadataError, match="belongs to blob"):
        verify_metadata(BLOB.blob_id, longer, n_shards=7)
    other_code = dataclasses.replace(BLOB.metadata, encoding_type=EncodingType.RS2)
    with pytest.raises(MetadataError, match="belongs to blob"):
        verify_metadata(BLOB.blob_id, other_code, n_shards=7)


def test_metadata_must_fit_the_network() -> None:
    with pytest.raises(MetadataError, match="7 hash pairs, but there are 10 shards"):
        verify_metadata(BLOB.blob_id, BLOB.metadata, n_shards=10)
    with pytest.raises(MetadataError, match="4 to 253"):
        verify_metadata(BLOB.blob_id, BLOB.metadata, n_shards=1000)
    huge = dataclasses.replace(BLOB.metadata, unencoded_length=983_011)
    with pytest.raises(MetadataError, match="983011 bytes"):
        verify_metadata(huge.blob_id(), huge, n_shards=7)
