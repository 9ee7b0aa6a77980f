"""A node under pressure: a flood, and a disk that takes its time.

A flood: hundreds of greedy uploads, readers that do not read, senders that stop, garbage; and somebody honest.

The crowd comes from an address of its own (through a forwarder that binds it), because turns are by address. The node has
small budgets, so that its memory would show at once if something escaped them.
"""

import asyncio
import os
import random
import re
import ssl
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import grpc
import grpc.aio
import pytest
from tests.integration.node.world import N_SHARDS, until

from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_codec import mapping
from walrus_codec.types import Axis
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_proto.node.v1 import node_pb2_grpc
from walrus_sui import tls
from walrus_sui.errors import ChainTimeout
from walrus_sui.messages import Permanent

pytestmark = pytest.mark.timeout(300)

MIB = 1 << 20
LIMITS = {
    "upload_memory": 24 * MIB,
    "read_memory": 8 * MIB,
    "background_memory": 8 * MIB,
    "compute_memory": 32 * MIB,
    "idle_stream_s": 3,
}
RECOVERY, SYNC = 16 * MIB, 16 * MIB
BASE = 256 * MIB
"""What a node may take besides its budgets: docs/operations.md, "Memory"."""
BOUND = BASE + RECOVERY + SYNC + sum(size for name, size in LIMITS.items() if name.endswith("_memory"))
CROWD = "127.0.0.66"
NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16)]
"""Options of a channel that takes no more than it is asked for."""
UPLOADS, STOPPED, READERS, GARBAGE = 240, 60, 120, 60
EXPECTED = {(what, told) for what in ("upload", "stopped") for told in ("stored", "CACHE_SATURATED", "UNAVAILABLE")}
EXPECTED |= {("reader", "UNAVAILABLE"), ("reader", "RESOURCE_EXHAUSTED")}
LARGEST = 7 * 4 * 65_534
"""Bytes of the largest blob that ten shards take."""


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Holds the milliseconds that each write of the first node takes longer."""
    return tmp_path_factory.mktemp("slow") / "milliseconds"


@pytest.fixture(scope="module")
def network(make_network, slow):
    """The first of four nodes is the one that suffers."""
    made = make_network(
        4, seed="flood", epoch_duration="10m", changes={"limits": LIMITS, "recovery": {"memory": RECOVERY}}
    )
    node = made.nodes[0]
    assert node.stop() == 0
    node.arguments = ["--slow-disk", str(slow)]
    until("it is ready again", node.start().is_ready)
    return made


def peak(node):
    """Bytes of memory that the process had at most."""
    text = Path(f"/proc/{node.process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) << 10


def in_flight(node):
    """What all lanes hold, and how many requests wait."""
    found = re.findall(
        r"^walrus_node_(?:bytes_in_flight_bytes|requests_waiting)\{[^}]*\} (\S+)$",
        node.get("/metrics")[1],
        re.MULTILINE,
    )
    assert len(found) == 8
    return sum(map(float, found))


def slow_readers(node, outcome):
    """Answers that were ended, or connections that were closed, because nobody fetched what they bring."""
    name = rf'^walrus_node_slow_readers_total\{{[^}}]*walrus_outcome="{outcome}"[^}}]*\}} (\S+)$'
    found = re.findall(name, node.get("/metrics")[1], re.MULTILINE)
    return sum(map(float, found))


@asynccontextmanager
async def forwarder(port):
    """A port whose connections reach the node from the crowd's address."""
    running = set()

    async def copy(reader, writer):
        with suppress(OSError):
            while (data := await reader.read(1 << 16)) and not writer.is_closing():
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def serve(reader, writer):
        running.add(asyncio.current_task())
        onward = await asyncio.open_connection("127.0.0.1", port, local_addr=(CROWD, 0))
        with suppress(asyncio.CancelledError):  # the end of the block
            await asyncio.gather(copy(reader, onward[1]), copy(onward[0], writer))
        onward[1].close()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        server.close()
        for task in running:
            task.cancel()
        await asyncio.wait(running)


class Crowd:
    """All who are not honest, and what they were told."""

    def __init__(self, node, port, view, blobs):
        self.node, self.port, self.view, self.blobs = node, port, view, blobs
        self.told = Counter()

    async def run(self):
        certificate = await tls.fetch_certificate("127.0.0.1", self.port, 30)
        credentials = grpc.ssl_channel_credentials(certificate)
        async with AsyncExitStack() as stack:
            stubs = []
            for number in range(6):
                options = [("grpc.use_local_subchannel_pool", 1), ("grpc.primary_user_agent", f"crowd-{number}")]
                # Who does not read loses the connection: the last two, which nobody else uses.
                options += NARROW if number >= 4 else []
                channel = grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options)
                stubs.append(node_pb2_grpc.StorageNodeStub(await stack.enter_async_context(channel)))
            async with asyncio.TaskGroup() as group:
                for number in range(UPLOADS + STOPPED):
                    stops = number % (UPLOADS // STOPPED + 1) == 0
                    group.create_task(self.upload(stubs[number % 4], self.blobs[number % len(self.blobs)], stops=stops))
                for number in range(READERS):
                    group.create_task(self.do_not_read(stubs[4 + number % 2]))
                for number in range(GARBAGE):
                    group.create_task(self.garbage(number))

    async def upload(self, stub, blob, *, stops):
        """All slivers of the largest blob there is; or all but the last part, and then nothing more."""
        header = wire.store_header(blob.blob_id, blob.encoded.metadata.to_bcs(), Permanent(), self.view.epoch)
        shards = self.view.committee.by_id(self.node.known_id).shards
        pairs = [blob.encoded.pairs[mapping.pair_of_shard(shard, blob.blob_id, N_SHARDS)] for shard in shards]
        slivers = [(pair.index, sliver) for pair in pairs for sliver in (pair.primary, pair.secondary)]

        async def requests():
            yield pb.StoreBlobRequest(header=header)
            for number, part in enumerate(wire.sliver_stream(slivers)):
                is_head = isinstance(part, pb.SliverHead)
                yield pb.StoreBlobRequest(sliver=part) if is_head else pb.StoreBlobRequest(data=part)
                if stops and number == 6:
                    await asyncio.sleep(120)

        await self.note("stopped" if stops else "upload", stub.StoreBlob(requests(), timeout=100))

    async def do_not_read(self, stub):
        """Asks for everything there is, takes the first message and no other, and never leaves by itself."""
        call = stub.GetSlivers(pb.GetSliversRequest(blob_id=self.blobs[0].blob_id, axis=wire.axis_to_pb(Axis.PRIMARY)))
        try:
            async with asyncio.timeout(100):
                await call.read()
                self.told["reader", (await call.code()).name] += 1
        except grpc.aio.AioRpcError as error:
            self.told["reader", error.code().name] += 1
        finally:
            call.cancel()

    async def garbage(self, seed):
        """Bytes that are nothing, on both ports, also where TLS would have been agreed on."""
        draw = random.Random(seed)
        port = [self.node.grpc_port, self.node.http_port, self.node.grpc_port][seed % 3]
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        with suppress(OSError, asyncio.IncompleteReadError):
            agreed = context if seed % 3 == 2 else None
            _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=agreed, local_addr=(CROWD, 0))
            for _ in range(20):
                writer.write(draw.randbytes(1 << 14))
                await writer.drain()
            await asyncio.sleep(5)
            writer.close()

    async def note(self, what, call):
        try:
            await call
        except grpc.aio.AioRpcError as error:
            # The library may lose the status of a call that still sends; the refusal came ahead of it.
            refusal, code = refusal_of(error), error.code()
            as_documented = refusal is not None and (
                refusal.reason is not Reason.CACHE_SATURATED
                or (
                    code in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
                    and refusal.retry_after_s >= 1
                )
            )
            self.told[what, refusal.reason.value if as_documented else repr(error)] += 1
        else:
            self.told[what, "stored"] += 1


async def test_a_flood_neither_kills_the_node_nor_shuts_others_out(network):
    node = network.nodes[0]
    async with network.chain() as chain:
        blobs = [await network.register(chain, os.urandom(LARGEST)) for _ in range(6)]
        view = await chain.staking()
        answer = await network.upload(node, view, blobs[0])
        assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
        before = peak(node)
        async with forwarder(node.grpc_port) as port:
            crowd = Crowd(node, port, view, blobs)
            flood = asyncio.create_task(crowd.run())
            cursors, kept = [node.info["event_cursor"]], []
            while not flood.done():
                # Somebody honest, who is not refused once, and whose registration the node must have seen.
                with suppress(ChainTimeout):  # a busy machine
                    kept.append(await network.store(chain, os.urandom(300_000)))
                    assert await network.read(kept[-1]) == kept[-1].content
                cursors.append((await asyncio.to_thread(lambda: node.info))["event_cursor"])
                assert node.is_ready()
            await flood
        assert len(kept) >= 2
        assert cursors == sorted(cursors)
        assert cursors[-1] > cursors[0], "the chain was followed"
        assert set(crowd.told) <= EXPECTED, crowd.told
        assert crowd.told["upload", "CACHE_SATURATED"] > 0
        assert crowd.told["stopped", "UNAVAILABLE"] > 0
        assert crowd.told["reader", "UNAVAILABLE"] > 0
        assert slow_readers(node, "ended") > slow_readers(node, "disconnected") > 0
        assert peak(node) < BOUND, f"{peak(node) >> 20} MiB, {before >> 20} before"
        await asyncio.to_thread(until, "all memory is free again", lambda: in_flight(node) == 0)
        for blob in kept:
            assert await network.read(blob) == blob.content
        assert len(await network.slivers(node, blobs[0])) == len(network.shards_of(view, node))
        last = await network.store(chain, os.urandom(LARGEST))
        assert await network.read(last) == last.content
        assert peak(node) < BOUND
    assert "a request failed" not in node.log.read_text()


async def test_a_slow_disk_makes_uploads_slow_and_nothing_else(network, slow):
    node, *others = network.nodes
    async with network.chain() as chain:
        kept = await network.store(chain, os.urandom(200_000))
        slow.write_text("300")
        view = await chain.staking()
        blobs = [await network.register(chain, os.urandom(200_000)) for _ in range(3)]
        begun = node.info["event_cursor"]
        uploads = asyncio.gather(*(network.upload(node, view, blob) for blob in blobs))
        looks = 0
        while not uploads.done():
            assert node.is_ready()
            assert (await asyncio.to_thread(lambda: node.info))["storage"]["condition"] == "OK"
            assert await network.read(kept) == kept.content
            looks += 1
        for blob, answer in zip(blobs, await uploads, strict=True):
            assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
            assert len(await network.slivers(node, blob)) == len(network.shards_of(view, node))
        assert looks >= 2, "reads, information and health were not held up until the uploads were through"
        # The others are a quorum: who stores does not wait for the slow one; and it sees what happens on chain.
        blob = await network.store(chain, os.urandom(200_000), nodes=others)
        assert await network.read(blob, nodes=others) == blob.content

        def keeps_up():
            return node.info["event_cursor"] > max(begun, others[0].info["event_cursor"] - 30)

        await asyncio.to_thread(until, "it keeps up with the chain", keeps_up)
        slow.unlink()
        last = await network.store(chain, os.urandom(200_000))
        assert await network.read(last) == last.content
    assert node.stop() == 0
    assert "a request failed" not in node.log.read_text()
