"""Shards and pairs, on blob ids whose offset is known."""

import pytest

from walrus_codec import blob_id, mapping
from walrus_codec.errors import IndexOutOfRange
from walrus_codec.types import Axis, BlobId, PairIndex, ShardIndex, SliverIndex


def test_the_offset_reads_the_bytes_big_endian() -> None:
    assert mapping.rotation_offset(BlobId(bytes(31) + b"\x05"), 7) == 5
    assert mapping.rotation_offset(BlobId(b"\x05" + bytes(31)), 7) == 5 * pow(256, 31, 7) % 7
    assert mapping.rotation_offset(blob_id.parse("9IBeohYUQVWEzuRD9p4byabPLA8J69hxnJZyLei3W-k"), 10) == 9


def test_pairs_are_rotated_over_shards() -> None:
    ident = BlobId(bytes(31) + b"\x08")
    assert [mapping.shard_of_pair(PairIndex(pair), ident, 10) for pair in range(10)] == [8, 9, 0, 1, 2, 3, 4, 5, 6, 7]
    assert [mapping.pair_of_shard(ShardIndex(shard), ident, 10) for shard in range(10)] == [
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        0,
        1,
    ]


def test_secondary_slivers_count_backwards() -> None:
    assert mapping.secondary_index(PairIndex(0), 10) == 9
    assert mapping.sliver_of_pair(PairIndex(3), Axis.PRIMARY, 10) == 3
    assert mapping.sliver_of_pair(PairIndex(3), Axis.SECONDARY, 10) == 6
    assert mapping.pair_of_sliver(SliverIndex(6), Axis.SECONDARY, 10) == 3


@pytest.mark.parametrize("index", [-1, 10])
def test_indices_beyond_the_shards_are_refused(index: int) -> None:
    for call in (
        lambda: mapping.shard_of_pair(PairIndex(index), BlobId(bytes(32)), 10),
        lambda: mapping.pair_of_shard(ShardIndex(index), BlobId(bytes(32)), 10),
        lambda: mapping.secondary_index(PairIndex(index), 10),
        lambda: mapping.sliver_of_pair(PairIndex(index), Axis.PRIMARY, 10),
        lambda: mapping.pair_of_sliver(SliverIndex(index), Axis.SECONDARY, 10),
    ):
        with pytest.raises(IndexOutOfRange, match="number of shards, 10"):
            call()
