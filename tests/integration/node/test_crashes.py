"""SIGKILL at random moments under load: what a node has confirmed it still has, and no event counts twice."""

import asyncio
import os
import random

import grpc.aio
import pytest
from tests.integration.node.world import until

from walrus_client.peers import wire
from walrus_client.statuses import PermanentBlob
from walrus_codec.types import Axis
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.errors import CertificateError

pytestmark = pytest.mark.timeout(400)

ROUNDS = 3


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(1, seed="crashes", epoch_duration="10m")


async def test_no_confirmation_is_ever_broken(network):
    node, rng = network.nodes[0], random.Random(11)
    confirmed, registered = [], []

    async def upload_until_it_dies(chain, view):
        while True:
            blob = await network.register(chain, os.urandom(rng.randrange(200_000)))
            registered.append(blob)
            try:
                answer = await network.upload(node, view, blob)
            except (grpc.aio.AioRpcError, AssertionError, OSError, CertificateError):
                return  # it is dead; what it had not confirmed may be there or not
            assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
            confirmed.append(blob)

    async with network.chain() as chain:
        view = await chain.staking()
        for round_number in range(ROUNDS):
            uploads = [asyncio.create_task(upload_until_it_dies(chain, view)) for _ in range(3)]
            await asyncio.sleep(rng.uniform(1, 4))
            node.kill()
            await asyncio.gather(*uploads)
            node.start()
            await asyncio.to_thread(until, "it is ready again", node.is_ready)
            assert node.info["status"] == "Active"
            for blob in confirmed:
                for axis in Axis:
                    assert len(await network.slivers(node, blob, axis)) == len(node.info["shards"])
            print(f"round {round_number}: {len(confirmed)} of {len(registered)} blobs confirmed, all are there")
        assert confirmed
        async with node.stub() as stub:
            for blob in registered:
                answer = await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=10)
                found = wire.status_from_pb(answer)
                assert isinstance(found, PermanentBlob)
                assert not found.is_certified
