"""Every gate, event and metric of the operator is told of where users look it up; reasons are in test_api."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from walrus_operator.api.conditions import TABLE, ConditionType, Kind, Reason
from walrus_operator.plan import departures, gates, part_gates, parts, rollout, rollout_gates, rollout_status
from walrus_sui.telemetry import names

DOCS = Path(__file__).resolve().parents[3] / "docs"


def reasons_of(module: object) -> set[Reason]:
    """Reasons that the gates of a module give: `Hold(Reason.X, ...)`."""
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Hold"]
    written = [ast.unparse(call.args[0]) for call in calls]
    return {Reason[name.removeprefix("Reason.")] for name in written if name.startswith("Reason.")}


ROLLOUT_GATES = reasons_of(gates) | reasons_of(rollout_gates) | reasons_of(part_gates) | reasons_of(rollout)


def test_the_gates_are_found() -> None:
    every = {*rollout_gates.BEFORE_ROLL, *part_gates.BEFORE_GATEWAY, *part_gates.BEFORE_DEVNET}
    assert len(every) > 20
    assert len(ROLLOUT_GATES) >= 16
    assert {Reason.FAULT_BUDGET_EXCEEDED, Reason.MEMBERS_DOWN, Reason.EXPECTATION_PENDING} <= ROLLOUT_GATES


@pytest.mark.parametrize("reason", sorted(ROLLOUT_GATES))
def test_a_gate_can_be_said_and_is_looked_up_in_all_places(reason: Reason) -> None:
    rows = [
        row for row in TABLE if (row.kind, row.type, row.reason) == (Kind.NETWORK, ConditionType.PROGRESSING, reason)
    ]
    assert len(rows) == 1, "a pass that meets this gate would fail"
    assert rows[0].remedy, "the user must know what opens it"
    page = (DOCS / "reference" / "conditions.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `Progressing` \| \w+ \| `{reason}` \|", page, re.MULTILINE)
    guide = (DOCS / "rollouts.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| [^|]*`{reason}`", guide, re.MULTILINE), "docs/rollouts.md lacks its row"


@pytest.mark.parametrize("reason", sorted(reasons_of(departures) | reasons_of(gates)))
def test_what_holds_a_node_that_leaves_can_be_said(reason: Reason) -> None:
    given = {row.reason for row in TABLE if (row.kind, row.type) == (Kind.NODE, ConditionType.DELETION_BLOCKED)}
    removal = {Reason.SHARD_TRANSFER_TARGET, Reason.NODE_RECOVERING}  # asked before restarts only
    assert reason in given | removal


def test_every_metric_has_its_row() -> None:
    ours = {value for name, value in vars(names).items() if name.startswith("OPERATOR_")}
    assert len(ours) >= 9
    page = (DOCS / "reference" / "telemetry.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \|.*\| ([^|]+) \|$", page, re.MULTILINE))
    assert ours <= set(rows)
    assert all(rows[name].strip().endswith(".") for name in ours)


def test_every_event_of_a_rollout_is_told_of() -> None:
    told = set()
    for module in (parts, rollout, rollout_status):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        calls = [
            node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "EventNote"
        ]
        told |= {str(ast.literal_eval(call.args[1])) for call in calls}
    assert told == {"Restarting", "RolloutStarted", "RolloutDone", "RolloutStuck"}
    guide = (DOCS / "rollouts.md").read_text(encoding="utf-8")
    assert all(f"`{reason}`" in guide for reason in told)
