"""Translates between the project's values and the messages of `walrus.node.v1`. Pure.

Everything that comes from a node is checked here for form (lengths, enum values, missing parts) and becomes a frozen
value; `MalformedAnswer` says what was wrong, and the caller turns it into the node's misbehaviour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from walrus_client import statuses
from walrus_client.reasons import Reason
from walrus_codec.recovery import RecoverySymbol
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, BlobId, Digest, Epoch, PairIndex, SliverIndex
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.events import EventId
from walrus_sui.messages import Deletable, Permanent, Persistence

CHUNK = 1 << 20
"""Bytes of sliver data in one message."""

MAX_METADATA = 2 * 66 * 65_535
"""More than any metadata can have; unary messages are limited to 4 MiB anyway."""

GET_RECOVERY_SYMBOLS = "GetRecoverySymbols"
SYNC_SHARD = "SyncShard"
"""The methods' names in the signatures of requests."""

MAX_SYNC_SLIVERS = 100_000
"""Slivers that one SyncShard request may ask for."""

_SIGNATURE = 96
_AXIS_TO_PB: dict[Axis, pb.Axis.ValueType] = {Axis.PRIMARY: pb.AXIS_PRIMARY, Axis.SECONDARY: pb.AXIS_SECONDARY}
_AXIS_FROM_PB = {value: axis for axis, value in _AXIS_TO_PB.items()}


class MalformedAnswer(ValueError):  # noqa: N818 - named like the codec's errors
    """A node's message lacks a part or has an impossible value."""


@dataclass(frozen=True)
class SignedMessage:
    """A protocol message and the node's signature; neither is verified yet."""

    message: bytes
    signature: bytes


@dataclass(frozen=True)
class Refusal:
    """A documented "no" inside an answer."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class SliverRefusal:
    """Why one sliver was not stored."""

    axis: Axis
    pair: PairIndex
    reason: Reason
    message: str


@dataclass(frozen=True)
class StoredBlob:
    """The answer to StoreBlob: a confirmation or the reason why there is none."""

    confirmation: SignedMessage | None
    refusal: Refusal | None
    slivers: tuple[SliverRefusal, ...]
    stored: int


@dataclass(frozen=True)
class SliverHead:
    """Announces one sliver of a stream."""

    axis: Axis
    pair: PairIndex
    index: SliverIndex
    symbol_size: int
    size: int


@dataclass(frozen=True)
class MissingSliver:
    """The node does not serve this pair, and why."""

    pair: PairIndex
    reason: Reason


@dataclass(frozen=True)
class MissingSource:
    """The node has no symbols from this pair, and why."""

    pair: PairIndex
    reason: Reason


@dataclass(frozen=True)
class ShardState:
    """One shard on a node: index, and None, Active, ActiveSync, ActiveRecover or LockedToMove."""

    shard: int
    status: str


@dataclass(frozen=True)
class NodeInfo:
    """A node's account of itself (GetInfo)."""

    node_id: str
    name: str
    epoch: Epoch
    status: str
    shards: tuple[ShardState, ...]
    version: str
    event_cursor: int
    n_shards: int
    chain_id: str
    chain_reachable: bool


def axis_to_pb(axis: Axis) -> pb.Axis.ValueType:
    """The enum value of an axis."""
    return _AXIS_TO_PB[axis]


def axis_from_pb(value: int) -> Axis:
    """The axis of an enum value; raises `MalformedAnswer`."""
    axis = _AXIS_FROM_PB.get(value)  # type: ignore[call-overload]
    if not isinstance(axis, Axis):
        raise MalformedAnswer(f"axis {value} does not exist")
    return axis


def persistence_to_pb(persistence: Persistence) -> pb.Persistence:
    """The message of a persistence."""
    match persistence:
        case Permanent():
            return pb.Persistence(permanent=pb.Permanent())
        case Deletable(object_id):
            return pb.Persistence(deletable=pb.Deletable(object_id=bytes.fromhex(object_id[2:])))


def sliver_stream(slivers: Iterable[tuple[PairIndex, Sliver]]) -> Iterator[pb.SliverHead | bytes]:
    """The heads and data chunks that carry these slivers, in order; each chunk is copied only when it is its turn."""
    for pair, sliver in slivers:
        data = memoryview(sliver.data)
        yield pb.SliverHead(
            axis=axis_to_pb(sliver.axis),
            pair_index=pair,
            sliver_index=sliver.index,
            symbol_size=sliver.symbol_size,
            size=len(data),
        )
        for start in range(0, len(data), CHUNK):
            yield bytes(data[start : start + CHUNK])


def head_from_pb(head: pb.SliverHead) -> SliverHead:
    """A sliver's announcement; raises `MalformedAnswer`."""
    return SliverHead(
        axis=axis_from_pb(head.axis),
        pair=PairIndex(head.pair_index),
        index=SliverIndex(head.sliver_index),
        symbol_size=head.symbol_size,
        size=head.size,
    )


def symbol_parts(item: list[RecoverySymbol] | MissingSource) -> Iterator[pb.GetRecoverySymbolsResponse]:
    """The messages that carry symbols: as many in each as fit into `CHUNK`, at least one."""
    if isinstance(item, MissingSource):
        yield pb.GetRecoverySymbolsResponse(missing=pb.MissingSource(source_pair=item.pair, reason=item.reason.value))
        return
    batch: list[bytes] = []
    size = 0
    for symbol in item:
        data = symbol.to_bcs()
        if batch and size + len(data) > CHUNK:
            yield pb.GetRecoverySymbolsResponse(symbols=pb.RecoverySymbols(symbols=batch))
            batch, size = [], 0
        batch.append(data)
        size += len(data)
    yield pb.GetRecoverySymbolsResponse(symbols=pb.RecoverySymbols(symbols=batch))


def synced_parts(slivers: Iterable[tuple[BlobId, memoryview]], *, complete: bool) -> Iterator[pb.SyncShardResponse]:
    """The messages that carry slivers (BCS) of a shard: as many in each as fit into `CHUNK`; large ones go on in the next.

    With `complete` the last message says that there are no more.
    """
    answer, room = pb.SyncShardResponse(), CHUNK
    for blob_id, data in slivers:
        if answer.slivers and room < len(data):
            yield answer
            answer, room = pb.SyncShardResponse(), CHUNK
        answer.slivers.add(blob_id=blob_id, size=len(data), data=bytes(data[:room]))
        sent = min(room, len(data))
        room -= sent
        while sent < len(data):
            yield answer
            rest = bytes(data[sent : sent + CHUNK])
            answer, room = pb.SyncShardResponse(rest=rest), CHUNK - len(rest)
            sent += len(rest)
    answer.complete = complete
    if answer.slivers or answer.rest or complete:
        yield answer


def signed_from_pb(signed: pb.SignedMessage) -> SignedMessage:
    """A signed message of the right form; raises `MalformedAnswer`."""
    if len(signed.signature) != _SIGNATURE:
        raise MalformedAnswer(f"a signature has {_SIGNATURE} bytes, not {len(signed.signature)}")
    return SignedMessage(signed.message, signed.signature)


def reason_from_text(text: str) -> Reason:
    """The reason of this name; a newer node's unknown ones count as INTERNAL_ERROR."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.INTERNAL_ERROR


def stored_from_pb(answer: pb.StoreBlobResponse) -> StoredBlob:
    """The answer to StoreBlob; raises `MalformedAnswer`."""
    outcome = answer.WhichOneof("outcome")
    if outcome is None:
        raise MalformedAnswer("the answer to StoreBlob has neither a confirmation nor a refusal")
    return StoredBlob(
        confirmation=signed_from_pb(answer.confirmation) if outcome == "confirmation" else None,
        refusal=Refusal(reason_from_text(answer.refusal.reason), answer.refusal.message)
        if outcome == "refusal"
        else None,
        slivers=tuple(
            SliverRefusal(
                axis_from_pb(entry.axis), PairIndex(entry.pair_index), reason_from_text(entry.reason), entry.message
            )
            for entry in answer.slivers
        ),
        stored=answer.stored,
    )


def status_from_pb(answer: pb.GetBlobStatusResponse) -> statuses.BlobStatus:
    """A node's opinion of a blob; raises `MalformedAnswer`."""
    match answer.WhichOneof("status"):
        case "nonexistent":
            return statuses.Nonexistent()
        case "invalid":
            return statuses.Invalid(_event(answer.invalid.event))
        case "permanent":
            found = answer.permanent
            return statuses.PermanentBlob(
                end_epoch=Epoch(found.end_epoch),
                is_certified=found.is_certified,
                event=_event(found.status_event),
                counts=_counts(found.deletable_counts),
                initial_certified_epoch=_epoch(found),
            )
        case "deletable":
            return statuses.DeletableBlob(_epoch(answer.deletable), _counts(answer.deletable.deletable_counts))
    raise MalformedAnswer("the answer to GetBlobStatus has no status")


def status_to_pb(status: statuses.BlobStatus) -> pb.GetBlobStatusResponse:
    """The answer that carries a status (the nodes' side of `status_from_pb`)."""
    match status:
        case statuses.Nonexistent():
            return pb.GetBlobStatusResponse(nonexistent=pb.NonexistentStatus())
        case statuses.Invalid(event):
            return pb.GetBlobStatusResponse(invalid=pb.InvalidStatus(event=_event_to_pb(event)))
        case statuses.PermanentBlob():
            return pb.GetBlobStatusResponse(
                permanent=pb.PermanentStatus(
                    end_epoch=status.end_epoch,
                    is_certified=status.is_certified,
                    status_event=_event_to_pb(status.event),
                    deletable_counts=_counts_to_pb(status.counts),
                    initial_certified_epoch=status.initial_certified_epoch,
                )
            )
        case statuses.DeletableBlob():
            return pb.GetBlobStatusResponse(
                deletable=pb.DeletableStatus(
                    initial_certified_epoch=status.initial_certified_epoch,
                    deletable_counts=_counts_to_pb(status.counts),
                )
            )


def info_from_pb(answer: pb.GetInfoResponse) -> NodeInfo:
    """A node's account of itself; raises `MalformedAnswer`."""
    if len(answer.node_id) not in {0, 32}:
        raise MalformedAnswer("a node id has 32 bytes")
    return NodeInfo(
        node_id="0x" + answer.node_id.hex() if answer.node_id else "",
        name=answer.name,
        epoch=Epoch(answer.epoch),
        status=answer.status,
        shards=tuple(ShardState(entry.shard, entry.status) for entry in answer.shards),
        version=answer.version,
        event_cursor=answer.event_cursor,
        n_shards=answer.n_shards,
        chain_id=answer.chain_id,
        chain_reachable=answer.chain_reachable,
    )


def store_header(blob_id: BlobId, metadata: bytes, persistence: Persistence, epoch: Epoch) -> pb.StoreBlobHeader:
    """The first message of StoreBlob."""
    return pb.StoreBlobHeader(
        blob_id=blob_id, metadata=metadata, persistence=persistence_to_pb(persistence), epoch=epoch
    )


def _epoch(found: pb.PermanentStatus | pb.DeletableStatus) -> Epoch | None:
    return Epoch(found.initial_certified_epoch) if found.HasField("initial_certified_epoch") else None


def _event(event: pb.EventId) -> EventId:
    return EventId(Digest(event.tx_digest), event.event_seq)


def _event_to_pb(event: EventId) -> pb.EventId:
    return pb.EventId(tx_digest=event.tx_digest, event_seq=event.seq)


def _counts(counts: pb.DeletableCounts) -> statuses.DeletableCounts:
    return statuses.DeletableCounts(counts.count_deletable_total, counts.count_deletable_certified)


def _counts_to_pb(counts: statuses.DeletableCounts) -> pb.DeletableCounts:
    return pb.DeletableCounts(count_deletable_total=counts.total, count_deletable_certified=counts.certified)
