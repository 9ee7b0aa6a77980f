"""The three faces of a blob id, on the official vector."""

import pytest

from walrus_codec import blob_id
from walrus_codec.errors import BlobIdError
from walrus_codec.mapping import rotation_offset
from walrus_codec.types import EncodingType

ROOT = bytes.fromhex("dc3457c94140737f55ccfba619f79c96928f3845da745142c7c8e23396eedf88")
TEXT = "RcU82Mwf-CFkv1LaI_2qcpANwpGUuG3TMwnVzZxD2kY"
NUMBER = 32047538705383907710745794627166216794695117628018721399077707816295890470213


def test_official_vector() -> None:
    ident = blob_id.compute(ROOT, EncodingType.RS2, len("walrus blob id v1 regression test"))
    assert blob_id.to_text(ident) == TEXT
    assert blob_id.to_int(ident) == NUMBER
    assert blob_id.from_int(NUMBER) == blob_id.parse(TEXT) == blob_id.from_bytes(ident) == ident
    assert rotation_offset(ident, 10) == 8


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "=",
        TEXT[:-1] + "Z",  # spells bits beyond the 32 bytes
        TEXT.replace("-", "+"),
        TEXT[:20] + " " + TEXT[21:],
        TEXT[:20] + "é" + TEXT[21:],
        "A" * 1000,
    ],
)
def test_only_the_canonical_text_is_read(text: str) -> None:
    with pytest.raises(BlobIdError, match="43 characters"):
        blob_id.parse(text)


def test_numbers_and_bytes_of_another_size_are_refused() -> None:
    for number in (-1, 2**256):
        with pytest.raises(BlobIdError, match="u256"):
            blob_id.from_int(number)
    with pytest.raises(BlobIdError, match="31"):
        blob_id.from_bytes(bytes(31))
