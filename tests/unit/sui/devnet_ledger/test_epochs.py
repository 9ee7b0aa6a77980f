from collections.abc import Callable
from typing import Any

import pytest

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import U64_MAX, MoveAbort
from walrus_sui.devnet.move.walrus.staking_inner import EpochChangeDone, EpochChangeSync, NextParamsSelected
from walrus_sui.devnet.testing import START_MS, Chain, Node, TransactionFailed

MINUTE = 60_000
WAL = 10**9
Step = Callable[[Chain, list[Node]], None]


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def anyone(chain: Chain, function: str) -> Any:
    return chain.call(f"staking::{function}", sender=chain.account("alice"))


def events(chain: Chain) -> list[str]:
    """Names of all events since the last checkpoint."""
    return [event.type.rsplit("::", 1)[1] for item in chain.ledger.pending() for event in item.events]


def shards(chain: Chain, nodes: list[Node]) -> list[int]:
    committee = chain.staking().committee
    return [len(committee.get(node.node_id, [])) for node in nodes]


def staked(chain: Chain, *amounts: int) -> list[Node]:
    nodes = [chain.add_node(chain.account(f"n{index}")) for index in range(len(amounts))]
    for node, amount in zip(nodes, amounts, strict=True):
        if amount:
            chain.stake(node.account, node, amount * WAL)
    return nodes


def test_epoch_zero_waits_for_its_time(chain: Chain) -> None:
    staked(chain, 10, 10)
    assert chain.staking().epoch_state == EpochChangeDone(START_MS)
    chain.advance(ms=9_999)
    assert abort_of(lambda: anyone(chain, "voting_end")) == ("staking_inner", 0)
    chain.advance(ms=1)
    anyone(chain, "voting_end")
    assert chain.staking().epoch_state == NextParamsSelected(START_MS)
    anyone(chain, "initiate_epoch_change_v2")
    assert chain.staking().epoch == chain.system().epoch == 1


def test_nobody_staked(chain: Chain) -> None:
    staked(chain, 0, 0)
    chain.advance(ms=10_000)
    assert abort_of(lambda: anyone(chain, "voting_end")) == ("staking_inner", 3)


def test_first_committee_is_sorted_by_id_and_consecutive(chain: Chain) -> None:
    nodes = staked(chain, 40, 30, 20, 10)
    chain.advance(ms=10_000)
    anyone(chain, "voting_end")
    committee = chain.staking().next_committee or {}
    assert list(committee) == sorted(node.node_id for node in nodes)
    assert [shard for held in committee.values() for shard in held] == list(range(100))
    assert {node.node_id: len(committee[node.node_id]) for node in nodes} == dict(
        zip([node.node_id for node in nodes], [40, 30, 20, 10], strict=True)
    )


def test_change_before_the_end_of_voting_finds_no_committee(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    chain.advance(ms=60 * MINUTE)
    assert abort_of(lambda: anyone(chain, "initiate_epoch_change_v2")) == ("staking_inner", 6)


def test_the_old_entry_is_dead(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    assert abort_of(lambda: anyone(chain, "initiate_epoch_change")) == ("staking", 2)


def test_half_and_full_epoch_are_exact(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    chain.advance(ms=5 * MINUTE - 1)
    assert abort_of(lambda: anyone(chain, "voting_end")) == ("staking_inner", 0)
    chain.advance(ms=1)
    anyone(chain, "voting_end")
    assert abort_of(lambda: anyone(chain, "voting_end")) == ("staking_inner", 0)
    chain.advance(ms=5 * MINUTE - 1)
    assert abort_of(lambda: anyone(chain, "initiate_epoch_change_v2")) == ("staking_inner", 0)
    assert chain.system().epoch == 1
    chain.advance(ms=1)
    anyone(chain, "initiate_epoch_change_v2")
    assert chain.staking().epoch_state == EpochChangeSync(0)
    assert abort_of(lambda: anyone(chain, "voting_end")) == ("staking_inner", 0)
    assert abort_of(lambda: anyone(chain, "initiate_epoch_change_v2")) == ("staking_inner", 6)


def test_events_of_a_change_come_in_order(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    chain.advance(ms=10 * MINUTE)
    anyone(chain, "voting_end")
    anyone(chain, "initiate_epoch_change_v2")
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=2)
    assert events(chain) == [
        "EpochParametersSelected",
        "EpochChangeStart",
        "PricesUpdated",
        "ShardsReceived",
        "ShardsReceived",
        "EpochChangeDone",
        "ShardsReceived",
        "ShardsReceived",
    ]


def test_sync_done(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network

    def done(node: Node, epoch: int) -> None:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=epoch)

    chain.advance(ms=10 * MINUTE)
    anyone(chain, "voting_end")
    anyone(chain, "initiate_epoch_change_v2")
    assert abort_of(lambda: done(nodes[0], 1)) == ("staking_inner", 1)
    done(nodes[0], 2)
    assert abort_of(lambda: done(nodes[0], 2)) == ("staking_inner", 2)
    assert abort_of(lambda: done(nodes[0], 3)) == ("staking_inner", 1)
    done(nodes[1], 2)
    assert chain.staking().epoch_state == EpochChangeSync(50)
    chain.advance(ms=1234)
    done(nodes[2], 2)  # 75 of 100 is a quorum
    assert chain.staking().epoch_state == EpochChangeDone(chain.now_ms)
    chain.advance(ms=1)
    done(nodes[3], 2)
    assert chain.staking().epoch_state == EpochChangeDone(chain.now_ms - 1)
    assert chain.value(nodes[3].cap_id).last_epoch_sync_done == 2


def test_quorum_of_syncs_at_its_edge(chain: Chain) -> None:
    nodes = staked(chain, 34, 33, 33)
    chain.advance(ms=10_000)
    anyone(chain, "voting_end")
    anyone(chain, "initiate_epoch_change_v2")
    assert shards(chain, nodes) == [34, 33, 33]
    chain.call("staking::epoch_sync_done", sender=nodes[1].account, cap=nodes[1].cap_id, epoch=1)
    chain.call("staking::epoch_sync_done", sender=nodes[2].account, cap=nodes[2].cap_id, epoch=1)
    assert chain.staking().epoch_state == EpochChangeSync(66)
    chain.call("staking::epoch_sync_done", sender=nodes[0].account, cap=nodes[0].cap_id, epoch=1)
    assert isinstance(chain.staking().epoch_state, EpochChangeDone)


def test_a_stranger_cannot_attest(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    stranger = chain.add_node(chain.account("bob"))
    call = lambda: chain.call("staking::epoch_sync_done", sender=stranger.account, cap=stranger.cap_id, epoch=1)  # noqa: E731
    assert abort_of(call) == ("staking_inner", 4)
    assert chain.value(stranger.cap_id).last_epoch_sync_done == 0


def test_the_clock_of_an_epoch_starts_when_its_change_is_done(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    chain.advance(ms=10 * MINUTE)
    anyone(chain, "voting_end")
    anyone(chain, "initiate_epoch_change_v2")
    chain.advance(ms=90 * MINUTE)
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=2)
    chain.advance(ms=5 * MINUTE - 1)
    assert abort_of(lambda: anyone(chain, "voting_end")) == ("staking_inner", 0)
    chain.advance(ms=1)
    anyone(chain, "voting_end")


def test_stake_counts_from_the_next_selection(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    stake = chain.stake(alice, nodes[0], 1_000 * WAL)
    assert stake.activation_epoch == 2
    assert chain.pool(nodes[0].node_id).pending_stake.pos0 == {2: 1_000 * WAL}
    chain.advance(ms=5 * MINUTE)
    anyone(chain, "voting_end")
    late = chain.stake(alice, nodes[1], 1_000 * WAL)
    assert late.activation_epoch == 3
    chain.advance(ms=5 * MINUTE)
    anyone(chain, "initiate_epoch_change_v2")
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=2)
    assert shards(chain, nodes) == [40, 20, 20, 20]
    assert chain.pool(nodes[0].node_id).wal_balance == 2_000 * WAL
    assert chain.pool(nodes[1].node_id).wal_balance == 1_000 * WAL
    step(chain, nodes)
    assert shards(chain, nodes) == [34, 34, 16, 16]  # 2000 / 34 = 1000 / 17: earlier nodes win the tie


def test_moving_shards_keeps_the_rest(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    before = chain.staking().committee
    chain.stake(chain.account("alice"), nodes[0], 1_000 * WAL)
    step(chain, nodes)
    after = chain.staking().committee
    assert chain.staking().previous_committee == before
    for node in nodes[1:]:
        assert after[node.node_id] == before[node.node_id][:20]
    assert after[nodes[0].node_id][:25] == before[nodes[0].node_id]
    assert sorted(shard for held in after.values() for shard in held) == list(range(100))


def test_a_new_node_joins(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    new = chain.add_node(chain.account("bob"))
    assert chain.pool(new.node_id).activation_epoch == 1
    chain.stake(new.account, new, 1_000 * WAL)
    step(chain, [*nodes, new])
    assert shards(chain, [*nodes, new]) == [20] * 5
    pool = chain.pool(new.node_id)
    assert (pool.latest_epoch, pool.wal_balance, pool.num_shares) == (2, 1_000 * WAL, 1_000 * WAL)
    assert [m.weight for m in chain.system().committee.members] == [20] * 5


def test_a_candidate_after_the_selection_is_active_later(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    chain.advance(ms=5 * MINUTE)
    anyone(chain, "voting_end")
    assert chain.pool(chain.add_node(chain.account("bob")).node_id).activation_epoch == 2


@pytest.mark.parametrize(("amount", "expected"), [(0, ("staking_pool", 7)), (WAL - 1, ("staked_wal", 7))])
def test_stake_below_one_wal_is_refused(chain: Chain, amount: int, expected: tuple[str, int]) -> None:
    node = chain.add_node(chain.account("n0"))
    alice = chain.account("alice")
    coin = chain.coin(alice, amount)
    call = lambda: chain.call("staking::stake_with_pool", sender=alice, to_stake=coin, node_id=node.node_id)  # noqa: E731
    assert abort_of(call) == expected
    assert chain.value(coin).balance.value == amount


def test_stake_with_an_unknown_node(chain: Chain) -> None:
    alice = chain.account("alice")
    coin = chain.coin(alice, WAL)
    nobody = ObjectId("0x" + "7" * 64)
    call = lambda: chain.call("staking::stake_with_pool", sender=alice, to_stake=coin, node_id=nobody)  # noqa: E731
    assert abort_of(call) == ("dynamic_field", 1)


def test_capacity_is_voted_over_the_next_committee(chain: Chain) -> None:
    nodes = staked(chain, 10, 10, 10, 10)
    # Votes are node_capacity * 100 / 25; a quorum of 75 must have voted for it or more.
    for node, capacity in zip(nodes, (1_000, 2_000, 3_000, 4_000), strict=True):
        chain.call("staking::set_node_capacity_vote", sender=node.account, cap=node.cap_id, node_capacity=capacity)
    chain.advance(ms=10_000)
    anyone(chain, "voting_end")
    params = chain.staking().next_epoch_params
    assert params is not None
    assert params.total_capacity_size == 8_000
    assert (params.storage_price_per_unit_size, params.write_price_per_unit_size) == (U64_MAX, U64_MAX)
    assert chain.system().total_capacity_size == 0
    anyone(chain, "initiate_epoch_change_v2")
    assert chain.system().total_capacity_size == 8_000


def test_a_capacity_vote_saturates(chain: Chain) -> None:
    (node,) = staked(chain, 10)
    chain.call("staking::set_node_capacity_vote", sender=node.account, cap=node.cap_id, node_capacity=U64_MAX)
    chain.advance(ms=10_000)
    anyone(chain, "voting_end")
    params = chain.staking().next_epoch_params
    assert params is not None
    assert params.total_capacity_size == U64_MAX


def test_prices_act_at_once_over_the_current_committee(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    assert (chain.system().storage_price_per_unit_size, chain.system().write_price_per_unit_size) == (5, 1)
    for node, price in zip(nodes, (100, 200, 300, 400), strict=True):
        chain.call("staking::set_storage_price_vote", sender=node.account, cap=node.cap_id, storage_price=price)
    assert chain.system().storage_price_per_unit_size == 5
    anyone(chain, "update_prices")
    # Dropping 400 leaves 75, a quorum; dropping 300 leaves 50, none: 300 is the price.
    assert chain.system().storage_price_per_unit_size == 300


def test_prices_without_a_committee_are_prohibitive(chain: Chain) -> None:
    assert chain.system().storage_price_per_unit_size == 0
    anyone(chain, "update_prices")
    assert chain.system().storage_price_per_unit_size == U64_MAX
    assert chain.system().write_price_per_unit_size == U64_MAX


def test_the_committee_can_be_previewed(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    chain.stake(chain.account("alice"), nodes[0], 1_000 * WAL)
    preview = anyone(chain, "compute_next_committee")
    assert [len(preview[node.node_id]) for node in nodes] == [40, 20, 20, 20]
    assert chain.staking().next_committee is None


def test_epoch_views(network: tuple[Chain, list[Node]]) -> None:
    chain, _ = network
    alice = chain.account("alice")
    assert chain.call("staking::epoch", sender=alice) == chain.call("system::epoch", sender=alice) == 1
    assert chain.call("system::n_shards", sender=alice) == 100
    assert chain.call("system::total_capacity_size", sender=alice) == 4 * 10**12
    assert chain.call("system::version", sender=alice) == 4


def test_nothing_can_be_bought_in_epoch_zero(chain: Chain) -> None:
    alice = chain.account("alice")
    coin = chain.coin(alice, WAL)
    program = chain.program(alice)
    storage = program.call("system::reserve_space", storage_amount=1, epochs_ahead=1, payment=coin)
    program.transfer([storage], alice.address)
    assert abort_of(program.run) == ("system_state_inner", 1)
    with pytest.raises(TransactionFailed, match="MOVE_PRIMITIVE_RUNTIME_ERROR"):
        chain.call("encoding::encoded_blob_length", sender=alice, unencoded_length=1, encoding_type=1, n_shards=0)
