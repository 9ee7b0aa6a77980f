"""Whatever happens on the way: nothing is executed twice, and nobody is told the wrong thing about it."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.sui import fake_chain as fake

from walrus_sui.abi import ptb
from walrus_sui.abi.ptb import MoveCall
from walrus_sui.client.executor import Executor
from walrus_sui.errors import ChainError, TransactionUnknown
from walrus_sui.keys import SuiKey

COIN = 2_000_000_000
KEY = SuiKey(bytes(range(32)))
HARMLESS = {"MoveAbort", "TransactionFailed", "TransactionRejected", "ChainUnreachable"}
STEPS = st.sampled_from(["ok", "ok", "lost", "down", "refuse", "refused connection", "abort", "cut off"])


def touch(number):
    return lambda program, _wal: program.add(MoveCall(fake.oid(1), "m", f"f{number}", (ptb.u64(number),)))


async def story(plan, calls, patience, cancelled):
    chain = fake.FakeChain()
    for number in range(10, 13):
        chain.give(number, KEY.address, COIN)
    runner = Executor(chain, wal_type=fake.WAL_TYPE, patience=patience, rng=random.Random(1))

    async def no_pause(pause=0.0):
        await asyncio.sleep(0)
        return pause

    runner._submission.pause = runner._versions._pause = no_pause
    chain.plan = list(plan)
    outcomes = {}
    for number in range(calls):
        task = asyncio.create_task(runner.run(KEY, touch(number)))
        if number in cancelled:
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
        try:
            await task
            outcomes[number] = "executed"
        except TransactionUnknown:
            outcomes[number] = "unknown"
        except asyncio.CancelledError:
            outcomes[number] = "cancelled"
        except ChainError as error:
            outcomes[number] = type(error).__name__
    chain.plan = []
    await runner.run(KEY, touch(calls))  # settles what is in doubt
    return chain, outcomes


@settings(max_examples=100, deadline=None)
@given(
    plan=st.lists(STEPS, max_size=14),
    calls=st.integers(1, 5),
    patience=st.sampled_from([-1.0, 60.0]),
    cancelled=st.sets(st.integers(0, 4), max_size=2),
)
def test_every_wish_is_executed_at_most_once_and_its_caller_knows(plan, calls, patience, cancelled):
    chain, outcomes = asyncio.run(story(plan, calls, patience, cancelled))
    assert len(chain.functions) == len(set(chain.functions))
    assert set(outcomes.values()) <= {"executed", "unknown", "cancelled", *HARMLESS}
    for number, outcome in outcomes.items():
        executed = f"f{number}" in chain.functions
        assert executed or outcome != "executed"
        if outcome in HARMLESS:
            assert not executed, outcome
    spent = 3 * COIN - sum(held.balance for held in chain.objects_held.values())
    assert spent == len(chain.results) * fake.GAS


@settings(max_examples=30, deadline=None)
@given(plan=st.lists(st.sampled_from(["ok", "lost", "down"]), max_size=20), calls=st.integers(1, 6))
def test_mere_silence_on_the_way_loses_no_wish(plan, calls):
    _chain, outcomes = asyncio.run(story(plan, calls, 60.0, set()))
    assert set(outcomes.values()) == {"executed"}


async def two_processes(plan, wishes, lags):
    """Two executors with one key and one chain; each wish belongs to one of them."""
    chain = fake.FakeChain()
    for number in range(10, 14):
        chain.give(number, KEY.address, COIN)
    runners = [Executor(chain, wal_type=fake.WAL_TYPE, patience=60.0, rng=random.Random(seed)) for seed in (1, 2)]

    async def no_pause(pause=0.0):
        await asyncio.sleep(0)
        return pause

    for runner in runners:
        runner._submission.pause = runner._versions._pause = no_pause
    chain.plan, chain.listing_lags = list(plan), lags

    async def wish(number, who):
        try:
            await runners[who].run(KEY, touch(number))
        except TransactionUnknown:
            return "unknown"
        except ChainError as error:
            return type(error).__name__
        return "executed"

    outcomes = await asyncio.gather(*(wish(number, who) for number, who in enumerate(wishes)))
    chain.plan, chain.listing_lags = [], 0
    for number, runner in enumerate(runners):
        await runner.run(KEY, touch(100 + number))
    return chain, outcomes


@settings(max_examples=60, deadline=None)
@given(
    plan=st.lists(STEPS, max_size=14),
    wishes=st.lists(st.integers(0, 1), min_size=1, max_size=6),
    lags=st.integers(0, 3),
)
def test_two_processes_with_one_key_execute_every_wish_at_most_once(plan, wishes, lags):
    chain, outcomes = asyncio.run(two_processes(plan, wishes, lags))
    assert len(chain.functions) == len(set(chain.functions))
    for number, outcome in enumerate(outcomes):
        executed = f"f{number}" in chain.functions
        assert executed or outcome != "executed"
        if outcome in HARMLESS:
            assert not executed, outcome
    spent = 4 * COIN - sum(held.balance for held in chain.objects_held.values())
    assert spent == len(chain.results) * fake.GAS
