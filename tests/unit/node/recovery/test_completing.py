"""Gathering and rebuilding against twins of the other nodes, which fail in every way that nodes can."""

import asyncio
import random

import pytest
from tests.unit.node.feeding import feed
from tests.unit.node.recovery_worlds import EPOCH, OURS, N, make_blob

from walrus_client.peers.rules import Standing
from walrus_codec import mapping
from walrus_codec.types import Axis
from walrus_node.recovery import gathering
from walrus_node.recovery.blobs import Outcome
from walrus_node.store.storage import SliverKey
from walrus_sui.events import InvalidBlobId


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
