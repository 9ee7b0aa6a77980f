"""Storage of ten nodes through the facade: what each epoch has sold, what its nodes will earn, and who may have more."""

from typing import Any

import pytest

from walrus_codec import blob_id as blob_ids
from walrus_codec.types import EncodingType
from walrus_sui.devnet.testing import Chain, Handle, MoveAbort, Node

WAL = 10**9
PRICE = 10_000  # FROST per MiB and epoch
SIZE = 5_000_000
Made = tuple[Chain, list[Node]]


@pytest.fixture
def chain(network: Made) -> Chain:
    return network[0]


def encoded(chain: Chain, size: int = SIZE) -> int:
    found: int = chain.view("encoding::encoded_blob_length", unencoded_length=size, encoding_type=1, n_shards=100)
    return found


def blob(number: int) -> dict[str, Any]:
    root = number.to_bytes(32, "little")
    return {"blob_id": blob_ids.compute(root, EncodingType.RS2, SIZE), "root_hash": root, "encoding_type": 1}


def call(chain: Chain, function: str, **arguments: Any) -> Any:
    return chain.call(function, sender="alice", **arguments)


def make_pool(chain: Chain, size: int, epochs: int) -> Handle:
    made: Handle = call(
        chain,
        "system::create_storage_pool",
        reserved_encoded_capacity_bytes=size,
        epochs_ahead=epochs,
        payment=100 * WAL,
    )
    return made


def put(chain: Chain, pool: Handle, number: int, *, deletable: bool = False) -> None:
    call(
        chain,
        "system::register_pooled_blob",
        storage_pool=pool,
        unencoded_size=SIZE,
        deletable=deletable,
        write_payment=WAL,
        **blob(number),
    )


def accounts(chain: Chain, epochs: int) -> tuple[list[int], list[int]]:
    """Bytes sold and FROST to earn, of this epoch and the next ones."""
    entries = [chain.system().future_accounting.ring_lookup(ahead) for ahead in range(epochs)]
    return [entry.used_capacity for entry in entries], [entry.rewards_to_distribute.value for entry in entries]


def refusal(chain: Chain, function: str, **arguments: Any) -> MoveAbort:
    with pytest.raises(MoveAbort) as caught:
        call(chain, function, **arguments)
    return caught.value


def test_a_period_in_the_future_takes_nothing_today(chain: Chain) -> None:
    arguments = {"storage_amount": 500_000_000, "start_epoch": 6, "end_epoch": 11, "payment": 100 * WAL}
    storage = call(chain, "system::reserve_space_for_epochs", **arguments)
    assert (storage.start_epoch, storage.end_epoch, storage.storage_size) == (6, 11, 500_000_000)
    used, earned = accounts(chain, 12)
    assert used == [0] * 5 + [500_000_000] * 5 + [0] * 2
    assert earned == [0] * 5 + [477 * PRICE] * 5 + [0] * 2
    assert chain.view("system::used_capacity_size") == 0


def test_a_pool_that_grows_pays_for_its_remaining_life(chain: Chain) -> None:
    pool = make_pool(chain, 500_000_000, 3)
    assert accounts(chain, 4) == ([500_000_000] * 3 + [0], [477 * PRICE] * 3 + [0])
    chain.next_epoch()
    _, before = accounts(chain, 3)
    more = {"storage_pool": pool, "additional_encoded_capacity_bytes": 250_000_000, "payment": 100 * WAL}
    call(chain, "system::increase_storage_pool_capacity", **more)
    used, after = accounts(chain, 3)
    assert used == [750_000_000, 750_000_000, 0]
    assert [new - old for new, old in zip(after, before, strict=True)] == [239 * PRICE, 239 * PRICE, 0]
    assert chain.view("storage_pool::reserved_encoded_capacity_bytes", self=pool) == 750_000_000
    call(chain, "system::extend_storage_pool", storage_pool=pool, extended_epochs=2, payment=100 * WAL)
    assert accounts(chain, 5)[0] == [750_000_000] * 4 + [0]
    assert chain.last.event("StoragePoolExtended").new_end_epoch == 6


def test_storage_goes_round_from_pool_to_blob_and_back(chain: Chain) -> None:
    size = encoded(chain)
    pool, other = make_pool(chain, size, 3), make_pool(chain, size, 3)
    spare = call(chain, "system::reserve_space", storage_amount=size, epochs_ahead=3, payment=WAL)
    lent = call(chain, "system::reserve_space", storage_amount=size, epochs_ahead=3, payment=WAL)
    registered = call(
        chain, "system::register_blob", storage=lent, size=SIZE, deletable=True, write_payment=WAL, **blob(1)
    )
    returned = call(chain, "system::delete_blob", blob=registered)
    for storage in (spare, call(chain, "storage_pool::destroy", self=other), returned):
        call(chain, "system::increase_storage_pool_capacity_with_storage", storage_pool=pool, storage=storage)
    assert chain.view("storage_pool::available_encoded_bytes", self=pool) == 4 * size
    whole = call(chain, "storage_pool::destroy", self=pool)
    last = call(chain, "system::register_blob", storage=whole, size=SIZE, deletable=False, write_payment=WAL, **blob(2))
    assert (last.storage.storage_size, last.storage.end_epoch) == (4 * size, 4)


def test_what_is_unused_comes_out_by_percent_rounded_down(chain: Chain) -> None:
    pool = make_pool(chain, encoded(chain) + 99, 3)
    put(chain, pool, 1)
    take = "system::decrease_storage_pool_unused_capacity_by_percent"
    assert refusal(chain, take, storage_pool=pool, percent=101) == MoveAbort("storage_pool", 14)
    assert refusal(chain, take, storage_pool=pool, percent=1) == MoveAbort("system", 2)
    parts = [call(chain, take, storage_pool=pool, percent=percent) for percent in (50, 100)]
    assert [part.storage_size for part in parts] == [49, 50]
    assert [(part.start_epoch, part.end_epoch) for part in parts] == [(1, 4)] * 2
    one = {"storage_pool": pool, "size": 1}
    assert refusal(chain, "system::decrease_storage_pool_capacity_by_size", **one) == MoveAbort("storage_pool", 6)


def test_room_that_a_deleted_blob_left_is_used_again(chain: Chain) -> None:
    pool = make_pool(chain, encoded(chain), 1)
    put(chain, pool, 1, deletable=True)
    with pytest.raises(MoveAbort) as full:
        put(chain, pool, 2)
    assert full.value == MoveAbort("storage_pool", 6)
    call(chain, "system::delete_pooled_blob", storage_pool=pool, blob_id=blob(1)["blob_id"])
    put(chain, pool, 2)
    named = {"storage_pool": pool, "blob_id": blob(2)["blob_id"]}
    assert refusal(chain, "system::delete_pooled_blob", **named) == MoveAbort("storage_pool", 0)
    assert refusal(chain, "system::burn_expired_pooled_blob", **named) == MoveAbort("system_state_inner", 2)
    assert refusal(chain, "storage_pool::destroy", self=pool) == MoveAbort("storage_pool", 7)
    chain.next_epoch()
    assert refusal(chain, "system::delete_pooled_blob", **named) == MoveAbort("system_state_inner", 2)
    call(chain, "system::burn_expired_pooled_blob", **named)
    assert chain.last.events == ()
    assert call(chain, "storage_pool::destroy", self=pool).end_epoch == 2


@pytest.mark.parametrize(
    ("amount", "epochs", "parts"),
    [(0, 2, [0, 0]), (1_000, 1, [1_000]), (1_000, 4, [250] * 4), (1_001, 3, [335, 333, 333])],
)
def test_a_donation_is_spread_and_the_rest_is_todays(chain: Chain, amount: int, epochs: int, parts: list[int]) -> None:
    call(chain, "system::add_subsidy", subsidy=amount, epochs_ahead=epochs)
    assert accounts(chain, epochs + 1)[1] == [*parts, 0]
    nothing = {"subsidy": 5, "epochs_ahead": 0}
    assert refusal(chain, "system::add_subsidy", **nothing) == MoveAbort("system_state_inner", 2)
