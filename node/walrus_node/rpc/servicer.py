"""The gRPC face: translates `walrus.node.v1` to the handlers and their refusals to statuses with ErrorInfo.

StoreBlob in order: header, then heads and data of slivers, then the answer. A refusal that concerns the whole request
(epoch, metadata, registration, order or size of the parts) ends the call with an error; a refusal of single slivers is
listed in the answer, beside the confirmation if all that is needed was there nevertheless.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc.aio

from walrus_client import grpc_errors
from walrus_client.peers import wire
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Epoch, PairIndex
from walrus_node.errors import DiskError
from walrus_node.rpc.admission import client_of
from walrus_node.rpc.assembly import SliverAssembler
from walrus_node.rpc.challenges import ChallengeService
from walrus_node.rpc.envelopes import EnvelopeChecker
from walrus_node.rpc.info import InfoSource
from walrus_node.rpc.model import MissingSliver, SliverRefusal
from walrus_node.rpc.records import RecordService
from walrus_node.rpc.rules import Lane
from walrus_node.rpc.service import NodeService, no_room
from walrus_node.rpc.shards import ShardService
from walrus_node.rpc.streams import RequestStream, StreamLimits
from walrus_node.rpc.symbols import RecoveryService
from walrus_node.rpc.translating import (
    info_to_pb,
    malformed,
    read_axis,
    read_blob_id,
    read_head,
    read_persistence,
    read_recovery_query,
    read_shard_query,
    record_to_pb,
    refused_to_pb,
    signed_to_pb,
)
from walrus_node.rpc.uploads import Upload
from walrus_node.store.rules import Condition
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui.telemetry import meter, names
from walrus_sui.types import CommitteeMember

_log = logging.getLogger(__name__)

MAX_REFUSALS = 4096
"""Refused slivers of one stream after which the sender is told to stop."""

_Context = grpc.aio.ServicerContext[Any, Any]


class StorageNodeServicer(node_pb2_grpc.StorageNodeServicer):
    """Implements `walrus.node.v1.StorageNode`."""

    def __init__(
        self,
        service: NodeService,
        recovery: RecoveryService,
        envelopes: EnvelopeChecker,
        info: InfoSource,
        limits: StreamLimits,
        *,
        shards: ShardService,
        challenges: ChallengeService,
        records: RecordService,
    ) -> None:
        self._service = service
        self._recovery = recovery
        self._shards = shards
        self._challenges = challenges
        self._records = records
        self._envelopes = envelopes
        self._info = info
        self._limits = limits
        self._refusals = meter().create_counter(names.NODE_REFUSALS, description="Requests refused, by reason.")

    async def StoreBlob(
        self, request_iterator: AsyncIterator[pb.StoreBlobRequest], context: _Context
    ) -> pb.StoreBlobResponse:
        """One blob's metadata and slivers in, confirmation out."""
        stream = RequestStream(request_iterator, self._limits.pace)
        async with self._refusing(context), stream.heard_out(context, self._limits.hearing):
            return await self._store_blob(stream, client_of(context.peer()))

    async def StoreMetadata(self, request: pb.StoreMetadataRequest, context: _Context) -> pb.StoreMetadataResponse:
        """Metadata alone."""
        async with self._refusing(context):
            known = await self._service.store_metadata(
                read_blob_id(request.blob_id), request.metadata, Epoch(request.epoch)
            )
            return pb.StoreMetadataResponse(already_stored=known)

    async def StoreSliver(
        self, request_iterator: AsyncIterator[pb.StoreSliverRequest], context: _Context
    ) -> pb.StoreSliverResponse:
        """One sliver; every refusal ends the call."""
        stream = RequestStream(request_iterator, self._limits.pace)
        async with self._refusing(context), stream.heard_out(context, self._limits.hearing):
            return await self._store_sliver(stream, client_of(context.peer()))

    async def GetConfirmation(
        self, request: pb.GetConfirmationRequest, context: _Context
    ) -> pb.GetConfirmationResponse:
        """Confirmation of what is stored already."""
        async with self._refusing(context):
            confirmation = await self._service.confirm(
                read_blob_id(request.blob_id),
                read_persistence(request.persistence),
                Epoch(request.epoch),
                wait_s=request.wait_millis / 1000,
            )
            return pb.GetConfirmationResponse(confirmation=signed_to_pb(confirmation))

    async def GetMetadata(self, request: pb.GetMetadataRequest, context: _Context) -> pb.GetMetadataResponse:
        """Metadata of a registered blob."""
        async with self._refusing(context):
            return pb.GetMetadataResponse(metadata=await self._service.metadata(read_blob_id(request.blob_id)))

    async def GetSlivers(
        self, request: pb.GetSliversRequest, context: _Context
    ) -> AsyncGenerator[pb.GetSliversResponse]:
        """Slivers of one axis, each as a head and chunks."""
        async with self._refusing(context):
            pairs = [PairIndex(pair) for pair in request.pair_indices]
            blob_id, axis = read_blob_id(request.blob_id), read_axis(request.axis)
            slivers = self._service.slivers(blob_id, axis, pairs, client=client_of(context.peer()))
            async with contextlib.aclosing(slivers):
                async for item in slivers:
                    if isinstance(item, MissingSliver):
                        missing = pb.MissingSliver(pair_index=item.pair, reason=item.reason.value)
                        yield pb.GetSliversResponse(missing=missing)
                        continue
                    parts = wire.sliver_stream([item])
                    while (part := next(parts, None)) is not None:
                        if isinstance(part, pb.SliverHead):
                            yield pb.GetSliversResponse(sliver=part)
                        else:
                            yield pb.GetSliversResponse(data=part)
                    # Until the next sliver has its turn nothing is reserved, so nothing may be held.
                    del item, parts

    async def GetRecoverySymbols(
        self, request: pb.GetRecoverySymbolsRequest, context: _Context
    ) -> AsyncGenerator[pb.GetRecoverySymbolsResponse]:
        """Symbols for slivers that the asker lacks, in messages of at most a mebibyte."""
        async with self._refusing(context):
            query = read_recovery_query(request.body)
            asker = await self._asker(request, wire.GET_RECOVERY_SYMBOLS) if request.HasField("envelope") else None
            found = self._recovery.symbols(
                read_blob_id(query.blob_id),
                read_axis(query.target_axis),
                [PairIndex(pair) for pair in query.target_pairs],
                [PairIndex(pair) for pair in query.source_pairs],
                asker=asker,
            )
            async with contextlib.aclosing(found):
                async for item in found:
                    parts = wire.symbol_parts(item)
                    while (part := next(parts, None)) is not None:
                        yield part
                    del item, parts

    async def SubmitInconsistencyProof(
        self, request: pb.SubmitInconsistencyProofRequest, context: _Context
    ) -> pb.SubmitInconsistencyProofResponse:
        """Judgement on a proof that a blob is badly encoded."""
        async with self._refusing(context):
            blob_id, axis = read_blob_id(request.blob_id), read_axis(request.axis)
            judged = await self._recovery.judge(blob_id, axis, request.proof, client=client_of(context.peer()))
            return pb.SubmitInconsistencyProofResponse(invalid_blob=signed_to_pb(judged))

    async def SyncShard(self, request: pb.SyncShardRequest, context: _Context) -> AsyncGenerator[pb.SyncShardResponse]:
        """Slivers of a shard for its new owner."""
        async with self._refusing(context):
            query = read_shard_query(request.body)
            asker = await self._asker(request, wire.SYNC_SHARD)
            pages = self._shards.pages(query, asker=asker)
            async with contextlib.aclosing(pages):
                async for page in pages:
                    parts = wire.synced_parts(page.slivers, complete=page.next_id is None)
                    while (part := next(parts, None)) is not None:
                        yield part
                    del page, parts

    async def ListRecords(
        self, request: pb.ListRecordsRequest, context: _Context
    ) -> AsyncGenerator[pb.ListRecordsResponse]:
        """Everything that the events have said and that lives."""
        async with self._refusing(context):
            pages = self._records.pages(request.checkpoint, client=client_of(context.peer()))
            async with contextlib.aclosing(pages):
                async for page, last in pages:
                    yield pb.ListRecordsResponse(records=map(record_to_pb, page), complete=last)

    async def GetBlobStatus(self, request: pb.GetBlobStatusRequest, context: _Context) -> pb.GetBlobStatusResponse:
        """What the events say about a blob."""
        async with self._refusing(context):
            return wire.status_to_pb(await self._service.status(read_blob_id(request.blob_id)))

    async def Challenge(
        self, request_iterator: AsyncIterator[pb.ChallengeRequest], context: _Context
    ) -> AsyncGenerator[pb.ChallengeResponse]:
        """Answers of one run, behind its opening and its seed."""
        stream = RequestStream(request_iterator, self._limits.pace)
        async with self._refusing(context), stream.heard_out(context, self._limits.hearing):
            parts = self._challenges.challenge(stream, self._service.identity)
            async with contextlib.aclosing(parts):
                async for part in parts:
                    stream.answered = True
                    yield part

    async def DeclareRecovering(
        self, request: pb.DeclareRecoveringRequest, context: _Context
    ) -> pb.DeclareRecoveringResponse:
        """Takes note that a member recovers."""
        async with self._refusing(context):
            await self._challenges.declare(request)
            return pb.DeclareRecoveringResponse()

    async def ListChallengeReports(
        self, request: pb.ListChallengeReportsRequest, context: _Context
    ) -> AsyncGenerator[pb.ListChallengeReportsResponse]:
        """Signed verdicts, in pages."""
        async with self._refusing(context):
            pages = self._challenges.reports(request)
            async with contextlib.aclosing(pages):
                async for page in pages:
                    yield page

    async def GetInfo(self, request: pb.GetInfoRequest, context: _Context) -> pb.GetInfoResponse:  # noqa: ARG002
        """What the node tells about itself; also while no other call is taken."""
        async with self._refusing(context, counted=False):
            return info_to_pb(await self._info.read())

    async def _asker(self, request: pb.GetRecoverySymbolsRequest | pb.SyncShardRequest, method: str) -> CommitteeMember:
        if (identity := self._service.identity) is None:
            raise RequestRefused(Reason.UNAVAILABLE, "this node is not registered yet; try again later")
        return await self._envelopes.check(
            request.envelope, method=method, receiver=identity.node_id, body=request.body
        )

    async def _store_blob(self, stream: RequestStream, client: str) -> pb.StoreBlobResponse:
        header = (await stream.first("header")).header
        blob_id, epoch = read_blob_id(header.blob_id), Epoch(header.epoch)
        persistence = read_persistence(header.persistence)
        # The client sends right after registering: wait for the event, the stream's flow control holds the sender back.
        await self._service.store_metadata(blob_id, header.metadata, epoch, wait_s=float("inf"))
        upload = await self._service.open_upload(blob_id, epoch)
        with self._service.room.pending(upload.lacking):
            async with self._limits.gate.admitted(Lane.WRITE, client, upload.memory):
                await self._receive(stream, upload)
        answer = pb.StoreBlobResponse(stored=upload.stored, slivers=[refused_to_pb(entry) for entry in upload.refusals])
        try:
            answer.confirmation.CopyFrom(signed_to_pb(await self._service.confirm(blob_id, persistence, epoch)))
        except RequestRefused as refusal:
            self._count(refusal)
            answer.refusal.CopyFrom(pb.Refusal(reason=refusal.reason.value, message=refusal.message))
        return answer

    async def _receive(self, stream: RequestStream, upload: Upload) -> None:
        """Takes heads and data until the sender ends the stream."""
        assembler = SliverAssembler()
        try:
            async for part in stream:
                match part.WhichOneof("part"):
                    case "sliver":
                        head = read_head(part.sliver)
                        assembler.begin(head, wanted=await self._is_admitted(upload, head))
                    case "data":
                        if (complete := assembler.add(part.data)) is not None:
                            await upload.add(*complete)
                    case _:
                        raise malformed("after the header come slivers and their data only")
            assembler.finish()
            await upload.finish()
        except BaseException:
            await upload.abandon()
            raise

    async def _is_admitted(self, upload: Upload, head: wire.SliverHead) -> bool:
        try:
            return await upload.admit(head)
        except RequestRefused as refusal:
            # More bytes than any sliver of this blob has are not even skipped.
            if refusal.reason is Reason.SLIVER_TOO_LARGE or len(upload.refusals) >= MAX_REFUSALS:
                raise
            upload.refusals.append(SliverRefusal(head.axis, head.pair, refusal.reason, refusal.message))
            return False

    async def _store_sliver(self, stream: RequestStream, client: str) -> pb.StoreSliverResponse:
        header = (await stream.first("header")).header
        upload = await self._service.open_upload(read_blob_id(header.blob_id), Epoch(header.epoch))
        head = read_head((await stream.first("sliver")).sliver)
        if not await upload.admit(head):
            return pb.StoreSliverResponse(already_stored=True)
        async with self._limits.gate.admitted(Lane.WRITE, client, head.size):
            assembler = SliverAssembler()
            assembler.begin(head, wanted=True)
            complete = None
            async for part in stream:
                if part.WhichOneof("part") != "data":
                    raise malformed("after the sliver's head come its data only")
                complete = assembler.add(part.data) or complete
            assembler.finish()
            if complete is not None:
                await upload.add(*complete)
            await upload.finish()
        if upload.refusals:
            raise RequestRefused(upload.refusals[0].reason, upload.refusals[0].message)
        return pb.StoreSliverResponse(already_stored=upload.stored == 0)

    @contextlib.asynccontextmanager
    async def _refusing(self, context: _Context, *, counted: bool = True) -> AsyncIterator[None]:
        """Counts the call; turns refusals into statuses, and what nobody expected into INTERNAL_ERROR with a log line."""
        try:
            if not counted:
                yield
                return
            with self._limits.calls.open(client_of(context.peer())):
                yield
        except RequestRefused as refusal:
            self._count(refusal)
            await grpc_errors.abort(context, refusal)
        except DiskError as error:
            failing = no_room(Condition.DISK_FAILING, str(error))
            self._count(failing)
            await grpc_errors.abort(context, failing)
        except Exception:
            _log.exception("a request failed")
            fault = RequestRefused(Reason.INTERNAL_ERROR, "this node could not do it; its log says why")
            self._count(fault)
            await grpc_errors.abort(context, fault)

    def _count(self, refusal: RequestRefused) -> None:
        self._refusals.add(1, {names.ATTR_REASON: refusal.reason.value})
