"""Laws of loss, over small and large codes: whatever f and 2f shards lose, the others give the blob and every sliver back.

Lengths lie where the symbol size changes; the slow twin stands beside the codec also where it takes its time.
"""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.codec import dumb
from tests.laws.codec.strategies import axes, slivers, twin_of
from tests.laws.codec.test_recovery import symbols_of

from walrus_codec import recovery, redstuff
from walrus_codec.errors import BlobTooLarge, DecodeError, MetadataError, SliverError, SymbolError
from walrus_codec.mapping import pair_of_sliver, secondary_index
from walrus_codec.metadata import verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.recovery import RecoverySymbol
from walrus_codec.slivers import verify_sliver
from walrus_codec.types import Axis, EncodingType, PairIndex, SliverIndex

ENCODINGS = list(EncodingType)
rngs = st.builds(random.Random, st.integers(0, 2**32))
"""Seeded, not drawn bit by bit: contents shall be random, without equal symbols that could stand for each other."""


def length_at_an_edge(code: CodeParams, rng: random.Random, most: int) -> int:
    """Nothing, one byte, or what fills symbols of some size exactly, one byte less or more."""
    full = code.k1 * code.k2 * 2 * rng.randint(1, most)
    return rng.choice([0, 1, full - 1, full, full + 1])


def some_code(rng: random.Random, largest: int) -> CodeParams:
    return CodeParams(rng.randint(4, largest), rng.choice(ENCODINGS))


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda code: code.label)
@pytest.mark.parametrize(("n", "symbols"), [(4, 3), (10, 3), (20, 2), (49, 1), (100, 1)])
def test_every_byte_equals_the_twins_where_the_symbol_size_changes(
    encoding: EncodingType, n: int, symbols: int
) -> None:
    code, rng = CodeParams(n, encoding), random.Random(n)
    full = code.k1 * code.k2 * 2 * symbols
    for length in (full, full + 1, full - 1, 0, 1) if n < 49 else (full,):
        data = rng.randbytes(length)
        encoded, twin = redstuff.encode(data, code), dumb.encode(data, n, twin_of(encoding))
        assert (encoded.blob_id, encoded.metadata.root()) == (twin.blob_id, twin.root)
        assert [(pair.primary, pair.secondary) for pair in encoded.metadata.hashes] == twin.hashes
        assert [bytes(sliver.data) for sliver in slivers(encoded, Axis.PRIMARY)] == twin.primary
        assert [bytes(sliver.data) for sliver in slivers(encoded, Axis.SECONDARY)] == twin.secondary


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda code: code.label)
@pytest.mark.parametrize("n", [4, 7])
def test_the_largest_blob_is_encoded_as_the_twin_does_and_one_byte_more_is_refused(
    encoding: EncodingType, n: int
) -> None:
    code, rng = CodeParams(n, encoding), random.Random(n)
    data = rng.randbytes(code.max_blob_size)
    encoded = redstuff.encode(data, code)
    with pytest.raises(BlobTooLarge):
        redstuff.encode(data + b"\0", code)
    last = slivers(encoded, Axis.PRIMARY)[n - 1]
    row = rng.randrange(code.k1)
    source = [bytes(sliver.data) for sliver in slivers(encoded, Axis.PRIMARY)[: code.k1]]
    assert b"".join(source) == data
    size = encoded.pairs[0].primary.symbol_size
    column = [body[row * size : (row + 1) * size] for body in source]
    assert twin_of(encoding).expand(column, n)[n - 1] == bytes(last.data)[row * size : (row + 1) * size]
    for axis in Axis:
        chosen = rng.sample(slivers(encoded, axis), code.slivers_needed(axis))
        assert redstuff.decode(chosen, len(data), code) == data


@settings(deadline=None, max_examples=30)
@given(rngs)
def test_any_k1_shards_give_back_the_blob_and_every_sliver_of_all_others(rng: random.Random) -> None:
    """What is left when 2f shards are gone: first the secondary slivers, and from these the primary ones."""
    code = some_code(rng, largest=60)
    n, data = code.n_shards, rng.randbytes(length_at_an_edge(code, rng, 2))
    encoded = redstuff.encode(data, code)
    left = sorted(rng.sample(range(n), code.k1))
    lost = sorted(set(range(n)) - set(left))
    assert redstuff.decode([encoded.pairs[pair].primary for pair in left], len(data), code) == data
    with pytest.raises(DecodeError):
        redstuff.decode([encoded.pairs[pair].primary for pair in left[1:]], len(data), code)

    columns = [secondary_index(PairIndex(pair), n) for pair in lost]
    found = recovery.recover(symbols_of(encoded, Axis.SECONDARY, columns, left, code), encoded.metadata, code)
    assert found == [slivers(encoded, Axis.SECONDARY)[column] for column in sorted(columns)]
    sources = rng.sample(range(n), code.k2)
    found = recovery.recover(symbols_of(encoded, Axis.PRIMARY, lost, sources, code), encoded.metadata, code)
    assert found == [slivers(encoded, Axis.PRIMARY)[row] for row in lost]


@pytest.mark.parametrize("code", [CodeParams(253, EncodingType.ISAL), CodeParams(1000, EncodingType.RS2)])
def test_the_largest_networks_decode_and_recover_from_random_shards(code: CodeParams) -> None:
    n, rng = code.n_shards, random.Random(7)
    data = rng.randbytes(code.k1 * code.k2 * 2 - 5)
    encoded = redstuff.encode(data, code)
    for axis in Axis:
        everything = slivers(encoded, axis)
        assert redstuff.decode(rng.sample(everything, code.slivers_needed(axis)), len(data), code) == data
        targets, sources = sorted(rng.sample(range(n), 2)), rng.sample(range(n), code.source_symbols(axis))
        symbols = symbols_of(encoded, axis, targets, sources, code)
        for symbol in rng.sample(symbols, 50):
            recovery.verify_symbol(symbol, encoded.metadata, code)
        assert recovery.recover(symbols, encoded.metadata, code) == [everything[target] for target in targets]


@settings(deadline=None, max_examples=50)
@given(rngs, axes)
def test_what_is_exchanged_for_something_that_is_good_elsewhere_is_found(rng: random.Random, axis: Axis) -> None:
    """Every part is an honest one, of another place or of the other axis; the blob has no padding, whose cells are equal."""
    code = some_code(rng, largest=40)
    n, data = code.n_shards, rng.randbytes(4 * code.k1 * code.k2)
    encoded = redstuff.encode(data, code)
    metadata, everything = encoded.metadata, slivers(encoded, axis)
    at, other = rng.sample(range(n), 2)
    pair, other_pair = (pair_of_sliver(SliverIndex(index), axis, n) for index in (at, other))

    (symbol,) = symbols_of(encoded, axis, [at], [other], code)
    (beside,) = symbols_of(encoded, axis, [at], [(other + 1) % n], code)
    (below,) = symbols_of(encoded, axis, [other], [other], code)
    (across,) = symbols_of(encoded, axis.orthogonal, [at], [other], code)
    exchanged: list[RecoverySymbol] = [
        dataclasses.replace(symbol, **{part: getattr(stranger, part)})
        for stranger in (beside, below, across)
        for part in ("axis", "target", "source", "data", "proof")
        if getattr(stranger, part) != getattr(symbol, part)
    ]
    recovery.verify_symbol(symbol, metadata, code)
    for wrong in exchanged:
        with pytest.raises(SymbolError):
            recovery.verify_symbol(wrong, metadata, code)

    for sliver in (
        everything[other],
        dataclasses.replace(everything[at], data=everything[other].data),
        dataclasses.replace(slivers(encoded, axis.orthogonal)[at], axis=axis),
        dataclasses.replace(everything[at], data=bytes(reversed(everything[at].data))),
    ):
        with pytest.raises(SliverError):
            verify_sliver(sliver, pair, metadata, code)

    hashes = list(metadata.hashes)
    hashes[pair], hashes[other_pair] = hashes[other_pair], hashes[pair]
    turned = [dataclasses.replace(hash_, primary=hash_.secondary, secondary=hash_.primary) for hash_ in metadata.hashes]
    one_turned = [*metadata.hashes[:pair], turned[pair], *metadata.hashes[pair + 1 :]]
    for changed in (hashes, turned, one_turned, metadata.hashes[:-1], [*metadata.hashes, metadata.hashes[0]]):
        with pytest.raises(MetadataError):
            verify_metadata(encoded.blob_id, dataclasses.replace(metadata, hashes=tuple(changed)), n_shards=n)
    for length in (len(data) - 1, len(data) + 1, code.max_blob_size + 1):
        with pytest.raises(MetadataError):
            verify_metadata(encoded.blob_id, dataclasses.replace(metadata, unencoded_length=length), n_shards=n)
