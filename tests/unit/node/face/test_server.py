"""The server itself: health, reflection, certificates, its end, and the connections of its callers."""

import asyncio
import datetime as dt
import socket

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.unit.node.face.world import CERTIFICATE_KEY, OURS, PAIRS, N, both, header, parts, verified
from tests.unit.node.feeding import start_epochs
from tests.unit.node.worlds import (
    IDENTITY,
)

from walrus_client.peers import wire
from walrus_node.rpc import certificate, connections
from walrus_node.rpc.server import GrpcServer
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui import tls
from walrus_sui.keys import NetworkKey


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
