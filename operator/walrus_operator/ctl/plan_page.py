"""The page of `walrusctl network plan`: from the WalrusNetwork alone to a document, and from that to text. Pure.

The operator writes the plan into the status at each pass, whether or not anything may move; nothing is decided in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from walrus_operator.api.world import Manifest
from walrus_operator.ctl.page_rows import ROLLOUT_SAYS

_STYLE = {"Complete": "green", "Settling": "yellow", "Rolling": "yellow", "Held": "red"}


def document(network: Manifest) -> dict[str, Any]:
    """Everything on the page, for -o json and yaml."""
    status = network.get("status") or {}
    rollout = status.get("rollout") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or []}
    update = conditions.get("RequiresUpdate", {})
    stuck = conditions.get("Degraded", {})
    return {
        "name": network["metadata"]["name"],
        "namespace": network["metadata"]["namespace"],
        "upToDate": status.get("observedGeneration") == network["metadata"].get("generation"),
        "epoch": status.get("epoch"),
        "requiresUpdate": update.get("message") if update.get("status") == "True" else None,
        "stuck": stuck.get("message") if stuck.get("reason") == "PreviousNodeNotRejoined" else None,
        **{
            key: rollout.get(key)
            for key in ("state", "target", "display", "updated", "outdated", "budget", "endsInEpoch")
        },
        **{key: list(rollout.get(key) or ()) for key in ("plan", "holds", "returning", "versions", "parts")},
    }


def render(page: Mapping[str, Any], *, width: int, colour: bool) -> str:
    """The page as text."""
    console = Console(width=width, force_terminal=colour, no_color=not colour, highlight=False)
    with console.capture() as capture:
        console.print(Group(*_parts(page)))
    return capture.get().rstrip("\n")


def _parts(page: Mapping[str, Any]) -> Iterable[RenderableType]:
    head = Text()
    head.append(f"Rollout of {page['name']}", style="bold")
    head.append(f" in namespace {page['namespace']}: ")
    state = page["state"]
    if state is None:
        head.append("not looked at yet: the operator writes the plan with its next pass")
        yield head
        return
    head.append(str(state), style=_STYLE.get(state, ""))
    head.append(f", {ROLLOUT_SAYS.get(state, '')} ({page['display']})")
    yield head
    if not page["upToDate"]:
        yield Text("The operator has not seen the newest spec yet; look again in a few seconds.", style="yellow")
    if page["stuck"]:
        yield Text(f"Stuck: {page['stuck']}", style="red")
    if page["requiresUpdate"]:
        yield Text(f"Not part of it: {page['requiresUpdate']}", style="yellow")
    yield Text()
    yield _facts(page)
    if page["plan"]:
        yield Text()
        yield _steps(page["plan"])
    if page["holds"]:
        yield Text()
        yield _holds(page["holds"])
    yield Text()
    yield _versions(page["versions"])
    if page["parts"]:
        yield Text()
        yield _part_table(page["parts"])


def _facts(page: Mapping[str, Any]) -> Table:
    table, budget = Table.grid(padding=(0, 2)), page["budget"] or {}
    reserve = f", {budget.get('reserve')} more are kept in reserve" if budget.get("reserve") else ""
    table.add_row("Target", str(page["target"]))
    table.add_row(
        "Budget", f"{budget.get('unavailable')} of {budget.get('allowed')} shards are unavailable now{reserve}"
    )
    if page["endsInEpoch"] is not None:
        table.add_row("Ends", f"in epoch {page['endsInEpoch']} (now {page['epoch']}), if every gate opens in its time")
    if page["returning"]:
        table.add_row("Returning", ", ".join(page["returning"]))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _steps(plan: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("STEP", "SHARDS", "RESTARTS")
    for number, step in enumerate(plan, 1):
        table.add_row(str(number), str(step.get("shards")), _both(step))
    return table


def _holds(holds: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("GATE", "HOLDS", "WHY")
    for hold in holds:
        table.add_row(str(hold.get("gate")), _both(hold), str(hold.get("message")))
    return table


def _versions(versions: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("NODES", "VERSION", "IMAGE")
    for entry in versions:
        table.add_row(str(entry.get("nodes")), str(entry.get("version") or "-"), str(entry.get("image")))
    return table


def _both(entry: Mapping[str, Any]) -> str:
    """Nodes, and pods of gateway and devnet."""
    return ", ".join((*(entry.get("nodes") or ()), *(entry.get("pods") or ())))


def _part_table(parts: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("PART", "UPDATED", "IMAGE")
    for part in parts:
        table.add_row(str(part.get("name")), str(part.get("display")), ", ".join(part.get("images") or ()))
    return table
