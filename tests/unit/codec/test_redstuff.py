"""Whole blobs: round trips, refusals, consistency checks, and encoding shared by several workers."""

import dataclasses
import pickle

import pytest

from walrus_codec import blob_id, redstuff
from walrus_codec.backend import backend_for
from walrus_codec.errors import BadSlivers, BlobTooLarge, CodecError, DecodeError, InconsistentBlob, SliverIndexMismatch
from walrus_codec.matrix import Encoding, IsalBackend
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import Axis, Buffer, EncodingType, SliverIndex

ISAL, RS2 = EncodingType.ISAL, EncodingType.RS2
BOTH = [CodeParams(10, ISAL), CodeParams(10, RS2)]


def pattern(size: int) -> bytes:
    return bytes((i * 167 + (i >> 8)) & 255 for i in range(size))


def slivers(encoded: redstuff.EncodedBlob, axis: Axis) -> list[Sliver]:
    """All n slivers of an axis in index order."""
    found = [pair.primary if axis is Axis.PRIMARY else pair.secondary for pair in encoded.pairs]
    return sorted(found, key=lambda sliver: sliver.index)


@pytest.mark.parametrize("encoding", [ISAL, RS2])
@pytest.mark.parametrize("n", [4, 5, 6, 7, 10, 31, 100])
@pytest.mark.parametrize("length", [0, 1, 444, 70_001])
def test_a_blob_comes_back_from_parity_alone(encoding: EncodingType, n: int, length: int) -> None:
    params, data = CodeParams(n, encoding), pattern(length)
    encoded = redstuff.encode(data, params)
    assert len(encoded.pairs) == len(encoded.metadata.hashes) == n
    for axis in Axis:
        parity = slivers(encoded, axis)[-params.slivers_needed(axis) :]
        assert redstuff.decode(parity, length, params) == data
        assert redstuff.decode({sliver.index: sliver for sliver in parity}, length, params) == data
    redstuff.check_default(data, encoded.metadata, params)
    redstuff.check_strict(data, encoded.blob_id, params)


@pytest.mark.parametrize(("encoding", "n"), [(ISAL, 4), (RS2, 4), (ISAL, 253)])
def test_the_largest_and_widest_codes_work(encoding: EncodingType, n: int) -> None:
    params = CodeParams(n, encoding)
    data = pattern(params.max_blob_size if n == 4 else 300_000)
    encoded = redstuff.encode(data, params)
    verify_slivers(
        [(pair.index, sliver) for pair in encoded.pairs for sliver in (pair.primary, pair.secondary)],
        encoded.metadata,
        params,
    )
    for axis in Axis:
        assert redstuff.decode(slivers(encoded, axis)[::-1][: params.slivers_needed(axis)], len(data), params) == data


def test_isal_blob_ids_stay_what_they_are() -> None:
    """Stored blobs depend on it: another value means that the format has changed."""
    encoded = redstuff.encode(b"walrus blob id v1 regression test", CodeParams(10, ISAL))
    assert blob_id.to_text(encoded.blob_id) == "0EQVSMn4v-m8MqgsbAdxI9GQK1vDLGqJjd9wBiwxHxY"


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_the_systematic_slivers_hold_the_blob(params: CodeParams) -> None:
    data = pattern(params.padded_length(2000))
    encoded = redstuff.encode(data, params)
    assert b"".join(sliver.data for sliver in slivers(encoded, Axis.PRIMARY)[: params.k1]) == data


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_every_kind_of_buffer_gives_the_same(params: CodeParams) -> None:
    data = pattern(1234)
    expected = redstuff.encode(data, params)
    kinds: list[Buffer] = [bytearray(data), memoryview(data), memoryview(b"x" + data + b"x")[1:-1]]
    for kind in kinds:
        assert redstuff.encode(kind, params).blob_id == expected.blob_id
        redstuff.check_default(kind, expected.metadata, params)
        redstuff.check_strict(kind, expected.blob_id, params)


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_decoding_into_memory_of_the_caller(params: CodeParams) -> None:
    data = pattern(1234)
    parity = slivers(redstuff.encode(data, params), Axis.PRIMARY)[-params.k1 :]
    room = bytearray(params.padded_length(len(data)) + 10)
    assert redstuff.decode_into(parity, len(data), params, memoryview(room)) == data
    assert room.startswith(data)
    with pytest.raises(CodecError, match="needs a buffer of"):
        redstuff.decode_into(parity, len(data), params, memoryview(bytearray(len(data) - 1)))


def test_pairs_are_a_sequence() -> None:
    encoded = redstuff.encode(b"abc", BOTH[0])
    assert [pair.index for pair in encoded.pairs] == list(range(10))
    assert [pair.secondary.index for pair in encoded.pairs[2:4]] == [7, 6]
    assert encoded.pairs[-1] == encoded.pairs[9]
    with pytest.raises(IndexError):
        encoded.pairs[10]


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_a_blob_too_large_is_refused(params: CodeParams) -> None:
    with pytest.raises(BlobTooLarge, match="at most 1834952"):
        redstuff.encode(bytes(params.max_blob_size + 1), params)


@pytest.mark.parametrize("params", BOTH, ids=str)
@pytest.mark.parametrize("axis", list(Axis))
def test_slivers_that_cannot_decode_are_refused(params: CodeParams, axis: Axis) -> None:
    data = pattern(500)
    encoded = redstuff.encode(data, params)
    enough = slivers(encoded, axis)[-params.slivers_needed(axis) :]
    other = slivers(encoded, axis.orthogonal)[0]
    short = dataclasses.replace(enough[0], data=enough[0].data[:-2])
    beyond = dataclasses.replace(enough[0], index=SliverIndex(10))
    for given, why in (
        ([], "of 0"),
        (enough[1:], "are needed: collect more"),
        ([*enough[1:], enough[1]], "distinct"),
        ([*enough, other], "one axis"),
        ([*enough[1:], short], "bytes instead of"),
        ([*enough[1:], beyond], "not below the number of shards"),
    ):
        with pytest.raises(DecodeError, match=why):
            redstuff.decode(given, len(data), params)
    with pytest.raises(BlobTooLarge):
        redstuff.decode(enough, params.max_blob_size + 1, params)


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_wrong_bytes_do_not_pass_the_consistency_checks(params: CodeParams) -> None:
    data = pattern(500)
    encoded = redstuff.encode(data, params)
    wrong = data[:-1] + b"\xff"
    with pytest.raises(InconsistentBlob, match="primary sliver 3"):
        redstuff.check_default(wrong, encoded.metadata, params)
    with pytest.raises(InconsistentBlob, match="decoded 499 bytes"):
        redstuff.check_default(data[:-1], encoded.metadata, params)
    with pytest.raises(InconsistentBlob, match="belong to blob"):
        redstuff.check_strict(wrong, encoded.blob_id, params)


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_received_slivers_are_not_checked_again(params: CodeParams) -> None:
    data = pattern(500)
    encoded = redstuff.encode(data, params)
    wrong = data[:-1] + b"\xff"
    redstuff.check_default(wrong, encoded.metadata, params, received={SliverIndex(3)})
    redstuff.check_default(data, encoded.metadata, params, received=[SliverIndex(index) for index in range(10)])


def test_workers_may_share_one_encoding_in_any_order() -> None:
    params, data = CodeParams(10, ISAL), pattern(40_000)
    backend = backend_for(params)
    assert isinstance(backend, IsalBackend)
    memory = memoryview(bytearray(b"\xee" * Encoding.size_of(params, len(data))))
    workers = [Encoding(backend, len(data), memory) for _ in range(3)]
    workers[0].load(data)
    for step, ranges in (
        ("extend_rows", [(2, 4), (0, 2)]),
        ("expand_columns", [(6, 10), (0, 1), (1, 6)]),
        ("commit_rows", [(5, 10), (0, 5)]),
    ):
        for worker, (first, last) in zip(workers, ranges, strict=False):
            getattr(worker, step)(first, last)
    shared = redstuff.wrap(workers[1].finish(), params)
    alone = redstuff.encode(data, params)
    assert shared.blob_id == alone.blob_id
    assert shared.metadata == alone.metadata
    assert list(shared.pairs) == list(alone.pairs)


@pytest.mark.parametrize("width", [1, 10, 37, 100, 1 << 20])
def test_encoding_does_not_depend_on_how_the_work_is_cut(width: int) -> None:
    params, data = CodeParams(7, ISAL), pattern(1100)
    backend = IsalBackend(params)
    backend.primary.width = backend.secondary.width = width
    encoded, expected = backend.encode(data), redstuff.encode(data, params)
    assert encoded.metadata == expected.metadata
    assert list(encoded.primary) == [sliver.data for sliver in slivers(expected, Axis.PRIMARY)]
    assert list(encoded.secondary) == [sliver.data for sliver in slivers(expected, Axis.SECONDARY)]
    bodies = list(enumerate(encoded.primary))
    assert backend.find_foreign(Axis.PRIMARY, bodies, expected.metadata) == []


def test_what_goes_between_processes_can_be_pickled() -> None:
    encoded = redstuff.encode(b"abc", BOTH[0])
    assert pickle.loads(pickle.dumps(BOTH[0])) == BOTH[0]
    assert pickle.loads(pickle.dumps(encoded.metadata)) == encoded.metadata
    sliver = dataclasses.replace(encoded.pairs[0].primary, data=bytes(encoded.pairs[0].primary.data))
    assert pickle.loads(pickle.dumps(sliver)) == sliver
    too_large = pickle.loads(pickle.dumps(BlobTooLarge(5, 4)))
    assert (too_large.length, too_large.limit, str(too_large)) == (5, 4, str(BlobTooLarge(5, 4)))
    bad = pickle.loads(pickle.dumps(BadSlivers({3: SliverIndexMismatch("of another pair")})))
    assert isinstance(bad.faults[3], SliverIndexMismatch)


def test_an_encoding_holds_nothing_twice() -> None:
    """All slivers but the first k2 secondary ones are views of the one buffer, which has room for them and the hashes."""
    params, data = CodeParams(10, ISAL), pattern(40_000)
    backend = backend_for(params)
    assert isinstance(backend, IsalBackend)
    buffer = bytearray(params.writing_memory(len(data)))
    work = Encoding(backend, len(data), memoryview(buffer))
    work.load(data)
    encoded = work.run()
    kept = [*encoded.primary, *encoded.secondary[params.k2 :]]
    assert sum(map(len, kept)) + 32 * params.n_shards * (params.n_shards + 2) == len(buffer)
    expected = redstuff.encode(data, params)
    assert list(encoded.secondary) == [bytes(sliver.data) for sliver in slivers(expected, Axis.SECONDARY)]
    buffer[:] = bytes(len(buffer))
    assert not any(map(any, kept)), "they lie in the buffer"
