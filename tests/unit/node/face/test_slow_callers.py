"""Callers that stall, drip, fetch nothing, come in crowds or go away: what they hold of the node, and for how long."""

import asyncio
import contextlib
import functools
import ssl

import grpc
import grpc.aio
import h2.connection
import h2.settings
import pytest
from tests.unit.node.face.world import (
    BLOB,
    NARROW,
    OBJECT,
    OURS,
    PAIRS,
    N,
    World,
    all_of,
    both,
    header,
    limits,
    parts,
    until,
    verified,
)
from tests.unit.node.worlds import (
    registered,
)

from walrus_client.grpc_errors import refusal_of
from walrus_client.reasons import Reason
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, ShardIndex
from walrus_node.rpc import draining
from walrus_node.rpc.admission import client_of
from walrus_node.rpc.rules import Lane
from walrus_proto.node.v1 import node_pb2, node_pb2_grpc
from walrus_proto.node.v1 import node_pb2 as pb


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


async def fetch_all(call):
    while await call.read() is not grpc.aio.EOF:
        pass


class TestSlowCallers:
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
