"""Laws of verification: what was changed anywhere, in a sliver or in metadata, is refused, and only that."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.codec.strategies import FEW, LAW, axes, blobs, params, slivers

from walrus_codec import redstuff
from walrus_codec.errors import BadSlivers, MetadataError, SliverError
from walrus_codec.mapping import pair_of_sliver
from walrus_codec.metadata import BlobMetadata, verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_sliver, verify_slivers
from walrus_codec.types import Axis, SliverIndex


def flip(data: bytes, draw: st.DataObject) -> bytes:
    at = draw.draw(st.integers(0, len(data) - 1), label="byte")
    return data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255), label="change")]) + data[at + 1 :]


@LAW
@given(params, axes, blobs(), st.data())
def test_a_sliver_with_a_changed_byte_is_refused(
    code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject
) -> None:
    encoded = redstuff.encode(data, code)
    index = draw.draw(st.integers(0, code.n_shards - 1))
    pair = pair_of_sliver(SliverIndex(index), axis, code.n_shards)
    wire = slivers(encoded, axis)[index].to_bcs()
    verify_sliver(Sliver.from_bcs(axis, wire), pair, encoded.metadata, code)
    with pytest.raises(SliverError):
        verify_sliver(Sliver.from_bcs(axis, flip(wire, draw)), pair, encoded.metadata, code)


@LAW
@given(params, blobs(), st.data())
def test_metadata_with_a_changed_byte_is_refused(code: CodeParams, data: bytes, draw: st.DataObject) -> None:
    encoded = redstuff.encode(data, code)
    wire = encoded.metadata.to_bcs()
    verify_metadata(encoded.blob_id, BlobMetadata.from_bcs(wire), n_shards=code.n_shards)
    with pytest.raises(MetadataError):
        verify_metadata(encoded.blob_id, BlobMetadata.from_bcs(flip(wire, draw)), n_shards=code.n_shards)


@LAW
@given(params, axes, blobs(), st.data())
def test_truncated_or_longer_input_is_refused(code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject) -> None:
    encoded = redstuff.encode(data, code)
    for wire, read in (
        (encoded.metadata.to_bcs(), BlobMetadata.from_bcs),
        (slivers(encoded, axis)[0].to_bcs(), lambda raw: Sliver.from_bcs(axis, raw)),
    ):
        assert read(wire).to_bcs() == wire  # type: ignore[no-untyped-call]
        for bad in (
            wire[: draw.draw(st.integers(0, len(wire) - 1))],
            wire + draw.draw(st.binary(min_size=1, max_size=9)),
        ):
            with pytest.raises((MetadataError, SliverError)):
                read(bad)  # type: ignore[no-untyped-call]


@FEW
@given(params, blobs(), st.data())
def test_a_batch_finds_exactly_the_changed_slivers(code: CodeParams, data: bytes, draw: st.DataObject) -> None:
    encoded = redstuff.encode(data, code)
    batch = [(pair.index, sliver) for pair in encoded.pairs for sliver in (pair.primary, pair.secondary)]
    bad = draw.draw(st.sets(st.integers(0, len(batch) - 1), max_size=6))
    for position in bad:
        pair, sliver = batch[position]
        batch[position] = (pair, dataclasses.replace(sliver, data=flip(bytes(sliver.data), draw)))
    if bad:
        with pytest.raises(BadSlivers) as caught:
            verify_slivers(batch, encoded.metadata, code)
        assert set(caught.value.faults) == bad
    else:
        verify_slivers(batch, encoded.metadata, code)


@LAW
@given(st.binary(max_size=300), axes)
def test_arbitrary_bytes_are_read_or_refused(data: bytes, axis: Axis) -> None:
    for read, error in ((BlobMetadata.from_bcs, MetadataError), (lambda raw: Sliver.from_bcs(axis, raw), SliverError)):
        try:
            value = read(data)  # type: ignore[no-untyped-call]
        except error:
            continue
        assert value.to_bcs() == data
