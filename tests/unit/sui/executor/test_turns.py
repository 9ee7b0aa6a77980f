"""Callers of one key take turns; what a transaction or a simulation gives back, and how an abort is told."""

import asyncio
import random

import pytest
from tests.unit.sui import fake_chain as fake
from tests.unit.sui.executor.executing import KEY, RICH, executor, touch

from walrus_sui.client import wire
from walrus_sui.client.executor import Executor
from walrus_sui.errors import (
    ChainTimeout,
    MoveAbort,
    TransactionFailed,
)
from walrus_sui.keys import SuiKey


async def test_the_second_transaction_needs_no_reads_at_all(chain) -> None:
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    chain.reads.clear()
    await runner.run(KEY, touch(2))
    assert chain.reads == []
    assert len(chain.submissions) == 2


async def test_many_callers_of_one_key_take_turns_and_all_succeed(chain) -> None:
    runner = executor(chain)
    await asyncio.gather(*(runner.run(KEY, touch(number)) for number in range(20)))
    assert chain.most_in_flight == 1
    assert len(chain.results) == 20
    assert chain.objects_held[fake.oid(10)].balance == RICH - 20 * fake.GAS


async def test_two_keys_do_not_wait_for_each_other(chain) -> None:
    other = SuiKey(bytes(range(1, 33)))
    chain.give(11, other.address, RICH)
    runner = executor(chain)
    await asyncio.gather(*(runner.run(key, touch(number)) for number in range(5) for key in (KEY, other)))
    assert chain.most_in_flight == 2


async def test_an_abort_names_module_code_and_constant_and_costs_gas_only(chain) -> None:
    runner = executor(chain)
    chain.plan = ["abort"]
    chain.failure = wire.Failure("x", "staking_inner", "voting_end", 0, command=0)
    with pytest.raises(
        MoveAbort, match=r"staking_inner::voting_end aborted with code 0 \(EWrongEpochState\)"
    ) as caught:
        await runner.run(KEY, touch(1))
    assert (caught.value.module, caught.value.code, caught.value.name) == ("staking_inner", 0, "EWrongEpochState")
    chain.reads.clear()
    await runner.run(KEY, touch(2))
    assert chain.reads == []


async def test_a_failure_that_is_no_abort_has_its_text(chain) -> None:
    chain.plan, chain.failure = ["abort"], wire.Failure("INSUFFICIENT_GAS")
    with pytest.raises(TransactionFailed, match="INSUFFICIENT_GAS"):
        await executor(chain).run(KEY, touch(1))


async def test_a_call_waits_for_its_turn_only_so_long(chain) -> None:
    runner = Executor(chain, wal_type=fake.WAL_TYPE, queue_patience=0.01, rng=random.Random(1))
    release = asyncio.Event()
    plain = chain.execute

    async def slow(transaction, signature):
        await release.wait()
        return await plain(transaction, signature)

    chain.execute = slow
    first = asyncio.create_task(runner.run(KEY, touch(1)))
    await asyncio.sleep(0)
    with pytest.raises(ChainTimeout, match="nothing was sent"):
        await runner.run(KEY, touch(2))
    release.set()
    await first
    assert chain.functions == ["f1"]


async def test_callers_of_one_key_are_served_in_order_of_arrival(chain) -> None:
    runner = executor(chain)
    await asyncio.gather(*(runner.run(KEY, touch(number)) for number in range(8)))
    assert chain.functions == [f"f{number}" for number in range(8)]


async def test_a_simulation_returns_values_and_raises_what_would_abort(chain) -> None:
    runner = executor(chain)
    chain.returned = ((b"\7",),)
    assert (await runner.simulate(touch(1), sender=KEY.address)).returned == ((b"\7",),)
    chain.simulated_failure = wire.Failure("x", "staking_inner", "f", 3)
    with pytest.raises(MoveAbort, match="ENoStake"):
        await runner.simulate(touch(1), sender=KEY.address)
    assert chain.submissions == []
