"""Laws of decoding: any slivers that suffice give the blob, and what a bad writer commits to is found out."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.codec import dumb
from tests.laws.codec.strategies import FEW, LAW, axes, blobs, params, slivers, twin_of

from walrus_codec import redstuff
from walrus_codec.errors import DecodeError, InconsistentBlob
from walrus_codec.metadata import BlobMetadata, SliverPairHashes
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_sliver
from walrus_codec.types import Axis, PairIndex, SliverIndex


@LAW
@given(params, axes, blobs(), st.randoms(use_true_random=False))
def test_any_slivers_that_suffice_decode(code: CodeParams, axis: Axis, data: bytes, rng: object) -> None:
    encoded = redstuff.encode(data, code)
    chosen = rng.sample(slivers(encoded, axis), code.slivers_needed(axis))  # type: ignore[attr-defined]
    assert redstuff.decode(chosen, len(data), code) == data


@FEW
@given(params, axes, blobs(), st.data())
def test_more_slivers_do_no_harm_and_fewer_are_refused(
    code: CodeParams, axis: Axis, data: bytes, draw: st.DataObject
) -> None:
    everything = slivers(redstuff.encode(data, code), axis)
    needed = code.slivers_needed(axis)
    count = draw.draw(st.integers(1, code.n_shards))
    chosen = draw.draw(st.permutations(everything))[:count]
    if count >= needed:
        assert redstuff.decode(chosen, len(data), code) == data
    else:
        with pytest.raises(DecodeError):
            redstuff.decode(chosen, len(data), code)


@FEW
@given(params, blobs(), st.data())
def test_a_row_that_is_no_codeword_is_found_out(code: CodeParams, data: bytes, draw: st.DataObject) -> None:
    """A bad writer commits to a foreign row: it verifies, but a reader who decodes from it gets no bytes."""
    encoded = redstuff.encode(data, code)
    row = draw.draw(st.integers(0, code.n_shards - 1))
    good = bytes(encoded.pairs[row].primary.data)
    foreign = bytes([good[0] ^ 1]) + good[1:]
    metadata = with_row(code, encoded.metadata, row, foreign)
    sliver = Sliver(Axis.PRIMARY, SliverIndex(row), encoded.pairs[row].primary.symbol_size, foreign)
    verify_sliver(sliver, PairIndex(row), metadata, code)

    others = [pair.primary for pair in encoded.pairs if pair.index != row]
    decoded = redstuff.decode([sliver, *others[-(code.k1 - 1) :]], len(data), code)
    strict_fails = raises_inconsistent(lambda: redstuff.check_strict(decoded, metadata.blob_id(), code))
    default_fails = raises_inconsistent(lambda: redstuff.check_default(decoded, metadata, code))
    assert strict_fails
    # The default check sees systematic rows only: it fails when those of the decoded bytes are not the committed ones.
    assert default_fails == (dumb_rows(code, decoded)[: code.k1] != committed_rows(metadata)[: code.k1])


@FEW
@given(params, blobs(), st.data())
def test_a_foreign_parity_row_does_not_disturb_readers_of_systematic_ones(
    code: CodeParams, data: bytes, draw: st.DataObject
) -> None:
    encoded = redstuff.encode(data, code)
    row = draw.draw(st.integers(code.k1, code.n_shards - 1))
    good = bytes(encoded.pairs[row].primary.data)
    metadata = with_row(code, encoded.metadata, row, bytes([good[0] ^ 1]) + good[1:])
    systematic = [pair.primary for pair in encoded.pairs[: code.k1]]
    decoded = redstuff.decode(systematic, len(data), code)
    redstuff.check_default(decoded, metadata, code)
    assert raises_inconsistent(lambda: redstuff.check_strict(decoded, metadata.blob_id(), code))


def with_row(code: CodeParams, metadata: BlobMetadata, row: int, sliver: bytes) -> BlobMetadata:
    """Metadata of a writer who commits to `sliver` as a primary sliver, whatever the blob is."""
    hashes = list(metadata.hashes)
    hashes[row] = SliverPairHashes(row_root(code, sliver), hashes[row].secondary)
    return dataclasses.replace(metadata, hashes=tuple(hashes))


def row_root(code: CodeParams, sliver: bytes) -> bytes:
    size = len(sliver) // code.k2
    symbols = [sliver[at : at + size] for at in range(0, len(sliver), size)]
    return dumb.merkle_root(twin_of(code.encoding).expand(symbols, code.n_shards))


def dumb_rows(code: CodeParams, data: bytes) -> list[bytes]:
    return [primary for primary, _ in dumb.encode(data, code.n_shards, twin_of(code.encoding)).hashes]


def committed_rows(metadata: BlobMetadata) -> list[bytes]:
    return [pair.primary for pair in metadata.hashes]


def raises_inconsistent(check: object) -> bool:
    try:
        check()  # type: ignore[operator]
    except InconsistentBlob:
        return True
    return False
