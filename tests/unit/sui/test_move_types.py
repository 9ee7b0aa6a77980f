import pytest
from pysui.sui.sui_bcs import bcs as pbcs

from walrus_sui.abi import move_types


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("bool", "00"),
        ("u8", "01"),
        ("u64", "02"),
        ("u128", "03"),
        ("address", "04"),
        ("u16", "08"),
        ("u32", "09"),
        ("u256", "0a"),
        ("vector<u8>", "0601"),
        ("vector<vector<u64>>", "060602"),
        ("0x2::sui::SUI", "07" + "02".rjust(64, "0") + "03737569" + "03535549" + "00"),
    ],
)
def test_type_tags_have_suis_bytes(text: str, tag: str) -> None:
    assert move_types.type_tag(text).hex() == tag


def test_nested_generics_keep_their_order() -> None:
    tag = move_types.type_tag("0x2::a::A<0x1::b::B<u8, vector<u16>>, bool>")
    inner = "07" + "01".rjust(64, "0") + "0162" + "0142" + "02" + "01" + "0608"
    assert tag.hex() == "07" + "02".rjust(64, "0") + "0161" + "0141" + "02" + inner + "00"


def test_types_agree_with_pysui_where_it_is_right() -> None:
    for text in ("0x2::sui::SUI", "0x7::wal::WAL", "0x2::coin::Coin<0x2::sui::SUI>"):
        assert bytes(pbcs.TypeTag.type_tag_from(text).serialize()) == move_types.type_tag(text)


def test_canonical_types_can_be_compared() -> None:
    wide = "0x" + "2".rjust(64, "0")
    assert move_types.canonical("0x2::coin::Coin< 0x2::sui::SUI >") == f"{wide}::coin::Coin<{wide}::sui::SUI>"
    assert move_types.canonical("vector<0x02::a::B>") == f"vector<{wide}::a::B>"
    assert move_types.package_of("0x2::coin::Coin<u8>") == wide


@pytest.mark.parametrize("text", ["", "u65", "0x2::coin", "0x2::coin::Coin<u8", "::a::b", "0xzz::a::B"])
def test_what_is_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        move_types.type_tag(text)


def test_a_dynamic_field_id_depends_on_parent_key_type_and_key() -> None:
    ids = {
        move_types.dynamic_field_id(parent, kind, key)
        for parent in ("0x1", "0x2")
        for kind in ("u64", "u32")
        for key in (b"\1" + bytes(7), b"\2" + bytes(7))
    }
    assert len(ids) == 8


def test_a_digest_that_is_not_32_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        move_types.digest_bytes("abc")
