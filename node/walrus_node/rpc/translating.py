"""Protobuf messages to the handlers' values and back: what cannot be one is refused as MALFORMED_REQUEST."""

from __future__ import annotations

from dataclasses import asdict

from google.protobuf.message import DecodeError

from walrus_client.peers import wire
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.records import RawRecord, RecordKind
from walrus_codec.types import Axis, BlobId, Epoch, ObjectId, ShardIndex
from walrus_node.rpc.model import NodeInfo, SignedMessage, SliverRefusal
from walrus_node.rpc.shards import ShardQuery
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.messages import Deletable, Permanent, Persistence

_KINDS: dict[RecordKind, pb.RecordKind.ValueType] = {
    RecordKind.POOL: pb.RECORD_KIND_POOL,
    RecordKind.OBJECT: pb.RECORD_KIND_OBJECT,
    RecordKind.POOLED: pb.RECORD_KIND_POOLED,
    RecordKind.INVALID: pb.RECORD_KIND_INVALID,
}


def malformed(message: str) -> RequestRefused:
    """The refusal of a message that lacks a part, has it in the wrong place, or is none."""
    return RequestRefused(Reason.MALFORMED_REQUEST, message)


def read_recovery_query(body: bytes) -> pb.RecoveryQuery:
    """The signed part of a GetRecoverySymbols request."""
    try:
        return pb.RecoveryQuery.FromString(body)
    except DecodeError:
        raise malformed("the body is not a RecoveryQuery") from None


def read_shard_query(body: bytes) -> ShardQuery:
    """The signed part of a SyncShard request."""
    try:
        query = pb.SyncShardQuery.FromString(body)
    except DecodeError:
        raise malformed("the body is not a SyncShardQuery") from None
    if not query.sliver_count:
        raise malformed("at least one sliver must be asked for")
    start = read_blob_id(query.starting_blob_id)
    shard, axis = ShardIndex(query.shard_index), read_axis(query.axis)
    return ShardQuery(shard, axis, start, query.sliver_count, Epoch(query.epoch))


def read_blob_id(raw: bytes) -> BlobId:
    """32 bytes."""
    if len(raw) != 32:
        raise malformed(f"a blob id has 32 bytes, not {len(raw)}")
    return BlobId(raw)


def read_axis(value: int) -> Axis:
    """One of the two."""
    try:
        return wire.axis_from_pb(value)
    except wire.MalformedAnswer as error:
        raise malformed(str(error)) from None


def read_head(head: pb.SliverHead) -> wire.SliverHead:
    """What is announced of a sliver, in form only."""
    if head.size == 0:
        raise malformed("a sliver has at least one byte")
    try:
        return wire.head_from_pb(head)
    except wire.MalformedAnswer as error:
        raise malformed(str(error)) from None


def read_persistence(persistence: pb.Persistence) -> Persistence:
    """What a confirmation is to say."""
    match persistence.WhichOneof("kind"):
        case "permanent":
            return Permanent()
        case "deletable":
            if len(persistence.deletable.object_id) != 32:
                raise malformed("an object id has 32 bytes")
            return Deletable(ObjectId("0x" + persistence.deletable.object_id.hex()))
        case _:
            raise malformed("the persistence is permanent or deletable")


def signed_to_pb(signed: SignedMessage) -> pb.SignedMessage:
    """A message with its signature."""
    return pb.SignedMessage(message=signed.message, signature=signed.signature)


def refused_to_pb(entry: SliverRefusal) -> pb.SliverRefusal:
    """Why a sliver was refused."""
    return pb.SliverRefusal(
        axis=wire.axis_to_pb(entry.axis), pair_index=entry.pair, reason=entry.reason.value, message=entry.message
    )


def record_to_pb(raw: RawRecord) -> pb.Record:
    """One of the records that live."""
    return pb.Record(kind=_KINDS[raw.key.kind], id=raw.key.id, value=raw.value)


def info_to_pb(found: NodeInfo) -> pb.GetInfoResponse:
    """What the node tells about itself."""
    return pb.GetInfoResponse(
        node_id=bytes.fromhex(found.node_id[2:]),
        name=found.name,
        epoch=found.epoch,
        status=found.status,
        shards=[pb.ShardInfo(shard=entry.shard, status=entry.status) for entry in found.shards],
        version=found.version,
        event_cursor=found.event_cursor,
        n_shards=found.n_shards,
        chain_id=found.chain_id,
        chain_reachable=found.chain_reachable,
        checkpoint_age_ms=found.checkpoint_age_ms,
        uptime_seconds=found.uptime_seconds,
        blobs_stored=found.blobs_stored,
        slivers_stored=found.slivers_stored,
        storage=pb.StorageState(**asdict(found.storage)),
        recovery=pb.RecoveryProgress(**asdict(found.recovery)),
        scrub=pb.ScrubProgress(**asdict(found.scrub)),
        sync=pb.SyncProgress(**asdict(found.sync)),
        challenges=pb.ChallengeProgress(**asdict(found.challenges)),
    )
