import pytest

from walrus_codec import bcs
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.tags import TypeTagError

LONG = "0x" + "0" * 63 + "2"


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("U64", "u64"),
        ("vector<vector<u8>>", "vector<vector<u8>>"),
        ("0x2::sui::SUI", f"{LONG}::sui::SUI"),
        (" 0X02::coin::Coin< 0x2::sui::SUI > ", f"{LONG}::coin::Coin<{LONG}::sui::SUI>"),
        ("0x2::dynamic_field::Field<u64, vector<address>>", f"{LONG}::dynamic_field::Field<u64,vector<address>>"),
    ],
)
def test_every_spelling_has_one_canonical_text(given: str, canonical: str) -> None:
    tag = tags.parse(given)
    assert str(tag) == canonical
    assert tags.parse(canonical) == tag
    assert tags.read(bcs.Reader(tags.to_bcs(tag))) == tag


def test_bcs_is_that_of_sui() -> None:
    # A struct tag: variant 7, address, module, name, type arguments; SUI as in any real transaction.
    expected = "07" + "00" * 31 + "02" + "03737569" + "03535549" + "00"
    assert tags.to_bcs(tags.parse("0x2::sui::SUI")).hex() == expected
    assert tags.to_bcs(tags.parse("vector<u8>")).hex() == "0601"
    assert tags.to_bcs(tags.parse("u256")).hex() == "0a"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "0x2",
        "0x2::",
        "0x2::sui",
        "vector",
        "vector<u8",
        "u8>",
        "vector<u8,u8>",
        "0x2::a::b::c",
        "foo",
        "0xg::a::B",
        "0x2::a::B<>",
        "u8 u8",
        "0x" + "1" * 65 + "::a::B",
        "vector<" * 40 + "u8" + ">" * 40,
        "a" * 5000,
    ],
)
def test_nonsense_is_refused(bad: str) -> None:
    with pytest.raises(TypeTagError):
        tags.parse(bad)


@pytest.mark.parametrize("bad", ["0b", "06", "07" + "00" * 32 + "00" + "00" + "00", "06" * 40 + "01"])
def test_nonsense_in_bcs_is_refused(bad: str) -> None:
    with pytest.raises((TypeTagError, bcs.BcsError)):
        tags.read(bcs.Reader(bytes.fromhex(bad)))
