"""Shared memory is used again when nobody looks at it any more, and never before."""

import itertools

import pytest

from walrus_client.compute import Compute
from walrus_client.compute.keeping import SegmentKeeper
from walrus_client.compute.sharing import _shrinking
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType

ISAL = CodeParams(10, EncodingType.ISAL)
MIB = 1 << 20


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    keeper = SegmentKeeper(most=8 * MIB)
    segment = keeper.take(MIB, room=4 * MIB)
    segment.resize(4 * MIB)
    segment.view[-3:] = b"abc"
    part = segment.view[-3:].toreadonly()
    segment.close()
    assert (keeper.kept, keeper.idle) == (0, False), "a view is left"
    other = keeper.take(4 * MIB)
    other.view[-3:] = b"xyz"
    assert bytes(part) == b"abc"
    del part
    assert keeper.kept == 4 * MIB
    again = keeper.take(3 * MIB)
    assert keeper.kept == 0
    assert again.size == len(again.view) == 3 * MIB
    with pytest.raises(ValueError, match="room for 4194304 bytes, not for 4194305"):
        again.resize(4 * MIB + 1)


@pytest.mark.parametrize("wanted", [MIB, 4 * MIB + 1])
def test_memory_that_is_too_small_or_far_too_large_is_left_alone(wanted: int) -> None:
    keeper = SegmentKeeper(most=16 * MIB)
    keeper.take(4 * MIB).close()
    segment = keeper.take(wanted)
    assert keeper.kept == 4 * MIB
    segment.close()
    assert keeper.kept == 4 * MIB + wanted


def test_no_more_is_kept_than_was_allowed_and_nothing_after_the_end() -> None:
    keeper = SegmentKeeper(most=8 * MIB)
    segments = [keeper.take(3 * MIB) for _ in range(4)]
    keeper.take(8 * MIB + 1).close()
    assert keeper.kept == 0, "too large to be kept at all"
    for segment in segments[:3]:
        segment.close()
    assert keeper.kept == 6 * MIB
    keeper.drop()
    assert keeper.kept == 0
    keeper.drop(for_good=True)
    segments[3].close()
    assert keeper.idle


async def test_an_encoding_in_used_memory_is_as_good_as_one_in_fresh_memory() -> None:
    compute = Compute(workers=2, inline_limit_s=0.0)
    try:
        largest = b"\xff" * 600_000
        await compute.encode(largest, ISAL)  # its result is dropped at once, and its memory full of ones
        for length in (599_999, 450_001):
            data = largest[:length]
            segment = await compute.segment(length, ISAL)
            segment.view[:] = data
            assert (await compute.encode(segment, ISAL)).metadata == redstuff.encode(data, ISAL).metadata
            assert (await compute.encode(data, ISAL)).metadata == redstuff.encode(data, ISAL).metadata
    finally:
        await compute.close()


@pytest.mark.parametrize("count", [0, 1, 2, 34, 67, 100, 1000])
@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("smallest", [1, 5, 1000])
def test_ranges_shrink_and_cover_everything_once(count: int, workers: int, smallest: int) -> None:
    ranges = list(_shrinking(count, workers, smallest=smallest))
    assert list(itertools.chain.from_iterable(range(*entry) for entry in ranges)) == list(range(count))
    sizes = [last - first for first, last in ranges]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size <= -(-count // workers) for size in sizes)
