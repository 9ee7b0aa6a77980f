"""What the operator makes of failures that nodes have proved before 60 % of an epoch, when all other verdicts are still to come."""

from __future__ import annotations

import pytest
from tests.unit.operator.support import World
from tests.unit.operator.test_challenges import MISSING, condition, epoch_status, in_epoch_5, of_node, pool, say

from walrus_client.challenges.results import Vote

EVERYBODY = [f"demo-{n}" for n in range(9)]


@pytest.fixture
def world() -> World:
    """Ten nodes with ten shards each: epoch 5 has passed, and epoch 6 runs."""
    made = in_epoch_5()
    say(made, {})
    made.choose_committee()
    made.now = made.now - 360
    made.settle()
    assert condition(made.network)[:2] == of_node(made, "demo-9")[:2] == ("True", "ChallengesPassed")
    return made


@pytest.mark.parametrize(("accusers", "believed"), [(3, False), (4, True)])
def test_what_more_than_f_shards_have_proved_counts_at_once_and_nothing_else(
    world: World, accusers: int, believed: bool
) -> None:
    posted = say(world, {(f"demo-{n}", "demo-9"): MISSING for n in range(accusers)}, at=0.3)
    assert posted == ([("demo-9", "ChallengesFailed")] if believed else [])
    expected = ("False", "ChallengesFailed") if believed else ("True", "ChallengesPassed")
    assert of_node(world, "demo-9")[:2] == condition(world.network)[:2] == expected
    assert of_node(world, "demo-0")[2].startswith("in epoch 5 9 members saw it pass"), "of epoch 6 nothing is known yet"
    told = world.network["status"]["challenges"]
    assert (told["epoch"], told["display"]) == (5, "90/90")
    assert told["failing"] == (["demo-9"] if believed else [])
    assert epoch_status(world)["failed"] == accusers
    # At 60 % an absent pass would say something.
    say(world, {(f"demo-{n}", "demo-9"): MISSING for n in range(accusers)})
    assert world.network["status"]["challenges"]["epoch"] == 6
    assert of_node(world, "demo-9")[:2] == expected
    assert "in epoch 6" in of_node(world, "demo-9")[2]


def test_an_early_slashing_is_told_at_once(world: World) -> None:
    failed = {(node, "demo-9"): MISSING for node in EVERYBODY}
    target = pool(world, "demo-9")
    open_ = Vote(target, voted=True, ended="", burned=0)
    assert say(world, failed, votes=dict.fromkeys(EVERYBODY, (open_,)), at=0.35) == [("demo-9", "ChallengesFailed")]
    assert world.pass_once()[0].challenges.votes == 9
    ended = Vote(target, voted=True, ended="BY_OTHERS", burned=5_000)
    behind = Vote(target, voted=False, ended="BY_OTHERS", burned=5_000)
    votes = dict.fromkeys(EVERYBODY, (ended,)) | {"demo-8": (behind,)}
    assert say(world, failed, votes=votes, at=0.4) == [("demo-9", "Slashed")]
    assert of_node(world, "demo-9")[:2] == ("False", "Slashed")
    row = epoch_status(world)["members"][-1]
    assert (row["votes"], row["slashed"], row["burned"]) == (8, True, 5_000)
    numbers = world.pass_once()[0].challenges
    assert (numbers.votes, numbers.slashed, numbers.burned) == (8, 1, 5_000)
    assert numbers.counts["PASS"] == 90, "verdicts are those of the newest epoch that is judged"
    assert world.network["status"]["challenges"]["slashed"] == ["demo-9"]


def test_the_first_proofs_of_a_network_are_told_before_any_epoch_is_judged() -> None:
    world = World()
    world.bring_up()
    say(world, {(node, "demo-9"): MISSING for node in EVERYBODY[:2]}, at=0.3)
    assert condition(world.network)[:2] == ("Unknown", "NotChallenged")
    say(world, {(node, "demo-9"): MISSING for node in EVERYBODY}, at=0.4)
    assert condition(world.network)[:2] == of_node(world, "demo-9")[:2] == ("False", "ChallengesFailed")
    assert of_node(world, "demo-0")[:2] == ("Unknown", "NotChallenged")
