"""Slashing votes: who may cast them, when they carry, what they burn, and when they are void."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec.types import ObjectId
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.walrus.slashing import SlashingProposal
from walrus_sui.devnet.testing import Account, Chain, Node

WAL = 10**9
Step = Callable[[Chain, list[Node]], None]


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def vote(chain: Chain, voter: Node, candidate: ObjectId, *, sender: Account | None = None) -> None:
    program = chain.program(sender or voter.account)
    proof = program.call("auth::authenticate_sender")
    program.call("slashing::vote_for_slashing", auth=proof, voter_node_id=voter.node_id, candidate_node_id=candidate)
    program.run()


def execute(chain: Chain, candidate: Node) -> None:
    chain.call("slashing::execute_slashing", sender=chain.account("bob"), candidate_node_id=candidate.node_id)


def proposal(chain: Chain, candidate: Node) -> SlashingProposal | None:
    manager = chain.value(chain.network.slashing_manager)
    key = bytes.fromhex(candidate.node_id[2:])
    found = [item for item in chain.ledger.dynamic_fields(manager.slashing_candidates.id) if item.name.bcs == key]
    assert manager.slashing_candidates.size == len(chain.ledger.dynamic_fields(manager.slashing_candidates.id))
    if not found:
        return None
    value: SlashingProposal = chain.type_of(found[0].value_type).from_bcs(found[0].value.bcs)
    return value


def gift(chain: Chain, node: Node, amount: int) -> None:
    """Gives FROST to a node's commission; it is blocked until voting ends."""
    alice = chain.account("alice")
    program = chain.program(alice)
    types = [chain.network.wal_type]
    balance = program.call("coin::into_balance", types=types, coin=chain.coin(alice, amount))
    given = program.vector([balance], f"0x2::balance::Balance<{chain.network.wal_type}>")
    program.call("staking::add_commission_to_pools", node_ids=[node.node_id], commissions=given)
    program.run()


def supply(chain: Chain) -> int:
    info = chain.ledger.coin_info(chain.network.wal_type)
    assert info is not None
    return info.total_supply


def test_a_quorum_burns_all_commission_and_nothing_else(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    candidate = nodes[3]
    gift(chain, candidate, 700)
    before, pool = supply(chain), chain.pool(candidate.node_id)
    for voter in nodes[:2]:
        vote(chain, voter, candidate.node_id)
    assert proposal(chain, candidate) == SlashingProposal(
        1, candidate.node_id, 50, [nodes[0].node_id, nodes[1].node_id]
    )
    assert abort_of(lambda: execute(chain, candidate)) == ("slashing", 4)
    vote(chain, candidate, candidate.node_id)  # against itself: allowed
    events = len(chain.ledger.pending())
    execute(chain, candidate)
    assert chain.ledger.pending()[events].events == ()
    after = chain.pool(candidate.node_id)
    assert (after.commission.value, after.extra_fields.size) == (0, 0)
    assert before - supply(chain) == 700
    assert (after.wal_balance, after.num_shares, after.rewards_pool) == (
        pool.wal_balance,
        pool.num_shares,
        pool.rewards_pool,
    )
    assert candidate.node_id in chain.staking().committee
    assert proposal(chain, candidate) is None
    assert abort_of(lambda: execute(chain, candidate)) == ("slashing", 2)


def test_who_may_vote(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    target = nodes[3].node_id
    assert abort_of(lambda: vote(chain, nodes[0], target, sender=nodes[1].account)) == ("slashing", 0)
    stranger = chain.add_node(chain.account("bob"))
    assert abort_of(lambda: vote(chain, stranger, target)) == ("staking_inner", 4)
    vote(chain, nodes[0], target)
    assert abort_of(lambda: vote(chain, nodes[0], target)) == ("slashing", 1)
    vote(chain, nodes[0], nodes[2].node_id)  # another candidate has votes of its own


def test_a_candidate_need_not_exist_until_it_is_slashed(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    nobody = ObjectId("0x" + "7" * 64)
    for voter in nodes[:3]:
        vote(chain, voter, nobody)
    with pytest.raises(MoveAbort) as caught:
        chain.call("slashing::execute_slashing", sender=chain.account("bob"), candidate_node_id=nobody)
    assert (caught.value.module, caught.value.code) == ("dynamic_field", 1)


def test_governance_may_be_an_object(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    node = nodes[0]
    program = chain.program(node.account)
    proof = program.call("auth::authenticate_sender")
    holder = program.call("auth::authorized_object", id=node.cap_id)
    program.call("staking::set_governance_authorized", node_id=node.node_id, auth=proof, authorized=holder)
    program.run()
    assert abort_of(lambda: vote(chain, node, nodes[1].node_id)) == ("slashing", 0)
    program = chain.program(node.account)
    types = [f"{chain.network.walrus_package}::storage_node::StorageNodeCap"]
    proof = program.call("auth::authenticate_with_object", types=types, obj=node.cap_id)
    program.call(
        "slashing::vote_for_slashing", auth=proof, voter_node_id=node.node_id, candidate_node_id=nodes[1].node_id
    )
    program.run()
    assert proposal(chain, nodes[1]) is not None


def test_votes_end_with_their_epoch(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    candidate = nodes[3]
    for voter in nodes[:3]:
        vote(chain, voter, candidate.node_id)
    step(chain, nodes)
    assert abort_of(lambda: execute(chain, candidate)) == ("slashing", 3)
    vote(chain, nodes[0], candidate.node_id)  # the same voter: the old votes are forgotten
    assert proposal(chain, candidate) == SlashingProposal(2, candidate.node_id, 25, [nodes[0].node_id])
    assert abort_of(lambda: execute(chain, candidate)) == ("slashing", 4)


def test_only_old_proposals_are_cleaned_up(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    vote(chain, nodes[0], nodes[3].node_id)
    vote(chain, nodes[0], nodes[2].node_id)
    everyone = [node.node_id for node in nodes]

    def clean() -> None:
        chain.call("slashing::cleanup_slashing_proposals", sender=chain.account("bob"), node_ids=everyone)

    clean()
    assert proposal(chain, nodes[3]) is not None
    step(chain, nodes)
    vote(chain, nodes[0], nodes[2].node_id)
    clean()
    assert proposal(chain, nodes[3]) is None
    assert proposal(chain, nodes[2]) is not None


@pytest.mark.parametrize(("voters", "carried"), [((0, 1), False), ((0, 2), True)])
def test_a_quorum_is_exact(voters: tuple[int, int], carried: bool) -> None:
    """Of 100 shards 66 are no quorum, 67 are one."""
    config = GenesisConfig(n_shards=100, epoch_zero_duration_ms=0)
    chain = Chain(config, accounts=("n0", "n1", "n2", "bob"))
    nodes = [chain.add_node(chain.account(f"n{index}")) for index in range(3)]
    for node, amount in zip(nodes, (33, 33, 34), strict=True):
        chain.stake(node.account, node, amount * WAL)
    chain.call("staking::voting_end", sender=nodes[0].account)
    chain.call("staking::initiate_epoch_change_v2", sender=nodes[0].account)
    assert [len(chain.staking().committee[node.node_id]) for node in nodes] == [33, 33, 34]
    for index in voters:
        vote(chain, nodes[index], nodes[0].node_id)
    if carried:
        execute(chain, nodes[0])
    else:
        assert abort_of(lambda: execute(chain, nodes[0])) == ("slashing", 4)
