"""Nodes come, and their stake changes while the network lives: each step follows from the chain, none is done twice."""

from __future__ import annotations

from tests.unit.operator.membership.nodes import WAL, put, stakes, weight, workload
from tests.unit.operator.support import World

from walrus_operator.api.decisions import Delegate, WithdrawStake


def test_more_nodes_get_keys_a_pod_and_stake_and_join_with_the_next_epoch(world: World) -> None:
    world.edit(nodes={"count": 12})
    world.settle()
    assert world.says("Valid") == ("True", "Accepted")
    assert stakes(world)["demo-11"] == 1000
    assert world.says("InCommittee", "demo-11") == ("False", "Joining")
    assert "from epoch 2" in world.condition("InCommittee", "demo-11")["message"]
    world.choose_committee()
    world.settle()
    assert world.says("InCommittee", "demo-11") == ("True", "Member")
    assert weight(world, "demo-11") == 8
    assert world.says("Progressing") == ("False", "Reconciled")
    assert world.network["status"]["nodes"]["display"] == "12/12"


def test_a_hand_made_node_joins_by_reference_with_the_stake_of_its_own(world: World) -> None:
    put(world, "extra", stake=3000)
    world.settle()
    world.choose_committee()
    world.settle()
    assert workload(world, "extra")
    assert weight(world, "extra") > 20


def test_stake_is_not_delegated_to_a_node_that_does_not_serve(world: World) -> None:
    world.silent_nodes.add("demo-10")
    world.edit(nodes={"count": 11})
    world.settle()
    assert stakes(world)["demo-10"] == 0
    assert world.says("InCommittee", "demo-10") == ("False", "NotMember")
    assert world.says("Progressing") == ("True", "WaitingForPods")
    world.silent_nodes.clear()
    world.settle()
    assert stakes(world)["demo-10"] == 1000


def test_a_higher_stake_is_delegated_on_top(world: World) -> None:
    world.edit(nodes={"template": {"stake": 1500}})
    world.settle()
    assert set(stakes(world).values()) == {1500}
    assert len(world.delegations) == 20
    assert {piece.principal for piece in world.delegations if piece.activation_epoch == 2} == {500 * WAL}


def test_a_lower_stake_is_split_off_asked_back_once_and_fetched_when_it_is_due(world: World) -> None:
    world.edit(nodes={"template": {"stake": 400}})
    world.settle()
    assert set(stakes(world).values()) == {400}
    assert sum("WithdrawStake" in line for line in world.log) == 1
    assert world.returned == 0
    world.choose_committee()
    world.settle()
    assert world.returned == 6000 * WAL
    assert set(stakes(world).values()) == {400}
    assert world.says("Progressing") == ("False", "Reconciled")


def test_stake_that_does_not_count_yet_comes_back_at_once(world: World) -> None:
    world.edit(nodes={"template": {"stake": 1500}})
    world.settle()
    world.edit(nodes={"template": {"stake": 1200}})
    world.settle()
    assert world.returned == 3000 * WAL
    assert set(stakes(world).values()) == {1200}
    assert not [piece for piece in world.delegations if piece.withdraw_epoch]


def test_after_the_next_committee_is_chosen_stake_leaves_one_epoch_later(world: World) -> None:
    world.end_voting()
    world.edit(nodes={"count": 9})
    world.settle()
    assert "leaves with epoch 3" in world.condition("InCommittee", "demo-9")["message"]
    assert world.says("DeletionBlocked", "demo-9") == ("True", "HoldsShards")
    assert "chosen for epoch 2" in world.condition("DeletionBlocked", "demo-9")["message"]
    world.choose_committee()
    world.settle()
    assert world.says("InCommittee", "demo-9") == ("True", "Leaving")
    world.choose_committee()
    world.settle()
    assert "demo-9" not in world.nodes()


def test_money_moves_in_one_transaction_per_direction(world: World) -> None:
    world.edit(nodes={"count": 12})
    world.settle()
    world.log.clear()
    world.edit_node("demo-10", desiredState="Drained")
    world.edit_node("demo-11", desiredState="Drained")
    world.settle()
    moved = [line for line in world.log if line.startswith((WithdrawStake.__name__, Delegate.__name__))]
    assert len(moved) == 1
