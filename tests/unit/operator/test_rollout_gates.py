"""Each gate of rollouts alone: when it holds, when it opens, what it says. Then windows, and the epoch of the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.operator.chain_world import START, network_manifest
from tests.unit.operator.support import World

from walrus_codec.types import NodeId, ShardIndex
from walrus_operator.api.chain_view import ChainView, EpochPhase, Seat
from walrus_operator.api.conditions import Reason
from walrus_operator.api.network import MaintenanceWindow
from walrus_operator.api.world import NodeInfo
from walrus_operator.plan import estimate, gates, windows
from walrus_operator.plan import rollout_gates as rolls
from walrus_operator.plan.rollout_gates import Roll

DAY = 86_400.0
TUESDAY = START - START % DAY
"""START is Tuesday, 2023-11-14, 22:13:20 in UTC."""


@pytest.fixture
def chain() -> ChainView:
    """Epoch 2 of ten minutes, begun at START."""
    view = World(network=network_manifest(shards=10), epoch=2, phase=EpochPhase.DONE).chain().value
    assert view is not None
    return view


@pytest.fixture
def facts(chain: ChainView) -> gates.Facts:
    seats = {name: Seat(NodeId(name), name, (ShardIndex(index),)) for index, name in enumerate("abc")}
    infos = {
        name: NodeInfo(node_id=None, epoch=2, status="Active", shards={seat.shards[0]: "Active"})
        for name, seat in seats.items()
    }
    return gates.Facts(
        chain=chain, fresh=True, seats=seats, previous=seats, following={}, infos=infos, serving=frozenset("abc")
    )


ROLL = Roll(now=START, opens=START, proven=frozenset("abc"))


def test_nothing_holds_a_healthy_network(facts: gates.Facts) -> None:
    assert rolls.first(rolls.BEFORE_ROLL, facts, ROLL, "a", ()) is None
    assert rolls.first(rolls.BEFORE_REPAIR, facts, ROLL, "a", ()) is None


@pytest.mark.parametrize(
    ("gate", "change", "reason", "words"),
    [
        (rolls.rollout_paused, {"paused": True}, Reason.ROLLOUT_PAUSED, "take it away"),
        (
            rolls.awaiting_approval,
            {"approved": False, "network": "demo", "target": "abc123"},
            Reason.AWAITING_APPROVAL,
            "`kubectl annotate wnet demo --overwrite walrus-operator.dev/approved-rollout=abc123",
        ),
        (
            rolls.outside_maintenance_window,
            {"opens": START + 0.5},
            Reason.OUTSIDE_MAINTENANCE_WINDOW,
            "opens at 2023-11-14T22:13:20Z",
        ),
        (
            rolls.expectation_pending,
            {"expected": {"pod b-0": "it was deleted"}},
            Reason.EXPECTATION_PENDING,
            "pod b-0: it was deleted",
        ),
        (
            rolls.previous_node_not_rejoined,
            {"returning": {"b": "it reports Standby", "c": "no"}},
            Reason.PREVIOUS_NODE_NOT_REJOINED,
            "b runs what the spec asks for and has not rejoined: it reports Standby (1 more likewise)",
        ),
        (
            rolls.previous_node_not_started,
            {"returning": {"b": "its pod is Pending"}, "starting": frozenset("b")},
            Reason.PREVIOUS_NODE_NOT_REJOINED,
            "b was started anew and is not up yet: its pod is Pending",
        ),
    ],
)
def test_what_the_rollout_says(
    facts: gates.Facts, gate: rolls.RollGate, change: dict[str, object], reason: Reason, words: str
) -> None:
    assert gate(facts, ROLL, "a", ()) is None
    held = gate(facts, replace(ROLL, **change), "a", ())  # type: ignore[arg-type]  # fields by name
    assert held is not None
    assert held.reason is reason
    assert words in held.message


def test_who_has_not_rejoined_does_not_hold_itself(facts: gates.Facts) -> None:
    back = replace(ROLL, returning={"a": "its pod is Pending"}, starting=frozenset("a"))
    assert rolls.previous_node_not_rejoined(facts, back, "a", ()) is None
    assert rolls.previous_node_not_started(facts, back, "a", ()) is None
    recovering = replace(ROLL, returning={"b": "it recovers"})
    assert rolls.previous_node_not_started(facts, recovering, "a", ()) is None, "it is up, which is enough for repair"


def test_the_first_of_a_kind_goes_alone(facts: gates.Facts) -> None:
    new = replace(ROLL, proven=frozenset("b"))
    for gate in (rolls.previous_node_not_rejoined, rolls.previous_node_not_started):
        assert gate(facts, new, "a", ()) is None
        assert gate(facts, new, "a", ("c",)) is not None
        assert gate(facts, new, "b", ("c",)) is None


@pytest.mark.parametrize(
    ("before_end", "holds"), [(600.0, False), (30.1, False), (29.9, True), (-149.9, True), (-150.1, False)]
)
def test_epoch_too_short_for_batch(facts: gates.Facts, before_end: float, holds: bool) -> None:
    roll = replace(ROLL, now=START + 600 - before_end)
    assert (rolls.epoch_too_short_for_batch(facts, roll, "a", ()) is not None) == holds


def test_short_epochs_have_room_for_restarts_too(facts: gates.Facts, chain: ChainView) -> None:
    short = replace(facts, chain=replace(chain, epoch_duration_ms=40_000))
    assert rolls.epoch_too_short_for_batch(short, replace(ROLL, now=START + 29.9), "a", ()) is None
    assert rolls.epoch_too_short_for_batch(short, replace(ROLL, now=START + 30.1), "a", ()) is not None


def test_node_unreachable(facts: gates.Facts) -> None:
    assert rolls.node_unreachable(facts, ROLL, "a", ()) is None
    held = rolls.node_unreachable(replace(facts, infos={}), replace(ROLL, silent={"a": "HTTP 500"}), "a", ())
    assert held is not None
    assert held.message.startswith("a does not answer: HTTP 500; ")


def test_failure_domain_busy(facts: gates.Facts) -> None:
    racks = replace(ROLL, domains={"a": "r1", "b": "r1", "c": "r2"})
    assert rolls.failure_domain_busy(facts, racks, "b", ("a",)) is None
    assert rolls.failure_domain_busy(facts, racks, "c", ()) is None
    held = rolls.failure_domain_busy(facts, racks, "c", ("a",))
    assert held is not None
    assert held.message == "a of failure domain r1 is restarted now: r2 follows"
    assert rolls.failure_domain_busy(facts, ROLL, "c", ("a",)) is None, "nobody knows of domains"


def test_gates_are_switched_off_by_name_but_for_the_stale_chain(facts: gates.Facts) -> None:
    paused = replace(ROLL, paused=True)
    off = replace(facts, off=frozenset({"RolloutPaused", "ChainMirrorStale"}))
    assert rolls.first(rolls.BEFORE_ROLL, off, paused, "a", ()) is None
    assert rolls.first(rolls.BEFORE_ROLL, replace(off, fresh=False), paused, "a", ()) is not None


def window(start: str, duration: str, *days: str) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate({"start": start, "duration": duration, "days": list(days) or None})


@pytest.mark.parametrize(
    ("found", "now", "opens"),
    [
        ([], 5.0, 5.0),
        ([window("22:00", "4h")], TUESDAY + 21 * 3600, TUESDAY + 22 * 3600),
        ([window("22:00", "4h")], TUESDAY + 23 * 3600, TUESDAY + 23 * 3600),
        ([window("22:00", "4h")], TUESDAY + 2 * 3600 - 1, TUESDAY + 2 * 3600 - 1),  # since yesterday
        ([window("22:00", "4h")], TUESDAY + 2 * 3600, TUESDAY + 22 * 3600),  # over at this very second
        ([window("01:00", "1h", "Mon")], TUESDAY, TUESDAY + 6 * DAY + 3600),
        ([window("01:00", "1h", "Tue")], TUESDAY + 2 * 3600, TUESDAY + 7 * DAY + 3600),
        ([window("23:00", "24h", "Sun"), window("03:00", "1h", "Wed")], TUESDAY, TUESDAY + DAY + 3 * 3600),
    ],
)
def test_windows(found: list[MaintenanceWindow], now: float, opens: float) -> None:
    assert windows.next_opening(found, now) == opens


def test_the_epoch_of_the_end(chain: ChainView) -> None:
    assert estimate.ends_in_epoch(chain, 0, now=START) is None
    assert estimate.ends_in_epoch(chain, 1, now=START) == 2
    assert estimate.ends_in_epoch(chain, 1, now=START + 580) == 3, "too late for one in this epoch"
    assert estimate.ends_in_epoch(chain, 21, now=START) == 3
    nightly = [window("03:00", "1h")]
    assert estimate.ends_in_epoch(chain, 1, now=START, allowed=nightly) == 2 + int((TUESDAY + 27 * 3600 - START) // 600)
