"""A node's public face on a port, a small blob to store there, and requests as a client makes them."""

import asyncio
import datetime as dt
import functools
import os

import grpc
import grpc.aio
import pytest
from tests.unit.node.worlds import (
    IDENTITY,
    ChainTwin,
    object_id,
    registered,
    staking,
)

from walrus_client.challenges.policy import Mode, Policy
from walrus_client.compute import Compute
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, Epoch, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.challenges.parts import HONEST, Challenges
from walrus_node.challenges.policies import Policies
from walrus_node.events.processor import EventProcessor
from walrus_node.recovery.task import Progress
from walrus_node.rpc import certificate
from walrus_node.rpc.admission import CallCounter, Gate
from walrus_node.rpc.challenges import ChallengeService
from walrus_node.rpc.envelopes import EnvelopeChecker
from walrus_node.rpc.info import InfoSource
from walrus_node.rpc.records import RecordService
from walrus_node.rpc.rules import Lane, Pace
from walrus_node.rpc.server import GrpcServer
from walrus_node.rpc.service import NodeService
from walrus_node.rpc.servicer import StorageNodeServicer
from walrus_node.rpc.shards import ShardService
from walrus_node.rpc.streams import StreamLimits
from walrus_node.rpc.symbols import RecoveryService
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.store.records import ShardStatus
from walrus_node.store.room import RoomKeeper
from walrus_node.sync.task import SyncProgress
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui import bls, messages
from walrus_sui.keys import BlsKey, NetworkKey
from walrus_sui.messages import Permanent

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


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells what the other end of a connection does
            await asyncio.sleep(0.01)


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
