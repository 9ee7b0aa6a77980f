from typing import Any

import pytest

from walrus_codec.types import Epoch
from walrus_sui import bls, messages
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus import auth
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.testing import Chain, Node, bls_secret


def register(chain: Chain, **changes: Any) -> Any:
    account = chain.account("n0")
    secret = bls_secret("n0")
    arguments: dict[str, Any] = {
        "name": "n0",
        "network_address": "n0.example:9185",
        "public_key": bls.public_key(secret),
        "network_public_key": b"\x02" + bytes(32),
        "proof_of_possession": chain.proof_of_possession(account, secret),
        "commission_rate": 10_000,
        "storage_price": 5,
        "write_price": 1,
        "node_capacity": 10,
    }
    program = chain.program(account)
    metadata = program.call("node_metadata::new", image_url="i", project_url="p", description="d")
    cap = program.call("staking::register_candidate", metadata=metadata, **(arguments | changes))
    program.transfer([cap], account.address)
    return program.run()


def abort_of(call: Any) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def test_a_candidate_gets_a_pool_and_a_capability(chain: Chain) -> None:
    node = chain.add_node(chain.account("n0"), commission_rate=123)
    pool = chain.pool(node.node_id)
    assert pool.id == pool.node_info.node_id == node.node_id
    assert pool.node_info.public_key == bls.uncompressed(node.public_key)
    assert (pool.commission_rate, pool.activation_epoch, pool.latest_epoch) == (123, 0, 0)
    assert pool.commission_receiver == auth.ObjectID(node.cap_id)
    assert pool.governance_authorized == auth.Address(node.account.address)
    assert chain.staking().pools.size == 1
    cap = chain.value(node.cap_id)
    assert (cap.node_id, cap.last_epoch_sync_done, cap.last_event_blob_attestation) == (node.node_id, 0, None)


def test_metadata_with_extra_fields(chain: Chain) -> None:
    node = chain.add_node(chain.account("n0"))
    strings = "0x1::string::String"
    program = chain.program(node.account)
    metadata = program.call("node_metadata::new", image_url="i", project_url="p", description="d")
    fields = program.call("vec_map::empty", types=[strings, strings])
    program.call("vec_map::insert", types=[strings, strings], self=fields, key="grpc_address", value="n0:9187")
    program.call("vec_map::insert", types=[strings, strings], self=fields, key="a", value="b")
    program.call("node_metadata::set_extra_fields", metadata=metadata, extra_fields=fields)
    program.call("staking::set_node_metadata", cap=node.cap_id, metadata=metadata)
    program.run()
    stored = chain.call("staking::node_metadata", sender=node.account, node_id=node.node_id)
    assert stored == NodeMetadata("i", "p", "d", {"grpc_address": "n0:9187", "a": "b"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"proof_of_possession": bytes(96)}, ("staking_pool", 4)),
        ({"public_key": bytes(47)}, ("messages", 6)),
        ({"public_key": bls.public_key(9)}, ("staking_pool", 4)),
        ({"name": "x" * 101}, ("staking_pool", 17)),
        ({"name": "ü" * 51}, ("staking_pool", 17)),
        ({"network_address": "x" * 260}, ("staking_pool", 16)),
        ({"commission_rate": 10_001}, ("staking_pool", 14)),
        ({"network_public_key": bytes(32)}, ("storage_node", 0)),
        # The order of checks: key length, possession, name, address, commission, network key.
        ({"public_key": b"", "name": "x" * 101}, ("messages", 6)),
        ({"proof_of_possession": b"", "name": "x" * 101}, ("staking_pool", 4)),
        ({"name": "x" * 101, "network_address": "x" * 260}, ("staking_pool", 17)),
        ({"network_address": "x" * 260, "commission_rate": 10_001}, ("staking_pool", 16)),
        ({"commission_rate": 10_001, "network_public_key": b""}, ("staking_pool", 14)),
    ],
)
def test_bad_candidates_are_refused(chain: Chain, changes: dict[str, Any], expected: tuple[str, int]) -> None:
    assert abort_of(lambda: register(chain, **changes)) == expected
    assert chain.staking().pools.size == 0


def test_limits_are_inclusive(chain: Chain) -> None:
    register(chain, name="x" * 100, network_address="x" * 259, commission_rate=10_000)
    assert chain.staking().pools.size == 1


def test_settings_and_votes(chain: Chain) -> None:
    node = chain.add_node(chain.account("n0"))
    calls = {
        "set_name": {"name": "new"},
        "set_network_address": {"network_address": "new:1"},
        "set_network_public_key": {"network_public_key": b"\x03" + bytes(32)},
        "set_storage_price_vote": {"storage_price": 7},
        "set_write_price_vote": {"write_price": 8},
        "set_node_capacity_vote": {"node_capacity": 9},
        "set_next_commission": {"commission_rate": 77},
    }
    for function, arguments in calls.items():
        chain.call(f"staking::{function}", sender=node.account, cap=node.cap_id, **arguments)
    pool = chain.pool(node.node_id)
    assert (pool.node_info.name, pool.node_info.network_address) == ("new", "new:1")
    assert pool.node_info.network_public_key == b"\x03" + bytes(32)
    votes = pool.voting_params
    assert (votes.storage_price, votes.write_price, votes.node_capacity) == (7, 8, 9)
    assert pool.pending_commission_rate.pos0 == {2: 77}


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("set_name", {"name": "x" * 101}, ("staking_pool", 17)),
        ("set_network_address", {"network_address": "x" * 260}, ("staking_pool", 16)),
        ("set_network_public_key", {"network_public_key": b""}, ("storage_node", 0)),
        ("set_next_commission", {"commission_rate": 10_001}, ("staking_pool", 14)),
        (
            "set_next_public_key",
            {"public_key": bls.public_key(3), "proof_of_possession": bytes(96)},
            ("staking_pool", 4),
        ),
    ],
)
def test_bad_settings_are_refused(
    chain: Chain, function: str, arguments: dict[str, Any], expected: tuple[str, int]
) -> None:
    node = chain.add_node(chain.account("n0"))
    before = chain.pool(node.node_id)
    call = lambda: chain.call(f"staking::{function}", sender=node.account, cap=node.cap_id, **arguments)  # noqa: E731
    assert abort_of(call) == expected
    assert chain.pool(node.node_id) == before


def test_the_next_key_rotates_in_at_the_epoch_change(network: tuple[Chain, list[Node]], step: Any) -> None:
    chain, nodes = network
    node, new = nodes[0], bls_secret("new")
    proof = bls.sign(new, messages.proof_of_possession(node.account.address, bls.public_key(new), Epoch(1)))
    chain.call(
        "staking::set_next_public_key",
        sender=node.account,
        cap=node.cap_id,
        public_key=bls.public_key(new),
        proof_of_possession=proof,
    )
    uncompressed = bls.uncompressed(bls.public_key(new))
    assert chain.pool(node.node_id).node_info.next_epoch_public_key == uncompressed
    assert chain.pool(node.node_id).node_info.public_key == bls.uncompressed(node.public_key)
    step(chain, nodes)
    assert chain.pool(node.node_id).node_info.public_key == uncompressed
    assert chain.pool(node.node_id).node_info.next_epoch_public_key is None
    assert {m.node_id: m.public_key for m in chain.system().committee.members}[node.node_id] == uncompressed


def test_a_key_set_after_the_selection_leaves_the_committee_with_the_old_one(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node, new = nodes[0], bls_secret("new")
    chain.advance(ms=600_000)
    chain.call("staking::voting_end", sender=node.account)
    proof = bls.sign(new, messages.proof_of_possession(node.account.address, bls.public_key(new), Epoch(1)))
    key = bls.public_key(new)
    chain.call(
        "staking::set_next_public_key", sender=node.account, cap=node.cap_id, public_key=key, proof_of_possession=proof
    )
    chain.call("staking::initiate_epoch_change_v2", sender=node.account)
    members = {m.node_id: m.public_key for m in chain.system().committee.members}
    assert members[node.node_id] == bls.uncompressed(node.public_key)
    assert chain.pool(node.node_id).node_info.public_key == bls.uncompressed(key)
