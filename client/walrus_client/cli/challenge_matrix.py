"""Who found what of whom: an epoch's verdicts as a document, and the document as text. Pure.

The text has one row for each challenger and one column for each challenged member, in the order of the committee:

    .  PASS     F  FAIL     E  EXCUSED     -  NONE     ?  no report     !  two different reports, neither counts
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from walrus_client.challenges.reports import Reports
from walrus_client.challenges.verdicts import PROVED, Verdict
from walrus_codec.types import Epoch, NodeId

_SIGNS = {Verdict.PASS: ".", Verdict.FAIL: "F", Verdict.EXCUSED: "E", Verdict.NONE: "-"}
_LEGEND = ". PASS  F FAIL  E EXCUSED  - NONE  ? no report  ! two different reports"
_PROVED = {outcome.value for outcome in PROVED}
_LISTED = 5
_EARLY = "So far only proven failures are told: all other verdicts come when 60 % of the epoch are over."
_NOTHING = (
    "Nobody has told of any: challenges are off (spec.challenges.mode of the WalrusNetwork; `challenges` of a node's "
    "configuration), the epoch's window has not begun, or the epoch is too long ago."
)


@dataclass(frozen=True)
class Party:
    """A member of the committee.

    Attributes:
        node_id: the pool.
        name: how it is shown.
        weight: its shards; None when nobody knows.
        key: BLS public key; None when nobody knows, and its reports cannot be checked then.
    """

    node_id: NodeId
    name: str
    weight: int | None = None
    key: bytes | None = field(default=None, repr=False)


def document(
    epoch: Epoch, parties: Sequence[Party], reports: Reports, *, checked: bool, outcome: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Everything, for -o json and yaml.

    Args:
        epoch: of which epoch.
        parties: the committee, in its order.
        reports: what its members say.
        checked: whether their signatures were.
        outcome: `status.challenges` of the epoch's StorageEpoch, for votes and slashings.
    """
    names = {party.node_id: party.name for party in parties}
    verdicts = [
        {
            "challenger": names.get(report.challenger, report.challenger),
            "challenged": names.get(report.prover, report.prover),
            "verdict": report.verdict.value,
            "reason": report.reason.value if report.reason is not None else None,
            "attempt": report.attempt,
            "answered": report.answered,
            "questions": report.samples,
            "firstBad": report.first,
        }
        for report in sorted(
            reports.valid.values(), key=lambda entry: (_place(parties, entry.challenger), _place(parties, entry.prover))
        )
    ]
    rows = {row["node"]: row for row in (outcome or {}).get("members", ())}
    return {
        "epoch": epoch,
        "mode": (outcome or {}).get("mode"),
        "signaturesChecked": checked,
        "members": [
            {
                "node": party.name,
                "nodeId": party.node_id,
                "shards": party.weight,
                "votes": rows.get(party.name, {}).get("votes"),
                "slashed": rows.get(party.name, {}).get("slashed"),
                "burned": rows.get(party.name, {}).get("burned"),
            }
            for party in parties
        ],
        "verdicts": verdicts,
        "expected": len(parties) * max(0, len(parties) - 1),
        "equivocating": sorted(names.get(node, node) for node in reports.equivocating),
        "silent": list((outcome or {}).get("silent", ())),
    }


def render(found: Mapping[str, Any]) -> str:
    """The document as text."""
    members: Sequence[Mapping[str, Any]] = found["members"]
    said = {(entry["challenger"], entry["challenged"]): entry for entry in found["verdicts"]}
    counts = Counter(entry["verdict"] for entry in found["verdicts"])
    total = ", ".join(f"{counts[verdict.value]} {verdict.value}" for verdict in Verdict)
    mode = f", mode {found['mode']}" if found["mode"] else ""
    lines = [f"Challenges of epoch {found['epoch']}{mode}: {len(said)} of {found['expected']} verdicts, {total}"]
    if not found["signaturesChecked"]:
        lines.append("Signatures were not checked: each node is believed what it says in its own name.")
    if not said and not found["equivocating"]:
        lines.append(_NOTHING)
    if 0 < len(said) < found["expected"] and all(_is_proven(entry) for entry in found["verdicts"]):
        lines.append(_EARLY)
    lines += ["", *_grid(members, said, set(found["equivocating"])), "", _LEGEND]
    trouble = [line for member in members for line in _trouble(member, found["verdicts"])]
    if trouble:
        lines += ["", *trouble]
    for word in ("silent", "equivocating"):
        if found[word]:
            lines += ["", f"{word}: {', '.join(found[word])}"]
    return "\n".join(lines)


def _is_proven(entry: Mapping[str, Any]) -> bool:
    return entry["verdict"] == Verdict.FAIL.value and entry["reason"] in _PROVED


def _grid(
    members: Sequence[Mapping[str, Any]], said: Mapping[tuple[str, str], Mapping[str, Any]], lying: set[str]
) -> Iterable[str]:
    width = max((len(str(member["node"])) for member in members), default=0)
    gap = " " if len(members) <= 40 else ""
    places = [str(number) for number in range(len(members))]
    for digit in range(max((len(place) for place in places), default=0)):
        yield " " * (width + 7) + gap.join(place.rjust(len(places[-1]))[digit] for place in places)
    for number, row in enumerate(members):
        signs = []
        for column in members:
            entry = said.get((row["node"], column["node"]))
            if column is row:
                signs.append(" ")
            elif entry is None:
                signs.append("!" if row["node"] in lying else "?")
            else:
                signs.append(_SIGNS[Verdict(entry["verdict"])])
        yield f"{number:3}  {row['node']:<{width}}  {gap.join(signs)}".rstrip()


def _trouble(member: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """A line for a member that somebody saw fail, excuses, or could not judge."""
    by_verdict: dict[str, dict[str, list[str]]] = {}
    for entry in verdicts:
        if entry["challenged"] == member["node"] and entry["verdict"] != Verdict.PASS.value:
            reasons = by_verdict.setdefault(entry["verdict"], {})
            reasons.setdefault(entry["reason"] or "nothing to ask", []).append(entry["challenger"])
    parts = []
    for verdict, reasons in sorted(by_verdict.items()):
        said = sorted(reasons.items(), key=lambda item: -len(item[1]))
        whole = "; ".join(f"{reason}: {_listed(challengers)}" for reason, challengers in said)
        parts.append(f"{verdict} by {sum(map(len, reasons.values()))} ({whole})")
    if member["votes"]:
        parts.append(f"{member['votes']} votes")
    if member["slashed"]:
        parts.append(f"slashed, {member['burned']} FROST burned")
    if parts:
        yield f"{member['node']}: {'; '.join(parts)}"


def _listed(challengers: Sequence[str]) -> str:
    """All of them stand in the grid, and in the document."""
    rest = len(challengers) - _LISTED
    return ", ".join(challengers[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _place(parties: Sequence[Party], node: NodeId) -> int:
    return next((number for number, party in enumerate(parties) if party.node_id == node), len(parties))
