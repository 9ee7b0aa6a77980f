"""A node changes both its keys while blobs are stored and read: nobody is turned away, no restart is needed."""

import asyncio

import pytest
from tests.integration.node.world import until

from walrus_client.committee import CommitteeTracker
from walrus_client.peers import PeerPool
from walrus_sui import tls
from walrus_sui.keys import BlsKey, NetworkKey

pytestmark = pytest.mark.timeout(300)

EPOCH_MS = 3_600_000
OVERLAP_S = 3
SLOWEST_LOOK_S = 1.0


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, manual_ms=EPOCH_MS, seed="keys")


async def ask_all_the_time(network, chain, node, stop):
    """Calls a node as clients do, over connections that are pinned to what the chain said a moment ago; none may fail."""
    tracker = CommitteeTracker(chain, max_age_s=SLOWEST_LOOK_S)
    calls = 0
    async with PeerPool() as standing:
        while not stop.is_set():
            member = (await tracker.view()).committee.by_id(node.known_id)
            await standing.get(member).get_info()
            async with PeerPool() as fresh:
                await fresh.get(member).get_info()
            calls += 1
            await asyncio.sleep(0.1)
    return calls


async def test_both_keys_change_while_the_node_serves(network):
    node = network.nodes[0]
    old, new = dict(node.keys), {"protocol": BlsKey.generate(), "network": NetworkKey.generate()}
    following = {kind: node.folder / f"{kind}-next.key" for kind in new}
    node.document["keys"] |= {f"next_{kind}": str(path) for kind, path in following.items()}
    node.document["keys"]["overlap_s"] = OVERLAP_S
    node.stop()
    node.start()
    await asyncio.to_thread(until, "it is back", node.is_ready)
    async with network.chain() as chain:

        async def record():
            return await chain.pool(node.known_id)

        stop = asyncio.Event()
        asking = asyncio.create_task(ask_all_the_time(network, chain, node, stop))
        for kind, key in new.items():
            key.save(following[kind])
        async with asyncio.timeout(60):
            while (now := await record()).further_network_keys or now.network_public_key == old["network"].public_key:
                assert not asking.done(), await asking
                await asyncio.sleep(0.2)
        assert now.network_public_key == new["network"].public_key
        assert now.bls_public_key == old["protocol"].public_key
        assert now.next_bls_public_key == new["protocol"].public_key
        node.keys["network"] = new["network"]
        certificate = await tls.fetch_certificate("127.0.0.1", node.grpc_port, 10)
        assert tls.public_key_of(certificate) == new["network"].public_key

        # Until the epoch ends, the committee names the old key: confirmations bear it, and the contract takes them.
        first = await network.store(chain, b"with the old key")
        view = await network.next_epoch(chain)
        assert view.committee.by_id(node.known_id).bls_public_key == new["protocol"].public_key
        node.keys["protocol"] = new["protocol"]
        second = await network.store(chain, b"with the new key")
        stop.set()
        assert await asking > OVERLAP_S

        # The new files take the place of the old ones, and the node starts with nothing else.
        for kind, path in following.items():
            path.replace(node.folder / f"{kind}.key")
        node.kill()
        node.start()
        await asyncio.to_thread(until, "it is back", node.is_ready)
        third = await network.store(chain, b"after a restart")
        for blob in (first, second, third):
            assert await network.read(blob) == blob.content
        assert (await record()).bls_public_key == new["protocol"].public_key
        assert (await record()).further_network_keys == ()
