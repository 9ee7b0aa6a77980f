import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.client.worlds import until

from walrus_client.compute import Compute, Segment
from walrus_client.compute.pool import Lease
from walrus_client.errors import ComputeClosedError, ComputeCrashedError
from walrus_codec import redstuff
from walrus_codec.errors import BadSlivers, BlobTooLarge, InconsistentBlob, SliverError
from walrus_codec.metadata import verify_metadata
from walrus_codec.params import CodeParams
from walrus_codec.rows import SourceRows, pieces
from walrus_codec.slivers import Sliver
from walrus_codec.types import EncodingType, PairIndex

ISAL = CodeParams(10, EncodingType.ISAL)
RS2 = CodeParams(10, EncodingType.RS2)
BLOB = bytes(i * 31 & 255 for i in range(100_000))


@pytest.fixture
async def workers() -> AsyncIterator[Compute]:
    """Everything goes to worker processes, however small."""
    compute = Compute(workers=2, inline_limit_s=0.0)
    yield compute
    await compute.close()


@pytest.fixture
async def threads() -> AsyncIterator[Compute]:
    compute = Compute(workers=1, inline_limit_s=1e9)
    yield compute
    await compute.close()


@pytest.mark.parametrize("length", [0, 1, 444, 100_000])
async def test_workers_encode_what_the_codec_encodes(workers: Compute, length: int) -> None:
    data = BLOB[:length]
    expected = redstuff.encode(data, ISAL)
    from_bytes = await workers.encode(data, ISAL)
    from_segment = await workers.encode(Segment.of_bytes(data), ISAL)
    for encoded in (from_bytes, from_segment):
        assert encoded.blob_id == expected.blob_id
        assert encoded.metadata == expected.metadata
        assert list(encoded.pairs) == list(expected.pairs)
        verify_metadata(encoded.blob_id, encoded.metadata, n_shards=10)


@pytest.mark.parametrize("params", [ISAL, RS2])
async def test_a_blob_goes_round_in_threads(threads: Compute, params: CodeParams) -> None:
    encoded = await threads.encode(Segment.of_bytes(BLOB), params)
    assert encoded.blob_id == redstuff.encode(BLOB, params).blob_id
    rows = await rows_of(threads, encoded, params)
    assert b"".join(pieces(rows.bodies, 0, len(BLOB), 1000)) == BLOB
    await threads.verify_slivers(rows.unproven(), encoded.metadata, params)
    await threads.check_strict(rows, encoded.metadata, params)
    assert threads.idle_pids == [], "no process was needed"


@pytest.mark.parametrize("params", [ISAL, RS2])
async def test_a_segment_is_given_up_by_encoding_it(threads: Compute, workers: Compute, params: CodeParams) -> None:
    for compute in (threads, workers):
        segment = Segment.of_bytes(BLOB)
        encoded = await compute.encode(segment, params)
        assert encoded.blob_id == redstuff.encode(BLOB, params).blob_id
        with pytest.raises(ValueError, match="closed"):
            _ = segment.view


async def test_workers_encode_again_what_was_read(workers: Compute) -> None:
    encoded = redstuff.encode(BLOB, ISAL)
    rows = await rows_of(workers, encoded, ISAL)
    await workers.verify_slivers(rows.unproven(), encoded.metadata, ISAL)
    await workers.check_strict(rows, encoded.metadata, ISAL)
    rows.bodies[1][7] ^= 1
    with pytest.raises(BadSlivers):
        await workers.verify_slivers(rows.unproven(), encoded.metadata, ISAL)
    with pytest.raises(InconsistentBlob):
        await workers.check_strict(rows, encoded.metadata, ISAL)


async def rows_of(compute: Compute, encoded: redstuff.EncodedBlob, params: CodeParams) -> SourceRows:
    """The blob's rows from its last primary slivers, none of them systematic."""
    parity = [pair.primary for pair in encoded.pairs[-params.k1 :]]
    received = [replace(sliver, data=memoryview(bytearray(sliver.data))) for sliver in parity]
    return await compute.source_rows(received, len(BLOB), params)


async def test_bad_slivers_are_named_by_their_position_across_workers(workers: Compute) -> None:
    encoded = redstuff.encode(BLOB, ISAL)
    batch: list[tuple[PairIndex, Sliver]] = [(pair.index, pair.primary) for pair in encoded.pairs]
    batch += [(pair.index, pair.secondary) for pair in encoded.pairs]
    await workers.verify_slivers(batch, encoded.metadata, ISAL)
    damaged = bytearray(batch[3][1].data)
    damaged[5] ^= 1
    batch[3] = (batch[3][0], replace(batch[3][1], data=bytes(damaged)))
    batch[17] = (batch[16][0], batch[17][1])
    with pytest.raises(BadSlivers) as caught:
        await workers.verify_slivers(batch, encoded.metadata, ISAL)
    assert sorted(caught.value.faults) == [3, 17]
    assert all(isinstance(fault, SliverError) for fault in caught.value.faults.values())


async def test_a_blob_that_is_too_large_is_refused_with_the_limit(workers: Compute) -> None:
    with pytest.raises(BlobTooLarge) as caught:
        await workers.encode(Segment.create(ISAL.max_blob_size + 1), ISAL)
    assert caught.value.limit == ISAL.max_blob_size


async def test_a_killed_idle_worker_is_replaced_silently(workers: Compute) -> None:
    await workers.encode(BLOB, ISAL)
    before = workers.idle_pids
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not any(_alive(pid) for pid in before))
    encoded = await workers.encode(BLOB, ISAL)
    assert encoded.blob_id == redstuff.encode(BLOB, ISAL).blob_id
    assert not set(workers.idle_pids) & set(before)


async def test_a_worker_killed_at_work_fails_its_call_with_a_clear_error_and_is_replaced(workers: Compute) -> None:
    await workers.encode(BLOB, ISAL)
    pids = workers.idle_pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # so that the call is surely under way when the kill comes
    call = asyncio.create_task(workers.encode(BLOB, ISAL))
    await until(lambda: workers.idle_pids == [])
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    with pytest.raises(ComputeCrashedError, match="SIGKILL"):
        await call
    assert (await workers.encode(BLOB, ISAL)).blob_id == redstuff.encode(BLOB, ISAL).blob_id


async def test_a_cancelled_call_leaves_its_worker_usable(workers: Compute) -> None:
    await workers.encode(BLOB, ISAL)
    pids = set(workers.idle_pids)
    call = asyncio.create_task(workers.encode(BLOB, ISAL))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await workers.encode(BLOB, ISAL)).blob_id == redstuff.encode(BLOB, ISAL).blob_id
    await until(lambda: set(workers.idle_pids) == pids)


async def test_a_cancelled_encoding_stops_after_the_ranges_in_hand_and_only_then_lets_go_of_its_blob(
    workers: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, go, run = [], asyncio.Event(), Lease.run

    async def slow(self: Lease, name: str, arguments: Any, inputs: Sequence[Segment] = (), **options: Any) -> Any:
        if name == "encoding.step":
            steps.append(arguments)
            await go.wait()
        return await run(self, name, arguments, inputs, **options)

    monkeypatch.setattr(Lease, "run", slow)
    call = asyncio.create_task(workers.encode(Segment.of_bytes(BLOB), ISAL))
    await until(lambda: len(steps) == 2)
    call.cancel()
    await asyncio.wait([call], timeout=0.05)
    assert not call.done(), "its blob is in use"
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(steps) == 2
    assert (await workers.encode(BLOB, ISAL)).blob_id == redstuff.encode(BLOB, ISAL).blob_id


async def test_a_cancelled_call_that_still_waits_is_called_back(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Compute(workers=1, memory_limit=1, inline_limit_s=1e9)
    begun, go = [], threading.Event()

    def slow(data: bytes, params: CodeParams) -> Any:
        begun.append(data)
        go.wait(30)
        return encode(data, params)

    encode = redstuff.encode
    monkeypatch.setattr(redstuff, "encode", slow)
    first = asyncio.create_task(compute.encode(b"first", ISAL))
    await until(lambda: begun)
    second = asyncio.create_task(compute.encode(b"second", ISAL))
    third = asyncio.create_task(compute.encode(b"third", ISAL))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    first.cancel()
    await asyncio.wait([first], timeout=0.05)
    assert not first.done(), "its blob is in use"
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (await third).blob_id == encode(b"third", ISAL).blob_id
    assert begun == [b"first", b"third"]
    await compute.close()


async def test_idle_workers_retire() -> None:
    compute = Compute(workers=2, inline_limit_s=0.0, idle_timeout_s=0.05)
    await compute.encode(BLOB, ISAL)
    pids = compute.idle_pids
    await until(lambda: compute.idle_pids == [] and not any(_alive(pid) for pid in pids))
    assert (await compute.encode(BLOB, ISAL)).blob_id == redstuff.encode(BLOB, ISAL).blob_id
    await compute.close()


async def test_many_calls_share_a_small_memory_budget() -> None:
    compute = Compute(workers=2, inline_limit_s=0.0, memory_limit=300_000)
    blobs = [BLOB[: 50_000 + i] for i in range(6)]
    encoded = await asyncio.gather(*(compute.encode(blob, ISAL) for blob in blobs))
    assert [entry.blob_id for entry in encoded] == [redstuff.encode(blob, ISAL).blob_id for blob in blobs]
    await compute.close()


async def test_a_closed_compute_refuses_and_leaves_no_process() -> None:
    compute = Compute(workers=2, inline_limit_s=0.0)
    await compute.encode(BLOB, ISAL)
    pids = compute.idle_pids
    await compute.close()
    await compute.close()
    assert not any(_alive(pid) for pid in pids)
    with pytest.raises(ComputeClosedError):
        await compute.encode(BLOB, ISAL)


def test_a_segment_outlives_its_descriptor_in_its_views() -> None:
    segment = Segment.of_bytes(b"abc")
    view = segment.view
    segment.close()
    segment.close()
    assert bytes(view) == b"abc"
    assert bytes(Segment.create(0).view) == b""


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
