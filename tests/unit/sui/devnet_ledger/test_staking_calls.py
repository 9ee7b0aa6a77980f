"""What stakers and operators call on the staking object, on a whole chain."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.staking import MODULE
from walrus_sui.devnet.testing import Account, Chain, Node

WAL = 10**9
HALF = 300_000
Step = Callable[[Chain, list[Node]], None]


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def give(chain: Chain, sender: Account, gifts: dict[ObjectId, int]) -> None:
    """Gives FROST to the commission of pools."""
    program = chain.program(sender)
    types = [chain.network.wal_type]
    balances = [
        program.call("coin::into_balance", types=types, coin=chain.coin(sender, amount)) for amount in gifts.values()
    ]
    given = program.vector(balances, f"0x2::balance::Balance<{chain.network.wal_type}>")
    program.call("staking::add_commission_to_pools", node_ids=list(gifts), commissions=given)
    program.run()


def collect(chain: Chain, node: Node, *, sender: Account | None = None, with_cap: bool = True) -> int:
    who = sender or node.account
    program = chain.program(who)
    if with_cap:
        types = [f"{chain.network.walrus_package}::storage_node::StorageNodeCap"]
        proof = program.call("auth::authenticate_with_object", types=types, obj=node.cap_id)
    else:
        proof = program.call("auth::authenticate_sender")
    coin = program.call("staking::collect_commission", node_id=node.node_id, auth=proof)
    program.transfer([coin], who.address)
    (value,) = program.run_for_values(coin)
    amount: int = value.balance.value
    return amount


def authorize(chain: Chain, node: Node, function: str, argument: str, to: str, *, address: bool) -> None:
    program = chain.program(node.account)
    proof = program.call("auth::authenticate_sender")
    made = (
        program.call("auth::authorized_address", addr=to) if address else program.call("auth::authorized_object", id=to)
    )
    program.call(f"staking::{function}", node_id=node.node_id, auth=proof, **{argument: made})
    program.run()


def voting_end(chain: Chain) -> None:
    chain.call("staking::voting_end", sender=chain.account("alice"))


def test_committees_can_be_looked_up(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    assert chain.call("staking::committee", sender=alice) == chain.staking().committee
    assert chain.call("staking::previous_committee", sender=alice) == {}
    first = chain.staking().committee
    chain.stake(alice, nodes[0], 1_000 * WAL)
    step(chain, nodes)
    assert chain.call("staking::previous_committee", sender=alice) == first
    program = chain.program(alice)
    preview = program.call("staking::compute_next_committee")
    size = program.call("committee::size", cmt=preview)
    assert program.run_for_values(size) == [4]
    program = chain.program(alice)
    preview = program.call("staking::compute_next_committee")
    program.call("committee::to_inner", cmt=preview)
    held = program.call("committee::shards", cmt=preview, node_id=nodes[0].node_id)
    assert program.inspect(held) == [chain.staking().committee[nodes[0].node_id]]
    program = chain.program(alice)
    missing = program.call(
        "committee::shards", cmt=program.call("staking::compute_next_committee"), node_id=alice.address
    )
    with pytest.raises(MoveAbort, match="vec_map::get_idx aborted with 1"):
        program.inspect(missing)


def test_early_and_announced_withdrawal(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    before = chain.balance(alice)
    stake = chain.stake(alice, nodes[0], 1_000 * WAL)
    assert chain.call("staking::can_withdraw_staked_wal_early", sender=alice, staked_wal=stake) is True
    assert chain.call("staking::withdraw_stake", sender=alice, staked_wal=stake).balance.value == 1_000 * WAL
    assert chain.balance(alice) == before
    stake = chain.stake(alice, nodes[0], 1_000 * WAL)
    chain.advance(ms=HALF)
    voting_end(chain)
    assert chain.call("staking::can_withdraw_staked_wal_early", sender=alice, staked_wal=stake) is False
    assert abort_of(lambda: chain.call("staking::withdraw_stake", sender=alice, staked_wal=stake)) == (
        "staking_pool",
        10,
    )
    chain.advance(ms=HALF)
    chain.call("staking::initiate_epoch_change_v2", sender=alice)
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=2)
    chain.call("staking::request_withdraw_stake", sender=alice, staked_wal=stake)
    assert chain.call("staking::can_withdraw_staked_wal_early", sender=alice, staked_wal=stake) is False
    assert abort_of(lambda: chain.call("staking::withdraw_stake", sender=alice, staked_wal=stake)) == (
        "staking_pool",
        11,
    )
    step(chain, nodes)
    assert chain.call("staking::withdraw_stake", sender=alice, staked_wal=stake).balance.value == 1_000 * WAL
    assert chain.pool(nodes[0].node_id).wal_balance == 1_000 * WAL


def test_withdrawal_counts_in_the_next_selection(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    stake = chain.stake(alice, nodes[0], 1_000 * WAL)
    step(chain, nodes)
    assert len(chain.staking().committee[nodes[0].node_id]) == 40
    chain.call("staking::request_withdraw_stake", sender=alice, staked_wal=stake)
    step(chain, nodes)
    assert [len(held) for held in chain.staking().committee.values()] == [25] * 4


def test_a_node_without_stake_leaves_the_active_set(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    owned = chain.ledger.owned_objects(
        nodes[3].account.address, f"{chain.network.walrus_package}::staked_wal::StakedWal"
    )
    (stake,) = [obj.object_id for obj in owned]
    chain.call("staking::request_withdraw_stake", sender=nodes[3].account, staked_wal=stake)
    active = chain.field(chain.staking().active_set.id)
    assert {entry.node_id for entry in active.nodes} == {node.node_id for node in nodes[:3]}
    step(chain, nodes)
    assert nodes[3].node_id not in chain.staking().committee
    # The pool got its rewards of the ending epoch, advanced once more, and can be joined again.
    assert chain.pool(nodes[3].node_id).wal_balance == 0
    chain.stake(nodes[3].account, nodes[3], WAL)
    active = chain.field(chain.staking().active_set.id)
    assert active.nodes[-1].node_id == nodes[3].node_id


def test_try_join_active_set(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node = nodes[2]
    chain.call("staking::try_join_active_set", sender=node.account, cap=node.cap_id)
    active = chain.field(chain.staking().active_set.id)
    assert [(entry.node_id, entry.staked_amount) for entry in active.nodes] == [
        (other.node_id, 1_000 * WAL) for other in nodes
    ]
    stranger = chain.add_node(chain.account("bob"))
    chain.call("staking::try_join_active_set", sender=stranger.account, cap=stranger.cap_id)
    assert len(chain.field(chain.staking().active_set.id).nodes) == 4


def test_rewards_can_be_calculated_ahead(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network

    def rewards(node_id: str) -> Any:
        return chain.call(
            "staking::calculate_rewards",
            sender=chain.account("alice"),
            node_id=node_id,
            staked_principal=WAL,
            activation_epoch=1,
            withdraw_epoch=2,
        )

    assert rewards(nodes[0].node_id) == 0
    assert abort_of(lambda: rewards(chain.account("alice").address)) == ("staking_inner", 8)


def test_commission_belongs_to_the_capability(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node, bob = nodes[0], chain.account("bob")
    chain.advance(ms=HALF)
    voting_end(chain)
    give(chain, bob, {node.node_id: 700})
    assert abort_of(lambda: collect(chain, node, with_cap=False)) == ("staking_pool", 15)
    assert collect(chain, node) == 700
    assert collect(chain, node) == 0
    give(chain, bob, {node.node_id: 300})
    program = chain.program(node.account)
    types = [f"{chain.network.walrus_package}::storage_node::StorageNodeCap"]
    proof = program.call("auth::authenticate_with_object", types=types, obj=node.cap_id)
    receiver = program.call("auth::authorized_address", addr=bob.address)
    program.call("staking::set_commission_receiver", node_id=node.node_id, auth=proof, receiver=receiver)
    program.run()
    assert abort_of(lambda: collect(chain, node)) == ("staking_pool", 15)
    assert collect(chain, node, sender=bob, with_cap=False) == 300


def test_governance_belongs_to_the_sender_until_it_is_given_away(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node = nodes[0]
    authorize(chain, node, "set_governance_authorized", "authorized", node.cap_id, address=False)
    again = lambda: authorize(  # noqa: E731
        chain, node, "set_governance_authorized", "authorized", node.account.address, address=True
    )
    assert abort_of(again) == ("staking_pool", 15)


def test_gifts_are_blocked_until_voting_ends_for_members_before(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    bob = chain.account("bob")
    # Epoch 1: nobody was a member before, so the end of voting unblocks nothing.
    give(chain, bob, {node.node_id: 1_000 + index for index, node in enumerate(nodes)})
    assert collect(chain, nodes[0]) == 0
    chain.advance(ms=HALF)
    voting_end(chain)
    assert collect(chain, nodes[0]) == 0
    # Between the end of voting and the change nothing is blocked.
    give(chain, bob, {nodes[0].node_id: 7})
    assert collect(chain, nodes[0]) == 7
    chain.advance(ms=HALF)
    chain.call("staking::initiate_epoch_change_v2", sender=bob)
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=2)
    assert collect(chain, nodes[1]) == 0
    chain.advance(ms=HALF)
    voting_end(chain)
    assert [collect(chain, node) for node in nodes] == [1_000, 1_001, 1_002, 1_003]


def test_every_gift_needs_its_pool(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    give(chain, alice, {})
    assert abort_of(lambda: give(chain, alice, {alice.address: 5})) == ("dynamic_field", 1)  # type: ignore[dict-item]
    program = chain.program(alice)
    nothing = program.vector([], f"0x2::balance::Balance<{chain.network.wal_type}>")
    program.call("staking::add_commission_to_pools", node_ids=[nodes[0].node_id], commissions=nothing)
    with pytest.raises(MoveAbort) as caught:
        program.run()
    assert (caught.value.module, caught.value.code >> 32 & 0xFFFF) == ("staking_inner", 783)


def test_the_whole_module_is_there() -> None:
    assert set(MODULE.functions) == {
        "add_commission_to_pools",
        "calculate_rewards",
        "can_withdraw_staked_wal_early",
        "collect_commission",
        "committee",
        "compute_next_committee",
        "epoch",
        "epoch_sync_done",
        "initiate_epoch_change",
        "initiate_epoch_change_v2",
        "node_metadata",
        "previous_committee",
        "register_candidate",
        "request_withdraw_stake",
        "set_commission_receiver",
        "set_governance_authorized",
        "set_migration_epoch",
        "set_name",
        "set_network_address",
        "set_network_public_key",
        "set_next_commission",
        "set_next_public_key",
        "set_node_capacity_vote",
        "set_node_metadata",
        "set_storage_price_vote",
        "set_write_price_vote",
        "stake_with_pool",
        "try_join_active_set",
        "update_prices",
        "voting_end",
        "withdraw_stake",
    }


def test_aborts_name_the_function_of_the_contract(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node, alice = nodes[0], chain.account("alice")
    stake = chain.stake(alice, node, WAL)

    def place(function: str, sender: Account = alice, **arguments: Any) -> str:
        with pytest.raises(MoveAbort) as caught:
            chain.call(function, sender=sender, **arguments)
        return f"{caught.value.module}::{caught.value.function}"

    key, proof = node.public_key, bytes(96)
    rotate = {"cap": node, "public_key": key, "proof_of_possession": proof}
    assert place("staking::set_next_public_key", node.account, **rotate) == "staking_pool::set_next_public_key"
    assert place("staking::request_withdraw_stake", staked_wal=stake) == "staking_pool::request_withdraw_stake"
    assert place("staked_wal::split", sw=stake, amount=WAL) == "staked_wal::split"
    assert place("staking::stake_with_pool", to_stake=1, node_id=node) == "staked_wal::mint"
    assert place("staking::voting_end") == "staking_inner::voting_end"
    assert place("staking::initiate_epoch_change_v2") == "staking_inner::next_bls_committee"
    vote = {"node_id": node, "digest": b""}
    assert place("upgrade::vote_for_upgrade", node.account, **vote) == "upgrade::vote_for_upgrade"
    against = {"voter_node_id": node, "candidate_node_id": node}
    assert place("slashing::vote_for_slashing", **against) == "slashing::vote_for_slashing"
    chain.call("slashing::vote_for_slashing", sender=node.account, **against)
    assert place("slashing::vote_for_slashing", node.account, **against) == "slashing::add_vote"
    assert place("staking::collect_commission", node_id=node) == "staking_pool::collect_commission"
