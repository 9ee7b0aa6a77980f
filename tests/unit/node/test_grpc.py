"""The public face over real gRPC and TLS: what is stored, what is refused, with which name, and what is left behind."""

import asyncio
import contextlib
import datetime as dt
import functools
import os
import socket
import ssl
import threading
from dataclasses import replace

import grpc
import grpc.aio
import h2.connection
import h2.settings
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.unit.node.test_storage import start_epochs
from tests.unit.node.worlds import (
    IDENTITY,
    ChainTwin,
    certified,
    object_id,
    pool_created,
    pool_id,
    pooled,
    pooled_deleted,
    registered,
    staking,
)

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.compute import Compute
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_client.statuses import Invalid, Nonexistent, PermanentBlob
from walrus_codec import mapping, redstuff
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType, Epoch, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.challenges.parts import HONEST, Challenges
from walrus_node.challenges.policies import Policies
from walrus_node.errors import DiskError
from walrus_node.events.processor import EventProcessor
from walrus_node.recovery.task import Progress
from walrus_node.rpc import certificate, connections, draining
from walrus_node.rpc.admission import CallCounter, Gate, client_of
from walrus_node.rpc.challenges import ChallengeService
from walrus_node.rpc.envelopes import EnvelopeChecker
from walrus_node.rpc.info import InfoSource
from walrus_node.rpc.records import RecordService
from walrus_node.rpc.rules import Lane, Pace
from walrus_node.rpc.server import GrpcServer
from walrus_node.rpc.service import NodeService
from walrus_node.rpc.servicer import StorageNodeServicer
from walrus_node.rpc.shards import ShardService
from walrus_node.rpc.streams import RequestStream, StreamLimits
from walrus_node.rpc.symbols import RecoveryService
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.store.records import ShardStatus
from walrus_node.store.room import RoomKeeper
from walrus_node.store.storage import SliverKey, Storage
from walrus_node.sync.task import SyncProgress
from walrus_proto.node.v1 import node_pb2, node_pb2_grpc
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import bls, messages, tls
from walrus_sui.events import BlobDeleted, InvalidBlobId
from walrus_sui.keys import BlsKey, NetworkKey
from walrus_sui.messages import Deletable, Permanent

N = 10
LARGE_N = 31
OURS = [0, 1, 2, 3]
EPOCH = 1
KEY = BlsKey.generate()
CERTIFICATE_KEY = NetworkKey.generate()
CONTENT = bytes(range(256)) * 40
ENCODED = redstuff.encode(CONTENT, CodeParams(N, EncodingType.ISAL))
BLOB = ENCODED.blob_id
METADATA = ENCODED.metadata.to_bcs()
OBJECT = object_id(1)
POOL = pool_id(1)
PAIRS = [ENCODED.pairs[mapping.pair_of_shard(ShardIndex(shard), BLOB, N)] for shard in OURS]
FOREIGN = ENCODED.pairs[mapping.pair_of_shard(ShardIndex(7), BLOB, N)]
PERMANENT = wire.persistence_to_pb(Permanent())


NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16), ("grpc.use_local_subchannel_pool", 1)]
"""Options of a channel that takes no more than it is asked for."""


def both(pairs):
    return [(pair.index, sliver) for pair in pairs for sliver in (pair.primary, pair.secondary)]


def header(**changes):
    fields = {"blob_id": BLOB, "metadata": METADATA, "persistence": PERMANENT, "epoch": EPOCH} | changes
    return pb.StoreBlobRequest(header=pb.StoreBlobHeader(**fields))


def parts(slivers):
    for part in wire.sliver_stream(slivers):
        yield pb.StoreBlobRequest(sliver=part) if isinstance(part, pb.SliverHead) else pb.StoreBlobRequest(data=part)


def head(pair, sliver, **changes):
    fields = {
        "axis": wire.axis_to_pb(sliver.axis),
        "pair_index": pair,
        "sliver_index": sliver.index,
        "symbol_size": sliver.symbol_size,
        "size": len(sliver.data),
    }
    return pb.SliverHead(**(fields | changes))


def limits(*, memory=64 << 20, wait_s=20, patience_s=5, slowest=1 << 10, calls=1024):
    gate = Gate(dict.fromkeys(Lane, memory), wait_s=wait_s)
    return StreamLimits(gate, Pace(patience_s, slowest), CallCounter(calls))


@contextlib.asynccontextmanager
async def no_window(world, method, request, *, calls):
    """A client that makes calls and allows not a byte of their answers; yields what says that its connection has ended."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, ssl=context)
    connection, ended = h2.connection.H2Connection(), asyncio.Event()
    connection.local_settings = h2.settings.Settings(initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    connection.initiate_connection()
    path = f"/{node_pb2.DESCRIPTOR.services_by_name['StorageNode'].full_name}/{method}"
    for _ in range(calls):
        stream = connection.get_next_available_stream_id()
        fields = {":method": "POST", ":scheme": "https", ":authority": "node.test", ":path": path}
        fields |= {"te": "trailers", "content-type": "application/grpc"}
        connection.send_headers(stream, list(fields.items()))
        body = request.SerializeToString()
        connection.send_data(stream, b"\x00" + len(body).to_bytes(4, "big") + body, end_stream=True)
    writer.write(connection.data_to_send())

    async def listen():
        while data := await reader.read(1 << 16):
            connection.receive_data(data)
            writer.write(connection.data_to_send())
        ended.set()

    listener = asyncio.create_task(listen())
    try:
        yield ended
    finally:
        listener.cancel()
        writer.close()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells what the other end of a connection does
            await asyncio.sleep(0.01)


async def fetch_all(call):
    while await call.read() is not grpc.aio.EOF:
        pass


class World:
    """One node's public face on a port, with a chain twin behind it."""

    def __init__(self, storage, tmp_path, *, n_shards=N):
        self.storage = storage
        self.folder = tmp_path
        self.chain = ChainTwin(staking(EPOCH, ours=OURS, n_shards=n_shards))
        self.view = ChainView(self.chain)
        self.compute = Compute(workers=1, inline_limit_s=1e9)
        self.limits = limits()
        self.policy, self.policies = Policy(mode=Mode.OFF), None
        self.key, self.certificate_key, self.identity = KEY, CERTIFICATE_KEY, IDENTITY
        self.host, self.shards, self.clock = "node.test", OURS, None
        self.free = self.capacity = 1 << 40
        self.faults, self.roles, self.reports_of, self.door = None, HONEST, None, None

    async def start(self):
        self.processor = EventProcessor(self.storage, cursor=await self.storage.cursor())
        if self.clock is not None:
            self.processor.chain_now_ms = self.clock
        self.room = RoomKeeper(self.storage, free=lambda: self.free, capacity=self.capacity, reserve=1 << 20)
        self.challenges = Challenges(
            storage=self.storage,
            processor=self.processor,
            view=self.view,
            compute=self.compute,
            admitted=functools.partial(self.limits.gate.admitted, Lane.CHALLENGE),
            users_active=lambda: False,
            key=self.key,
            policies=self.policies or Policies(name="demo-0", policy=self.policy, node_mode=Mode.VOTE),
            roles=self.roles,
        )
        self.service = NodeService(
            storage=self.storage,
            processor=self.processor,
            view=self.view,
            compute=self.compute,
            key=self.key,
            gate=self.limits.gate,
            room=self.room,
            held=self.challenges.held,
            registration_wait_s=0.2,
        )
        self.info = InfoSource(
            name="demo-0",
            storage=self.storage,
            processor=self.processor,
            view=self.view,
            follower_age_s=lambda: 0.5,
            room=self.room,
            recovery=Progress,
            scrub=ScrubProgress,
            sync=SyncProgress,
            challenges=lambda: self.challenges.progress,
        )
        self.recovery = RecoveryService(
            storage=self.storage,
            read_metadata=self.service.metadata,
            view=self.view,
            compute=self.compute,
            key=self.key,
            gate=self.limits.gate,
            feeding=self.challenges.feeding,
        )
        self.service.identity = self.info.identity = self.challenges.identity = self.identity
        identity = certificate.obtain(
            self.folder / "certificate.pem", self.certificate_key, self.host, now=dt.datetime.now(dt.UTC)
        )
        self.now_ms = [1_000_000_000]
        envelopes = EnvelopeChecker(self.view, now_ms=lambda: self.now_ms[0])
        shards = ShardService(
            storage=self.storage,
            processor=self.processor,
            gate=self.limits.gate,
            feeding=self.challenges.feeding,
        )
        challenges = ChallengeService(
            prover=self.challenges.prover,
            declarations=self.challenges.declarations,
            reports=self.reports_of() if self.reports_of else self.storage,
            envelopes=envelopes,
        )
        self.records = RecordService(storage=self.storage, processor=self.processor, gate=self.limits.gate)
        self.servicer = StorageNodeServicer(
            self.service,
            self.recovery,
            envelopes,
            self.info,
            self.limits,
            shards=shards,
            challenges=challenges,
            records=self.records,
        )
        self.server = GrpcServer(self.servicer, identity, self.limits, door=self.door, faults=self.faults)
        self.server_identity = identity
        port = self.port = await self.server.start("127.0.0.1", 0)

        def connect(*options):
            return grpc.aio.secure_channel(
                f"127.0.0.1:{port}",
                grpc.ssl_channel_credentials(identity.certificate),
                options=[("grpc.ssl_target_name_override", self.host), *options],
            )

        self.connect = connect
        self.channel = connect(("grpc.max_send_message_length", -1))
        self.stub = node_pb2_grpc.StorageNodeStub(self.channel)
        await self.storage.create_shards([ShardIndex(shard) for shard in self.shards], ShardStatus.ACTIVE)
        return self

    async def stop(self):
        await self.channel.close()
        await self.server.stop(0)
        await self.compute.close()

    async def events(self, *events):
        cursor = self.processor.cursor
        sequence = cursor.sequence + 1 if cursor else 0
        numbered = [(wire.EventId(wire.Digest(f"t{sequence}"), place), event) for place, event in enumerate(events)]
        await self.processor.apply(sequence, 0, numbered)

    async def register(self, **options):
        await self.events(registered(BLOB, OBJECT, 9, **options))

    async def store(self, *requests):
        return await self.stub.StoreBlob(iter(requests), timeout=20)

    async def refuses(self, call, *, left=0, metadata=False):
        """The refusal of a call, after looking that nothing was stored beyond what is expected."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        refusal = refusal_of(raised.value)
        assert refusal is not None, raised.value
        assert raised.value.code().value[0] == refusal.reason.status.grpc_number
        assert self.storage.slivers_stored == left
        assert self.storage.blobs_stored == metadata
        return refusal


@pytest.fixture
def storage(memory_storage):
    """The twin is enough here: both databases passed the same tests, and processes with the real one have their own."""
    return memory_storage


@pytest.fixture
async def world(storage, tmp_path):
    made = await World(storage, tmp_path).start()
    yield made
    await made.stop()


async def refuse_everything(world, **left):
    """Every call about the blob is refused as INVALID_BLOB, with the event that says so."""
    stub, head_ = world.stub, pb.StoreSliverHeader(blob_id=BLOB, epoch=EPOCH)
    query = pb.RecoveryQuery(blob_id=BLOB, target_axis=pb.AXIS_PRIMARY, target_pairs=[0], source_pairs=[1])
    calls = [
        world.store(header(), *parts(both(PAIRS))),
        stub.StoreMetadata(pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH)),
        stub.StoreSliver(iter([pb.StoreSliverRequest(header=head_)])),
        stub.GetConfirmation(pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)),
        stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB)),
        all_of(stub.GetSlivers(pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY))),
        all_of(stub.GetRecoverySymbols(pb.GetRecoverySymbolsRequest(body=query.SerializeToString()))),
        stub.SubmitInconsistencyProof(
            pb.SubmitInconsistencyProofRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY, proof=b"x")
        ),
    ]
    for call in calls:
        refusal = await world.refuses(call, **left)
        assert refusal.reason is Reason.INVALID_BLOB
        assert refusal.metadata["tx_digest"] == "t1"


async def all_of(stream):
    return [part async for part in stream]


def verified(signed, persistence=Permanent(), epoch=EPOCH):  # noqa: B008 - a frozen value
    assert signed.message == messages.confirmation(BLOB, Epoch(epoch), persistence)
    return bls.verify(KEY.public_key, signed.message, signed.signature)


def large_blob():
    """A blob whose primary slivers are larger than a chunk, and the pairs of our shards."""
    params = CodeParams(LARGE_N, EncodingType.ISAL)
    encoded = redstuff.encode(os.urandom(params.max_blob_size), params)
    pairs = [encoded.pairs[mapping.pair_of_shard(ShardIndex(shard), encoded.blob_id, LARGE_N)] for shard in OURS]
    return encoded, pairs


class TestStoreBlob:
    async def test_one_stream_stores_all_and_is_confirmed(self, world):
        await world.register()
        answer = await world.store(header(), *parts(both(PAIRS)))
        assert verified(answer.confirmation)
        assert (answer.stored, list(answer.slivers)) == (8, [])
        assert (world.storage.slivers_stored, world.storage.blobs_stored) == (8, 1)

    async def test_a_second_time_nothing_is_stored_and_it_is_confirmed_again(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        again = await world.store(header(), *parts(both(PAIRS)))
        assert again.stored == 0
        assert verified(again.confirmation)
        without_slivers = await world.store(header())
        assert verified(without_slivers.confirmation)

    async def test_it_waits_for_the_registration(self, world, running):
        call = running(world.store(header(), *parts(both(PAIRS))))
        await asyncio.sleep(0.05)
        await world.register()
        assert verified((await call).confirmation)

    async def test_missing_slivers_are_told_and_the_others_kept(self, world):
        await world.register()
        answer = await world.store(header(), *parts(both(PAIRS)[:-1]))
        assert answer.refusal.reason == Reason.MISSING_SLIVERS
        assert answer.stored == 7
        assert verified((await world.store(header(), *parts(both(PAIRS)[-1:]))).confirmation)

    async def test_a_corrupt_sliver_is_refused_and_the_others_kept(self, world):
        await world.register()
        slivers = both(PAIRS)
        pair, good = slivers[3]
        bad = bytearray(good.data)
        bad[-1] ^= 1
        slivers[3] = (pair, replace(good, data=bytes(bad)))
        answer = await world.store(header(), *parts(slivers))
        assert answer.refusal.reason == Reason.MISSING_SLIVERS
        (refused,) = answer.slivers
        assert (refused.reason, refused.pair_index, refused.axis) == (Reason.INVALID_SLIVER, pair, pb.AXIS_SECONDARY)
        assert world.storage.slivers_stored == 7
        assert verified((await world.store(header(), *parts([(pair, good)]))).confirmation)

    async def test_foreign_slivers_are_refused_and_do_not_hinder(self, world):
        await world.register()
        answer = await world.store(header(), *parts(both([FOREIGN, *PAIRS])))
        assert [entry.reason for entry in answer.slivers] == [Reason.SHARD_NOT_ASSIGNED] * 2
        assert verified(answer.confirmation)
        assert world.storage.slivers_stored == 8

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"pair_index": N}, Reason.INDEX_OUT_OF_RANGE),
            ({"pair_index": 2**32 - 1}, Reason.INDEX_OUT_OF_RANGE),
            ({"sliver_index": (PAIRS[0].primary.index + 1) % N}, Reason.SLIVER_INDEX_MISMATCH),
            ({"symbol_size": PAIRS[0].primary.symbol_size * 2}, Reason.INVALID_SLIVER),
        ],
    )
    async def test_heads_that_do_not_fit_refuse_their_sliver_only(self, world, changes, reason):
        await world.register()
        sliver = PAIRS[0].primary
        wrong = head(PAIRS[0].index, sliver, **changes)
        answer = await world.store(
            header(),
            pb.StoreBlobRequest(sliver=wrong),
            pb.StoreBlobRequest(data=bytes(sliver.data)),
            *parts(both(PAIRS)),
        )
        assert [entry.reason for entry in answer.slivers] == [reason]
        assert verified(answer.confirmation)

    async def test_a_sliver_that_is_too_short_is_refused(self, world):
        await world.register()
        sliver = PAIRS[0].primary
        short = pb.StoreBlobRequest(sliver=head(PAIRS[0].index, sliver, size=2))
        answer = await world.store(header(), short, pb.StoreBlobRequest(data=b"ab"))
        assert [entry.reason for entry in answer.slivers] == [Reason.INVALID_SLIVER]
        assert world.storage.slivers_stored == 0

    async def test_a_sliver_that_is_too_large_ends_the_stream_before_its_data(self, world):
        await world.register()
        large = pb.StoreBlobRequest(sliver=head(PAIRS[0].index, PAIRS[0].primary, size=2**60))
        refusal = await world.refuses(world.store(header(), large), metadata=True)
        assert refusal.reason is Reason.SLIVER_TOO_LARGE
        assert refusal.metadata == {"limit": str(len(PAIRS[0].primary.data))}

    async def test_the_same_sliver_twice_in_one_stream_is_stored_once(self, world):
        await world.register()
        slivers = both(PAIRS)
        answer = await world.store(header(), *parts([*slivers, slivers[0]]))
        assert answer.stored == 8
        assert verified(answer.confirmation)

    async def test_large_blobs_arrive_in_batches(self, storage, tmp_path):
        encoded, pairs = large_blob()
        world = await World(storage, tmp_path, n_shards=LARGE_N).start()
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        answer = await world.store(first, *parts(both(pairs)))
        assert answer.WhichOneof("outcome") == "confirmation"
        assert answer.stored == 8
        await world.stop()

    @pytest.mark.parametrize("size", [0, 1, 444])
    async def test_small_blobs(self, world, size):
        encoded = redstuff.encode(bytes(size), CodeParams(N, EncodingType.ISAL))
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        pairs = [encoded.pairs[mapping.pair_of_shard(ShardIndex(shard), encoded.blob_id, N)] for shard in OURS]
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        assert (await world.store(first, *parts(both(pairs)))).stored == 8

    async def test_the_official_code_is_taken_too(self, world):
        encoded = redstuff.encode(CONTENT, CodeParams(N, EncodingType.RS2))
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        pairs = [encoded.pairs[mapping.pair_of_shard(ShardIndex(shard), encoded.blob_id, N)] for shard in OURS]
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        assert (await world.store(first, *parts(both(pairs)))).stored == 8


class TestRefusedStreams:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"epoch": EPOCH + 1}, Reason.INVALID_EPOCH),
            ({"epoch": EPOCH - 1}, Reason.INVALID_EPOCH),
            ({"blob_id": b"short"}, Reason.MALFORMED_REQUEST),
            ({"persistence": None}, Reason.MALFORMED_REQUEST),
            ({"persistence": pb.Persistence(deletable=pb.Deletable(object_id=b"x"))}, Reason.MALFORMED_REQUEST),
            ({"metadata": b""}, Reason.INVALID_METADATA),
            ({"metadata": METADATA[:-1]}, Reason.INVALID_METADATA),
            ({"metadata": METADATA + b"\0"}, Reason.INVALID_METADATA),
            ({"metadata": bytes(1 << 20)}, Reason.INVALID_METADATA),
            ({"metadata": METADATA[:1] + b"\x07" + METADATA[2:]}, Reason.UNSUPPORTED_ENCODING_TYPE),
            ({"blob_id": bytes(32)}, Reason.INVALID_METADATA),
            (
                {"metadata": replace(ENCODED.metadata, hashes=ENCODED.metadata.hashes[:-1]).to_bcs()},
                Reason.INVALID_METADATA,
            ),
        ],
    )
    async def test_headers(self, world, changes, reason):
        await world.register()
        refusal = await world.refuses(world.store(header(**changes), *parts(both(PAIRS))))
        assert refusal.reason is reason

    async def test_a_wrong_epoch_tells_both(self, world):
        await world.register()
        refusal = await world.refuses(world.store(header(epoch=7)))
        assert refusal.metadata == {"request_epoch": "7", "server_epoch": "1"}

    async def test_an_unregistered_blob(self, world):
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))))
        assert refusal.reason is Reason.NOT_REGISTERED

    async def test_an_expired_registration(self, world):
        await world.events(registered(BLOB, OBJECT, 1))
        await start_epochs(world.storage, 1)
        world.processor = world.service._processor = EventProcessor(world.storage, cursor=await world.storage.cursor())
        refusal = await world.refuses(world.store(header()))
        assert refusal.reason is Reason.NOT_REGISTERED

    async def test_an_invalid_blob(self, world):
        await world.register()
        await world.events(InvalidBlobId(Epoch(EPOCH), BLOB))
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))))
        assert refusal.reason is Reason.INVALID_BLOB
        assert refusal.metadata == {"tx_digest": "t1", "event_seq": "0"}

    async def test_a_sender_is_heard_out_before_it_is_refused(self, world):
        """A client that is still writing when the status comes may lose it."""
        sent = []

        async def requests():
            yield header()
            await asyncio.sleep(0.2)
            for part in parts(both(PAIRS)):
                sent.append(part)
                yield part

        refusal = await world.refuses(world.stub.StoreBlob(requests(), timeout=20))
        assert refusal.reason is Reason.NOT_REGISTERED
        assert sent == list(parts(both(PAIRS)))

    async def test_only_a_few_are_heard_out_at_a_time(self, world, monkeypatch):
        """No budget counts what they send, so the others are refused at once; the reason has gone ahead."""
        heard, hear_out = [], RequestStream._hear_out

        async def noted(stream):
            heard.append(stream)
            await hear_out(stream)

        monkeypatch.setattr(RequestStream, "_hear_out", noted)
        places = 0
        while not world.limits.hearing.locked():
            await world.limits.hearing.acquire()
            places += 1
        assert (await world.refuses(world.store(header()))).reason is Reason.NOT_REGISTERED
        assert not heard
        for _ in range(places):
            world.limits.hearing.release()
        assert (await world.refuses(world.store(header()))).reason is Reason.NOT_REGISTERED
        assert len(heard) == 1

    async def test_a_sender_that_does_not_end_is_refused_all_the_same(self, world):
        async def requests():
            yield header()
            await asyncio.Event().wait()

        refusal = await world.refuses(world.stub.StoreBlob(requests(), timeout=20))
        assert refusal.reason is Reason.NOT_REGISTERED

    async def test_before_the_chain_was_reached(self, world):
        world.view._staking = None
        world.chain.down = True
        refusal = await world.refuses(world.store(header()))
        assert refusal.reason is Reason.UNAVAILABLE

    async def test_while_shards_are_set_up(self, world):
        world.chain.view = staking(EPOCH, ours=[*OURS, 8])
        await world.register()
        refusal = await world.refuses(world.store(header()), metadata=True)
        assert refusal.reason is Reason.UNAVAILABLE
        assert "still being set up" in refusal.message

    @pytest.mark.parametrize(
        ("requests", "words"),
        [
            ([], "ended before its header"),
            ([pb.StoreBlobRequest()], "must go on with its header"),
            ([pb.StoreBlobRequest(data=b"x")], "must go on with its header"),
            ([header(), header()], "slivers and their data only"),
            ([header(), pb.StoreBlobRequest(data=b"x")], "without a sliver's head"),
            ([header(), pb.StoreBlobRequest()], "slivers and their data only"),
            ([header(), pb.StoreBlobRequest(sliver=head(0, PAIRS[0].primary, axis=0))], "axis 0"),
            ([header(), pb.StoreBlobRequest(sliver=head(0, PAIRS[0].primary, axis=9))], "axis 9"),
            ([header(), pb.StoreBlobRequest(sliver=head(0, PAIRS[0].primary, size=0))], "at least one byte"),
        ],
    )
    async def test_order(self, world, requests, words):
        await world.register()
        wanted = bool(requests) and requests[0].WhichOneof("part") == "header"
        refusal = await world.refuses(world.store(*requests), metadata=wanted)
        assert refusal.reason is Reason.MALFORMED_REQUEST
        assert words in refusal.message

    async def test_truncated(self, world):
        await world.register()
        requests = list(parts(both(PAIRS)))
        requests[-1] = pb.StoreBlobRequest(data=requests[-1].data[:-1])
        refusal = await world.refuses(world.store(header(), *requests), metadata=True)
        assert refusal.reason is Reason.MALFORMED_REQUEST
        assert "1 bytes of a sliver are missing" in refusal.message

    async def test_more_data_than_announced(self, world):
        await world.register()
        first, data, *_ = parts(both(PAIRS))
        too_much = pb.StoreBlobRequest(data=data.data + b"x")
        refusal = await world.refuses(world.store(header(), first, too_much), metadata=True)
        assert refusal.reason is Reason.MALFORMED_REQUEST

    async def test_chunks_above_a_mebibyte(self, world):
        await world.register()
        first, *_ = parts(both(PAIRS))
        oversized = pb.StoreBlobRequest(data=bytes((1 << 20) + 1))
        refusal = await world.refuses(world.store(header(), first, oversized), metadata=True)
        assert refusal.reason is Reason.MALFORMED_REQUEST
        assert "a chunk has 1 to 1048576 bytes" in refusal.message

    async def test_messages_above_the_limit_end_the_call(self, world):
        await world.register()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await world.store(header(), pb.StoreBlobRequest(data=bytes(5 << 20)))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert world.storage.slivers_stored == 0

    async def test_messages_that_are_not_protobuf(self, world):
        methods = {
            "StoreBlob": world.channel.stream_unary,
            "StoreSliver": world.channel.stream_unary,
        }
        for method, kind in methods.items():
            call = kind(f"/walrus.node.v1.StorageNode/{method}", request_serializer=bytes)
            refusal = await world.refuses(call(iter([b"\xff\xff\xff"]), timeout=5))
            assert refusal.reason is Reason.MALFORMED_REQUEST
        for method in ("StoreMetadata", "GetConfirmation", "GetMetadata", "GetBlobStatus", "GetInfo"):
            call = world.channel.unary_unary(f"/walrus.node.v1.StorageNode/{method}", request_serializer=bytes)
            refusal = await world.refuses(call(b"\xff\xff\xff", timeout=5))
            assert refusal.reason is Reason.MALFORMED_REQUEST

        async def read_slivers():
            call = world.channel.unary_stream("/walrus.node.v1.StorageNode/GetSlivers", request_serializer=bytes)
            return [part async for part in call(b"\xff\xff\xff", timeout=5)]

        assert (await world.refuses(read_slivers())).reason is Reason.MALFORMED_REQUEST

    async def test_a_sender_that_stalls(self, storage, tmp_path):
        world = World(storage, tmp_path)
        world.limits = limits(patience_s=0.1)
        await world.start()
        await world.register()

        async def stalling():
            yield header()
            yield next(parts(both(PAIRS)))
            await asyncio.sleep(10)

        refusal = await world.refuses(world.stub.StoreBlob(stalling(), timeout=20), metadata=True)
        assert refusal.reason is Reason.UNAVAILABLE
        assert world.server is not None
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation), "its memory was given back"
        await world.stop()

    async def test_when_memory_is_taken(self, storage, tmp_path):
        world = World(storage, tmp_path)
        world.limits = limits(memory=50_000, wait_s=0.3)
        await world.start()
        await world.register()

        async def dripping():
            yield header()
            first, data, *_ = parts(both(PAIRS))
            yield first
            for byte in data.data:
                yield pb.StoreBlobRequest(data=bytes([byte]))
                await asyncio.sleep(0.05)

        first = world.stub.StoreBlob(dripping(), timeout=20)
        await asyncio.sleep(0.05)
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), metadata=True)
        assert refusal.reason is Reason.CACHE_SATURATED
        assert 1 <= refusal.retry_after_s <= 2
        assert refusal.metadata == {"lane": "write"}
        first.cancel()
        await world.stop()

    async def test_a_sender_that_drips(self, storage, tmp_path):
        """It never pauses for long, but would hold the memory of an upload for days."""
        world = World(storage, tmp_path)
        world.limits = limits(patience_s=1)
        await world.start()
        await world.register()

        async def dripping():
            yield header()
            yield next(parts(both(PAIRS)))
            while True:
                yield pb.StoreBlobRequest(data=b"x")
                await asyncio.sleep(0.1)

        refusal = await world.refuses(world.stub.StoreBlob(dripping(), timeout=20), metadata=True)
        assert refusal.reason is Reason.UNAVAILABLE
        assert "bytes per second" in refusal.message
        assert world.limits.gate.used(Lane.WRITE) == 0
        await world.stop()

    async def test_a_reader_that_pauses_for_too_long_is_told_why_and_may_ask_again(
        self, storage, tmp_path, monkeypatch
    ):
        world, request = await self.large_world(storage, tmp_path, patience_s=1)
        monkeypatch.setattr(draining, "hang_up", lambda _peer: False)  # however busy this machine is
        async with world.connect(*NARROW) as channel:
            resuming = node_pb2_grpc.StorageNodeStub(channel).GetSlivers(request)
            assert (await resuming.read()).HasField("sliver")
            await until(lambda: world.server.readers.cut == 1)
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await fetch_all(resuming)
            refusal = refusal_of(raised.value)
            assert refusal.reason is Reason.CACHE_SATURATED
            assert "bytes per second" in refusal.message
            assert refusal.metadata == {"least_bytes_per_second": "1024", "longest_pause_s": "1"}
            assert world.limits.gate.used(Lane.READ) == 0
            again = node_pb2_grpc.StorageNodeStub(channel).GetSlivers(request, timeout=20)
            assert len(await all_of(again)) == 2 * len(OURS)
        await world.stop()

    async def test_readers_that_fetch_not_even_the_reason_lose_their_connection_once(
        self, storage, tmp_path, monkeypatch
    ):
        world, request = await self.large_world(storage, tmp_path, patience_s=0.3)
        held, looked, hang_up = functools.partial(world.limits.gate.used, Lane.READ), [], draining.hang_up
        monkeypatch.setattr(draining, "hang_up", lambda peer: (looked.append(held()), hang_up(peer))[1])
        async with world.connect(*NARROW) as channel, world.connect(("grpc.use_local_subchannel_pool", 1)) as other:
            stub = node_pb2_grpc.StorageNodeStub(channel)
            silent = [stub.GetSlivers(request) for _ in range(3)]
            for call in silent:
                assert (await call.read()).HasField("sliver")
            await node_pb2_grpc.StorageNodeStub(other).GetInfo(pb.GetInfoRequest())
            await until(lambda: world.server.readers.hung_up and held() == 0)
            assert world.server.readers.cut >= 1, "the connection ends for all of its calls when the first is due"
            assert looked[0] > 0, "until then what is stuck in the connection is counted"
            for call in silent:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await fetch_all(call)
                assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert other.get_state() is grpc.ChannelConnectivity.READY, "nobody else was hung up on"
            # It may come again.
            assert len(await all_of(stub.GetSlivers(request, timeout=20))) == 2 * len(OURS)
        await world.stop()

    @pytest.mark.parametrize("method", ["GetMetadata", "GetSlivers"])
    async def test_a_reader_without_a_window_loses_its_connection_also_when_the_answer_is_small(
        self, storage, tmp_path, monkeypatch, method
    ):
        """gRPC takes such an answer from the handler at once; it is there all the same."""
        monkeypatch.setattr(draining, "_SMALL", 100)
        world = World(storage, tmp_path)
        world.limits = limits(patience_s=0.3, slowest=1 << 20)
        await world.start()
        await world.register()
        assert (await world.store(header(), *parts(both(PAIRS)))).stored == 2 * len(OURS)
        request = {
            "GetMetadata": pb.GetMetadataRequest(blob_id=BLOB),
            "GetSlivers": pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY),
        }[method]
        held = functools.partial(world.limits.gate.used, Lane.READ)
        async with no_window(world, method, request, calls=5) as ended:
            await until(lambda: held() > 0)
            async with asyncio.timeout(20):
                await ended.wait()
            await until(lambda: held() == 0)
        assert (world.server.readers.cut > 0) == (method == "GetSlivers"), (
            "of a stream the node sees that it stands still"
        )
        assert world.server.readers.hung_up == 1, "whatever the number of calls"
        await world.stop()

    async def large_world(self, storage, tmp_path, *, patience_s):
        """A node with a blob of which no connection holds all slivers, and the request for them."""
        world = World(storage, tmp_path)
        world.limits = limits(patience_s=patience_s)
        await world.start()
        encoded = redstuff.encode(bytes(1_800_000), CodeParams(N, EncodingType.ISAL))
        ours = [encoded.pairs[mapping.pair_of_shard(ShardIndex(shard), encoded.blob_id, N)] for shard in OURS]
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        assert (await world.store(first, *parts(both(ours)))).stored == 2 * len(OURS)
        return world, pb.GetSliversRequest(blob_id=encoded.blob_id, axis=pb.AXIS_PRIMARY)

    async def test_a_full_node_refuses_before_it_takes_bytes_and_confirms_what_it_has(self, world):
        await world.register()
        uploads = {"whole": parts(both(PAIRS)), "nothing": []}
        world.free = (1 << 20) - 1
        for slivers in uploads.values():
            refusal = await world.refuses(world.store(header(), *slivers))
            assert refusal.reason is Reason.UNAVAILABLE
            assert refusal.metadata == {"condition": "DISK_NEARLY_FULL"}
            assert refusal.retry_after_s == 30
        answer = await world.stub.GetInfo(pb.GetInfoRequest())
        assert answer.storage.condition == "DISK_NEARLY_FULL"
        assert "larger volume" in answer.storage.message
        assert answer.storage.disk_free == world.free
        world.free = 1 << 40
        assert (await world.store(header(), *parts(both(PAIRS[:1])))).refusal.reason == Reason.MISSING_SLIVERS
        world.free = 0
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), left=2, metadata=True)
        assert refusal.metadata == {"condition": "DISK_NEARLY_FULL"}
        request = pb.StoreSliverHeader(blob_id=BLOB, epoch=EPOCH)
        call = world.stub.StoreSliver(iter([pb.StoreSliverRequest(header=request)]), timeout=20)
        assert (await world.refuses(call, left=2, metadata=True)).reason is Reason.UNAVAILABLE
        world.free = 1 << 40
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation)
        world.free = 0
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation), "it has all of it"
        assert (await world.stub.GetInfo(pb.GetInfoRequest())).storage.bytes_stored == world.storage.bytes_stored

    async def test_a_node_stores_no_more_than_it_offers(self, world):
        await world.register()
        size = len(METADATA) + sum(len(sliver.data) for _pair, sliver in both(PAIRS))
        world.room._capacity = size - 1
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))))
        assert refusal.metadata == {"condition": "CAPACITY_REACHED"}
        assert "node_capacity" in refusal.message
        world.room._capacity = size
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation)

    async def test_a_disk_that_fails_before_the_confirmation(self, world, monkeypatch):
        await world.register()

        def refuse():
            raise DiskError("cannot sync: No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(world.storage._kv, "sync", refuse)
            refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), left=8, metadata=True)
            assert refusal.reason is Reason.UNAVAILABLE
            assert refusal.metadata == {"condition": "DISK_FAILING"}
            assert "No space" in refusal.message
        confirm = pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)
        assert verified((await world.stub.GetConfirmation(confirm)).confirmation)

    async def test_a_slow_disk_delays_confirmations_and_nothing_else(self, world, monkeypatch, running):
        await world.register()
        reached, go, sync = threading.Event(), threading.Event(), world.storage._kv.sync

        def slowly():
            reached.set()
            assert go.wait(20)
            sync()

        monkeypatch.setattr(world.storage._kv, "sync", slowly)
        stores = [running(world.store(header(), *parts(both(PAIRS)))) for _ in range(5)]
        await asyncio.to_thread(reached.wait, 20)
        assert (await world.stub.GetInfo(pb.GetInfoRequest(), timeout=20)).slivers_stored == 8
        before = world.processor.cursor.sequence
        await world.events(registered(BLOB, object_id(7), 9))
        assert world.processor.cursor.sequence == before + 1, "the chain is followed"
        request = pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY)
        assert len([part async for part in world.stub.GetSlivers(request, timeout=20)]) == 2 * len(OURS)
        assert not any(store.done() for store in stores)
        go.set()
        assert all(verified(answer.confirmation) for answer in await asyncio.gather(*stores))

    async def test_more_calls_than_are_served(self, storage, tmp_path):
        world = World(storage, tmp_path)
        world.limits = limits(calls=4)
        await world.start()
        await world.register()
        silent = asyncio.Event()

        async def waiting():
            yield header()
            await silent.wait()

        calls = [world.stub.StoreBlob(waiting(), timeout=20) for _ in range(3)]
        await until(lambda: len(world.limits.calls) == 3)
        refusal = await world.refuses(world.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB)), metadata=True)
        assert refusal.reason is Reason.CACHE_SATURATED, "one client gets three quarters"
        assert refusal.retry_after_s == 1
        assert (await world.stub.GetInfo(pb.GetInfoRequest())).name == "demo-0", "what operators ask is answered"
        for call in calls:
            call.cancel()
        await until(lambda: len(world.limits.calls) == 0)
        await world.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB))
        await world.stop()

    @pytest.mark.parametrize(
        ("peer", "client"),
        [
            ("ipv4:10.0.0.7:4711", "10.0.0.7"),
            ("ipv6:%5B2001:db8:1:2:3::7%5D:4711", "2001:db8:1:2::/64"),
            ("ipv6:[::ffff:10.0.0.7]:4711", "10.0.0.7"),
            ("ipv6:%5Bfe80::1%25eth0%5D:4711", "fe80::/64"),
            ("unix:/run/socket", "unix"),
        ],
    )
    def test_whose_turns_a_connection_uses(self, peer, client):
        assert client_of(peer) == client

    async def test_a_sender_that_goes_away_leaves_whole_slivers_only(self, world):
        await world.register()
        arrived = asyncio.Event()

        async def leaving():
            yield header()
            for part in list(parts(both(PAIRS)))[:5]:
                yield part
            arrived.set()
            await asyncio.sleep(10)

        call = world.stub.StoreBlob(leaving(), timeout=20)
        await asyncio.wait_for(arrived.wait(), 5)
        call.cancel()
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation)

    async def test_a_fault_of_the_node_is_named_as_such(self, world, monkeypatch):
        async def broken(*_):
            raise OSError("no space left on device")

        await world.register()
        monkeypatch.setattr(world.storage, "put_slivers", broken)
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), metadata=True)
        assert refusal.reason is Reason.INTERNAL_ERROR
        assert "space" not in refusal.message


class TestSmallSteps:
    async def test_metadata_slivers_confirmation_one_by_one(self, world):
        await world.register()
        request = pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH)
        assert not (await world.stub.StoreMetadata(request)).already_stored
        assert (await world.stub.StoreMetadata(request)).already_stored
        for pair, sliver in both(PAIRS):
            assert not (await self.store_sliver(world, pair, sliver)).already_stored
        assert (await self.store_sliver(world, *both(PAIRS)[0])).already_stored
        assert verified((await self.confirm(world)).confirmation)

    @staticmethod
    async def store_sliver(world, pair, sliver, *, epoch=EPOCH, blob=BLOB, **changes):
        def requests():
            yield pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=blob, epoch=epoch))
            yield pb.StoreSliverRequest(sliver=head(pair, sliver, **changes))
            yield pb.StoreSliverRequest(data=bytes(sliver.data))

        return await world.stub.StoreSliver(requests(), timeout=20)

    @staticmethod
    async def confirm(world, persistence=Permanent(), *, epoch=EPOCH, wait_ms=0, blob=BLOB):  # noqa: B008
        request = pb.GetConfirmationRequest(
            blob_id=blob, persistence=wire.persistence_to_pb(persistence), epoch=epoch, wait_millis=wait_ms
        )
        return await world.stub.GetConfirmation(request, timeout=20)

    async def put_metadata(self, world):
        await world.register()
        await world.stub.StoreMetadata(pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH))

    async def test_metadata_of_an_unregistered_blob(self, world):
        request = pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH)
        assert (await world.refuses(world.stub.StoreMetadata(request))).reason is Reason.NOT_REGISTERED

    async def test_a_sliver_before_its_metadata(self, world):
        await world.register()
        refusal = await world.refuses(self.store_sliver(world, *both(PAIRS)[0]))
        assert refusal.reason is Reason.METADATA_NOT_FOUND

    @pytest.mark.parametrize(
        ("sliver", "changes", "reason"),
        [
            (both(PAIRS)[0], {"pair_index": N}, Reason.INDEX_OUT_OF_RANGE),
            (both(PAIRS)[0], {"sliver_index": N}, Reason.SLIVER_INDEX_MISMATCH),
            (both([FOREIGN])[0], {}, Reason.SHARD_NOT_ASSIGNED),
            (both(PAIRS)[0], {"size": 10**6}, Reason.SLIVER_TOO_LARGE),
            (both(PAIRS)[0], {"symbol_size": 2}, Reason.INVALID_SLIVER),
            (
                (PAIRS[0].index, replace(PAIRS[0].primary, data=bytes(len(PAIRS[0].primary.data)))),
                {},
                Reason.INVALID_SLIVER,
            ),
            (both(PAIRS)[0], {"epoch": 5}, Reason.INVALID_EPOCH),
            (both(PAIRS)[0], {"blob": b"x"}, Reason.MALFORMED_REQUEST),
        ],
    )
    async def test_slivers_that_are_refused(self, world, sliver, changes, reason):
        await self.put_metadata(world)
        refusal = await world.refuses(self.store_sliver(world, *sliver, **changes), metadata=True)
        assert refusal.reason is reason

    async def test_a_locked_shard_takes_nothing(self, world):
        await self.put_metadata(world)
        world.chain.view = staking(EPOCH, ours=OURS[1:])
        await world.view.refresh()
        await world.storage.create_shards([ShardIndex(OURS[0])], ShardStatus.LOCKED_TO_MOVE)
        refusal = await world.refuses(self.store_sliver(world, *both(PAIRS)[0]), metadata=True)
        assert refusal.reason is Reason.SHARD_NOT_ASSIGNED

    async def test_a_sliver_stream_without_data(self, world):
        await self.put_metadata(world)
        requests = [
            pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=BLOB, epoch=EPOCH)),
            pb.StoreSliverRequest(sliver=head(*both(PAIRS)[0])),
        ]
        for count in range(3):
            refusal = await world.refuses(world.stub.StoreSliver(iter(requests[:count]), timeout=5), metadata=True)
            assert refusal.reason is Reason.MALFORMED_REQUEST

    async def test_confirmations_that_are_refused(self, world):
        assert (await world.refuses(self.confirm(world))).reason is Reason.NOT_REGISTERED
        await world.register()
        assert (await world.refuses(self.confirm(world))).reason is Reason.MISSING_SLIVERS
        assert (await world.refuses(self.confirm(world, epoch=4))).reason is Reason.INVALID_EPOCH
        assert (await world.refuses(self.confirm(world, blob=b""))).reason is Reason.MALFORMED_REQUEST
        world.chain.view = staking(EPOCH, ours=[])
        await world.view.refresh()
        assert (await world.refuses(self.confirm(world))).reason is Reason.SHARD_NOT_ASSIGNED

    async def test_a_confirmation_waits_for_the_registration(self, world, running):
        waiting = running(self.confirm(world, wait_ms=10_000))
        await asyncio.sleep(0.02)
        await world.register()
        assert (await world.refuses(waiting)).reason is Reason.MISSING_SLIVERS

    async def test_deletable_blobs_need_their_object(self, world):
        await world.register(deletable=True)
        await world.store(header(), *parts(both(PAIRS)))
        ours = Deletable(OBJECT)
        assert verified((await self.confirm(world, ours)).confirmation, ours)
        refusal = await world.refuses(self.confirm(world, Deletable(object_id(2))), left=8, metadata=True)
        assert refusal.reason is Reason.NOT_REGISTERED
        await world.events(registered(BLOB, object_id(3), 9), BlobDeleted(Epoch(1), BLOB, Epoch(9), OBJECT, False))
        refusal = await world.refuses(self.confirm(world, ours), left=8, metadata=True)
        assert refusal.reason is Reason.NOT_REGISTERED
        assert verified((await self.confirm(world)).confirmation)

    async def test_pooled_deletable_blobs_need_their_object_too(self, world):
        await world.events(pool_created(POOL, 9), pooled(BLOB, OBJECT, POOL))
        await world.store(header(), *parts(both(PAIRS)))
        ours = Deletable(OBJECT)
        assert verified((await self.confirm(world, ours)).confirmation, ours)
        await world.events(pooled(BLOB, object_id(3), POOL, deletable=False), pooled_deleted(BLOB, OBJECT, POOL))
        for number in (1, 3):
            refusal = await world.refuses(self.confirm(world, Deletable(object_id(number))), left=8, metadata=True)
            assert refusal.reason is Reason.NOT_REGISTERED

    async def test_the_newest_committee_counts_also_when_events_lag(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        world.chain.view = staking(EPOCH + 1, ours=[*OURS, 8], before=OURS)
        await world.view.refresh()
        refusal = await world.refuses(self.confirm(world, epoch=EPOCH), left=8, metadata=True)
        assert refusal.reason is Reason.INVALID_EPOCH
        refusal = await world.refuses(self.confirm(world, epoch=EPOCH + 1), left=8, metadata=True)
        assert (refusal.reason, refusal.metadata) == (Reason.MISSING_SLIVERS, {"missing": "2"})
        world.chain.view = staking(EPOCH + 1, ours=OURS[:2], before=OURS)
        await world.view.refresh()
        assert verified((await self.confirm(world, epoch=EPOCH + 1)).confirmation, epoch=EPOCH + 1)

    async def test_what_is_confirmed_is_durable(self, tmp_path):
        from walrus_node.store.memory import MemoryStore  # noqa: PLC0415 - only here the twin's crash is needed

        kv = MemoryStore()
        world = await World(await Storage.over(kv), tmp_path).start()
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        after = await Storage.over(kv.crashed())
        assert await after.missing(BLOB, [ShardIndex(shard) for shard in OURS]) == []
        assert await after.metadata(BLOB) == METADATA
        await world.stop()


class TestReads:
    @pytest.fixture
    async def filled(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        return world

    @staticmethod
    async def slivers(world, axis=Axis.PRIMARY, pairs=(), blob=BLOB):
        found, missing, current = {}, {}, None
        request = pb.GetSliversRequest(blob_id=blob, axis=wire.axis_to_pb(axis), pair_indices=pairs)
        async for part in world.stub.GetSlivers(request, timeout=20):
            match part.WhichOneof("part"):
                case "sliver":
                    current = part.sliver
                    found[current.pair_index] = b""
                case "data":
                    found[current.pair_index] += part.data
                case "missing":
                    missing[part.missing.pair_index] = part.missing.reason
        return found, missing

    async def test_metadata_come_back(self, filled):
        answer = await filled.stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB))
        assert BlobMetadata.from_bcs(answer.metadata) == ENCODED.metadata

    async def test_all_slivers_of_an_axis_come_back(self, filled):
        for axis in Axis:
            found, missing = await self.slivers(filled, axis)
            wanted = {pair.index: bytes(getattr(pair, axis.value).data) for pair in PAIRS}
            assert (found, missing) == (wanted, {})

    async def test_wanted_pairs_come_in_order_and_missing_ones_say_why(self, filled):
        pairs = [PAIRS[2].index, FOREIGN.index, PAIRS[0].index]
        found, missing = await self.slivers(filled, pairs=pairs)
        assert list(found) == [PAIRS[2].index, PAIRS[0].index]
        assert missing == {FOREIGN.index: Reason.SHARD_NOT_ASSIGNED}

    async def test_a_sliver_that_never_came_is_missing(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS[1:])))
        _found, missing = await self.slivers(world)
        assert missing == {PAIRS[0].index: Reason.SLIVER_NOT_FOUND}

    async def test_what_is_no_sliver_any_more_is_missing_and_the_rest_is_served(self, filled):
        pair = PAIRS[0]
        key = SliverKey(mapping.shard_of_pair(pair.index, BLOB, N), Axis.PRIMARY, BLOB)
        rotten = b"\xff" + pair.primary.to_bcs()[1:]
        await filled.storage._write(lambda: filled.storage._shards.put(key, rotten))
        found, missing = await self.slivers(filled)
        assert missing == {pair.index: Reason.SLIVER_NOT_FOUND}
        assert set(found) == {other.index for other in PAIRS[1:]}

    async def test_large_slivers_come_in_chunks(self, storage, tmp_path):
        encoded, pairs = large_blob()
        world = await World(storage, tmp_path, n_shards=LARGE_N).start()
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        await world.store(header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs()), *parts(both(pairs)))
        found, _ = await self.slivers(world, blob=encoded.blob_id)
        assert found == {pair.index: bytes(pair.primary.data) for pair in pairs}
        await world.stop()

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"blob": bytes(32)}, Reason.METADATA_NOT_FOUND),
            ({"blob": b"x"}, Reason.MALFORMED_REQUEST),
            ({"pairs": [N]}, Reason.INDEX_OUT_OF_RANGE),
            ({"pairs": [0, 1, 0]}, Reason.MALFORMED_REQUEST),
        ],
    )
    async def test_reads_that_are_refused(self, filled, options, reason):
        refusal = await filled.refuses(self.slivers(filled, **options), left=8, metadata=True)
        assert refusal.reason is reason

    async def test_an_axis_must_be_named(self, filled):
        async def read():
            return [part async for part in filled.stub.GetSlivers(pb.GetSliversRequest(blob_id=BLOB))]

        assert (await filled.refuses(read(), left=8, metadata=True)).reason is Reason.MALFORMED_REQUEST

    async def test_an_invalid_blob_is_refused_by_every_call_before_and_after_it_is_collected(self, filled):
        await filled.events(InvalidBlobId(Epoch(1), BLOB))
        await refuse_everything(filled, left=8, metadata=True)
        await filled.storage.collect(await filled.storage.garbage())
        await refuse_everything(filled)
        # A registration, also a certified one, brings nothing back.
        again = object_id(2)
        await filled.events(registered(BLOB, again, 9), certified(BLOB, again, 9))
        await refuse_everything(filled)
        status = wire.status_from_pb(await filled.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB)))
        assert isinstance(status, Invalid)

    async def test_reads_go_on_without_the_chain(self, filled):
        filled.chain.down = True
        filled.view.reachable = False
        found, _ = await self.slivers(filled)
        assert len(found) == len(OURS)
        info = await filled.stub.GetInfo(pb.GetInfoRequest())
        assert not info.chain_reachable

    async def test_the_status_is_told(self, filled):
        answer = await filled.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB))
        status = wire.status_from_pb(answer)
        assert isinstance(status, PermanentBlob)
        assert (status.end_epoch, status.is_certified) == (9, False)
        unknown = await filled.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=bytes(32)))
        assert wire.status_from_pb(unknown) == Nonexistent()


class TestTheServer:
    async def test_info(self, world):
        await world.register()
        await start_epochs(world.storage, 0)
        await world.view.refresh()
        info = wire.info_from_pb(await world.stub.GetInfo(pb.GetInfoRequest()))
        assert (info.node_id, info.name, info.status) == (IDENTITY.node_id, "demo-0", "Standby")
        assert [(entry.shard, entry.status) for entry in info.shards] == [(shard, "Active") for shard in OURS]
        assert (info.n_shards, info.chain_id, info.chain_reachable, info.event_cursor) == (N, "chain", True, 0)

    async def test_health_follows_readiness(self, world):
        stub = health_pb2_grpc.HealthStub(world.channel)
        request = health_pb2.HealthCheckRequest(service="walrus.node.v1.StorageNode")
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await world.server.set_serving(serving=True)
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING

    async def test_reflection_lists_the_services(self, world):
        stub = reflection_pb2_grpc.ServerReflectionStub(world.channel)
        requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        answers = [answer async for answer in stub.ServerReflectionInfo(requests, timeout=5)]
        found = {service.name for service in answers[0].list_services_response.service}
        assert {"walrus.node.v1.StorageNode", "grpc.health.v1.Health"} <= found

    async def test_a_stop_lets_running_uploads_end(self, world, running):
        await world.register()
        go = asyncio.Event()

        async def slow():
            yield header()
            await go.wait()
            for part in parts(both(PAIRS)):
                yield part

        call = world.stub.StoreBlob(slow(), timeout=20)
        await asyncio.sleep(0.1)
        stopping = running(world.server.stop(10))
        await asyncio.sleep(0.1)
        go.set()
        assert verified((await call).confirmation)
        await stopping

    async def test_the_port_is_named_when_it_is_taken(self, world, tmp_path):
        from walrus_node.errors import WalrusNodeError  # noqa: PLC0415

        identity = certificate.obtain(tmp_path / "c", CERTIFICATE_KEY, "h", now=dt.datetime.now(dt.UTC))
        first = GrpcServer(world.servicer, identity, world.limits)
        port = await first.start("127.0.0.1", 0)
        second = GrpcServer(world.servicer, identity, world.limits)
        with pytest.raises(WalrusNodeError, match=str(port)):
            await second.start("127.0.0.1", port)
        await first.stop(0)
        await second.stop(0)

    async def test_new_connections_get_another_certificate_and_standing_ones_go_on(self, world, tmp_path):
        async def info(channel):
            return await node_pb2_grpc.StorageNodeStub(channel).GetInfo(pb.GetInfoRequest(), timeout=10)

        await info(world.channel)
        now = dt.datetime.now(dt.UTC)
        fresh = certificate.obtain(tmp_path / "c", NetworkKey.generate(), world.host, now=now)
        world.server.show(fresh)
        world.server.show(fresh)
        assert await tls.fetch_certificate("127.0.0.1", world.port, 10) == fresh.certificate
        await info(world.channel)
        credentials = grpc.ssl_channel_credentials(fresh.certificate)
        options = [("grpc.ssl_target_name_override", world.host)]
        async with grpc.aio.secure_channel(f"127.0.0.1:{world.port}", credentials, options=options) as channel:
            await info(channel)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:10.0.0.7:4711", ("10.0.0.7", 4711)),
        ("ipv6:%5B2001:db8::7%5D:4711", ("2001:db8::7", 4711)),
        ("ipv6:[fe80::1%25eth0]:1", ("fe80::1", 1)),
        ("ipv6:%5B::ffff:10.0.0.7%5D:4711", ("10.0.0.7", 4711)),
        ("unix:/run/walrus.sock", None),
        ("unix:", None),
        ("ipv4:10.0.0.7", None),
        ("", None),
    ],
)
def test_a_peer_has_the_address_by_which_its_connection_is_found(peer, address):
    found = connections.address_of(peer)
    assert (found and (str(found[0]), found[1])) == address


async def test_a_connection_is_shut_down_by_the_address_of_its_other_end_and_no_other_one():
    ended = asyncio.Queue()

    async def serve(reader, writer):
        await ended.put((await reader.read(), writer.get_extra_info("peername")[1]))
        writer.close()

    # Where there is IPv6, peers of IPv4 have addresses of it, as they have at a node.
    dual = {"family": socket.AF_INET6, "dualstack_ipv6": True} if socket.has_dualstack_ipv6() else {}
    async with await asyncio.start_server(serve, sock=socket.create_server(("", 0), **dual)) as server:
        port = server.sockets[0].getsockname()[1]
        ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        ports = [writer.get_extra_info("sockname")[1] for _reader, writer in ends]
        peer = f"ipv4:127.0.0.1:{ports[1]}"
        assert connections.hang_up(peer)
        async with asyncio.timeout(20):
            assert await ends[1][0].read() == b""
            assert await ended.get() == (b"", ports[1])
            for at in (0, 2):
                ends[at][1].write(b"alive")
                ends[at][1].write_eof()
            assert {await ended.get() for _ in range(2)} == {(b"alive", ports[0]), (b"alive", ports[2])}
        for _reader, writer in ends:
            writer.close()
    assert not connections.hang_up(peer)
    assert not connections.hang_up("unix:/run/walrus.sock")
