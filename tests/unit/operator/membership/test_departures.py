"""Nodes are deleted, within the fault budget, and their volumes with them."""

from __future__ import annotations

from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.membership.nodes import WAL, stakes, workload
from tests.unit.operator.support import World

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.decisions import DeleteObject
from walrus_operator.api.world import ObjectKey


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
    world.pass_once()  # closes evictions
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
    world.pass_once()
    assert world.says("DeletionBlocked", "demo-4") == ("True", "ExpectationPending")
    assert world.says("DeletionBlocked", "demo-5") == ("True", "FaultBudgetExceeded")
    decided, _ = world.pass_once()
    assert [action.key.name for action in decided.actions if isinstance(action, DeleteObject)] == ["demo-4-0"]
    assert world.says("DeletionBlocked", "demo-5") == ("True", "FaultBudgetExceeded")
