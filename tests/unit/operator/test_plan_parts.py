"""Gateway and devnet in a rollout: they follow the nodes, one gateway at a time, the devnet last and when nobody needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.rolling import Rolling, status
from tests.unit.operator.support import SETTINGS, World

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.conditions import Reason
from walrus_operator.api.markers import APPROVED_ANNOTATION, SPEC_DIGEST_ANNOTATION, TEMPLATE_DIGEST_ANNOTATION
from walrus_operator.api.world import ObjectKey, UnixSeconds
from walrus_operator.ctl import plan_page
from walrus_operator.plan import gates, part_gates
from walrus_operator.plan.part_gates import Scene
from walrus_operator.plan.rollout_gates import Roll

DEVNET, GATEWAYS = "demo-devnet-0", ["demo-gateway-0", "demo-gateway-1"]


@pytest.fixture
def world() -> World:
    """Four nodes and two gateways, in epoch 1."""
    found = World(network=network_manifest(shards=10, nodes={"count": 4}, gateway={"replicas": 2}))
    found.bring_up()
    found.pods = {name: replace(pod, created_at=UnixSeconds(START - 600)) for name, pod in found.pods.items()}
    return found


ROLLING = Rolling(everything=True)
restarted, passes, batches = ROLLING.restarted, ROLLING.passes, ROLLING.batches


def held(world: World) -> dict[str, str]:
    """Which gate holds each pod of gateway and devnet."""
    return {pod: hold["gate"] for hold in status(world)["holds"] for pod in hold.get("pods", [])}


def change_both(world: World) -> None:
    """A change that nodes do not see."""
    world.edit(gateway={"image": "walrus:2"}, chain={"devnet": {"image": "walrus:2"}})


def test_a_new_image_goes_to_nodes_then_gateways_one_by_one_then_the_devnet(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    assert [step["nodes"] or step["pods"] for step in status(world)["plan"]][-3:] == [
        [pod] for pod in (*GATEWAYS, DEVNET)
    ]
    assert set(held(world).values()) == {"PreviousNodeNotRejoined"}
    template = world.objects[ObjectKey("StatefulSet", "demo-gateway")]["spec"]["template"]["spec"]
    assert template["containers"][0]["image"] == SETTINGS.image, "a gateway that dies now comes back as it was"
    done = batches(world)
    assert sorted(pod for batch in done[:-3] for pod in batch) == [f"demo-{number}-0" for number in range(4)]
    assert done[-3:] == [[pod] for pod in (*GATEWAYS, DEVNET)]
    assert {pod.image for pod in world.pods.values()} == {"walrus:2"}
    assert [(part["name"], part["display"], part["images"]) for part in status(world)["parts"]] == [
        ("demo-gateway", "2/2", ["walrus:2"]),
        ("demo-devnet", "1/1", ["walrus:2"]),
    ]
    decided, writes = world.pass_once()
    assert (decided.actions, writes) == ((), 0)


def test_each_gateway_is_ready_before_the_next(world: World) -> None:
    world.edit(gateway={"image": "walrus:2"})
    world.broken.add(GATEWAYS[0])
    assert passes(world, 6) == [[], [GATEWAYS[0]], [], [], [], []]
    assert held(world) == {GATEWAYS[1]: "GatewayNotReady"}
    assert world.says("Degraded") == ("True", "PreviousNodeNotRejoined")
    assert f"kubectl describe pod {GATEWAYS[0]}`" in world.condition("Degraded")["message"]
    assert f"{GATEWAYS[0]} is not ready: it is Pending, ImagePullBackOff" in str(status(world)["holds"])
    # Setting it back repairs the one that went.
    world.broken.clear()
    world.edit(gateway={"image": None})
    assert batches(world) == [[GATEWAYS[0]]]
    assert world.says("Degraded") == ("False", "AsExpected")


def test_a_gateway_that_is_away_anyway_goes_first(world: World) -> None:
    world.pods[GATEWAYS[1]] = replace(world.pods[GATEWAYS[1]], ready=False)
    world.edit(gateway={"image": "walrus:2"})
    assert batches(world) == [[GATEWAYS[1]], [GATEWAYS[0]]]


def test_more_replicas_come_while_the_template_waits_its_turn(world: World) -> None:
    world.edit(gateway={"image": "walrus:2", "replicas": 3}, rollout={"paused": True})
    passes(world, 3)
    live = world.objects[ObjectKey("StatefulSet", "demo-gateway")]["spec"]
    assert live["replicas"] == 3
    assert live["template"]["spec"]["containers"][0]["image"] == SETTINGS.image
    assert world.pods["demo-gateway-2"].image == SETTINGS.image
    _, writes = world.pass_once()
    assert writes == 0
    world.edit(rollout={"paused": False})
    assert len(batches(world)) == 3


@pytest.mark.parametrize("workload", ["demo-2", "demo-gateway", "demo-devnet"])
def test_what_becomes_of_volumes_does_not_wait_for_a_turn(world: World, workload: str) -> None:
    """Otherwise a volume would go with the network although the user has long asked to keep it."""
    world.settings = replace(SETTINGS, image="walrus-on-kubernetes:next")
    world.settle()
    world.edit(persistentVolumeClaimPolicy="Retain")
    assert [batch for batch in passes(world, 3) if batch] == []
    live = world.objects[ObjectKey("StatefulSet", workload)]["spec"]
    assert live.get("persistentVolumeClaimRetentionPolicy", {}).get("whenDeleted") == (
        None if workload == "demo-gateway" else "Retain"
    )
    assert live["template"]["spec"]["containers"][0]["image"] == SETTINGS.image
    _, writes = world.pass_once()
    assert writes == 0


def test_the_devnet_waits_for_gateways_epochs_and_members(world: World) -> None:
    change_both(world)
    world.edit(rollout={"paused": True})
    passes(world, 2)
    assert held(world) == dict.fromkeys([*GATEWAYS, DEVNET], "RolloutPaused")
    world.edit(rollout={"paused": False})
    passes(world, 1)
    assert held(world)[DEVNET] == "GatewayNotReady"
    assert passes(world, 3) == [[GATEWAYS[0]], [GATEWAYS[1]], []]

    world.phase = EpochPhase.SYNC
    assert passes(world, 2) == [[], []]
    assert held(world) == {DEVNET: "EpochChangeInProgress"}
    assert world.says("Progressing") == ("True", "EpochChangeInProgress")
    world.phase = EpochPhase.DONE
    world.now = START + 590
    passes(world, 1)
    assert held(world) == {DEVNET: "EpochTooShortForBatch"}
    world.now = START + 10
    world.missing["demo-1"] = "ActiveSync"
    passes(world, 1)
    assert held(world) == {DEVNET: "ShardTransferTarget"}
    world.missing["demo-1"] = "ActiveRecover"
    passes(world, 1)
    assert held(world) == {DEVNET: "NodeRecovering"}
    world.missing.clear()
    there = world.pods["demo-3-0"]
    world.pods["demo-3-0"] = replace(there, ready=False)
    passes(world, 1)
    assert held(world) == {DEVNET: "MembersDown"}
    assert "demo-3 does not serve" in world.condition("Progressing")["message"]
    world.pods["demo-3-0"] = there
    assert batches(world) == [[DEVNET]]


def test_a_node_that_sleeps_holds_nothing(world: World) -> None:
    world.edit_node("demo-3", desiredState="Hibernated")
    world.settle()
    change_both(world)
    assert batches(world) == [[pod] for pod in (*GATEWAYS, DEVNET)]


def test_nothing_else_restarts_while_the_chain_is_away(world: World) -> None:
    change_both(world)
    while not any(DEVNET in batch for batch in passes(world, 1)):
        pass
    world.pods[DEVNET] = replace(world.pods[DEVNET], ready=False)
    world.chain_answers = False
    world.edit(image="walrus:3")
    assert passes(world, 4) == [[]] * 4
    assert world.says("Progressing") == ("True", "ChainMirrorStale")
    world.pods[DEVNET] = replace(world.pods[DEVNET], ready=True)
    world.chain_answers = True
    assert sorted(pod for batch in batches(world) for pod in batch) == [f"demo-{number}-0" for number in range(4)]


def test_a_node_that_is_down_for_long_holds_the_devnet_only(world: World) -> None:
    down = world.pods["demo-3-0"]
    world.pods["demo-3-0"] = replace(down, ready=False, created_at=UnixSeconds(world.now - 301))
    change_both(world)
    assert passes(world, 4) == [[], [GATEWAYS[0]], [GATEWAYS[1]], []]
    assert held(world) == {DEVNET: "MembersDown"}
    world.network["metadata"]["annotations"] = {gates.GATES_OFF_ANNOTATION: "MembersDown"}
    assert [batch for batch in passes(world, 3) if batch] == [[DEVNET]]


def test_a_devnet_that_is_about_to_end_holds_the_nodes(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    world.pods[DEVNET] = replace(world.pods[DEVNET], terminating=True)
    decided, _ = world.pass_once()
    assert restarted(decided) == []
    assert world.says("Progressing") == ("True", "ExpectationPending")
    assert f"pod {DEVNET}: it ends, and the chain is away until it is back" in world.condition("Progressing")["message"]


def test_a_devnet_that_nobody_reaches_is_replaced_all_the_same(world: World) -> None:
    """It hangs: its pod is ready by its own word, and the spec that makes it hang has been corrected."""
    world.chain_answers = False
    world.now += 60
    world.edit(chain={"devnet": {"image": "walrus:2"}})
    assert passes(world, 3) == [[]] * 3, "nodes reach it"
    assert held(world) == {DEVNET: "ChainMirrorStale"}
    for name in world.nodes():
        world.progress[name] = {"chain_reachable": False}
    assert [batch for batch in passes(world, 3) if batch] == [[DEVNET]]


def test_dead_pods_are_replaced_first_but_not_against_the_users_will(world: World) -> None:
    for pod in (*GATEWAYS, DEVNET):
        world.pods[pod] = replace(world.pods[pod], ready=False, phase="Pending", waiting="ImagePullBackOff")
    world.chain_answers = False
    world.now += 60
    world.edit(image="walrus:good", rollout={"paused": True})
    assert passes(world, 3) == [[]] * 3
    world.edit(rollout={"paused": False})
    assert {pod for batch in passes(world, 3) for pod in batch} >= {*GATEWAYS, DEVNET}


def test_the_operator_alone_restarts_neither_gateway_nor_devnet(world: World) -> None:
    before = {name: pod.uid for name, pod in world.pods.items()}
    world.settings = replace(SETTINGS, image="walrus-on-kubernetes:next")
    world.settle()
    assert {name: pod.uid for name, pod in world.pods.items()} == before
    assert world.says("RequiresUpdate") == ("True", "OperatorChanged")
    assert "demo-devnet-0" in world.condition("RequiresUpdate")["message"]
    assert status(world)["state"] == "Complete"
    del world.pods[DEVNET]
    world.kubelet()
    assert world.pods[DEVNET].image == SETTINGS.image, "a pod that dies comes back as it was"
    world.edit(rollout={"restart": "now"})
    assert batches(world)[-3:] == [[pod] for pod in (*GATEWAYS, DEVNET)]
    assert {pod.image for pod in world.pods.values()} == {"walrus-on-kubernetes:next"}
    assert world.says("RequiresUpdate") == ("False", "UpToDate")


def test_pods_of_an_operator_that_knew_no_digests_are_left_alone(world: World) -> None:
    for workload, pods in (("demo-gateway", GATEWAYS), ("demo-devnet", [DEVNET])):
        annotations = world.objects[ObjectKey("StatefulSet", workload)]["spec"]["template"]["metadata"]["annotations"]
        del annotations[SPEC_DIGEST_ANNOTATION], annotations[TEMPLATE_DIGEST_ANNOTATION]
        for pod in pods:
            world.pods[pod] = replace(world.pods[pod], made_from=None)
    assert [batch for batch in passes(world, 4) if batch] == []
    assert world.says("RequiresUpdate") == ("True", "OperatorChanged")
    _, writes = world.pass_once()
    assert writes == 0


def test_supervised_and_windows_hold_them_too(world: World) -> None:
    windows = [{"start": "22:30", "duration": "1h"}]
    world.edit(rollout={"mode": "Supervised", "maintenanceWindows": windows})
    before = world.network["status"]["rollout"]["target"]
    change_both(world)
    passes(world, 2)
    assert set(held(world).values()) == {"AwaitingApproval"}
    assert status(world)["target"] != before
    world.network["metadata"]["annotations"] = {APPROVED_ANNOTATION: status(world)["target"]}
    passes(world, 2)
    assert set(held(world).values()) == {"OutsideMaintenanceWindow"}
    world.edit(rollout={"maintenanceWindows": None})
    assert batches(world) == [[pod] for pod in (*GATEWAYS, DEVNET)]


def test_a_setting_that_no_pod_sees_restarts_nothing(world: World) -> None:
    world.edit(gateway={"service": {"type": "NodePort"}}, rollout={"reserve": 1}, epochsToKeep=5)
    assert [batch for batch in passes(world, 4) if batch] == []
    assert status(world)["state"] == "Complete"


def test_it_is_told_in_events_and_on_the_page(world: World) -> None:
    change_both(world)
    told = []
    for _ in range(12):
        decided, _ = world.pass_once()
        told += [(note.about.name, note.reason) for note in decided.events]
        if len(told) == 1:
            text = plan_page.render(plan_page.document(world.network), width=140, colour=False)
            assert "3     0       demo-devnet-0" in text
            assert "demo-gateway  0/2      walrus-on-kubernetes:test" in text
        world.kubelet()
    assert told == [("demo", "RolloutStarted"), *[("demo", "Restarting")] * 3, ("demo", "RolloutDone")]


@pytest.mark.parametrize(
    ("gate", "scene", "words"),
    [
        (part_gates.nodes_first, {"nodes": "n-1 is next"}, "nodes go first: n-1 is next"),
        (part_gates.gateway_not_ready, {"gateways": {"g-1": "it is Pending"}}, "g-1 is not ready: it is Pending"),
        (part_gates.gateways_first, {"gateways_left": ("g-0",)}, "gateways go first: g-0 is still to be restarted"),
        (part_gates.gateways_first, {"gateways": {"g-1": "gone"}}, "g-1 is not ready: gone"),
    ],
)
def test_each_gate_alone(gate: part_gates.PartGate, scene: dict[str, Any], words: str) -> None:
    nothing = gates.Facts(None, fresh=False, seats={}, previous={}, following={}, infos={}, serving=frozenset())
    assert gate(Scene(nothing, Roll(now=START)), "g-0", ()) is None
    hold = gate(Scene(nothing, Roll(now=START), **scene), "g-0", ())
    assert hold is not None
    assert hold.message == words
    held_by = replace(nothing, off=frozenset({hold.reason}))
    assert part_gates.first([gate], Scene(held_by, Roll(now=START), **scene), "g-0", ()) is None
    assert part_gates.gateway_not_ready(Scene(nothing, Roll(now=START), gateways={"g-0": "gone"}), "g-0", ()) is None
    taken = part_gates.gateway_not_ready(Scene(nothing, Roll(now=START)), "g-1", ["g-0"])
    assert taken is not None
    assert taken.reason is Reason.GATEWAY_NOT_READY
