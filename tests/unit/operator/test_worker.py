"""The worker in a loop with virtual time: passes run, overlap over networks and never over one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from walrus_operator.runtime.queue import CONCURRENCY, Worker


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - conditions are made of plain lists
            await asyncio.sleep(0.01)


async def running(worker: Worker) -> tuple[asyncio.Event, asyncio.Task[None]]:
    stop = asyncio.Event()
    return stop, asyncio.create_task(worker.run(stop))


async def test_passes_overlap_over_networks_but_never_over_one() -> None:
    active: list[str] = []
    most = 0
    release = asyncio.Event()
    passes: list[str] = []

    async def reconcile(key: str) -> float | None:
        nonlocal most
        assert key not in active
        active.append(key)
        most = max(most, len(active))
        await release.wait()
        active.remove(key)
        passes.append(key)
        return 1000.0

    worker = Worker(reconcile)
    stop, task = await running(worker)
    for number in range(6):
        worker.mark(f"ns/{number}")
    await until(lambda: len(active) == CONCURRENCY)
    worker.mark("ns/0")
    release.set()
    await until(lambda: len(passes) == 7)
    assert passes.count("ns/0") == 2
    assert most == CONCURRENCY
    stop.set()
    await task


async def test_a_failed_pass_is_repeated_and_a_gone_network_is_not() -> None:
    calls: list[str] = []

    async def reconcile(key: str) -> float | None:
        calls.append(key)
        if key == "ns/gone":
            return None
        if calls.count(key) == 1:
            raise OSError("no answer")
        return 1000.0

    worker = Worker(reconcile)
    stop, task = await running(worker)
    worker.mark("ns/a")
    worker.mark("ns/gone")
    await until(lambda: calls.count("ns/a") == 2)
    assert calls.count("ns/gone") == 1
    stop.set()
    await task


async def test_a_network_that_comes_back_while_it_is_found_gone_gets_its_pass(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    looked, recreated = asyncio.Event(), asyncio.Event()

    async def reconcile(key: str) -> float | None:
        calls.append(key)
        if len(calls) == 1:
            looked.set()
            await recreated.wait()
            return None
        raise ExceptionGroup("calls", [ExceptionGroup("calls", [OSError("no answer")])])

    worker = Worker(reconcile)
    stop, task = await running(worker)
    worker.mark("ns/a")
    await looked.wait()
    worker.mark("ns/a")
    recreated.set()
    await until(lambda: "no answer" in caplog.text)
    assert calls == ["ns/a", "ns/a"]
    stop.set()
    await task


async def test_stopping_cancels_passes_that_are_under_way() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def reconcile(key: str) -> float | None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return None

    worker = Worker(reconcile)
    stop, task = await running(worker)
    worker.mark("ns/a")
    await began.wait()
    stop.set()
    await task
    assert ended.is_set()
