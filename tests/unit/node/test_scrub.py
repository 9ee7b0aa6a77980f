"""Bit rot: what is found, what is taken out, what is left alone, and how the round goes on."""

import asyncio
import os
from dataclasses import replace

import pytest
from tests.unit.node.feeding import feed, start_epochs
from tests.unit.node.recovery_worlds import OURS, N, make_blob
from tests.unit.node.worlds import certified, object_id, pool_created, pool_id, pooled, registered

from walrus_client.compute import Compute
from walrus_codec import mapping
from walrus_codec.types import Axis, EncodingType
from walrus_node.errors import DamagedError
from walrus_node.scrub import offline, rules, scrubber
from walrus_node.scrub.examination import Counts, examine
from walrus_node.scrub.rules import Fault, Kind, Pace
from walrus_node.scrub.scrubber import Scrubber
from walrus_node.store import layout
from walrus_node.store.forms import versioned
from walrus_node.store.kv import Batch
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import ScrubState, ShardStatus
from walrus_node.store.storage import SliverKey, Storage

PLACES = [(shard, axis) for shard in OURS for axis in Axis]


def flipped(value, at):
    changed = bytearray(value)
    changed[at % len(changed)] ^= 0x10
    return bytes(changed)


class World:
    """A store with blobs, both shards whole, and hands that reach below it."""

    def __init__(self, kv, storage):
        self.kv = kv
        self.storage = storage
        self.compute = Compute(workers=1, inline_limit_s=1e9)
        self.lost = []
        self.waited = []
        self.now_ms = 1_000_000
        self.objects = 0

    def scrubber(self, **changes):
        async def sleep(seconds):
            self.waited.append(seconds)

        options = {"bytes_per_s": 1 << 30, "pause_s": 100.0} | changes
        return Scrubber(
            storage=self.storage,
            compute=self.compute,
            on_lost=self.lost.append,
            now_ms=lambda: self.now_ms,
            sleep=options.pop("sleep", sleep),
            **options,
        )

    async def add(self, *blobs):
        for blob in blobs:
            self.objects += 1
            obj = object_id(self.objects)
            await feed(self.storage, registered(blob.blob_id, obj, 9), certified(blob.blob_id, obj, 9))
            await self.storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
            for shard, axis in PLACES:
                await self.storage.put_sliver(SliverKey(shard, axis, blob.blob_id), self.sliver(blob, shard, axis))

    @staticmethod
    def sliver(blob, shard, axis):
        return getattr(blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)], axis.value).to_bcs()

    def put(self, family, key, value):
        batch = Batch()
        batch.put(family, key, value)
        self.kv.write(batch)

    def rot(self, blob, shard, axis, at=40):
        family = layout.sliver_family(shard, axis)
        self.put(family, blob.blob_id, flipped(self.kv.get(family, blob.blob_id), at))

    def rot_metadata(self, blob, at=40):
        self.put(layout.METADATA, blob.blob_id, flipped(self.kv.get(layout.METADATA, blob.blob_id), at))

    async def examine(self, blob):
        async def nothing(_size):
            pass

        counts = Counts()
        found = examine(self.storage, self.compute, blob.blob_id, shards=OURS, counts=counts, spent=nothing)
        return [fault async for fault in found], counts

    async def holds(self, blob):
        return [await self.storage.has_slivers([SliverKey(s, a, blob.blob_id)]) == [True] for s, a in PLACES]


@pytest.fixture
async def world(kv):
    storage = await Storage.over(kv)
    await start_epochs(storage, 1)
    await storage.create_shards(OURS, ShardStatus.ACTIVE)
    made = World(kv, storage)
    yield made
    await made.compute.close()
    await storage.close()


@pytest.fixture(params=list(EncodingType), ids=lambda code: code.label)
def blob(request):
    return make_blob(encoding=request.param)


def blobs(count):
    return sorted((make_blob(os.urandom(200)) for _ in range(count)), key=lambda made: made.blob_id)


class TestExamining:
    async def test_what_is_good_has_no_fault(self, world, blob):
        await world.add(blob)
        found, counts = await world.examine(blob)
        assert not found
        size = len(blob.metadata.to_bcs()) + sum(len(world.sliver(blob, *place)) for place in PLACES)
        assert counts == Counts(1, 4, size)

    @pytest.mark.parametrize("at", [0, 1, 2, 40, -1, -3], ids=["version", "length", "first", "middle", "index", "size"])
    async def test_one_bit_anywhere_in_a_sliver_is_found_and_named(self, world, blob, at):
        await world.add(blob)
        for shard, axis in PLACES:
            good = world.kv.get(layout.sliver_family(shard, axis), blob.blob_id)
            world.rot(blob, shard, axis, at)
            found, _counts = await world.examine(blob)
            assert [(fault.kind, fault.key) for fault in found] == [(Kind.ROTTEN, SliverKey(shard, axis, blob.blob_id))]
            world.put(layout.sliver_family(shard, axis), blob.blob_id, good)
        assert not (await world.examine(blob))[0]

    @pytest.mark.parametrize("at", [0, 1, 2, 4, 12, 40, -1])
    async def test_one_bit_anywhere_in_metadata_is_found_and_accuses_no_sliver(self, world, blob, at):
        await world.add(blob)
        world.rot_metadata(blob, at)
        (fault,), counts = await world.examine(blob)
        assert (fault.kind, fault.key, fault.place) == (Kind.ROTTEN, None, "metadata")
        assert counts.slivers == 0

    async def test_an_entry_of_the_index_without_its_sliver_is_rotten(self, world, blob):
        await world.add(blob)
        shard, axis = PLACES[1]
        batch = Batch()
        batch.delete(layout.sliver_family(shard, axis), blob.blob_id)
        world.kv.write(batch)
        (fault,), _counts = await world.examine(blob)
        assert (fault.key, fault.seen) == (SliverKey(shard, axis, blob.blob_id), None)

    async def test_what_the_database_calls_damaged_is_rotten(self, world, blob, monkeypatch):
        await world.add(blob)
        bad = layout.sliver_family(*PLACES[0])
        real = world.kv.get

        def get(family, key):
            if family == bad:
                raise DamagedError("Corruption: block checksum mismatch")
            return real(family, key)

        monkeypatch.setattr(world.kv, "get", get)
        (fault,), _counts = await world.examine(blob)
        assert fault.key == SliverKey(*PLACES[0], blob.blob_id)
        assert await scrubber.remove(world.storage, fault)
        monkeypatch.undo()
        assert await world.holds(blob) == [False, True, True, True]

    async def test_large_slivers_are_verified_in_batches(self, world):
        big = make_blob(os.urandom(1_800_000))
        await world.add(big)
        world.rot(big, *PLACES[3], at=100_000)
        found, counts = await world.examine(big)
        assert [fault.key for fault in found] == [SliverKey(*PLACES[3], big.blob_id)]
        assert counts.slivers == 4


class TestRemoving:
    async def test_only_the_bytes_that_were_judged_go(self, world, blob):
        await world.add(blob)
        place = SliverKey(*PLACES[0], blob.blob_id)
        good = world.sliver(blob, *PLACES[0])
        for other in (b"something else", None):
            assert not await scrubber.remove(world.storage, Fault(Kind.ROTTEN, blob.blob_id, place, "", other))
            assert not await scrubber.remove(world.storage, Fault(Kind.ROTTEN, blob.blob_id, None, "", other))
        assert (world.storage.slivers_stored, world.storage.blobs_stored) == (4, 1)
        assert await scrubber.remove(world.storage, Fault(Kind.ROTTEN, blob.blob_id, place, "", good))
        assert not await scrubber.remove(world.storage, Fault(Kind.ROTTEN, blob.blob_id, place, "", good))
        assert (world.storage.slivers_stored, world.storage.blobs_stored) == (3, 1)
        assert await world.storage.incomplete(1, OURS) == [blob.blob_id]

    async def test_a_blob_without_metadata_is_incomplete(self, world, blob):
        await world.add(blob)
        assert await world.storage.incomplete(1, OURS) == []
        assert await world.storage.remove_metadata(blob.blob_id, blob.metadata.to_bcs())
        assert await world.storage.incomplete(1, OURS) == [blob.blob_id]
        assert world.storage.blobs_stored == 0


class TestRounds:
    async def test_rot_is_taken_out_counted_and_handed_to_recovery(self, world):
        first, second, third = made = blobs(3)
        await world.add(*made)
        world.rot(first, *PLACES[0])
        world.rot(first, *PLACES[3])
        world.rot_metadata(third)
        scrub = world.scrubber()
        assert await scrub.run_once() == scrubber.IDLE_S
        assert world.lost == [first.blob_id, third.blob_id]
        assert await world.holds(first) == [False, True, True, False]
        assert await world.holds(second) == await world.holds(third) == [True] * 4
        assert await world.storage.metadata(third.blob_id) is None
        progress = scrub.progress
        assert (progress.blobs_verified, progress.slivers_verified, progress.rotten_found) == (3, 8, 3)
        assert (progress.fraction, progress.finished_ms) == (1, world.now_ms)

    async def test_metadata_that_are_gone_are_asked_for_again_each_round(self, world, blob):
        await world.add(blob)
        await world.storage.remove_metadata(blob.blob_id, blob.metadata.to_bcs())
        await world.scrubber().run_once()
        assert world.lost == [blob.blob_id]

    async def test_the_next_round_begins_after_the_pause_also_after_a_restart(self, world, blob):
        await world.add(blob)
        await world.scrubber().run_once()
        again = world.scrubber()
        world.now_ms += 99_999
        assert await again.run_once() == pytest.approx(0.001)
        assert again.progress.blobs_verified == 0
        world.now_ms += 1
        await again.run_once()
        assert again.progress.blobs_verified == 1

    async def test_a_round_that_somebody_wants_does_not_wait_for_the_pause(self, world, blob):
        await world.add(blob)
        scrub = world.scrubber()
        await scrub.run_once()
        scrub.make_due()
        for rounds in (2, 2):
            await scrub.run_once()
            assert scrub.progress.blobs_verified == rounds

    async def test_a_restart_goes_on_behind_the_last_blob(self, world):
        made = blobs(6)
        await world.add(*made)
        seen = []

        async def die(_seconds):
            seen.append(1)
            if len(seen) == 4:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await world.scrubber(sleep=die).run_once()
        assert await world.storage.scrub_state() == ScrubState(made[2].blob_id, 0)
        world.rot(made[0], *PLACES[0])
        world.rot(made[4], *PLACES[0])
        again = world.scrubber()
        await again.run_once()
        assert again.progress.blobs_verified == 3
        assert world.lost == [made[4].blob_id]

    async def test_shards_on_their_way_out_are_left_alone(self, world, blob):
        await world.add(blob)
        world.rot(blob, *PLACES[0])
        await world.storage.create_shards(OURS[:1], ShardStatus.LOCKED_TO_MOVE)
        await world.scrubber().run_once()
        assert not world.lost
        assert await world.holds(blob) == [True] * 4

    async def test_the_rate_is_kept(self, world):
        made = blobs(5)
        await world.add(*made)
        await world.scrubber(bytes_per_s=rules.LEAST_COST).run_once()
        # Nobody really sleeps here, so each wait is as long as all that was spent takes.
        assert [round(seconds) for seconds in world.waited] == [1, 2, 3, 4, 5]

    async def test_an_empty_store_has_nothing_to_verify(self, world):
        scrub = world.scrubber()
        assert scrub.progress.fraction == 0
        await scrub.run_once()
        assert scrub.progress.fraction == 1


class TestRules:
    def test_pace_is_the_rate_without_bursts_after_idling(self):
        pace = Pace(1 << 20)
        assert pace.spend(1 << 20, now=10.0) == 1.0
        assert pace.spend(2 << 20, now=11.0) == 2.0
        assert pace.spend(1 << 20, now=12.5) == 1.5
        assert pace.spend(1 << 20, now=99.0) == 1.0

    def test_a_small_batch_costs_its_least(self):
        assert Pace(rules.LEAST_COST).spend(1, now=0.0) == 1.0

    @pytest.mark.parametrize(("after", "share"), [(b"", 0), (b"\x80" + bytes(31), 0.5), (b"\xff" * 32, 1)])
    def test_the_fraction_follows_the_ids(self, after, share):
        assert rules.fraction(after) == pytest.approx(share)


class TestWalking:
    async def test_every_blob_comes_once_in_order_whatever_is_stored_of_it(self, world):
        made = blobs(5)
        await world.add(*made)
        await world.storage.remove_metadata(made[1].blob_id, made[1].metadata.to_bcs())
        for place in PLACES:
            key = SliverKey(*place, made[3].blob_id)
            await world.storage.remove_sliver(key, world.sliver(made[3], *place))
        found, after = [], b""
        while chunk := await world.storage.blobs_after(after, 2):
            found += chunk
            after = chunk[-1]
        assert found == [each.blob_id for each in made]


class TestCheckingRecords:
    async def check(self, world):
        faults, records = [], []
        verdict = await offline.check(world.storage, world.compute, fault=faults.append, record=records.append)
        return verdict, faults, records

    async def test_gaps_of_certified_blobs_in_active_shards_are_told(self, world, blob):
        await world.add(blob)
        key = SliverKey(*PLACES[2], blob.blob_id)
        await world.storage.remove_sliver(key, world.sliver(blob, *PLACES[2]))
        verdict, faults, _records = await self.check(world)
        assert (verdict.rotten, verdict.lacking, verdict.records) == (0, 1, 0)
        assert [(fault.kind, fault.key) for fault in faults] == [(Kind.LACKING, key)]
        await world.storage.create_shards([key.shard], ShardStatus.ACTIVE_RECOVER)
        assert (await self.check(world))[0].lacking == 0

    @pytest.mark.parametrize("family", [layout.BLOB_INFO, layout.OBJECT_INFO])
    async def test_unreadable_records_are_told(self, world, blob, family):
        await world.add(blob)
        ((key, value),) = world.kv.scan(family)
        world.put(family, key, flipped(value, 0))
        verdict, _faults, records = await self.check(world)
        assert verdict.records == 1
        assert key.hex() in records[0]

    async def test_an_object_that_the_index_of_ends_forgot_is_told(self, world, blob):
        await world.add(blob)
        batch = Batch()
        batch.delete(layout.EXPIRY, layout.expiry_key(9, object_id(1)))
        world.kv.write(batch)
        _verdict, _faults, (record,) = await self.check(world)
        assert "ends in epoch 9" in record

    @pytest.mark.parametrize(
        ("family", "told"),
        [
            (layout.OBJECT_INFO, "of which there is no record"),
            (layout.POOLS, "of which there is no record"),
            (layout.POOLED_INFO, "of which there is no record"),
            (layout.POOL_MEMBERS, "the index of its pool does not name it"),
            (layout.BLOB_INFO, "but no record of it"),
        ],
    )
    async def test_a_record_that_is_gone_contradicts_others(self, world, blob, family, told):
        await world.add(blob)
        pool = pool_id(1)
        await feed(world.storage, pool_created(pool, 9), pooled(blob.blob_id, object_id(77), pool))
        assert (await self.check(world))[0].records == 0
        ((key, _value),) = world.kv.scan(family)
        batch = Batch()
        batch.delete(family, key)
        world.kv.write(batch)
        _verdict, _faults, records = await self.check(world)
        assert any(told in record for record in records), records

    @pytest.mark.parametrize("family", [layout.POOLS, layout.POOLED_INFO])
    async def test_unreadable_records_of_pools_are_told(self, world, blob, family):
        await world.add(blob)
        pool = pool_id(1)
        await feed(world.storage, pool_created(pool, 9), pooled(blob.blob_id, object_id(77), pool))
        ((key, value),) = world.kv.scan(family)
        world.put(family, key, flipped(value, 0))
        _verdict, _faults, records = await self.check(world)
        assert layout.object_of_key(key) in records[0]


async def test_state_survives_its_bytes():
    state = ScrubState(b"\x07" * 32, 99)
    assert ScrubState.from_bytes(state.to_bytes()) == state
    assert replace(state, after=b"") == ScrubState.from_bytes(versioned(b"\x00" + (99).to_bytes(8, "little")))


async def test_stats_count_slivers_by_their_index():
    kv = MemoryStore()
    storage = await Storage.over(kv)
    await start_epochs(storage, 1)
    await storage.create_shards(OURS, ShardStatus.ACTIVE)
    world = World(kv, storage)
    blob = make_blob()
    await world.add(blob)
    found = {entry.family: entry for entry in offline.stats(kv)}
    assert found["metadata"].keys == found["blob_info"].keys == found["object_info"].keys == 1
    for shard, axis in PLACES:
        entry = found[layout.sliver_family(shard, axis)]
        assert (entry.keys, entry.size, entry.status) == (1, len(world.sliver(blob, shard, axis)), "Active")
    await world.compute.close()
    await storage.close()
