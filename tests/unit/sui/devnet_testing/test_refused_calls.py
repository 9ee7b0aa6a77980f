"""What the facade answers to single calls that the contract refuses, as somebody writes them who knows only the facts.

Each line forks one chain of four nodes in epoch 1 with a blob, a storage, a stake and a pool of bob's.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, EncodingType, Epoch
from walrus_sui import messages
from walrus_sui.devnet.testing import Chain, Handle, MoveAbort, Node

WAL = 10**9
MIB = 1 << 20
ROOT = bytes(32)
SIZE = 1_000


@dataclass
class World:
    chain: Chain
    nodes: list[Node]
    blob_id: BlobId
    blob: Handle
    storage: Handle
    stake: Handle
    pool: Handle


@pytest.fixture(scope="module")
def world() -> World:
    chain = Chain({"n_shards": 10, "encoding": "rs2", "epoch_duration": "10m", "epoch_zero_duration": "10s"})
    nodes = [chain.add_node(f"n{index}", storage_price=1_000, write_price=500) for index in range(4)]
    for node in nodes:
        chain.call("staking::stake_with_pool", sender="alice", to_stake=1_000 * WAL, node_id=node)
    chain.next_epoch()
    blob_id = blob_ids.compute(ROOT, EncodingType.RS2, SIZE)

    def space(amount: int) -> Handle:
        given = {"storage_amount": amount, "epochs_ahead": 3, "payment": WAL}
        bought: Handle = chain.call("system::reserve_space", sender="bob", **given)
        return bought

    blob = chain.call(
        "system::register_blob",
        sender="bob",
        storage=space(CodeParams(10, EncodingType.RS2).encoded_length(SIZE)),
        blob_id=blob_id,
        root_hash=ROOT,
        size=SIZE,
        encoding_type=1,
        deletable=False,
        write_payment=WAL,
    )
    stake = chain.call("staking::stake_with_pool", sender="bob", to_stake=10 * WAL, node_id=nodes[0])
    given = {"reserved_encoded_capacity_bytes": 100 * MIB, "epochs_ahead": 3, "payment": WAL}
    pool = chain.call("system::create_storage_pool", sender="bob", **given)
    return World(chain, nodes, blob_id, blob, space(10 * MIB), stake, pool)


REFUSED = [
    ("staking::voting_end", "bob", {}, "staking_inner", 0),
    ("staking::initiate_epoch_change_v2", "bob", {}, "staking_inner", 6),
    ("staking::initiate_epoch_change", "bob", {}, "staking", 2),
    ("staking::epoch_sync_done", "node", {"cap": "node", "epoch": 1}, "staking_inner", 2),
    ("staking::epoch_sync_done", "node", {"cap": "node", "epoch": 2}, "staking_inner", 1),
    ("staking::stake_with_pool", "bob", {"to_stake": WAL - 1, "node_id": "node"}, "staked_wal", 7),
    ("staking::stake_with_pool", "bob", {"to_stake": WAL, "node_id": "0x123"}, "dynamic_field", 1),
    ("staking::request_withdraw_stake", "bob", {"staked_wal": "stake"}, "staking_pool", 13),
    ("staking::collect_commission", "bob", {"node_id": "node"}, "staking_pool", 15),
    ("staking::set_next_commission", "node", {"cap": "node", "commission_rate": 10_001}, "staking_pool", 14),
    ("staking::set_name", "node", {"cap": "node", "name": "x" * 101}, "staking_pool", 17),
    ("staking::set_network_address", "node", {"cap": "node", "network_address": "x" * 260}, "staking_pool", 16),
    ("staking::set_network_public_key", "node", {"cap": "node", "network_public_key": bytes(32)}, "storage_node", 0),
    ("staking::set_migration_epoch", "bob", {}, "staking", 0),
    ("staked_wal::split", "bob", {"sw": "stake", "amount": WAL - 1}, "staked_wal", 7),
    ("staked_wal::split", "bob", {"sw": "stake", "amount": 9 * WAL + 1}, "staked_wal", 7),
    ("system::reserve_space", "bob", {"storage_amount": 1, "epochs_ahead": 0, "payment": WAL}, "system_state_inner", 2),
    (
        "system::reserve_space",
        "bob",
        {"storage_amount": 1, "epochs_ahead": 54, "payment": WAL},
        "system_state_inner",
        2,
    ),
    (
        "system::reserve_space",
        "bob",
        {"storage_amount": 0, "epochs_ahead": 1, "payment": WAL},
        "system_state_inner",
        11,
    ),
    # It is paid before the capacity is looked at.
    ("system::reserve_space", "bob", {"storage_amount": 2**62, "epochs_ahead": 1, "payment": 1}, "balance", 2),
    ("system::extend_blob", "bob", {"blob": "blob", "extended_epochs": 1, "payment": WAL}, "blob", 0),
    ("system::delete_blob", "bob", {"blob": "blob"}, "blob", 1),
    ("system::add_subsidy", "bob", {"subsidy": WAL, "epochs_ahead": 54}, "system_state_inner", 2),
    ("system::delete_pooled_blob", "bob", {"storage_pool": "pool", "blob_id": 7}, "dynamic_field", 1),
    (
        "system::decrease_storage_pool_unused_capacity_by_percent",
        "bob",
        {"storage_pool": "pool", "percent": 101},
        "storage_pool",
        14,
    ),
    ("blob::take_metadata", "bob", {"self": "blob"}, "blob", 8),
    ("storage_resource::split_by_epoch", "bob", {"storage": "storage", "split_epoch": 1}, "storage_resource", 0),
    ("slashing::execute_slashing", "bob", {"candidate_node_id": "node"}, "slashing", 2),
    ("slashing::vote_for_slashing", "bob", {"voter_node_id": "node", "candidate_node_id": "node"}, "slashing", 0),
    ("upgrade::vote_for_upgrade", "node", {"node_id": "node", "digest": bytes(31)}, "upgrade", 3),
    ("wal_exchange::new_exchange_rate", "bob", {"wal": 0, "sui": 1}, "wal_exchange", 3),
]


@pytest.mark.parametrize(("target", "sender", "given", "module", "code"), REFUSED)
def test_a_refused_call_names_its_reason_and_leaves_no_trace(
    world: World, *, target: str, sender: str, given: dict[str, Any], module: str, code: int
) -> None:
    chain = world.chain.fork()
    named = {"node": world.nodes[0], **{name: getattr(world, name).id for name in ("blob", "storage", "stake", "pool")}}
    arguments = {
        key: named[value] if isinstance(value, str) and value in named else value for key, value in given.items()
    }
    before = {obj.object_id: obj.digest for obj in chain.ledger.objects()}
    with pytest.raises(MoveAbort) as refused:
        chain.call(target, sender=named["node"] if sender == "node" else sender, **arguments)
    assert (refused.value.module, refused.value.code) == (module, code)
    assert {obj.object_id: obj.digest for obj in chain.ledger.objects()} == before


@pytest.mark.parametrize(
    ("signers", "epoch", "module", "code"),
    [(2, 1, "bls_aggregate", 2), (4, 2, "messages", 1), (4, 0, "messages", 1)],
    ids=["no quorum", "the next epoch", "the epoch before"],
)
def test_a_certificate_needs_a_quorum_of_this_epoch(
    world: World, signers: int, epoch: int, module: str, code: int
) -> None:
    chain = world.chain.fork()
    message = messages.confirmation(world.blob_id, Epoch(epoch), messages.Permanent())
    certificate = chain.certificate(message, world.nodes[:signers])
    with pytest.raises(MoveAbort) as refused:
        chain.call("system::certify_blob", sender="bob", blob=world.blob.id, **certificate)
    assert (refused.value.module, refused.value.code) == (module, code)


def test_certified_once_is_enough(world: World) -> None:
    chain = world.chain.fork()
    message = messages.confirmation(world.blob_id, Epoch(1), messages.Permanent())
    certificate = chain.certificate(message, world.nodes[1:])
    chain.call("system::certify_blob", sender="bob", blob=world.blob.id, **certificate)
    with pytest.raises(MoveAbort) as refused:
        chain.call("system::certify_blob", sender="bob", blob=world.blob.id, **certificate)
    assert (refused.value.module, refused.value.code) == ("blob", 5)
