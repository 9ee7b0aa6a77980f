"""BCS forms, byte by byte, and what is refused."""

import pytest

from walrus_codec import bcs
from walrus_codec.errors import BcsError


def test_numbers_are_little_endian_and_of_fixed_size() -> None:
    assert bcs.u8(0xAB) == b"\xab"
    assert bcs.u16(0x0102) == b"\x02\x01"
    assert bcs.u32(1) == b"\x01\0\0\0"
    assert bcs.u64(1) == b"\x01" + bytes(7)
    assert bcs.u128(1) == b"\x01" + bytes(15)
    assert bcs.u256(1 << 255) == bytes(31) + b"\x80"


@pytest.mark.parametrize(
    ("value", "form"), [(0, "00"), (127, "7f"), (128, "8001"), (9487, "8f4a"), (2**32 - 1, "ffffffff0f")]
)
def test_lengths_are_uleb(value: int, form: str) -> None:
    assert bcs.uleb(value).hex() == form
    assert bcs.Reader(bytes.fromhex(form)).uleb() == value


def test_compound_forms() -> None:
    assert bcs.bytes_(b"abc") == b"\x03abc"
    assert bcs.string("é") == b"\x02\xc3\xa9"
    assert bcs.vector(bcs.u16, [1, 2]) == b"\x02\x01\0\x02\0"
    assert bcs.option(bcs.u8, None) == b"\0"
    assert bcs.option(bcs.u8, 7) == b"\x01\x07"
    assert bcs.boolean(True) + bcs.boolean(False) == b"\x01\0"


@pytest.mark.parametrize(
    "write", [lambda: bcs.u8(256), lambda: bcs.u64(-1), lambda: bcs.uleb(2**32), lambda: bcs.uleb(-1)]
)
def test_a_number_that_does_not_fit_is_refused(write: object) -> None:
    with pytest.raises(BcsError, match="does not fit"):
        write()  # type: ignore[operator]


@pytest.mark.parametrize("form", ["8000", "ff00", "ffffffff10", "8080808080", "80"])
def test_a_length_in_another_than_the_shortest_form_is_refused(form: str) -> None:
    with pytest.raises(BcsError):
        bcs.Reader(bytes.fromhex(form)).uleb()


def test_a_boolean_is_zero_or_one() -> None:
    assert [bcs.Reader(bytes([value])).boolean() for value in (0, 1)] == [False, True]
    with pytest.raises(BcsError, match="boolean of 2"):
        bcs.Reader(b"\x02").boolean()


def test_a_hostile_length_allocates_nothing() -> None:
    with pytest.raises(BcsError, match="only 0 bytes are left"):
        bcs.Reader(bcs.uleb(2**32 - 1)).vector(bcs.Reader.u8)
    with pytest.raises(BcsError, match="ends early"):
        bcs.Reader(bcs.uleb(2**32 - 1)).bytes_()


def test_a_string_must_be_utf8() -> None:
    with pytest.raises(BcsError, match="UTF-8"):
        bcs.Reader(b"\x01\xff").string()


def test_left_over_bytes_are_refused() -> None:
    reader = bcs.Reader(b"\x01\x02")
    reader.u8()
    assert reader.remaining == 1
    with pytest.raises(BcsError, match="1 bytes are left over"):
        reader.finish()


def test_views_share_memory_with_the_input() -> None:
    data = bytearray(b"\x02ab")
    view = bcs.Reader(data).bytes_view()
    data[1] = ord("z")
    assert bytes(view) == b"zb"
