"""Loops that make a pass on request: never two at a time, never one that had begun before the wish."""

import asyncio
import random

import pytest

from walrus_node.errors import DiskError
from walrus_node.loops import Backoff, Wake, repeat
from walrus_node.passes import Passes


class Loop:
    """A loop under `repeat` whose passes end when the test says so."""

    def __init__(self, passes, name="work", **options):
        self.begun, self.inside, self.go, self.failing = 0, 0, asyncio.Semaphore(0), None
        wake = Wake()
        once = passes.named(name, self.run_once, wake, **options)
        backoff = Backoff(first_s=60, last_s=60, rng=random.Random(1))
        self.task = asyncio.create_task(repeat(name, once, interval_s=3600, backoff=backoff, wake=wake))

    async def run_once(self):
        self.begun += 1
        self.inside += 1
        assert self.inside == 1
        await self.go.acquire()
        self.inside -= 1
        if self.failing is not None:
            raise self.failing

    async def until_begun(self, count):
        async with asyncio.timeout(20):
            while self.begun < count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)


@pytest.fixture
def passes():
    return Passes()


async def test_a_wish_waits_for_a_pass_that_begins_after_it(passes, running):
    loop = Loop(passes)
    await loop.until_begun(1)
    wishes = [running(passes.ask("work")) for _ in range(3)]
    await asyncio.sleep(0)
    loop.go.release()
    await loop.until_begun(2)
    assert not any(wish.done() for wish in wishes)
    loop.go.release()
    assert await asyncio.gather(*wishes) == ["", "", ""]
    assert loop.begun == 2
    loop.task.cancel()


async def test_a_failure_is_told_and_the_loop_goes_on(passes):
    loop = Loop(passes)
    loop.go.release()
    await loop.until_begun(1)
    loop.failing = DiskError("the disk is full")
    loop.go.release()
    assert await passes.ask("work") == "the disk is full"
    loop.failing = None
    loop.go.release()
    assert await passes.ask("work") == ""
    loop.task.cancel()


async def test_who_does_not_wait_any_more_hurts_nobody(passes, running):
    loop = Loop(passes)
    await loop.until_begun(1)
    first, second = running(passes.ask("work")), running(passes.ask("work"))
    await asyncio.sleep(0)
    first.cancel()
    loop.go.release()
    loop.go.release()
    assert await second == ""
    loop.task.cancel()


async def test_a_loop_that_ends_says_so(passes, running):
    loop = Loop(passes)
    await loop.until_begun(1)
    wish = running(passes.ask("work"))
    await asyncio.sleep(0)
    loop.go.release()
    await loop.until_begun(2)
    loop.failing = ZeroDivisionError()
    loop.go.release()
    assert await wish == "the loop has ended"
    with pytest.raises(ZeroDivisionError):
        await loop.task


async def test_a_pass_has_work_only_when_somebody_wished_it(passes):
    made_due = []
    loop = Loop(passes, "scrub", make_due=lambda: made_due.append(loop.begun))
    loop.go.release()
    await loop.until_begun(1)
    assert made_due == []
    loop.go.release()
    await passes.ask("scrub")
    assert made_due == [1]
    assert passes.names == ("scrub",)
    with pytest.raises(KeyError):
        await passes.ask("nothing")
    loop.task.cancel()
