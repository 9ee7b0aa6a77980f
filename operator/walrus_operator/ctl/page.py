"""The one page of `walrusctl network status`: from raw objects to a document, and from the document to text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from walrus_operator.api.base import seconds
from walrus_operator.api.world import Manifest
from walrus_operator.ctl import page_rows

_RECENT_EPOCHS = 5
_RECENT_EVENTS = 8
_GOOD_UNLESS_FALSE = {"ChallengesPassing"}
_GOOD_WHEN_FALSE = {"Progressing", "Degraded", "RequiresUpdate", "Paused"}


def _conditions(live: Manifest) -> list[Mapping[str, Any]]:
    return list((live.get("status") or {}).get("conditions") or [])


def _condition(live: Manifest, type_: str) -> Mapping[str, Any]:
    return next((entry for entry in _conditions(live) if entry.get("type") == type_), {})


def is_good(entry: Mapping[str, Any]) -> bool:
    """Whether a condition says what one hopes for."""
    if entry.get("type") in _GOOD_UNLESS_FALSE:
        return entry.get("status") != "False"
    wanted = "False" if entry.get("type") in _GOOD_WHEN_FALSE else "True"
    return entry.get("status") == wanted


def _natural(name: str) -> tuple[int, str]:
    return len(name), name


def document(
    network: Manifest,
    nodes: Iterable[Manifest],
    epochs: Iterable[Manifest],
    events: Iterable[Manifest] = (),
    *,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Everything on the page, for -o json and yaml.

    Args:
        network: the object.
        nodes: those of this network.
        epochs: likewise.
        events: of the namespace; those of other things are left out.
        now: what the progress of the epoch is told by; without it none is told.
    """
    nodes, epochs = list(nodes), list(epochs)
    status, spec = network.get("status") or {}, network.get("spec") or {}
    rows = []
    for live in sorted(nodes, key=lambda live: _natural(live["metadata"]["name"])):
        node, ready = live.get("status") or {}, _condition(live, "Ready")
        rows.append(
            {
                "name": live["metadata"]["name"],
                "ready": ready.get("status", "Unknown"),
                "reason": ready.get("reason", ""),
                "message": ready.get("message", "not looked at yet"),
                "inCommittee": _condition(live, "InCommittee").get("status", "Unknown"),
                "weight": node.get("weight"),
                "state": node.get("state"),
                "epoch": node.get("epoch"),
                "sliversStored": node.get("sliversStored"),
                "bytesStored": node.get("bytesStored"),
                "capacity": node.get("capacity"),
                "chainLag": node.get("chainLagSeconds"),
                "challenges": node.get("challenges"),
                "valid": _condition(live, "Valid").get("status", "Unknown"),
                "validMessage": _condition(live, "Valid").get("message", ""),
            }
        )
    recent = sorted((live.get("status") or {} for live in epochs), key=lambda entry: -int(entry.get("epoch", 0)))
    shards = status.get("shards") or {}
    return {
        "name": network["metadata"]["name"],
        "namespace": network["metadata"]["namespace"],
        "ready": _condition(network, "Ready").get("status", "Unknown"),
        "message": _condition(network, "Ready").get("message", "the operator has not looked at this network yet"),
        "epoch": status.get("epoch"),
        "epochState": status.get("epochState"),
        "epochDuration": spec.get("epochDuration"),
        "epochProgress": epoch_progress(status, spec, recent, now),
        "encoding": spec.get("encoding"),
        "chain": {
            "kind": "external" if (spec.get("chain") or {}).get("external") else "devnet",
            "id": status.get("chainId"),
            "networkConfig": status.get("networkConfig"),
        },
        "shards": {
            "total": shards.get("total", spec.get("shards")),
            "available": shards.get("available"),
            "tolerated": shards.get("tolerated"),
        },
        "nodes": rows,
        "nodesReady": (status.get("nodes") or {}).get("display"),
        "gateway": status.get("gateway"),
        "rollout": status.get("rollout"),
        "challenges": status.get("challenges"),
        "conditions": [dict(entry) for entry in _conditions(network)],
        "epochs": [
            {key: entry.get(key) for key in ("epoch", "state", "members", "startedAt", "changeDoneAt", "endedAt")}
            for entry in recent[:_RECENT_EPOCHS]
        ],
        "events": recent_events(
            events, network["metadata"]["name"], [live["metadata"]["name"] for live in (*nodes, *epochs)]
        ),
        "missing": missing(network, rows),
    }


def epoch_progress(
    status: Mapping[str, Any], spec: Mapping[str, Any], epochs: Iterable[Mapping[str, Any]], now: datetime | None
) -> float | None:
    """Share of the current epoch that is over, above 1 when its end is late; None when its begin is not known."""
    begun = next((entry.get("startedAt") for entry in epochs if entry.get("epoch") == status.get("epoch")), None)
    duration = spec.get("epochZeroDuration" if status.get("epoch") == 0 else "epochDuration")
    if begun is None or duration is None or now is None:
        return None
    return (now - datetime.fromisoformat(begun)).total_seconds() / seconds(duration)


def recent_events(events: Iterable[Manifest], network: str, parts: Iterable[str]) -> list[dict[str, Any]]:
    """The newest events about a network and its parts (with pods and volumes, which bear their names), newest first."""
    found = []
    prefixes = tuple(f"{part}-" for part in (*parts, f"{network}-gateway", f"{network}-devnet"))
    for event in events:
        about = event.get("involvedObject") or event.get("regarding") or {}
        name = about.get("name", "")
        if name == network or f"{name}-".startswith(prefixes):
            found.append(
                {
                    "time": event.get("lastTimestamp")
                    or event.get("eventTime")
                    or event["metadata"]["creationTimestamp"],
                    "type": event.get("type", "Normal"),
                    "object": f"{about.get('kind', '')}/{name}",
                    "reason": event.get("reason", ""),
                    "message": event.get("message") or event.get("note") or "",
                }
            )
    return sorted(found, key=lambda entry: str(entry["time"]), reverse=True)[:_RECENT_EVENTS]


def missing(network: Manifest, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What stands between the network and Ready, one line each."""
    lines = [
        f"{entry['type']} is {entry['status']}: {entry.get('message', '')}"
        for entry in _conditions(network)
        if not is_good(entry)
    ]
    for row in rows:
        if row["valid"] == "False":
            lines.append(f"{row['name']}: {row['validMessage']}")
        elif row["ready"] != "True":
            lines.append(f"{row['name']}: {row['message']}")
    return lines


def budget_bar(shards: Mapping[str, Any], *, width: int = 50) -> Text:
    """Available shards, those that are away, and the line that must not be crossed."""
    total, available, tolerated = shards.get("total"), shards.get("available"), shards.get("tolerated")
    if not total or available is None or tolerated is None:
        return Text("not known yet", style="dim")
    filled = round(width * available / total)
    needed = round(width * (total - tolerated) / total)
    enough = available >= total - tolerated
    bar = Text()
    for cell in range(width):
        if cell == needed:
            bar.append("|", style="bold")
        bar.append("#" if cell < filled else ".", style=("green" if enough else "red") if cell < filled else "dim")
    bar.append(f"  {available}/{total}, at least {total - tolerated} needed to store")
    return bar


def epoch_bar(progress: float | None, duration: str | None, *, width: int = 50) -> Text:
    """How much of the epoch is over, and what is left of it."""
    if progress is None or duration is None:
        return Text("not known yet", style="dim")
    filled = round(width * min(1.0, max(0.0, progress)))
    bar = Text()
    bar.append("=" * filled, style="cyan")
    bar.append("." * (width - filled), style="dim")
    left = round((1 - progress) * seconds(duration))
    if left < 0:
        bar.append(f"  its end is {_span(-left)} late", style="yellow" if -left * 10 > seconds(duration) else "")
    else:
        bar.append(f"  {_span(left)} left")
    return bar


def _span(count: int) -> str:
    hours, minutes, rest = count // 3600, count // 60 % 60, count % 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def render(page: Mapping[str, Any], *, width: int, colour: bool, program: str = "walrusctl") -> str:
    """The page as text, with commands for the program as the user calls it."""
    console = Console(width=width, force_terminal=colour, no_color=not colour, highlight=False)
    with console.capture() as capture:
        console.print(Group(*_parts(page, program)))
    return capture.get().rstrip("\n")


def _parts(page: Mapping[str, Any], program: str) -> Iterable[RenderableType]:
    good = page["ready"] == "True"
    head = Text()
    head.append(f"Walrus network {page['name']}", style="bold")
    head.append(f" in namespace {page['namespace']}: ")
    head.append("Ready" if good else "not Ready", style="bold green" if good else "bold red")
    head.append(f", {page['message']}")
    yield head
    yield Text()
    yield _facts(page)
    if page["rollout"] and page["rollout"].get("holds"):
        yield Text()
        yield _hold_table(page["rollout"]["holds"])
    yield Text()
    yield _condition_table(page["conditions"])
    yield Text()
    yield _node_table(page["nodes"])
    if page["epochs"]:
        yield Text()
        yield _epoch_table(page["epochs"])
    if page["events"]:
        yield Text()
        yield _event_table(page["events"])
    if page["missing"]:
        yield Text()
        yield Text("What is missing", style="bold")
        for line in page["missing"]:
            yield Text(f"  {line}")
    yield Text()
    yield Text("Next", style="bold")
    for line in page_rows.next_steps(page, program):
        yield Text(f"  {line}")


def _facts(page: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    epoch = "-" if page["epoch"] is None else f"{page['epoch']} ({page['epochState']}), each {page['epochDuration']}"
    gateway = page["gateway"] or {}
    table.add_row("Epoch", epoch)
    table.add_row("", epoch_bar(page["epochProgress"], page["epochDuration"]))
    table.add_row("Shards", budget_bar(page["shards"]))
    table.add_row("", page_rows.budget(page))
    table.add_row("Committee", page_rows.committee(page))
    table.add_row("Nodes", f"{page['nodesReady'] or '-'} ready")
    table.add_row("Rollout", page_rows.rollout(page))
    table.add_row("Storage", page_rows.storage(page))
    table.add_row("Encoding", str(page["encoding"]))
    table.add_row("Chain", page_rows.chain(page))
    table.add_row("Challenges", page_rows.challenges(page))
    table.add_row("Gateway", f"{gateway.get('ready', 0)} ready, {gateway.get('url', 'none')}")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def _hold_table(holds: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("GATE", "HOLDS", "WHY")
    for hold in holds:
        held = ", ".join((*(hold.get("nodes") or ()), *(hold.get("pods") or ())))
        table.add_row(_text(hold.get("gate")), held, _text(hold.get("message")))
    return table


def _condition_table(entries: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE")
    for entry in entries:
        style = "green" if is_good(entry) else "yellow"
        table.add_row(
            _text(entry.get("type")),
            Text(_text(entry.get("status")), style=style),
            _text(entry.get("reason")),
            _text(entry.get("lastTransitionTime")),
            _text(entry.get("message")),
        )
    return table


def _node_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("NODE", "READY", "WEIGHT", "STATE", "EPOCH", "SLIVERS", "STORED", "MESSAGE")
    for row in rows:
        table.add_row(
            row["name"],
            Text(row["ready"], style="green" if row["ready"] == "True" else "yellow"),
            _text(row["weight"]),
            _text(row["state"]),
            _text(row["epoch"]),
            _text(row["sliversStored"]),
            page_rows.size(row["bytesStored"]),
            "" if row["ready"] == "True" else row["message"],
        )
    return table


def _epoch_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("EPOCH", "STATE", "MEMBERS", "STARTED", "CHANGE DONE", "ENDED")
    for row in rows:
        keys = ("epoch", "state", "members", "startedAt", "changeDoneAt", "endedAt")
        table.add_row(*(_text(row[key]) for key in keys))
    return table


def _event_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("EVENT", "ABOUT", "REASON", "MESSAGE")
    for row in rows:
        style = "yellow" if row["type"] != "Normal" else ""
        table.add_row(_text(row["time"]), row["object"], Text(row["reason"], style=style), row["message"])
    return table
