"""Nodes that are busy: how long stores and reads wait for them, and that nobody blames them."""

import asyncio
from itertools import pairwise

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.storing import BLOB, stored

from walrus_client.errors import (
    BlobUnavailableError,
    InsufficientConfirmationsError,
)
from walrus_client.peers import Fault
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import NodeId


def busy(hint_s: float) -> RequestRefused:
    return RequestRefused(Reason.CACHE_SATURATED, "busy", retry_after_s=hint_s)


@pytest.fixture
def blamed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[NodeId]:
    """Nodes that were blamed for something."""
    found: list[NodeId] = []
    blame = world.peers.standing.blame

    def note(node_id: NodeId, fault: Fault, now: float) -> bool:
        found.append(node_id)
        return blame(node_id, fault, now)

    monkeypatch.setattr(world.peers.standing, "blame", note)
    return found


async def test_busy_nodes_are_left_alone_as_long_as_they_ask_and_not_blamed(world: World, blamed: list[NodeId]) -> None:
    # More often than a failing node would be tried, and by so many that there is no quorum without each of them.
    world.nodes[2].behaviour.bad_signature = True
    for node in world.nodes[:2]:
        node.behaviour.refusals = [busy(0.1)] * 8
    await stored(world)
    # Once one of them has confirmed there is a quorum, and the other one is not waited for.
    assert max(node.calls.count("StoreBlob") for node in world.nodes[:2]) == 9
    for node in world.nodes[:2]:
        at = [when for call, when in zip(node.calls, node.called_at, strict=True) if call == "StoreBlob"]
        assert all(later - earlier >= 0.1 for earlier, later in pairwise(at)), at
        assert node.member.node_id not in blamed


async def test_nodes_that_stay_busy_for_longer_than_a_store_may_take_are_not_waited_for(
    world: World, blamed: list[NodeId]
) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [busy(1000)]
    with pytest.raises(InsufficientConfirmationsError, match="busy"):
        await stored(world)
    assert [node.calls.count("StoreBlob") for node in world.nodes[:2]] == [1, 1]
    assert not blamed


async def test_a_read_waits_for_busy_nodes_when_the_others_do_not_suffice(world: World) -> None:
    result = await stored(world)
    metadata = await world.reader.metadata(result.blob.blob_id)
    for node in world.nodes:
        node.behaviour.refusals = [busy(0.1)] * 2
    assert (await world.reader.read(result.blob.blob_id, metadata=metadata)).data == BLOB


async def test_a_read_does_not_wait_for_what_takes_too_long_and_asks_the_busy_last(
    world: World, blamed: list[NodeId]
) -> None:
    blob_id = (await stored(world)).blob.blob_id
    metadata = await world.reader.metadata(blob_id)
    for node in world.nodes:
        node.behaviour.refusals = [busy(50)]
    with pytest.raises(BlobUnavailableError, match="busy"):
        await world.reader.read(blob_id, metadata=metadata)
    assert not blamed
    left = [node for node in world.nodes if node.behaviour.refusals]
    now = asyncio.get_running_loop().time()
    assert [world.peers.standing.is_doubtful(node.member.node_id, now) for node in left] == [False] * len(left)
    assert all(world.peers.standing.is_doubtful(node.member.node_id, now) for node in world.nodes if node not in left)
