"""Sizes, against the published tables."""

import pytest

from walrus_codec.errors import BlobTooLarge, CodecError, ParamsError
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType


@pytest.mark.parametrize(
    ("n", "f", "k1", "k2", "max_blob_size"),
    [
        (4, 1, 2, 3, 393_204),
        (7, 2, 3, 5, 983_010),
        (10, 3, 4, 7, 1_834_952),
        (13, 4, 5, 9, 2_949_030),
        (16, 5, 6, 11, 4_325_244),
        (31, 10, 11, 21, 15_138_354),
        (100, 33, 34, 67, 149_286_452),
        (301, 100, 101, 201, 1_330_405_734),
        (1000, 333, 334, 667, 14_599_533_452),
    ],
)
def test_published_parameters(n: int, f: int, k1: int, k2: int, max_blob_size: int) -> None:
    params = CodeParams(n, EncodingType.RS2)
    assert (params.f, params.k1, params.k2, params.max_blob_size) == (f, k1, k2, max_blob_size)
    assert params.symbol_size(max_blob_size) == 65_534


@pytest.mark.parametrize(
    ("length", "encoded"),
    [
        (0, 66_034_000),
        (1, 66_034_000),
        (445_556, 66_034_000),
        (1_000_000, 70_038_000),
        (10_000_000, 110_078_000),
        (100_000_000, 514_482_000),
        (1_000_000_000, 4_558_522_000),
    ],
)
def test_published_encoded_lengths(length: int, encoded: int) -> None:
    assert CodeParams(1000, EncodingType.RS2).encoded_length(length) == encoded


def test_sliver_sizes() -> None:
    params = CodeParams(10, EncodingType.ISAL)
    assert [params.symbol_size(length) for length in (0, 1, 56, 57, 112, 113)] == [2, 2, 2, 4, 4, 6]
    assert params.sliver_size(Axis.PRIMARY, 57) == 7 * 4
    assert params.sliver_size(Axis.SECONDARY, 57) == 4 * 4
    assert params.padded_length(57) == 28 * 4
    assert params.source_symbols(Axis.PRIMARY) == params.slivers_needed(Axis.SECONDARY) == 7
    assert params.source_symbols(Axis.SECONDARY) == params.slivers_needed(Axis.PRIMARY) == 4


@pytest.mark.parametrize(
    ("n", "encoding", "limit"),
    [
        (3, EncodingType.RS2, 65_535),
        (0, EncodingType.ISAL, 253),
        (254, EncodingType.ISAL, 253),
        (-4, EncodingType.RS2, 65_535),
    ],
)
def test_a_code_that_does_not_exist_is_refused(n: int, encoding: EncodingType, limit: int) -> None:
    with pytest.raises(ParamsError, match=f"needs 4 to {limit} shards, not {n}"):
        CodeParams(n, encoding)


def test_a_blob_too_large_is_refused_with_the_limit() -> None:
    params = CodeParams(4, EncodingType.ISAL)
    with pytest.raises(BlobTooLarge, match="393204") as caught:
        params.symbol_size(393_205)
    assert (caught.value.length, caught.value.limit) == (393_205, 393_204)
    with pytest.raises(CodecError):
        params.symbol_size(-1)


@pytest.mark.parametrize(("encoding", "times"), [(EncodingType.ISAL, 3.5), (EncodingType.RS2, 6.6)])
@pytest.mark.parametrize("length", [32 << 20, 64 << 20, 149 * 10**6])
def test_a_writer_takes_a_known_multiple_of_a_large_blob(encoding: EncodingType, times: float, length: int) -> None:
    params = CodeParams(100, encoding)
    assert length < params.writing_memory(length) <= times * length
    with pytest.raises(BlobTooLarge):
        params.writing_memory(params.max_blob_size + 1)
