"""When recovery looks at what, what it tries again, and when it says that all is whole."""

import asyncio
import random

from tests.unit.node.recovery_worlds import EPOCH, OURS, make_blob
from tests.unit.node.worlds import put_state

from walrus_codec.types import Axis, Epoch
from walrus_node.loops import Backoff, Wake, repeat
from walrus_node.recovery import rules, task
from walrus_node.store import layout
from walrus_node.store.records import NodeState, NodeStatus
from walrus_node.store.storage import SliverKey

BACKOFF = Backoff(first_s=60, last_s=60, rng=random.Random(1))


async def wait_until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - a loop ends its passes unheard
            await asyncio.sleep(0.01)


class TestTask:
    async def test_a_look_finds_all_and_says_when_it_is_whole(self, world):
        blobs = [make_blob(bytes([number]) * 100) for number in range(12)]
        await world.add(*blobs)
        assert not world.task.whole(EPOCH, frozenset(OURS))
        while not world.rung:
            await world.task.run_once()
        assert world.rung == [True]
        for blob in blobs:
            assert await world.holds(blob)
        progress = world.task.progress
        assert (progress.blobs_pending, progress.blobs_recovered, progress.slivers_recovered) == (0, 12, 48)
        assert progress.fraction == 1

    async def test_it_says_once_that_it_is_whole_for_the_keeper_wakes_it_after_each_pass(self, world, blob):
        await world.add(blob)
        for _ in range(5):
            await world.task.run_once()
        assert world.rung == [True]

    async def test_before_the_events_have_reached_the_tip_nothing_is_done(self, world, blob):
        await world.add(blob)
        world.at_tip = False
        await world.task.run_once()
        assert not world.rung
        assert not any(peer.asked for peer in world.each())

    async def test_before_the_epoch_is_dealt_with_nothing_is_done(self, world, blob):
        await world.add(blob)
        await put_state(world.storage, NodeState(NodeStatus.RECOVERY_CATCH_UP, Epoch(0)))
        await world.task.run_once()
        assert not world.rung

    async def test_what_fails_is_tried_again_later(self, world, blob):
        await world.add(blob)
        for peer in world.each():
            peer.down = True
        assert await world.task.run_once() <= 1
        assert world.task.progress.blobs_pending == 1
        assert world.task.progress.fraction == 0
        assert not world.rung
        for peer in world.each():
            peer.down = False
        await world.task.run_once()
        assert not world.rung, "not before its pause is over"
        later = asyncio.get_running_loop().time() + 1
        world.task._now = lambda: later
        await world.task.run_once()
        assert world.rung == [True]
        assert await world.holds(blob)

    async def test_a_restart_continues_with_what_is_left(self, world):
        blobs = [make_blob(bytes([number]) * 100) for number in range(6)]
        await world.add(*blobs)
        for blob in blobs[:3]:
            await world.complete(blob)
        before = world.recoverer.counters.blobs
        await world.task.run_once()
        assert world.recoverer.counters.blobs - before == 3

    async def test_a_certified_blob_that_is_here_is_dropped_and_another_completed(self, world, blob):
        await world.task.run_once()
        await world.add(blob)
        world.task.certified(blob.blob_id)
        await world.task.run_once()
        assert await world.holds(blob)
        world.task.certified(blob.blob_id)
        asked = sum(peer.asked for peer in world.each())
        await world.task.run_once()
        assert sum(peer.asked for peer in world.each()) == asked
        assert world.task.progress.blobs_pending == 0

    async def test_a_large_blob_that_is_under_way_has_more_time_and_an_unknown_one_has_not(self, world, monkeypatch):
        monkeypatch.setattr(rules, "MEDIUM_BLOB", 100)
        world.task._grace_s = 10.0
        await world.task.run_once()
        large, unknown = make_blob(b"x" * 101), make_blob(b"y" * 101)
        await world.add(large, unknown)
        await world.storage.put_metadata(large.blob_id, large.metadata.to_bcs())
        now = asyncio.get_running_loop().time()
        for blob in (large, unknown):
            world.task.certified(blob.blob_id)
        for later, done in ((9, []), (11, [unknown]), (19, [unknown]), (21, [unknown, large])):
            world.task._now = lambda at=now + later: at
            await world.task.run_once()
            assert [blob for blob in (unknown, large) if await world.holds(blob)] == done

    async def test_a_resting_loop_wakes_when_the_grace_period_of_a_certified_blob_is_over(
        self, world, blob, running, monkeypatch
    ):
        monkeypatch.setattr(task, "IDLE_S", 3600.0)  # nothing but the deadline wakes it
        world.task._grace_s, passes, bell = 0.3, [], Wake()

        async def run_once():
            passes.append(await world.task.run_once())
            return passes[-1]

        running(repeat("recovery", run_once, interval_s=3600, backoff=BACKOFF, wake=bell))
        await wait_until(lambda: passes)
        assert passes == [3600], "the first look has found nothing"
        await world.add(blob)
        begun = asyncio.get_running_loop().time()
        for _ in range(2):  # a second object of the same blob
            bell.ring_within(world.task.certified(blob.blob_id))
        await wait_until(lambda: world.task.progress.blobs_recovered)
        assert asyncio.get_running_loop().time() - begun >= 0.3
        await wait_until(lambda: len(passes) > 1)
        assert passes == [3600, 3600], "one pass, in which it is completed, and rest again"
        assert await world.holds(blob)

    async def test_what_is_certified_before_the_tip_is_reached_wakes_nobody_for_nothing(self, world, blob):
        world.task._grace_s = 10.0
        await world.add(blob)
        world.at_tip = False
        assert world.task.certified(blob.blob_id) >= await world.task.run_once()
        world.at_tip = True
        assert world.task.certified(blob.blob_id) == 0, "it was due before"

    async def test_old_certifications_that_are_heard_while_catching_up_wait_for_nothing(self, world, blob):
        world.task._grace_s = 10.0
        await world.task.run_once()
        await world.add(blob)
        world.at_tip = False
        world.task.certified(blob.blob_id)
        world.at_tip = True
        await world.task.run_once()
        assert await world.holds(blob)

    async def test_what_is_done_is_suspected_no_more(self, world, blob):
        await world.add(blob)
        await world.task.run_once()
        assert await world.holds(blob)
        assert await world.storage.blobs_lacking(EPOCH, OURS) == []
        assert not list(world.storage._kv.scan(layout.SUSPECTS))

    async def test_what_has_rotted_comes_back_in_the_next_pass(self, world, blob):
        await world.add(blob)
        await world.task.run_once()
        assert world.task.whole(EPOCH, frozenset(OURS))
        key = SliverKey(OURS[0], Axis.PRIMARY, blob.blob_id)
        assert await world.storage.remove_sliver(key, bytes(await world.storage.sliver(key)))
        assert await world.storage.remove_metadata(blob.blob_id, blob.metadata.to_bcs())
        world.task.lost(blob.blob_id)
        assert world.task.progress.blobs_pending == 1
        assert world.task.whole(EPOCH, frozenset(OURS)), "the epoch stays attested"
        await world.task.run_once()
        assert world.task.progress.blobs_pending == 0
        assert await world.holds(blob)
        assert await world.storage.metadata(blob.blob_id) == blob.metadata.to_bcs()
