"""The one page of `walrusctl network status`: from raw objects to a document, and from the document to text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from walrus_operator.api.world import Manifest

_RECENT_EPOCHS = 5
_GOOD_WHEN_FALSE = {"Progressing", "Degraded", "RequiresUpdate", "Paused"}


def _conditions(live: Manifest) -> list[Mapping[str, Any]]:
    return list((live.get("status") or {}).get("conditions") or [])


def _condition(live: Manifest, type_: str) -> Mapping[str, Any]:
    return next((entry for entry in _conditions(live) if entry.get("type") == type_), {})


def is_good(entry: Mapping[str, Any]) -> bool:
    """Whether a condition says what one hopes for."""
    wanted = "False" if entry.get("type") in _GOOD_WHEN_FALSE else "True"
    return entry.get("status") == wanted


def _natural(name: str) -> tuple[int, str]:
    return len(name), name


def document(network: Manifest, nodes: Iterable[Manifest], epochs: Iterable[Manifest]) -> dict[str, Any]:
    """Everything on the page, for -o json and yaml."""
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
        "conditions": [dict(entry) for entry in _conditions(network)],
        "epochs": [
            {key: entry.get(key) for key in ("epoch", "state", "members", "startedAt", "changeDoneAt", "endedAt")}
            for entry in recent[:_RECENT_EPOCHS]
        ],
        "missing": missing(network, rows),
    }


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


def render(page: Mapping[str, Any], *, width: int, colour: bool) -> str:
    """The page as text."""
    console = Console(width=width, force_terminal=colour, no_color=not colour, highlight=False)
    with console.capture() as capture:
        console.print(Group(*_parts(page)))
    return capture.get().rstrip("\n")


def _parts(page: Mapping[str, Any]) -> Iterable[RenderableType]:
    good = page["ready"] == "True"
    head = Text()
    head.append(f"Walrus network {page['name']}", style="bold")
    head.append(f" in namespace {page['namespace']}: ")
    head.append("Ready" if good else "not Ready", style="bold green" if good else "bold red")
    head.append(f", {page['message']}")
    yield head
    yield Text()
    yield _facts(page)
    yield Text()
    yield _condition_table(page["conditions"])
    yield Text()
    yield _node_table(page["nodes"])
    if page["epochs"]:
        yield Text()
        yield _epoch_table(page["epochs"])
    if page["missing"]:
        yield Text()
        yield Text("What is missing", style="bold")
        for line in page["missing"]:
            yield Text(f"  {line}")
    yield Text()
    yield Text("Next", style="bold")
    for line in next_steps(page):
        yield Text(f"  {line}")


def _facts(page: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    epoch = "-" if page["epoch"] is None else f"{page['epoch']} ({page['epochState']}), each {page['epochDuration']}"
    chain = page["chain"]
    gateway = page["gateway"] or {}
    table.add_row("Epoch", epoch)
    table.add_row("Shards", budget_bar(page["shards"]))
    table.add_row("Nodes", f"{page['nodesReady'] or '-'} ready")
    table.add_row("Encoding", str(page["encoding"]))
    table.add_row("Chain", f"{chain['kind']} {chain['id'] or '(not seen yet)'}")
    table.add_row("Gateway", f"{gateway.get('ready', 0)} ready, {gateway.get('url', 'none')}")
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


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
    table = _table("NODE", "READY", "WEIGHT", "STATE", "EPOCH", "SLIVERS", "MESSAGE")
    for row in rows:
        table.add_row(
            row["name"],
            Text(row["ready"], style="green" if row["ready"] == "True" else "yellow"),
            _text(row["weight"]),
            _text(row["state"]),
            _text(row["epoch"]),
            _text(row["sliversStored"]),
            "" if row["ready"] == "True" else row["message"],
        )
    return table


def _epoch_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("EPOCH", "STATE", "MEMBERS", "STARTED", "CHANGE DONE", "ENDED")
    for row in rows:
        keys = ("epoch", "state", "members", "startedAt", "changeDoneAt", "endedAt")
        table.add_row(*(_text(row[key]) for key in keys))
    return table


def next_steps(page: Mapping[str, Any]) -> list[str]:
    """Commands that make sense now."""
    where = f"-n {page['namespace']}"
    ctl = f"walrusctl {where} --network {page['name']}"
    if page["ready"] == "True":
        return [f"{ctl} blob store FILE", f"{ctl} blob read BLOB_ID --out FILE", f"kubectl {where} get wnet,wn,se"]
    return [
        f"kubectl {where} describe wnet {page['name']}",
        f"kubectl {where} get pods,events",
        f"kubectl {where} wait --for=condition=Ready wnet/{page['name']} --timeout=10m",
    ]
