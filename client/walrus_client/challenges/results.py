"""What a node knows of the challenges of an epoch, as it tells operators: signed reports, and what became of its votes.

Life of the results: a node serves them as JSON (GET /v1/challenges/EPOCH); whoever reads them takes from each node what
that node says in its own name, or checks the signatures of what others have said.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from walrus_client.challenges.reports import Report, ReportError, Reports, SignedReport
from walrus_codec.types import Epoch, NodeId

_NODE_ID = 66
_MAX_WORD = 32


class ResultsError(ValueError):
    """An answer that is none; the message says why."""


@dataclass(frozen=True)
class Vote:
    """What became of a node's wish to slash another.

    Attributes:
        candidate: whom.
        voted: whether the vote was cast; False where the mode only lets the node say so.
        ended: EXECUTED by this node, BY_OTHERS, TOO_LATE, REFUSED, IMPOSSIBLE; empty while it is open.
        burned: FROST of commission that were burned, by whomever it was executed; 0 when the chain has not told this node.
    """

    candidate: NodeId
    voted: bool
    ended: str
    burned: int

    @property
    def slashed(self) -> bool:
        """Whether the candidate was slashed."""
        return self.ended in {"EXECUTED", "BY_OTHERS"}


@dataclass(frozen=True)
class Results:
    """A node's answer.

    Attributes:
        epoch: of which epoch.
        node: who answers.
        reports: what it has, signatures not checked.
        votes: its own.
    """

    epoch: Epoch
    node: NodeId
    reports: tuple[SignedReport, ...]
    votes: tuple[Vote, ...]

    def to_json(self) -> str:
        """The answer's text."""
        return json.dumps(
            {
                "epoch": self.epoch,
                "node": self.node,
                "reports": [{"body": _text(each.body), "signature": _text(each.signature)} for each in self.reports],
                "votes": [
                    {"candidate": vote.candidate, "voted": vote.voted, "ended": vote.ended, "burned": vote.burned}
                    for vote in self.votes
                ],
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Results:
        """Reads an answer, whose length the reader has bounded.

        Raises:
            ResultsError: it is none.
        """
        try:
            document = json.loads(text)
            return cls(
                epoch=Epoch(_count(document["epoch"])),
                node=_node(document["node"]),
                reports=tuple(
                    SignedReport(_bytes(each["body"]), _bytes(each["signature"])) for each in document["reports"]
                ),
                votes=tuple(_vote(each) for each in document["votes"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ResultsError(f"not an answer about challenges: {error!r}") from error

    def own(self) -> tuple[Report, ...]:
        """What the answering node says in its own name; reports that do not fit are left out."""
        found = []
        for signed in self.reports:
            try:
                report = Report.from_bytes(signed.body)
            except ReportError:
                continue
            if report.challenger == self.node and report.epoch == self.epoch:
                found.append(report)
        return tuple(found)


def merged(
    epoch: Epoch,
    answers: Sequence[Results],
    keys: Mapping[NodeId, bytes],
    check: Callable[[bytes, bytes, bytes], bool],
) -> Reports:
    """All reports of an epoch that somebody in the committee has signed, whoever handed them on.

    Args:
        epoch: reports of others are left out.
        answers: of some nodes.
        keys: BLS public key of each member.
        check: `walrus_sui.bls.verify`.
    """
    found, seen = Reports(epoch), set()
    for answer in answers:
        for signed in answer.reports:
            if signed.body in seen:
                continue
            try:
                report = signed.verified(keys, check)
                found.add(report)
            except ReportError:
                continue
            seen.add(signed.body)
    return found


def _vote(document: Mapping[str, Any]) -> Vote:
    ended = str(document["ended"])
    if len(ended) > _MAX_WORD or not ended.isascii():
        raise ValueError("a vote ends with one word")
    return Vote(_node(document["candidate"]), document["voted"] is True, ended, _count(document["burned"]))


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError(f"{value!r} is no count")
    return value


def _node(value: Any) -> NodeId:
    if not isinstance(value, str) or len(value) != _NODE_ID or not value.startswith("0x"):
        raise ValueError("a node's id is 0x and 64 digits")
    bytes.fromhex(value[2:])
    return NodeId(value)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
