"""Shards from their previous owner: twins of other nodes that lack, lie, stall, lag and refuse; processes that die."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.node.feeding import start_epochs
from tests.unit.node.recovery_worlds import make_blob
from tests.unit.node.sync_worlds import ACTIVE, GAINED, KEPT, LOCKED, RECOVER, SYNC, World
from tests.unit.node.worlds import (
    US,
    committee,
    member,
    put_state,
    staking,
)

from walrus_client.errors import PeerMisbehavedError, PeerRefusedError, PeerTimeoutError, PeerUnreachableError
from walrus_client.reasons import Reason
from walrus_codec.types import Axis, Epoch
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus
from walrus_node.store.storage import SliverKey, Storage
from walrus_node.sync import patience, transfer


@pytest.fixture
def blobs():
    return [make_blob(bytes([number]) * (40 * number)) for number in range(6)]


@pytest.fixture
async def world(memory_storage, blobs):
    return await World(memory_storage).begin(blobs)


async def until_settled(world):
    """Passes, with the pauses that they ask for, until no shard is to come any more."""
    async with asyncio.timeout(30):
        while True:
            pause = await world.task.run_once()
            if SYNC not in world.statuses:
                return
            await asyncio.sleep(pause)


def next_after(blob_id):
    return (int.from_bytes(blob_id, "big") + 1).to_bytes(32, "big")


async def test_whole_shards_come_from_their_previous_owners(world):
    await world.task.run_once()
    assert world.statuses == [ACTIVE] * 3
    for shard in GAINED:
        assert not await world.lacks(shard)
    assert {shard for shard, _axis, _start in world.first.asked_for} == set(GAINED[:2])
    assert {shard for shard, _axis, _start in world.second.asked_for} == set(GAINED[2:])
    assert world.rung == 3
    progress = world.task.progress
    assert (progress.shards_pending, progress.shards_transferred, progress.fraction) == (0, 3, 1.0)
    assert progress.slivers_received == 3 * 2 * len(world.blobs) == world.storage.slivers_stored
    assert progress.bytes_received > 0
    before = len(world.first.asked_for)
    await world.task.run_once()
    assert len(world.first.asked_for) == before, "what has come is not asked for again"


async def test_long_axes_come_in_several_requests(world, monkeypatch):
    monkeypatch.setattr(transfer, "SLIVERS_PER_REQUEST", 2)
    await world.task.run_once()
    assert world.statuses == [ACTIVE] * 3
    starts = [start for shard, axis, start in world.second.asked_for if axis is Axis.PRIMARY]
    assert len(starts) == 3
    assert starts == sorted(starts)


async def test_a_transfer_that_broke_off_goes_on_behind_what_has_come(world, monkeypatch):
    monkeypatch.setattr(transfer, "BATCH_BYTES", 1)
    monkeypatch.setattr("walrus_node.sync.rules.FIRST_BACKOFF_S", 0.001)
    for peer in world.each():
        peer.breaks_after = 2
    await world.task.run_once()
    ordered = sorted(blob.blob_id for blob in world.blobs)
    starts = [start for _shard, axis, start in world.second.asked_for if axis is Axis.PRIMARY]
    assert starts[0] == bytes(32)
    assert ordered[1] < starts[1] <= ordered[2]
    await until_settled(world)
    assert world.statuses == [ACTIVE] * 3


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "power lost"])
async def test_a_restart_goes_on_where_the_transfer_was(blobs, monkeypatch, killed):
    monkeypatch.setattr(transfer, "BATCH_BYTES", 1)
    kv = MemoryStore()
    world = await World(await Storage.over(kv), concurrent=1).begin(blobs)
    await world.storage.sync()
    world.first.breaks_after = 3
    world.second.failure = PeerUnreachableError("peer-2", "away")
    await world.task.run_once()
    assert SYNC in world.statuses
    survivor = kv.killed() if killed else kv.crashed()
    again = World(await Storage.over(survivor))
    again.blobs = blobs
    for peer in again.each():
        peer.blobs = {blob.blob_id: blob for blob in blobs}
    await again.view.refresh()
    await again.task.run_once()
    assert again.statuses == [ACTIVE] * 3
    for shard in GAINED:
        assert not await again.lacks(shard)
    starts = {start for shard, axis, start in again.first.asked_for if shard == GAINED[0] and axis is Axis.PRIMARY}
    assert starts == ({next_after(sorted(blob.blob_id for blob in blobs)[2])} if killed else {bytes(32)})


async def test_what_the_source_lacks_is_left_to_recovery(world):
    world.first.lacking = {world.blobs[3].blob_id}
    await world.task.run_once()
    assert world.statuses == [RECOVER, RECOVER, ACTIVE]
    assert [await world.lacks(shard) for shard in GAINED] == [2, 2, 0]


async def test_a_source_that_trickles_is_not_listened_to_for_ever(world, monkeypatch):
    monkeypatch.setattr(transfer, "IDLE_S", 0.05)
    monkeypatch.setattr(patience, "SLOWEST_BYTES_PER_S", transfer.BATCH_BYTES * 20)
    world.first.hold = asyncio.Event()
    await asyncio.wait_for(world.task.run_once(), 20)
    assert world.statuses == [SYNC, SYNC, ACTIVE], "it is asked again"
    assert world.standing.is_doubtful(world.first.member.node_id, asyncio.get_running_loop().time())
    world.first.hold.set()
    await until_settled(world)
    assert world.statuses == [ACTIVE] * 3


@pytest.mark.parametrize("bound", [("FRUITLESS_SLIVERS", 3), ("FRUITLESS_BYTES", 300)])
async def test_a_source_that_sends_nothing_but_what_nobody_needs_is_given_up(world, monkeypatch, bound):
    monkeypatch.setattr(patience, *bound)
    monkeypatch.setattr(transfer, "BATCH_BYTES", 1)
    world.first.lying = True
    await world.task.run_once()
    assert world.statuses == [RECOVER, RECOVER, ACTIVE]
    assert world.task.progress.shards_given_up == 2
    assert world.task.progress.slivers_rejected < 24, "not all of it was heard"


async def test_false_slivers_are_never_stored(world):
    world.first.lying = True
    await world.task.run_once()
    assert world.statuses == [RECOVER, RECOVER, ACTIVE]
    assert [await world.lacks(shard) for shard in GAINED] == [12, 12, 0]
    assert world.task.progress.slivers_rejected == 24


@pytest.mark.parametrize(
    "failure",
    [
        PeerRefusedError("peer-1", Reason.SHARD_NOT_ASSIGNED, "no"),
        PeerRefusedError("peer-1", Reason.REQUEST_UNAUTHORIZED, "no"),
        PeerRefusedError("peer-1", Reason.MESSAGE_VERIFICATION_FAILED, "no"),
        PeerRefusedError("peer-1", Reason.INVALID_EPOCH, "no"),
        PeerMisbehavedError("peer-1", "nonsense"),
    ],
)
async def test_a_refusal_that_time_does_not_heal_is_recovered_at_once(world, failure):
    world.first.failure = failure
    await world.task.run_once()
    assert world.statuses == [RECOVER, RECOVER, ACTIVE]
    assert world.task.progress.shards_given_up == 2


@pytest.mark.parametrize(
    "failure",
    [
        PeerUnreachableError("peer-1", "away"),
        PeerTimeoutError("peer-1", "silent"),
        PeerRefusedError("peer-1", Reason.UNAVAILABLE, "soon"),
        PeerRefusedError("peer-1", Reason.CACHE_SATURATED, "soon"),
        PeerRefusedError("peer-1", Reason.INVALID_EPOCH, "lags", {"request_epoch": "2", "server_epoch": "1"}),
        PeerRefusedError("peer-1", Reason.INVALID_EPOCH, "is ahead", {"request_epoch": "2", "server_epoch": "3"}),
    ],
)
async def test_a_source_that_is_away_is_asked_again_and_holds_nobody_up(world, failure, monkeypatch):
    monkeypatch.setattr("walrus_node.sync.rules.FIRST_BACKOFF_S", 0.001)
    world.first.failure = failure
    await world.task.run_once()
    assert world.statuses == [SYNC, SYNC, ACTIVE]
    assert world.task.progress.shards_pending == 2
    world.first.failure = None
    await until_settled(world)
    assert world.statuses == [ACTIVE] * 3


async def test_a_busy_source_is_left_alone_for_as_long_as_it_asks(world, monkeypatch):
    monkeypatch.setattr("walrus_node.sync.rules.FIRST_BACKOFF_S", 0.001)
    world.first.failure = PeerRefusedError("peer-1", Reason.CACHE_SATURATED, "busy", retry_after_s=500.0)
    pause = await world.task.run_once()
    assert 59 < pause <= 60 * 1.25, "at most a minute"


async def test_without_progress_for_too_long_a_shard_is_recovered(memory_storage, blobs, monkeypatch):
    monkeypatch.setattr("walrus_node.sync.rules.FIRST_BACKOFF_S", 0.001)
    world = await World(memory_storage, stall_s=0.05).begin(blobs)
    world.first.failure = PeerUnreachableError("peer-1", "dead")
    await until_settled(world)
    assert world.statuses == [RECOVER, RECOVER, ACTIVE]
    assert world.first.idle_s == world.second.idle_s == 0.05, "nobody is listened to in silence for longer"


async def test_a_shard_that_nobody_else_had_is_recovered(world):
    view = world.chain.view
    world.chain.view = replace(view, previous_committee=committee(1, member(US, GAINED)))
    await world.view.refresh()
    await world.task.run_once()
    assert world.statuses == [RECOVER] * 3
    assert not world.first.asked_for


async def test_a_new_member_has_all_metadata_before_it_is_active_and_asks_for_shards(memory_storage, blobs):
    world = await World(memory_storage).begin(blobs, status=NodeStatus.RECOVER_METADATA, with_metadata=False)
    for peer in world.each():
        peer.down = True
    assert await world.task.run_once() > 0
    assert (await world.storage.node_state()).status is NodeStatus.RECOVER_METADATA
    assert not world.first.asked_for
    for peer in world.each():
        peer.down = False
    world.second.lying = True  # also about metadata: others are asked
    await world.task.run_once()
    assert (await world.storage.node_state()).status is NodeStatus.ACTIVE
    assert world.storage.blobs_stored == len(blobs) == world.task.progress.metadata_fetched
    assert world.statuses == [ACTIVE, ACTIVE, RECOVER]


async def test_metadata_that_a_member_misses_comes_with_the_sliver(memory_storage, blobs):
    world = await World(memory_storage).begin(blobs, with_metadata=False)
    await world.task.run_once()
    assert world.statuses == [ACTIVE] * 3
    assert world.storage.blobs_stored == len(blobs)


async def test_blobs_that_the_events_do_not_know_are_not_stored(world):
    strange = make_blob(b"never registered")
    world.first.blobs[strange.blob_id] = strange
    await world.task.run_once()
    assert world.statuses == [ACTIVE] * 3
    assert world.storage.slivers_stored == 3 * 2 * len(world.blobs)


async def test_writes_of_the_new_epoch_are_kept_and_not_fetched_again(world):
    blob = world.blobs[0]
    for axis in Axis:
        sliver = world.first.sliver(blob, GAINED[0], axis).to_bcs()
        assert await world.storage.put_sliver(SliverKey(GAINED[0], axis, blob.blob_id), sliver)
    await world.task.run_once()
    assert world.storage.slivers_stored == 3 * 2 * len(world.blobs)


async def test_the_next_epoch_change_ends_a_transfer(world, running):
    world.first.hold = asyncio.Event()
    task = running(world.task.run_once())
    async with asyncio.timeout(10):
        await world.first.reached.wait()
    await start_epochs(world.storage, 3)
    world.chain.view = replace(staking(3), committee=committee(3, member(US, [KEPT])))
    await world.view.refresh()
    await world.storage.change_epoch(NodeState(NodeStatus.ACTIVE, Epoch(3)), dict.fromkeys(GAINED[:2], LOCKED))
    world.first.hold.set()
    async with asyncio.timeout(20):
        await task
    assert world.statuses[:2] == [LOCKED, LOCKED]
    assert await world.lacks(GAINED[0]) == 12, "a locked shard takes nothing"


@pytest.mark.parametrize("out_of_step", ["tip", "view", "state"])
async def test_nothing_is_asked_for_before_events_and_epoch_changes_have_reached_the_chain(world, out_of_step):
    if out_of_step == "tip":
        world.at_tip = False
    elif out_of_step == "view":
        world.chain.view = staking(3)
        await world.view.refresh()
    else:
        await put_state(world.storage, NodeState(NodeStatus.ACTIVE, Epoch(1)))
    await world.task.run_once()
    assert not any(peer.asked for peer in world.each())
