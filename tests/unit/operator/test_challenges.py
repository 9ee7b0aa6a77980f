"""Challenges: which policy the nodes are told, and what is reported of what they have found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.operator.chain_world import NETWORK, START, network_manifest
from tests.unit.operator.support import World

from walrus_client.challenges.policy import Mode
from walrus_client.challenges.results import Vote
from walrus_client.challenges.schedule import Schedule
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import Epoch, NodeId
from walrus_operator.api import names
from walrus_operator.api.chain_view import EpochPhase
from walrus_operator.api.world import Findings, ObjectKey
from walrus_operator.ctl import findings, page
from walrus_operator.plan import challenge_schedule

PASSED = (Verdict.PASS, Outcome.PASS)
MISSING = (Verdict.FAIL, Outcome.MISSING)
AWAY = (Verdict.EXCUSED, Outcome.UNREACHABLE)
UNKNOWN = (Verdict.NONE, None)
FILE = ObjectKey("ConfigMap", names.challenges(NETWORK))
EPOCH_S = 600


def in_epoch_5() -> World:
    """Ten nodes with ten shards each, that challenge each other."""
    made = World()
    made.bring_up()
    for _ in range(4):
        made.choose_committee()
    made.settle()
    return made


@pytest.fixture
def world() -> World:
    return in_epoch_5()


def told(world: World) -> Schedule:
    return Schedule.from_json(world.objects[FILE]["data"][names.CHALLENGES_FILE])


def modes(world: World, *epochs: int) -> list[str]:
    return [told(world).at(Epoch(epoch)).mode.value for epoch in epochs]


def pool(world: World, node: str) -> NodeId:
    return NodeId(str(world.objects[ObjectKey("WalrusNode", node)]["status"]["nodeId"]))


def say(
    world: World,
    verdicts: Mapping[tuple[str, str], Any],
    *,
    votes: Mapping[str, tuple[Vote, ...]] | None = None,
    blobs: int = 3,
    at: float = 0.6,
) -> list[tuple[str, str]]:
    """Lets every node find all others in order, but for these pairs of challenger and challenged; returns what was posted.

    `at` is the share of the epoch that is over; before 0.6 the verdicts that are not named are not there.
    """
    everybody = world.nodes()
    world.now = max(world.now, START + at * EPOCH_S)
    absent = None if at < 0.6 else PASSED
    world.findings[world.epoch] = {
        node: Findings(
            blobs=blobs,
            questions=197,
            verdicts={
                pool(world, other): found
                for other in everybody
                if other != node and (found := verdicts.get((node, other), absent)) is not None
            },
            votes=(votes or {}).get(node, ()),
        )
        for node in everybody
    }
    decided, _writes = world.pass_once()
    world.settle()
    return [(event.about.name, event.reason) for event in decided.events if event.about.kind == "WalrusNode"]


def epoch_status(world: World, number: int | None = None) -> Any:
    key = ObjectKey("StorageEpoch", names.epoch(NETWORK, number or world.epoch))
    return world.objects[key]["status"].get("challenges")


def condition(live: Mapping[str, Any]) -> tuple[str, str, str]:
    found = next(entry for entry in live["status"]["conditions"] if entry["type"] == "ChallengesPassing")
    return found["status"], found["reason"], found["message"]


def of_node(world: World, node: str) -> tuple[str, str, str]:
    return condition(world.objects[ObjectKey("WalrusNode", node)])


# -- what the nodes are told


def test_nodes_are_told_from_the_beginning_and_a_change_restarts_nobody(world: World) -> None:
    assert modes(world, 0, 3, 100) == ["Vote"] * 3
    pods = {pod.uid for pod in world.pods.values()}
    world.edit(challenges={"mode": "Report", "kept": "0.8"})
    for _ in range(5):
        world.pass_once()
        world.kubelet()
    assert {pod.uid for pod in world.pods.values()} == pods
    assert world.network["status"]["rollout"]["state"] == "Complete"
    assert world.network["status"]["conditions"][-1]["type"] == "ChallengesPassing"
    assert (modes(world, 5, 6), told(world).at(Epoch(6)).samples) == (["Vote", "Report"], 93)


@pytest.mark.parametrize(
    ("gone", "change", "starts"),
    [
        (0, {"mode": "Off"}, 6),
        (EPOCH_S - 120, {"mode": "Off"}, 6),
        (EPOCH_S - 119, {"mode": "Off"}, 7),
        (EPOCH_S + 50, {"mode": "Off"}, 7),
        (EPOCH_S - 119, {"mode": "Report"}, 6),
        (EPOCH_S - 119, {"mode": "Vote", "graceMilliseconds": 1}, 6),
        (EPOCH_S - 119, {"mode": "Vote", "target": "1e-6"}, 7),
    ],
)
def test_what_all_must_know_at_once_holds_when_all_know_it(
    world: World, gone: float, change: dict[str, Any], starts: int
) -> None:
    before = told(world).at(Epoch(5))
    world.now = START + gone
    world.edit(challenges=change)
    world.pass_once()
    assert told(world).at(Epoch(starts - 1)) == before
    assert told(world).at(Epoch(starts)) != before


def test_while_shards_are_taken_over_a_whole_epoch_is_left(world: World) -> None:
    world.phase = EpochPhase.SYNC
    chain = world.chain().value
    assert chain is not None
    assert challenge_schedule.first_epoch(chain, world.now, widely=True) == 6


def steer(world: World, epoch: int, mode: str) -> ObjectKey:
    """`kubectl apply` of a StorageEpoch."""
    key = ObjectKey("StorageEpoch", names.epoch(NETWORK, epoch))
    live = world.objects.setdefault(
        key,
        {
            "apiVersion": "walrus-operator.dev/v1alpha1",
            "kind": "StorageEpoch",
            "metadata": {"name": key.name, "namespace": "walrus", "uid": f"u{epoch}", "generation": 0},
        },
    )
    live["spec"] = {"challenges": {"mode": mode}}
    live["metadata"]["generation"] += 1
    return key


def answer(world: World, key: ObjectKey) -> tuple[str, str, str]:
    conditions = world.objects[key].get("status", {}).get("conditions", [])
    found: dict[str, str] = next((entry for entry in conditions if entry["type"] == "ChallengesOverridden"), {})
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")


def posted(world: World, key: ObjectKey) -> list[tuple[str, str]]:
    """Events of one StorageEpoch until nothing is left to do."""
    found = []
    for _ in range(6):
        decided, _writes = world.pass_once()
        found += [(event.type, event.reason) for event in decided.events if event.about == key]
    return found


def test_an_epoch_that_a_user_steers_ahead_of_time(world: World) -> None:
    key = steer(world, 7, "Off")
    assert posted(world, key) == [("Normal", "OverrideAccepted")]
    assert modes(world, 5, 6, 7, 8) == ["Vote", "Vote", "Off", "Vote"]
    assert answer(world, key) == ("True", "OverrideAccepted", "challenges.mode is Off in epoch 7")
    assert set(world.objects[key]["status"]) == {"conditions"}, "with a state the spec could not be changed any more"
    # A minute before it begins it is too late to say that everybody should answer all the same.
    for _ in range(2):
        world.choose_committee()
        world.epoch = min(world.epoch, 6)
        world.settle()
    world.now = START + EPOCH_S - 60
    steer(world, 7, "Vote")
    assert posted(world, key) == [("Warning", "OverrideTooLate")]
    why = (
        "it came less than 120 s before the epoch begins, and nodes must know such a change by then: challenges.mode stays Off "
        "in epoch 7"
    )
    remedy = "apply it to demo-8 or a later epoch"
    assert answer(world, key)[1:] == ("OverrideTooLate", f"challenges.mode Vote is ignored, {why}; {remedy}")
    assert modes(world, 6, 7) == ["Vote", "Off"]
    world.choose_committee()
    world.now = START
    # Once the epoch has begun, its object says which epoch can still be steered, and no second warning comes.
    assert posted(world, key) == []
    assert answer(world, key)[1] == "OverrideTooLate"
    later = steer(world, 9, "Report")
    assert posted(world, later) == [("Normal", "OverrideAccepted")]
    world.settle()
    assert world.objects[key]["spec"] == {"challenges": {"mode": "Vote"}}, "the spec is the user's"
    assert condition(world.network)[:2] == ("Unknown", "ChallengesOff")
    for _ in range(2):
        world.choose_committee()
        world.settle()
    assert told(world).epochs == {9: Mode.REPORT}, "what is long over is forgotten"


@pytest.mark.parametrize("epoch", [3, 4, 5])
def test_an_epoch_that_has_begun_cannot_be_steered(world: World, epoch: int) -> None:
    key = ObjectKey("StorageEpoch", names.epoch(NETWORK, epoch))
    world.objects.pop(key, None)  # the API server refuses to change one that has begun, but not to make one
    steer(world, epoch, "Off")
    assert posted(world, key) == [("Warning", "OverrideTooLate")]
    status, reason, message = answer(world, key)
    assert (status, reason) == ("False", "OverrideTooLate")
    why = "epoch 5 had begun: challenges.mode stays Vote in it" if epoch == 5 else f"epoch {epoch} is over"
    assert message == f"challenges.mode Off is ignored, {why}; apply it to demo-6 or a later epoch"
    said = answer(world, key)
    world.choose_committee()
    assert posted(world, key) == []
    assert answer(world, key) == said, "what was said of it stays"
    assert modes(world, 5, 6) == ["Vote", "Vote"]


def test_what_holds_anyway_is_never_too_late(world: World) -> None:
    world.now = START + EPOCH_S - 60
    assert posted(world, steer(world, 6, "Report")) == [("Normal", "OverrideAccepted")], "which needs no time"
    assert posted(world, steer(world, 7, "Off")) == [("Normal", "OverrideAccepted")]
    key = steer(world, 6, "Vote")
    assert posted(world, key) == [("Normal", "OverrideAccepted")]
    for _ in range(3):
        world.choose_committee()
        world.settle()
        assert answer(world, key)[:2] == ("True", "OverrideAccepted"), "also when the nodes' file has forgotten it"


def test_a_wish_that_was_taken_back_leaves_no_word(world: World) -> None:
    key = steer(world, 8, "Off")
    world.settle()
    world.objects[key]["spec"] = {}
    world.settle()
    assert answer(world, key) == ("", "", "")
    assert modes(world, 8) == ["Vote"]


def test_a_paused_operator_tells_nobody_and_answers_nothing(world: World) -> None:
    world.network["metadata"]["annotations"] = {"walrus-operator.dev/reconcile": "paused"}
    key = steer(world, 6, "Off")
    assert posted(world, key) == []
    assert answer(world, key) == ("", "", "")
    world.choose_committee()
    world.network["metadata"]["annotations"] = {}
    assert posted(world, key) == [("Warning", "OverrideTooLate")]
    assert modes(world, 6) == ["Vote"]


def test_an_epoch_that_no_chain_reaches_breaks_nothing(world: World) -> None:
    key = steer(world, 1 << 32, "Off")
    world.settle()
    assert (answer(world, key), modes(world, 6)) == (("", "", ""), ["Vote"])


def test_one_node_that_does_less(world: World) -> None:
    world.objects[ObjectKey("WalrusNode", "demo-3")]["spec"]["challenges"] = {"mode": "Report"}
    pods = {pod.uid for pod in world.pods.values()}
    world.settle()
    assert told(world).nodes == {"demo-3": Mode.REPORT}
    assert {pod.uid for pod in world.pods.values()} == pods


def test_while_the_chain_is_away_nothing_is_planned(world: World) -> None:
    fresh = World(network=network_manifest(challenges={"mode": "Vote"}))
    fresh.chain_answers = False
    fresh.pass_once()
    assert told(fresh).steps[0][0] == 0
    fresh.edit(challenges={"mode": "Off"})
    fresh.pass_once()
    assert modes(fresh, 3) == ["Vote"]


def test_a_file_that_somebody_broke_is_written_anew(world: World) -> None:
    world.objects[FILE]["data"] = {names.CHALLENGES_FILE: "{"}
    world.settle()
    assert modes(world, 5) == ["Vote"]


# -- what the nodes have found


def test_before_the_first_verdict_there_is_no_word(world: World) -> None:
    assert epoch_status(world) is None
    assert condition(world.network)[:2] == of_node(world, "demo-0")[:2] == ("Unknown", "NotChallenged")
    assert world.network["status"]["challenges"] == {"mode": "Vote", "failing": [], "slashed": [], "silent": []}


def test_off_is_neither_good_nor_bad() -> None:
    world = World(network=network_manifest(challenges={"mode": "Off"}))
    world.bring_up()
    assert condition(world.network)[:2] == of_node(world, "demo-0")[:2] == ("Unknown", "ChallengesOff")
    assert "challenges" not in world.network["status"]


def test_verdicts_that_say_nothing_are_no_pass(world: World) -> None:
    lost = {(f"demo-{one}", f"demo-{other}"): UNKNOWN for one in range(10) for other in range(10) if one != other}
    lost["demo-1", "demo-2"] = AWAY
    say(world, lost)
    assert condition(world.network) == (
        "Unknown",
        "NotChallenged",
        "0/90 verdicts of epoch 5 say that the data is there; 1 excuse, and 89 could not judge",
    )
    assert of_node(world, "demo-2") == (
        "Unknown",
        "NotChallenged",
        "in epoch 5 0 members saw it pass, 1 excuse it (UNREACHABLE)",
    )


def test_where_nothing_is_stored_nothing_is_proved_and_nothing_looks_failed(world: World) -> None:
    everybody = [(f"demo-{one}", f"demo-{other}") for one in range(10) for other in range(10) if one != other]
    say(world, dict.fromkeys(everybody, UNKNOWN), blobs=0)
    assert epoch_status(world)["display"] == "-"
    assert condition(world.network)[:2] == ("Unknown", "NotChallenged")
    assert condition(world.network)[2].startswith("there was nothing to ask for in epoch 5: ")
    shown = page.render(page.document(world.network, [], []), width=200, colour=False)
    assert "Vote, nothing to ask for in epoch 5" in shown


def test_everybody_passes(world: World) -> None:
    say(world, {("demo-1", "demo-2"): AWAY})
    found = epoch_status(world)
    assert (found["issued"], found["passed"], found["excused"], found["display"]) == (90, 89, 1, "89/90")
    assert (found["mode"], found["blobs"], found["questions"]) == ("Vote", 3, 197)
    assert condition(world.network)[:2] == ("True", "ChallengesPassed")
    assert of_node(world, "demo-2") == (
        "True",
        "ChallengesPassed",
        "in epoch 5 8 members saw it pass, 1 excuse it (UNREACHABLE)",
    )


@pytest.mark.parametrize(("accusers", "believed"), [(3, False), (4, True)])
def test_more_than_f_shards_are_believed(world: World, accusers: int, believed: bool) -> None:
    """f is 33; three nodes have 30 shards, four have 40."""
    say(world, {(f"demo-{n}", "demo-9"): MISSING for n in range(accusers)})
    status, reason, message = of_node(world, "demo-9")
    assert (status, reason) == (("False", "ChallengesFailed") if believed else ("True", "ChallengesPassed"))
    assert f"{accusers * 10} shards saw it fail" in message
    assert world.network["status"]["challenges"]["failing"] == (["demo-9"] if believed else [])
    assert condition(world.network)[0] == ("False" if believed else "True")


def test_a_slashing_from_the_first_report_to_the_end(world: World) -> None:
    everybody = [f"demo-{n}" for n in range(9)]
    failed = {(node, "demo-9"): MISSING for node in everybody}
    assert say(world, failed) == [("demo-9", "ChallengesFailed")]
    target = pool(world, "demo-9")
    open_ = Vote(target, voted=True, ended="", burned=0)
    assert say(world, failed, votes=dict.fromkeys(everybody, (open_,))) == []
    row = next(entry for entry in epoch_status(world)["members"] if entry["node"] == "demo-9")
    assert (row["failed"], row["failedShards"], row["votes"], row["slashed"]) == (9, 90, 9, False)
    by_others = Vote(target, voted=True, ended="BY_OTHERS", burned=5_000)
    lie = Vote(target, voted=True, ended="EXECUTED", burned=10**15)
    # Whoever has executed it died before it could say so.
    votes = dict.fromkeys(everybody, (by_others,)) | {"demo-4": (open_,), "demo-0": (lie,)}
    assert say(world, failed, votes=votes) == [("demo-9", "Slashed")]
    found = epoch_status(world)
    assert (found["failed"], found["votes"], found["executed"], found["burned"]) == (9, 9, 1, 5_000)
    assert of_node(world, "demo-9")[:2] == ("False", "Slashed")
    assert "9 members with 90 shards saw it fail: MISSING; 5000 FROST" in of_node(world, "demo-9")[2]
    assert world.network["status"]["challenges"]["slashed"] == ["demo-9"]
    # The next epoch knows nothing yet, and the record of this one stays when the nodes have forgotten it.
    world.findings.clear()
    world.choose_committee()
    world.settle()
    assert epoch_status(world, 5) == found
    assert of_node(world, "demo-9")[:2] == ("False", "Slashed")
    # Nor does a chain that is away make it better, whoever reads the records.
    world.chain_answers, world.chain_seen_at = False, None
    world.pass_once()
    assert of_node(world, "demo-9")[:2] == ("False", "Slashed")
    world.chain_answers = True
    assert say(world, {}) == []
    assert of_node(world, "demo-9")[:2] == ("True", "ChallengesPassed")


def test_old_verdicts_say_nothing_any_more(world: World) -> None:
    say(world, {(f"demo-{n}", "demo-9"): MISSING for n in range(9)})
    world.findings.clear()
    for reason in ("ChallengesFailed", "ChallengesFailed", "ChallengesFailed", "NotChallenged"):
        world.choose_committee()
        world.settle()
        assert of_node(world, "demo-9")[1] == reason
    assert world.network["status"]["challenges"]["failing"] == []


def test_who_tells_nothing_is_silent_once_it_is_too_late(world: World) -> None:
    everybody = world.nodes()
    mute = {("demo-7", other): None for other in everybody[:5]}
    half = {("demo-8", other): None for other in everybody[:4]}
    say(world, {**mute, **half})
    assert epoch_status(world)["silent"] == []
    world.now = START + EPOCH_S * 0.9
    world.settle()
    assert epoch_status(world)["silent"] == []
    world.now += 1
    world.settle()
    assert epoch_status(world)["silent"] == ["demo-7"], "4 of 9 are less than half, 5 of 9 are not"
    assert "silent: demo-7" in condition(world.network)[2]


def test_less_never_replaces_more(world: World) -> None:
    say(world, {("demo-1", "demo-2"): MISSING})
    known = epoch_status(world)
    world.findings[5] = {"demo-0": world.findings[5]["demo-0"]}
    world.settle()
    assert epoch_status(world) == known, "an operator that has just started asks anew"


def test_the_numbers_of_the_metrics(world: World) -> None:
    say(world, {(f"demo-{n}", "demo-9"): MISSING for n in range(9)})
    decided, writes = world.pass_once()
    assert writes == 0
    assert decided.challenges.counts == {"PASS": 81, "FAIL": 9, "EXCUSED": 0, "NONE": 0}
    assert decided.challenges.failing == {"demo-9": 90}


def test_the_status_page_says_who_fails(world: World) -> None:
    def text() -> str:
        kinds = [
            [live for key, live in world.objects.items() if key.kind == kind] for kind in ("WalrusNode", "StorageEpoch")
        ]
        return page.render(page.document(world.network, *kinds), width=200, colour=False)

    assert "Vote, no verdicts yet" in text()
    say(world, {})
    assert "Vote, 90/90 passed in epoch 5 " in text()
    assert "What is missing" not in text()
    say(world, {(f"demo-{n}", "demo-9"): MISSING for n in range(9)})
    assert "Vote, 81/90 passed in epoch 5; failing: demo-9 " in text()
    assert "ChallengesPassing is False: failed in their newest epoch: demo-9" in text()
    assert "walrusctl -n walrus --network demo challenges" in text()
    off = World(network=network_manifest(challenges={"mode": "Off"}))
    off.bring_up()
    assert "Challenges  off" in page.render(page.document(off.network, [], []), width=200, colour=False)


def test_whom_walrusctl_asks_and_whose_keys_it_knows(world: World) -> None:
    say(world, {})
    world.choose_committee()
    world.settle()
    nodes = [live for key, live in world.objects.items() if key.kind == "WalrusNode"]
    epochs = [live for key, live in world.objects.items() if key.kind == "StorageEpoch"]
    newest = findings.chosen(epochs, None)
    assert newest is not None
    assert newest["epoch"] == 5, "the newest with verdicts"
    assert (findings.chosen(epochs, 6) or {})["epoch"] == 6
    assert findings.chosen(epochs, 99) is None
    assert findings.chosen([], None) is None
    nodes[3]["status"]["publicKeys"] = {"protocol": "ab" * 48}
    nodes[4]["status"].pop("publicKeys", None)
    parties = {party.name: party for party in findings.members(newest, nodes)}
    assert parties[nodes[3]["metadata"]["name"]].key == bytes.fromhex("ab" * 48)
    assert parties[nodes[4]["metadata"]["name"]].key is None
    assert {party.weight for party in parties.values()} == {10}


def test_reports_are_checked_with_the_keys_of_their_epoch(world: World) -> None:
    for keys in ("ab" * 48, "cd" * 48):
        world.seat_keys = {pool(world, "demo-3"): keys}
        world.choose_committee()
        world.settle()
    nodes = [live for key, live in world.objects.items() if key.kind == "WalrusNode"]
    world.objects[ObjectKey("WalrusNode", "demo-3")]["status"]["publicKeys"] = {"protocol": "ef" * 48}
    found = {}
    for epoch in (5, 6, 7):
        status = world.objects[ObjectKey("StorageEpoch", names.epoch(NETWORK, epoch))]["status"]
        found[epoch] = next(party.key for party in findings.members(status, nodes) if party.name == "demo-3")
    assert found == {epoch: bytes.fromhex(key * 48) for epoch, key in ((5, "ef"), (6, "ab"), (7, "cd"))}
