"""A devnet and four storage nodes, each a process of its own: from registration to reads, through kills and outages."""

import asyncio
import os

import grpc.aio
import pytest
from tests.integration.node.conftest import free_ports
from tests.integration.node.world import N_SHARDS, StoredBlob, until

from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_client.statuses import Nonexistent, PermanentBlob
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType
from walrus_proto.node.v1 import node_pb2 as pb

pytestmark = pytest.mark.timeout(400)

EPOCH_MS = 10_000
"""By a clock that only the tests move: no epoch ends between two steps of a test."""


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, manual_ms=EPOCH_MS)


async def status(node, blob):
    async with node.stub() as stub:
        return wire.status_from_pb(await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=10))


async def until_status(node, blob, look):
    async with asyncio.timeout(60):
        while not look(await status(node, blob)):  # noqa: ASYNC110 - another process's state
            await asyncio.sleep(0.1)


def is_certified(found):
    return isinstance(found, PermanentBlob) and found.is_certified


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal_of(raised.value)


async def test_the_first_committee_has_all_nodes_and_their_shards(network):
    async with network.chain() as chain:
        view = await network.until_epoch(chain, 1)
        members = {member.name: member for member in view.committee.members}
    assert sorted(members) == [node.name for node in network.nodes]
    assert sum(member.weight for member in members.values()) == N_SHARDS
    for node in network.nodes:
        info = until(f"{node.name} is active", lambda node=node: node.info["status"] == "Active" and node.info)
        member = members[node.name]
        assert {entry["shard"]: entry["status"] for entry in info["shards"]} == dict.fromkeys(member.shards, "Active")
        assert member.grpc_address == f"127.0.0.1:{node.grpc_port}"
        assert member.bls_public_key == node.keys["protocol"].public_key
        assert member.network_public_key == node.keys["network"].public_key
        assert info["chain_reachable"]


async def test_a_blob_is_stored_certified_and_read(network):
    async with network.chain() as chain:
        blob = await network.store(chain, os.urandom(200_000))
        assert (await chain.blob(blob.object_id)).certified_epoch is not None
    for node in network.nodes:
        await until_status(node, blob, is_certified)
        assert len(await network.slivers(node, blob, Axis.SECONDARY)) == len(node.info["shards"])
    assert await network.read(blob) == blob.content


@pytest.mark.parametrize("size", [0, 1, 444])
async def test_small_blobs(network, size):
    async with network.chain() as chain:
        blob = await network.store(chain, os.urandom(size))
    assert await network.read(blob) == blob.content


async def test_refusals_have_their_names_and_store_nothing(network):
    node = network.nodes[0]
    async with network.chain() as chain:
        view = await chain.staking()
        blob = await network.register(chain, os.urandom(5000))
        wrong_epoch = await refusal(network.upload(node, view, blob, epoch=view.epoch + 1))
        assert wrong_epoch.reason is Reason.INVALID_EPOCH
    foreign = redstuff.encode(os.urandom(5000), CodeParams(N_SHARDS, EncodingType.ISAL))
    unregistered = StoredBlob(b"", foreign, "")
    assert (await refusal(network.upload(node, view, unregistered))).reason is Reason.NOT_REGISTERED
    assert await status(node, unregistered) == Nonexistent()
    for each in (blob, unregistered):
        assert not await has_metadata(node, each)


async def has_metadata(node, blob):
    async with node.stub() as stub:
        try:
            await stub.GetMetadata(pb.GetMetadataRequest(blob_id=blob.blob_id), timeout=10)
        except grpc.aio.AioRpcError:
            return False
        return True


async def test_a_killed_node_comes_back_with_its_data_and_goes_on(network):
    node = network.nodes[1]
    async with network.chain() as chain:
        before = await network.store(chain, os.urandom(100_000))
        await until_status(node, before, is_certified)
        told, info = await status(node, before), node.info
        node.kill()
        view = await chain.staking()
        missed = await network.register(chain, os.urandom(1000))
        node.start()
        await asyncio.to_thread(until, "it is ready again", node.is_ready)
        after = node.info
        assert after["event_cursor"] > info["event_cursor"]
        assert after["node_id"] == info["node_id"]
        assert after["slivers_stored"] == info["slivers_stored"]
        assert await status(node, before) == told, "no event was applied twice or lost"
        assert len(await network.slivers(node, before)) == len(info["shards"])
        view = await chain.staking()
        answer = await network.upload(node, view, missed)
        assert answer.WhichOneof("outcome") == "confirmation", answer.refusal
    assert node.log.read_text().count("registered node_id") == 1


async def test_an_operator_drains_fences_and_restarts_a_node(network):
    node, (port,) = network.nodes[2], free_ports(1)
    old, new = "o" * 32, "n" * 32
    assert node.stop() == 0
    node.open_admin_port(port, old)
    node.start()
    await asyncio.to_thread(until, "it is ready", node.is_ready)
    async with network.chain() as chain, node.admin(old) as ask:
        blob = await network.store(chain, os.urandom(30_000))
        state, told = await ask("GetState"), node.info
        assert state.ready
        assert "0x" + state.info.node_id.hex() == told["node_id"]
        assert state.info.slivers_stored == told["slivers_stored"] > 0
        assert {"challenges", "collector", "disk", "epoch keeper", "recovery", "scrub", "shard sync"} <= {*state.loops}
        for loop in state.loops:
            done = await ask("RunOnce", loop=loop)
            assert (done.finished, done.failure) == (True, ""), loop
        assert (await ask("GetState")).info.scrub.slivers_verified >= told["slivers_stored"]
        assert (await ask("Compact")).bytes_after > 0

        assert (await ask("Drain")).quiet
        assert "the node drains" in node.get("/readyz")[1]
        assert len(await network.slivers(node, blob)) == len(told["shards"])
        view = await chain.staking()
        other = await network.register(chain, os.urandom(1000))
        assert (await refusal(network.upload(node, view, other))).reason is Reason.NODE_DRAINING
        node.tokens.write_text(f"{new}\n{old}")
        async with node.admin(new) as ask_anew:
            assert (await ask_anew("GetState")).drain.quiet
            node.tokens.write_text(new)
            assert (await refusal(ask("Resume"))).reason is Reason.TOKEN_REFUSED
            # The restart that it was for ends the drain; the fence is there for longer than any restart.
            node.stop()
            node.start()
            await asyncio.to_thread(until, "it is ready again", node.is_ready)
            await network.upload(node, view, other)
        async with node.admin(new) as ask_anew:
            await ask_anew("Fence", why="a test")
        assert (await refusal(status(node, blob))).reason is Reason.NODE_FENCED
        node.kill()
        node.start()
        await asyncio.to_thread(until, "it runs again", lambda: "fenced" in node.get("/readyz")[1])
        assert (await refusal(status(node, blob))).reason is Reason.NODE_FENCED
        async with node.admin(new) as ask_anew:
            assert (await ask_anew("GetState")).fence.why == "a test"
            assert (await ask_anew("Unfence")).was_fenced
        await asyncio.to_thread(until, "it is ready again", node.is_ready)
        assert is_certified(await status(node, blob))


async def test_epochs_pass_with_an_unchanged_committee_and_everything_still_reads(network):
    async with network.chain() as chain:
        blob = await network.store(chain, os.urandom(50_000))
        first = (await chain.staking()).epoch
        moved = [node.log.read_text().count("moved the epoch on") for node in network.nodes]
        view = await network.let_nodes_move(chain, first + 2)
        moved = sum(node.log.read_text().count("moved the epoch on") for node in network.nodes) - sum(moved)
        assert moved >= 4, "each epoch needs two calls, and nobody else makes them"
        assert {member.name for member in view.committee.members} == {node.name for node in network.nodes}
        for node in network.nodes:
            caps = await chain.node_caps(node.keys["sui"].address)
            assert caps[0].last_epoch_sync_done >= first + 1
            assert {entry["status"] for entry in node.info["shards"]} == {"Active"}
    assert await network.read(blob) == blob.content


async def test_expired_blobs_are_deleted_and_others_stay(network):
    node = network.nodes[2]
    async with network.chain() as chain:
        lasting = await network.store(chain, os.urandom(3000))
        short = await network.store(chain, os.urandom(3000), epochs=1)
        await until_status(node, short, is_certified)
        await network.next_epoch(chain)
    await until_status(node, short, lambda found: found == Nonexistent())
    assert not await has_metadata(node, short)
    await asyncio.to_thread(network.devnet.advance, EPOCH_MS // 2)  # nodes collect in the first half of an epoch
    await asyncio.to_thread(until, "the slivers are deleted", lambda: "blobs deleted" in node.log.read_text())
    assert len(await network.slivers(node, lasting)) == len(node.info["shards"])


async def test_without_the_chain_reads_go_on_and_with_it_everything_else(network):
    async with network.chain() as chain:
        blob = await network.store(chain, os.urandom(20_000))
    network.devnet.stop()
    reader, starter = network.nodes[0], network.nodes[3]
    assert await network.read(blob) == blob.content
    starter.stop()
    starter.start()
    await asyncio.to_thread(until, "it serves without the chain", lambda: starter.get("/livez")[0] == 200)
    await asyncio.to_thread(until, "it says so", lambda: not reader.info["chain_reachable"])
    assert reader.get("/readyz")[0] == 200
    assert starter.get("/readyz")[0] == 503
    assert len(await network.slivers(starter, blob)) == len(starter.info["shards"])
    network.devnet.start()
    for node in network.nodes:
        await asyncio.to_thread(until, f"{node.name} follows again", lambda n=node: n.info["chain_reachable"])
        await asyncio.to_thread(until, f"{node.name} is ready", node.is_ready)
    async with network.chain() as chain:
        await network.next_epoch(chain)
        again = await network.store(chain, os.urandom(20_000))
    assert await network.read(again) == again.content


async def test_a_changed_configuration_reaches_the_chain(network):
    node = network.nodes[0]
    assert node.stop() == 0
    certificate = (node.folder / "data/tls/certificate.pem").read_bytes()
    node.document |= {"name": "renamed", "registration": {"storage_price": 777, "commission_rate": 1234}}
    node.start()
    await asyncio.to_thread(until, "it is ready", node.is_ready)
    async with network.chain() as chain:
        pool = await chain.pool(node.info["node_id"])
    assert (pool.name, pool.votes.storage_price) == ("renamed", 777)
    assert max(pool.pending_commission_rate)[1] == 1234
    assert pool.grpc_address == f"127.0.0.1:{node.grpc_port}"
    assert (node.folder / "data/tls/certificate.pem").read_bytes() == certificate


def test_an_idle_node_is_small_and_tells_its_numbers(network):
    node = network.nodes[1]
    _status, metrics = node.get("/metrics")
    for name in ("walrus_node_epoch", "walrus_node_shards", "walrus_node_slivers_stored", "walrus_node_event_cursor"):
        assert name in metrics
    print(f"resident memory: {[round(each.rss_mib) for each in network.nodes]} MiB")


def test_a_stop_is_orderly(network):
    node = network.nodes[3]
    assert node.stop() == 0
    assert "stopping" in node.log.read_text()
    node.start()
    until("it is ready again", node.is_ready)


def test_data_of_another_network_are_refused(network, make_network):
    node = network.nodes[3]
    node.stop()
    other = make_network(1, seed="another")
    document, node.document = node.document, node.document | {"chain": {"network_config": other.devnet.network_config}}
    node.start()
    assert node.process.wait(timeout=60) == 4
    assert "belongs to chain" in node.log.read_text()
    node.document = document
    node.start()
    until("it is ready on its own network", node.is_ready)
