"""Challenges and open votes hold whatever takes a node's pod away, but not a fence, nor the sleep of a whole network."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.support import World

from walrus_codec.types import NodeId, ShardIndex
from walrus_operator.api.chain_view import ChainView, EpochPhase, Seat
from walrus_operator.api.conditions import Reason
from walrus_operator.api.markers import REPLACE_VOLUME_ANNOTATION
from walrus_operator.api.world import ChallengeInfo, NodeInfo, ObjectKey
from walrus_operator.plan import gates

RUNNING = ChallengeInfo(mode="Vote", epoch=1, window_open=True, running=1)
VOTED = ChallengeInfo(mode="Vote", epoch=1, votes=1)
BUSY = [(RUNNING, "ChallengeWindowOpen"), (VOTED, "SlashingVotePending")]


@pytest.fixture
def world() -> World:
    found = World()
    found.bring_up()
    return found


def tell(world: World, node: str, said: ChallengeInfo) -> None:
    world.progress[node] = {"challenges": said}  # type: ignore[dict-item]  # any field of NodeInfo goes
    world.settle()


def runs(world: World, node: str) -> bool:
    return f"{node}-0" in world.pods


@pytest.fixture
def facts() -> gates.Facts:
    """Nodes `a` and `b` in epoch 2 of ten minutes, begun at START."""
    chain = World(network=network_manifest(shards=10), epoch=2, phase=EpochPhase.DONE).chain().value
    assert isinstance(chain, ChainView)
    seats = {name: Seat(NodeId(name), name, (ShardIndex(index),)) for index, name in enumerate("ab")}
    infos = {
        name: NodeInfo(node_id=None, epoch=2, status="Active", shards={seat.shards[0]: "Active"})
        for name, seat in seats.items()
    }
    return gates.Facts(
        chain=chain,
        fresh=True,
        seats=seats,
        previous=seats,
        following={},
        infos=infos,
        serving=frozenset("ab"),
        closed=True,
    )


def challenged(facts: gates.Facts, **said: int | bool) -> gates.Facts:
    found = ChallengeInfo(**{"epoch": 2, **said})  # type: ignore[arg-type]  # fields by name
    return replace(facts, infos={**facts.infos, "a": replace(facts.infos["a"], challenges=found)})


@pytest.mark.parametrize(
    ("said", "share", "holds"),
    [
        ({"running": 1}, 0.2, True),
        ({"answering": 1}, 0.2, True),
        ({"answering": 1, "epoch": 1}, 0.2, False),
        ({"pending": 3, "window_open": True}, 0.499, False),
        ({"pending": 3, "window_open": True}, 0.501, True),
        ({"pending": 3}, 0.501, False),
        ({"window_open": True}, 0.501, False),
    ],
)
def test_challenge_window_open(facts: gates.Facts, said: dict[str, int | bool], share: float, holds: bool) -> None:
    busy = replace(challenged(facts, **said), now=START + 600 * share)
    assert (gates.challenge_window_open(busy, "a", ()) is not None) == holds
    assert gates.challenge_window_open(busy, "b", ()) is None, "only the node itself"


def test_slashing_vote_pending(facts: gates.Facts) -> None:
    assert gates.slashing_vote_pending(challenged(facts, votes=1, executed=1), "a", ()) is None
    assert gates.slashing_vote_pending(challenged(facts, votes=1, epoch=1), "a", ()) is None
    held = gates.slashing_vote_pending(challenged(facts, votes=2, executed=1), "a", ())
    assert held is not None
    assert held.message == "it has 1 votes to slash open, which end with epoch 2: wait for the next one"


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        (gates.BEFORE_RESTART, True),
        (gates.BEFORE_REMOVAL, True),
        (gates.BEFORE_HIBERNATION, True),
        (gates.BEFORE_SOURCE_GOES, False),
    ],
)
@pytest.mark.parametrize(
    ("said", "reason"),
    [({"running": 1}, Reason.CHALLENGE_WINDOW_OPEN), ({"votes": 1}, Reason.SLASHING_VOTE_PENDING)],
)
def test_which_actions_ask(
    facts: gates.Facts, asked: tuple[gates.Gate, ...], holds: bool, said: dict[str, int], reason: Reason
) -> None:
    busy = challenged(facts, **said)
    held = gates.first(asked, busy, "a")
    assert (held.reason if held else None) == (reason if holds else None)
    assert gates.first(asked, replace(busy, off=frozenset({reason})), "a") is None


@pytest.mark.parametrize(("said", "reason"), BUSY)
def test_a_node_that_is_taken_away_finishes_first(world: World, said: ChallengeInfo, reason: str) -> None:
    tell(world, "demo-9", said)
    world.edit(nodes={"count": 9})
    world.settle()
    assert runs(world, "demo-9")
    assert world.says("DeletionBlocked", "demo-9") == ("True", reason)
    assert not any("WithdrawStake" in line for line in world.log), "pod and stake go together"
    tell(world, "demo-9", ChallengeInfo(mode="Vote", epoch=1))
    assert not runs(world, "demo-9")
    assert world.says("DeletionBlocked", "demo-9") == ("True", "HoldsShards")


@pytest.mark.parametrize(("said", "reason"), BUSY)
def test_a_volume_is_replaced_when_the_node_has_finished(world: World, said: ChallengeInfo, reason: str) -> None:
    pod, claim = world.pods["demo-3-0"], world.claims["data-demo-3-0"]
    tell(world, "demo-3", said)
    annotations = {REPLACE_VOLUME_ANNOTATION: claim.uid}
    world.objects[ObjectKey("WalrusNode", "demo-3")]["metadata"]["annotations"] = annotations
    world.settle()
    assert (world.pods["demo-3-0"], world.claims["data-demo-3-0"]) == (pod, claim)
    assert world.says("DeletionBlocked", "demo-3") == ("True", reason)
    tell(world, "demo-3", ChallengeInfo(mode="Vote", epoch=1))
    assert world.claims["data-demo-3-0"].uid != claim.uid
    assert world.says("DeletionBlocked", "demo-3") == ("False", "NotLeaving")


@pytest.mark.parametrize(("said", "reason"), BUSY)
def test_a_node_that_hibernates_finishes_first(world: World, said: ChallengeInfo, reason: str) -> None:
    tell(world, "demo-3", said)
    world.edit_node("demo-3", desiredState="Hibernated")
    plan = world.settle()
    assert runs(world, "demo-3")
    assert world.says("DeletionBlocked", "demo-3") == ("True", reason)
    assert world.says("Ready", "demo-3") == ("True", "Serving")
    assert plan.requeue_after == 2
    tell(world, "demo-3", ChallengeInfo(mode="Vote", epoch=1))
    assert not runs(world, "demo-3")
    assert world.says("Ready", "demo-3") == ("False", "Hibernated")
    assert world.says("DeletionBlocked", "demo-3") == ("False", "NotLeaving")


def test_nodes_hibernate_within_the_budget_unless_its_gate_is_opened(world: World) -> None:
    for number in range(1, 6):
        world.edit_node(f"demo-{number}", desiredState="Hibernated")
    world.settle()
    assert [runs(world, f"demo-{number}") for number in range(1, 6)] == [False, False, False, True, True]
    assert world.says("DeletionBlocked", "demo-4") == ("True", "FaultBudgetExceeded")
    message = "taking demo-4 away takes 10 shards, 30 of 33 are unavailable already"
    assert world.condition("DeletionBlocked", "demo-4")["message"] == message
    assert world.says("Available") == ("True", "QuorumAvailable")
    world.network["metadata"]["annotations"] = {gates.GATES_OFF_ANNOTATION: "FaultBudgetExceeded"}
    world.settle()
    assert not any(runs(world, f"demo-{number}") for number in range(1, 6)), "half of all shards"


def test_a_node_runs_on_while_the_chain_is_away_and_hibernates_when_it_is_back(world: World) -> None:
    world.chain_answers = False
    world.edit_node("demo-6", desiredState="Hibernated")
    world.settle()
    assert runs(world, "demo-6")
    assert world.says("DeletionBlocked", "demo-6") == ("True", "ChainMirrorStale")
    world.chain_answers = True
    world.settle()
    assert not runs(world, "demo-6")


@pytest.mark.parametrize(("said", "reason"), BUSY)
def test_an_open_gate_lets_a_node_hibernate(world: World, said: ChallengeInfo, reason: str) -> None:
    tell(world, "demo-3", said)
    world.network["metadata"]["annotations"] = {gates.GATES_OFF_ANNOTATION: reason}
    world.edit_node("demo-3", desiredState="Hibernated")
    world.settle()
    assert not runs(world, "demo-3")


@pytest.mark.parametrize("said", [RUNNING, VOTED])
def test_a_fence_does_not_wait_for_what_a_node_in_doubt_is_in(world: World, said: ChallengeInfo) -> None:
    tell(world, "demo-3", said)
    world.edit_node("demo-3", desiredState="Fenced")
    world.settle()
    assert world.says("Fenced", "demo-3") == ("True", "Fenced")
    assert not runs(world, "demo-3")


def test_a_whole_network_sleeps_whatever_its_nodes_are_in(world: World) -> None:
    for node in world.nodes():
        tell(world, node, replace(RUNNING, votes=1))
    world.edit(hibernated=True)
    world.settle()
    assert world.pods == {}


def test_a_drained_node_is_in_no_challenge_when_its_pod_goes(world: World) -> None:
    """Its stake is asked back whatever it is in, which moves nothing in this epoch; its votes ended with its seat."""
    world.edit(nodes={"template": {"deletionPolicy": "Drain"}})
    world.settle()
    tell(world, "demo-9", VOTED)
    world.edit(nodes={"count": 9})
    world.settle()
    assert any("WithdrawStake" in line for line in world.log)
    assert world.says("DeletionBlocked", "demo-9") == ("True", "HoldsShards")
    for _ in range(3):
        world.choose_committee()
        world.settle()
    assert not runs(world, "demo-9")
