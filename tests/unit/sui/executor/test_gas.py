"""Budgets by simulation under a cap, and coins that pay for them."""

from collections.abc import Sequence

import pytest
from tests.unit.sui import fake_chain as fake
from tests.unit.sui.executor.executing import KEY, executor, touch

from walrus_codec.types import ObjectId
from walrus_sui.abi.ptb import Program
from walrus_sui.client import wire
from walrus_sui.client.gas import GAS_CAP, MARK, MIN_GAS_BUDGET
from walrus_sui.client.purse import MAX_PAYMENT
from walrus_sui.errors import (
    ChainUnreachable,
    InsufficientFunds,
    TransactionFailed,
    TransactionRejected,
)

WANTED = fake.GAS + fake.GAS // 2 + 1000 * 1000 + MARK


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
