"""Uploads that are refused before anything of them is stored, and with which name."""

import asyncio
from dataclasses import replace

import grpc
import grpc.aio
import pytest
from tests.unit.node.face.world import BLOB, ENCODED, EPOCH, METADATA, OBJECT, OURS, PAIRS, both, head, header, parts
from tests.unit.node.feeding import start_epochs
from tests.unit.node.worlds import (
    registered,
    staking,
)

from walrus_client.reasons import Reason
from walrus_codec.types import Epoch
from walrus_node.events.processor import EventProcessor
from walrus_node.rpc.streams import RequestStream
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.events import InvalidBlobId


class TestRefusedUploads:
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
