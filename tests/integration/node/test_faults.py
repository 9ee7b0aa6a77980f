"""One node with exactly f of the shards lies, stalls or contradicts itself: stores, reads, recovery and moves go on.

All nodes are processes; the liar is the program that everybody runs, told so by its file of faults. How much slower things
may get is docs/operations.md, "When nodes lie, stall or are gone"; it is measured here against the honest network.
"""

import asyncio
import os
import re
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.integration.gateway.gateways import Gateway
from tests.integration.node.test_moving import assert_all_hold, is_settled
from tests.integration.node.test_recovery import is_whole
from tests.integration.node.world import WAL, until

from walrus_client import rules, treasury
from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.peers import PeerPool
from walrus_client.peers.rules import LONGEST_PATIENCE_S
from walrus_client.read import Reader
from walrus_client.status import LOOK_UP_S, blob_status
from walrus_client.statuses import Nonexistent, PermanentBlob
from walrus_client.store import AlreadyCertified, Store, StoreOptions
from walrus_codec.quorum import max_faulty
from walrus_codec.types import Axis, BlobId, EncodingType
from walrus_node.rpc.faults import Fault
from walrus_sui.keys import SuiKey

pytestmark = pytest.mark.timeout(500)

N = 13
SIZES = [0, 1, 3_000, 400_000]
PART = slice(100_000, 300_000)
EPOCH_MS = 3_600_000
DEVIATIONS = [fault for fault in Fault if fault is not Fault.HONEST]

STORE_EXTRA_S = LOOK_UP_S + rules.straggler_time_s(0)
"""What one liar may add to a store: its claim about the blob is looked up on chain, and it is waited for a little."""
READ_EXTRA_S = 2 * LONGEST_PATIENCE_S
"""What one staller may add to a read: two waves of asking others."""
NOISE = 5
"""The machine is shared: what an honest network takes differs by so much from moment to moment."""


@pytest.fixture(scope="module")
def network(make_network):
    changes = {"sync": {"stall_s": 4}, "recovery": {"grace_s": 1}}
    return make_network(4, spares=1, manual_ms=EPOCH_MS, changes=changes, faults=True, seed="faults", n_shards=N)


@pytest.fixture(scope="module")
def liar(network):
    """The node with f of the shards."""

    async def found():
        async with network.chain() as chain:
            view = await chain.staking()
        return [node for node in network.nodes if len(network.shards_of(view, node)) == max_faulty(N)]

    (node,) = asyncio.run(found())
    return node


@pytest.fixture(scope="module")
def key(network):
    """Pays for the stores of the clients here."""
    made = SuiKey.generate()
    asyncio.run(fund(network, made))
    return made


@pytest.fixture(scope="module")
def gateway(network, tmp_path_factory):
    made = Gateway(tmp_path_factory.mktemp("gateway"), network.devnet.network_config)
    asyncio.run(fund(network, made.key))
    until("the gateway is ready", made.is_ready)
    yield made
    assert made.end() == 0


async def fund(network, key):
    async with network.chain() as chain:
        await treasury.fund(chain, network.treasury, key.address, sui=10**10, wal=100 * WAL)


@dataclass(frozen=True)
class Client:
    """Reads and stores without any memory of earlier calls."""

    chain: object
    committees: CommitteeTracker
    peers: PeerPool
    reader: Reader
    store: Store

    @classmethod
    @asynccontextmanager
    async def on(cls, chain, key):
        compute, committees = Compute(workers=1, inline_limit_s=1e9), CommitteeTracker(chain, max_age_s=2.0)
        async with PeerPool() as peers:
            store = Store(chain, key, committees, peers, compute, default_encoding=EncodingType.ISAL)
            try:
                yield cls(chain, committees, peers, Reader(committees, peers, compute, chain=chain), store)
            finally:
                await store.close()
                await compute.close()

    async def put(self, content):
        stored = await self.store.store(content, StoreOptions(epochs=20, deletable=False))
        # Those of no byte and of one were stored before.
        return stored.blob_id if isinstance(stored, AlreadyCertified) else stored.blob.blob_id

    async def status(self, blob_id):
        committee = (await self.committees.view()).committee
        return await blob_status(blob_id, committee, self.peers, chain=self.chain)


@dataclass(frozen=True)
class Took:
    """Seconds."""

    store: float
    read: float


async def exercise(network, key, gateway):
    """Stores and reads several sizes, by clients that know nothing of the nodes yet and by the gateway that knows them."""
    contents = [os.urandom(size) for size in SIZES]
    async with network.chain() as chain:
        async with Client.on(chain, key) as writer:
            began = time.monotonic()
            ids = await asyncio.gather(*map(writer.put, contents))
            store_s = time.monotonic() - began
        async with Client.on(chain, key) as reader:
            began = time.monotonic()
            found = await asyncio.gather(*map(reader.reader.read, ids))
            read_s = time.monotonic() - began
            assert [blob.data for blob in found] == contents
            part = await reader.reader.stream_range(ids[-1], found[-1].metadata, PART)
            assert await part.read() == contents[-1][PART]
        async with Client.on(chain, key) as asker:
            for blob_id in ids:
                status = await asker.status(blob_id)
                assert isinstance(status, PermanentBlob), status
                assert status.end_epoch < 100, "what an honest node says"
            assert await asker.status(BlobId(os.urandom(32))) == Nonexistent()
    await asyncio.to_thread(through, gateway, os.urandom(200_000))
    return Took(store_s, read_s)


def through(gateway, content):
    answer = gateway.request("PUT", "/v1/blobs?epochs=20", content)
    assert answer.code == 200, answer.body
    blob_id = answer.json()["newlyCreated"]["blobObject"]["blobId"]
    assert gateway.request("GET", f"/v1/blobs/{blob_id}").body == content
    assert gateway.request("GET", f"/v1/blobs/{blob_id}", Range="bytes=1000-1999").body == content[1000:2000]


@pytest.fixture(scope="module")
def use(network, key, gateway):
    """Stores and reads once."""
    return lambda: asyncio.run(exercise(network, key, gateway))


@pytest.fixture(scope="module")
def honest(use):
    """What the network takes when nobody lies, once everything is warm."""
    use()
    return use()


@pytest.mark.parametrize("fault", DEVIATIONS)
def test_stores_and_reads_succeed_within_the_stated_slowdown(liar, use, honest, fault):
    liar.deviate(fault)
    took = use()
    print(
        f"{fault}: stores {took.store:.2f} s (honest {honest.store:.2f}), reads {took.read:.2f} s ({honest.read:.2f})"
    )
    assert took.store <= NOISE * honest.store + STORE_EXTRA_S
    assert took.read <= NOISE * honest.read + READ_EXTRA_S


def test_the_gateway_remembers_who_lied_and_says_so_once(liar, gateway):
    page = gateway.request("GET", "/metrics", metrics=True).body.decode()
    counted = re.findall(r"^walrus_peer_faults_total\{([^}]*)\} (\S+)$", page, re.MULTILINE)
    lies = [labels for labels, _count in counted if 'walrus_fault="lied"' in labels]
    assert lies, page
    assert all(f'walrus_peer_name="{liar.name}"' in labels for labels in lies)
    text = gateway.text()
    assert "Traceback" not in text
    # A mark that holds is renewed in silence; the faults of all tests above are within the first few.
    assert 1 <= text.count("is asked last for a while") <= 2 * len(DEVIATIONS)


@pytest.mark.parametrize("fault", [Fault.GARBAGE, Fault.STALL])
async def test_a_wiped_node_recovers_everything(network, liar, fault):
    """It needs all the others and what it rebuilds itself: k2 columns are nine, the honest others have six."""
    victim = next(node for node in network.nodes if node is not liar)
    liar.deviate("")
    async with network.chain() as chain:
        view = await chain.staking()
        blobs = [await network.store(chain, os.urandom(size)) for size in (0, 700, 50_000)]
    liar.deviate(fault)
    victim.kill()
    shutil.rmtree(victim.folder / "data")
    began = time.monotonic()
    victim.start()
    await asyncio.to_thread(until, "it is whole", lambda: victim.is_ready() and is_whole(victim))
    info = victim.info
    print(f"{fault}: {info['recovery']['blobs_recovered']} blobs in {time.monotonic() - began:.1f} s")
    for blob in blobs:
        for axis in Axis:
            assert len(await network.slivers(victim, blob, axis)) == len(network.shards_of(view, victim))
    assert "Traceback" not in victim.log.read_text()


async def test_shards_move_from_a_previous_owner_that_lies_and_from_one_that_stalls(network, liar, key):
    liar.deviate("")
    async with network.chain() as chain, Client.on(chain, key) as client:
        before = await chain.staking()
        blobs = [await network.store(chain, os.urandom(size)) for size in (0, 1, 700, 50_000)]
        await network.join(chain, 100)
        joined = network.nodes[-1]
        liar.deviate("garbage")
        await network.next_epoch(chain, done=False)
        for blob in blobs:  # while shards move, a status tells which committee to read from
            assert (await client.reader.read(blob.blob_id)).data == blob.content
        view = await network.until_epoch(chain, before.epoch + 1)
        assert network.shards_of(before, liar) & network.shards_of(view, joined)
        await settled(network, view)
        assert joined.info["sync"]["slivers_rejected"] > 0
        liar.deviate("")
        await assert_all_hold(network, view, blobs)

        await network.withdraw(chain, liar)
        liar.deviate("stall")
        view = await network.next_epoch(chain)
        await settled(network, view)
        await assert_all_hold(network, view, blobs)
        for blob in blobs:
            assert (await client.reader.read(blob.blob_id)).data == blob.content
    assert sum(node.info["sync"]["shards_given_up"] for node in network.nodes) > 0


async def settled(network, view):
    for node in network.members(view):
        owned = network.shards_of(view, node)
        await asyncio.to_thread(until, f"{node.name} has {owned}", lambda n=node, o=owned: is_settled(n, o))
