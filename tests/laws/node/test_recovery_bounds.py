"""Laws of recovery's bounds: whom it asks, how much it holds, how many blobs at a time, when it tries again, where it goes on."""

import asyncio
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.node.test_crash_laws import CrashError, Mortal
from tests.unit.node.feeding import start_epochs
from tests.unit.node.recovery_worlds import EPOCH, OURS, World, make_blob
from tests.unit.node.worlds import US, blob_id, committee, member, put_state

from walrus_client.budget import ByteBudget
from walrus_codec import mapping
from walrus_codec.types import Axis, NodeId
from walrus_node.recovery import rules
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import Storage

BLOBS = [make_blob(random.Random(number).randbytes(size)) for number, size in enumerate([30, 900, 40_000, 400_000])]


async def lost_everything(kv, rng, *, blobs, memory=1 << 20, concurrent=2):
    """A node without any sliver of these certified blobs."""
    storage = await Storage.over(kv)
    await start_epochs(storage, EPOCH)
    await storage.create_shards(OURS, ShardStatus.ACTIVE_RECOVER)
    await put_state(storage, NodeState(NodeStatus.RECOVERY_IN_PROGRESS, EPOCH))
    world = World(storage, rng)
    await world.add(*blobs)
    return await ready(world, memory=memory, concurrent=concurrent)


async def ready(world, *, memory=1 << 20, concurrent=2):
    world.recoverer._memory = ByteBudget(memory)
    world.task._concurrent_blobs = concurrent
    await world.view.refresh()
    return world


async def recover_all(world):
    async with asyncio.timeout(60):
        while not world.rung:
            await world.task.run_once()


async def close(world):
    await world.compute.close()
    await world.storage.close()


@st.composite
def committees(draw):
    """Shards dealt to up to eight members, some of whom get none, us among them."""
    owners = draw(st.lists(st.integers(0, 7), min_size=4, max_size=40))
    ids = [US, *(NodeId(f"0x{number:064x}") for number in range(1, 8))]
    held = {node: [shard for shard, owner in enumerate(owners) if ids[owner] == node] for node in ids}
    return committee(1, *(member(node, shards) for node, shards in held.items()), n_shards=len(owners))


@settings(max_examples=150, deadline=None)
@given(committees(), st.binary(min_size=32, max_size=32), st.integers(0, 2**32))
def test_every_pair_of_the_others_comes_once_and_never_one_of_ours(found, blob, seed):
    order = rules.source_order(found, US, blob, random.Random(seed).random)
    expected = {
        (entry.node_id, mapping.pair_of_shard(shard, blob, found.n_shards))
        for entry in found.members
        if entry.node_id != US
        for shard in entry.shards
    }
    assert len(order) == len(expected)
    assert set(order) == expected
    nodes = [node for node, _pair in order]
    turns = 1 + sum(one != other for one, other in itertools.pairwise(nodes))
    assert turns == len(set(nodes)) or not nodes, "whoever is asked is asked for all that it has first"


def test_who_comes_first_and_second_follows_the_shards():
    """Against the dumb twin: draw one shard, its owner is first; draw again among the others' shards."""
    weights = {NodeId(f"0x{number:064x}"): weight for number, weight in enumerate([9, 1, 4, 6], start=1)}
    shards = iter(range(25))
    members = [member(node, [next(shards) for _ in range(weight)]) for node, weight in weights.items()]
    found = committee(1, member(US, list(range(20, 25))), *members, n_shards=25)
    fast, dumb, rng, rounds = Counter(), Counter(), random.Random(11), 20_000
    for _ in range(rounds):
        nodes = list(dict.fromkeys(node for node, _ in rules.source_order(found, US, blob_id(1), rng.random)))
        fast[nodes[0], nodes[1]] += 1
        (first,) = rng.choices(list(weights), list(weights.values()))
        rest = {node: weight for node, weight in weights.items() if node != first}
        dumb[first, rng.choices(list(rest), list(rest.values()))[0]] += 1
    assert len(fast) == 12
    for pair in fast | dumb:
        assert abs(fast[pair] - dumb[pair]) < 5 * (dumb[pair] * 2) ** 0.5 + 5, pair


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_attempts_wait_twice_as_long_each_time_up_to_an_hour_and_half_of_it_is_chance(draws):
    agenda, now, longest = rules.Agenda(), 100.0, 1.0
    agenda.lost(blob_id(1), now=now)
    for draw in draws:
        assert agenda.due(now) == [blob_id(1)]
        pause = agenda.failed(blob_id(1), now=now, draw=draw)
        assert pause == pytest.approx(longest * (1 + draw) / 2)
        assert agenda.due(now + 0.999 * pause) == []
        now += pause * (1 + 1e-9)
        longest = min(3600.0, 2 * longest)
    agenda.failed(blob_id(1), now=now, draw=0)
    agenda.retry_now(now)
    assert agenda.due(now) == [blob_id(1)]
    assert agenda.failed(blob_id(1), now=now, draw=0) == 0.5, "a change of the world begins anew"


@settings(max_examples=12, deadline=None)
@given(st.integers(2_000, 3_000_000), st.integers(1, 5), st.permutations([0, 1, 2, 2, 3]), st.integers(0, 2**32))
def test_memory_and_blobs_at_a_time_stay_within_their_limits(memory, concurrent, chosen, seed):
    async def run():
        blobs = [BLOBS[at] for at in dict.fromkeys(chosen)]
        world = await lost_everything(
            MemoryStore(), random.Random(seed), blobs=blobs, memory=memory, concurrent=concurrent
        )
        budget, gather, complete = world.recoverer._memory, world.gatherer.symbols, world.recoverer.complete
        held, running, most = [], 0, 0

        async def symbols(job, axis, targets):
            size = job.params.sliver_size(axis, job.metadata.unencoded_length)
            mine = rules.cost(len(targets), size)
            held.append(mine)
            try:
                assert budget.used >= sum(held), "and what others decode and store"
                assert budget.used <= memory or (len(held) == 1 and len(targets) == 1)
                found = await gather(job, axis, targets)
                assert sum(len(symbol.data) for symbol in found) == len(targets) * size <= mine
                return found
            finally:
                held.remove(mine)

        async def counted(*arguments):
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return await complete(*arguments)
            finally:
                running -= 1

        world.gatherer.symbols, world.recoverer.complete = symbols, counted
        await recover_all(world)
        assert budget.used == running == 0
        assert most == min(concurrent, len(blobs))
        for blob in blobs:
            assert await world.holds(blob)
        await close(world)

    asyncio.run(run())


def test_wherever_the_process_dies_it_goes_on_there_and_fetches_no_more_than_one_group_twice():
    blobs = BLOBS[:3]

    async def uninterrupted():
        kv = Mortal()
        world = await lost_everything(kv, random.Random(5), blobs=blobs, concurrent=1)
        before = kv.writes
        await recover_all(world)
        await close(world)
        return kv.writes - before, world.gatherer.bytes_fetched

    async def died_at(number):
        """Bytes fetched before and after; and the most that one group (one axis of one blob) takes."""
        kv = Mortal()
        world = await lost_everything(kv, random.Random(5), blobs=blobs, concurrent=1)
        kv.last = kv.writes + number
        with pytest.raises(CrashError):
            await recover_all(world)
        left, fetched = kv.killed(), world.gatherer.bytes_fetched
        kept = world.peers
        await close(world)
        again = await ready(World(await Storage.over(left), random.Random(6)), concurrent=1)
        again.chain.view, again.peers = world.chain.view, kept
        await again.view.refresh()
        await recover_all(again)
        for blob in blobs:
            assert await again.holds(blob)
        await close(again)
        return fetched, again.gatherer.bytes_fetched

    async def run():
        writes, whole = await uninterrupted()
        groups = [
            len(OURS) * blob.params.source_symbols(axis) * (blob.params.symbol_size(len(blob.content)) + 4 * 32)
            for blob in blobs
            for axis in Axis
        ]
        assert writes >= 3 * 3
        again = []
        for number in range(writes):
            before, after = await died_at(number)
            assert whole <= before + after <= whole + max(groups)
            again.append(after)
        assert again[0] == whole
        assert again[-1] == 0, "when only the note is lacking, nothing is fetched"
        assert sorted(again, reverse=True) == again, "the later it dies, the less is left"

    asyncio.run(run())
