"""A shard for its new owner over real gRPC: what comes, in which order, who gets it, and what is refused."""

from dataclasses import replace

import grpc.aio
import pytest
from tests.unit.node.face.world import KEY, OURS, N, World
from tests.unit.node.worlds import US, certified, committee, deleted, member, object_id, registered, staking

from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.peers.shards import ExpectedShard, ShardParser
from walrus_client.peers.signing import RequestSigner
from walrus_client.reasons import Reason
from walrus_codec import mapping, redstuff
from walrus_codec.params import MAX_SYMBOL_SIZE, CodeParams
from walrus_codec.types import Axis, EncodingType, Epoch, NodeId, ShardIndex
from walrus_node.rpc.rules import Lane
from walrus_node.rpc.shards import _STREAMS_PER_ASKER
from walrus_node.store.records import ShardStatus
from walrus_node.store.storage import SliverKey
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.events import EpochChangeStart
from walrus_sui.keys import BlsKey

NEW = NodeId("0x" + "07" * 32)
NEW_KEY = BlsKey.generate()
MOVED, KEPT, FOREIGN = ShardIndex(OURS[0]), ShardIndex(OURS[1]), ShardIndex(9)
EPOCH = Epoch(2)
PARAMS = CodeParams(N, EncodingType.ISAL)
LARGEST = PARAMS.k2 * MAX_SYMBOL_SIZE + 16


def view(epoch=EPOCH):
    """We had all of OURS; shard MOVED is the new member's now."""
    new = replace(member(NEW, [MOVED, FOREIGN]), bls_public_key=NEW_KEY.public_key)
    us = replace(member(US, OURS[1:]), bls_public_key=KEY.public_key)
    return replace(staking(epoch), committee=committee(epoch, us, new), previous_committee=committee(epoch - 1, us))


class Moving(World):
    """The world of one node in the epoch after it has lost a shard."""

    async def begin(self, contents):
        self.objects = {}
        await self.events(EpochChangeStart(Epoch(1)))
        self.blobs = [await self.add(number, content) for number, content in enumerate(contents)]
        self.blobs.sort(key=lambda blob: blob.blob_id)
        await self.events(EpochChangeStart(EPOCH))
        self.chain.view = view()
        await self.view.refresh()
        await self.storage.create_shards([MOVED], ShardStatus.LOCKED_TO_MOVE)
        return self

    async def add(self, number, content, *, epoch=1, certify=True):
        blob = redstuff.encode(content, PARAMS)
        obj = self.objects[blob.blob_id] = object_id(1000 + number)
        await self.events(registered(blob.blob_id, obj, 9, deletable=True, epoch=epoch))
        if certify:
            await self.events(certified(blob.blob_id, obj, 9, deletable=True, epoch=epoch))
        await self.storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
        for shard in OURS:
            pair = blob.pairs[mapping.pair_of_shard(ShardIndex(shard), blob.blob_id, N)]
            for axis in Axis:
                key = SliverKey(ShardIndex(shard), axis, blob.blob_id)
                if self.storage.shards[ShardIndex(shard)].writable:
                    await self.storage.put_sliver(key, getattr(pair, axis.value).to_bcs())
        return blob

    def slivers(self, axis, blobs=None):
        """What the moved shard holds."""
        return [
            (blob.blob_id, getattr(blob.pairs[mapping.pair_of_shard(MOVED, blob.blob_id, N)], axis.value).to_bcs())
            for blob in (self.blobs if blobs is None else blobs)
        ]

    def request(self, expected, *, key=NEW_KEY, sender=NEW, signed_for=None, **changes):
        query = expected.query()
        for name, value in changes.items():
            setattr(query, name, value)
        body = query.SerializeToString()
        signer = RequestSigner(sender, key, now_ms=lambda: self.now_ms[0])
        envelope = signer.sign(wire.SYNC_SHARD, US, Epoch(signed_for or EPOCH), body)
        return pb.SyncShardRequest(envelope=envelope, body=body)

    async def ask(self, expected, **options):
        parser, found = ShardParser(expected), []
        async for part in self.stub.SyncShard(self.request(expected, **options), timeout=20):
            assert len(part.rest) + sum(len(entry.data) for entry in part.slivers) <= wire.CHUNK
            answer = parser.feed(part)
            found += answer.slivers
        parser.finish()
        return [(blob_id, bytes(sliver)) for blob_id, sliver in found]

    async def refused(self, expected, **options):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.ask(expected, **options)
        return refusal_of(raised.value)


def expected(axis=Axis.PRIMARY, *, shard=MOVED, start=bytes(32), count=1000):
    return ExpectedShard(shard, axis, start, count, EPOCH, LARGEST)


@pytest.fixture
async def world(memory_storage, tmp_path):
    made = await Moving(memory_storage, tmp_path).start()
    await made.begin([bytes([number]) * size for number, size in enumerate([1, 700, 0, 5000, 60_000])])
    yield made
    await made.stop()


class TestWhatComes:
    @pytest.mark.parametrize("axis", list(Axis))
    async def test_all_slivers_of_the_shard_in_order_of_blob_ids(self, world, axis):
        assert await world.ask(expected(axis)) == world.slivers(axis)

    async def test_a_stretch_from_any_blob_id_on(self, world):
        whole = world.slivers(Axis.PRIMARY)
        for first in range(len(whole)):
            for count in range(1, len(whole) + 1):
                found = await world.ask(expected(start=whole[first][0], count=count))
                assert found == whole[first : first + count]
        behind = (int.from_bytes(whole[2][0], "big") + 1).to_bytes(32, "big")
        assert await world.ask(expected(start=behind)) == whole[3:]
        assert await world.ask(expected(start=b"\xff" * 32)) == []

    async def test_slivers_larger_than_a_message_are_cut(self, memory_storage, tmp_path, monkeypatch):
        world = await Moving(memory_storage, tmp_path).start()
        await world.begin([bytes([number]) * 100_000 for number in range(3)])
        for chunk in (1000, 10_007, 1 << 20):
            monkeypatch.setattr(wire, "CHUNK", chunk)
            assert await world.ask(expected()) == world.slivers(Axis.PRIMARY)
        await world.stop()

    async def test_only_blobs_that_were_certified_before_the_epoch(self, world):
        await world.add(50, b"registered only", certify=False)
        await world.add(51, b"certified in this epoch", epoch=EPOCH)
        gone = world.blobs.pop(0)
        await world.events(deleted(gone.blob_id, world.objects[gone.blob_id], 9, was_certified=True))
        assert await world.ask(expected()) == world.slivers(Axis.PRIMARY)

    async def test_what_is_missing_or_rotten_at_the_source_is_left_out(self, world):
        lost, rotten = world.blobs[0].blob_id, world.blobs[1].blob_id
        storage = world.storage
        await storage._write(storage._shards.take_out, SliverKey(MOVED, Axis.PRIMARY, lost))
        family = "s0-primary"
        storage._kv._live[family][rotten] = b"\x07" + storage._kv._live[family][rotten][1:]
        assert await world.ask(expected()) == world.slivers(Axis.PRIMARY, world.blobs[2:])

    async def test_a_shard_that_stays_elsewhere_is_served_while_others_read(self, world):
        async with world.limits.gate.admitted(Lane.READ, "reader", 1000):
            assert await world.ask(expected()) == world.slivers(Axis.PRIMARY)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"shard_index": KEPT}, Reason.REQUEST_UNAUTHORIZED),
            ({"shard_index": 70_000}, Reason.REQUEST_UNAUTHORIZED),
            ({"shard_index": FOREIGN}, Reason.SHARD_NOT_ASSIGNED),
            ({"sliver_count": wire.MAX_SYNC_SLIVERS + 1}, Reason.SLIVER_COUNT_EXCEEDS_LIMIT),
            ({"sliver_count": 0}, Reason.MALFORMED_REQUEST),
            ({"starting_blob_id": b"short"}, Reason.MALFORMED_REQUEST),
            ({"axis": 0}, Reason.MALFORMED_REQUEST),
            ({"epoch": 1}, Reason.INVALID_EPOCH),
            ({"epoch": 3}, Reason.INVALID_EPOCH),
        ],
    )
    async def test_queries(self, world, changes, reason):
        assert (await world.refused(expected(), **changes)).reason is reason

    async def test_the_largest_count_is_taken(self, world):
        assert len(await world.ask(expected(count=wire.MAX_SYNC_SLIVERS))) == len(world.blobs)

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"key": KEY}, Reason.MESSAGE_VERIFICATION_FAILED),
            ({"sender": NodeId("0x" + "99" * 32)}, Reason.REQUEST_UNAUTHORIZED),
            ({"signed_for": 1}, Reason.INVALID_EPOCH),
        ],
    )
    async def test_askers(self, world, options, reason):
        assert (await world.refused(expected(), **options)).reason is reason

    async def test_without_an_envelope_or_a_query(self, world):
        for request in (pb.SyncShardRequest(body=expected().query().SerializeToString()), pb.SyncShardRequest()):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await world.stub.SyncShard(request, timeout=20).read()
            assert refusal_of(raised.value).reason in {Reason.INVALID_EPOCH, Reason.MALFORMED_REQUEST}

    async def test_a_source_whose_events_lag_names_both_epochs(self, world):
        world.chain.view = view(3)
        await world.view.refresh()
        refusal = await world.refused(replace(expected(), epoch=Epoch(3)), signed_for=3)
        assert refusal.reason is Reason.INVALID_EPOCH
        assert refusal.metadata == {"request_epoch": "3", "server_epoch": "2"}

    async def test_one_asker_gets_so_many_streams_at_a_time(self, world):
        world.servicer._shards._streams[NEW] = _STREAMS_PER_ASKER
        refusal = await world.refused(expected())
        assert refusal.reason is Reason.CACHE_SATURATED
        assert refusal.retry_after_s


class TestParser:
    """What a node that lies could send: it is found out by form alone, before anything is stored."""

    @staticmethod
    def feed(parser, answers):
        for answer in answers:
            parser.feed(answer)
        parser.finish()

    @staticmethod
    def entry(number, data=b"abc", *, size=None):
        return pb.SyncedSliver(blob_id=bytes([number]) * 32, size=len(data) if size is None else size, data=data)

    @pytest.mark.parametrize(
        "parts",
        [
            [{"slivers": [(2, b"a"), (2, b"a")]}],
            [{"slivers": [(2, b"a"), (1, b"a")]}],
            [{"slivers": [(0, b"a")]}],
            [{"slivers": [(1, b"a"), (2, b"a"), (3, b"a"), (4, b"a")]}],
            [{"slivers": [(1, b"")]}],
            [{"rest": b"a"}],
            [{"complete": True}, {"slivers": [(1, b"a")]}],
            [{"slivers": [(1, b"a")]}],
            [],
        ],
    )
    def test_wrong_order_number_or_end(self, parts):
        parser = ShardParser(ExpectedShard(MOVED, Axis.PRIMARY, b"\x01" * 32, 3, EPOCH, 100))
        answers = [
            pb.SyncShardResponse(**(part | {"slivers": [self.entry(*entry) for entry in part.get("slivers", [])]}))
            for part in parts
        ]
        with pytest.raises(wire.MalformedAnswer):
            self.feed(parser, answers)

    @pytest.mark.parametrize(
        "answers",
        [
            [pb.SyncShardResponse(slivers=[pb.SyncedSliver(blob_id=b"\x01" * 32, size=101, data=b"a")])],
            [pb.SyncShardResponse(slivers=[pb.SyncedSliver(blob_id=b"\x01" * 32, size=1, data=b"ab")])],
            [pb.SyncShardResponse(slivers=[pb.SyncedSliver(blob_id=b"\x01" * 31, size=1, data=b"a")])],
            [
                pb.SyncShardResponse(slivers=[pb.SyncedSliver(blob_id=b"\x01" * 32, size=5, data=b"a")]),
                pb.SyncShardResponse(rest=b"bcdef"),
            ],
            [
                pb.SyncShardResponse(
                    slivers=[
                        pb.SyncedSliver(blob_id=b"\x01" * 32, size=5, data=b"a"),
                        pb.SyncedSliver(blob_id=b"\x02" * 32, size=1, data=b"a"),
                    ]
                )
            ],
            [pb.SyncShardResponse(slivers=[pb.SyncedSliver(blob_id=b"\x01" * 32, size=5, data=b"a")], complete=True)],
        ],
    )
    def test_wrong_sizes_and_pieces(self, answers):
        parser = ShardParser(ExpectedShard(MOVED, Axis.PRIMARY, b"\x01" * 32, 3, EPOCH, 100))
        with pytest.raises(wire.MalformedAnswer):
            self.feed(parser, answers)

    def test_the_count_ends_a_stream_too(self):
        parser = ShardParser(ExpectedShard(MOVED, Axis.PRIMARY, b"\x01" * 32, 2, EPOCH, 100))
        found = parser.feed(pb.SyncShardResponse(slivers=[self.entry(1), self.entry(2)]))
        parser.finish()
        assert [bytes(sliver) for _blob, sliver in found.slivers] == [b"abc", b"abc"]
        assert not found.complete
