"""From a bare WalrusNetwork to a serving one, and then silence."""

from __future__ import annotations

from tests.unit.operator.chain_world import NETWORK, network_manifest
from tests.unit.operator.support import World

from walrus_operator.api import names
from walrus_operator.api.decisions import CreateKeys, Delegate, FundAddress, FundTreasury
from walrus_operator.api.world import ObjectKey
from walrus_operator.plan.passes import plan


def test_the_first_pass_asks_for_all_keys_and_all_objects() -> None:
    world = World(chain_answers=False)
    decided = plan(world.snapshot())
    secrets = {action.secret for action in decided.actions if isinstance(action, CreateKeys)}
    assert secrets == {*(f"{NETWORK}-{n}-keys" for n in range(10)), "demo-treasury", "demo-gateway-keys", "demo-admin"}
    assert decided.workload is not None
    assert [node.name for node in decided.workload.nodes] == [f"{NETWORK}-{n}" for n in range(10)]
    assert decided.workload.devnet


def test_it_comes_up_and_then_writes_nothing() -> None:
    world = World()
    world.bring_up()
    assert world.says("Ready") == ("True", "Serving")
    assert world.says("Available") == ("True", "QuorumAvailable")
    assert world.says("Degraded") == ("False", "AsExpected")
    status = world.network["status"]
    assert status["nodes"]["display"] == "10/10"
    assert status["shards"]["display"] == "100/100"
    assert status["epoch"] == 1
    _, writes = world.pass_once()
    assert writes == 0


def test_a_later_pass_over_the_same_world_writes_nothing() -> None:
    world = World()
    world.bring_up()
    world.now += 3600
    decided, writes = world.pass_once()
    assert writes == 0
    assert decided.actions == ()
    assert decided.statuses == ()
    assert decided.events == ()


def test_stake_goes_to_all_nodes_in_one_action_and_not_before_all_are_registered() -> None:
    world = World()
    late = "demo-9"
    world.pass_once()
    world.kubelet()
    pod = world.pods.pop(names.pod(late))
    world.nodes_register()
    for _ in range(3):
        world.pass_once()
    assert world.says("Ready") == ("False", "WaitingForRegistration")
    assert late in world.condition("Ready")["message"]
    assert not any("Delegate" in line for line in world.log)
    world.pods[pod.name] = pod
    world.nodes_register()
    decided, _ = world.pass_once()
    delegations = [action for action in decided.actions if isinstance(action, Delegate)]
    assert [len(action.frost) for action in delegations] == [10]
    kinds = [type(action) for action in decided.actions]
    assert kinds.index(FundTreasury) < kinds.index(Delegate)


def test_stake_is_delegated_once() -> None:
    world = World()
    world.bring_up()
    assert sum("Delegate(" in line for line in world.log) == 1
    assert set(world.stakes.values()) == {1000 * 10**9}


def test_gateway_purses_are_filled_when_they_run_low() -> None:
    world = World()
    world.bring_up()
    (gateway,) = world.network["status"]["gatewayAddresses"].values()
    world.balances[gateway] = (0, 0)
    decided, _ = world.pass_once()
    assert [action for action in decided.actions if isinstance(action, FundAddress)] == [
        FundAddress(gateway, 5 * 10**9, 100 * 10**9)
    ]


def test_another_gateway_replica_gets_a_key_of_its_own_and_the_first_keeps_its_key() -> None:
    world = World()
    world.bring_up()
    before = dict(world.secrets["demo-gateway-keys"].public)
    world.edit(gateway={"replicas": 2})
    world.settle()
    after = world.secrets["demo-gateway-keys"].public
    assert set(after) == {"demo-gateway-0.key", "demo-gateway-1.key"}
    assert after["demo-gateway-0.key"] == before["demo-gateway-0.key"]
    assert world.says("Ready") == ("True", "Serving")


def test_every_epoch_gets_its_object_and_the_oldest_go() -> None:
    world = World(network=network_manifest(epochsToKeep=3))
    world.bring_up()
    for _ in range(4):
        world.choose_committee()
        world.settle()
    epochs = sorted(key.name for key in world.objects if key.kind == "StorageEpoch")
    assert epochs == ["demo-3", "demo-4", "demo-5"]
    current = world.objects[ObjectKey("StorageEpoch", "demo-5")]["status"]
    assert current["state"] == "Done"
    assert sum(len(member["shards"]) for member in current["committee"]) == 100
    assert {member["node"] for member in current["committee"]} == {f"demo-{n}" for n in range(10)}
    past = world.objects[ObjectKey("StorageEpoch", "demo-4")]["status"]
    assert past["state"] == "Past"
    assert past["committee"] == current["committee"]
    assert past["endedAt"]


def test_the_epoch_that_the_operator_slept_through_is_filled_in() -> None:
    world = World()
    world.bring_up()
    world.choose_committee()
    world.choose_committee()
    world.settle()
    assert ObjectKey("StorageEpoch", "demo-2") in world.objects
    assert world.objects[ObjectKey("StorageEpoch", "demo-2")]["status"]["members"] == 10


def test_a_status_of_another_version_is_written_anew_and_stops_nothing() -> None:
    world = World()
    world.bring_up()
    world.choose_committee()
    world.settle()
    for name, epoch in (("demo-1", 1), ("demo-2", 2)):
        key = ObjectKey("StorageEpoch", name)
        world.objects[key]["status"] = {"epoch": {"of": "another version"}, "committee": "short"}
        world.settle()
        assert world.objects[key]["status"]["epoch"] == epoch
    assert world.says("Ready") == ("True", "Serving")


def test_before_the_first_committee_the_count_may_change_both_ways() -> None:
    world = World(chain_answers=False)
    world.settle()
    world.edit(nodes={"count": 12})
    world.settle()
    assert len(world.nodes()) == 12
    world.edit(nodes={"count": 4})
    world.settle()
    assert world.nodes() == ["demo-0", "demo-1", "demo-2", "demo-3"]
    assert not [key for key in world.objects if key.name == "demo-11"]
    assert "demo-11-keys" not in world.secrets
    assert world.says("Valid") == ("True", "Accepted")
