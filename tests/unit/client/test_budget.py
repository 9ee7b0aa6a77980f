import asyncio

import pytest

from walrus_client.budget import ByteBudget, Place


async def test_what_does_not_fit_waits_its_turn() -> None:
    budget = ByteBudget(10)
    order: list[str] = []
    release_first = asyncio.Event()

    async def hold(name: str, size: int, until: asyncio.Event | None = None) -> None:
        async with budget.reserve(size):
            order.append(name)
            if until is not None:
                await until.wait()

    first = asyncio.create_task(hold("first", 8, release_first))
    await asyncio.sleep(0)
    large = asyncio.create_task(hold("large", 9))
    await asyncio.sleep(0)
    small = asyncio.create_task(hold("small", 1))
    await asyncio.sleep(0)
    assert order == ["first"], "small would fit, but large came before it"
    assert budget.waiting == 2
    release_first.set()
    await asyncio.gather(first, large, small)
    assert order == ["first", "large", "small"]
    assert budget.used == 0


async def test_a_piece_larger_than_the_budget_runs_alone() -> None:
    budget = ByteBudget(10)
    async with budget.reserve(100):
        assert not budget.try_reserve(1)
    assert budget.try_reserve(10)
    assert not budget.try_reserve(1)


async def test_a_cancelled_waiter_leaves_no_trace() -> None:
    budget = ByteBudget(10)
    assert budget.try_reserve(10)

    async def wait() -> None:
        async with budget.reserve(5):
            pass

    cancelled = asyncio.create_task(wait())
    after = asyncio.create_task(wait())
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    budget.release(10)
    await after
    assert (budget.used, budget.waiting) == (0, 0)


async def test_a_grant_that_meets_a_cancellation_goes_back() -> None:
    budget = ByteBudget(10)
    assert budget.try_reserve(10)

    async def wait() -> None:
        async with budget.reserve(5):
            await asyncio.sleep(3600)

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    budget.release(10)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert budget.used == 0


async def test_a_place_holds_one_piece_and_frees_it_whoever_took_it() -> None:
    budget = ByteBudget(10)
    with Place(budget) as place:
        for size in (8, 3, 10):
            assert await place.take(size)
            assert budget.used == size
    assert budget.used == 0
    with Place(None) as place:
        assert await place.take(1000)


async def test_who_waits_for_a_place_that_was_left_gets_nothing_and_keeps_nothing() -> None:
    budget = ByteBudget(10)
    assert budget.try_reserve(10)
    with Place(budget) as place:
        waiting = asyncio.create_task(place.take(5))
        await asyncio.sleep(0)
        assert budget.waiting == 1
    budget.release(10)
    assert not await waiting
    assert budget.used == 0
    assert not await place.take(1)
    assert budget.used == 0


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        ByteBudget(0)
