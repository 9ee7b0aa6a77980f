"""A client that encodes wrongly: a node that cannot recover its sliver proves it, and the whole network drops the blob."""

import asyncio
import os
from dataclasses import replace

import grpc.aio
import pytest
from tests.integration.node.world import N_SHARDS, StoredBlob, until

from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_client.statuses import Invalid
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.types import NewBlob

pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, seed="inconsistency", epoch_duration="10m")


def encode_wrongly(content, axis):
    """The writer's hash of one sliver is not that sliver's. Returns the shard that keeps it, too."""
    encoded = redstuff.encode(content, CodeParams(N_SHARDS, EncodingType.ISAL))
    hashes = list(encoded.metadata.hashes)
    hashes[5] = replace(hashes[5], **{axis.value: os.urandom(32)})
    metadata = replace(encoded.metadata, hashes=tuple(hashes))
    wrong = redstuff.EncodedBlob(metadata.blob_id(), metadata, encoded.pairs)
    return wrong, mapping.shard_of_pair(5, wrong.blob_id, N_SHARDS)


async def status(node, blob):
    async with node.stub() as stub:
        answer = await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=30)
    return wire.status_from_pb(answer)


@pytest.mark.parametrize("axis", list(Axis))
async def test_a_blob_with_a_wrong_sliver_hash_is_invalid_in_the_end(network, axis):
    content = os.urandom(20_000)
    wrong, shard = encode_wrongly(content, axis)
    async with network.chain() as chain:
        view = await chain.staking()
        holder = view.committee.member_of_shard(shard).node_id
        honest = [node for node in network.nodes if node.info["node_id"] != holder]
        params = CodeParams(N_SHARDS, EncodingType.ISAL)
        new = NewBlob(
            wrong.blob_id,
            wrong.metadata.root(),
            len(content),
            params.encoded_length(len(content)),
            int(EncodingType.ISAL),
            deletable=False,
        )
        (made,) = await chain.reserve_and_register(network.treasury, [new], epochs_ahead=5)
        blob = StoredBlob(content, wrong, made.object_id)
        # The holder refuses the sliver; all others confirm what is good as far as they can see, and that is a quorum.
        (victim,) = [node for node in network.nodes if node.info["node_id"] == holder]
        answer = await network.upload(victim, view, blob)
        assert answer.WhichOneof("outcome") == "refusal"
        assert [(entry.pair_index, entry.reason) for entry in answer.slivers] == [(5, Reason.INVALID_SLIVER)]
        await network._certify(chain, view, blob, honest)
        async with asyncio.timeout(120):
            for node in network.nodes:
                while not isinstance(await status(node, blob), Invalid):  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.2)
        for node in network.nodes:
            await asyncio.to_thread(until, "its data are gone", lambda n=node: "blobs deleted" in n.log.read_text())
            async with node.stub() as stub:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await stub.GetMetadata(pb.GetMetadataRequest(blob_id=blob.blob_id), timeout=30)
            assert refusal_of(raised.value).reason is Reason.INVALID_BLOB
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await network.upload(node, view, blob)
            assert refusal_of(raised.value).reason is Reason.INVALID_BLOB
        await asyncio.to_thread(
            until, "nobody tries any more", lambda: not any(n.info["recovery"]["blobs_pending"] for n in network.nodes)
        )
    assert "the chain knows of a badly encoded blob" in victim.log.read_text()
