"""Answers that are lost, late or refusals: what is sent again, what stays in doubt, and how the doubt ends."""

import asyncio
import random

import pytest
from tests.unit.sui import fake_chain as fake
from tests.unit.sui.executor.executing import KEY, RICH, executor, touch

from walrus_sui.client.executor import Executor
from walrus_sui.errors import (
    ChainUnreachable,
    TransactionRejected,
    TransactionUnknown,
)


@pytest.mark.parametrize("trouble", [["lost"], ["down", "down"], ["lost", "down", "lost"], ["refused connection"]])
async def test_trouble_on_the_way_sends_the_identical_bytes_again(chain, trouble: list[str]) -> None:
    chain.plan = list(trouble)
    executed = await executor(chain).run(KEY, touch(1))
    assert len(set(chain.submissions)) == 1
    assert len(chain.submissions) == len(trouble) + 1
    assert chain.results == {executed.digest: executed}
    assert chain.objects_held[fake.oid(10)].balance == RICH - fake.GAS


async def test_stale_coins_are_read_again_and_the_transaction_is_rebuilt(chain) -> None:
    first, second = executor(chain), executor(chain)
    await first.run(KEY, touch(1))
    await second.run(KEY, touch(2))  # another process with the same key
    await first.run(KEY, touch(3))
    assert len(chain.results) == 3
    assert len(chain.submissions) == 4


async def test_two_processes_with_one_key_and_one_wish_pay_twice(chain) -> None:
    first, second = executor(chain), Executor(chain, wal_type=fake.WAL_TYPE, rng=random.Random(2))
    await first.run(KEY, touch(1))
    await second.run(KEY, touch(2))
    await first.run(KEY, touch(2))  # what `first` knows is the very version that `second` has used
    assert len(chain.results) == 3


async def test_a_refusal_that_rereading_does_not_cure_is_the_answer(chain) -> None:
    chain.plan = ["refuse"] * 9
    runner, pauses = executor(chain), []

    async def pause(seconds: float = 0.1) -> float:
        pauses.append(seconds)
        return 2 * seconds

    runner._submission.pause = runner._versions._pause = pause
    with pytest.raises(TransactionRejected, match="no such thing"):
        await runner.run(KEY, touch(1))
    assert len(chain.submissions) == 1  # the same bytes again would be refused again
    assert 2 < sum(pauses) < 10  # seconds for an index to catch up with what the refusal is about


async def test_no_answer_at_all_leaves_the_transaction_in_doubt_and_the_next_one_settles_it(chain) -> None:
    runner = executor(chain, patience=0.0)
    chain.plan = ["lost"]
    with pytest.raises(TransactionUnknown) as caught:
        await runner.run(KEY, touch(1))
    chain.plan = []
    await runner.run(KEY, touch(2))
    assert caught.value.digest in chain.results
    assert len(chain.results) == 2
    assert chain.submissions[0] == chain.submissions[1]
    assert chain.objects_held[fake.oid(10)].balance == RICH - 2 * fake.GAS


async def test_as_long_as_the_doubt_remains_nothing_else_is_sent(chain) -> None:
    runner = executor(chain, patience=0.0)
    chain.plan = ["down", "down", "down"]
    with pytest.raises(TransactionUnknown):
        await runner.run(KEY, touch(1))
    with pytest.raises(ChainUnreachable):
        await runner.run(KEY, touch(2))
    assert len(set(chain.submissions)) == 1


async def test_a_refusal_after_a_lost_answer_is_looked_up_not_rebuilt(chain) -> None:
    chain.plan = ["lost", "refuse"]
    executed = await executor(chain).run(KEY, touch(1))
    assert list(chain.results) == [executed.digest]
    assert "transaction" in chain.reads


async def test_a_refusal_after_silence_stays_unknown_when_the_lookup_finds_nothing(chain) -> None:
    runner = executor(chain)
    chain.plan = ["down", "refuse"]
    with pytest.raises(TransactionUnknown):
        await runner.run(KEY, touch(1))
    assert len(set(chain.submissions)) == 1


async def test_a_refusal_while_settling_asks_for_the_digest(chain) -> None:
    runner = executor(chain, patience=0.0)
    chain.plan = ["lost"]
    with pytest.raises(TransactionUnknown) as caught:
        await runner.run(KEY, touch(1))
    chain.plan = ["refuse"]  # by an endpoint that sees that the inputs are gone
    await runner.run(KEY, touch(2))
    assert "transaction" in chain.reads
    assert caught.value.digest in chain.results
    assert chain.functions == ["f1", "f2"]


async def test_bytes_refused_while_their_inputs_are_still_there_are_sent_once_more(chain) -> None:
    runner = executor(chain, patience=0.0)
    chain.plan = ["down"]
    with pytest.raises(TransactionUnknown):
        await runner.run(KEY, touch(1))
    chain.plan = ["refuse", "ok"]
    await runner.run(KEY, touch(2))
    assert chain.submissions[0] == chain.submissions[1] == chain.submissions[2]
    assert chain.functions == ["f1", "f2"]


async def test_a_transaction_whose_inputs_went_elsewhere_is_dead(chain) -> None:
    first, second = executor(chain, patience=0.0), executor(chain)
    chain.plan = ["down"]
    with pytest.raises(TransactionUnknown):
        await first.run(KEY, touch(1))
    await second.run(KEY, touch(2))  # another process with the same key
    await first.run(KEY, touch(3))
    assert chain.functions == ["f2", "f3"]
    assert chain.submissions.count(chain.submissions[0]) == 2


async def test_a_cancelled_call_is_settled_before_the_next_one(chain) -> None:
    runner = executor(chain)
    chain.plan = ["lost"]
    task = asyncio.create_task(runner.run(KEY, touch(1)))
    await chain.executed_something.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await runner.run(KEY, touch(2))
    assert len(chain.results) == 2
    assert chain.submissions[0] == chain.submissions[1]


async def test_nobody_at_the_address_is_unreachable_and_not_in_doubt(chain) -> None:
    runner = executor(chain, patience=0.0)
    chain.plan = ["refused connection"]
    with pytest.raises(ChainUnreachable) as caught:
        await runner.run(KEY, touch(1))
    assert not isinstance(caught.value, TransactionUnknown)
    await runner.run(KEY, touch(2))
    assert len(chain.results) == 1
