"""The less common objects, decoded from bytes that were put together by hand, field by field, in the official order."""

import pytest
from tests.unit.sui.test_layouts import BLOB, BLOB_OBJECT, CAP, POOL, STORAGE, raw, text

from walrus_codec import bcs
from walrus_sui.abi import (
    dynamic_field,
    metadata,
    move_types,
    shared_blob,
    slashing,
    staking,
    staking_pool,
    storage_node,
    storage_pool,
    storage_resource,
    system,
    upgrade,
    walrus_subsidies,
)
from walrus_sui.abi.contract import Contract
from walrus_sui.errors import MalformedChainData, NetworkConfigError
from walrus_sui.types import (
    ActiveSet,
    Authorized,
    Commission,
    PooledBlobObject,
    SharedBlobObject,
    SlashingProposal,
    StorageObject,
    StoragePoolObject,
    SubsidiesView,
    UpgradeManagerView,
    UpgradeProposal,
)

u8, u16, u32, u64 = bcs.u8, bcs.u16, bcs.u32, bcs.u64
CONTRACT = Contract(text(0xAA), text(0xA0), text(1), text(2), text(3), "0x7::wal::WAL")


def whole(read, data: bytes):
    reader = bcs.Reader(data)
    found = read(reader)
    reader.finish()
    return found


def test_storage_and_a_shared_blob() -> None:
    assert storage_resource.decode(STORAGE, owner=text(5)) == StorageObject(text(9), 3, 8, 1 << 20, text(5))
    shared = shared_blob.decode(raw(44) + BLOB + u64(5))
    assert isinstance(shared, SharedBlobObject)
    assert (shared.object_id, shared.funds, shared.blob.object_id) == (text(44), 5, BLOB_OBJECT.object_id)


def test_a_storage_pool_and_a_blob_in_it() -> None:
    assert storage_pool.decode(raw(50) + u64(1)) == storage_pool.PoolObject(text(50), 1)
    inner = STORAGE + u64(1000) + u64(2) + raw(51) + u64(2)
    pool = whole(lambda reader: storage_pool.read_inner(reader, object_id=text(50), owner=text(5)), inner)
    assert pool == StoragePoolObject(text(50), StorageObject(text(9), 3, 8, 1 << 20), 1000, 2, text(51), text(5))
    assert pool.available == (1 << 20) - 1000
    pooled = raw(52) + u32(3) + bytes(range(32)) + u64(77) + u8(1) + b"\1" + u32(4) + raw(50) + b"\1"
    expected = PooledBlobObject(text(52), 3, bytes(range(32)), 77, 1, 4, text(50), deletable=True)
    assert storage_pool.decode_blob(pooled) == expected


def test_attributes_stand_under_the_word_metadata() -> None:
    encoded = bcs.vector(lambda pair: bcs.string(pair[0]) + bcs.string(pair[1]), [("b", "2"), ("a", "1")])
    assert list(whole(metadata.read, encoded).items()) == [("b", "2"), ("a", "1")]
    assert metadata.field_id(text(8)) == move_types.dynamic_field_id(text(8), "vector<u8>", b"\x08metadata")


def test_slashing_and_upgrade_votes() -> None:
    assert slashing.decode_manager(raw(60) + raw(61) + u64(1)) == text(61)
    proposal = u32(7) + raw(2) + u16(30) + bcs.vector(raw, [4, 3])
    assert whole(slashing.read_proposal, proposal) == SlashingProposal(text(2), 7, 30, (text(4), text(3)))
    manager = raw(62) + raw(63) + raw(0xA1) + u64(3) + u8(0) + raw(64) + u64(1)
    assert upgrade.decode_manager(manager) == (UpgradeManagerView(text(62), text(0xA1), 3, 0, ()), text(64))
    digest = bytes(range(32))
    proposal = u32(7) + bcs.bytes_(digest) + u64(4) + u16(30) + bcs.vector(raw, [3])
    assert whole(upgrade.read_proposal, proposal) == UpgradeProposal(digest, 7, 4, 30, (text(3),))


def test_subsidies() -> None:
    front = walrus_subsidies.decode(raw(70) + u64(3) + raw(71))
    ring = bcs.vector(lambda slot: u32(slot) + u64(5), [8, 9])
    inner = u32(1000) + u64(5000) + u64(11) + u64(12) + u32(7) + u32(1) + ring + u64(99) + raw(72) + u64(0)
    view = whole(lambda reader: walrus_subsidies.read_inner(reader, front), inner)
    assert view == SubsidiesView(text(70), text(71), 1000, 5000, 11, 12, 7, 99)


def test_the_active_set_keeps_the_contracts_order() -> None:
    encoded = u16(150) + u64(0) + bcs.vector(lambda node: raw(node) + u64(10 * node), [3, 1, 2]) + u64(60)
    nodes = ((text(3), 30), (text(1), 10), (text(2), 20))
    assert whole(staking.read_active_set, encoded) == ActiveSet(150, 0, nodes, 60)


def test_deny_list_sizes_and_the_capabilitys_own() -> None:
    encoded = bcs.vector(lambda pair: raw(pair[0]) + u64(pair[1]), [(3, 100), (4, 0)])
    assert whole(system.read_deny_list_sizes, encoded) == {text(3): 100, text(4): 0}
    cap = storage_node.decode_cap(CAP)
    assert (cap.attested_checkpoint, cap.attested_in) == (2, 1)
    assert (cap.deny_list_root, cap.deny_list_sequence, cap.deny_list_size) == (raw(5), 3, 9)


def test_a_pool_tells_who_may_collect_and_who_may_vote() -> None:
    pool = staking_pool.decode(POOL)
    assert pool.view.commission_receiver == Authorized(text(7), is_object=True)
    assert pool.view.governance_authorized == Authorized(text(5))
    field = staking_pool.blocked_commission_id(pool, CONTRACT)
    kind = f"{text(0xA0)}::staking_pool::NewEpochCommissionBlockedForCollection"
    assert field == move_types.dynamic_field_id(text(0x79), kind, b"\0")
    assert Commission(10, 4).collectable == 6


def test_types_that_came_with_an_upgrade_carry_its_package() -> None:
    upgraded = Contract(
        text(0xAA), text(0xA0), text(1), text(2), text(3), "0x7::wal::WAL", type_origins={"a::Late": text(0xA5)}
    )
    assert upgraded.type_name("a", "Late") == f"{text(0xA5)}::a::Late"
    assert upgraded.type_name("a", "Early") == f"{text(0xA0)}::a::Early"
    assert upgraded.at(text(0xAB)).package_id == text(0xAB)
    late_key = Contract(
        text(0xAA),
        text(0xA0),
        text(1),
        text(2),
        text(3),
        "0x7::wal::WAL",
        type_origins={"extended_field::Key": text(9)},
    )
    assert dynamic_field.extended_id(text(8), late_key) != dynamic_field.extended_id(text(8), CONTRACT)


def test_managers_that_are_not_configured_are_named() -> None:
    with pytest.raises(NetworkConfigError, match="slashing_manager"):
        CONTRACT.slashing()
    with pytest.raises(NetworkConfigError, match="upgrade_manager"):
        CONTRACT.upgrade()


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (storage_resource.decode, STORAGE),
        (shared_blob.decode, raw(44) + BLOB + u64(5)),
        (storage_pool.decode, raw(50) + u64(1)),
        (storage_pool.decode_blob, raw(52) + bytes(82)),
        (slashing.decode_manager, raw(60) + raw(61) + u64(1)),
        (upgrade.decode_manager, raw(62) + raw(63) + raw(0xA1) + u64(3) + u8(0) + raw(64) + u64(1)),
        (walrus_subsidies.decode, raw(70) + u64(3) + raw(71)),
    ],
)
def test_bytes_that_do_not_fit_are_malformed(decode, data: bytes) -> None:
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(MalformedChainData, match="does not have the known layout"):
            decode(wrong)
