"""Signed reports: what a challenger tells everybody about a prover, once per epoch.

Life of a report: made from the case at 60 %, or at once when that is proven (WRONG, MISSING), signed with the challenger's
BLS key, stored, then served to all who pull; one that was served early is the same at 60 %, to the last byte.
Whoever receives one checks the signature with the key of that epoch's committee and keeps it (`Reports.add`). A second,
different report of one challenger on one prover voids both and marks the challenger as equivocating
(`challenges-spec.md` 11).

BCS of the signed body, after the header of intent 0xC3 with the epoch:

    version u8 = 0, challenger 32, prover 32, attempt u8, seed vector<u8>, blobs u64, root 32, samples u32, verdict u8,
    reason u8, first sample option<u32>, answered u32, chain 32, start u64, end u64
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from walrus_client.challenges import messages as challenge_messages
from walrus_client.challenges.policy import ATTEMPTS, MAX_SAMPLES
from walrus_client.challenges.samples import SEED_LENGTH
from walrus_client.challenges.verdicts import PROVED, Outcome, Verdict
from walrus_codec import bcs
from walrus_codec.errors import BcsError
from walrus_codec.types import Epoch, NodeId
from walrus_sui import messages

MAX_REPORT = 512
"""Bytes of a report without its signature, at most."""

SIGNATURE_LENGTH = 96
_VERSION = 0
_VERDICTS = tuple(Verdict)
_REASONS: tuple[Outcome | None, ...] = (None, *Outcome)


class ReportError(ValueError):
    """Bytes that are no report, or one that contradicts itself. The report is dropped; nothing else changes."""


@dataclass(frozen=True)
class Report:
    """One challenger's verdict over one prover.

    Attributes:
        epoch: e.
        challenger: V.
        prover: P.
        attempt: the attempt that decided; 0 when none counted.
        seed: its σ; empty when no attempt was made.
        blobs: |B_e|, as the challenger knows it.
        root: root of B_e.
        samples: m of the policy.
        verdict: the verdict.
        reason: the outcome that decided, None when nothing did.
        first: the first sample that was not answered right; None when all were.
        answered: answers that came.
        chain: h over them.
        start_ms: chain time at which the attempt began.
        end_ms: chain time at which it ended.
    """

    epoch: Epoch
    challenger: NodeId
    prover: NodeId
    attempt: int
    seed: bytes = field(repr=False)
    blobs: int
    root: bytes = field(repr=False)
    samples: int
    verdict: Verdict
    reason: Outcome | None
    first: int | None
    answered: int
    chain: bytes = field(repr=False)
    start_ms: int
    end_ms: int

    @property
    def is_proven(self) -> bool:
        """Whether it tells of a failure that was final when it was seen."""
        return self.verdict is Verdict.FAIL and self.reason in PROVED

    def to_bytes(self) -> bytes:
        """The signed bytes, header included."""
        node = challenge_messages.node_bytes
        body = (
            bcs.u8(_VERSION),
            node(self.challenger),
            node(self.prover),
            bcs.u8(self.attempt),
            bcs.bytes_(self.seed),
            bcs.u64(self.blobs),
            self.root,
            bcs.u32(self.samples),
            bcs.u8(_VERDICTS.index(self.verdict)),
            bcs.u8(_REASONS.index(self.reason)),
            bcs.option(bcs.u32, self.first),
            bcs.u32(self.answered),
            self.chain,
            bcs.u64(self.start_ms),
            bcs.u64(self.end_ms),
        )
        return messages.header(challenge_messages.INTENT_REPORT, self.epoch) + b"".join(body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Report:
        """Reads a report; its signature is checked by `verify`.

        Raises:
            ReportError: it is none.
        """
        if len(data) > MAX_REPORT:
            raise ReportError(f"a report of {len(data)} bytes; it has at most {MAX_REPORT}")
        try:
            reader = bcs.Reader(data)
            if reader.fixed(3) != messages.header(challenge_messages.INTENT_REPORT, Epoch(0))[:3]:
                raise ReportError("not a report: its header is another message's")
            epoch = Epoch(int.from_bytes(reader.fixed(4), "little"))
            if (version := reader.u8()) != _VERSION:
                raise ReportError(f"a report of version {version}, this program knows version {_VERSION}")
            found = cls(
                epoch=epoch,
                challenger=_node(reader),
                prover=_node(reader),
                attempt=reader.u8(),
                seed=reader.bytes_(),
                blobs=reader.u64(),
                root=reader.fixed(32),
                samples=reader.u32(),
                verdict=_choice(reader, _VERDICTS, "verdict"),
                reason=_choice(reader, _REASONS, "reason"),
                first=reader.option(bcs.Reader.u32),
                answered=reader.u32(),
                chain=reader.fixed(32),
                start_ms=reader.u64(),
                end_ms=reader.u64(),
            )
            reader.finish()
        except BcsError as error:
            raise ReportError(f"malformed report: {error}") from error
        found.check()
        return found

    def check(self) -> None:
        """Looks whether the report can be one at all.

        Raises:
            ReportError: it contradicts itself.
        """
        if self.challenger == self.prover:
            raise ReportError("nobody challenges itself")
        if self.attempt >= ATTEMPTS or not self.answered <= self.samples <= MAX_SAMPLES:
            raise ReportError("attempt, answers or samples are out of range")
        if len(self.seed) != (SEED_LENGTH if self.reason is not None else 0):
            raise ReportError("a report has a seed exactly when an attempt decided")
        if self.first is not None and self.first > self.answered:
            raise ReportError("the first bad sample lies behind the answers that came")
        if self.reason not in _REASONS_OF[self.verdict]:
            named = self.reason.value if self.reason is not None else "none"
            raise ReportError(f"verdict {self.verdict.value} cannot have the reason {named}")


_AWAY = (Outcome.UNREACHABLE, Outcome.LAGGING, Outcome.RECOVERING)
_SLOW = (Outcome.LATE, Outcome.BUSY)
_REASONS_OF: Mapping[Verdict, tuple[Outcome | None, ...]] = {
    Verdict.PASS: (Outcome.PASS,),
    Verdict.FAIL: (Outcome.WRONG, Outcome.MISSING, *_AWAY, *_SLOW),
    Verdict.EXCUSED: _AWAY,
    Verdict.NONE: (None, *_SLOW),
}


@dataclass(frozen=True)
class SignedReport:
    """A report as it travels and is stored.

    Attributes:
        body: the signed bytes.
        signature: the challenger's, 96 bytes.
    """

    body: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def verified(self, keys: Mapping[NodeId, bytes], check: Callable[[bytes, bytes, bytes], bool]) -> Report:
        """The report, once it is certain who made it.

        Args:
            keys: BLS public keys of the members of the report's epoch.
            check: `walrus_sui.bls.verify`: public key, message, signature.

        Raises:
            ReportError: malformed, of or about a stranger, or badly signed.
        """
        report = Report.from_bytes(self.body)
        if report.challenger not in keys or report.prover not in keys:
            raise ReportError("challenger or prover is no member of the committee of the report's epoch")
        if len(self.signature) != SIGNATURE_LENGTH or not check(keys[report.challenger], self.body, self.signature):
            raise ReportError(f"the report is not signed by {report.challenger}")
        return report


class Addition(Enum):
    """What became of a report that was offered."""

    NEW = "new"
    KNOWN = "known"
    EQUIVOCATION = "equivocation"


class Reports:
    """All valid reports of one epoch, one for each challenger and prover.

    Args:
        epoch: reports of other epochs are refused.
    """

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._bodies: dict[tuple[NodeId, NodeId], bytes] = {}
        self._reports: dict[tuple[NodeId, NodeId], Report] = {}
        self._void: set[tuple[NodeId, NodeId]] = set()

    def add(self, report: Report) -> Addition:
        """Takes a verified report.

        Raises:
            ReportError: it is of another epoch.
        """
        if report.epoch != self.epoch:
            raise ReportError(f"a report of epoch {report.epoch}, expected {self.epoch}")
        pair, body = (report.challenger, report.prover), report.to_bytes()
        known = self._bodies.setdefault(pair, body)
        if known != body:
            self._void.add(pair)
            self._reports.pop(pair, None)
            return Addition.EQUIVOCATION
        if pair in self._void or pair in self._reports:
            return Addition.KNOWN
        self._reports[pair] = report
        return Addition.NEW

    def of(self, challenger: NodeId, prover: NodeId) -> Report | None:
        """The report of one on the other; None when there is none, or it is void."""
        return self._reports.get((challenger, prover))

    def knows(self, challenger: NodeId, prover: NodeId) -> bool:
        """Whether there is one, void or not."""
        return (challenger, prover) in self._bodies

    @property
    def valid(self) -> Mapping[tuple[NodeId, NodeId], Report]:
        """All reports that count, by challenger and prover."""
        return self._reports

    @property
    def equivocating(self) -> frozenset[NodeId]:
        """Challengers that have signed two different reports on somebody."""
        return frozenset(challenger for challenger, _prover in self._void)


def _node(reader: bcs.Reader) -> NodeId:
    return NodeId("0x" + reader.fixed(32).hex())


def _choice(reader: bcs.Reader, choices, what: str):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - any tuple
    index = reader.u8()
    if index >= len(choices):
        raise ReportError(f"{what} {index} does not exist")
    return choices[index]
