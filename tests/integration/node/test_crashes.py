"""SIGKILL at random moments under load: what a node has confirmed it still has, and what it missed it gets back.

`NODE_CRASH_ROUNDS` and `NODE_CRASH_SEED` make more and other rounds of it; `make soak` runs a hundred.
"""

import asyncio
import os
import random
from collections import defaultdict

import grpc.aio
import pytest
from tests.integration.node.world import N_SHARDS, WAL, until

from walrus_client import treasury
from walrus_client.peers import wire
from walrus_client.statuses import PermanentBlob
from walrus_codec import quorum
from walrus_codec.types import Axis
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import bls, messages
from walrus_sui.errors import CertificateError, ChainError
from walrus_sui.messages import Permanent
from walrus_sui.types import Certificate, signers_bitmap

ROUNDS = int(os.environ.get("NODE_CRASH_ROUNDS", "3"))
SEED = int(os.environ.get("NODE_CRASH_SEED", "11"))
WRITERS = 2
SAMPLE = 10
"""Blobs of earlier rounds that are looked at after each kill; in the end all of them are."""

pytestmark = pytest.mark.timeout(300 + 60 * ROUNDS)


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, seed="crashes", epoch_duration="10m")


class Load:
    """Writers that go on whatever happens to the nodes, and what they were promised."""

    def __init__(self, network, chain, rng):
        self._network, self._chain, self._rng = network, chain, rng
        self.registered, self.certified = [], []
        self.confirmed = defaultdict(list)
        self._stop = asyncio.Event()

    async def __aenter__(self):
        self._stop.clear()
        self._writers = [asyncio.create_task(self._write()) for _ in range(WRITERS)]
        return self

    async def __aexit__(self, *_failure):
        self._stop.set()
        await asyncio.gather(*self._writers)

    async def _write(self):
        while not self._stop.is_set():
            blob = await self._network.register(self._chain, os.urandom(self._rng.randrange(100_000)))
            self.registered.append(blob)
            view = await self._chain.staking()
            given = await asyncio.gather(*(self._upload(node, view, blob) for node in self._network.nodes))
            signatures = {node.name: signature for node, signature in zip(self._network.nodes, given, strict=True)}
            members = view.committee.members
            signers = [index for index, member in enumerate(members) if signatures[member.name] is not None]
            if not quorum.is_quorum(sum(members[index].weight for index in signers), N_SHARDS):
                continue
            total = bls.aggregate([signatures[members[index].name] for index in signers])
            message = messages.confirmation(blob.blob_id, view.epoch, Permanent())
            certificate = Certificate(blob.object_id, total, signers_bitmap(signers, len(members)), message)
            try:
                await self._chain.certify(self._network.treasury, [certificate])
            except ChainError:
                continue  # the epoch ended before; nothing was promised to anybody
            self.certified.append(blob)

    async def _upload(self, node, view, blob):
        """The node's signature, None when it was killed or would not give one."""
        try:
            answer = await self._network.upload(node, view, blob)
        except (grpc.aio.AioRpcError, AssertionError, OSError, CertificateError):
            return None
        if answer.WhichOneof("outcome") != "confirmation":
            return None
        self.confirmed[node.name].append(blob)
        return answer.confirmation.signature


async def lacks(network, node, blobs):
    """Those of these blobs of which the node does not give all its slivers, each as the writer made it."""
    shards, found = len(node.info["shards"]), []
    async with node.stub() as stub:
        for blob in blobs:
            try:
                whole = all([len(await network.slivers_of(stub, blob, axis)) == shards for axis in Axis])
            except grpc.aio.AioRpcError:
                whole = False
            if not whole:
                found.append(blob)
    return found


async def kill_and_start(node, rng):
    """Kills at a random moment, and one time in three once more while the node starts or recovers."""
    await asyncio.sleep(rng.uniform(0.2, 3))
    node.kill()
    for _ in range(rng.choice([0, 0, 1])):
        node.start()
        await asyncio.sleep(rng.uniform(0.2, 5))
        node.kill()
    await asyncio.sleep(rng.uniform(0, 1))
    node.start()
    await asyncio.to_thread(until, f"{node.name} is ready again", node.is_ready)


async def test_no_confirmation_is_ever_broken_and_every_certified_blob_becomes_whole(network):
    rng = random.Random(SEED)
    async with network.chain() as chain:
        await treasury.ensure_funds(
            chain, network.treasury, sui=10**11, wal=(1000 + 100 * ROUNDS) * WAL, faucet_url=chain.config.faucet_url
        )
        load = Load(network, chain, rng)
        for number in range(ROUNDS):
            node = rng.choice(network.nodes)
            before = len(load.certified)
            async with load:
                await kill_and_start(node, rng)
                promised = load.confirmed[node.name]
                old, new = promised[: -2 * SAMPLE], promised[-2 * SAMPLE :]
                assert not await lacks(network, node, rng.sample(old, min(len(old), SAMPLE)) + new)
            print(
                f"round {number}, {node.name}: {len(load.registered)} blobs registered, {len(load.certified)} certified, "
                f"it has all of the {len(promised)} that it confirmed"
            )
            assert len(load.certified) > before, "the others went on"
        assert all(load.confirmed.values())
        for node in network.nodes:
            assert not await lacks(network, node, load.confirmed[node.name])
            left = list(load.certified)
            async with asyncio.timeout(120):
                while left := await lacks(network, node, left):  # noqa: ASYNC110 - another process's state
                    await asyncio.sleep(0.5)
            async with node.stub() as stub:
                certified = {blob.blob_id for blob in load.certified}
                for blob in load.registered:
                    answer = await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=30)
                    status = wire.status_from_pb(answer)
                    assert isinstance(status, PermanentBlob)
                    assert status.is_certified == (blob.blob_id in certified), "no event was lost or counted twice"
