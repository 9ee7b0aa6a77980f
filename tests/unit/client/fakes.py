"""Storage nodes and a chain in one process: real TLS, real gRPC, real signatures; behaviour as each test wants it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import grpc.aio
from tests.unit.client.worlds import node_id

from walrus_client.grpc_errors import abort
from walrus_client.peers import wire
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.statuses import BlobStatus, Nonexistent
from walrus_codec.metadata import BlobMetadata
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, Digest, Epoch, ObjectId, PairIndex, ShardIndex, SuiAddress
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui import bls, messages, tls
from walrus_sui.errors import ChainUnreachable, MoveAbort, ObjectNotFound, TransactionRejected
from walrus_sui.events import Event, EventId
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey
from walrus_sui.types import (
    BlobObject,
    Certificate,
    CertifiedBlob,
    Committee,
    CommitteeMember,
    EpochPhase,
    EpochState,
    NewBlob,
    StakingView,
    StorageObject,
    SystemView,
)

HOST = "127.0.0.1"


@dataclass
class Behaviour:
    """How a node deviates; the default is honest."""

    refusals: list[RequestRefused] = field(default_factory=list)
    bad_signature: bool = False
    wrong_message: bool = False
    corrupt_slivers: bool = False
    truncate_streams: bool = False
    unasked_slivers: bool = False
    wrong_metadata: bool = False
    missing: bool = False
    stall: asyncio.Event | None = None
    status: BlobStatus = field(default_factory=Nonexistent)


class FakeNode(node_pb2_grpc.StorageNodeServicer):
    """One node: keeps what it is sent, serves it, signs."""

    def __init__(self, number: int, shards: Sequence[int]) -> None:
        self.number = number
        self.shards = tuple(ShardIndex(shard) for shard in shards)
        self.network_key = NetworkKey.generate()
        self.served_key = self.network_key
        self.bls_key = BlsKey.generate()
        self.behaviour = Behaviour()
        self.epoch = 5
        self.port = 0
        self.calls: list[str] = []
        self.called_at: list[float] = []
        self.stalled = 0
        self.metadata: dict[bytes, bytes] = {}
        self.slivers: dict[bytes, dict[tuple[Axis, PairIndex], Sliver]] = {}
        self._server: grpc.aio.Server | None = None

    @property
    def member(self) -> CommitteeMember:
        return CommitteeMember(
            node_id=node_id(self.number),
            shards=self.shards,
            bls_public_key=self.bls_key.public_key,
            name=f"node-{self.number}",
            network_address=f"{HOST}:1",
            grpc_address=f"{HOST}:{self.port}",
            network_public_key=self.network_key.public_key,
        )

    async def start(self) -> None:
        """Starts, with a fresh certificate; again on the same port after a stop."""
        certificate = tls.make_certificate(self.served_key, HOST, not_before=dt.datetime.now(dt.UTC))
        credentials = grpc.ssl_server_credentials([(self.served_key.to_pem(), certificate)])
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        node_pb2_grpc.add_StorageNodeServicer_to_server(self, server)
        self.port = server.add_secure_port(f"{HOST}:{self.port}", credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    async def StoreBlob(self, request_iterator: Any, context: Any) -> pb.StoreBlobResponse:
        await self._begin("StoreBlob", context)
        header: pb.StoreBlobHeader | None = None
        head: pb.SliverHead | None = None
        data = bytearray()
        kept: dict[tuple[Axis, PairIndex], Sliver] = {}
        async for part in request_iterator:
            match part.WhichOneof("part"):
                case "header":
                    header = part.header
                case "sliver":
                    head, data = part.sliver, bytearray()
                case "data":
                    assert head is not None
                    assert len(part.data) <= wire.CHUNK
                    data += part.data
                    if len(data) == head.size:
                        announced = wire.head_from_pb(head)
                        sliver = Sliver(announced.axis, announced.index, announced.symbol_size, bytes(data))
                        kept[announced.axis, announced.pair] = sliver
        assert header is not None
        self.metadata[header.blob_id] = header.metadata
        self.slivers.setdefault(header.blob_id, {}).update(kept)
        return pb.StoreBlobResponse(
            confirmation=self._sign(BlobId(header.blob_id), header.persistence), stored=len(kept)
        )

    async def GetConfirmation(self, request: Any, context: Any) -> pb.GetConfirmationResponse:
        await self._begin("GetConfirmation", context)
        if request.blob_id not in self.metadata:
            await abort(context, RequestRefused(Reason.MISSING_SLIVERS, "nothing is stored"))
        return pb.GetConfirmationResponse(confirmation=self._sign(BlobId(request.blob_id), request.persistence))

    async def GetMetadata(self, request: Any, context: Any) -> pb.GetMetadataResponse:
        await self._begin("GetMetadata", context)
        metadata = self.metadata.get(request.blob_id)
        if metadata is None or self.behaviour.missing:
            await abort(context, RequestRefused(Reason.METADATA_NOT_FOUND, "unknown blob"))
        assert metadata is not None
        if self.behaviour.wrong_metadata:
            found = BlobMetadata.from_bcs(metadata)
            metadata = replace(found, unencoded_length=found.unencoded_length + 1).to_bcs()
        return pb.GetMetadataResponse(metadata=metadata)

    async def GetSlivers(self, request: Any, context: Any) -> AsyncIterator[pb.GetSliversResponse]:
        await self._begin("GetSlivers", context)
        axis = wire.axis_from_pb(request.axis)
        stored = self.slivers.get(request.blob_id, {})
        wanted = [PairIndex(pair) for pair in request.pair_indices]
        if self.behaviour.unasked_slivers:
            wanted = [pair for at, pair in stored if at is axis and pair not in wanted]
        for position, pair in enumerate(wanted):
            sliver = stored.get((axis, pair))
            if sliver is None or self.behaviour.missing:
                missing = pb.MissingSliver(pair_index=pair, reason=Reason.SLIVER_NOT_FOUND)
                yield pb.GetSliversResponse(missing=missing)
                continue
            if self.behaviour.corrupt_slivers:
                sliver = replace(sliver, data=bytes([sliver.data[0] ^ 1]) + bytes(sliver.data[1:]))
            for part in wire.sliver_stream([(pair, sliver)]):
                if isinstance(part, pb.SliverHead):
                    yield pb.GetSliversResponse(sliver=part)
                elif self.behaviour.truncate_streams and position == len(wanted) - 1:
                    yield pb.GetSliversResponse(data=part[:-1])
                else:
                    yield pb.GetSliversResponse(data=part)

    async def GetBlobStatus(self, request: Any, context: Any) -> pb.GetBlobStatusResponse:
        await self._begin("GetBlobStatus", context)
        return wire.status_to_pb(self.behaviour.status)

    async def GetInfo(self, request: Any, context: Any) -> pb.GetInfoResponse:
        await self._begin("GetInfo", context)
        return pb.GetInfoResponse(name=f"node-{self.number}", epoch=self.epoch)

    async def _begin(self, method: str, context: Any) -> None:
        self.calls.append(method)
        self.called_at.append(asyncio.get_running_loop().time())
        if self.behaviour.stall is not None:
            self.stalled += 1
            try:
                await self.behaviour.stall.wait()
            finally:
                self.stalled -= 1
        if self.behaviour.refusals and method != "GetBlobStatus":
            await abort(context, self.behaviour.refusals.pop(0))

    def _sign(self, blob_id: BlobId, persistence: Any) -> pb.SignedMessage:
        kind: messages.Persistence = messages.Permanent()
        if persistence.WhichOneof("kind") == "deletable":
            kind = messages.Deletable(ObjectId("0x" + persistence.deletable.object_id.hex()))
        epoch = Epoch(self.epoch + (1 if self.behaviour.wrong_message else 0))
        message = messages.confirmation(blob_id, epoch, kind)
        key = BlsKey.generate() if self.behaviour.bad_signature else self.bls_key
        return pb.SignedMessage(message=message, signature=key.sign(message))


class FakeChain:
    """The chain's answers; certificates are checked as the contract checks them."""

    def __init__(self, nodes: Sequence[FakeNode]) -> None:
        self.nodes = list(nodes)
        self.epoch = 5
        self.phase = EpochPhase.DONE
        self.reachable = True
        self.before_certify: list[Any] = []
        self.transactions: list[str] = []
        self.objects: dict[ObjectId, BlobObject] = {}
        self.register_delay: asyncio.Event | None = None
        self.certify_delay: asyncio.Event | None = None
        self.lose_answers = 0
        self.lose_certified = 0
        self.free_storage: list[StorageObject] = []
        self.events: dict[EventId, Event] = {}

    @property
    def committee(self) -> Committee:
        members = tuple(sorted((node.member for node in self.nodes), key=lambda entry: entry.node_id))
        return Committee(Epoch(self.epoch), sum(member.weight for member in members), members)

    async def staking(self) -> StakingView:
        self._check()
        now = self.committee
        return StakingView(
            epoch=now.epoch,
            epoch_state=EpochState(self.phase),
            epoch_duration_ms=600_000,
            first_epoch_start_ms=0,
            n_shards=now.n_shards,
            committee=now,
            previous_committee=replace(now, epoch=Epoch(now.epoch - 1)),
            next_committee=None,
        )

    async def event(self, place: EventId) -> Event | None:
        self._check()
        return self.events.get(place)

    async def system(self) -> SystemView:
        self._check()
        n_shards = self.committee.n_shards
        return SystemView(Epoch(self.epoch), 1 << 50, 0, 1000, 200, n_shards, 53)

    async def blob(self, object_id: ObjectId) -> BlobObject:
        self._check()
        if object_id not in self.objects or self.objects[object_id].owner is None:
            raise ObjectNotFound("it is gone, or in another object")
        return self.objects[object_id]

    async def blobs(self, address: str) -> list[BlobObject]:
        self._check()
        return [blob for blob in self.objects.values() if blob.owner == address]

    async def reserve_and_register(
        self, key: SuiKey, blobs: Sequence[NewBlob], *, epochs_ahead: int
    ) -> list[BlobObject]:
        self._check()
        self.transactions.append(f"register {len(blobs)}")
        if self.register_delay is not None:
            await self.register_delay.wait()
        if {new.encoding_type for new in blobs} - {1, 128} or any(new.size == 666 for new in blobs):
            raise MoveAbort("system_state_inner", 1)
        made = []
        for new in blobs:
            number = len(self.objects) + 1
            storage = StorageObject(
                ObjectId(f"0x{number + 1000:064x}"),
                Epoch(self.epoch),
                Epoch(self.epoch + epochs_ahead),
                new.encoded_size,
            )
            made.append(
                BlobObject(
                    ObjectId(f"0x{number:064x}"),
                    Epoch(self.epoch),
                    new.blob_id,
                    new.size,
                    new.encoding_type,
                    None,
                    storage,
                    new.deletable,
                    key.address,
                )
            )
            self.objects[made[-1].object_id] = made[-1]
        self._lose_answer()
        return made

    async def storage(self, address: str) -> list[StorageObject]:
        self._check()
        return list(self.free_storage)

    async def register_on_storage(
        self, key: SuiKey, storage: StorageObject, new: NewBlob, *, until: Epoch | None = None
    ) -> BlobObject:
        self._check()
        self.transactions.append("register on storage")
        if self.register_delay is not None:
            await self.register_delay.wait()
        self.free_storage.remove(storage)  # nothing is used twice
        assert storage.size >= new.encoded_size
        assert until is not None
        assert storage.start_epoch <= self.epoch < until <= storage.end_epoch
        number = len(self.objects) + 1
        used = replace(storage, size=new.encoded_size, end_epoch=until)
        made = BlobObject(
            ObjectId(f"0x{number:064x}"),
            Epoch(self.epoch),
            new.blob_id,
            new.size,
            new.encoding_type,
            None,
            used,
            new.deletable,
            key.address,
        )
        self.objects[made.object_id] = made
        self._lose_answer()
        return made

    def _lose_answer(self) -> None:
        if self.lose_answers:
            self.lose_answers -= 1
            raise ChainUnreachable("the transaction was sent, its end is not known")

    async def certify(
        self,
        key: SuiKey,
        certificates: Sequence[Certificate],
        *,
        send_to: SuiAddress | None = None,
        share: bool = False,
    ) -> list[CertifiedBlob]:
        if self.before_certify:
            self.before_certify.pop(0)()
        self._check()
        self.transactions.append(f"certify {len(certificates)}")
        if self.certify_delay is not None:
            await self.certify_delay.wait()
        done = []
        for position, item in enumerate(certificates):
            blob = self.objects[item.object_id]
            if blob.owner is None:
                raise ObjectNotFound("it is in another object now")
            if blob.owner != key.address:
                raise TransactionRejected("it belongs to somebody else")
            if blob.certified_epoch is not None:
                raise MoveAbort("blob", 5)
            self._check_certificate(blob, item)
            if blob.storage.end_epoch <= self.epoch:
                raise MoveAbort("blob", 2)
            self.objects[item.object_id] = replace(
                blob, certified_epoch=Epoch(self.epoch), owner=None if share else send_to or key.address
            )
            shared = ObjectId(f"0x{int(item.object_id, 16) + 5000:064x}") if share else None
            done.append(
                CertifiedBlob(
                    item.object_id,
                    blob.blob_id,
                    Epoch(self.epoch),
                    blob.storage.end_epoch,
                    Digest("1" * 32),
                    position,
                    shared,
                )
            )
        if self.lose_certified:
            self.lose_certified -= 1
            raise ChainUnreachable("the transaction was sent, its end is not known")
        return done

    def _check_certificate(self, blob: BlobObject, item: Certificate) -> None:
        signed = messages.parse_confirmation(item.message)
        if signed.epoch != self.epoch:
            raise MoveAbort("messages", 1)
        kind = messages.Deletable(blob.object_id) if blob.deletable else messages.Permanent()
        assert (signed.blob_id, signed.persistence) == (blob.blob_id, kind)
        committee = self.committee
        bits = [item.signers_bitmap[i // 8] >> (i % 8) & 1 for i in range(len(committee.members))]
        signers = [member for member, bit in zip(committee.members, bits, strict=True) if bit]
        if 3 * sum(member.weight for member in signers) < 2 * committee.n_shards + 1:
            raise MoveAbort("bls_aggregate", 2)
        assert bls.aggregate_verify([member.bls_public_key for member in signers], item.message, item.signature)

    def _check(self) -> None:
        if not self.reachable:
            raise ChainUnreachable("the chain is away")
