"""An availability challenge over its stream, as the challenger holds it, and the messages of challenges on the wire.

Life of a call: the opening goes out in an envelope; the node answers that it is ready, or refuses, with its signature;
the seed goes out; answers come in order, then a close or the admission that a cell is missing. Everything that comes is
checked for form here and bounded; what it is worth, signatures and times included, is the challenger's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import grpc.aio
from google.protobuf.message import DecodeError

from walrus_client.challenges.messages import Refusal
from walrus_client.challenges.policy import ATTEMPTS, MAX_SAMPLES
from walrus_client.challenges.reports import MAX_REPORT, SIGNATURE_LENGTH, SignedReport
from walrus_client.errors import PeerError, PeerMisbehavedError
from walrus_client.peers.calling import CALL_ERRORS, CallError
from walrus_client.peers.wire import MalformedAnswer
from walrus_codec.types import Epoch, NodeId
from walrus_proto.node.v1 import node_pb2 as pb

METHOD: Final = "Challenge"
"""The method's name in the signature of its opening."""
MAX_CELL: Final = 65_535
"""Bytes of a cell: symbol sizes are 16 bit."""
REPORTS_PER_PAGE: Final = 256
HASH: Final = 32
END: Final = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs lack it
"""What grpc.aio reads behind the last message of a stream."""


@dataclass(frozen=True)
class Hello:
    """What a challenger opens with.

    Attributes:
        epoch: e.
        attempt: a.
        blobs: |B_e|.
        root: root of B_e.
        samples: m of the epoch's policy; members with different ones would blame each other.
    """

    epoch: Epoch
    attempt: int
    blobs: int
    root: bytes = field(repr=False)
    samples: int

    def to_body(self) -> bytes:
        """The body that the envelope covers."""
        return pb.ChallengeHello(
            epoch=self.epoch, attempt=self.attempt, blobs=self.blobs, root=self.root, samples=self.samples
        ).SerializeToString(deterministic=True)

    @classmethod
    def from_body(cls, body: bytes) -> Hello:
        """Reads the body; raises `MalformedAnswer`."""
        try:
            hello = pb.ChallengeHello.FromString(body)
        except DecodeError:
            raise MalformedAnswer("the body is not a ChallengeHello") from None
        _length("a root", hello.root, HASH)
        if hello.attempt >= ATTEMPTS or not 0 < hello.samples <= MAX_SAMPLES:
            raise MalformedAnswer(f"attempts are below {ATTEMPTS}, samples between 1 and {MAX_SAMPLES}")
        return cls(Epoch(hello.epoch), hello.attempt, hello.blobs, hello.root, hello.samples)


@dataclass(frozen=True)
class Ready:
    """The node waits for the seed."""

    blobs: int
    root: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Refused:
    """The node does not answer now, and why."""

    reason: Refusal
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """The cell of a question."""

    index: int
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Missing:
    """The node lacks the cell of a question."""

    index: int
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Close:
    """The node's last word: the hash over all its answers, signed."""

    chain: bytes = field(repr=False)
    signature: bytes = field(repr=False)


Reply = Ready | Refused
Part = Answer | Missing | Close


def response_to_pb(part: Reply | Part) -> pb.ChallengeResponse:
    """The message that carries it."""
    match part:
        case Ready():
            ready = pb.ChallengeReady(blobs=part.blobs, root=part.root, signature=part.signature)
            return pb.ChallengeResponse(ready=ready)
        case Refused():
            reason = cast("pb.ChallengeRefusalReason.ValueType", int(part.reason))
            refusal = pb.ChallengeRefusal(reason=reason, signature=part.signature)
            return pb.ChallengeResponse(refusal=refusal)
        case Answer():
            return pb.ChallengeResponse(answer=pb.ChallengeAnswer(index=part.index, data=part.data))
        case Missing():
            return pb.ChallengeResponse(missing=pb.ChallengeMissing(index=part.index, signature=part.signature))
        case Close():
            return pb.ChallengeResponse(close=pb.ChallengeClose(chain=part.chain, signature=part.signature))


def reply_from_pb(response: pb.ChallengeResponse) -> Reply:
    """What may come before the seed; raises `MalformedAnswer`."""
    match response.WhichOneof("part"):
        case "ready":
            ready = response.ready
            _length("a root", ready.root, HASH)
            return Ready(ready.blobs, ready.root, _signature(ready.signature))
        case "refusal":
            refusal = response.refusal
            if (reason := int(refusal.reason)) not in list(Refusal):
                raise MalformedAnswer(f"refusal {reason} does not exist")
            return Refused(Refusal(reason), _signature(refusal.signature))
    raise MalformedAnswer("before the seed a node is ready, or refuses")


def part_from_pb(response: pb.ChallengeResponse) -> Part:
    """What may come behind the seed; raises `MalformedAnswer`."""
    match response.WhichOneof("part"):
        case "answer":
            answer = response.answer
            if len(answer.data) > MAX_CELL:
                raise MalformedAnswer(f"a cell of {len(answer.data)} bytes; none has more than {MAX_CELL}")
            return Answer(answer.index, answer.data)
        case "missing":
            return Missing(response.missing.index, _signature(response.missing.signature))
        case "close":
            _length("a hash", response.close.chain, HASH)
            return Close(response.close.chain, _signature(response.close.signature))
    raise MalformedAnswer("behind the seed a node answers, or closes")


def declaration_from_pb(request: pb.DeclareRecoveringRequest) -> tuple[Epoch, NodeId, bytes]:
    """Epoch, node and signature of a declaration; raises `MalformedAnswer`."""
    _length("a node id", request.node_id, HASH)
    return Epoch(request.epoch), NodeId("0x" + request.node_id.hex()), _signature(request.signature)


class ReportParser:
    """Reads the pages of a ListChallengeReports stream.

    Args:
        most: reports that may come at all.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def feed(self, page: pb.ListChallengeReportsResponse) -> list[SignedReport]:
        """The reports of a page, in form only; raises `MalformedAnswer`."""
        self._left -= len(page.reports)
        if self._left < 0 or not 0 < len(page.reports) <= REPORTS_PER_PAGE:
            raise MalformedAnswer("more reports than members can have made, or an odd page of them")
        if any(len(report.body) > MAX_REPORT for report in page.reports):
            raise MalformedAnswer(f"a report has at most {MAX_REPORT} bytes")
        return [SignedReport(report.body, _signature(report.signature)) for report in page.reports]

    def finish(self) -> None:
        """The stream may end at any page."""


class Outbox:
    """What is sent on a stream, message by message.

    grpc.aio has a way to write by hand; with interceptors a call that the other side ends early leaves a task behind that
    waits for the next message for ever. This one ends with the sender.
    """

    def __init__(self) -> None:
        self._queue: asyncio.Queue[pb.ChallengeRequest | None] = asyncio.Queue()

    def send(self, request: pb.ChallengeRequest) -> None:
        """Sends as soon as gRPC takes it; that it cannot be sent is found out by who reads the answers."""
        self._queue.put_nowait(request)

    def end(self) -> None:
        """There is no more to send."""
        self._queue.put_nowait(None)

    async def requests(self) -> AsyncIterator[pb.ChallengeRequest]:
        """The messages, for the call."""
        while (request := await self._queue.get()) is not None:
            yield request


class ChallengeCall:
    """One open stream to a node, behind its reply. Made by `NodeClient.challenge`.

    Args:
        name: of the node, for errors.
        call: the stream.
        outbox: leads to the node.
        reply: what the node said to the opening.
        as_error: translates gRPC's errors.
    """

    def __init__(
        self, name: str, call: Any, outbox: Outbox, reply: Reply, as_error: Callable[[CallError], PeerError]
    ) -> None:
        self._name = name
        self._call = call
        self._outbox = outbox
        self._as_error = as_error
        self.reply = reply

    def send_seed(self, seed: bytes) -> None:
        """Lets the questions begin."""
        self._outbox.send(pb.ChallengeRequest(seed=seed))
        self._outbox.end()

    async def next(self) -> Part | None:
        """The next message, None at the end of the stream; raises `PeerError`."""
        try:
            response = await self._call.read()
        except CALL_ERRORS as error:
            raise self._as_error(error) from error
        if response is END:
            return None
        try:
            if response is None:
                raise MalformedAnswer("its answer is not of the documented type")
            return part_from_pb(response)
        except MalformedAnswer as error:
            raise PeerMisbehavedError(self._name, str(error)) from error


def _signature(raw: bytes) -> bytes:
    _length("a signature", raw, SIGNATURE_LENGTH)
    return raw


def _length(what: str, raw: bytes, expected: int) -> None:
    if len(raw) != expected:
        raise MalformedAnswer(f"{what} has {expected} bytes, not {len(raw)}")
