"""Names of encodings and axes."""

import pytest

from walrus_codec.errors import CodecError, UnsupportedEncoding
from walrus_codec.types import Axis, EncodingType


def test_encodings_have_the_numbers_of_the_chain() -> None:
    assert (EncodingType.RS2, EncodingType.ISAL) == (1, 128)
    assert [encoding.label for encoding in EncodingType] == ["RS2", "ISAL"]


@pytest.mark.parametrize("text", ["rs2", "RS2", " rs2\n"])
def test_an_encoding_is_read_in_any_case(text: str) -> None:
    assert EncodingType.parse(text) is EncodingType.RS2


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CodecError, match="choose one of rs2, isal"):
        EncodingType.parse("raptorq")
    with pytest.raises(UnsupportedEncoding, match=r"\[1, 128\]"):
        EncodingType.from_byte(0)


def test_axes_are_orthogonal_to_each_other() -> None:
    assert Axis.PRIMARY.orthogonal is Axis.SECONDARY
    assert Axis.SECONDARY.orthogonal is Axis.PRIMARY
