"""Gathering, rebuilding and denouncing against twins of the other nodes, which fail in every way that nodes can."""

import asyncio
import random

import pytest
from tests.unit.node.feeding import feed, start_epochs
from tests.unit.node.recovery_worlds import EPOCH, KEY, OURS, N, World, make_blob
from tests.unit.node.worlds import put_state

from walrus_client.errors import PeerUnreachableError
from walrus_client.peers import SignedMessage
from walrus_client.peers.rules import Standing
from walrus_codec import mapping
from walrus_codec.types import Axis, EncodingType, Epoch
from walrus_node.loops import Backoff, Wake, repeat
from walrus_node.recovery import gathering, rules, task
from walrus_node.recovery.blobs import Outcome
from walrus_node.store import layout
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import SliverKey
from walrus_sui import bls, messages
from walrus_sui.events import InvalidBlobId
from walrus_sui.keys import BlsKey

BACKOFF = Backoff(first_s=60, last_s=60, rng=random.Random(1))


async def wait_until(holds):
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - a loop ends its passes unheard
            await asyncio.sleep(0.01)


@pytest.fixture
async def world(memory_storage):
    await start_epochs(memory_storage, EPOCH)
    await memory_storage.create_shards(OURS, ShardStatus.ACTIVE_RECOVER)
    await put_state(memory_storage, NodeState(NodeStatus.RECOVERY_IN_PROGRESS, EPOCH))
    made = World(memory_storage, random.Random(3))
    await made.view.refresh()
    yield made
    await made.compute.close()


@pytest.fixture(params=list(EncodingType), ids=lambda code: code.label)
def blob(request):
    return make_blob(encoding=request.param)


class TestCompleting:
    async def test_metadata_and_all_slivers_come_back(self, world, blob):
        await world.add(blob)
        assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)
        assert await world.storage.metadata(blob.blob_id) == blob.metadata.to_bcs()
        assert world.recoverer.counters.slivers == 4

    async def test_what_comes_is_what_is_needed(self, world, blob):
        await world.add(blob)
        await world.complete(blob)
        symbol = blob.params.symbol_size(len(blob.content)) + 4 * 32
        # Secondary slivers first: k1 symbols each. The primary ones then take two of their k2 from these.
        assert world.gatherer.bytes_fetched == 2 * symbol * (blob.params.k1 + blob.params.k2 - 2)

    async def test_only_what_is_lacking_is_fetched(self, world, blob):
        await world.add(blob)
        await world.complete(blob)
        before, asked = world.gatherer.bytes_fetched, sum(peer.asked for peer in world.each())
        assert await world.complete(blob) is Outcome.WHOLE
        assert world.gatherer.bytes_fetched == before
        assert sum(peer.asked for peer in world.each()) == asked
        assert world.recoverer.counters.blobs == 1

    async def test_a_node_that_is_down_and_two_that_lack_slivers_are_replaced(self, world, blob):
        await world.add(blob)
        first, second, third, _fourth = world.each()
        pairs = {
            peer.name: [mapping.pair_of_shard(s, blob.blob_id, N) for s in peer.member.shards] for peer in world.each()
        }
        # Primary slivers need seven columns: two are ours by then, six of the eight others are there.
        first.down = True
        second.lacking = {pairs[second.name][0]}
        assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)
        assert third.asked

    async def test_a_liar_is_found_out_and_asked_no_more_for_this_sliver(self, world, blob):
        await world.add(blob)
        liar = world.each()[0]
        liar.lying = True
        assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)
        doubtful = world.standing.is_doubtful(liar.member.node_id, asyncio.get_running_loop().time())
        assert doubtful is bool(liar.asked), "the next recoveries ask it last"

    async def test_a_node_that_stalls_is_not_waited_for(self, world, blob, monkeypatch):
        monkeypatch.setattr(gathering, "PATIENCE_S", 0.05)
        monkeypatch.setattr(gathering, "METADATA_PATIENCE_S", 0.05)
        await world.add(blob)
        world.each()[1].stalling = True
        async with asyncio.timeout(20):
            assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)

    async def test_nodes_that_keep_metadata_waiting_are_left_behind_and_asked_last(self, world, blob, monkeypatch):
        monkeypatch.setattr(gathering, "METADATA_PATIENCE_S", 0.05)
        await world.add(blob)
        silent, committee = world.each()[:3], (await world.view.refresh()).committee
        for peer in silent:
            peer.stalling = True
        for _ in range(8):  # the order is random: whom it meets differs
            world.standing, before = Standing(), [peer.asked for peer in silent]
            assert (await world.gatherer.metadata(blob.blob_id, committee)).blob_id() == blob.blob_id
            now, asked = asyncio.get_running_loop().time(), [peer.asked for peer in silent]
            for peer, earlier in zip(silent, before, strict=True):
                assert world.standing.is_doubtful(peer.member.node_id, now) is (peer.asked > earlier)
            if asked == [earlier + 1 for earlier in before]:
                await world.gatherer.metadata(blob.blob_id, committee)
                assert [peer.asked for peer in silent] == asked, "the one that is left answers at once"
        assert any(peer.asked for peer in silent)

    async def test_busy_nodes_are_left_alone_for_as_long_as_they_ask_and_then_asked_again(self, world, blob):
        await world.add(blob)
        busy = world.each()[:3]  # without them there would be too few
        for peer in busy:
            peer.busy_s = [0.3]
        assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)
        waits = [peer.symbols_asked_at[1] - peer.symbols_asked_at[0] for peer in busy if len(peer.symbols_asked_at) > 1]
        assert waits
        assert min(waits) >= 0.3

    async def test_a_node_that_stays_busy_is_not_waited_for_and_asked_last(self, world, blob):
        await world.add(blob)
        hint = [2 * gathering.REQUEST_TIMEOUT_S]  # whoever is asked first takes it
        for peer in world.each():
            peer.busy_s = hint
        async with asyncio.timeout(20):
            assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)
        first = min((peer for peer in world.each() if peer.symbols_asked_at), key=lambda peer: peer.symbols_asked_at[0])
        assert len(first.symbols_asked_at) == 1, "for the primary slivers the others were enough"
        assert world.standing.is_doubtful(first.member.node_id, asyncio.get_running_loop().time())

    async def test_with_too_few_nodes_the_secondary_slivers_come_back_and_the_rest_later(self, world, blob):
        """The two steps: half of the others have nothing, so primary slivers must wait for secondary ones."""
        await world.add(blob)
        for peer in world.each()[:2]:
            peer.down = True
        assert await world.complete(blob) is Outcome.LACKING
        keys = [SliverKey(shard, axis, blob.blob_id) for axis in (Axis.SECONDARY, Axis.PRIMARY) for shard in OURS]
        assert await world.storage.has_slivers(keys) == [True, True, False, False]
        for peer in world.each():
            peer.down = False
        assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)

    async def test_nobody_has_the_metadata(self, world, blob):
        await world.add(blob)
        for peer in world.each():
            peer.lying = True
        assert await world.complete(blob) is Outcome.LACKING
        assert world.storage.blobs_stored == world.storage.slivers_stored == 0

    async def test_blobs_that_nobody_keeps_alive_are_let_go(self, world, blob):
        assert await world.complete(blob) is Outcome.DEAD
        await world.add(blob)
        await feed(world.storage, InvalidBlobId(EPOCH, blob.blob_id))
        assert await world.complete(blob) is Outcome.DEAD
        assert not any(peer.asked for peer in world.each())

    async def test_large_blobs_are_recovered_in_groups_that_fit_into_memory(self, world):
        big = make_blob(random.Random(1).randbytes(1_800_000))
        await world.add(big)
        assert await world.complete(big) is Outcome.WHOLE
        assert await world.holds(big)

    @pytest.mark.parametrize("at", [0, 1, 60, 200])
    async def test_rotten_metadata_are_replaced_and_accuse_nobody(self, world, blob, at):
        await world.add(blob)
        rotten = bytearray(blob.metadata.to_bcs())
        rotten[at] ^= 1
        await world.storage.put_metadata(blob.blob_id, bytes(rotten))
        assert await world.complete(blob) is Outcome.WHOLE
        assert await world.holds(blob)
        assert await world.storage.metadata(blob.blob_id) == blob.metadata.to_bcs()
        assert world.storage.rotten_removed == 1
        assert not world.chain.updates

    @pytest.mark.parametrize("at", [0, 5, -1, -2, -4], ids=["length", "data", "index", "low index", "symbol size"])
    async def test_rotten_slivers_of_our_own_give_no_symbols_and_stop_nothing(self, world, blob, at):
        await world.add(blob)
        await world.storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
        for shard in OURS:
            pair = blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)]
            rotten = bytearray(pair.secondary.to_bcs())
            rotten[at] ^= 0x80
            await world.storage.put_sliver(SliverKey(shard, Axis.SECONDARY, blob.blob_id), bytes(rotten))
        assert await world.complete(blob) is Outcome.WHOLE
        for shard in OURS:
            pair = blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)]
            assert await world.storage.sliver(SliverKey(shard, Axis.PRIMARY, blob.blob_id)) == pair.primary.to_bcs()


class TestDenouncing:
    @pytest.mark.parametrize("axis", list(Axis))
    async def test_a_wrong_encoding_is_proved_judged_and_told_to_the_chain(self, world, axis):
        lie = make_blob(b"lie" * 99, lie=axis)
        await world.add(lie)
        assert await world.complete(lie) is Outcome.INVALID
        (told,) = world.chain.updates
        assert told.message == messages.invalid_blob(lie.blob_id, EPOCH)
        members = world.chain.view.committee.members
        signers = [entry for index, entry in enumerate(members) if told.signers_bitmap[index // 8] >> index % 8 & 1]
        assert sum(entry.weight for entry in signers) >= 4
        assert bls.aggregate_verify([entry.bls_public_key for entry in signers], told.message, told.signature)

    async def test_too_few_judges_tell_nothing(self, world):
        lie = make_blob(b"lie" * 99, lie=Axis.SECONDARY)
        await world.add(lie)
        for peer in world.each():
            peer.submit_inconsistency_proof = unreachable
        assert await world.complete(lie) is Outcome.LACKING
        assert not world.chain.updates

    async def test_false_signatures_do_not_count(self, world):
        lie = make_blob(b"lie" * 99, lie=Axis.SECONDARY)
        await world.add(lie)
        honest = world.each()[2]
        for peer in world.each():
            if peer is not honest:
                peer.submit_inconsistency_proof = forged
        assert await world.complete(lie) is Outcome.INVALID
        (told,) = world.chain.updates
        publics = [KEY.public_key, honest.key.public_key]
        assert bls.aggregate_verify(publics, told.message, told.signature)

    async def test_a_chain_that_is_away_is_told_later(self, world):
        lie = make_blob(b"lie" * 99, lie=Axis.SECONDARY)
        await world.add(lie)
        view = await world.view.refresh()
        world.chain.down = True
        assert await world.recoverer.complete(lie.blob_id, world.scope, view) is Outcome.LACKING
        world.chain.down = False
        assert await world.complete(lie) is Outcome.INVALID


async def unreachable(blob_id, axis, proof):
    raise PeerUnreachableError("it", "is down")


async def forged(blob_id, axis, proof):
    return SignedMessage(messages.invalid_blob(blob_id, EPOCH), BlsKey.generate().sign(b"another message"))


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
