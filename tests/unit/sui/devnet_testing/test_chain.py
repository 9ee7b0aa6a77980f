"""The facade: what may stand for an argument, what comes back, and that a refusal leaves no trace."""

from typing import Any

import pytest

from walrus_codec.types import ObjectId
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.errors import GenesisError
from walrus_sui.devnet.move.walrus import auth
from walrus_sui.devnet.move.walrus.exchange_rate import Flat
from walrus_sui.devnet.testing import (
    ArgumentError,
    Chain,
    Handle,
    MoveAbort,
    Node,
    ObjectGone,
    Rejected,
    TransactionFailed,
)
from walrus_sui.devnet.testing.internals import storage_accounting

WAL = 10**9


@pytest.fixture
def chain() -> Chain:
    return Chain({"n_shards": 10, "epoch_zero_duration": "0s", "epoch_duration": "10m"})


@pytest.fixture
def node(chain: Chain) -> Node:
    return chain.add_node("n0")


def state(chain: Chain) -> dict[str, tuple[int, str]]:
    return {obj.object_id: (obj.version, obj.digest) for obj in chain.ledger.objects()}


def test_objects_are_given_in_any_form(chain: Chain, node: Node) -> None:
    made = [
        chain.call("staking::stake_with_pool", sender=sender, to_stake=coin, node_id=node_id)
        for sender, coin, node_id in (
            ("alice", chain.coin("alice", WAL), node),
            (chain.account("alice"), chain.handle(chain.coin("alice", WAL)), node.node_id),
            ("alice", WAL, bytes.fromhex(node.node_id[2:])),
            ("alice", chain.ledger.object(chain.coin("alice", WAL)), chain.handle(node)),
        )
    ]
    assert [stake.principal.value for stake in made] == [WAL] * 4
    assert chain.owned("alice", "StakedWal") == sorted(made, key=lambda handle: handle.id)


def test_senders_are_given_in_any_form(chain: Chain, node: Node) -> None:
    n0 = chain.account("n0")
    for sender in (n0, "n0", n0.address, n0.address.upper().replace("X", "x"), node):
        assert chain.call("auth::authenticate_sender", sender=sender) == auth.Sender(n0.address)
        assert chain.balance(sender) == 1_000_000 * WAL
    with pytest.raises(ArgumentError, match=r"no key is known for 0x5: name the account, like \['alice'"):
        chain.call("staking::epoch", sender="0x5")
    with pytest.raises(ArgumentError, match="7 is no account"):
        chain.program(7)  # type: ignore[arg-type]  # what the message is for


def test_accounts_that_have_been_named_are_addresses(chain: Chain, node: Node) -> None:
    bob = chain.account("bob").address
    chain.call("transfer::public_transfer", sender="alice", obj=chain.coin("alice", 5), recipient="bob")
    assert chain.balance("bob") == 1_000_000 * WAL + 5
    assert chain.call("auth::authorized_address", sender="alice", addr="bob") == auth.Address(bob)
    chain.call("staking::set_governance_authorized", sender=node, node_id=node, auth="n0", authorized="bob")
    assert chain.pool(node).governance_authorized == auth.Address(bob)
    with pytest.raises(ArgumentError, match="'dave' is no address"):
        chain.call("auth::authorized_address", sender="alice", addr="dave")
    with pytest.raises(ArgumentError, match="'bob' is no address"):
        chain.call("auth::authorized_object", sender="alice", id="bob")


def test_balances_are_amounts_or_coins(chain: Chain) -> None:
    ring = chain.system().future_accounting
    assert storage_accounting.per_epoch_rewards(ring)[:3] == [0, 0, 0]
    paid = [7, chain.coin("alice", 5)]
    chain.call("system::add_per_epoch_subsidies", sender="alice", subsidies=paid)
    assert storage_accounting.per_epoch_rewards(chain.system().future_accounting)[:3] == [7, 5, 0]
    assert chain.balance("alice") == 1_000_000 * WAL - 12


def test_the_deployer_has_the_capabilities(chain: Chain) -> None:
    (emergency,) = chain.owned(chain.deployer, "EmergencyUpgradeCap")
    assert emergency.upgrade_manager_id == chain.network.upgrade_manager
    exchange = next(cap for cap in chain.owned(chain.deployer, "AdminCap") if "::wal_exchange::" in cap.stored.type)
    rate = {"wal": 3, "sui": 2, "admin_cap": exchange}
    chain.call("wal_exchange::set_exchange_rate", sender=chain.deployer, **rate)
    assert chain.view("wal_exchange::exchange_all_for_wal", sui=5).balance.value == 7
    with pytest.raises(Rejected, match="owned by account address"):
        chain.call("wal_exchange::set_exchange_rate", sender="alice", **rate)


def test_tables_and_fields_show_their_entries(chain: Chain, node: Node) -> None:
    chain.stake("alice", node, WAL)
    chain.next_epoch()
    assert chain.entries(chain.pool(node).exchange_rates) == {0: Flat(), 1: Flat()}
    assert list(chain.entries(chain.staking().pools)) == [node.node_id]
    assert chain.entries(chain.staking().pools)[node.node_id] == chain.pool(node)
    assert chain.entries(chain.network.system) == {4: chain.system()}
    assert chain.field(chain.staking().active_set).nodes[0].staked_amount == WAL
    vote = {"voter_node_id": node, "candidate_node_id": "0x9"}
    chain.call("slashing::vote_for_slashing", sender=node, **vote)
    (proposal,) = chain.entries(chain.handle(chain.network.slashing_manager).slashing_candidates).values()
    assert (proposal.voting_weight, proposal.voters) == (10, [node.node_id])
    with pytest.raises(LookupError, match="has 2 dynamic fields, not one"):
        chain.field(chain.pool(node).exchange_rates)


def test_looking_needs_no_account() -> None:
    chain = Chain(accounts=())
    before = state(chain)
    assert chain.view("staking::epoch") == 0
    assert (state(chain), chain.accounts()) == (before, ())


def test_packages_and_types_are_named_in_any_form(chain: Chain) -> None:
    for name in ("staking", "walrus::staking", f"{chain.network.walrus_package}::staking"):
        assert chain.view(f"{name}::epoch") == 0
    assert chain.call("coin::zero", sender="alice", at="0x2", types=["WAL"]).balance.value == 0
    for name in ("0x2", "0x" + "2".rjust(64, "0")):
        assert chain.call(f"{name}::coin::zero", sender="alice", types=["WAL"]).balance.value == 0
    assert chain.call("coin::zero", sender="alice", types=["SUI"]).stored.type == chain.network.sui_coin


def test_settings_may_be_given_by_name() -> None:
    chain = Chain({"n_shards": 4}, epoch_duration="5s", max_epochs_ahead=2, now_ms=1_000)
    staking = chain.staking()
    assert (staking.n_shards, staking.epoch_duration, staking.first_epoch_start) == (4, 5_000, 11_000)
    assert len(chain.system().future_accounting.ring_buffer) == 2
    assert chain.view("clock::timestamp_ms") == chain.now_ms == 1_000
    with pytest.raises(GenesisError, match="shards: unknown; known keys are seed, n_shards"):
        Chain(shards=4)
    with pytest.raises(TypeError, match="n_shards: give a GenesisConfig that has it"):
        Chain(GenesisConfig(), n_shards=4)


@pytest.mark.parametrize("n_shards", [4, 9, 300, 1000])
def test_any_number_of_shards_with_the_official_encoding(n_shards: int) -> None:
    chain = Chain({"n_shards": n_shards})
    assert chain.staking().n_shards == n_shards
    assert chain.view("encoding::encoded_blob_length", unencoded_length=1, encoding_type=1, n_shards=n_shards) > 0


def test_an_amount_comes_off_the_senders_coins_merged_when_no_single_one_suffices(chain: Chain, node: Node) -> None:
    alice = chain.account("alice")
    chain.coin(alice, chain.balance(alice) // 2)
    whole = chain.balance(alice)
    stake = chain.call("staking::stake_with_pool", sender=alice, to_stake=whole - 5, node_id=node)
    assert stake.principal.value == whole - 5
    assert chain.balance(alice) == 5
    with pytest.raises(ArgumentError, match="to_stake: alice has less than 6"):
        chain.call("staking::stake_with_pool", sender=alice, to_stake=6, node_id=node)


def test_change_of_a_lent_amount_goes_back(chain: Chain, node: Node) -> None:
    chain.stake("alice", node, WAL)
    chain.next_epoch()
    before = chain.balance("alice")
    chain.call("system::reserve_space", sender="alice", storage_amount=1 << 20, epochs_ahead=1, payment=WAL)
    assert chain.balance("alice") == before - 5


def test_what_a_chain_has_one_of_may_be_left_out(chain: Chain) -> None:
    assert chain.call("auth::authenticate_sender", sender="bob") == auth.Sender(chain.account("bob").address)
    assert chain.call("clock::timestamp_ms", sender="bob") == chain.now_ms
    assert chain.call("clock::timestamp_ms", sender="bob", clock="0x6") == chain.now_ms
    assert chain.call("system::epoch", sender="bob", self=chain.network.system) == 0


def test_proofs_and_descriptions_are_made_where_they_are_needed(chain: Chain, node: Node) -> None:
    n0, bob = chain.account("n0"), chain.account("bob")

    def change(sender: Any, receiver: Any, **arguments: Any) -> Any:
        chain.call("staking::set_commission_receiver", sender=sender, node_id=node, receiver=receiver, **arguments)
        return chain.pool(node).commission_receiver

    # To hold the node's capability is a proof; later the sender's address is one.
    assert change(n0, n0, auth=node) == auth.Address(n0.address)
    for given in (bob, bob.address, auth.Address(bob.address)):
        assert change(n0, given) == auth.Address(bob.address)
        assert change("bob", n0, auth=bob) == auth.Address(n0.address)
    with pytest.raises(ArgumentError, match=r"auth: only .* can prove"):
        change(n0, bob, auth=bob)
    for cap in (node, node.cap_id, chain.handle(node.cap_id), auth.ObjectID(node.cap_id)):
        assert change(n0, cap) == auth.ObjectID(node.cap_id)
        change(n0, n0, auth=node.cap_id)
    about = {"description": "a node", "extra_fields": {"grpc_address": "n0:9187"}}
    chain.call("staking::set_node_metadata", sender=n0, cap=node, metadata=about)
    found = chain.view("staking::node_metadata", node_id=node)
    assert (found.description, found.extra_fields) == ("a node", {"grpc_address": "n0:9187"})
    chain.call("staking::set_node_metadata", sender=n0, cap=node, metadata=found)


def test_plain_values_in_their_forms(chain: Chain) -> None:
    def passed(function: str, **arguments: Any) -> Any:
        return chain.call(function, sender="alice", **arguments)

    assert passed("string::utf8", bytes=[104, 105]) == "hi"
    assert passed("string::utf8", bytes="hi") == passed("string::utf8", bytes="0x6869") == "hi"
    assert passed("object::id_from_address", bytes="0x5") == "0x" + "5".rjust(64, "0")
    assert passed("option::some", types=["u64"], e=7) == 7
    entries = passed("vec_map::from_keys_values", types=["u8", "0x1::string::String"], keys=[1, 2], values=("a", b"b"))
    assert entries == {1: "a", 2: "b"}


@pytest.mark.parametrize(
    ("function", "arguments", "complaint"),
    [
        ("staking::nonsense", {}, "no function staking::nonsense"),
        ("stakin::stake_with_pools", {}, r"did you mean staking::stake_with_pool\?"),
        ("stake_with_pool", {}, r"no function stake_with_pool .*: did you mean staking::stake_with_pool\?"),
        (
            "staking_pool::advance_epoch",
            {},
            "What only the contract itself calls is in walrus_sui.devnet.testing.intern",
        ),
        ("staking::stake_with_pool", {"to_stake": 1e9}, "argument to_stake: 1000000000.0 is no amount: give a whole"),
        ("staking::stake_with_pool", {"to_stake": -5}, "argument to_stake: -5 is no amount"),
        (
            "blob::derive_blob_id",
            {"root_hash": "0x1"},
            "'0x1' is no u256: give a whole number, or its 32 little-endian",
        ),
        ("staking::set_node_metadata", {"cap": "0x6", "metadata": {"nam": ""}}, "extra_fields, but no nam"),
        ("staking::stake_with_pool", {"stake": 1}, "no argument stake; it takes: staking, to_stake, node_id"),
        ("staking::stake_with_pool", {"to_stake": 1}, "argument node_id: is missing"),
        ("staking::stake_with_pool", {"to_stake": 1, "node_id": 5}, "argument node_id: 5 is no address"),
        ("staking::stake_with_pool", {"to_stake": "0x77", "node_id": "0x1"}, "argument to_stake: no object"),
        ("staking::epoch_sync_done", {"cap": 5, "epoch": 1}, "argument cap: 5 is no StorageNodeCap"),
        ("staking::epoch_sync_done", {"cap": "0x6", "epoch": 2**32}, "argument epoch: 4294967296 is no u32"),
        ("staking::epoch_sync_done", {"cap": "0x6", "epoch": True}, "argument epoch: True is no u32"),
        ("coin::zero", {}, "give types"),
    ],
)
def test_what_cannot_be_called_is_named(chain: Chain, function: str, arguments: dict[str, Any], complaint: str) -> None:
    before = state(chain)
    with pytest.raises((ArgumentError, LookupError), match=complaint):
        chain.call(function, sender="alice", **arguments)
    assert state(chain) == before


def test_only_members_sign(chain: Chain, node: Node) -> None:
    with pytest.raises(ArgumentError, match="n0 is not in the committee"):
        chain.certificate(b"", [node])


def test_a_refused_call_leaves_no_trace(chain: Chain, node: Node) -> None:
    coin = chain.coin("alice", WAL)
    before, pending = state(chain), chain.ledger.pending()
    with pytest.raises(MoveAbort) as refused:
        chain.call("staking::stake_with_pool", sender="alice", to_stake=coin, node_id="0x1")
    assert (refused.value.module, refused.value.code, refused.value.name) == ("dynamic_field", 1, "EFieldDoesNotExist")
    assert refused.value == MoveAbort("dynamic_field", 1) != MoveAbort("dynamic_field", 2)
    with pytest.raises(TransactionFailed):
        chain.call("coin::split", sender="alice", self=coin, split_amount=1, types=[chain.network.sui_type])
    program = chain.program("alice")
    program.call("staking::stake_with_pool", to_stake=coin, node_id=node)
    with pytest.raises(TransactionFailed) as unused:
        program.run()
    assert unused.value.failure.kind.name == "UNUSED_VALUE_WITHOUT_DROP"
    assert state(chain) == before
    assert chain.ledger.pending() == pending
    assert chain.coin("alice", 1) != coin  # and goes on as if nothing had been


def test_failures_are_kept_on_demand(node: Node, chain: Chain) -> None:
    chain.keep_failures = True
    coin = chain.coin("alice", WAL)
    before = chain.balance("alice", "SUI")
    with pytest.raises(MoveAbort):
        chain.call("staking::stake_with_pool", sender="alice", to_stake=coin, node_id="0x1")
    assert chain.balance("alice", "SUI") < before
    assert not chain.last.effects.succeeded


def test_handles_show_objects_as_they_are_now(chain: Chain) -> None:
    coin = chain.handle(chain.coin("alice", 10))
    version = coin.stored.version
    part = chain.call("coin::split", sender="alice", self=coin, split_amount=3)
    assert (coin.balance.value, part.balance.value) == (7, 3)
    assert coin.stored.version > version
    assert coin == chain.handle(coin.id)
    assert repr(coin).startswith("<coin::Coin 0x")
    frozen = coin.read()
    chain.call("coin::join", sender="alice", self=coin, c=part)
    assert (frozen.balance.value, coin.balance.value) == (7, 10)
    assert not part.exists
    with pytest.raises(ObjectGone):
        part.read()


def test_accounts_are_made_when_they_are_named(chain: Chain) -> None:
    assert chain.balance("dave") == chain.balance("alice") == 1_000_000 * WAL
    assert chain.balance("dave", "SUI") == 1_000_000 * 10**9
    assert chain.account("dave") == chain.account("dave")


def test_the_clock_goes_forward_only(chain: Chain) -> None:
    chain.set_clock(chain.now_ms + 5)
    chain.advance(7)
    assert chain.view("clock::timestamp_ms") == chain.now_ms
    with pytest.raises(ValueError, match="never goes back"):
        chain.set_clock(chain.now_ms - 1)
    for step in (-1, 0.5):
        with pytest.raises(ValueError, match="by whole milliseconds, not by"):
            chain.advance(step)  # type: ignore[arg-type]  # what the message is for
    assert chain.view("clock::timestamp_ms") == chain.now_ms
    with pytest.raises(AttributeError):
        chain.now_ms = 0  # type: ignore[misc]  # it has no setter


def test_epochs_pass_as_soon_as_they_may(chain: Chain, node: Node) -> None:
    start = chain.now_ms
    chain.stake("alice", node, WAL)
    assert chain.next_epoch() == 1
    assert chain.now_ms == start
    assert chain.next_epoch(3) == 4
    assert chain.now_ms == start + 3 * 600_000


def test_views_have_no_effect(chain: Chain, node: Node) -> None:
    before = state(chain)
    assert chain.view("staking::epoch") == 0
    assert chain.view("wal_exchange::exchange_all_for_wal", sui=5).balance.value == 5
    with pytest.raises(MoveAbort):
        chain.view("staking::initiate_epoch_change_v2")
    assert state(chain) == before


def test_a_fork_goes_its_own_way(chain: Chain, node: Node) -> None:
    other = chain.fork()
    stake = other.stake("alice", node, WAL)
    assert isinstance(stake, Handle)
    assert chain.ledger.object(ObjectId(stake.id)) is None
    assert chain.balance("alice") == other.balance("alice") + WAL
