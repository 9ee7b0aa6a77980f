"""Rows of the status page that take some arithmetic: committee, chain, storage, rollout, and what to do next. Pure.

Each is made from the document of `page`, which is what `-o json` prints, so that scripts and people read the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from walrus_operator.api.markers import APPROVED_ANNOTATION

ROLLOUT_SAYS = {
    "Complete": "everything runs what the spec asks for",
    "Settling": "nothing is to be restarted, and some nodes have not joined or are down",
    "Rolling": "pods are being restarted",
    "Held": "nothing further may be restarted now",
}
"""What the states of a rollout mean."""
_SILENT = {"ChainUnreachable", "ChainStarting", "ChainChanged"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int | None) -> str:
    """Bytes for people."""
    if count is None:
        return "-"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def committee(page: Mapping[str, Any]) -> str:
    """Members and shards of the current epoch, and how many of the members are ours and serve."""
    seated = [row for row in page["nodes"] if row["weight"]]
    if not seated:
        return "none yet"
    held = sum(row["weight"] for row in seated)
    heaviest = max(seated, key=lambda row: row["weight"])
    serving = sum(1 for row in seated if row["ready"] == "True")
    return (
        f"{len(seated)} nodes hold {held} shards, {serving} of them serve; the heaviest is {heaviest['name']} "
        f"with {heaviest['weight']}"
    )


def chain(page: Mapping[str, Any]) -> str:
    """Which chain, whether it answers the operator, and how far nodes are behind."""
    known = page["chain"]
    words = f"{known['kind']} {known['id'] or '(not seen yet)'}"
    silent = next((entry for entry in page["conditions"] if entry.get("reason") in _SILENT), None)
    if silent is not None:
        return f"{words}: {silent.get('message')}"
    if page["epoch"] is None:
        return words
    told = [row for row in page["nodes"] if row["chainLag"] is not None]
    behind = [row for row in told if row["chainLag"]]
    if not told:
        return f"{words}, answers"
    if not behind:
        return f"{words}, answers; all nodes follow it"
    last = max(behind, key=lambda row: row["chainLag"])
    return (
        f"{words}, answers; {len(told) - len(behind)} of {len(told)} nodes follow it, {last['name']} is "
        f"{last['chainLag'] // 60} min behind"
    )


def storage(page: Mapping[str, Any]) -> str:
    """What all nodes have stored of what they offer."""
    told = [row for row in page["nodes"] if row["bytesStored"] is not None and row["capacity"]]
    if not told:
        return "not known yet"
    stored, offered = sum(row["bytesStored"] for row in told), sum(row["capacity"] for row in told)
    fullest = max(told, key=lambda row: row["bytesStored"] / row["capacity"])
    share = fullest["bytesStored"] / fullest["capacity"]
    return (
        f"{size(stored)} of {size(offered)} ({stored / offered:.1%}) on {len(told)} nodes; the fullest is "
        f"{fullest['name']} with {share:.1%}"
    )


def budget(page: Mapping[str, Any]) -> str:
    """What of the fault budget is used up, in shards."""
    found = (page["rollout"] or {}).get("budget")
    if not found:
        return ""
    reserve = f"; {found['reserve']} more are kept in reserve" if found.get("reserve") else ""
    return f"{found['unavailable']} of the {found['allowed']} shards that may be away are away{reserve}"


def rollout(page: Mapping[str, Any]) -> str:
    """How the rollout stands, in a line."""
    found = page["rollout"]
    if not found:
        return "not looked at yet"
    parts = [f"{part['name']} {part['display']}" for part in found.get("parts") or ()]
    counts = ", ".join([f"nodes {found['display']}", *parts])
    ends = found.get("endsInEpoch")
    end = f"; {len(found.get('plan') or ())} steps, ends in epoch {ends}" if ends is not None else ""
    return f"{found['state']}, {ROLLOUT_SAYS.get(found['state'], '')} ({counts}){end}"


def next_steps(page: Mapping[str, Any], program: str) -> Sequence[str]:
    """Commands that make sense now, the most needed first; `program` is how the user calls walrusctl."""
    where = f"-n {page['namespace']}"
    ctl = f"{program} {where} --network {page['name']}"
    found = page["rollout"] or {}
    gates = {hold["gate"] for hold in found.get("holds") or ()}
    steps = []
    if found.get("state") in {"Rolling", "Held"}:
        steps.append(f"{ctl} network plan")
    if "AwaitingApproval" in gates:
        annotation = f"{APPROVED_ANNOTATION}={found['target']}"
        steps.append(f"kubectl {where} annotate wnet {page['name']} --overwrite {annotation}")
    if "RolloutPaused" in gates:
        patch = '{"spec":{"rollout":{"paused":false}}}'
        steps.append(f"kubectl {where} patch wnet {page['name']} --type merge -p '{patch}'")
    if (page["challenges"] or {}).get("failing"):
        steps.append(f"{ctl} challenges")
    if any(entry.get("reason") == "ReconcilePaused" and entry.get("type") == "Paused" for entry in page["conditions"]):
        steps.append(f"kubectl {where} annotate wnet {page['name']} walrus-operator.dev/reconcile-")
    if page["ready"] == "True":
        return [
            *steps,
            f"{ctl} blob store FILE",
            f"{ctl} blob read BLOB_ID --out FILE",
            f"kubectl {where} get wnet,wn,se",
        ]
    return [
        *steps,
        f"kubectl {where} describe wnet {page['name']}",
        f"kubectl {where} get pods,events",
        f"kubectl {where} wait --for=condition=Ready wnet/{page['name']} --timeout=10m",
    ]


def challenges(page: Mapping[str, Any]) -> Text:
    """What challenges have found out."""
    found = page["challenges"]
    if not found:
        return Text("off", style="dim")
    line = Text(f"{found.get('mode')}, ")
    if found.get("epoch") is None:
        return line.append("no verdicts yet", style="dim")
    if found.get("display") == "-":
        line.append(f"nothing to ask for in epoch {found.get('epoch')}", style="dim")
    else:
        line.append(f"{found.get('display')} passed in epoch {found.get('epoch')}")
    for word, style in (("failing", "bold red"), ("slashed", "bold red"), ("silent", "yellow")):
        if found.get(word):
            line.append(f"; {word}: {', '.join(found[word])}", style=style)
    return line
