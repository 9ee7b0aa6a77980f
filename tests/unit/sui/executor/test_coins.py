"""Coins and other objects that a transaction takes: found, merged, waited for while indexes lag."""

from collections.abc import Sequence

import pytest
from tests.unit.sui import fake_chain as fake
from tests.unit.sui.executor.executing import KEY, RICH, executor, touch

from walrus_codec.types import ObjectId
from walrus_sui.abi import ptb
from walrus_sui.abi.ptb import MoveCall, Owned, Program
from walrus_sui.client.purse import MAX_PAYMENT
from walrus_sui.errors import (
    InsufficientFunds,
    ObjectNotFound,
    TransactionRejected,
)
from walrus_sui.keys import SuiKey


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
