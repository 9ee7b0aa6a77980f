"""The gRPC side of challenges: messages in and out, in order and within bounds; what they mean is decided elsewhere.

Life of a Challenge call: the opening is checked (a member of the committee signed it for this node), the prover yields its
reply, asks for the seed when its turn has come, and yields the answers. Everything out of order is MALFORMED_REQUEST.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from walrus_client.challenges.reports import SIGNATURE_LENGTH, SignedReport
from walrus_client.peers import challenges as wire
from walrus_client.peers.wire import MalformedAnswer
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.declarations import Declarations
from walrus_node.challenges.prover import Prover
from walrus_node.rpc.envelopes import EnvelopeChecker
from walrus_node.store.records import Identity
from walrus_proto.node.v1 import node_pb2 as pb

MAX_CHALLENGERS = 1000
"""Members whose reports one request may name."""
PAGE_REPORTS = 64
"""Reports in one message: with what belongs to them within the 64 KiB that an open call may take; clients take 256."""


class ReportSource(Protocol):
    """Has the reports; the store."""

    def report_pages(
        self, epoch: Epoch, challengers: Sequence[NodeId] = (), *, count: int
    ) -> AsyncGenerator[list[SignedReport]]:
        """Those of an epoch, of these challengers or of all, `count` at a time."""
        ...


class ChallengeService:
    """The handlers; one per process.

    Args:
        prover: answers challenges.
        declarations: takes those of the others.
        reports: what is handed on.
        envelopes: who asks.
    """

    def __init__(
        self, *, prover: Prover, declarations: Declarations, reports: ReportSource, envelopes: EnvelopeChecker
    ) -> None:
        self._prover = prover
        self._declarations = declarations
        self._reports = reports
        self._envelopes = envelopes

    async def challenge(
        self, requests: AsyncIterator[pb.ChallengeRequest], identity: Identity | None
    ) -> AsyncGenerator[pb.ChallengeResponse]:
        """One run; raises `RequestRefused`."""
        if identity is None:
            raise RequestRefused(Reason.UNAVAILABLE, "this node is not registered yet; try again later")
        opening = (await _next(requests, "opening")).opening
        try:
            hello = wire.Hello.from_body(opening.body)
        except MalformedAnswer as error:
            raise RequestRefused(Reason.MALFORMED_REQUEST, str(error)) from None
        challenger = await self._envelopes.check(
            opening.envelope, method=wire.METHOD, receiver=identity.node_id, body=opening.body
        )

        async def seed() -> bytes:
            found = (await _next(requests, "seed")).seed
            if len(found) != SIGNATURE_LENGTH:
                raise RequestRefused(Reason.MALFORMED_REQUEST, f"a seed has {SIGNATURE_LENGTH} bytes, not {len(found)}")
            return found

        parts = self._prover.serve(hello, challenger, identity.node_id, seed)
        async with contextlib.aclosing(parts):
            async for part in parts:
                yield wire.response_to_pb(part)

    async def declare(self, request: pb.DeclareRecoveringRequest) -> None:
        """Takes a declaration; raises `RequestRefused`."""
        try:
            epoch, node, signature = wire.declaration_from_pb(request)
        except MalformedAnswer as error:
            raise RequestRefused(Reason.MALFORMED_REQUEST, str(error)) from None
        await self._declarations.add(epoch, node, signature)

    async def reports(self, request: pb.ListChallengeReportsRequest) -> AsyncGenerator[pb.ListChallengeReportsResponse]:
        """The reports that are kept here, in pages; raises `RequestRefused`."""
        if len(request.challengers) > MAX_CHALLENGERS or any(len(raw) != 32 for raw in request.challengers):
            raise RequestRefused(
                Reason.MALFORMED_REQUEST, f"at most {MAX_CHALLENGERS} challengers of 32 bytes each are named"
            )
        challengers = [NodeId("0x" + raw.hex()) for raw in sorted(set(request.challengers))]
        pages = self._reports.report_pages(Epoch(request.epoch), challengers, count=PAGE_REPORTS)
        async with contextlib.aclosing(pages):
            async for page in pages:
                reports = [pb.ChallengeReport(body=signed.body, signature=signed.signature) for signed in page]
                yield pb.ListChallengeReportsResponse(reports=reports)


async def _next(requests: AsyncIterator[pb.ChallengeRequest], kind: str) -> pb.ChallengeRequest:
    try:
        part = await anext(requests)
    except StopAsyncIteration:
        raise RequestRefused(Reason.MALFORMED_REQUEST, f"the stream ended before its {kind}") from None
    if part.WhichOneof("part") != kind:
        raise RequestRefused(Reason.MALFORMED_REQUEST, f"the stream must go on with its {kind}")
    return part
