"""What the end-to-end run has recorded for the documentation looks like what the code prints today."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e import recording
from tests.unit.operator.support import World

from walrus_operator.api.schema import ALL
from walrus_operator.ctl import page, plan_page

NAMES = ("kubectl-get", "network-plan", "network-status")


def recorded(name: str) -> list[str]:
    return (recording.FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def shape(lines: list[str]) -> list[str]:
    """Headings of tables, and the labels of rows before the first of them."""
    heads = [" ".join(line.split()) for line in lines if re.fullmatch(r"[A-Z]{3,}( +[A-Z]+)+", line.strip())]
    labels = [found[1] for line in lines if (found := re.match(r"([A-Z][a-z]+)  +\S", line))]
    return [*labels, *heads]


@pytest.fixture(scope="module")
def world() -> World:
    ready = World()
    ready.bring_up()
    return ready


def test_all_of_them_are_there_and_a_page_leads_to_each() -> None:
    assert sorted(path.name for path in recording.FOLDER.iterdir()) == sorted(f"{name}.txt" for name in NAMES)
    pages = "\n".join(path.read_text(encoding="utf-8") for path in recording.FOLDER.parent.glob("*.md"))
    for name in NAMES:
        assert f"(recorded/{name}.txt)" in pages
        assert recorded(name)[0].startswith("$ kubectl ")
        assert recording.normalised("\n".join(recorded(name))) == "\n".join(recorded(name)) + "\n"


def test_the_status_page(world: World) -> None:
    objects = {
        kind: [live for key, live in world.objects.items() if key.kind == kind]
        for kind in ("WalrusNode", "StorageEpoch")
    }
    event = {
        "metadata": {},
        "involvedObject": {"kind": "WalrusNetwork", "name": "demo"},
        "lastTimestamp": "2026",
        "reason": "R",
    }
    now = datetime.now(UTC)
    found = page.document(world.network, objects["WalrusNode"], objects["StorageEpoch"], [event], now=now)
    printed = page.render(found, width=140, colour=False).splitlines()
    assert shape(recorded("network-status")) == shape(printed)


def test_the_plan(world: World) -> None:
    world.edit(image="walrus:2", rollout={"paused": True})
    world.pass_once()
    printed = plan_page.render(plan_page.document(world.network), width=140, colour=False).splitlines()
    assert shape(recorded("network-plan")) == shape(printed)


def test_what_kubectl_lists() -> None:
    heads = [line.split() for line in recorded("kubectl-get") if line.startswith("NAME ")]
    shown = {crd.kind: [column.name.upper() for column in crd.columns if not column.priority] for crd in ALL}
    assert heads == [["NAME", *shown[kind]] for kind in ("WalrusNetwork", "WalrusNode", "StorageEpoch")]


def test_what_differs_from_run_to_run_is_taken_out_and_columns_stay(tmp_path: Path) -> None:
    raw = (
        "Target  71e6152c39\n"
        "Chain      devnet 9fXq3w1a, answers   \n"
        "10     0.1.0    walrus-on-kubernetes:0.1.0-aa0dd5694171\n"
        "walrusnetwork.walrus-operator.dev/net   True   3m12s\n"
        "2026-11-25T22:14:09Z  Pod/x\n"
        "Epoch       3 (Done), each 1m   \n"
        "exceed-budget-once=12345678-1234-1234-1234-123456789abc\n"
    )
    recording.write("x", ("kubectl", "get", "a b"), raw, folder=tmp_path / "new")
    assert (tmp_path / "new" / "x.txt").read_text() == (
        "$ kubectl get 'a b'\n"
        "Target  0123456789\n"
        "Chain      devnet 4c78adac, answers\n"
        "10     0.1.0    walrus-on-kubernetes:0.1.0\n"
        "walrusnetwork.walrus-operator.dev/net   True   5m\n"
        "2026-01-01T00:00:00Z  Pod/x\n"
        "Epoch       3 (Done), each 1m\n"
        "exceed-budget-once=00000000-0000-0000-0000-000000000000\n"
    )
