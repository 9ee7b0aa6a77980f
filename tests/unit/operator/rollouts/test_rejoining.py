"""Nodes that do not come back, or not yet: what stops there, and what repairs it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import START
from tests.unit.operator.rolling import status
from tests.unit.operator.rollouts.worlds import passes, roll
from tests.unit.operator.support import World

from walrus_operator.api.world import UnixSeconds
from walrus_operator.plan.rejoining import STUCK_AFTER


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
