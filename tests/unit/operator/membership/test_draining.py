"""Nodes are drained: they serve until their shards have arrived elsewhere."""

from __future__ import annotations

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.membership.nodes import WAL, put, stakes, weight, workload
from tests.unit.operator.support import World

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.world import ObjectKey


@pytest.fixture
def draining() -> World:
    ready = World(network=network_manifest(nodes={"count": 10, "template": {"deletionPolicy": "Drain"}}))
    ready.bring_up()
    return ready


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
