"""One storage node's public RPCs as methods: typed values in, typed values or `PeerError` out.

Life of a call: the request is built, made with a deadline on the node's pinned channel (`calling`), and the answer
translated; streams pass a parser that knows what was asked for (`slivers`, `symbols`, `shards`, `records`, `challenges`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from typing import Any

import grpc
import grpc.aio

from walrus_client.budget import ByteBudget, Place
from walrus_client.challenges.reports import SignedReport
from walrus_client.peers import challenges, wire
from walrus_client.peers.calling import CALL_ERRORS, Caller, Parts, decoded, is_connection_failure, stub_of
from walrus_client.peers.challenges import ChallengeCall, Hello, Outbox, ReportParser
from walrus_client.peers.records import RecordParser
from walrus_client.peers.shards import ExpectedShard, ShardParser, SyncedSlivers
from walrus_client.peers.signing import RequestSigner
from walrus_client.peers.slivers import ExpectedSlivers, SliverParser
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

UNARY_TIMEOUT_S = 10.0
STATUS_TIMEOUT_S = 5.0


class NodeClient:
    """Speaks to one storage node; cheap to keep, safe to share between tasks."""

    def __init__(self, member: CommitteeMember) -> None:
        self.member = member
        self._caller = Caller(member)

    @property
    def name(self) -> str:
        """The node's registered name, for messages."""
        return self.member.name

    def adopt(self, member: CommitteeMember) -> grpc.aio.Channel | None:
        """Goes on with a newer record of the same node; the caller closes the channel that this gives back."""
        self.member = member
        return self._caller.channel.adopt(member)

    async def close(self) -> None:
        """Ends the channel."""
        await self._caller.close()

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

        answer = await self._caller.call(call)
        with self._caller.well_formed():
            return wire.stored_from_pb(answer)

    async def store_metadata(self, blob_id: BlobId, metadata: bytes, epoch: Epoch) -> bool:
        """Stores metadata alone; True when the node had it already."""
        request = pb.StoreMetadataRequest(blob_id=blob_id, metadata=metadata, epoch=epoch)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.StoreMetadataResponse:
            return await stub.StoreMetadata(request, timeout=UNARY_TIMEOUT_S)

        return (await self._caller.call(call)).already_stored

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

        return (await self._caller.call(call)).already_stored

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

        answer = await self._caller.call(call)
        with self._caller.well_formed():
            return wire.signed_from_pb(answer.confirmation)

    async def get_metadata(self, blob_id: BlobId) -> bytes:
        """BCS of the blob's metadata, not verified."""

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetMetadataResponse:
            return await stub.GetMetadata(pb.GetMetadataRequest(blob_id=blob_id), timeout=UNARY_TIMEOUT_S)

        return (await self._caller.call(call)).metadata

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

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> Parts[pb.GetSliversResponse]:
            return stub.GetSlivers(request, timeout=timeout_s)

        return self._caller.stream(call, SliverParser(expected))

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

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> Parts[pb.GetRecoverySymbolsResponse]:
            request = pb.GetRecoverySymbolsRequest(body=body)
            if signer is not None:
                receiver = self.member.node_id
                # Signed anew for each attempt: a nonce counts once.
                envelope = await asyncio.to_thread(signer.sign, wire.GET_RECOVERY_SYMBOLS, receiver, epoch, body)
                request.envelope.CopyFrom(envelope)
            return stub.GetRecoverySymbols(request, timeout=timeout_s)

        return self._caller.stream(call, SymbolParser(expected))

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

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> Parts[pb.SyncShardResponse]:
            receiver, epoch = self.member.node_id, expected.epoch
            envelope = await asyncio.to_thread(signer.sign, wire.SYNC_SHARD, receiver, epoch, body)
            return stub.SyncShard(pb.SyncShardRequest(envelope=envelope, body=body), timeout=timeout_s)

        return self._caller.stream(call, ShardParser(expected), idle_s=idle_s)

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

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> Parts[pb.ListRecordsResponse]:
            return stub.ListRecords(request, timeout=timeout_s)

        return self._caller.stream(call, RecordParser(), idle_s=idle_s)

    async def submit_inconsistency_proof(self, blob_id: BlobId, axis: Axis, proof: bytes) -> wire.SignedMessage:
        """The node's signed judgement that the blob is invalid; not verified yet."""
        request = pb.SubmitInconsistencyProofRequest(blob_id=blob_id, axis=wire.axis_to_pb(axis), proof=proof)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.SubmitInconsistencyProofResponse:
            return await stub.SubmitInconsistencyProof(request, timeout=UNARY_TIMEOUT_S)

        answer = await self._caller.call(call)
        with self._caller.well_formed():
            return wire.signed_from_pb(answer.invalid_blob)

    @contextlib.asynccontextmanager
    async def challenge(self, hello: Hello, signer: RequestSigner) -> AsyncIterator[ChallengeCall]:
        """Opens a challenge and waits for the node's reply; the stream ends with the block.

        Raises:
            PeerError: As every call; time-outs are the caller's business.
        """
        body = hello.to_body()
        channel = await self._caller.channel.get()
        call, outbox = None, Outbox()
        try:
            while True:
                envelope = await asyncio.to_thread(
                    signer.sign, challenges.METHOD, self.member.node_id, hello.epoch, body
                )
                stub: Any = stub_of(channel)
                call = stub.Challenge(outbox.requests())  # read by hand, which the stubs do not know
                outbox.send(pb.ChallengeRequest(opening=pb.ChallengeOpening(envelope=envelope, body=body)))
                try:
                    response = await call.read()
                    break
                except CALL_ERRORS as error:
                    if not is_connection_failure(error) or not await self._caller.channel.refresh(channel):
                        raise self._caller.peer_error(error) from error
                outbox.end()
                outbox, channel = Outbox(), await self._caller.channel.get()
            with self._caller.well_formed():
                if response is challenges.END:
                    raise wire.MalformedAnswer("it ended the challenge without a reply")
                reply = challenges.reply_from_pb(decoded(response))
            yield ChallengeCall(self.name, call, outbox, reply, self._caller.peer_error)
        finally:
            outbox.end()
            if call is not None:
                call.cancel()

    async def declare_recovering(self, epoch: Epoch, signature: bytes, node_id: NodeId) -> None:
        """Tells the node, signed, that `node_id` recovers slivers in this epoch."""
        request = pb.DeclareRecoveringRequest(epoch=epoch, node_id=bytes.fromhex(node_id[2:]), signature=signature)

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.DeclareRecoveringResponse:
            return await stub.DeclareRecovering(request, timeout=UNARY_TIMEOUT_S)

        await self._caller.call(call)

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

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> Parts[pb.ListChallengeReportsResponse]:
            return stub.ListChallengeReports(request, timeout=timeout_s)

        return self._caller.stream(call, ReportParser(most))

    async def get_blob_status(self, blob_id: BlobId) -> BlobStatus:
        """The node's opinion of the blob."""

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetBlobStatusResponse:
            return await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob_id), timeout=STATUS_TIMEOUT_S)

        answer = await self._caller.call(call)
        with self._caller.well_formed():
            return wire.status_from_pb(answer)

    async def get_info(self, *, timeout_s: float = STATUS_TIMEOUT_S) -> wire.NodeInfo:
        """The node's account of itself."""

        async def call(stub: node_pb2_grpc.StorageNodeAsyncStub) -> pb.GetInfoResponse:
            return await stub.GetInfo(pb.GetInfoRequest(), timeout=timeout_s)

        answer = await self._caller.call(call)
        with self._caller.well_formed():
            return wire.info_from_pb(answer)
