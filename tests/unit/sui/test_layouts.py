"""Objects decoded from bytes that were put together by hand, field by field, as `walrus-protocol` lists them."""

from collections.abc import Callable

import pytest

from walrus_codec import bcs
from walrus_sui import bls
from walrus_sui.abi import (
    blob,
    dynamic_field,
    node_metadata,
    shared_blob,
    staked_wal,
    staking,
    staking_pool,
    storage_node,
    system,
    views,
    wal_exchange,
)
from walrus_sui.errors import MalformedChainData
from walrus_sui.keys import BlsKey
from walrus_sui.types import (
    BlobObject,
    EpochPhase,
    EpochState,
    NodeCap,
    NodeMetadata,
    PoolPhase,
    StakedWal,
    StorageObject,
    VotingParams,
    signers_bitmap,
)

KEYS = [BlsKey(bytes(31) + bytes([number])).public_key for number in (1, 2, 3)]
u16, u32, u64 = bcs.u16, bcs.u32, bcs.u64


def raw(number: int) -> bytes:
    return number.to_bytes(32, "big")


def text(number: int) -> str:
    return "0x" + raw(number).hex()


def element(key: bytes) -> bytes:
    return bcs.bytes_(bls.uncompressed(key))


def committee(*members: tuple[int, tuple[int, ...]]) -> bytes:
    return bcs.vector(lambda m: raw(m[0]) + bcs.vector(u16, m[1]), members)


STORAGE = raw(9) + u32(3) + u32(8) + u64(1 << 20)
BLOB = raw(8) + u32(3) + bytes(range(32)) + u64(77) + b"\x80" + b"\1" + u32(4) + STORAGE + b"\1"
BLOB_OBJECT = BlobObject(
    text(8), 3, bytes(range(32)), 77, 128, 4, StorageObject(text(9), 3, 8, 1 << 20), deletable=True, owner=text(5)
)
CAP = raw(7) + raw(1) + u32(6) + b"\1" + u64(2) + u32(1) + raw(5) + u64(3) + u64(9)
STAKE = raw(4) + b"\1" + u32(12) + raw(1) + u64(500) + u32(2)
EXCHANGE = raw(3) + u64(10) + u64(20) + u64(2) + u64(3) + raw(99)
POOL = (
    raw(1)
    + b"\1"
    + u32(9)
    + u64(11)
    + u64(12)
    + u64(13)
    + bcs.string("node")
    + raw(1)
    + bcs.string("h:9185")
    + element(KEYS[0])
    + b"\1"
    + element(KEYS[1])
    + bcs.bytes_(b"n" * 33)
    + raw(0x77)
    + u32(1)
    + u32(2)
    + u64(1000)
    + u64(900)
    + b"\0"
    + b"\0"
    + bcs.vector(lambda p: u32(p[0]) + u64(p[1]), [(5, 7000)])
    + u16(6000)
    + raw(0x78)
    + u64(3)
    + bcs.vector(lambda p: u32(p[0]) + u64(p[1]), [(3, 5), (4, 6)])
    + u64(21)
    + u64(22)
    + b"\1"
    + raw(7)
    + b"\0"
    + raw(5)
    + raw(0x79)
    + u64(1)
)


def test_a_blob() -> None:
    assert blob.decode(BLOB, owner=text(5)) == BLOB_OBJECT
    uncertified = BLOB.replace(b"\x80\1" + u32(4), b"\x80\0")
    assert blob.decode(uncertified).certified_epoch is None
    assert shared_blob.decode(raw(44) + BLOB + u64(5)).blob.object_id == text(8)


def test_a_capability_a_stake_and_an_exchange() -> None:
    assert storage_node.decode_cap(CAP) == NodeCap(text(7), text(1), 6, None, 2, 1, bytes(31) + b"\5", 3, 9)
    assert staked_wal.decode(STAKE) == StakedWal(text(4), text(1), 500, 2, 12)
    assert staked_wal.decode(raw(4) + b"\0" + STAKE[37:]).withdraw_epoch is None
    exchange = wal_exchange.decode(EXCHANGE)
    assert (exchange.wal, exchange.sui, exchange.rate_wal, exchange.rate_sui) == (10, 20, 2, 3)
    assert [exchange.sui_for(wal) for wal in (0, 1, 2, 3)] == [0, 2, 3, 5]


def test_a_pool() -> None:
    pool = staking_pool.decode(POOL)
    view = pool.view
    assert pool.metadata_id == text(0x77)
    assert (view.node_id, view.name, view.network_address, view.phase) == (
        text(1),
        "node",
        "h:9185",
        PoolPhase.WITHDRAWING,
    )
    assert (view.bls_public_key, view.next_bls_public_key, view.network_public_key) == (KEYS[0], KEYS[1], b"n" * 33)
    assert view.votes == VotingParams(11, 12, 13)
    assert (view.wal_balance, view.num_shares, view.commission_rate) == (1000, 900, 6000)
    assert view.pending_stake == ((3, 5), (4, 6))
    assert view.pending_commission_rate == ((5, 7000),)
    assert (view.rewards, view.commission, view.activation_epoch, view.latest_epoch) == (21, 22, 1, 2)


@pytest.mark.parametrize(
    ("decode", "contents"),
    [
        (blob.decode, BLOB),
        (storage_node.decode_cap, CAP),
        (staked_wal.decode, STAKE),
        (wal_exchange.decode, EXCHANGE),
        (staking_pool.decode, POOL),
    ],
)
def test_other_bytes_are_malformed_chain_data(decode: Callable[[bytes], object], contents: bytes) -> None:
    for broken in (contents[:-1], contents + b"\0", b"", contents.replace(element(KEYS[0]), b"\x60" + bytes(96))):
        if broken != contents:
            with pytest.raises(MalformedChainData, match="known layout"):
                decode(broken)


def test_node_metadata_keep_the_order_of_their_fields() -> None:
    fields = [("grpc_address", "h:9187"), ("a", "b")]
    contents = bcs.string("i") + bcs.string("p") + bcs.string("d")
    contents += bcs.vector(lambda f: bcs.string(f[0]) + bcs.string(f[1]), fields)
    holder = raw(1) + b"\0" + contents
    metadata = dynamic_field.decode_value(holder, key_length=1, read=node_metadata.read)
    assert metadata == NodeMetadata("i", "p", "d", tuple(fields))
    assert (metadata.extra_field("grpc_address"), metadata.extra_field("none")) == ("h:9187", "")


def staking_inner(state: bytes, *, following: bytes = b"\0") -> bytes:
    return (
        u16(10)
        + u64(600_000)
        + u64(5)
        + (raw(50) + u64(3))
        + u32(4)
        + raw(51)
        + following
        + committee((1, (0, 1, 2)), (2, (9, 3)))
        + committee((1, (0, 1, 2, 3)))
        + (b"\1" + u64(1) + u64(2) + u64(3))
        + state
        + raw(52)
    )


def system_inner(epoch: int = 4) -> bytes:
    members = [(KEYS[2], 3, 1), (KEYS[1], 2, 2)]
    return (
        bcs.vector(lambda m: element(m[0]) + u16(m[1]) + raw(m[2]), members)
        + u16(10)
        + u32(epoch)
        + bcs.bytes_(KEYS[0])
        + u64(1 << 40)
        + u64(1 << 30)
        + u64(100)
        + u64(20)
        + u32(0)
        + u32(53)
        + bcs.vector(lambda e: u32(e) + u64(0) + u64(0), range(53))
        + (b"\1" + raw(6) + u64(7))
        + (b"\1" + raw(6) + u64(7) + u16(3))
        + raw(60)
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (b"\0" + u16(6), EpochState(EpochPhase.SYNC, weight=6)),
        (b"\1" + u64(99), EpochState(EpochPhase.DONE, since_ms=99)),
        (b"\2" + u64(99), EpochState(EpochPhase.PARAMS_SELECTED, since_ms=99)),
    ],
)
def test_the_staking_view_completes_committees_from_pools_and_system(state: bytes, expected: EpochState) -> None:
    reader = bcs.Reader(staking_inner(state, following=b"\1" + committee((2, (4,)))))
    inner = staking.read_inner(reader)
    reader.finish()
    reader = bcs.Reader(system_inner())
    current = system.read_inner(reader)
    reader.finish()
    assert current.view.max_epochs_ahead == 53
    assert (current.view.total_capacity, current.view.used_capacity) == (1 << 40, 1 << 30)
    assert views.nodes_named(inner) == [text(1), text(2)]
    pools = {text(1): staking_pool.decode(POOL).view, text(2): staking_pool.decode(raw(2) + POOL[32:]).view}
    view = views.staking_view(inner, current, pools=pools, next_keys={text(2): KEYS[2]})
    assert (view.epoch, view.epoch_state, view.n_shards, view.epoch_duration_ms) == (4, expected, 10, 600_000)
    assert [member.bls_public_key for member in view.committee.members] == [KEYS[2], KEYS[1]]
    assert view.committee.member_of_shard(9).node_id == text(2)
    assert view.committee.by_id(text(3)) is None
    assert [member.weight for member in view.committee.members] == [3, 2]
    assert view.committee.index_of(text(2)) == 1
    assert view.previous_committee.epoch == 3
    assert view.previous_committee.members[0].bls_public_key == KEYS[0]
    assert view.next_committee is not None
    assert (view.next_committee.epoch, view.next_committee.members[0].bls_public_key) == (5, KEYS[2])


def test_views_of_two_epochs_are_not_mixed() -> None:
    inner = staking.read_inner(bcs.Reader(staking_inner(b"\0" + u16(0))))
    older = system.read_inner(bcs.Reader(system_inner(epoch=3)))
    with pytest.raises(MalformedChainData, match="System is in epoch 3, Staking in 4"):
        views.staking_view(inner, older, pools={}, next_keys={})


def test_costs_are_counted_in_started_mebibytes() -> None:
    view = system.read_inner(bcs.Reader(system_inner())).view
    assert view.storage_cost(1, 2) == 200
    assert view.storage_cost((1 << 20) + 1, 1) == 200
    assert view.write_cost(5 << 20) == 100


def test_signers_are_bits_from_the_lowest_on() -> None:
    assert signers_bitmap([0, 3, 8], 10) == bytes([0b1001, 0b1])
    assert signers_bitmap([], 0) == b""
    with pytest.raises(ValueError, match="member 10 of 10"):
        signers_bitmap([10], 10)
