"""How a change goes from node to node: one first, then batches that the fault budget bears, and what is no change at all."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.rolling import status
from tests.unit.operator.rollouts.worlds import passes, restarted, roll, running
from tests.unit.operator.support import SETTINGS, World

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.world import ObjectKey, UnixSeconds


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


def test_nodes_that_leave_are_not_restarted_on_the_way() -> None:
    world = running(5, 10)
    world.edit(nodes={"template": {"deletionPolicy": "Drain"}})
    world.settle()
    world.edit(nodes={"count": 4}, image="walrus:2")
    batches = [batch for batch in passes(world, 20) if batch]
    assert "demo-4" not in [name for batch in batches for name in batch]
    assert image(world, "demo-4") == SETTINGS.image


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


def test_restarts_are_events(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    decided, _ = world.pass_once()
    (note,) = [note for note in decided.events if note.reason == "Restarting"]
    assert note.about == ObjectKey("WalrusNode", "demo-0")
    assert "holds 10 shards" in note.message
