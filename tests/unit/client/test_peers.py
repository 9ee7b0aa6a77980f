"""Channels and calls against a real gRPC server with real TLS."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import grpc.aio
import pytest
from tests.unit.client.fakes import FakeNode
from tests.unit.client.worlds import member

from walrus_client.errors import (
    PeerError,
    PeerIdentityError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from walrus_client.peers import ExpectedSlivers, MissingSliver, NodeClient, PeerPool, wire
from walrus_client.peers.calling import Caller
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.slivers import Sliver
from walrus_codec.types import Axis, EncodingType, Epoch, PairIndex
from walrus_sui.keys import NetworkKey
from walrus_sui.messages import Permanent

PARAMS = CodeParams(10, EncodingType.ISAL)
BLOB = bytes(i % 251 for i in range(50_000))
ENCODED = redstuff.encode(BLOB, PARAMS)
EXPECTED = ExpectedSlivers(
    Axis.PRIMARY,
    [PairIndex(1), PairIndex(2)],
    PARAMS.symbol_size(len(BLOB)),
    PARAMS.sliver_size(Axis.PRIMARY, len(BLOB)),
)


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    fake = FakeNode(1, range(10))
    await fake.start()
    fake.metadata[ENCODED.blob_id] = ENCODED.metadata.to_bcs()
    fake.slivers[ENCODED.blob_id] = {(Axis.PRIMARY, pair.index): pair.primary for pair in ENCODED.pairs}
    yield fake
    await fake.stop()


@pytest.fixture
async def client(node: FakeNode) -> AsyncIterator[NodeClient]:
    made = NodeClient(node.member)
    yield made
    await made.close()


async def slivers(client: NodeClient) -> list[tuple[PairIndex, Sliver] | MissingSliver]:
    return [part async for part in client.get_slivers(ENCODED.blob_id, EXPECTED, timeout_s=10)]


async def test_a_node_with_its_registered_key_is_trusted(client: NodeClient) -> None:
    assert (await client.get_info()).name == "node-1"


async def test_a_node_without_a_grpc_address_is_unreachable_and_no_crash(node: FakeNode) -> None:
    client = NodeClient(replace(node.member, grpc_address=""))
    with pytest.raises(PeerUnreachableError, match="no usable gRPC address"):
        await client.get_info()


async def test_a_node_with_another_key_is_sent_nothing(node: FakeNode, client: NodeClient) -> None:
    await node.stop()
    node.served_key = NetworkKey.generate()
    await node.start()
    with pytest.raises(PeerIdentityError, match=node.network_key.public_key.hex()):
        await client.get_info()
    assert node.calls == []


async def test_a_new_certificate_of_the_same_key_is_followed(node: FakeNode, client: NodeClient) -> None:
    await client.get_info()
    await node.stop()
    with pytest.raises(PeerUnreachableError):
        await client.get_info()
    await node.start()
    assert (await client.get_info()).name == "node-1"


async def test_a_call_on_a_channel_that_another_task_has_just_closed_has_not_reached_the_node(
    node: FakeNode, client: NodeClient
) -> None:
    await client.get_info()
    node.calls.clear()
    await (await client._caller.channel.get()).close()
    with pytest.raises(PeerUnreachableError, match="Channel is closed"):
        await client.get_info()
    with pytest.raises(PeerUnreachableError, match="Channel is closed"):
        await slivers(client)
    assert node.calls == []


async def test_an_impostor_at_the_known_address_gets_nothing(node: FakeNode, client: NodeClient) -> None:
    await client.get_info()
    await node.stop()
    node.served_key = NetworkKey.generate()
    await node.start()
    node.calls.clear()
    with pytest.raises(PeerIdentityError):
        await client.get_info()
    assert node.calls == []


async def test_a_dead_node_costs_many_askers_one_attempt(node: FakeNode) -> None:
    await node.stop()
    attempts = 0

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.2)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", node.port)
    client = NodeClient(node.member)
    results = await asyncio.gather(*(client.get_info() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(result, PeerUnreachableError) for result in results), results
    assert attempts == 1
    server.close()
    await server.wait_closed()


async def test_a_documented_refusal_keeps_reason_and_facts(node: FakeNode, client: NodeClient) -> None:
    node.behaviour.refusals = [RequestRefused(Reason.INVALID_EPOCH, "wrong epoch", {"server_epoch": "7"})]
    with pytest.raises(PeerRefusedError) as caught:
        await client.get_metadata(ENCODED.blob_id)
    assert caught.value.refusal is Reason.INVALID_EPOCH
    assert caught.value.metadata == {"server_epoch": "7"}
    assert caught.value.retry_after_s is None
    node.behaviour.refusals = [RequestRefused(Reason.CACHE_SATURATED, "busy", retry_after_s=1.5)]
    with pytest.raises(PeerRefusedError) as caught:
        await client.get_metadata(ENCODED.blob_id)
    assert caught.value.retry_after_s == 1.5


async def test_a_silent_node_meets_the_deadline(node: FakeNode, client: NodeClient) -> None:
    node.behaviour.stall = asyncio.Event()
    with pytest.raises(PeerTimeoutError):
        await client.get_info(timeout_s=0.3)
    node.behaviour.stall.set()


async def test_slivers_arrive_whole(client: NodeClient) -> None:
    assert await slivers(client) == [(pair.index, pair.primary) for pair in ENCODED.pairs[1:3]]


async def test_missing_slivers_are_told(node: FakeNode, client: NodeClient) -> None:
    node.behaviour.missing = True
    assert await slivers(client) == [MissingSliver(PairIndex(pair), Reason.SLIVER_NOT_FOUND) for pair in (1, 2)]


@pytest.mark.parametrize(("fault", "complaint"), [("truncate_streams", "inside of"), ("unasked_slivers", "not asked")])
async def test_streams_that_break_the_protocol_are_refused(
    node: FakeNode, client: NodeClient, fault: str, complaint: str
) -> None:
    setattr(node.behaviour, fault, True)
    with pytest.raises(PeerMisbehavedError, match=complaint):
        await slivers(client)


async def test_a_sliver_of_another_size_is_refused_before_its_data(node: FakeNode, client: NodeClient) -> None:
    large = Sliver(Axis.PRIMARY, ENCODED.pairs[1].primary.index, 60_000, bytes(60_000 * 7))
    node.slivers[ENCODED.blob_id][Axis.PRIMARY, PairIndex(1)] = large
    with pytest.raises(PeerMisbehavedError, match="420000 bytes"):
        await slivers(client)


async def test_a_blob_is_stored_in_one_call(node: FakeNode, client: NodeClient) -> None:
    node.slivers.clear()
    header = wire.store_header(ENCODED.blob_id, ENCODED.metadata.to_bcs(), Permanent(), Epoch(5))
    pairs = [(pair.index, pair.secondary) for pair in ENCODED.pairs]
    answer = await client.store_blob(header, pairs, timeout_s=10)
    assert answer.confirmation is not None
    assert answer.stored == 10
    assert node.slivers[ENCODED.blob_id] == {(Axis.SECONDARY, index): sliver for index, sliver in pairs}


async def test_the_pool_tells_once_of_a_fault_and_puts_its_node_last(
    node: FakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pool, other = PeerPool(), member(2, [0])
    for _ in range(3):
        pool.blame_for(node.member, PeerTimeoutError("node-1", "silent"))
    pool.blame_for(other, PeerRefusedError("node-2", Reason.UNAVAILABLE, "soon", {}))
    assert [(record.levelname, record.fault) for record in caplog.records] == [("INFO", "stalled")]
    for _ in range(3):
        pool.blame_for(node.member, PeerMisbehavedError("node-1", "nonsense"))
    assert [(record.levelname, record.fault) for record in caplog.records[1:]] == [("WARNING", "lied")]
    assert pool.doubtful_last([node.member, other]) == [other, node.member]


async def test_the_pool_keeps_a_client_until_its_endpoint_changes(node: FakeNode) -> None:
    pool = PeerPool()
    first = pool.get(node.member)
    assert pool.get(node.member) is first
    node.network_key = NetworkKey.generate()
    assert pool.get(node.member) is not first
    await pool.close()


@pytest.mark.parametrize(
    ("details", "kind"),
    [("Internal error from Core", PeerUnreachableError), ("Internal error of the node", PeerMisbehavedError)],
)
def test_a_status_that_the_library_lost_is_no_word_of_the_node(details: str, kind: type[PeerError]) -> None:
    error = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
    assert type(Caller(member(1, [0])).peer_error(error)) is kind


class TestAKeyThatChanges:
    """The chain names two keys for a while; either fits, and what runs goes on."""

    async def test_the_client_stays_over_the_whole_change(self, node: FakeNode) -> None:
        old, new = node.network_key, NetworkKey.generate()
        before = node.member
        announced = replace(before, further_network_keys=(new.public_key,))
        changed = replace(before, network_public_key=new.public_key, further_network_keys=(old.public_key,))
        after = replace(before, network_public_key=new.public_key)
        async with PeerPool() as pool:
            client = pool.get(before)
            await client.get_info()
            channel = await client._caller.channel.get()
            assert pool.get(announced) is client
            await node.stop()
            node.served_key = new
            await node.start()
            # Whoever knows the announcement follows the node to its new key, and back if need be.
            assert (await client.get_info()).name == "node-1"
            fresh = await client._caller.channel.get()
            assert fresh is not channel
            for member_now in (changed, after):
                assert pool.get(member_now) is client
                assert (await client.get_info()).name == "node-1"
                assert await client._caller.channel.get() is fresh

    async def test_a_channel_whose_key_is_void_is_not_used_for_new_calls(self, node: FakeNode) -> None:
        new = NetworkKey.generate()
        announced = replace(node.member, further_network_keys=(new.public_key,))
        async with PeerPool() as pool:
            client = pool.get(announced)
            await client.get_info()
            assert pool.get(replace(announced, network_public_key=new.public_key, further_network_keys=())) is client
            # The node still shows the old key: by now that is an impostor's.
            with pytest.raises(PeerIdentityError, match=f"registered on chain is {new.public_key.hex()}"):
                await client.get_info()

    async def test_a_key_that_was_never_announced_makes_another_client(self, node: FakeNode) -> None:
        async with PeerPool() as pool:
            client = pool.get(node.member)
            await client.get_info()
            assert pool.get(replace(node.member, network_public_key=NetworkKey.generate().public_key)) is not client

    async def test_either_of_two_keys_is_named_in_the_complaint(self, node: FakeNode) -> None:
        other, strange = NetworkKey.generate().public_key, NetworkKey.generate().public_key
        stranger = replace(node.member, network_public_key=other, further_network_keys=(strange,))
        client = NodeClient(stranger)
        with pytest.raises(PeerIdentityError, match=" or ".join(sorted((other.hex(), strange.hex())))):
            await client.get_info()
        await client.close()
