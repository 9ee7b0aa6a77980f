"""Layouts, checked against readers that were written apart from the devnet, and against bytes by hand."""

import dataclasses
import typing

import pytest

from walrus_codec import bcs
from walrus_codec.types import ObjectId
from walrus_sui import bls, events
from walrus_sui.abi import blob as blob_abi
from walrus_sui.abi import dynamic_field, staked_wal, staking, staking_pool, storage_node, system
from walrus_sui.abi.contract import Contract
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.structs import Struct
from walrus_sui.devnet.move.core.types import MoveType, type_of
from walrus_sui.devnet.move.walrus import auth, exchange_rate, staking_inner
from walrus_sui.devnet.move.walrus import staked_wal as native_stake
from walrus_sui.devnet.move.walrus.blob import Blob
from walrus_sui.devnet.move.walrus.event_blob import EventBlobAttestation
from walrus_sui.devnet.move.walrus.events import MODULE as EVENTS
from walrus_sui.devnet.move.walrus.storage_node import StorageNodeCap
from walrus_sui.devnet.move.walrus.storage_resource import Storage
from walrus_sui.devnet.testing import Chain, Node

WAL = 10**9
A, B = ObjectId("0x" + "aa" * 32), ObjectId("0x" + "bb" * 32)


def contract(chain: Chain) -> Contract:
    ids = chain.network
    return Contract(
        package_id=ids.walrus_package,
        origin_id=ids.walrus_package,
        system_id=ids.system,
        staking_id=ids.staking,
        treasury_id=ids.treasury,
        wal_type=ids.wal_type,
    )


def contents(chain: Chain, object_id: ObjectId) -> bytes:
    obj = chain.ledger.object(object_id)
    assert obj is not None
    return obj.contents


def inner(chain: Chain, parent: ObjectId) -> bytes:
    shared = staking.decode_object(contents(chain, parent))
    assert (shared.object_id, shared.version, shared.new_package_id) == (parent, 4, None)
    assert shared.package_id == chain.network.walrus_package
    return contents(chain, dynamic_field.versioned_id(parent, shared.version))


def test_staking_as_clients_read_it(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    chain.advance(ms=300_000)
    chain.call("staking::voting_end", sender=nodes[0].account)
    data = inner(chain, chain.network.staking)
    read = dynamic_field.decode_value(data, key_length=8, read=staking.read_inner)
    ours = chain.staking()
    assert (read.n_shards, read.epoch, read.epoch_duration_ms) == (100, 1, 600_000)
    assert read.first_epoch_start_ms == ours.first_epoch_start
    assert {node_id: list(shards) for node_id, shards in read.committee} == ours.committee
    assert read.next_committee is not None
    assert [node_id for node_id, _ in read.next_committee] == list(ours.next_committee or {})
    keys_id = dynamic_field.extended_id(read.next_public_keys_id, contract(chain))
    keys = dynamic_field.decode_value(contents(chain, keys_id), key_length=1, read=staking.read_public_keys)
    assert keys == {node.node_id: node.public_key for node in nodes}


def test_system_as_clients_read_it(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    data = inner(chain, chain.network.system)
    read = dynamic_field.decode_value(data, key_length=8, read=system.read_inner)
    assert (read.view.epoch, read.view.n_shards, read.view.max_epochs_ahead) == (1, 100, 53)
    assert (read.view.storage_price, read.view.write_price) == (5, 1)
    assert read.view.total_capacity == 4 * 10**12
    assert {member.node_id: member.public_key for member in read.members} == {
        node.node_id: node.public_key for node in nodes
    }
    assert [member.node_id for member in read.members] == sorted(node.node_id for node in nodes)


def test_pools_as_clients_read_them(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node = nodes[0]
    chain.stake(chain.account("alice"), node, 5 * WAL)
    chain.call("staking::set_next_commission", sender=node.account, cap=node.cap_id, commission_rate=77)
    view = staking_pool.decode(contents(chain, node.node_id)).view
    ours = chain.pool(node.node_id)
    assert (view.node_id, view.name, view.network_address) == (node.node_id, "n0", "n0.example:9185")
    assert (view.bls_public_key, view.next_bls_public_key) == (node.public_key, None)
    assert (view.wal_balance, view.num_shares) == (ours.wal_balance, ours.num_shares) == (1_000 * WAL, 1_000 * WAL)
    assert (view.activation_epoch, view.latest_epoch) == (0, 1)
    assert view.votes.node_capacity == 10**12
    assert dict(view.pending_stake) == {2: 5 * WAL}
    assert dict(view.pending_commission_rate) == {3: 77}
    assert view.network_public_key == ours.node_info.network_public_key


def test_stakes_caps_and_blobs_as_clients_read_them(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    stake = chain.stake(chain.account("alice"), nodes[0], 5 * WAL)
    read = staked_wal.decode(contents(chain, stake.id))
    assert (read.node_id, read.principal, read.activation_epoch) == (nodes[0].node_id, 5 * WAL, 2)
    cap = storage_node.decode_cap(contents(chain, nodes[0].cap_id))
    assert (cap.node_id, cap.last_epoch_sync_done) == (nodes[0].node_id, 1)
    blob = Blob(A, 3, 2**255 + 7, 9, 128, 4, Storage(B, 3, 5, 10**12), deletable=True)
    seen = blob_abi.decode(type_of(Blob).to_bcs(blob))
    assert (seen.object_id, seen.registered_epoch, seen.size) == (A, 3, 9)
    assert int.from_bytes(seen.blob_id, "little") == 2**255 + 7
    assert (seen.encoding_type, seen.certified_epoch, seen.deletable) == (128, 4, True)
    assert (seen.storage.object_id, seen.storage.end_epoch, seen.storage.size) == (B, 5, 10**12)


def test_every_event_decodes_as_nodes_read_it(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    found = [event for item in chain.ledger.pending() for event in item.events]
    decoded = [events.decode(event.type, event.contents, packages={chain.network.walrus_package}) for event in found]
    assert [type(event).__name__ for event in decoded[:3]] == [
        "EpochParametersSelected",
        "EpochChangeStart",
        "PricesUpdated",
    ]
    assert None not in decoded
    received = [event for event in decoded if isinstance(event, events.ShardsReceived)]
    assert sorted(shard for event in received for shard in event.shards) == list(range(100))
    for event in found:
        assert event.type.startswith(f"{chain.network.walrus_package}::events::")


def test_events_match_the_readers_field_by_field() -> None:
    for name, declared in registry.module("walrus", "events").structs.items():  # type: ignore[union-attr]
        made = declared.build(())
        zeros = made.from_bcs(bytes(200)[: _zero_length(made)])
        decoded = events.decode(f"0x1::events::{name}", made.to_bcs(zeros))
        assert decoded is not None, name
        assert [field for field, _ in made.fields] == list(vars(decoded)), name  # type: ignore[attr-defined]


def _zero_length(move_type: MoveType) -> int:
    for length in range(200):
        try:
            move_type.from_bcs(bytes(length))
        except bcs.BcsError:
            continue
        return length
    raise AssertionError(move_type)


@pytest.mark.parametrize(
    ("move_type", "value", "expected"),
    [
        (staking_inner.EPOCH_STATE, staking_inner.EpochChangeSync(0x0102), "000201"),
        (staking_inner.EPOCH_STATE, staking_inner.EpochChangeDone(3), "010300000000000000"),
        (staking_inner.EPOCH_STATE, staking_inner.NextParamsSelected(4), "020400000000000000"),
        (exchange_rate.POOL_EXCHANGE_RATE, exchange_rate.Flat(), "00"),
        (exchange_rate.POOL_EXCHANGE_RATE, exchange_rate.Variable(1, 2), "01" + "01" + "00" * 15 + "02" + "00" * 15),
        (auth.AUTHORIZED, auth.Address(A), "00" + "aa" * 32),  # type: ignore[arg-type]
        (auth.AUTHORIZED, auth.ObjectID(B), "01" + "bb" * 32),
        (native_stake.STATE, native_stake.Staked(), "00"),
        (native_stake.STATE, native_stake.Withdrawing(5), "0105000000"),
        (
            type_of(StorageNodeCap),
            StorageNodeCap(A, B, 1, EventBlobAttestation(2, 3), 4, 5, 6),
            "aa" * 32
            + "bb" * 32
            + "01000000"
            + "01"
            + "0200000000000000"
            + "03000000"
            + "04"
            + "00" * 31
            + "0500000000000000"
            + "0600000000000000",
        ),
    ],
)
def test_bytes_by_hand(move_type: MoveType, value: object, expected: str) -> None:
    assert move_type.to_bcs(value).hex() == expected
    assert move_type.from_bcs(bytes.fromhex(expected)) == value


@pytest.mark.parametrize("name", sorted(EVENTS.structs))
def test_every_event_that_the_contract_declares_is_known_to_clients(name: str) -> None:
    move_type = EVENTS.concrete(name)
    assert isinstance(move_type, Struct)
    sample = {"u8": 1, "u32": 2, "u64": 3, "u256": 4, "bool": True, "ID": A, "vector": b""}
    values = [[] if field.tag == tags.vector(tags.U16) else sample[field.tag.name] for _, field in move_type.fields]
    event = events.decode(f"0x1::events::{name}", move_type.to_bcs(move_type.cls(*values)))
    assert event is not None
    assert events.event_name(event) == name
    assert [field.name for field in dataclasses.fields(event)] == [field for field, _ in move_type.fields]


def test_clients_know_no_event_that_the_contract_does_not_declare() -> None:
    assert len(typing.get_args(events.Event)) == len(EVENTS.structs)


def test_every_declared_type_can_be_resolved() -> None:
    for module in registry.MODULES:
        for name, declared in module.structs.items():
            params = tuple(tags.U64 for _ in range(declared.type_parameters))
            made = registry.resolve(tags.TypeTag(name, params, module.package, module.name))
            assert made.tag.name == name


def test_every_signature_names_types_that_exist() -> None:
    for module in registry.MODULES:
        for function in module.functions.values():
            for place in (*function.signature.parameters, *function.signature.returns):
                if "$" not in str(place.tag):
                    registry.resolve(place.tag)


def test_keys_are_stored_uncompressed(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    committee = chain.system().committee
    assert all(len(member.public_key) == 96 for member in committee.members)
    assert committee.total_aggregated_key == bls.sum_public_keys([node.public_key for node in nodes])
