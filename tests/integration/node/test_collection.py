"""What nobody pays for any more goes from the disks of all nodes, and nothing else; each node is a process of its own."""

import asyncio
import os

import grpc.aio
import pytest
from tests.integration.node.world import N_SHARDS, WAL, StoredBlob, until

from walrus_client import treasury
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_client.statuses import DeletableBlob, DeletableCounts, Nonexistent, PermanentBlob
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.messages import Deletable
from walrus_sui.types import NewBlob

pytestmark = pytest.mark.timeout(500)

SIZE = 1_000_000
EPOCH_MS = 10_000
"""By a clock that only the test moves."""


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, seed="collection", manual_ms=EPOCH_MS)


async def status(node, blob):
    async with node.stub() as stub:
        answer = await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=30)
    return wire.status_from_pb(answer)


async def holds(node, blob):
    """Whether the node gives the blob's metadata; a blob that is gone must be refused by the documented reason."""
    async with node.stub() as stub:
        try:
            await stub.GetMetadata(pb.GetMetadataRequest(blob_id=blob.blob_id), timeout=30)
        except grpc.aio.AioRpcError as error:
            assert refusal_of(error).reason is Reason.METADATA_NOT_FOUND  # noqa: PT017 - the answer is one of two
            return False
    return True


async def store_unconfirmed(network, chain, view, blob):
    """Uploads the slivers of a deletable object to all nodes; every node signs for that object."""
    for node in network.nodes:
        answer = await network.upload(node, view, blob, persistence=Deletable(blob.object_id))
        assert answer.WhichOneof("outcome") == "confirmation", answer.refusal


async def store_pooled(network, chain, view, content, *, epochs):
    """Registers a blob in a pool of its own and uploads it."""
    params = CodeParams(N_SHARDS, EncodingType.ISAL)
    encoded = redstuff.encode(content, params)
    size = params.encoded_length(len(content))
    pool = await chain.create_storage_pool(network.treasury, size, epochs_ahead=epochs)
    new = NewBlob(encoded.blob_id, encoded.metadata.root(), len(content), size, int(EncodingType.ISAL), deletable=True)
    (made,) = await chain.register_pooled_blobs(network.treasury, pool, [new])
    blob = StoredBlob(content, encoded, made.object_id)
    await store_unconfirmed(network, chain, view, blob)
    return blob


def on_disk(node):
    """Bytes that the file system has given to the node's data."""
    return sum(512 * path.stat().st_blocks for path in (node.folder / "data").rglob("*") if path.is_file())


def metric(node, name):
    found, text = node.get("/metrics")
    assert found == 200
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


async def test_what_is_over_is_deleted_everywhere_and_its_space_given_back(network):
    async with network.chain() as chain:
        view = await network.next_epoch(chain)
        await treasury.ensure_funds(
            chain, network.treasury, sui=10**10, wal=1000 * WAL, faucet_url=chain.config.faucet_url
        )
        kept = await network.store(chain, os.urandom(20_000))
        extended = await network.store(chain, os.urandom(20_000), epochs=2)
        await chain.extend_blobs(network.treasury, [extended.object_id], 20)
        deleted = await network.register(chain, os.urandom(SIZE), deletable=True)
        await store_unconfirmed(network, chain, view, deleted)
        short = [await network.store(chain, os.urandom(SIZE), epochs=2) for _ in range(4)]
        pooled = await store_pooled(network, chain, view, os.urandom(SIZE), epochs=2)
        last = (await chain.staking()).epoch + 2
        gone = [*short, deleted, pooled]
        full = [on_disk(node) for node in network.nodes]
        for node in network.nodes:
            assert await status(node, deleted) == DeletableBlob(None, DeletableCounts(1, 0))
            assert await status(node, pooled) == DeletableBlob(None, DeletableCounts(1, 0))
        await chain.delete_blobs(network.treasury, [deleted.object_id])
        for node in network.nodes:
            async with asyncio.timeout(60):
                while await status(node, deleted) != Nonexistent():  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.1)
        # One of them is killed after the end of the blobs and before its collection.
        while (await chain.staking()).epoch < last:
            await network.next_epoch(chain)
        network.nodes[1].kill()
        network.nodes[1].start()
        await asyncio.to_thread(network.devnet.advance, EPOCH_MS // 2)  # nodes collect in the first half of an epoch
        for node in network.nodes:
            await asyncio.to_thread(until, f"{node.name} is ready", node.is_ready)
            await asyncio.to_thread(until, "its blobs are gone", lambda n=node: n.info["blobs_stored"] == 2)
        for number, node in enumerate(network.nodes):
            for blob in gone:
                assert await status(node, blob) == Nonexistent()
                assert not await holds(node, blob)
            for blob in (kept, extended):
                assert isinstance(await status(node, blob), PermanentBlob)
                assert await holds(node, blob)
            share = len(node.info["shards"]) / N_SHARDS

            def is_small(n=node, before=full[number]):
                return on_disk(n) < before / 2

            await asyncio.to_thread(until, f"{node.name} gives its space back", is_small)
            print(f"{node.name}, {share:.0%} of the shards: {full[number]} bytes before, {on_disk(node)} after")
        for blob in (kept, extended):
            assert await network.read(blob) == blob.content
        assert metric(network.nodes[0], "walrus_node_collected_blobs") == len(gone)
        assert metric(network.nodes[0], "walrus_node_collected_bytes") > len(gone) * SIZE / 2
        # The same content again is a new blob in every way.
        again = await network.store(chain, short[0].content)
        assert await network.read(again) == again.content
