"""Loops, pauses, bells, and the view of the chain."""

import asyncio
import random

import pytest
from tests.unit.node.worlds import ChainTwin, staking

from walrus_codec.types import Epoch
from walrus_node.chain import ChainView
from walrus_node.loops import Backoff, Wake, repeat, together, until_done
from walrus_node.memory import keep_trimmed, trim
from walrus_sui.errors import ChainUnreachable, NetworkConfigError


class Certain(random.Random):
    def random(self):
        return 1.0


def backoff(first=0.001, last=0.01):
    return Backoff(first_s=first, last_s=last, rng=Certain())


def test_pauses_grow_to_a_limit_and_start_anew():
    pauses = backoff(1, 10)
    assert [pauses.next_s() for _ in range(6)] == [1, 2, 4, 8, 10, 10]
    pauses.reset()
    assert pauses.next_s() == 1


def test_pauses_are_shortened_by_up_to_a_half():
    pauses = Backoff(first_s=8, last_s=8, rng=random.Random(3))
    found = [pauses.next_s() for _ in range(500)]
    assert 4 <= min(found) < 4.1
    assert 7.9 < max(found) <= 8


async def test_a_bell_ends_a_wait_and_is_remembered():
    wake = Wake()
    wake.ring()
    wake.ring()
    assert await wake.wait(0)
    assert not await wake.wait(0)


async def test_a_wait_can_be_shortened_but_not_made_longer_and_only_while_it_lasts(running):
    wake = Wake()
    wake.ring_within(0)
    waiting = running(wake.wait(3600))
    await asyncio.sleep(0)
    assert not waiting.done(), "what came before the wait is the business of the pass that ran then"
    wake.ring_within(0.2)
    wake.ring_within(7200)
    async with asyncio.timeout(60):
        assert not await waiting, "nobody has rung"
    wake.ring_within(0)
    again = running(wake.wait(3600))
    wake.ring()
    wake.ring_within(0)
    async with asyncio.timeout(60):
        assert await again
    assert not await wake.wait(0), "nothing is left of it"


async def test_a_wait_that_has_just_ended_by_itself_cannot_be_shortened():
    wake = Wake()
    loop, waiting = asyncio.get_running_loop(), asyncio.create_task(wake.wait(0.01))
    await asyncio.sleep(0)
    # In the very turn in which the time is over, before the waiting task goes on.
    loop.call_at(wake._pause.when(), lambda: loop.call_soon(wake.ring_within, 0))
    async with asyncio.timeout(60):
        assert not await waiting


async def test_a_loop_outlives_outages_and_nothing_else(running):
    passes = []

    async def run_once():
        passes.append(len(passes))
        if len(passes) < 4:
            raise ChainUnreachable("away")
        if len(passes) == 6:
            raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        await asyncio.wait_for(repeat("test", run_once, interval_s=0, backoff=backoff()), 5)
    assert len(passes) == 6


async def test_a_pass_may_tell_its_own_pause_and_bells_shorten_it(running):
    passes = []
    wake = Wake()

    async def run_once():
        passes.append(1)
        return 1000.0

    running(repeat("test", run_once, interval_s=0, backoff=backoff(), wake=wake))
    await asyncio.sleep(0.01)
    assert len(passes) == 1
    wake.ring()
    await asyncio.sleep(0.01)
    assert len(passes) == 2


async def test_the_start_waits_for_chain_and_configuration():
    answers = iter([ChainUnreachable("a"), NetworkConfigError("b"), 7])

    async def attempt():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await until_done("test", attempt, backoff=backoff()) == 7


async def test_the_first_failure_ends_all_loops_and_is_raised_by_itself():
    ended = []

    async def patient():
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(1)

    async def failing():
        await asyncio.sleep(0)
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        await together(patient(), failing(), patient())
    assert ended == [1, 1]


async def test_a_loop_that_is_cancelled_from_outside_is_a_failure():
    async def interrupted():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    async def patient():
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="interrupted was cancelled from outside"):
        async with asyncio.timeout(60):
            await together(patient(), interrupted())


async def test_a_loop_that_ends_is_a_failure():
    async def brief():
        pass

    async def patient():
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match="brief ended"):
        async with asyncio.timeout(60):
            await together(patient(), brief())


async def test_cancelling_all_loops_is_no_failure():
    async def patient():
        await asyncio.Event().wait()

    task = asyncio.create_task(together(patient(), patient()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_memory_is_given_back_without_disturbing_anybody(running):
    task = running(keep_trimmed(0.01))
    await asyncio.sleep(0.05)
    assert not task.done()
    assert trim() in {True, False}


class TestChainView:
    async def test_before_the_chain_is_found_there_is_no_view(self):
        view = ChainView()
        assert (view.staking, view.epoch, view.reachable) == (None, 0, False)
        with pytest.raises(ChainUnreachable):
            await view.refresh()
        view.use(ChainTwin(staking(3)))
        assert (await view.refresh()).epoch == 3
        assert view.reachable

    async def test_an_outage_keeps_the_old_view(self):
        chain = ChainTwin(staking(3))
        view = ChainView(chain)
        await view.refresh()
        chain.down = True
        with pytest.raises(ChainUnreachable):
            await view.refresh()
        assert (view.epoch, view.reachable) == (3, False)

    async def test_an_epoch_never_goes_back(self):
        chain = ChainTwin(staking(3))
        view = ChainView(chain)
        await view.refresh()
        chain.view = staking(2)
        assert (await view.refresh()).epoch == 3

    async def test_concurrent_askers_share_an_answer(self):
        chain = ChainTwin(staking(3))
        view = ChainView(chain)
        await asyncio.gather(*(view.refresh() for _ in range(10)))
        assert chain.done("staking") == 1

    async def test_unknown_epochs_of_requests_cannot_flood_the_chain(self):
        chain = ChainTwin(staking(3))
        view = ChainView(chain)
        assert not await view.knows(Epoch(9))
        assert not await view.knows(Epoch(9))
        assert await view.knows(Epoch(2))
        assert chain.done("staking") == 1

    async def test_a_new_epoch_is_seen_when_a_request_names_it(self, monkeypatch):
        monkeypatch.setattr("walrus_node.chain._EARLIEST_REFRESH_S", 0)
        chain = ChainTwin(staking(3))
        view = ChainView(chain)
        await view.refresh()
        chain.view = staking(4)
        assert await view.knows(Epoch(4))
        chain.down = True
        assert not await view.knows(Epoch(5))
