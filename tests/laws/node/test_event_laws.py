"""Laws of event processing: the records always say what a dumb model says that keeps every object in a list."""

import asyncio
import itertools
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.node.worlds import (
    blob_id,
    certified,
    deleted,
    event_id,
    object_id,
    pool_created,
    pool_extended,
    pool_id,
    pooled,
    pooled_certified,
    pooled_deleted,
    registered,
)

from walrus_client.statuses import DeletableBlob, DeletableCounts, Invalid, Nonexistent, PermanentBlob
from walrus_codec.types import Epoch
from walrus_node.errors import EventConflictError
from walrus_node.events import rules
from walrus_node.events.status import status_of
from walrus_node.store.blob_records import InvalidBlob
from walrus_node.store.memory import MemoryStore
from walrus_node.store.storage import Storage
from walrus_sui.events import EpochChangeStart, InvalidBlobId, StoragePoolExtended

BLOBS = [blob_id(number) for number in range(3)]


@dataclass
class Thing:
    blob: bytes
    deletable: bool
    end: int
    certified_in: int | None = None
    deleted: bool = False
    pool: int | None = None


class Model:
    """Every object that ever was, and nothing else."""

    def __init__(self):
        self.epoch = 0
        self.things = {}
        self.pools = {}
        self.invalid = set()
        self.first = dict.fromkeys(BLOBS)

    def alive(self, thing):
        end = thing.end if thing.pool is None else self.pools[thing.pool]
        return not thing.deleted and end > self.epoch

    def live(self, blob):
        return [thing for thing in self.things.values() if thing.blob == blob and self.alive(thing)]

    def note(self):
        """After each event: a blob's first certification is forgotten when no certified object lives any more."""
        for blob in BLOBS:
            found = [thing.certified_in for thing in self.live(blob) if thing.certified_in is not None]
            known = [self.first[blob]] if self.first[blob] is not None else []
            self.first[blob] = min(found + known) if found else None

    def registered(self, blob):
        return blob not in self.invalid and bool(self.live(blob))

    def status(self, blob):
        """Kind, end, whether certified, deletable counts, first certification: all but the event."""
        if blob in self.invalid:
            return ("invalid",)
        live = self.live(blob)
        deletable = [thing for thing in live if thing.deletable or thing.pool is not None]
        counts = (len(deletable), sum(thing.certified_in is not None for thing in deletable))
        permanent = [thing for thing in live if not thing.deletable and thing.pool is None]
        good = [thing for thing in permanent if thing.certified_in is not None]
        first = self.first[blob]
        if good:
            return ("permanent", max(thing.end for thing in good), True, counts, first)
        if permanent:
            return ("permanent", max(thing.end for thing in permanent), False, counts, first)
        return ("deletable", counts, first) if deletable else ("nonexistent",)


def told(status):
    match status:
        case Invalid():
            return ("invalid",)
        case PermanentBlob(end, is_certified, _event, counts, first):
            return ("permanent", end, is_certified, (counts.total, counts.certified), first)
        case DeletableBlob(first, DeletableCounts(total, good)):
            return ("deletable", (total, good), first)
        case Nonexistent():
            return ("nonexistent",)


@st.composite
def histories(draw):
    """A possible history of the chain: events, and after each of them the model's opinion of every blob."""
    model, events, opinions = Model(), [], []
    for number in range(draw(st.integers(0, 40))):
        alive = [key for key, thing in model.things.items() if model.alive(thing)]
        fresh = [key for key in alive if model.things[key].certified_in is None]
        good = [key for key in alive if model.things[key].certified_in is not None and model.things[key].pool is None]
        loose = [key for key in alive if model.things[key].deletable]
        choices = ["register", "epoch"] + ["certify"] * 2 * bool(fresh) + ["extend"] * bool(good)
        open_pools = [key for key, end in model.pools.items() if end > model.epoch]
        choices += ["pool"] + ["join", "prolong"] * bool(open_pools)
        choices += ["delete"] * bool(loose) + ["invalidate"] * (number % 7 == 6)
        match draw(st.sampled_from(choices)):
            case "register":
                blob, deletable = draw(st.sampled_from(BLOBS)), draw(st.booleans())
                end = model.epoch + draw(st.integers(1, 5))
                model.things[number] = Thing(blob, deletable, end)
                events.append(registered(blob, object_id(number), end, deletable=deletable, epoch=model.epoch))
            case "certify":
                key = draw(st.sampled_from(fresh))
                thing = model.things[key]
                thing.certified_in = model.epoch
                kind, epoch = thing.deletable, model.epoch
                if thing.pool is None:
                    events.append(certified(thing.blob, object_id(key), thing.end, deletable=kind, epoch=epoch))
                else:
                    place = pool_id(thing.pool)
                    events.append(pooled_certified(thing.blob, object_id(key), place, deletable=kind, epoch=epoch))
            case "extend":
                key = draw(st.sampled_from(good))
                thing = model.things[key]
                thing.end += draw(st.integers(1, 4))
                events.append(
                    certified(
                        thing.blob,
                        object_id(key),
                        thing.end,
                        deletable=thing.deletable,
                        epoch=thing.certified_in,
                        extension=True,
                    )
                )
            case "delete":
                key = draw(st.sampled_from(loose))
                thing = model.things[key]
                thing.deleted = True
                was = thing.certified_in is not None
                if thing.pool is None:
                    events.append(deleted(thing.blob, object_id(key), thing.end, was_certified=was))
                else:
                    events.append(pooled_deleted(thing.blob, object_id(key), pool_id(thing.pool), was_certified=was))
            case "pool":
                model.pools[number] = model.epoch + draw(st.integers(1, 4))
                events.append(pool_created(pool_id(number), model.pools[number], epoch=model.epoch))
            case "prolong":
                key = draw(st.sampled_from(open_pools))
                model.pools[key] += draw(st.integers(1, 3))
                events.append(pool_extended(pool_id(key), model.pools[key], epoch=model.epoch))
            case "join":
                key, blob, deletable = (
                    draw(st.sampled_from(open_pools)),
                    draw(st.sampled_from(BLOBS)),
                    draw(st.booleans()),
                )
                model.things[number] = Thing(blob, deletable, 0, pool=key)
                events.append(pooled(blob, object_id(number), pool_id(key), deletable=deletable, epoch=model.epoch))
            case "invalidate":
                blob = draw(st.sampled_from(BLOBS))
                model.invalid.add(blob)
                events.append(InvalidBlobId(Epoch(model.epoch), blob))
            case "epoch":
                model.epoch += 1
                events.append(EpochChangeStart(Epoch(model.epoch)))
        model.note()
        opinions.append({blob: (model.status(blob), model.registered(blob)) for blob in BLOBS})
    return events, opinions


@st.composite
def checkpoints(draw):
    """A history cut into checkpoints, with the moments at which the process is killed."""
    events, opinions = draw(histories())
    cuts = sorted(draw(st.sets(st.integers(0, len(events)), max_size=6)) | {0, len(events)})
    batches = [events[start:end] for start, end in itertools.pairwise(cuts)]
    kills = draw(st.sets(st.integers(0, max(0, len(batches) - 1)), max_size=3))
    return batches, kills, opinions


async def opinions_of(storage):
    cursor = await storage.cursor()
    epoch = cursor.epoch if cursor else Epoch(0)
    found = {}
    for blob in BLOBS:
        info = await storage.blob_info(blob)
        alive = info is not None and not isinstance(info, InvalidBlob) and info.is_registered(epoch)
        found[blob] = (told(status_of(info, epoch)), alive)
    return found


async def feed(storage, sequence, events):
    numbered = [(event_id(1000 * sequence + place), event) for place, event in enumerate(events)]
    await storage.apply(sequence, 0, lambda working: rules.apply_all(working, numbered))


@settings(max_examples=150, deadline=None)
@given(checkpoints())
def test_records_say_what_the_objects_say_after_every_checkpoint_and_every_kill(case):
    batches, kills, opinions = case

    async def run():
        kv = MemoryStore()
        storage = await Storage.over(kv)
        applied = 0
        for sequence, events in enumerate(batches):
            await feed(storage, sequence, events)
            applied += len(events)
            if sequence in kills:
                kv = kv.killed()
                await storage.close()
                storage = await Storage.over(kv)
            if applied:
                assert await opinions_of(storage) == opinions[applied - 1]
        await storage.close()

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(checkpoints())
def test_garbage_is_queued_exactly_for_what_nothing_keeps_alive(case):
    batches, _kills, opinions = case

    async def run():
        storage = await Storage.over(MemoryStore())
        for sequence, events in enumerate(batches):
            await feed(storage, sequence, events)
        queued = set(await storage.garbage())
        for blob in BLOBS:
            known = await storage.blob_info(blob) is not None
            alive = bool(opinions) and opinions[-1][blob][1]
            if known and not alive:
                assert blob in queued
        for blob in queued:
            alive = bool(opinions) and opinions[-1][blob][1]
            assert (await storage.collect([blob])).blobs == (not alive)
        assert await storage.garbage() == []
        assert not opinions or await opinions_of(storage) == opinions[-1], "collecting changes no answer"
        await storage.close()

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_an_event_that_comes_twice_is_noticed_or_harmless(case, data):
    """Certifications, deletions and registrations that are applied twice never pass silently."""
    events, _ = case
    if not events:
        return

    async def run():
        storage = await Storage.over(MemoryStore())
        place = data.draw(st.integers(0, len(events) - 1))
        event = events[place]
        await feed(storage, 0, events[: place + 1])
        before = await opinions_of(storage)
        try:
            await feed(storage, 1, [event])
        except EventConflictError:
            pass
        else:
            harmless = isinstance(event, (InvalidBlobId, StoragePoolExtended))
            assert harmless or getattr(event, "is_extension", False)
        assert await opinions_of(storage) == before
        await storage.close()

    asyncio.run(run())
