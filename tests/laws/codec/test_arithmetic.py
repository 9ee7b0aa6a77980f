"""Laws of the small arithmetic: quorums meet, pairs and shards correspond one to one, sizes fit."""

from hypothesis import given
from hypothesis import strategies as st
from tests.laws.codec.strategies import LAW, axes

from walrus_codec import blob_id, mapping, quorum
from walrus_codec.params import MAX_SYMBOL_SIZE, CodeParams
from walrus_codec.types import Axis, BlobId, EncodingType, PairIndex, ShardIndex, SliverIndex

shards = st.integers(4, 1000)
ids = st.binary(min_size=32, max_size=32).map(BlobId)


@LAW
@given(shards, st.data())
def test_two_quorums_share_an_honest_shard(n: int, draw: st.DataObject) -> None:
    f = quorum.max_faulty(n)
    one, other = (draw.draw(st.integers(quorum.quorum_weight(n), n)) for _ in range(2))
    assert one + other - n > f


@LAW
@given(shards, st.integers(0, 1000))
def test_weights_are_thresholds(n: int, weight: int) -> None:
    f = quorum.max_faulty(n)
    assert quorum.is_quorum(weight, n) == (weight >= quorum.quorum_weight(n))
    assert quorum.is_one_honest(weight, n) == (weight >= quorum.one_honest_weight(n))
    assert not quorum.is_one_honest(f, n)
    assert quorum.is_quorum(n - f, n)  # the honest shards alone can decide
    if n % 3 == 1:
        assert quorum.is_quorum(weight, n) == (weight > 2 * f)
        assert quorum.is_one_honest(weight, n) == (weight > f)


@LAW
@given(shards, ids)
def test_pairs_and_shards_correspond_one_to_one(n: int, ident: BlobId) -> None:
    stored_by = [mapping.shard_of_pair(PairIndex(pair), ident, n) for pair in range(n)]
    assert sorted(stored_by) == list(range(n))
    assert [mapping.pair_of_shard(shard, ident, n) for shard in stored_by] == list(range(n))
    assert mapping.pair_of_shard(ShardIndex(mapping.rotation_offset(ident, n)), ident, n) == 0


@LAW
@given(shards, axes)
def test_pairs_and_slivers_correspond_one_to_one(n: int, axis: Axis) -> None:
    stood_at = [mapping.sliver_of_pair(PairIndex(pair), axis, n) for pair in range(n)]
    assert sorted(stood_at) == list(range(n))
    assert [mapping.pair_of_sliver(SliverIndex(sliver), axis, n) for sliver in stood_at] == list(range(n))


@LAW
@given(ids)
def test_faces_of_a_blob_id_correspond_one_to_one(ident: BlobId) -> None:
    assert blob_id.parse(blob_id.to_text(ident)) == ident
    assert blob_id.from_int(blob_id.to_int(ident)) == ident


@LAW
@given(shards, st.floats(0, 1))
def test_every_blob_fits_its_symbols_with_less_than_two_bytes_to_spare_in_each(n: int, fraction: float) -> None:
    params = CodeParams(n, EncodingType.RS2)
    length = int(params.max_blob_size * fraction)
    size, symbols = params.symbol_size(length), params.k1 * params.k2
    assert size % 2 == 0
    assert 2 <= size <= MAX_SYMBOL_SIZE
    assert symbols * (size - 2) < max(length, 1) <= symbols * size == params.padded_length(length)
    stored = sum(params.sliver_size(axis, length) for axis in Axis)
    assert params.encoded_length(length) == n * (stored + 64 * n + 32)


@LAW
@given(shards)
def test_what_one_axis_stores_the_other_decodes(n: int) -> None:
    params = CodeParams(n, EncodingType.RS2)
    for axis in Axis:
        assert params.source_symbols(axis) == params.slivers_needed(axis.orthogonal)
    assert params.k1 + 2 * params.f == params.k2 + params.f == n
    assert params.k1 > params.f  # f faulty shards cannot make up a blob
