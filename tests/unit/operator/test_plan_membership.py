"""Nodes come, go and change their stake while the network lives: each step follows from the chain, none is done twice."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.decisions import Delegate, DeleteObject, WithdrawStake
from walrus_operator.api.world import Manifest, ObjectKey

WAL = 10**9


def node(name: str, **spec: Any) -> Manifest:
    return {
        "apiVersion": "walrus-operator.dev/v1alpha1",
        "kind": "WalrusNode",
        "metadata": {"name": name, "namespace": "walrus", "uid": f"uid of {name}", "generation": 1},
        "spec": {"networkRef": {"name": "demo"}, **spec},
    }


def put(world: World, name: str, **spec: Any) -> None:
    world.objects[ObjectKey("WalrusNode", name)] = node(name, **spec)


@pytest.fixture
def world() -> World:
    ready = World()
    ready.bring_up()
    return ready


@pytest.fixture
def draining() -> World:
    ready = World(network=network_manifest(nodes={"count": 10, "template": {"deletionPolicy": "Drain"}}))
    ready.bring_up()
    return ready


def stakes(world: World) -> dict[str, int]:
    """WAL by node."""
    return {
        name: live["status"]["stake"]
        for name in world.nodes()
        if "stake" in (live := world.objects[ObjectKey("WalrusNode", name)])["status"]
    }


def weight(world: World, name: str) -> int:
    return int(world.objects[ObjectKey("WalrusNode", name)]["status"]["weight"])


def workload(world: World, name: str) -> bool:
    return ObjectKey("StatefulSet", name) in world.objects


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


def test_deleted_nodes_go_at_once_and_their_record_stays_until_their_shards_have_moved(world: World) -> None:
    world.edit(nodes={"count": 7})
    world.settle()
    assert not any(workload(world, f"demo-{number}") for number in (7, 8, 9))
    assert {"demo-7", "demo-8", "demo-9"} <= set(world.nodes())
    assert {"demo-7-keys", "demo-8-keys", "demo-9-keys"} <= set(world.secrets)
    assert world.says("Ready", "demo-9") == ("False", "Leaving")
    assert world.network["status"]["shards"]["display"] == "70/100"
    assert world.network["status"]["nodes"]["display"] == "7/7"
    assert world.says("Progressing") == ("True", "MembersChanging")
    world.choose_committee()
    world.settle()
    assert len(world.nodes()) == 7
    assert "demo-9-keys" not in world.secrets
    assert world.network["status"]["shards"]["display"] == "100/100"
    assert world.returned == 3000 * WAL
    assert world.says("Progressing") == ("False", "Reconciled")


def test_no_more_than_the_fault_budget_is_deleted_at_once_and_the_message_counts(world: World) -> None:
    world.edit(nodes={"count": 5})
    world.settle()
    gone = {f"demo-{number}" for number in range(10) if not workload(world, f"demo-{number}")}
    assert gone == {"demo-7", "demo-8", "demo-9"}, "the highest ordinals first"
    assert world.says("DeletionBlocked", "demo-6") == ("True", "FaultBudgetExceeded")
    assert (
        world.condition("DeletionBlocked", "demo-6")["message"]
        == "taking demo-6 away takes 10 shards, 30 of 33 are unavailable already"
    )
    assert stakes(world)["demo-6"] == 1000, "what is refused is refused whole"
    # The shards of the three have moved, so there is room again.
    world.choose_committee()
    world.settle()
    assert not workload(world, "demo-6")
    world.choose_committee()
    world.settle()
    assert len(world.nodes()) == 5


def test_nodes_that_are_down_already_count_in_the_budget(world: World) -> None:
    world.silent_nodes |= {"demo-0", "demo-1"}
    world.edit(nodes={"count": 7})
    world.settle()
    assert [name for name in ("demo-7", "demo-8", "demo-9") if workload(world, name)] == ["demo-7", "demo-8"]
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/gates-off": "FaultBudgetExceeded"}
    world.settle()
    assert not workload(world, "demo-7")


def test_the_reserve_is_left_alone() -> None:
    world = World(network=network_manifest(rollout={"reserve": 20}))
    world.bring_up()
    world.edit(nodes={"count": 8})
    world.settle()
    assert workload(world, "demo-8")
    message = world.condition("DeletionBlocked", "demo-8")["message"]
    assert "10 of 13 are unavailable already (20 more are kept in reserve)" in message


def test_while_shards_are_on_their_way_nobody_is_deleted(world: World) -> None:
    world.choose_committee()
    world.phase = EpochPhase.SYNC
    world.edit(nodes={"count": 9})
    world.settle()
    assert world.says("DeletionBlocked", "demo-9") == ("True", "EpochChangeInProgress")
    assert workload(world, "demo-9")
    world.phase = EpochPhase.DONE
    world.settle()
    assert not workload(world, "demo-9")


def test_a_silent_chain_holds_every_departure(world: World) -> None:
    world.chain_answers = False
    world.now += 60
    world.edit(nodes={"count": 9})
    decided, _ = world.pass_once()
    assert decided.actions == ()
    assert world.says("DeletionBlocked", "demo-9") == ("True", "ChainMirrorStale")


def test_a_drained_node_serves_until_its_shards_have_arrived_elsewhere(draining: World) -> None:
    world = draining
    world.edit(nodes={"count": 9})
    world.settle()
    assert workload(world, "demo-9")
    assert stakes(world)["demo-9"] == 0
    assert world.says("Ready", "demo-9") == ("True", "Serving")
    assert world.says("InCommittee", "demo-9") == ("True", "Leaving")
    assert world.says("DeletionBlocked", "demo-9") == ("True", "HoldsShards")
    # The epoch has moved the shards, and the new owners copy them.
    world.missing = dict.fromkeys(("demo-0", "demo-3"), "ActiveSync")
    world.choose_committee()
    world.phase = EpochPhase.SYNC
    world.settle()
    assert world.says("DeletionBlocked", "demo-9") == ("True", "EpochChangeInProgress")
    world.phase = EpochPhase.DONE  # a quorum has them; two nodes are late
    world.settle()
    assert world.says("DeletionBlocked", "demo-9") == ("True", "ShardTransferSource")
    assert "have not arrived at demo-0, demo-3" in world.condition("DeletionBlocked", "demo-9")["message"]
    assert workload(world, "demo-9")
    world.missing.clear()
    world.settle()
    assert "demo-9" not in world.nodes()
    assert not workload(world, "demo-9")
    assert "demo-9-keys" not in world.secrets


def test_a_late_owner_keeps_its_source_for_one_epoch_only(draining: World) -> None:
    world = draining
    world.edit(nodes={"count": 9})
    world.settle()
    world.silent_nodes.add("demo-0")
    world.choose_committee()
    world.settle()
    assert world.says("DeletionBlocked", "demo-9") == ("True", "ShardTransferSource")
    world.choose_committee()
    world.settle()
    assert "demo-9" not in world.nodes()


def test_kubectl_delete_of_a_node_to_be_drained_waits_by_our_finalizer(draining: World) -> None:
    put(draining, "extra", deletionPolicy="Drain")
    world = draining
    world.settle()
    world.choose_committee()
    world.settle()
    key = ObjectKey("WalrusNode", "extra")
    assert world.objects[key]["metadata"]["finalizers"] == ["walrus-operator.dev/drain"]
    world.delete(key)
    world.settle()
    assert workload(world, "extra")
    assert world.says("DeletionBlocked", "extra") == ("True", "HoldsShards")
    world.choose_committee()
    world.settle()
    assert key not in world.objects
    assert not workload(world, "extra")


def test_kubectl_delete_of_a_node_to_be_deleted_is_known_by_its_keys(world: World) -> None:
    put(world, "extra")
    world.settle()
    world.choose_committee()
    world.settle()
    held = weight(world, "extra")
    world.delete(ObjectKey("WalrusNode", "extra"))
    world.settle()
    assert "extra" not in world.nodes()
    assert not workload(world, "extra")
    assert "extra-keys" in world.secrets
    assert world.network["status"]["shards"]["available"] == 100 - held, "its seat is not somebody else's"
    world.choose_committee()
    world.settle()
    assert "extra-keys" not in world.secrets
    assert world.network["status"]["shards"]["available"] == 100


def test_a_finalizer_goes_with_the_policy_and_with_the_network(draining: World) -> None:
    world = draining
    key = ObjectKey("WalrusNode", "demo-3")
    assert world.objects[key]["metadata"]["finalizers"]
    world.edit(nodes={"template": {"deletionPolicy": "Delete"}})
    world.settle()
    assert not world.objects[key]["metadata"]["finalizers"]
    world.edit(nodes={"template": {"deletionPolicy": "Drain"}})
    world.settle()
    world.network["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    for name in world.nodes():
        world.delete(ObjectKey("WalrusNode", name))
    decided, _ = world.pass_once()
    assert len(decided.actions) == 10
    assert world.nodes() == []


def test_a_node_that_is_wanted_again_keeps_its_place(draining: World) -> None:
    world = draining
    world.edit(nodes={"count": 9})
    world.settle()
    world.edit(nodes={"count": 10})
    world.settle()
    assert stakes(world)["demo-9"] == 1000
    world.choose_committee()
    world.settle()
    assert world.says("InCommittee", "demo-9") == ("True", "Member")
    assert world.returned == 1000 * WAL


def test_drained_by_desired_state_it_runs_without_shards_until_it_is_active_again(world: World) -> None:
    world.edit_node("demo-4", desiredState="Drained")
    world.settle()
    assert world.says("InCommittee", "demo-4") == ("True", "Leaving")
    world.choose_committee()
    world.settle()
    assert world.says("InCommittee", "demo-4") == ("False", "NotMember")
    assert world.says("DeletionBlocked", "demo-4") == ("False", "Removable")
    assert world.says("Ready", "demo-4") == ("True", "Serving")
    assert workload(world, "demo-4")
    world.edit_node("demo-4", desiredState="Active")
    world.settle()
    world.choose_committee()
    world.settle()
    assert weight(world, "demo-4") == 10


def test_the_last_node_with_stake_cannot_be_drained() -> None:
    world = World(network=network_manifest(shards=10, nodes={"count": 2}))
    world.bring_up()
    for name in ("demo-0", "demo-1"):
        world.edit_node(name, desiredState="Drained")
    world.settle()
    assert world.says("DeletionBlocked", "demo-1") == ("True", "LastStakedNode")
    assert sum(stakes(world).values()) == 2000


def test_stake_of_others_keeps_a_node_and_the_message_says_so(draining: World) -> None:
    world = draining
    world.edit(nodes={"count": 9})
    world.settle()
    node_id = world.objects[ObjectKey("WalrusNode", "demo-9")]["status"]["nodeId"]
    seats = world.committee
    world.choose_committee()
    world.committee = seats  # somebody else's delegation holds the seat
    world.settle()
    assert node_id in {seat.node_id for seat in world.committee}
    assert "stake of others" in world.condition("InCommittee", "demo-9")["message"]
    assert workload(world, "demo-9")


def test_retained_volumes_keep_their_keys() -> None:
    world = World(network=network_manifest(persistentVolumeClaimPolicy="Retain"))
    world.bring_up()
    keys = world.secrets["demo-9-keys"]
    world.edit(nodes={"count": 9})
    world.settle()
    world.choose_committee()
    world.settle()
    assert "demo-9" not in world.nodes()
    assert world.secrets["demo-9-keys"] == keys
    assert world.says("Progressing") == ("False", "Reconciled")


def test_a_deleted_volume_goes_with_its_pod_and_the_node_comes_back_to_recover(world: World) -> None:
    claim = world.claims["data-demo-4-0"]
    uid = world.pods["demo-4-0"].uid
    world.claims["data-demo-4-0"] = type(claim)(claim.name, claim.uid, terminating=True)
    decided, _ = world.pass_once()
    assert DeleteObject(ObjectKey("Pod", "demo-4-0"), uid) in decided.actions
    world.statuses["demo-4"], world.missing["demo-4"] = "RecoveryInProgress", "ActiveRecover"
    world.settle()
    assert world.says("Synced", "demo-4") == ("False", "Recovering")
    assert "10 of 10 shards" in world.condition("Synced", "demo-4")["message"]


def test_volumes_are_replaced_within_the_budget_and_one_recovery_after_the_other(world: World) -> None:
    world.silent_nodes |= {"demo-0", "demo-1"}
    world.settle()
    for name in ("data-demo-4-0", "data-demo-5-0"):
        claim = world.claims[name]
        world.claims[name] = type(claim)(claim.name, claim.uid, terminating=True)
    decided, _ = world.pass_once()
    assert [action.key.name for action in decided.actions if isinstance(action, DeleteObject)] == ["demo-4-0"]
    assert world.says("DeletionBlocked", "demo-5") == ("True", "FaultBudgetExceeded")


def test_money_moves_in_one_transaction_per_direction(world: World) -> None:
    world.edit(nodes={"count": 12})
    world.settle()
    world.log.clear()
    world.edit_node("demo-10", desiredState="Drained")
    world.edit_node("demo-11", desiredState="Drained")
    world.settle()
    moved = [line for line in world.log if line.startswith((WithdrawStake.__name__, Delegate.__name__))]
    assert len(moved) == 1
