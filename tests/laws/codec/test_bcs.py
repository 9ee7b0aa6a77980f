"""Laws of BCS: what is written is read back, and no other bytes are read as the same value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.codec.strategies import LAW

from walrus_codec import bcs
from walrus_codec.bcs import Reader
from walrus_codec.errors import BcsError

FORMS: list[tuple[Any, Any, st.SearchStrategy[Any]]] = [
    *(
        (getattr(bcs, f"u{bits}"), getattr(Reader, f"u{bits}"), st.integers(0, 2**bits - 1))
        for bits in (8, 16, 32, 64, 128, 256)
    ),
    (bcs.uleb, Reader.uleb, st.integers(0, 2**32 - 1)),
    (bcs.boolean, Reader.boolean, st.booleans()),
    (bcs.bytes_, Reader.bytes_, st.binary(max_size=300)),
    (bcs.string, Reader.string, st.text(max_size=100)),
    (
        lambda xs: bcs.vector(bcs.u16, xs),
        lambda reader: reader.vector(Reader.u16),
        st.lists(st.integers(0, 65535), max_size=200),
    ),
    (
        lambda x: bcs.option(bcs.string, x),
        lambda reader: reader.option(Reader.string),
        st.none() | st.text(max_size=20),
    ),
]


@LAW
@given(st.sampled_from(range(len(FORMS))).flatmap(lambda i: st.tuples(st.just(i), FORMS[i][2])), st.binary(min_size=1))
def test_values_come_back_and_nothing_else_is_accepted(drawn: tuple[int, Any], extra: bytes) -> None:
    which, value = drawn
    write, read, _ = FORMS[which]
    wire = write(value)
    reader = Reader(wire)
    assert read(reader) == value
    reader.finish()

    longer = Reader(wire + extra)
    assert read(longer) == value
    with pytest.raises(BcsError):
        longer.finish()
    for cut in range(len(wire)):
        with pytest.raises(BcsError):
            read(Reader(wire[:cut]))


@LAW
@given(st.sampled_from(range(len(FORMS))), st.binary(max_size=40))
def test_every_value_has_one_form(which: int, data: bytes) -> None:
    write, read, _ = FORMS[which]
    reader = Reader(data)
    try:
        value = read(reader)
        reader.finish()
    except BcsError:
        return
    assert write(value) == data
