"""Slivers: the wire form byte by byte, and the reason for each refusal."""

import dataclasses

import pytest

from walrus_codec import bcs, redstuff
from walrus_codec.errors import BadSlivers, CodecError, IndexOutOfRange, SliverError, SliverIndexMismatch
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver, verify_sliver, verify_slivers
from walrus_codec.types import Axis, EncodingType, PairIndex, SliverIndex

BOTH = [CodeParams(7, EncodingType.ISAL), CodeParams(7, EncodingType.RS2)]
PAIR = PairIndex(5)


def blob(params: CodeParams) -> redstuff.EncodedBlob:
    return redstuff.encode(bytes(range(256)), params)


def test_wire_form() -> None:
    sliver = Sliver(Axis.SECONDARY, SliverIndex(0x0102), 2, b"abcd")
    wire = sliver.to_bcs()
    assert wire == b"\x04abcd" + b"\x02\0" + b"\x02\x01"
    assert Sliver.from_bcs(Axis.SECONDARY, wire) == sliver
    assert Sliver.from_bcs(Axis.PRIMARY, wire) != sliver


def test_reading_copies_nothing_and_gives_no_way_to_write() -> None:
    wire = bytearray(b"\x04abcd" + b"\x02\0" + b"\x02\x01")
    data = Sliver.from_bcs(Axis.PRIMARY, wire).data
    assert isinstance(data, memoryview)
    assert data.readonly
    assert data.obj is wire


def test_malformed_bytes_are_refused() -> None:
    wire = Sliver(Axis.PRIMARY, SliverIndex(1), 2, b"abcd").to_bcs()
    for bad, why in (
        (b"", "ends early"),
        (wire[:-1], "ends early"),
        (wire + b"\0", "left over"),
        (b"\x84\0" + wire[1:], "shortest form"),
        (bcs.bytes_(b"abcd") + bcs.u16(0) + bcs.u16(1), "whole symbols"),
        (bcs.bytes_(b"abcd") + bcs.u16(3) + bcs.u16(1), "whole symbols"),
    ):
        with pytest.raises(SliverError, match=why):
            Sliver.from_bcs(Axis.PRIMARY, bad)


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_good_slivers_pass(params: CodeParams) -> None:
    encoded = blob(params)
    for pair in encoded.pairs:
        verify_sliver(pair.primary, pair.index, encoded.metadata, params)
        verify_sliver(pair.secondary, pair.index, encoded.metadata, params)


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_bad_slivers_are_refused_with_their_reason(params: CodeParams) -> None:
    encoded = blob(params)
    good = encoded.pairs[PAIR].primary
    swapped = dataclasses.replace(encoded.pairs[PAIR].secondary, axis=Axis.PRIMARY, index=SliverIndex(PAIR))
    cases: list[tuple[Sliver, int, type[SliverError], str]] = [
        (good, 7, IndexOutOfRange, "pair index 7"),
        (good, -1, IndexOutOfRange, "pair index -1"),
        (good, 4, SliverIndexMismatch, "sent for pair 4, which has sliver 4"),
        (encoded.pairs[PAIR].secondary, 1, SliverIndexMismatch, "which has sliver 5"),
        (dataclasses.replace(good, symbol_size=good.symbol_size + 2), PAIR, SliverError, "this blob has symbols of"),
        (dataclasses.replace(good, data=good.data[:-1]), PAIR, SliverError, "but this blob has"),
        (dataclasses.replace(good, data=bytes(good.data) + b"\0"), PAIR, SliverError, "but this blob has"),
        (swapped, PAIR, SliverError, "but this blob has"),
        (dataclasses.replace(encoded.pairs[4].primary, index=SliverIndex(PAIR)), PAIR, SliverError, "commits to"),
    ]
    for sliver, pair, error, why in cases:
        with pytest.raises(error, match=why) as caught:
            verify_sliver(sliver, PairIndex(pair), encoded.metadata, params)
        assert caught.type is error


@pytest.mark.parametrize("params", BOTH, ids=str)
def test_a_batch_tells_every_bad_sliver_and_only_those(params: CodeParams) -> None:
    encoded = blob(params)
    batch = [(pair.index, sliver) for pair in encoded.pairs for sliver in (pair.primary, pair.secondary)]
    verify_slivers(batch, encoded.metadata, params)
    verify_slivers([], encoded.metadata, params)
    for position in (3, 8):
        pair, sliver = batch[position]
        batch[position] = (pair, dataclasses.replace(sliver, data=bytes(len(sliver.data))))
    batch[5] = (PairIndex(0), batch[5][1])
    with pytest.raises(BadSlivers, match=r"3 sliver\(s\)") as caught:
        verify_slivers(batch, encoded.metadata, params)
    assert list(caught.value.faults) == [3, 5, 8]
    assert isinstance(caught.value.faults[5], SliverIndexMismatch)


def test_metadata_of_another_code_is_not_mixed_up() -> None:
    encoded = blob(BOTH[0])
    for params in (BOTH[1], CodeParams(10, EncodingType.ISAL)):
        with pytest.raises(CodecError, match="metadata of ISAL over 7 shards cannot be used"):
            verify_sliver(encoded.pairs[0].primary, PairIndex(0), encoded.metadata, params)
        with pytest.raises(CodecError, match="metadata of ISAL over 7 shards cannot be used"):
            redstuff.check_default(bytes(range(256)), encoded.metadata, params)
