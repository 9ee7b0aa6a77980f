"""Laws of source rows: what is sent piece by piece is what decoding gives, and a bad writer is found out all the same."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.codec.strategies import FEW, LAW, blobs, params, slivers
from tests.laws.codec.test_decoding import raises_inconsistent, with_row

from walrus_codec import redstuff
from walrus_codec.errors import BadSlivers, DecodeError
from walrus_codec.params import CodeParams
from walrus_codec.rows import pieces, source_rows
from walrus_codec.slivers import Sliver, verify_slivers
from walrus_codec.types import Axis, EncodingType, SliverIndex


def received(sliver: Sliver) -> Sliver:
    """As it comes from a node: in memory of its own that may be written."""
    return dataclasses.replace(sliver, data=memoryview(bytearray(sliver.data)))


@LAW
@given(params, blobs(), st.integers(1, 4000), st.data())
def test_pieces_put_together_are_what_decoding_gives(
    code: CodeParams, data: bytes, most: int, draw: st.DataObject
) -> None:
    everything = slivers(redstuff.encode(data, code), Axis.PRIMARY)
    given_ = draw.draw(st.permutations(everything))[: draw.draw(st.integers(code.k1, code.n_shards))]
    expected = redstuff.decode(given_, len(data), code)
    rows = source_rows(map(received, given_), len(data), code)
    assert set(rows.rebuilt) == set(range(code.k1)) - {sliver.index for sliver in given_}
    found = list(pieces(rows.bodies, 0, len(data), most))
    assert all(0 < len(piece) <= most for piece in found)
    assert b"".join(found) == expected == data
    first = draw.draw(st.integers(0, len(data)))
    last = draw.draw(st.integers(first, len(data)))
    assert b"".join(pieces(rows.bodies, first, last, most)) == data[first:last]


@FEW
@given(params, blobs(), st.data())
def test_rows_fail_the_check_exactly_when_decoded_bytes_do(code: CodeParams, data: bytes, draw: st.DataObject) -> None:
    """A writer commits to one foreign row, anywhere, also to one that differs in the padding only."""
    encoded = redstuff.encode(data, code)
    row = draw.draw(st.integers(0, code.n_shards - 1))
    wrong = bytearray(encoded.pairs[row].primary.data)
    wrong[draw.draw(st.integers(0, len(wrong) - 1))] ^= 1
    metadata = with_row(code, encoded.metadata, row, bytes(wrong))
    everything = slivers(encoded, Axis.PRIMARY)
    everything[row] = dataclasses.replace(everything[row], data=bytes(wrong))
    chosen = draw.draw(st.permutations(everything))[: code.k1]
    decoded = redstuff.decode(chosen, len(data), code)
    names = [sliver.index for sliver in chosen]
    default_fails = raises_inconsistent(lambda: redstuff.check_default(decoded, metadata, code, names))

    rows = source_rows(map(received, chosen), len(data), code)
    assert b"".join(pieces(rows.bodies, 0, len(data), 100)) == decoded
    if default_fails:
        with pytest.raises(BadSlivers):
            verify_slivers(rows.unproven(), metadata, code)
    else:
        verify_slivers(rows.unproven(), metadata, code)


@pytest.mark.parametrize("code", [CodeParams(100, EncodingType.ISAL), CodeParams(100, EncodingType.RS2)])
def test_rows_are_rebuilt_in_the_memory_of_parity_slivers(code: CodeParams) -> None:
    """Also where one stripe of the library is shorter than a sliver, and others end inside of a symbol."""
    data = bytes(i % 251 for i in range(code.k1 * code.k2 * 2000 - 77))
    everything = [received(sliver) for sliver in slivers(redstuff.encode(data, code), Axis.PRIMARY)]
    systematic, parity = everything[: code.k1 - 20], everything[-20:]
    rows = source_rows([*parity, *systematic], len(data), code)
    assert {id(memoryview(body).obj) for body in rows.bodies} == {
        id(memoryview(sliver.data).obj) for sliver in (*systematic, *parity)
    }
    assert list(rows.rebuilt) == list(range(code.k1 - 20, code.k1))
    assert b"".join(pieces(rows.bodies, 0, len(data), 1 << 16)) == data


def test_what_cannot_become_rows_is_refused() -> None:
    code = CodeParams(10, EncodingType.ISAL)
    encoded = redstuff.encode(bytes(1000), code)
    everything = [received(sliver) for sliver in slivers(encoded, Axis.PRIMARY)]
    with pytest.raises(DecodeError, match="3 distinct primary slivers, but 4 are needed"):
        source_rows([*everything[:3], everything[0]], 1000, code)
    with pytest.raises(DecodeError, match="secondary sliver 0 of 144 bytes is no primary one"):
        source_rows(slivers(encoded, Axis.SECONDARY), 1000, code)
    with pytest.raises(DecodeError, match="primary sliver 10 of 252 bytes is no primary one of this blob"):
        source_rows([*everything[:3], dataclasses.replace(everything[3], index=SliverIndex(10))], 1000, code)
    with pytest.raises(DecodeError, match="writable"):
        source_rows([encoded.pairs[9].primary, *everything[:3]], 1000, code)
    readonly = [encoded.pairs[row].primary for row in range(4)]
    assert source_rows(readonly, 1000, code).rebuilt == [], "nothing has to be overwritten"
