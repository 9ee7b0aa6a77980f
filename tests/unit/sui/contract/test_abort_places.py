"""An abort names the function of the contract that checked, not the one that was called nor one of ours."""

from typing import Any

import pytest

from walrus_codec.types import BlobId, Epoch
from walrus_sui import messages
from walrus_sui.devnet.testing import Chain, MoveAbort, Node

Made = tuple[Chain, list[Node]]


def place(chain: Chain, function: str, **arguments: Any) -> tuple[str, str, int]:
    with pytest.raises(MoveAbort) as caught:
        chain.call(function, **arguments)
    return caught.value.module, caught.value.function, caught.value.code


def test_keys_and_their_proofs(network: Made) -> None:
    chain, (node, *_) = network
    new = {"sender": node, "cap": node, "proof_of_possession": bytes(96)}
    function = "staking::set_next_public_key"
    assert place(chain, function, public_key=node.public_key, **new) == ("staking_pool", "set_next_public_key", 4)
    assert place(chain, function, public_key=bytes(47), **new) == ("messages", "new_proof_of_possession_msg", 6)
    candidate = {
        "sender": "alice",
        "name": "n",
        "network_address": "h:1",
        "public_key": node.public_key,
        "network_public_key": bytes(33),
        "proof_of_possession": bytes(96),
        "commission_rate": 0,
        "storage_price": 1,
        "write_price": 1,
        "node_capacity": 1,
    }
    assert place(chain, "staking::register_candidate", **candidate) == ("staking_pool", "new", 4)


def test_certificates(network: Made) -> None:
    chain, nodes = network
    confirmation = messages.confirmation(BlobId(bytes(32)), Epoch(1), messages.Permanent())
    few, all_of_them = chain.certificate(confirmation, nodes[:3]), chain.certificate(confirmation, nodes)
    old = chain.certificate(messages.invalid_blob(BlobId(bytes(32)), Epoch(0)), nodes)
    unknown = chain.certificate(confirmation[:39] + b"\2", nodes)
    assert place(chain, "system::invalidate_blob_id", sender="bob", **all_of_them) == (
        "messages",
        "invalid_blob_id_message",
        2,
    )
    assert place(chain, "system::invalidate_blob_id", sender="bob", **few) == (
        "bls_aggregate",
        "verify_certificate_and_weight",
        2,
    )
    assert place(chain, "system::invalidate_blob_id", sender="bob", **old) == ("messages", "new_certified_message", 1)
    pool = chain.call(
        "system::create_storage_pool", sender="alice", reserved_encoded_capacity_bytes=1, epochs_ahead=1, payment=10**9
    )
    pooled = {"sender": "alice", "storage_pool": pool, "blob_id": 0}
    assert place(chain, "system::certify_pooled_blob", **pooled, **unknown) == (
        "messages",
        "peel_blob_persistence_type",
        4,
    )


def test_capabilities_and_digests(network: Made) -> None:
    chain, (node, *_) = network
    foreign = chain.call("wal_exchange::new", sender="alice")
    rate = {"sender": "alice", "admin_cap": foreign, "wal": 1, "sui": 1}
    assert place(chain, "wal_exchange::set_exchange_rate", self=chain.network.exchange, **rate) == (
        "wal_exchange",
        "check_admin",
        2,
    )
    purse = {"system_subsidy_rate": 0, "base_subsidy": 0, "subsidy_per_shard": 0}
    cap = chain.call("walrus_subsidies::new", sender="alice", **purse)
    assert place(
        chain,
        "walrus_subsidies::set_base_subsidy",
        sender="alice",
        self=chain.network.subsidies,
        admin_cap=cap,
        base_subsidy=1,
    ) == ("walrus_subsidies", "check_admin", 0)
    vote = {"sender": node, "node_id": node, "digest": bytes(31)}
    assert place(chain, "upgrade::vote_for_upgrade", **vote) == ("upgrade", "vote_for_upgrade", 3)
