"""One storage node's public RPCs as methods: typed values in, typed values or `PeerError` out.

Life of a call: take the node's pinned channel, call with a deadline, translate the answer. When the connection itself
fails, the certificate is fetched once more; if it has changed (and its key is still the registered one) the call is
made again on the new channel, otherwise the failure stands. Retries with back-off are the caller's decision, because
only it knows whether another node would serve as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar, cast

import grpc
import grpc.aio

from walrus_client.budget import ByteBudget, Place
from walrus_client.challenges.reports import SignedReport
from walrus_client.errors import (
    PeerError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import challenges, wire
from walrus_client.peers.challenges import ChallengeCall, Hello, ReportParser
from walrus_client.peers.channels import PinnedChannel
from walrus_client.peers.decoding import LenientChannel
from walrus_client.peers.records import RecordParser
from walrus_client.peers.shards import ExpectedShard, ShardParser, SyncedSlivers
from walrus_client.peers.signing import RequestSigner
from walrus_client.peers.symbols import ExpectedSymbols, SymbolParser
from walrus_client.records import RawRecord
from walrus_client.statuses import BlobStatus
from walrus_codec.recovery import RecoverySymbol
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, Epoch, NodeId, PairIndex
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui.messages import Persistence
from walrus_sui.types import CommitteeMember

T = TypeVar("T")
P = TypeVar("P")
D = TypeVar("D")
P_co = TypeVar("P_co", covariant=True)
P_contra = TypeVar("P_contra", contravariant=True)
D_co = TypeVar("D_co", covariant=True)

_LOST_STATUS = "Internal error from Core"
"""What grpc.aio itself says when a write fails before the status that the node has sent is there: no word of the node."""

UNARY_TIMEOUT_S = 10.0
STATUS_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ExpectedSlivers:
    """What the asker knows about the slivers it wants: bounds what a node may send."""

    axis: Axis
    pairs: Collection[PairIndex]
    symbol_size: int
    size: int


class _Parts(Protocol[P_co]):
    """A stream of answers, as gRPC gives it."""

    def __aiter__(self) -> AsyncIterator[P_co]: ...

    def cancel(self) -> bool: ...


class _Parser(Protocol[P_contra, D_co]):
    """Lets nothing of a stream pass that was not asked for; both methods raise `wire.MalformedAnswer`."""

    def feed(self, part: P_contra, /) -> D_co | None:
        """Takes one message; returns what it completed."""

    def finish(self) -> None:
        """The stream has ended."""


class _End(Enum):
    END = "end"


_END = _End.END


class NodeClient:
    """Speaks to one storage node; cheap to keep, safe to share between tasks."""

    def __init__(self, member: CommitteeMember) -> None:
        self.member = member
        self._channel = PinnedChannel(member)

    @property
    def name(self) -> str:
        """The node's registered name, for messages."""
        return self.member.name

    async def close(self) -> None:
        """Ends the channel."""
        await self._channel.close()

    async def store_blob(
        self,
        header: pb.StoreBlobHeader,
        slivers: Iterable[tuple[PairIndex, Sliver]],
        *,
        timeout_s: float,
        in_flight: ByteBudget | None = None,
    ) -> wire.StoredBlob:
        """Sends metadata and slivers in one stream; the answer has the confirmation or says why there is none.

        `in_flight` bounds the copies of chunks that wait to be sent, over all streams that share it.
        """

        async def requests(place: Place) -> AsyncIterator[pb.StoreBlobRequest]:
            yield pb.StoreBlobRequest(header=header)
            for part in wire.sliver_stream(slivers):
                if isinstance(part, pb.SliverHead):
                    yield pb.StoreBlobRequest(sliver=part)
                elif await place.take(len(part)):
                    yield pb.StoreBlobRequest(data=part)
                else:
                    return

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.StoreBlobResponse:
            # grpc.aio forgets the iterator of a call that ends early: it must not be what gives the bytes back.
            with Place(in_flight) as place:
                return await stub.StoreBlob(requests(place), timeout=timeout_s)

        answer = await self._call(call)
        with self._well_formed():
            return wire.stored_from_pb(answer)

    async def store_metadata(self, blob_id: BlobId, metadata: bytes, epoch: Epoch) -> bool:
        """Stores metadata alone; True when the node had it already."""
        request = pb.StoreMetadataRequest(blob_id=blob_id, metadata=metadata, epoch=epoch)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.StoreMetadataResponse:
            return await stub.StoreMetadata(request, timeout=UNARY_TIMEOUT_S)

        return (await self._call(call)).already_stored

    async def store_sliver(
        self, blob_id: BlobId, pair: PairIndex, sliver: Sliver, epoch: Epoch, *, timeout_s: float
    ) -> bool:
        """Stores one sliver; True when the node had it already."""

        async def requests() -> AsyncIterator[pb.StoreSliverRequest]:
            yield pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=blob_id, epoch=epoch))
            for part in wire.sliver_stream([(pair, sliver)]):
                if isinstance(part, pb.SliverHead):
                    yield pb.StoreSliverRequest(sliver=part)
                else:
                    yield pb.StoreSliverRequest(data=part)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.StoreSliverResponse:
            return await stub.StoreSliver(requests(), timeout=timeout_s)

        return (await self._call(call)).already_stored

    async def get_confirmation(
        self, blob_id: BlobId, persistence: Persistence, epoch: Epoch, *, wait_millis: int = 0
    ) -> wire.SignedMessage:
        """Asks for the signed confirmation of a blob that the node has stored whole."""
        request = pb.GetConfirmationRequest(
            blob_id=blob_id, persistence=wire.persistence_to_pb(persistence), epoch=epoch, wait_millis=wait_millis
        )
        timeout_s = UNARY_TIMEOUT_S + wait_millis / 1000

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetConfirmationResponse:
            return await stub.GetConfirmation(request, timeout=timeout_s)

        answer = await self._call(call)
        with self._well_formed():
            return wire.signed_from_pb(answer.confirmation)

    async def get_metadata(self, blob_id: BlobId) -> bytes:
        """BCS of the blob's metadata, not verified."""

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetMetadataResponse:
            return await stub.GetMetadata(pb.GetMetadataRequest(blob_id=blob_id), timeout=UNARY_TIMEOUT_S)

        return (await self._call(call)).metadata

    def get_slivers(
        self, blob_id: BlobId, expected: ExpectedSlivers, *, timeout_s: float
    ) -> AsyncGenerator[tuple[PairIndex, Sliver] | wire.MissingSliver, None]:
        """Yields the wanted slivers as they arrive; their bytes are not verified yet, their form is.

        Raises:
            PeerMisbehavedError: A sliver that was not asked for, a wrong size, or a stream that ends early.
            PeerError: As every call.
        """
        request = pb.GetSliversRequest(
            blob_id=blob_id, axis=wire.axis_to_pb(expected.axis), pair_indices=sorted(expected.pairs)
        )

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> _Parts[pb.GetSliversResponse]:
            return stub.GetSlivers(request, timeout=timeout_s)

        return self._stream(call, _SliverParser(expected))

    def get_recovery_symbols(
        self, expected: ExpectedSymbols, signer: RequestSigner | None, epoch: Epoch, *, timeout_s: float
    ) -> AsyncGenerator[list[RecoverySymbol] | wire.MissingSource, None]:
        """Yields for each source, as it arrives, its symbols for all targets; their form is checked, not their proofs.

        Args:
            expected: what to ask for.
            signer: signs the request in the name of a committee member; None asks as a stranger, who is served last.
            epoch: the current one.
            timeout_s: deadline of the whole stream.

        Raises:
            PeerMisbehavedError: A symbol that was not asked for, a wrong size, or a stream that ends early.
            PeerError: As every call.
        """
        body = expected.query().SerializeToString()

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> _Parts[pb.GetRecoverySymbolsResponse]:
            request = pb.GetRecoverySymbolsRequest(body=body)
            if signer is not None:
                receiver = self.member.node_id
                # Signed anew for each attempt: a nonce counts once.
                envelope = await asyncio.to_thread(signer.sign, wire.GET_RECOVERY_SYMBOLS, receiver, epoch, body)
                request.envelope.CopyFrom(envelope)
            return stub.GetRecoverySymbols(request, timeout=timeout_s)

        return self._stream(call, SymbolParser(expected))

    def sync_shard(
        self, expected: ExpectedShard, signer: RequestSigner, *, timeout_s: float, idle_s: float
    ) -> AsyncGenerator[SyncedSlivers, None]:
        """Yields slivers of a shard in order of their blob ids as they arrive; their form is checked, not their bytes.

        Args:
            expected: what to ask for.
            signer: signs the request in the name of the shard's new owner.
            timeout_s: deadline of the whole stream.
            idle_s: how long nothing may come.

        Raises:
            PeerMisbehavedError: Something that was not asked for, or a stream that ends early.
            PeerTimeoutError: Nothing came for `idle_s`.
            PeerError: As every call.
        """
        body = expected.query().SerializeToString()

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> _Parts[pb.SyncShardResponse]:
            receiver, epoch = self.member.node_id, expected.epoch
            envelope = await asyncio.to_thread(signer.sign, wire.SYNC_SHARD, receiver, epoch, body)
            return stub.SyncShard(pb.SyncShardRequest(envelope=envelope, body=body), timeout=timeout_s)

        return self._stream(call, ShardParser(expected), idle_s=idle_s)

    def list_records(
        self, checkpoint: int, *, timeout_s: float, idle_s: float
    ) -> AsyncGenerator[list[RawRecord], None]:
        """Yields what the node says about all living blob objects and storage pools, in order, as of `checkpoint` or later.

        Raises:
            PeerMisbehavedError: Something that is no ascending list, or a stream that ends early.
            PeerTimeoutError: Nothing came for `idle_s`.
            PeerError: As every call.
        """
        request = pb.ListRecordsRequest(checkpoint=checkpoint)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> _Parts[pb.ListRecordsResponse]:
            return stub.ListRecords(request, timeout=timeout_s)

        return self._stream(call, RecordParser(), idle_s=idle_s)

    async def submit_inconsistency_proof(self, blob_id: BlobId, axis: Axis, proof: bytes) -> wire.SignedMessage:
        """The node's signed judgement that the blob is invalid; not verified yet."""
        request = pb.SubmitInconsistencyProofRequest(blob_id=blob_id, axis=wire.axis_to_pb(axis), proof=proof)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.SubmitInconsistencyProofResponse:
            return await stub.SubmitInconsistencyProof(request, timeout=UNARY_TIMEOUT_S)

        answer = await self._call(call)
        with self._well_formed():
            return wire.signed_from_pb(answer.invalid_blob)

    @contextlib.asynccontextmanager
    async def challenge(self, hello: Hello, signer: RequestSigner) -> AsyncIterator[ChallengeCall]:
        """Opens a challenge and waits for the node's reply; the stream ends with the block.

        Raises:
            PeerError: As every call; time-outs are the caller's business.
        """
        body = hello.to_body()
        channel = await self._channel.get()
        call = None
        try:
            while True:
                envelope = await asyncio.to_thread(
                    signer.sign, challenges.METHOD, self.member.node_id, hello.epoch, body
                )
                call = _open_challenge(channel)
                opening = pb.ChallengeOpening(envelope=envelope, body=body)
                try:
                    await call.write(pb.ChallengeRequest(opening=opening))
                    response = await call.read()
                    break
                except grpc.aio.AioRpcError as error:
                    if not _is_connection_failure(error) or not await self._channel.refresh(channel):
                        raise self._peer_error(error) from error
                channel = await self._channel.get()
            with self._well_formed():
                if response is challenges.END:
                    raise wire.MalformedAnswer("it ended the challenge without a reply")
                reply = challenges.reply_from_pb(_decoded(response))
            yield ChallengeCall(self.name, call, reply, self._peer_error)
        finally:
            if call is not None:
                call.cancel()

    async def declare_recovering(self, epoch: Epoch, signature: bytes, node_id: NodeId) -> None:
        """Tells the node, signed, that `node_id` recovers slivers in this epoch."""
        request = pb.DeclareRecoveringRequest(epoch=epoch, node_id=bytes.fromhex(node_id[2:]), signature=signature)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.DeclareRecoveringResponse:
            return await stub.DeclareRecovering(request, timeout=UNARY_TIMEOUT_S)

        await self._call(call)

    def list_challenge_reports(
        self, epoch: Epoch, challengers: Collection[NodeId] = (), *, most: int, timeout_s: float = UNARY_TIMEOUT_S
    ) -> AsyncGenerator[list[SignedReport], None]:
        """Yields pages of reports that the node knows, in form only: their signatures are not verified.

        Args:
            epoch: of which epoch.
            challengers: whose; none means everybody's.
            most: reports that may come at all.
            timeout_s: deadline of the whole stream.

        Raises:
            PeerMisbehavedError: More reports than `most`, or some of impossible size.
            PeerError: As every call.
        """
        wanted = [bytes.fromhex(challenger[2:]) for challenger in sorted(challengers)]
        request = pb.ListChallengeReportsRequest(epoch=epoch, challengers=wanted)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> _Parts[pb.ListChallengeReportsResponse]:
            return stub.ListChallengeReports(request, timeout=timeout_s)

        return self._stream(call, ReportParser(most))

    async def get_blob_status(self, blob_id: BlobId) -> BlobStatus:
        """The node's opinion of the blob."""

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetBlobStatusResponse:
            return await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob_id), timeout=STATUS_TIMEOUT_S)

        answer = await self._call(call)
        with self._well_formed():
            return wire.status_from_pb(answer)

    async def get_info(self, *, timeout_s: float = STATUS_TIMEOUT_S) -> wire.NodeInfo:
        """The node's account of itself."""

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetInfoResponse:
            return await stub.GetInfo(pb.GetInfoRequest(), timeout=timeout_s)

        answer = await self._call(call)
        with self._well_formed():
            return wire.info_from_pb(answer)

    async def _call(self, call: Callable[[node_pb2_grpc.StorageNodeAsyncStub], Awaitable[T]]) -> T:
        channel = await self._channel.get()
        try:
            return self._read(await call(_stub(channel)))
        except grpc.aio.AioRpcError as error:
            if not _is_connection_failure(error) or not await self._channel.refresh(channel):
                raise self._peer_error(error) from error
        channel = await self._channel.get()
        try:
            return self._read(await call(_stub(channel)))
        except grpc.aio.AioRpcError as error:
            raise self._peer_error(error) from error

    async def _stream(
        self,
        call: Callable[[node_pb2_grpc.StorageNodeAsyncStub], Awaitable[_Parts[P]]],
        parser: _Parser[P, D],
        *,
        idle_s: float | None = None,
    ) -> AsyncGenerator[D, None]:
        """Yields what the parser completes of a stream; calls once more on a new channel if nothing has come yet.

        Args:
            call: opens the stream; may be called twice.
            parser: judges every message, and the end.
            idle_s: how long nothing may come; None leaves it to the deadline of the call.
        """
        channel = await self._channel.get()
        started = False
        while True:
            stream = await call(_stub(channel))
            parts = aiter(stream)
            try:
                while True:
                    async with asyncio.timeout(idle_s):
                        part = await anext(parts, _END)
                    if isinstance(part, _End):
                        break
                    started = True
                    with self._well_formed():
                        done = parser.feed(_decoded(part))
                    if done is not None:
                        yield done
                with self._well_formed():
                    parser.finish()
                return
            except TimeoutError:
                raise PeerTimeoutError(self.name, f"nothing of its answer came for {idle_s:.0f} s") from None
            except grpc.aio.AioRpcError as error:
                if started or not _is_connection_failure(error) or not await self._channel.refresh(channel):
                    raise self._peer_error(error) from error
                channel = await self._channel.get()
            finally:
                stream.cancel()

    def _read(self, answer: T) -> T:
        with self._well_formed():
            return _decoded(answer)

    def _peer_error(self, error: grpc.aio.AioRpcError) -> PeerError:
        refusal = refusal_of(error)
        if refusal is not None:
            return PeerRefusedError(
                self.name, refusal.reason, refusal.message, refusal.metadata, retry_after_s=refusal.retry_after_s
            )
        details = error.details() or error.code().name
        match error.code():
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return PeerTimeoutError(self.name, "it did not answer in time")
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return PeerUnreachableError(self.name, details)
            case grpc.StatusCode.INTERNAL if details == _LOST_STATUS:
                return PeerUnreachableError(self.name, "it ended the call while the request was being sent")
            case _:
                return PeerMisbehavedError(self.name, f"it answered {error.code().name}: {details}")

    @contextlib.contextmanager
    def _well_formed(self) -> Iterator[None]:
        try:
            yield
        except wire.MalformedAnswer as error:
            raise PeerMisbehavedError(self.name, str(error)) from error


def _stub(channel: grpc.aio.Channel) -> node_pb2_grpc.StorageNodeAsyncStub:
    return cast("node_pb2_grpc.StorageNodeAsyncStub", node_pb2_grpc.StorageNodeStub(cast(Any, LenientChannel(channel))))


def _decoded(message: T | None) -> T:
    """The message itself; `LenientChannel` gives None for bytes that are none of the documented type."""
    if message is None:
        raise wire.MalformedAnswer("its answer is not of the documented type")
    return message


def _open_challenge(channel: grpc.aio.Channel) -> Any:
    """A stream that is written and read by hand, which the stubs do not know."""
    stub: Any = _stub(channel)
    return stub.Challenge()


def _is_connection_failure(error: grpc.aio.AioRpcError) -> bool:
    return error.code() is grpc.StatusCode.UNAVAILABLE and refusal_of(error) is None


class _SliverParser:
    """Assembles slivers from the parts of a GetSlivers stream and refuses everything that was not asked for."""

    def __init__(self, expected: ExpectedSlivers) -> None:
        self._expected = expected
        self._open_pairs = set(expected.pairs)
        self._head: wire.SliverHead | None = None
        self._data = bytearray()
        self._filled = 0

    def feed(self, part: pb.GetSliversResponse) -> tuple[PairIndex, Sliver] | wire.MissingSliver | None:
        """Takes one message; returns a sliver that it completed, or a pair that the node misses."""
        match part.WhichOneof("part"):
            case "sliver":
                self._begin(wire.head_from_pb(part.sliver))
                return None
            case "data":
                return self._append(part.data)
            case "missing":
                pair = PairIndex(part.missing.pair_index)
                self._take(pair)
                return wire.MissingSliver(pair, wire.reason_from_text(part.missing.reason))
        raise wire.MalformedAnswer("an empty message in a stream of slivers")

    def finish(self) -> None:
        """The stream has ended: nothing may be open."""
        if self._head is not None:
            raise wire.MalformedAnswer(f"the stream ended inside of sliver {self._head.index}")
        if self._open_pairs:
            raise wire.MalformedAnswer(f"the stream ended without pairs {sorted(self._open_pairs)}")

    def _begin(self, head: wire.SliverHead) -> None:
        if self._head is not None:
            raise wire.MalformedAnswer(f"sliver {head.index} began inside of sliver {self._head.index}")
        self._take(head.pair)
        if head.axis is not self._expected.axis:
            raise wire.MalformedAnswer(f"a {head.axis.value} sliver was not asked for")
        if head.size != self._expected.size or head.symbol_size != self._expected.symbol_size:
            raise wire.MalformedAnswer(f"a sliver of {head.size} bytes, where this blob has {self._expected.size}")
        self._head, self._data, self._filled = head, bytearray(head.size), 0

    def _append(self, data: bytes) -> tuple[PairIndex, Sliver] | None:
        head = self._head
        if head is None:
            raise wire.MalformedAnswer("sliver data without an announcement")
        end = self._filled + len(data)
        if end > head.size or not data:
            raise wire.MalformedAnswer(f"sliver {head.index} has more data than announced, or an empty part")
        self._data[self._filled : end] = data
        self._filled = end
        if end < head.size:
            return None
        self._head = None
        return head.pair, Sliver(head.axis, head.index, head.symbol_size, memoryview(self._data))

    def _take(self, pair: PairIndex) -> None:
        if pair not in self._open_pairs:
            raise wire.MalformedAnswer(f"pair {pair} was not asked for, or came twice")
        self._open_pairs.discard(pair)
