"""What a rollout waits for before anybody restarts."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.operator.chain_world import START
from tests.unit.operator.rolling import status
from tests.unit.operator.rollouts.worlds import passes, restarted, roll, running
from tests.unit.operator.support import World

from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.markers import APPROVED_ANNOTATION, OVERRIDE_ANNOTATION
from walrus_operator.api.world import ObjectKey
from walrus_operator.plan.gates import GATES_OFF_ANNOTATION
from walrus_operator.plan.passes import plan
from walrus_operator.runtime.reconciler import still_shown


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


def test_while_too_much_is_down_nobody_restarts(world: World) -> None:
    for number in (7, 8, 9):
        world.edit_node(f"demo-{number}", desiredState="Hibernated")
    world.settle()
    world.edit(image="walrus:2")
    assert passes(world, 3) == [[]] * 3
    assert world.says("Progressing") == ("True", "FaultBudgetExceeded")
    assert "takes 10 shards, 30 of 33 are unavailable already" in world.condition("Progressing")["message"]
    assert status(world)["plan"] == []


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


def test_shards_that_move_are_waited_for(world: World) -> None:
    world.edit(image="walrus:2")
    passes(world, 1)
    world.phase = EpochPhase.SYNC
    assert passes(world, 3) == [[]] * 3
    assert world.says("Progressing") == ("True", "EpochChangeInProgress")
    world.phase = EpochPhase.DONE
    assert len(roll(world)) == 4


def test_a_paused_network_is_not_touched(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/reconcile": "paused"}
    world.edit(image="walrus:2")
    assert passes(world, 4) == [[]] * 4
    assert status(world)["outdated"] == 10, "what would be restarted is shown all the same"
