"""Rollouts pass by pass: who restarts when, what holds the others, what is said, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.rolling import Rolling, status
from tests.unit.operator.support import SETTINGS, START, World, network_manifest

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.markers import APPROVED_ANNOTATION, OVERRIDE_ANNOTATION
from walrus_operator.api.world import ObjectKey, UnixSeconds
from walrus_operator.plan.gates import GATES_OFF_ANNOTATION
from walrus_operator.plan.passes import plan
from walrus_operator.plan.rejoining import STUCK_AFTER
from walrus_operator.runtime.reconciler import still_shown


def running(count: int = 4, shards: int = 10, **spec: Any) -> World:
    world = World(network=network_manifest(shards=shards, nodes={"count": count}, **spec))
    world.bring_up()
    return world


@pytest.fixture
def world() -> World:
    """Ten nodes of ten shards, in epoch 1."""
    return running(10, 100)


ROLLING = Rolling(everything=False)
restarted, passes, roll = ROLLING.restarted, ROLLING.passes, ROLLING.batches


def image(world: World, name: str) -> str:
    return world.pods[f"{name}-0"].image


def test_a_new_image_goes_to_one_node_and_then_to_batches_that_the_budget_bears(world: World) -> None:
    world.edit(image="walrus:2")
    batches = roll(world)
    assert batches == [
        ["demo-0"],
        ["demo-1", "demo-2", "demo-3"],
        ["demo-4", "demo-5", "demo-6"],
        ["demo-7", "demo-8", "demo-9"],
    ]
    assert status(world)["versions"] == [{"image": "walrus:2", "version": "0.1.0", "nodes": 10}]
    assert status(world)["display"] == "10/10"
    assert world.says("Progressing") == ("False", "Reconciled")
    decided, writes = world.pass_once()
    assert (decided.actions, writes) == ((), 0)


def test_pods_that_take_their_time_to_end_are_waited_for(world: World) -> None:
    world.graceful = 3
    world.edit(image="walrus:2")
    assert [len(batch) for batch in roll(world)] == [1, 3, 3, 3]


def test_a_restarted_node_must_have_been_ready_until_everybody_finds_it(world: World) -> None:
    """Otherwise those who read by cluster DNS would miss one batch after the other, whatever the nodes say."""
    world.edit(image="walrus:2")
    assert passes(world, 2)[1] == ["demo-0"]
    world.pods["demo-0-0"] = replace(world.pods["demo-0-0"], ready_since=UnixSeconds(world.now))
    assert passes(world, 2) == [[]] * 2
    assert (
        "not everybody finds its new address before 2023-11-14T22:14:00Z" in world.condition("Progressing")["message"]
    )
    world.now += 39.9
    assert passes(world, 2) == [[]] * 2
    world.now += 0.1
    assert [len(batch) for batch in passes(world, 2)] == [0, 3]
    world.edit(rollout={"minReadySeconds": 0})
    world.now -= 40
    assert [len(batch) for batch in roll(world)] == [3, 3]


def test_the_reserve_makes_batches_smaller(world: World) -> None:
    world.edit(image="walrus:2", rollout={"reserve": 4})
    assert [len(batch) for batch in roll(world)] == [1, 2, 2, 2, 2, 1]


def test_the_plan_stands_in_the_status_before_anything_moves(world: World) -> None:
    world.edit(image="walrus:2", rollout={"paused": True})
    assert passes(world, 6) == [[]] * 6
    assert status(world)["state"] == "Held"
    assert [step["nodes"] or step["pods"] for step in status(world)["plan"]] == [
        ["demo-0"],
        ["demo-1", "demo-2", "demo-3"],
        ["demo-4", "demo-5", "demo-6"],
        ["demo-7", "demo-8", "demo-9"],
        ["demo-gateway-0"],
        ["demo-devnet-0"],
    ]
    assert [step["shards"] for step in status(world)["plan"]] == [10, 30, 30, 30, 0, 0]
    assert status(world)["endsInEpoch"] == 1
    assert status(world)["budget"] == {"allowed": 33, "reserve": 0, "unavailable": 0}
    assert world.says("Progressing") == ("False", "RolloutPaused")
    kept = world.objects[ObjectKey("StatefulSet", "demo-0")]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert kept == SETTINGS.image, "a pod that dies now comes back as it was"
    config = world.objects[ObjectKey("ConfigMap", "demo-0")]
    world.edit(nodes={"template": {"votes": {"writePrice": 7}}})
    passes(world, 3)
    assert world.objects[ObjectKey("ConfigMap", "demo-0")] == config
    planned = [step["nodes"] for step in status(world)["plan"] if step["nodes"]]
    world.edit(rollout={"paused": False})
    assert roll(world) == planned


def test_a_template_is_out_before_the_pod_is_deleted(world: World) -> None:
    world.edit(image="walrus:2")
    assert passes(world, 1) == [[]]
    world.objects[ObjectKey("StatefulSet", "demo-0")]["status"]["observedGeneration"] = 0
    decided, _ = world.pass_once()
    assert restarted(decided) == [], "the controller would make the old pod again"
    world.kubelet()
    assert passes(world, 1) == [["demo-0"]]


def test_what_was_deleted_and_does_not_show_yet_holds_everything(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    snapshot = world.snapshot(deleted_pods={"demo-0-0": world.pods["demo-0-0"].uid})
    decided = plan(snapshot)
    world.carry_out(snapshot, decided)
    assert restarted(decided) == []
    assert world.says("Progressing") == ("True", "ExpectationPending")


def test_the_next_pass_knows_what_was_deleted_until_it_shows(world: World) -> None:
    pod = world.pods["demo-0-0"]
    deleted = {"demo-0-0": pod.uid, "demo-1-0": "another"}
    assert still_shown(world.snapshot(deleted_pods=deleted)) == {"demo-0-0": pod.uid}
    world.pods["demo-0-0"] = replace(pod, terminating=True)
    assert still_shown(world.snapshot(deleted_pods=deleted)) == {}


def test_a_bad_image_stops_at_the_first_node_and_a_good_one_repairs_it(world: World) -> None:
    world.edit(image="walrus:typo")
    world.broken.add("demo-0-0")
    assert passes(world, 8) == [[], ["demo-0"], [], [], [], [], [], []]
    assert world.says("Degraded") == ("True", "PreviousNodeNotRejoined")
    assert (
        "demo-0 was restarted and does not rejoin: its pod is Pending, ImagePullBackOff"
        in (world.condition("Degraded")["message"])
    )
    assert world.says("Progressing") == ("True", "PreviousNodeNotRejoined")
    assert status(world)["state"] == "Held"
    assert world.says("Available") == ("True", "QuorumAvailable")
    world.broken.clear()
    world.edit(image="walrus:good")
    assert roll(world)[0] == ["demo-0"]
    assert {pod.image for name, pod in world.pods.items() if "gateway" not in name and "devnet" not in name} == {
        "walrus:good"
    }


def test_setting_a_bad_change_back_restarts_the_broken_node_only(world: World) -> None:
    world.edit(image="walrus:typo")
    world.broken.add("demo-0-0")
    passes(world, 5)
    world.broken.clear()
    world.edit(image=None)
    assert roll(world) == [["demo-0"]]
    assert world.says("Degraded") == ("False", "AsExpected")


def test_a_network_that_a_bad_spec_has_brought_down_is_repaired_by_a_good_one(world: World) -> None:
    for name, pod in world.pods.items():
        world.pods[name] = replace(pod, ready=False, phase="Pending", waiting="ImagePullBackOff")
    world.chain_answers = False
    world.now += 60
    passes(world, 2)
    world.edit(image="walrus:good")
    found = [batch for batch in passes(world, 6) if batch]
    assert [len([name for name in batch if name.removeprefix("demo-").isdigit()]) for batch in found] == [1, 9]


def test_the_first_node_must_have_its_shards_again(world: World) -> None:
    world.edit(image="walrus:2")
    assert passes(world, 2)[1] == ["demo-0"]
    world.missing["demo-0"] = "ActiveRecover"
    assert passes(world, 3) == [[]] * 3
    assert "10 of its 10 shards are not ready" in world.condition("Progressing")["message"]
    world.missing.clear()
    world.silent_nodes.add("demo-0")
    assert passes(world, 2) == [[]] * 2
    world.silent_nodes.clear()
    world.now = START + 5
    assert len(roll(world)) == 3


def test_a_roll_with_a_node_down_already_takes_smaller_batches(world: World) -> None:
    world.edit_node("demo-9", desiredState="Hibernated")
    world.settle()
    world.edit(image="walrus:2")
    assert [len(batch) for batch in roll(world)] == [1, 2, 2, 2, 2]


def test_a_node_that_is_lost_meanwhile_is_counted_and_restarted_when_it_is_back(world: World) -> None:
    """Its machine is gone: the pod is neither ready nor said to be waiting, and nobody knows what it would interrupt."""
    lost = world.pods["demo-9-0"]
    world.pods["demo-9-0"] = replace(lost, ready=False)
    world.silent_nodes.add("demo-9")
    world.edit(image="walrus:2")
    batches = [batch for batch in passes(world, 30) if batch]
    assert [len(batch) for batch in batches] == [1, 2, 2, 2, 2]
    assert status(world)["state"] == "Held"
    assert [(hold["gate"], hold["nodes"]) for hold in status(world)["holds"] if hold["nodes"]] == [
        ("NodeUnreachable", ["demo-9"])
    ]
    world.pods["demo-9-0"] = lost
    world.silent_nodes.clear()
    assert roll(world) == [["demo-9"]]


def test_a_roll_goes_on_after_an_epoch_change_by_the_new_committee(world: World) -> None:
    world.edit(image="walrus:2")
    assert [batch for batch in passes(world, 5) if batch] == [["demo-0"], ["demo-1", "demo-2", "demo-3"]]
    # Others stake with demo-9: in the next epoch it takes three shards from each of the others, and is too heavy alone.
    heavy = world.objects[ObjectKey("WalrusNode", "demo-9")]["status"]["nodeId"]
    moved = tuple(shard for seat in world.committee if seat.node_id != heavy for shard in seat.shards[:3])
    world.following = tuple(
        replace(seat, shards=(*seat.shards, *moved) if seat.node_id == heavy else seat.shards[3:])
        for seat in world.committee
    )
    world.choose_committee()
    world.phase = EpochPhase.SYNC
    world.missing["demo-9"] = "ActiveSync"
    assert passes(world, 3) == [[]] * 3
    world.phase = EpochPhase.DONE
    assert passes(world, 3) == [[]] * 3, "shards are on their way to demo-9, more than the budget has room for"
    assert [hold["gate"] for hold in status(world)["holds"] if hold["nodes"]] == [
        "ShardTransferSource",
        "ShardTransferTarget",
    ]
    world.missing.clear()
    weights = {name: int(world.objects[ObjectKey("WalrusNode", name)]["status"]["weight"]) for name in world.nodes()}
    assert weights["demo-9"] > 33
    for _ in range(12):
        for batch in passes(world, 1):
            assert sum(weights[name] for name in batch) <= 33
    assert [step["nodes"] for step in status(world)["plan"] if step["nodes"]] == []
    assert status(world)["display"] == "9/10"
    assert "alone it is heavier than the budget" in world.condition("Progressing")["message"]


def test_while_too_much_is_down_nobody_restarts(world: World) -> None:
    for number in (7, 8, 9):
        world.edit_node(f"demo-{number}", desiredState="Hibernated")
    world.settle()
    world.edit(image="walrus:2")
    assert passes(world, 3) == [[]] * 3
    assert world.says("Progressing") == ("True", "FaultBudgetExceeded")
    assert "takes 10 shards, 30 of 33 are unavailable already" in world.condition("Progressing")["message"]
    assert status(world)["plan"] == []


def test_what_is_no_part_of_a_pod_restarts_nothing(world: World) -> None:
    world.edit(
        rollout={"reserve": 3, "minReadySeconds": 5, "mode": "Supervised"},
        monitoring={"scrapeNamespaces": ["monitoring"]},
        epochsToKeep=5,
        nodes={"template": {"stake": 900, "deletionPolicy": "Drain"}},
    )
    world.edit_node("demo-2", failureDomain="rack-1")
    assert [batch for batch in passes(world, 6) if batch] == []
    assert status(world)["outdated"] == 0
    assert world.says("RequiresUpdate") == ("False", "UpToDate")


def test_one_image_on_one_node_is_a_canary(world: World) -> None:
    world.edit_node("demo-5", image="walrus:canary")
    assert roll(world) == [["demo-5"]]
    assert [(entry["image"], entry["nodes"]) for entry in status(world)["versions"]] == [
        ("walrus-on-kubernetes:test", 9),
        ("walrus:canary", 1),
    ]
    world.edit(image="walrus:canary")
    batches = roll(world)
    assert "demo-5" not in [name for batch in batches for name in batch], "it runs that image"
    assert len(batches[0]) == 3, "and has shown that nodes come back with it"


def test_only_the_operator_changed(world: World) -> None:
    before = {name: pod.uid for name, pod in world.pods.items()}
    world.settings = replace(SETTINGS, image="walrus-on-kubernetes:next")
    world.settle()
    assert world.says("RequiresUpdate") == ("True", "OperatorChanged")
    assert {name: pod.uid for name, pod in world.pods.items()} == before
    template = world.objects[ObjectKey("StatefulSet", "demo-3")]["spec"]["template"]["spec"]
    assert template["containers"][0]["image"] == SETTINGS.image, "not even a pod that dies takes it over"
    world.edit(rollout={"restart": "now"})
    assert len(roll(world)) == 4
    assert image(world, "demo-3") == "walrus-on-kubernetes:next"
    assert world.says("RequiresUpdate")[1] != "OperatorChanged"


def test_pods_of_an_operator_that_knew_no_digests_are_left_until_a_restart_is_asked_for(world: World) -> None:
    for number in range(10):
        name = f"demo-{number}"
        template = world.objects[ObjectKey("StatefulSet", name)]["spec"]["template"]["metadata"]
        template["annotations"] = {}
        world.pods[f"{name}-0"] = replace(world.pods[f"{name}-0"], made_from=None)
    world.edit(image="walrus:2")
    assert passes(world, 3) == [[]] * 3
    assert world.says("RequiresUpdate") == ("True", "OperatorChanged")
    world.edit(rollout={"restart": "1"})
    assert len(roll(world)) == 4


def test_supervised_waits_for_the_approval_of_this_very_target(world: World) -> None:
    world.edit(image="walrus:2", rollout={"mode": "Supervised"})
    assert passes(world, 3) == [[]] * 3
    assert world.says("Progressing") == ("False", "AwaitingApproval")
    target = status(world)["target"]
    assert f"{APPROVED_ANNOTATION}={target}" in world.condition("Progressing")["message"]
    world.network["metadata"]["annotations"] = {APPROVED_ANNOTATION: target}
    assert passes(world, 2)[1] == ["demo-0"]
    world.edit(image="walrus:3")
    assert passes(world, 3) == [[]] * 3, "another target"
    world.network["metadata"]["annotations"][APPROVED_ANNOTATION] = status(world)["target"]
    assert len(roll(world)) == 4


def test_maintenance_windows(world: World) -> None:
    """START is a Tuesday, 22:13:20."""
    windows = [{"start": "22:30", "duration": "1h", "days": ["Tue"]}]
    world.edit(image="walrus:2", rollout={"maintenanceWindows": windows})
    assert passes(world, 3) == [[]] * 3
    assert world.says("Progressing") == ("True", "OutsideMaintenanceWindow")
    assert "2023-11-14T22:30:00Z" in world.condition("Progressing")["message"]
    world.now += 17 * 60
    world.network["metadata"]["annotations"] = {GATES_OFF_ANNOTATION: "EpochTooShortForBatch"}
    assert len(roll(world)) == 4


def test_a_node_that_is_too_heavy_alone_needs_leave_for_this_one_time() -> None:
    world = running(3, 10)
    weights = {name: world.objects[ObjectKey("WalrusNode", name)]["status"]["weight"] for name in world.nodes()}
    heavy = max(weights, key=weights.__getitem__)
    assert weights[heavy] == 4
    world.edit(image="walrus:2")
    for _ in range(12):
        passes(world, 1)
    assert status(world)["outdated"] == 1
    message = world.condition("Progressing")["message"]
    uid = world.pods[f"{heavy}-0"].uid
    assert f"kubectl annotate wn {heavy} --overwrite {OVERRIDE_ANNOTATION}={uid}" in message
    world.objects[ObjectKey("WalrusNode", heavy)]["metadata"]["annotations"] = {OVERRIDE_ANNOTATION: uid}
    assert roll(world) == [[heavy]]
    world.edit(image="walrus:3")
    for _ in range(12):
        passes(world, 1)
    assert status(world)["outdated"] == 1, "once is once"


def test_only_nodes_of_one_failure_domain_go_together(world: World) -> None:
    for number in range(10):
        world.edit_node(f"demo-{number}", failureDomain=f"rack-{number % 3}")
    world.settle()
    world.edit(image="walrus:2")
    batches = roll(world)
    assert batches == [
        ["demo-0"],
        ["demo-1", "demo-4", "demo-7"],
        ["demo-2", "demo-5", "demo-8"],
        ["demo-3", "demo-6", "demo-9"],
    ]


def test_shards_that_move_are_waited_for(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    world.phase = EpochPhase.SYNC
    assert passes(world, 3) == [[]] * 3
    assert world.says("Progressing") == ("True", "EpochChangeInProgress")
    world.phase = EpochPhase.DONE
    assert len(roll(world)) == 4


def test_nodes_that_leave_are_not_restarted_on_the_way() -> None:
    world = running(5, 10)
    world.edit(nodes={"template": {"deletionPolicy": "Drain"}})
    world.settle()
    world.edit(nodes={"count": 4}, image="walrus:2")
    batches = [batch for batch in passes(world, 20) if batch]
    assert "demo-4" not in [name for batch in batches for name in batch]
    assert image(world, "demo-4") == SETTINGS.image


def test_a_paused_network_is_not_touched(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/reconcile": "paused"}
    world.edit(image="walrus:2")
    assert passes(world, 4) == [[]] * 4
    assert status(world)["outdated"] == 10, "what would be restarted is shown all the same"


def test_a_rollout_is_told_in_events(world: World) -> None:
    told: list[str] = []

    def collect(count: int) -> None:
        for _ in range(count):
            decided, _ = world.pass_once()
            told.extend(note.reason for note in decided.events if note.reason.startswith("R"))
            world.kubelet()

    world.edit(image="walrus:typo")
    world.broken.add("demo-0-0")
    collect(6)
    assert told == ["RolloutStarted", "Restarting", "RolloutStuck"]
    world.broken.clear()
    world.edit(image="walrus:2")
    collect(24)
    assert told[3:] == ["Restarting"] * 12 + ["RolloutDone"], "nodes, gateway, devnet"


def test_the_last_batch_belongs_to_the_rollout_until_it_is_back(world: World) -> None:
    world.graceful = 2
    world.edit_node("demo-5", image="walrus:2")
    states = []
    for _ in range(8):
        world.pass_once()
        states.append((status(world)["state"], world.says("Progressing")[1], world.says("Degraded")[1]))
        world.kubelet()
    away = [("Rolling", "RollingOut", "AsExpected")]
    assert states == away * 4 + [("Complete", "Reconciled", "AsExpected")] * 4
    # A node that is lost at any other time is not: it is down.
    world.pods["demo-3-0"] = replace(world.pods["demo-3-0"], ready=False)
    for _ in range(3):
        world.pass_once()
        assert status(world)["state"] == "Settling"
        assert world.says("Degraded") == ("True", "MembersDown")


def test_a_last_node_that_does_not_come_back_is_stuck_too(world: World) -> None:
    world.edit_node("demo-5", image="walrus:typo")
    world.broken.add("demo-5-0")
    passes(world, 6)
    assert status(world)["state"] == "Held"
    assert world.says("Degraded") == ("True", "PreviousNodeNotRejoined")
    assert world.says("Progressing") == ("True", "PreviousNodeNotRejoined")


def test_an_old_pod_has_until_the_end_of_its_grace_to_go(world: World) -> None:
    world.graceful = 1000
    for name, pod in world.pods.items():
        world.pods[name] = replace(pod, created_at=UnixSeconds(world.now - 10 * STUCK_AFTER))
    world.edit_node("demo-5", image="walrus:2")
    passes(world, 3)
    ending = replace(world.pods["demo-5-0"], gone_by=UnixSeconds(world.now + 60))
    assert ending.terminating
    for now, state in ((ending.gone_by + STUCK_AFTER, "Rolling"), (ending.gone_by + STUCK_AFTER + 1, "Held")):
        world.now = now
        world.pods["demo-5-0"] = ending
        world.pass_once()
        assert status(world)["state"] == state
    assert "demo-5 was restarted and does not rejoin: its pod is being replaced" in status(world)["stuck"]


@pytest.mark.parametrize("moment", ["ready_changed", "epoch"])
def test_a_node_that_is_behind_only_now_is_not_stuck(world: World, moment: str) -> None:
    """Its pod is old: it has just stopped answering, or an epoch has just begun."""
    world.edit(image="walrus:2")
    assert passes(world, 2) == [[], ["demo-0"]]
    for name, pod in world.pods.items():
        world.pods[name] = replace(pod, created_at=UnixSeconds(START - 10 * STUCK_AFTER), ready=name != "demo-0-0")
    world.now = START + STUCK_AFTER + 10
    if moment == "ready_changed":
        world.pods["demo-0-0"] = replace(world.pods["demo-0-0"], ready_changed=UnixSeconds(START + 10))
    else:
        world.now -= 10
    for now, state in ((world.now, "Rolling"), (world.now + 1, "Held")):
        world.now = now
        world.pass_once()
        assert status(world)["state"] == state


def test_restarts_are_events(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    decided, _ = world.pass_once()
    (note,) = [note for note in decided.events if note.reason == "Restarting"]
    assert note.about == ObjectKey("WalrusNode", "demo-0")
    assert "holds 10 shards" in note.message
