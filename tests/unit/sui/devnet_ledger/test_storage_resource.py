"""Storage cut and put together."""

import pytest
from tests.unit.sui.devnet_ledger.shop import Shop

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import U32_MAX, U64_MAX, ArithmeticFailure
from walrus_sui.devnet.move.walrus.storage_resource import Storage


def test_split_by_epoch_is_strictly_inside(shop: Shop) -> None:
    storage = shop.buy(100, 2, 6)
    for epoch in (0, 1, 2, 6, 7):
        assert shop.refusal("storage_resource::split_by_epoch", storage=storage, split_epoch=epoch) == (
            "storage_resource",
            0,
        )
    late = shop.call("storage_resource::split_by_epoch", storage=storage, split_epoch=5)
    early = shop.call("storage_resource::split_by_epoch", storage=storage, split_epoch=3)
    assert shop.seen(storage) == (100, 2, 3)
    assert shop.seen(early.id) == (100, 3, 5)
    assert shop.seen(late.id) == (100, 5, 6)


def test_split_by_size_keeps_the_size_that_is_named(shop: Shop) -> None:
    storage = shop.buy(100, 2, 6)
    assert shop.refusal("storage_resource::split_by_size", storage=storage, split_size=101) == ("storage_resource", 2)
    rest = shop.call("storage_resource::split_by_size", storage=storage, split_size=30)
    assert (shop.seen(storage), shop.seen(rest.id)) == ((30, 2, 6), (70, 2, 6))


@pytest.mark.parametrize(("kept", "given"), [(0, 100), (100, 0)])
def test_a_part_may_be_empty(shop: Shop, kept: int, given: int) -> None:
    storage = shop.buy(100, 2, 6)
    rest = shop.call("storage_resource::split_by_size", storage=storage, split_size=kept)
    assert (shop.seen(storage), shop.seen(rest.id)) == ((kept, 2, 6), (given, 2, 6))


@pytest.mark.parametrize(("first", "second"), [((2, 4), (4, 6)), ((4, 6), (2, 4))])
def test_periods_join_at_either_end(shop: Shop, first: tuple[int, int], second: tuple[int, int]) -> None:
    for function in ("fuse_periods", "fuse"):
        left, right = shop.buy(100, *first), shop.buy(100, *second)
        shop.call(f"storage_resource::{function}", first=left, second=right)
        assert shop.seen(left) == (100, 2, 6)
        assert shop.chain.ledger.object(right) is None


@pytest.mark.parametrize(
    ("function", "first", "second", "code"),
    [
        ("fuse_periods", (100, 2, 4), (101, 4, 6), 2),
        ("fuse_periods", (100, 2, 4), (101, 5, 6), 2),  # size before period
        ("fuse_periods", (100, 2, 4), (100, 5, 6), 1),
        ("fuse_periods", (100, 2, 4), (100, 3, 6), 1),
        ("fuse_amount", (100, 2, 4), (100, 2, 5), 1),
        ("fuse_amount", (100, 2, 4), (100, 3, 4), 1),
        ("fuse", (100, 2, 4), (100, 2, 5), 1),  # same start: amounts
        ("fuse", (100, 2, 4), (101, 4, 6), 2),  # otherwise periods
    ],
)
def test_what_does_not_fit_is_not_fused(
    shop: Shop, function: str, first: tuple[int, int, int], second: tuple[int, int, int], code: int
) -> None:
    left, right = shop.buy(*first), shop.buy(*second)
    assert shop.refusal(f"storage_resource::{function}", first=left, second=right) == ("storage_resource", code)
    assert (shop.seen(left), shop.seen(right)) == (first, second)


def test_amounts_of_one_period_add_up(shop: Shop) -> None:
    for function in ("fuse_amount", "fuse"):
        left, right = shop.buy(100, 2, 4), shop.buy(11, 2, 4)
        shop.call(f"storage_resource::{function}", first=left, second=right)
        assert shop.seen(left) == (111, 2, 4)


def test_numbers_stay_in_their_types() -> None:
    storage = Storage(ObjectId("0x" + "0" * 64), 1, 2, 100)
    storage.increase_size(U64_MAX - 100)
    storage.extend_end_epoch(U32_MAX - 2)
    assert (storage.storage_size, storage.end_epoch) == (U64_MAX, U32_MAX)
    with pytest.raises(ArithmeticFailure):
        storage.increase_size(1)
    with pytest.raises(ArithmeticFailure):
        storage.extend_end_epoch(1)


def test_storage_can_be_given_up(shop: Shop) -> None:
    storage = shop.buy(100, 1, 4)
    used = shop.chain.system().used_capacity_size
    shop.call("storage_resource::destroy", storage=storage)
    assert shop.chain.ledger.object(storage) is None
    assert shop.chain.system().used_capacity_size == used  # what was sold stays sold
