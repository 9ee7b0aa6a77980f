"""The status page: what it says of a network that serves, one that does not, and one that nobody has looked at."""

from __future__ import annotations

import json

import pytest
from tests.unit.operator.support import World, network_manifest

from walrus_operator.api.world import Manifest, ObjectKey
from walrus_operator.ctl import page, plan_page


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
    assert (
        "Rollout of demo in namespace walrus: Held, nodes are still to be restarted, and none may be now (0/10)" in text
    )
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
