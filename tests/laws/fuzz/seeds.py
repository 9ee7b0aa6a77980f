"""Well-formed messages and formats of every kind, from which the fuzz tests start.

`python -m tests.laws.fuzz.seeds` writes them to the folder `corpus` beside this file: protobuf messages as
`<type>.<number>.pb`, numbered in the order of a stream, and BCS formats as `<type>.<number>.bcs`. A message type without a
file of its own is filled in by `filled`, so that a new one is fuzzed from its first day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from tests.unit.node.worlds import US

from walrus_client.challenges import messages as challenge_messages
from walrus_client.challenges.reports import Report
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_client.peers import ExpectedShard, challenges, wire
from walrus_client.reasons import Reason
from walrus_client.statuses import BlobStatus, DeletableBlob, DeletableCounts, Invalid, Nonexistent, PermanentBlob
from walrus_codec import mapping, recovery, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.recovery import InconsistencyProof
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, Digest, EncodingType, Epoch, NodeId, ObjectId, PairIndex, ShardIndex, SliverIndex
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import messages
from walrus_sui.events import EventId
from walrus_sui.keys import BlsKey
from walrus_sui.messages import Deletable, Permanent

CORPUS = Path(__file__).parent / "corpus"
SERVICE = pb.DESCRIPTOR.services_by_name["StorageNode"]

N = 10
EPOCH = Epoch(1)
OURS = [ShardIndex(shard) for shard in range(4)]
OTHERS = [ShardIndex(shard) for shard in range(4, N)]
OTHER = NodeId("0x" + "07" * 32)
OTHERS_KEY = BlsKey(bytes(31) + b"\x07")
OUR_KEY = BlsKey(bytes(31) + b"\x05")
NOW_MS = 1_000_000_000
OBJECT = ObjectId("0x" + "01" * 32)
PARAMS = CodeParams(N, EncodingType.ISAL)
HONEST = redstuff.encode(bytes(range(56)), PARAMS)
LIE_AT = PairIndex(3)
_HASHES = list(HONEST.metadata.hashes)
_HASHES[LIE_AT] = replace(_HASHES[LIE_AT], secondary=b"\x01" * 32)
LYING = replace(HONEST.metadata, hashes=tuple(_HASHES))
"""Metadata of a writer who commits to a wrong secondary sliver at `LIE_AT`."""
LYING_ID = LYING.blob_id()
SYMBOL_SIZE = PARAMS.symbol_size(HONEST.metadata.unencoded_length)
SIGNATURE = OUR_KEY.sign(b"anything")
MOVED = OTHERS[0]
"""A shard of the other member that was ours."""
WANTED = ExpectedShard(MOVED, Axis.PRIMARY, bytes(32), 2, EPOCH, max_size=1 << 20)
HELLO = challenges.Hello(EPOCH, attempt=0, blobs=1, root=b"\x05" * 32, samples=197)


def slivers(shards: Iterable[ShardIndex]) -> list[tuple[PairIndex, Sliver]]:
    """Both slivers of these shards, with their pairs."""
    pairs = [HONEST.pairs[mapping.pair_of_shard(shard, HONEST.blob_id, N)] for shard in shards]
    return [(pair.index, sliver) for pair in pairs for sliver in (pair.primary, pair.secondary)]


def proof() -> InconsistencyProof:
    """That `LYING` is badly encoded."""
    target = mapping.sliver_of_pair(LIE_AT, Axis.SECONDARY, N)
    symbols = [
        recovery.make_symbols(HONEST.pairs[row].primary, [target], HONEST.metadata, PARAMS)[0]
        for row in range(PARAMS.k1)
    ]
    (found,) = recovery.recover(symbols, LYING, PARAMS)
    assert isinstance(found, InconsistencyProof)
    return found


def query() -> pb.RecoveryQuery:
    """What the other member may ask of us."""
    sources = [mapping.pair_of_shard(shard, HONEST.blob_id, N) for shard in OURS[:2]]
    targets = [mapping.pair_of_shard(shard, HONEST.blob_id, N) for shard in OTHERS[:2]]
    return pb.RecoveryQuery(
        blob_id=HONEST.blob_id, target_axis=pb.AXIS_PRIMARY, target_pairs=targets, source_pairs=sources
    )


def envelope(method: str, body: bytes, nonce: bytes) -> pb.Envelope:
    """The other member's word that it asks for this."""
    message = messages.node_request(
        method, sender=OTHER, receiver=US, unix_ms=NOW_MS, nonce=nonce, body=body, epoch=EPOCH
    )
    return pb.Envelope(
        sender=bytes.fromhex(OTHER[2:]), epoch=EPOCH, unix_ms=NOW_MS, nonce=nonce, signature=OTHERS_KEY.sign(message)
    )


def signed_query() -> pb.GetRecoverySymbolsRequest:
    """The query in the other member's envelope."""
    body, nonce = query().SerializeToString(deterministic=True), bytes(range(messages.NONCE_LENGTH))
    return pb.GetRecoverySymbolsRequest(envelope=envelope(wire.GET_RECOVERY_SYMBOLS, body, nonce), body=body)


def signed_hello() -> pb.ChallengeOpening:
    """The opening of the other member's challenge."""
    body, nonce = HELLO.to_body(), bytes(reversed(range(messages.NONCE_LENGTH)))
    return pb.ChallengeOpening(envelope=envelope(challenges.METHOD, body, nonce), body=body)


def signed_shard_query() -> pb.SyncShardRequest:
    """The other member asks for what we have of a shard that was ours."""
    body, nonce = WANTED.query().SerializeToString(deterministic=True), bytes([7] * messages.NONCE_LENGTH)
    return pb.SyncShardRequest(envelope=envelope(wire.SYNC_SHARD, body, nonce), body=body)


def report() -> Report:
    """The other member's good word about us."""
    return Report(
        epoch=EPOCH,
        challenger=OTHER,
        prover=US,
        attempt=0,
        seed=OTHERS_KEY.sign(b"seed"),
        blobs=HELLO.blobs,
        root=HELLO.root,
        samples=HELLO.samples,
        verdict=Verdict.PASS,
        reason=Outcome.PASS,
        first=None,
        answered=HELLO.samples,
        chain=b"\x06" * 32,
        start_ms=NOW_MS,
        end_ms=NOW_MS + 500,
    )


def statuses() -> list[BlobStatus]:
    """One of each kind."""
    event = EventId(Digest("8uz"), 3)
    return [
        Nonexistent(),
        Invalid(event),
        PermanentBlob(
            Epoch(9), is_certified=True, event=event, counts=DeletableCounts(1, 1), initial_certified_epoch=EPOCH
        ),
        DeletableBlob(None, DeletableCounts(2, 0)),
    ]


def _requests() -> Iterator[Message]:
    blob_id, metadata = HONEST.blob_id, HONEST.metadata.to_bcs()
    permanent = wire.persistence_to_pb(Permanent())
    yield pb.StoreBlobRequest(header=wire.store_header(blob_id, metadata, Permanent(), EPOCH))
    for part in wire.sliver_stream(slivers(OURS)):
        yield pb.StoreBlobRequest(sliver=part) if isinstance(part, pb.SliverHead) else pb.StoreBlobRequest(data=part)
    yield pb.StoreMetadataRequest(blob_id=blob_id, metadata=metadata, epoch=EPOCH)
    yield pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=blob_id, epoch=EPOCH))
    for part in wire.sliver_stream(slivers(OURS)[:1]):
        is_head = isinstance(part, pb.SliverHead)
        yield pb.StoreSliverRequest(sliver=part) if is_head else pb.StoreSliverRequest(data=part)
    yield pb.GetConfirmationRequest(blob_id=blob_id, persistence=permanent, epoch=EPOCH)
    yield pb.GetConfirmationRequest(blob_id=blob_id, persistence=wire.persistence_to_pb(Deletable(OBJECT)), epoch=EPOCH)
    yield pb.GetMetadataRequest(blob_id=blob_id)
    yield pb.GetSliversRequest(blob_id=blob_id, axis=pb.AXIS_PRIMARY)
    yield pb.GetSliversRequest(blob_id=blob_id, axis=pb.AXIS_SECONDARY, pair_indices=[slivers(OURS)[0][0]])
    yield query()
    yield pb.GetRecoverySymbolsRequest(body=query().SerializeToString(deterministic=True))
    yield signed_query()
    proved = proof()
    yield pb.SubmitInconsistencyProofRequest(blob_id=LYING_ID, axis=pb.AXIS_SECONDARY, proof=proved.to_bcs())
    yield WANTED.query()
    yield signed_shard_query()
    yield pb.ListRecordsRequest(checkpoint=0)
    yield pb.GetBlobStatusRequest(blob_id=blob_id)
    yield pb.GetInfoRequest()
    yield pb.ChallengeHello.FromString(HELLO.to_body())
    yield pb.ChallengeRequest(opening=signed_hello())
    yield pb.ChallengeRequest(seed=SIGNATURE)
    node = bytes.fromhex(OTHER[2:])
    declaration = OTHERS_KEY.sign(challenge_messages.recovering(OTHER, EPOCH))
    yield pb.DeclareRecoveringRequest(epoch=EPOCH, node_id=node, signature=declaration)
    yield pb.ListChallengeReportsRequest(epoch=EPOCH)
    yield pb.ListChallengeReportsRequest(epoch=EPOCH, challengers=[node])


def _answers() -> Iterator[Message]:
    confirmation = pb.SignedMessage(
        message=messages.confirmation(HONEST.blob_id, EPOCH, Permanent()), signature=SIGNATURE
    )
    refusal = pb.SliverRefusal(axis=pb.AXIS_PRIMARY, pair_index=1, reason=Reason.INVALID_SLIVER.value, message="no")
    yield pb.StoreBlobResponse(confirmation=confirmation, stored=8)
    yield pb.StoreBlobResponse(refusal=pb.Refusal(reason=Reason.MISSING_SLIVERS.value, message="no"), slivers=[refusal])
    yield pb.StoreMetadataResponse(already_stored=True)
    yield pb.StoreSliverResponse(already_stored=True)
    yield pb.GetConfirmationResponse(confirmation=confirmation)
    yield pb.GetMetadataResponse(metadata=HONEST.metadata.to_bcs())
    for part in wire.sliver_stream(slivers(OURS[:2])[::2]):
        is_head = isinstance(part, pb.SliverHead)
        yield pb.GetSliversResponse(sliver=part) if is_head else pb.GetSliversResponse(data=part)
    missing = pb.MissingSliver(pair_index=slivers(OURS)[4][0], reason=Reason.SLIVER_NOT_FOUND.value)
    yield pb.GetSliversResponse(missing=missing)
    asked = query()
    targets = [mapping.sliver_of_pair(PairIndex(pair), Axis.PRIMARY, N) for pair in asked.target_pairs]
    first, second = (PairIndex(pair) for pair in asked.source_pairs)
    yield from wire.symbol_parts(recovery.make_symbols(HONEST.pairs[first].secondary, targets, HONEST.metadata, PARAMS))
    yield pb.GetRecoverySymbolsResponse(
        missing=pb.MissingSource(source_pair=second, reason=Reason.SLIVER_NOT_FOUND.value)
    )
    yield pb.SubmitInconsistencyProofResponse(
        invalid_blob=pb.SignedMessage(message=messages.invalid_blob(LYING_ID, EPOCH), signature=SIGNATURE)
    )
    moved = sorted((blob_id, memoryview(slivers([MOVED])[0][1].to_bcs())) for blob_id in (HONEST.blob_id, LYING_ID))
    (both,) = wire.synced_parts(moved, complete=True)
    whole = both.slivers[1].data
    both.slivers[1].data, both.complete = whole[:5], False
    yield both
    yield pb.SyncShardResponse(rest=whole[5:], complete=True)
    found = [pb.Record(kind=pb.RECORD_KIND_OBJECT, id=blob_id, value=b"\x01") for blob_id in (LYING_ID, HONEST.blob_id)]
    found.sort(key=lambda record: record.id)
    yield pb.ListRecordsResponse(records=found[:1])
    yield pb.ListRecordsResponse(records=found[1:], complete=True)
    for status in statuses():
        yield wire.status_to_pb(status)
    yield challenges.response_to_pb(challenges.Ready(HELLO.blobs, HELLO.root, SIGNATURE))
    for index in range(3):
        yield challenges.response_to_pb(challenges.Answer(index, bytes([index]) * SYMBOL_SIZE))
    yield challenges.response_to_pb(challenges.Close(HELLO.root, SIGNATURE))
    body = report().to_bytes()
    reported = pb.ChallengeReport(body=body, signature=OTHERS_KEY.sign(body))
    yield pb.ListChallengeReportsResponse(reports=[reported, reported])


def _formats() -> Iterator[tuple[str, bytes]]:
    yield "BlobMetadata", HONEST.metadata.to_bcs()
    yield "BlobMetadata", LYING.to_bcs()
    rs2 = redstuff.encode(bytes(range(56)), CodeParams(N, EncodingType.RS2))
    yield "BlobMetadata", rs2.metadata.to_bcs()
    for pair in (HONEST.pairs[0], rs2.pairs[9]):
        yield "Sliver", pair.primary.to_bcs()
        yield "Sliver", pair.secondary.to_bcs()
    for source in (HONEST.pairs[0].primary, HONEST.pairs[7].secondary):
        (symbol,) = recovery.make_symbols(source, [SliverIndex(9)], HONEST.metadata, PARAMS)
        yield "RecoverySymbol", symbol.to_bcs()
    yield "InconsistencyProof", proof().to_bcs()
    good = report()
    yield "Report", good.to_bytes()
    yield "Report", replace(good, verdict=Verdict.NONE, reason=None, seed=b"", answered=0, attempt=0).to_bytes()
    yield "Report", replace(good, verdict=Verdict.FAIL, reason=Outcome.WRONG, first=3, answered=4).to_bytes()


def seeds() -> dict[str, bytes]:
    """File names and contents."""
    numbers: dict[str, int] = {}
    found: dict[str, bytes] = {}

    def add(kind: str, suffix: str, content: bytes) -> None:
        number = numbers[kind] = numbers.get(kind, -1) + 1
        found[f"{kind}.{number:02}.{suffix}"] = content

    for message in (*_requests(), *_answers()):
        add(message.DESCRIPTOR.full_name, "pb", message.SerializeToString(deterministic=True))
    for kind, content in _formats():
        add(kind, "bcs", content)
    return found


def filled(kind: Descriptor, depth: int = 3) -> Message:
    """A message with something in every field."""
    message = message_factory.GetMessageClass(kind)()
    for field in kind.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if depth:
                part = filled(field.message_type, depth - 1)
                if field.is_repeated:
                    getattr(message, field.name).add().CopyFrom(part)
                else:
                    getattr(message, field.name).CopyFrom(part)
            continue
        value = {
            FieldDescriptor.TYPE_BYTES: HONEST.blob_id,
            FieldDescriptor.TYPE_STRING: "text",
            FieldDescriptor.TYPE_BOOL: True,
            FieldDescriptor.TYPE_DOUBLE: 0.5,
        }.get(field.type, 1)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


@cache
def stored(kind: str, suffix: str = "pb") -> list[bytes]:
    """The corpus of one type, in order."""
    return [path.read_bytes() for path in sorted(CORPUS.glob(f"{kind}.*.{suffix}"))]


def messages_of(kind: Descriptor) -> list[bytes]:
    """The corpus of a protobuf type, or one message that is filled in."""
    return stored(kind.full_name) or [filled(kind).SerializeToString()]


def path_of(method: MethodDescriptor) -> str:
    """The method's name in gRPC."""
    return f"/{method.containing_service.full_name}/{method.name}"


def class_of(kind: Descriptor) -> type[Message]:
    """The generated class."""
    return message_factory.GetMessageClass(kind)


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    for path in CORPUS.iterdir():
        path.unlink()
    for name, content in seeds().items():
        (CORPUS / name).write_bytes(content)


if __name__ == "__main__":
    main()
