"""The status page: what it says of a network that serves, one that does not, and one that nobody has looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from tests.unit.operator.chain_world import network_manifest
from tests.unit.operator.support import World

from walrus_operator.api.world import Manifest, ObjectKey
from walrus_operator.ctl import page, page_rows, plan_page


@pytest.fixture
def world() -> World:
    ready = World()
    ready.bring_up()
    return ready


def of_kind(world: World, kind: str) -> list[Manifest]:
    return [live for key, live in world.objects.items() if key.kind == kind]


def document(world: World) -> dict[str, object]:
    return page.document(world.network, of_kind(world, "WalrusNode"), of_kind(world, "StorageEpoch"))


def test_a_serving_network(world: World) -> None:
    found = document(world)
    assert found["ready"] == "True"
    assert found["missing"] == []
    text = page.render(found, width=140, colour=False)
    assert "Walrus network demo in namespace walrus: Ready, all nodes and gateways serve" in text
    assert "100/100, at least 67 needed to store" in text
    assert "10/10 ready" in text
    assert "walrusctl -n walrus --network demo blob store FILE" in text
    assert "What is missing" not in text
    assert [row["name"] for row in found["nodes"]] == [f"demo-{n}" for n in range(10)]  # type: ignore[index, attr-defined]


def test_what_is_missing_is_said_line_by_line(world: World) -> None:
    del world.pods["demo-4-0"]
    secret = world.secrets.pop("demo-3-keys")
    world.pass_once()
    text = page.render(document(world), width=200, colour=False)
    assert "not Ready, not ready: " in text
    assert "demo-4: pod demo-4-0 does not exist yet" in text
    assert (
        f"demo-3: Secret demo-3-keys is gone: restore it from a backup, with the keys whose Sui address is {secret.public['sui.key']}"
        in (" ".join(text.split()))
    )
    assert "kubectl -n walrus describe wnet demo" in text


def test_a_network_that_nobody_has_looked_at() -> None:
    fresh = World()
    text = page.render(page.document(fresh.network, [], []), width=100, colour=False)
    assert "the operator has not looked at this network yet" in text
    assert "not known yet" in text


def test_the_document_is_json(world: World) -> None:
    assert json.loads(json.dumps(document(world)))["shards"] == {"total": 100, "available": 100, "tolerated": 33}


@pytest.mark.parametrize(
    ("available", "bar"),
    [
        (100, "##################################|##################"[:51]),
        (70, None),
        (0, "..................................|.................."[:51]),
    ],
)
def test_the_budget_bar_has_its_line_where_stores_stop(available: int, bar: str | None) -> None:
    text = page.budget_bar({"total": 100, "available": available, "tolerated": 33}).plain
    assert text.index("|") == 34
    if bar is not None:
        assert text.startswith(bar[:34] + "|" + bar[35:50])


def test_colours_only_on_a_terminal(world: World) -> None:
    found = document(world)
    assert "\x1b[" not in page.render(found, width=100, colour=False)
    assert "\x1b[" in page.render(found, width=100, colour=True)


def test_good_is_false_for_conditions_that_warn() -> None:
    assert page.is_good({"type": "Degraded", "status": "False"})
    assert not page.is_good({"type": "Degraded", "status": "True"})
    assert page.is_good({"type": "Ready", "status": "True"})
    assert not page.is_good({"type": "Ready", "status": "Unknown"})


def test_epochs_newest_first(world: World) -> None:
    for _ in range(6):
        world.choose_committee()
        world.settle()
    assert ObjectKey("StorageEpoch", "demo-7") in world.objects
    assert [row["epoch"] for row in document(world)["epochs"]] == [7, 6, 5, 4, 3]  # type: ignore[index, attr-defined]


def test_the_plan_before_anything_moves(world: World) -> None:
    world.edit(image="walrus:2", rollout={"paused": True, "reserve": 3})
    for _ in range(3):
        world.pass_once()
        world.kubelet()
    found = plan_page.document(world.network)
    assert json.loads(json.dumps(found))["plan"][1] == {"nodes": ["demo-1", "demo-2", "demo-3"], "shards": 30}
    text = plan_page.render(found, width=140, colour=False)
    assert "Rollout of demo in namespace walrus: Held, nothing further may be restarted now (0/10)" in text
    assert "0 of 30 shards are unavailable now, 3 more are kept in reserve" in text
    assert "in epoch 1 (now 1)" in text
    assert "RolloutPaused" in text
    assert "walrus-on-kubernetes:test" in text
    assert found["stuck"] is None


def test_the_plan_of_a_network_that_nobody_has_looked_at_yet() -> None:
    found = plan_page.document(network_manifest())
    assert "not looked at yet" in plan_page.render(found, width=100, colour=False)


def test_a_stuck_rollout_says_so(world: World) -> None:
    world.edit(image="walrus:typo")
    world.broken.add("demo-0-0")
    for _ in range(5):
        world.pass_once()
        world.kubelet()
    found = plan_page.document(world.network)
    assert "demo-0 was restarted and does not rejoin" in str(found["stuck"])
    assert "Stuck: demo-0" in plan_page.render(found, width=140, colour=False)


def test_how_much_of_the_epoch_is_over(world: World) -> None:
    found = page.document(
        {**world.network, "spec": {**world.network["spec"], "epochDuration": "10m"}},
        of_kind(world, "WalrusNode"),
        [{"metadata": {"name": "demo-1"}, "status": {"epoch": 1, "startedAt": "2026-01-01T00:00:00Z"}}],
        now=datetime(2026, 1, 1, 0, 7, 30, tzinfo=UTC),
    )
    assert found["epochProgress"] == 0.75
    text = page.render(found, width=140, colour=False)
    assert "=" * 38 + "." * 12 + "  2m30s left" in text


@pytest.mark.parametrize(
    ("progress", "duration", "words"),
    [(1.0, "1h", "0s left"), (0.0, "2h", "2h00m left"), (1.5, "1m", "its end is 30s late"), (-0.1, "1m", "1m06s left")],
)
def test_the_rest_of_an_epoch_in_words(progress: float, duration: str, words: str) -> None:
    bar = page.epoch_bar(progress, duration).plain
    assert bar.endswith("  " + words)
    assert len(bar) == 52 + len(words)


def test_events_of_the_network_newest_first(world: World) -> None:
    def event(number: int, kind: str, name: str) -> Manifest:
        return {
            "metadata": {"name": f"e{number}", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "involvedObject": {"kind": kind, "name": name},
            "lastTimestamp": f"2026-01-01T00:{number:02}:00Z",
            "type": "Warning" if number % 2 else "Normal",
            "reason": "Because",
            "message": f"the {number}th",
        }

    events = [event(number, "WalrusNode", "demo-1") for number in range(1, 10)]
    events += [event(20, "Pod", "demo-3-0"), event(21, "WalrusNetwork", "demo"), event(22, "Pod", "another-0")]
    events += [event(23, "Pod", "demo-gateway-5d-x"), event(24, "Pod", "demo-30-0")]
    found = page.document(world.network, of_kind(world, "WalrusNode"), [], events)
    rows = found["events"]
    assert [row["object"] for row in rows[:4]] == [
        "Pod/demo-gateway-5d-x",
        "WalrusNetwork/demo",
        "Pod/demo-3-0",
        "WalrusNode/demo-1",
    ]
    assert len(rows) == 8
    text = page.render(found, width=140, colour=False)
    assert "2026-01-01T00:09:00Z  WalrusNode/demo-1" in text
    assert "another" not in text


def test_one_page_says_how_committee_chain_storage_budget_and_rollout_stand(world: World) -> None:
    for number in range(10):
        world.progress[f"demo-{number}"] = {"bytes_stored": 3 * 2**20, "capacity": 2**30, "chain_age": 59.9}
    world.progress["demo-7"] |= {"bytes_stored": 2**28, "chain_age": 150.0}
    world.pass_once()
    found = document(world)
    text = " ".join(page.render(found, width=200, colour=False).split())
    assert "Committee 10 nodes hold 100 shards, 10 of them serve; the heaviest is demo-0 with 10" in text
    assert "Storage 283.0 MiB of 10.0 GiB (2.8%) on 10 nodes; the fullest is demo-7 with 25.0%" in text
    assert "Chain devnet chain-one, answers; 9 of 10 nodes follow it, demo-7 is 2 min behind" in text
    assert "0 of the 33 shards that may be away are away" in text
    parts = "nodes 10/10, demo-gateway 1/1, demo-devnet 1/1"
    assert f"Rollout Settling, nothing is to be restarted, and some nodes have not joined or are down ({parts})" in text
    assert "GATE" not in text
    _, writes = world.pass_once()
    assert writes == 0, "the same again is not written again"


def test_which_gate_holds_whom_and_what_opens_it(world: World) -> None:
    world.edit(image="walrus:2", rollout={"mode": "Supervised"})
    world.pass_once()
    text = " ".join(page.render(document(world), width=400, colour=False).split())
    assert (
        "Rollout Held, nothing further may be restarted now (nodes 0/10, demo-gateway 0/1, demo-devnet 0/1); 6 steps"
        in text
    )
    every = ", ".join([*(f"demo-{number}" for number in range(10)), "demo-gateway-0", "demo-devnet-0"])
    assert f"AwaitingApproval {every} spec.rollout.mode is Supervised" in text
    target = world.network["status"]["rollout"]["target"]
    assert "Next walrusctl -n walrus --network demo network plan kubectl -n walrus annotate wnet demo" in text
    assert f"walrus-operator.dev/approved-rollout={target}" in text
    world.edit(rollout={"mode": "Automatic", "paused": True})
    world.pass_once()
    text = page.render(document(world), width=400, colour=False)
    assert """patch wnet demo --type merge -p '{"spec":{"rollout":{"paused":false}}}'""" in text


def test_a_chain_that_does_not_answer_is_said_in_its_row(world: World) -> None:
    world.chain_answers = False
    world.now += 60
    world.pass_once()
    text = " ".join(page.render(document(world), width=200, colour=False).split())
    assert "Chain devnet chain-one: the chain does not answer since" in text


def test_the_page_names_the_program_that_the_user_has_called(world: World) -> None:
    text = page.render(document(world), width=140, colour=False, program="kubectl walrus")
    assert "kubectl walrus -n walrus --network demo blob store FILE" in text


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1024.0 KiB"),
        (5 * 2**60, "5120.0 PiB"),
    ],
)
def test_bytes_for_people(count: int | None, words: str) -> None:
    assert page_rows.size(count) == words
