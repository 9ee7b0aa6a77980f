import asyncio
import random
from collections.abc import Sequence

import pytest
from tests.unit.sui import fake_chain as fake

from walrus_codec.types import ObjectId
from walrus_sui.abi import ptb
from walrus_sui.abi.ptb import MoveCall, Owned, Program
from walrus_sui.client import wire
from walrus_sui.client.executor import Executor
from walrus_sui.client.gas import GAS_CAP, MARK, MIN_GAS_BUDGET
from walrus_sui.client.purse import MAX_PAYMENT
from walrus_sui.errors import (
    ChainTimeout,
    ChainUnreachable,
    InsufficientFunds,
    MoveAbort,
    ObjectNotFound,
    TransactionFailed,
    TransactionRejected,
    TransactionUnknown,
)
from walrus_sui.keys import SuiKey

KEY = SuiKey(bytes(range(32)))
RICH = 10 * GAS_CAP
WANTED = fake.GAS + fake.GAS // 2 + 1000 * 1000 + MARK


def touch(number: int):
    """Commands that differ by a number."""

    def build(program: Program, _wal: Sequence[ObjectId]) -> None:
        program.add(MoveCall(fake.oid(1), "m", f"f{number}", (ptb.u64(number),)))

    return build


def executor(chain, patience: float = 5.0) -> Executor:
    return Executor(chain, wal_type=fake.WAL_TYPE, patience=patience, rng=random.Random(1))


@pytest.fixture
def chain():
    made = fake.FakeChain()
    made.give(10, KEY.address, RICH)
    return made


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


async def test_small_coins_pay_together_and_become_one() -> None:
    chain = fake.FakeChain()
    for number in range(10, 16):
        chain.give(number, KEY.address, WANTED // 4)
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    assert len(chain.objects_held) == 3
    await runner.run(KEY, touch(1))
    assert sum(held.balance for held in chain.objects_held.values()) == 6 * (WANTED // 4) - 2 * fake.GAS


async def test_a_budget_is_simulated_once_per_shape_and_has_room(chain) -> None:
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    await runner.run(KEY, touch(1))
    assert chain.simulations == 1
    assert all(WANTED - MARK <= budget <= WANTED for budget in chain.budgets)
    await runner.run(KEY, touch(2))
    assert chain.simulations == 2


async def test_what_was_really_charged_counts_more_than_a_low_simulation(chain) -> None:
    chain.estimate = 1000
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    await runner.run(KEY, touch(1))
    assert chain.budgets[0] <= 1500 + 1_000_000 + MARK
    assert chain.budgets[1] > WANTED - MARK


@pytest.mark.parametrize("trouble", ["error", "abort"])
async def test_a_simulation_that_fails_leaves_the_decision_to_the_chain(chain, trouble: str) -> None:
    if trouble == "error":
        chain.simulation_error = ChainUnreachable("no simulation here")
    else:
        chain.simulated_failure = wire.Failure("x", "m", "f", 3)
    await executor(chain).run(KEY, touch(1))
    assert GAS_CAP - MARK <= chain.budgets[0] <= GAS_CAP


async def test_gas_above_the_cap_is_refused_before_sending(chain) -> None:
    chain.estimate = GAS_CAP + 1
    with pytest.raises(TransactionRejected, match="do less in one call"):
        await executor(chain).run(KEY, touch(1))
    assert chain.submissions == []
    chain.estimate = GAS_CAP
    await executor(chain).run(KEY, touch(1))


@pytest.mark.parametrize("kind", ["INSUFFICIENT_GAS", "EXECUTION_CANCELED_DUE_TO_CONSENSUS_OBJECT_CONGESTION"])
async def test_a_transaction_that_was_cut_off_is_dead_and_built_again_with_all_that_the_cap_allows(chain, kind) -> None:
    chain.plan, chain.failure = ["abort"], wire.Failure(kind, kind=kind)
    await executor(chain).run(KEY, touch(1))
    assert len(chain.results) == 2
    assert chain.functions == ["f1"]
    assert chain.budgets[1] >= GAS_CAP - MARK


async def test_a_transaction_that_is_cut_off_again_and_again_is_told(chain) -> None:
    chain.plan, chain.failure = ["abort"] * 9, wire.Failure("cut", kind="INSUFFICIENT_GAS")
    with pytest.raises(TransactionFailed, match="cut"):
        await executor(chain).run(KEY, touch(1))
    assert len(chain.results) == 4


async def test_low_funds_lower_the_budget_and_no_funds_are_told() -> None:
    chain = fake.FakeChain()
    chain.give(10, KEY.address, 2 * fake.GAS + MARK)
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    await runner.run(KEY, touch(1))
    with pytest.raises(InsufficientFunds) as caught:
        await runner.run(KEY, touch(1))
    least = fake.GAS + MARK
    assert (caught.value.coin, caught.value.needed, caught.value.available) == ("SUI", least, MARK)


async def test_without_an_estimate_the_least_is_a_round_sum() -> None:
    chain = fake.FakeChain()
    chain.give(10, KEY.address, MIN_GAS_BUDGET)
    chain.simulation_error = ChainUnreachable("no simulation here")
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    with pytest.raises(InsufficientFunds) as caught:
        await runner.run(KEY, touch(2))
    assert (caught.value.needed, caught.value.available) == (MIN_GAS_BUDGET, MIN_GAS_BUDGET - fake.GAS)


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


async def test_coins_that_arrive_later_are_noticed_when_they_are_needed(chain) -> None:
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    chain.give(11, KEY.address, RICH)

    def spend(program: Program, _wal: Sequence[ObjectId]) -> None:
        program.transfer(program.split_gas([RICH]), "0x1")

    await runner.run(KEY, spend)
    assert fake.oid(11) not in chain.objects_held or fake.oid(10) not in chain.objects_held


async def test_wal_coins_are_chosen_largest_first_and_missing_ones_are_told(chain) -> None:
    runner = executor(chain)
    chain.give(20, KEY.address, 5, fake.WAL)
    chain.give(21, KEY.address, 50, fake.WAL)
    handed: list[Sequence[ObjectId]] = []

    def build(program: Program, wal: Sequence[ObjectId]) -> None:
        handed.append(tuple(wal))
        program.add(MoveCall(fake.oid(1), "m", "f", (Owned(wal[0]), ptb.u64(len(handed)))))

    await runner.run(KEY, build, wal=40)
    await runner.run(KEY, build, wal=0)
    assert handed == [(fake.oid(21),), (fake.oid(21), fake.oid(20))]
    with pytest.raises(InsufficientFunds) as caught:
        await runner.run(KEY, build, wal=56)
    assert (caught.value.coin, caught.value.needed, caught.value.available) == ("WAL", 56, 55)


async def test_wal_in_more_coins_than_a_transaction_takes_is_merged_first(chain) -> None:
    runner = executor(chain)
    for number in range(1000, 1000 + 2 * MAX_PAYMENT + 50):
        chain.give(number, KEY.address, 1, fake.WAL)
    handed: list[int] = []

    def build(program: Program, wal: Sequence[ObjectId]) -> None:
        handed.append(len(wal))
        program.add(MoveCall(fake.oid(1), "m", "f", (program.merged(wal), ptb.u64(7))))

    await runner.run(KEY, build, wal=2 * MAX_PAYMENT)
    assert handed == [MAX_PAYMENT]  # a coin of 201 and 199 of the others
    assert chain.functions == ["f"]
    assert sum(held.balance for held in chain.objects_held.values() if held.type.endswith("WAL>")) == 450
    with pytest.raises(InsufficientFunds) as caught:
        await runner.run(KEY, build, wal=451)
    assert (caught.value.needed, caught.value.available) == (451, 450)


async def test_all_wal_means_all_of_it(chain) -> None:
    runner = executor(chain)
    for number in range(1000, 1000 + MAX_PAYMENT + 1):
        chain.give(number, KEY.address, 1, fake.WAL)
    handed: list[int] = []

    def build(program: Program, wal: Sequence[ObjectId]) -> None:
        handed.append(len(wal))
        program.add(MoveCall(fake.oid(1), "m", "f", (Owned(wal[0]),)))

    await runner.run(KEY, build, wal=0)
    assert handed == [1]
    assert [held.balance for held in chain.objects_held.values() if held.type.endswith("WAL>")] == [MAX_PAYMENT + 1]


async def test_gas_in_more_coins_than_a_transaction_takes_is_merged_first() -> None:
    chain = fake.FakeChain()
    piece = WANTED // 50
    chain.give(9, KEY.address, WANTED)
    for number in range(1000, 1000 + 4 * MAX_PAYMENT):
        chain.give(number, KEY.address, piece)
    spent = piece * 3 * MAX_PAYMENT

    def spend(program: Program, _wal: Sequence[ObjectId]) -> None:
        program.transfer(program.split_gas([spent]), "0x1")

    await executor(chain).run(KEY, spend)
    assert len(chain.results) > 1
    lost = WANTED + 4 * MAX_PAYMENT * piece - sum(held.balance for held in chain.objects_held.values())
    assert lost == len(chain.results) * fake.GAS  # the fake chain does not carry the split out


async def test_an_index_that_lags_behind_our_own_effects_is_waited_for(chain) -> None:
    runner = executor(chain)
    await runner.run(KEY, touch(1))
    chain.give(11, KEY.address, RICH)
    chain.listing_lags = 2

    def spend(program: Program, _wal: Sequence[ObjectId]) -> None:
        program.transfer(program.split_gas([RICH]), "0x1")

    await runner.run(KEY, spend)
    assert chain.listing_lags == 0
    assert len(chain.results) == len(chain.submissions) == 2


async def test_an_index_that_lags_behind_others_is_waited_for(chain) -> None:
    first, second = executor(chain), executor(chain)
    await first.run(KEY, touch(1))
    await second.run(KEY, touch(2))
    chain.listing_lags = 1
    await first.run(KEY, touch(3))
    assert len(chain.results) == 3


async def test_objects_of_others_and_objects_that_do_not_exist_are_refused_before_sending(chain) -> None:
    stranger = SuiKey(bytes(range(2, 34)))
    chain.give(30, stranger.address, 1, fake.WAL)

    def use(number: int):
        return lambda program, _wal: program.transfer([Owned(fake.oid(number))], "0x1")

    runner = executor(chain)
    with pytest.raises(TransactionRejected, match="belongs to"):
        await runner.run(KEY, use(30))
    with pytest.raises(ObjectNotFound, match="do not exist"):
        await runner.run(KEY, use(31))
    assert chain.submissions == []
