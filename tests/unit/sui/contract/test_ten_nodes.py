"""A network of ten nodes and a hundred shards through the facade: time, committees, prices, rewards, votes."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec import blob_id as blob_ids
from walrus_codec.types import EncodingType, Epoch
from walrus_sui import bls, messages
from walrus_sui.devnet.testing import Chain, MoveAbort, Node

WAL = 10**9
WEEK = 7 * 24 * 3600 * 1000
Made = tuple[Chain, list[Node]]
Ten = Callable[..., Made]


def refused(call: Callable[[], Any]) -> MoveAbort:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value


def attest(chain: Chain, nodes: list[Node]) -> None:
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node, cap=node, epoch=chain.staking().epoch)


def change(chain: Chain) -> None:
    chain.call("staking::initiate_epoch_change_v2", sender="alice")


def members(chain: Chain) -> set[str]:
    return {member.node_id for member in chain.system().committee.members}


# Time


def test_voting_and_change_wait_for_their_millisecond(ten: Ten) -> None:
    chain, nodes = ten()
    for node in nodes:
        chain.stake(node, node, 1000 * WAL)
    start = chain.now_ms
    chain.set_clock(start + 99_999_999)
    assert refused(lambda: chain.call("staking::voting_end", sender="alice")) == MoveAbort("staking_inner", 0)
    assert refused(lambda: change(chain)) == MoveAbort("staking_inner", 6)
    chain.advance(1)
    chain.call("staking::voting_end", sender="alice")
    assert refused(lambda: chain.call("staking::voting_end", sender="bob")) == MoveAbort("staking_inner", 0)
    change(chain)
    assert (chain.view("system::epoch"), chain.view("system::n_shards")) == (1, 100)
    assert refused(lambda: chain.call("staking::voting_end", sender="alice")) == MoveAbort("staking_inner", 0)
    attest(chain, nodes)
    done = chain.now_ms
    chain.set_clock(done + WEEK // 2 - 1)
    assert refused(lambda: chain.call("staking::voting_end", sender="alice")) == MoveAbort("staking_inner", 0)
    chain.advance(1)
    chain.call("staking::voting_end", sender="alice")
    chain.set_clock(done + WEEK - 1)
    assert refused(lambda: change(chain)) == MoveAbort("staking_inner", 0)
    chain.advance(1)
    change(chain)
    assert chain.view("staking::epoch") == 2
    assert members(chain) == {node.node_id for node in nodes}


def test_the_change_is_done_when_seven_of_ten_have_attested(ten: Ten) -> None:
    chain, nodes = ten()
    for node in nodes:
        chain.stake(node, node, 1000 * WAL)
    chain.advance(100_000_000)
    chain.call("staking::voting_end", sender="alice")
    change(chain)
    for attested, node in enumerate(nodes, start=1):
        attest(chain, [node])
        names = [type(event).__name__ for event in chain.last.events]
        assert names == (["EpochChangeDone", "ShardsReceived"] if attested == 7 else ["ShardsReceived"])
        state = type(chain.staking().epoch_state).__name__
        assert state == ("EpochChangeSync" if attested < 7 else "EpochChangeDone")
    assert refused(lambda: attest(chain, nodes[:1])) == MoveAbort("staking_inner", 2)


@pytest.mark.parametrize(("n_shards", "quorum"), [(4, 3), (5, 4), (6, 5), (7, 5), (8, 6), (9, 7), (11, 8), (12, 9)])
def test_a_quorum_is_the_contracts_for_any_number_of_shards(n_shards: int, quorum: int) -> None:
    chain = Chain(n_shards=n_shards, epoch_zero_duration="0s")
    nodes = [chain.add_node(f"node{number}") for number in range(n_shards)]
    for node in nodes:
        chain.stake(node, node, WAL)
    chain.call("staking::voting_end", sender="alice")
    change(chain)
    assert [len(held) for held in chain.staking().committee.values()] == [1] * n_shards
    done = []
    for node in nodes:
        attest(chain, [node])
        done.append(type(chain.staking().epoch_state).__name__ == "EpochChangeDone")
    assert done.index(True) + 1 == quorum  # the least w with 3w >= 2n + 1


# Committees


def test_stake_after_the_selection_counts_one_epoch_later(ten: Ten) -> None:
    chain, nodes = ten()
    *early, late = nodes
    for node in early:
        stake = chain.stake(node, node, 1000 * WAL)
        assert chain.view("staking::can_withdraw_staked_wal_early", staked_wal=stake)
    chain.advance(100_000_000)
    chain.call("staking::voting_end", sender="alice")
    assert not chain.view("staking::can_withdraw_staked_wal_early", staked_wal=stake)
    assert chain.stake(late, late, 1000 * WAL).activation_epoch == 2
    change(chain)
    assert members(chain) == {node.node_id for node in early}
    attest(chain, early)
    chain.advance(WEEK)
    chain.call("staking::voting_end", sender="alice")
    change(chain)
    assert members(chain) == {node.node_id for node in nodes}


def test_stake_of_a_node_that_was_too_small_comes_back_and_may_return(ten: Ten) -> None:
    chain, nodes = ten()
    *large, small = nodes
    for node in large:
        chain.stake(node, node, 1000 * WAL)
    chain.next_epoch()
    stake = chain.stake(small, small, WAL)
    chain.next_epoch()
    assert small.node_id not in members(chain)
    assert chain.call("staking::withdraw_stake", sender=small, staked_wal=stake).balance.value == WAL
    assert chain.stake(small, small, 1000 * WAL).activation_epoch == 3
    chain.next_epoch()
    assert small.node_id in members(chain)


@pytest.mark.parametrize(("signer", "epoch"), [("node0", 1), ("node1", 0), ("node1", 1)])
def test_a_proof_of_possession_is_for_one_epoch_and_one_sender(signer: str, epoch: int) -> None:
    chain = Chain({"n_shards": 100})
    secret = 117
    key = bls.public_key(secret)
    proof = bls.sign(secret, messages.proof_of_possession(chain.account(signer).address, key, Epoch(epoch)))
    arguments = {
        "name": "n",
        "network_address": "127.0.0.1",
        "public_key": key,
        "network_public_key": bytes(33),
        "proof_of_possession": proof,
        "commission_rate": 0,
        "storage_price": 5,
        "write_price": 1,
        "node_capacity": 1_000_000_000,
    }
    outcome = refused(lambda: chain.call("staking::register_candidate", sender="node0", **arguments))
    assert (outcome, outcome.name) == (MoveAbort("staking_pool", 4), "EInvalidProofOfPossession")


# Votes


def test_capacity_is_what_a_quorum_of_the_next_committee_offers(ten: Ten) -> None:
    chain, nodes = ten()
    for number, node in enumerate(nodes, start=1):
        chain.call("staking::set_node_capacity_vote", sender=node, cap=node, node_capacity=number * 1000)
        chain.stake(node, node, 1000 * WAL)
    chain.next_epoch()
    params = chain.staking().next_epoch_params
    assert params is not None
    # Ten nodes offer 10,000 to 100,000 in all; seven of them at least 40,000.
    assert params.total_capacity_size == chain.view("system::total_capacity_size") == 40_000
    assert params.storage_price_per_unit_size == params.write_price_per_unit_size == 2**64 - 1


def test_prices_follow_the_votes_at_once(network: Made) -> None:
    chain, nodes = network

    def vote(voters: list[Node], kind: str, price: int) -> tuple[int, int]:
        for node in voters:
            chain.call(f"staking::set_{kind}_price_vote", sender=node, cap=node, **{f"{kind}_price": price})
        chain.call("staking::update_prices", sender="alice")
        system = chain.system()
        event = chain.last.event("PricesUpdated")
        prices = system.storage_price_per_unit_size, system.write_price_per_unit_size
        assert (event.epoch, event.storage_price, event.write_price) == (system.epoch, *prices)
        return prices

    assert (chain.system().storage_price_per_unit_size, chain.system().write_price_per_unit_size) == (10_000, 20_000)
    assert vote(nodes[:3], "storage", 50_000) == (10_000, 20_000)  # the other seven are a quorum
    assert vote(nodes[:7], "storage", 50_000) == (50_000, 20_000)
    assert vote(nodes, "write", 100_000) == (50_000, 100_000)
    assert vote(nodes[:1], "storage", 1) == (50_000, 100_000)  # six high votes are left, four low ones
    assert vote(nodes[:5], "storage", 1) == (10_000, 100_000)
    chain.next_epoch()
    assert (chain.system().storage_price_per_unit_size, chain.system().write_price_per_unit_size) == (10_000, 100_000)


# Rewards


def test_all_rewards_as_commission_less_for_a_deny_list(ten: Ten) -> None:
    chain, nodes = ten(commission_rate=10_000, storage_price=5, write_price=1, node_capacity=1_000_000_000)
    for node in nodes:
        chain.stake(node, node, WAL)
    chain.next_epoch()
    chain.call(
        "system::reserve_space", sender="alice", storage_amount=1_000_000_000, epochs_ahead=10, payment=1_000 * WAL
    )
    denying = nodes[0]
    announced = {"sender": denying, "cap": denying, "deny_list_root": 2}
    for sequence in (1, 2):
        chain.call("system::register_deny_list_update", deny_list_sequence=sequence, **announced)
        assert chain.last.event("RegisterDenyListUpdate").sequence_number == sequence
    root = (2).to_bytes(32, "little")
    update = messages.deny_list_update(denying.node_id, sequence=1, size=10_000_000, root=root, epoch=Epoch(1))
    chain.call("system::update_deny_list", sender=denying, cap=denying, **chain.certificate(update, nodes))
    cap = chain.handle(denying.cap_id)
    assert (cap.deny_list_root, cap.deny_list_sequence, cap.deny_list_size) == (2, 1, 10_000_000)
    chain.next_epoch()
    # 954 MiB at 5 FROST are 4770; 143 burn.
    chain.advance(WEEK // 2)
    chain.call("staking::voting_end", sender="alice")
    paid = [
        chain.call("staking::collect_commission", sender=node, node_id=node, auth=node).balance.value for node in nodes
    ]
    assert paid == [458] + [463] * 9
    left = chain.system().future_accounting.ring_lookup(0).rewards_to_distribute.value
    assert left == 4770 + 4770 - 143 - sum(paid)


# Votes to slash and to upgrade


def test_six_of_ten_do_not_slash_and_seven_do(network: Made) -> None:
    chain, nodes = network
    accused = nodes[0]
    chain.call("staking::add_commission_to_pools", sender="alice", node_ids=[accused], commissions=[500 * WAL])
    supply = chain.view("wal::total_supply")

    def execute() -> None:
        chain.call("slashing::execute_slashing", sender="bob", candidate_node_id=accused)

    def vote(voter: Node, *, sender: Any = None) -> None:
        who = {"voter_node_id": voter, "candidate_node_id": accused}
        chain.call("slashing::vote_for_slashing", sender=sender or voter, **who)

    assert refused(execute) == MoveAbort("slashing", 2)
    for node in nodes[:6]:
        vote(node)
    assert refused(execute) == MoveAbort("slashing", 4)
    assert refused(lambda: vote(nodes[0])) == MoveAbort("slashing", 1)
    assert refused(lambda: vote(nodes[7], sender=nodes[6])) == MoveAbort("slashing", 0)
    chain.call("slashing::cleanup_slashing_proposals", sender="bob", node_ids=[accused])  # of this epoch: it stays
    vote(nodes[6])
    late = chain.fork()
    execute()
    assert chain.pool(accused).commission.value == 0
    assert chain.view("wal::total_supply") == supply - 500 * WAL
    assert refused(execute) == MoveAbort("slashing", 2)
    # The same votes are worth nothing an epoch later, and the first vote of the new epoch forgets them.
    late.next_epoch()
    assert refused(lambda: late.call("slashing::execute_slashing", sender="bob", candidate_node_id=accused)) == (
        MoveAbort("slashing", 3)
    )
    late.call("slashing::vote_for_slashing", sender=nodes[6], voter_node_id=nodes[6], candidate_node_id=accused)
    assert refused(lambda: late.call("slashing::execute_slashing", sender="bob", candidate_node_id=accused)) == (
        MoveAbort("slashing", 4)
    )


def test_six_of_ten_do_not_upgrade(network: Made) -> None:
    chain, nodes = network
    digest = bytes(range(32))

    def authorize(what: bytes = digest) -> None:
        program = chain.program("alice")
        program.call("upgrade::authorize_upgrade", digest=what)
        program.run()

    def vote(voter: Node) -> list[str]:
        chain.call("upgrade::vote_for_upgrade", sender=voter, node_id=voter, digest=digest)
        return [type(event).__name__ for event in chain.last.events]

    assert refused(authorize) == MoveAbort("upgrade", 4)
    assert refused(lambda: authorize(digest[:31])) == MoveAbort("upgrade", 3)
    assert vote(nodes[0]) == ["ContractUpgradeProposed"]
    assert refused(lambda: vote(nodes[0])) == MoveAbort("upgrade", 2)
    assert [vote(node) for node in nodes[1:6]] == [[]] * 5
    assert refused(authorize) == MoveAbort("upgrade", 6)
    assert vote(nodes[6]) == vote(nodes[7]) == ["ContractUpgradeQuorumReached"]
    chain.next_epoch()
    assert refused(authorize) == MoveAbort("upgrade", 5)


# Event blobs


def event_blob(number: int) -> dict[str, Any]:
    root, size = number.to_bytes(32, "little"), 5_000_000
    blob_id = int.from_bytes(blob_ids.compute(root, EncodingType.RS2, size), "little")
    return {"blob_id": blob_id, "root_hash": number, "size": size, "encoding_type": 1}


def confirm(chain: Chain, node: Node, number: int, checkpoint: int) -> tuple[int | None, int]:
    """Attests; gives the latest certified checkpoint and the number of candidates."""
    place = {"ending_checkpoint_sequence_num": checkpoint, "epoch": chain.system().epoch}
    chain.call("system::certify_event_blob", sender=node, cap=node, **event_blob(number), **place)
    state = chain.system().event_blob_certification_state
    latest = state.latest_certified_blob
    return latest.ending_checkpoint_sequence_number if latest else None, len(state.aggregate_weight_per_blob)


def test_the_seventh_of_ten_certifies_and_later_ones_change_nothing(network: Made) -> None:
    chain, nodes = network
    seen = [confirm(chain, node, 7, 100) for node in nodes]
    assert seen == [(None, 1)] * 6 + [(100, 0)] * 4
    assert refused(lambda: confirm(chain, nodes[0], 7, 100)) == MoveAbort("system_state_inner", 7)


def test_six_attestations_are_forgotten_with_their_epoch(network: Made) -> None:
    chain, nodes = network
    assert [confirm(chain, node, 7, 100) for node in nodes[:6]] == [(None, 1)] * 6
    assert refused(lambda: confirm(chain, nodes[0], 8, 200)) == MoveAbort("system_state_inner", 6)
    chain.next_epoch()
    assert chain.system().event_blob_certification_state.aggregate_weight_per_blob == {}
    again = [nodes[6], *nodes[:6]]
    assert [confirm(chain, node, 7, 100) for node in again] == [(None, 1)] * 6 + [(100, 0)]


def test_a_node_that_lies_about_each_blob_stops_nobody(network: Made) -> None:
    chain, nodes = network
    *honest, liar = nodes
    for number in range(1, 6):
        checkpoint = 100 * number
        assert [confirm(chain, node, number, checkpoint) for node in honest][-1][0] == checkpoint
        latest, candidates = confirm(chain, liar, 2000 + number, checkpoint + 1)
        assert (latest, candidates) == (checkpoint, 1)
