"""Checkpoints are applied once and in order, and who waits is told."""

import asyncio
import time

import pytest
from tests.unit.node.worlds import blob_id, event_id, object_id, registered

from walrus_codec.types import Epoch
from walrus_node.errors import EventConflictError, StoreError
from walrus_node.events.processor import EventProcessor, Heard
from walrus_sui.events import EpochChangeDone, EpochChangeStart, EpochParametersSelected, InvalidBlobId

B, O1 = blob_id(1), object_id(1)


@pytest.fixture
async def processor(storage):
    return EventProcessor(storage, cursor=await storage.cursor())


def numbered(*events):
    return [(event_id(position), event) for position, event in enumerate(events)]


async def test_a_checkpoint_moves_cursor_and_epoch(processor, storage):
    await processor.apply(0, 1000, numbered(EpochChangeStart(Epoch(1)), registered(B, O1, 5)))
    assert processor.epoch == 1
    assert processor.cursor == await storage.cursor()


async def test_a_checkpoint_that_comes_again_is_skipped(processor, storage):
    events = numbered(registered(B, O1, 5))
    await processor.apply(0, 0, events)
    await processor.apply(0, 0, events)
    await processor.apply(1, 0, [])
    await processor.apply(0, 0, events)
    assert (await storage.blob_info(B)).permanent_total.count == 1
    assert processor.cursor.sequence == 1


async def test_it_continues_where_the_store_is(processor, storage):
    await processor.apply(0, 0, numbered(registered(B, O1, 5)))
    again = EventProcessor(storage, cursor=await storage.cursor())
    await again.apply(0, 0, numbered(registered(B, O1, 5)))
    await again.apply(1, 0, [])
    assert (await storage.blob_info(B)).permanent_total.count == 1


async def test_a_contradiction_stops_before_the_cursor(processor, storage):
    await processor.apply(0, 0, [])
    with pytest.raises(EventConflictError):
        await processor.apply(1, 0, numbered(registered(B, O1, 5), registered(B, O1, 5)))
    assert processor.cursor.sequence == 0
    assert (await storage.cursor()).sequence == 0


@pytest.mark.parametrize(("step_ms", "written"), [(250, 8), (100, 20), (0, 20), (2000, 1)])
async def test_empty_checkpoints_are_written_now_and_then(processor, storage, step_ms, written):
    await processor.apply(0, 0, numbered(registered(B, O1, 5)))
    for sequence in range(1, written):
        await processor.apply(sequence, sequence * step_ms, [])
    assert processor.cursor.sequence == written - 1
    assert (await storage.cursor()).sequence == 0
    assert processor.chain_now_ms() >= (written - 1) * step_ms
    await processor.apply(written, written * step_ms, [])
    assert (await storage.cursor()).sequence == written


async def test_after_a_crash_empty_checkpoints_come_again_and_events_do_not(processor, storage):
    events = numbered(registered(B, O1, 5))
    for sequence, held in enumerate(([], [], [], events, [], [])):
        await processor.apply(sequence, 0, held)
    assert (await storage.cursor()).sequence == 3, "with the events, behind two empty ones that were not written"
    again = EventProcessor(storage, cursor=await storage.cursor())
    for sequence, held in enumerate(([], [], [], events, [], [], numbered(registered(B, object_id(2), 7)))):
        await again.apply(sequence, 0, held)
    assert (await storage.blob_info(B)).permanent_total.count == 2
    assert (await storage.cursor()).sequence == 6


@pytest.mark.parametrize("held", [[], numbered(registered(B, O1, 5))])
async def test_a_gap_is_found_also_behind_empty_checkpoints(processor, storage, held):
    for sequence in range(3):
        await processor.apply(sequence, 0, [])
    with pytest.raises(StoreError, match="4 cannot follow 2"):
        await processor.apply(4, 0, held)
    assert processor.cursor.sequence == 2


async def test_listeners_hear_what_concerns_them(processor):
    heard = []
    processor.listen(heard.append)
    checkpoints = [
        [],
        [EpochChangeStart(Epoch(1))],
        [EpochChangeDone(Epoch(1))],
        [EpochParametersSelected(Epoch(2))],
        [InvalidBlobId(Epoch(1), B)],
    ]
    for sequence, events in enumerate(checkpoints):
        await processor.apply(sequence, 0, numbered(*events))
    assert heard == [
        Heard(),
        Heard(epoch_events=True, epoch_started=True),
        Heard(epoch_events=True),
        Heard(epoch_events=True),
        Heard(invalid_blobs=True),
    ]


async def test_uploads_wait_for_the_registration(processor, running):
    waits = [running(processor.wait_registered(B, timeout_s=10)) for _ in range(3)]
    other = running(processor.wait_registered(blob_id(2), timeout_s=0.05))
    await asyncio.sleep(0.01)
    await processor.apply(0, 0, numbered(registered(B, O1, 5)))
    assert await asyncio.gather(*waits) == [True, True, True]
    assert await other is False
    assert not processor._waiting


async def test_a_registration_that_is_known_needs_no_wait(processor):
    await processor.apply(0, 0, numbered(registered(B, O1, 5)))
    assert await processor.wait_registered(B, timeout_s=0)
    assert not await processor.wait_registered(blob_id(2), timeout_s=0)


async def test_an_expired_registration_does_not_count(processor):
    await processor.apply(0, 0, numbered(registered(B, O1, 1), EpochChangeStart(Epoch(1))))
    assert not await processor.wait_registered(B, timeout_s=0)


async def test_the_chains_clock_runs_on_between_checkpoints(processor):
    await processor.apply(0, 5_000_000, [])
    first = processor.chain_now_ms()
    await asyncio.sleep(0.02)
    assert 5_000_000 <= first < processor.chain_now_ms() < 5_060_000


@pytest.mark.parametrize("ahead_ms", [-3_600_000, 3_600_000])
async def test_after_a_restart_the_chains_clock_is_not_behind_what_was_heard(storage, processor, ahead_ms):
    heard_ms = round(time.time() * 1000) + ahead_ms
    await processor.apply(0, heard_ms, numbered(EpochChangeStart(Epoch(1))))
    again = EventProcessor(storage, cursor=await storage.cursor())
    now_ms = again.chain_now_ms()
    assert now_ms == heard_ms if ahead_ms > 0 else now_ms >= heard_ms - ahead_ms
