"""One job on several workers: cut into ranges, spread, and put together again.

An encoding goes in steps, each over ranges that get smaller, so that all workers end at about the same time; a batch of
slivers is cut into equal parts. `Cost` says how much work a job is, `Call` is what a job and the one who waits for it tell
each other.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from walrus_client.compute.pool import Lease
from walrus_client.compute.segments import Segment
from walrus_client.compute.tasks import Row
from walrus_codec.errors import BadSlivers, SliverError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.params import CodeParams

LONG_STEP_S = 0.1

MOST_RANGES = 16
"""A range of a long step is no shorter than an equal share cut into so many."""


@dataclass(frozen=True)
class Cost:
    """What a job costs one core: number of small hashes, and bytes that are coded and hashed."""

    hashes: int
    size: int

    @property
    def seconds(self) -> float:
        """Estimated work of one core."""
        return self.hashes * 0.8e-6 + self.size * 2.8e-9

    @property
    def timeout_s(self) -> float:
        """Far beyond what a loaded machine needs, so that only a stuck worker meets it."""
        return 60.0 + 50 * self.seconds


class Call:
    """What a call and its job tell each other.

    Attributes:
        begun: the job cannot be called back any more; set from any thread.
        abandoned: nobody wants the result.
    """

    def __init__(self) -> None:
        self.begun = False
        self.abandoned = False


async def encode_on(
    leases: Sequence[Lease], segment: Segment, length: int, params: CodeParams, *, cost: Cost, call: Call
) -> None:
    """Encodes a blob of `length` bytes, padded, at the front of a segment, which has room for all of its matrix."""
    timeout_s = cost.timeout_s
    opening = {"params": params, "length": length}
    try:
        await _all(lease.run("encoding.open", opening, [segment], timeout_s=timeout_s) for lease in leases)
        for name, count in (
            ("extend_rows", params.k1),
            ("expand_columns", params.n_shards),
            ("commit_rows", params.n_shards),
        ):
            await _step_on(leases, name, count, cost, call)
    finally:
        closing = (lease.run("encoding.close", {}, timeout_s=timeout_s) for lease in leases if lease.alive)
        await asyncio.gather(*closing, return_exceptions=True)


async def _step_on(leases: Sequence[Lease], name: str, count: int, cost: Cost, call: Call) -> None:
    """One step over 0..count, in ranges that get smaller, so that all cores end at about the same time."""
    smallest = count // (len(leases) * MOST_RANGES) if cost.seconds > LONG_STEP_S else count
    ranges = _shrinking(count, len(leases), smallest=max(1, smallest))

    async def work(lease: Lease) -> None:
        for first, last in ranges:
            if call.abandoned:
                raise asyncio.CancelledError
            step = {"name": name, "first": first, "last": last}
            await lease.run("encoding.step", step, timeout_s=cost.timeout_s)

    await _all(work(lease) for lease in leases)


async def verify_on(
    leases: Sequence[Lease],
    segment: Segment,
    rows: Sequence[Row],
    metadata: BlobMetadata,
    params: CodeParams,
    *,
    cost: Cost,
) -> None:
    """Verifies the slivers that lie in a segment, at least one on each worker.

    Raises:
        BadSlivers: `faults` maps positions in `rows` to what is wrong with them.
    """
    parts = _ranges(len(rows), len(leases))
    calls = (
        lease.run(
            "verify",
            {"rows": rows[first:last], "metadata": metadata, "params": params},
            [segment],
            timeout_s=cost.timeout_s,
        )
        for lease, (first, last) in zip(leases, parts, strict=True)
    )
    results = await asyncio.gather(*calls, return_exceptions=True)
    faults: dict[int, SliverError] = {}
    for (first, _last), result in zip(parts, results, strict=True):
        if isinstance(result, BadSlivers):
            faults.update({first + position: fault for position, fault in result.faults.items()})
        elif isinstance(result, BaseException):
            raise result
    if faults:
        raise BadSlivers(faults)


def _ranges(count: int, parts: int) -> list[tuple[int, int]]:
    """Cuts 0..count into `parts` neighbouring ranges of nearly equal length."""
    ends = [count * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(ends))


def _shrinking(count: int, workers: int, *, smallest: int) -> Iterator[tuple[int, int]]:
    """Cuts 0..count into neighbouring ranges for workers who take the next when they are done with one.

    Each is half of an equal share of what is left, but no shorter than `smallest`, as far as an equal share goes.
    """
    first = 0
    while first < count:
        share = -(-(count - first) // workers)
        last = first + min(share, max(smallest, -(-share // 2)))
        yield first, last
        first = last


async def _all(calls: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Waits for every call, also after one has failed; then raises the first failure."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
