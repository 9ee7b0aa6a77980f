from typing import Any

import pytest

from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.move.core.aborts import U64_MAX, MoveAbort
from walrus_sui.devnet.testing import Chain, TransactionFailed

WAL = SUI = 10**9


def chain_with(*, wal: int, sui: int, funding: int = 1_000) -> Chain:
    config = GenesisConfig(exchange_wal=wal, exchange_sui=sui, exchange_funding=funding)
    return Chain(config, accounts=("alice",), sui=10_000_000)


def swap(chain: Chain, amount: int) -> int:
    """Gives SUI off the gas coin for WAL; returns the FROST that came."""
    alice = chain.account("alice")
    before = chain.balance(alice)
    program = chain.program(alice)
    wal = program.call("wal_exchange::exchange_all_for_wal", sui=program.split_gas(amount))
    program.transfer([wal], alice.address)
    program.run()
    return chain.balance(alice) - before


def exchange(chain: Chain) -> Any:
    return chain.value(chain.network.exchange)


def code(call: Any) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


@pytest.mark.parametrize(
    ("wal", "sui", "given", "got"), [(1, 1, 42, 42), (4, 2, 42, 84), (1, 3, 10, 3), (2, 3, 1, 0), (7, 1, 0, 0)]
)
def test_rate_rounds_down(wal: int, sui: int, given: int, got: int) -> None:
    chain = chain_with(wal=wal, sui=sui)
    assert swap(chain, given) == got
    assert exchange(chain).sui.value == given
    assert exchange(chain).wal.value == 1_000 * WAL - got


def test_a_part_of_a_coin_and_back() -> None:
    chain = chain_with(wal=4, sui=2)
    alice = chain.account("alice")
    swap(chain, 42)
    coin = chain.coin(alice, 9)
    sui = chain.call("wal_exchange::exchange_all_for_sui", sender=alice, wal=coin)
    assert sui.balance.value == 4
    assert chain.ledger.object(coin) is None
    big = chain.coin(alice, 100)
    part = chain.call("wal_exchange::exchange_for_sui", sender=alice, wal=big, amount_wal=60)
    assert part.balance.value == 30
    assert chain.value(big).balance.value == 40
    sui_coin = chain.coin(alice, 10, coin_type=chain.network.sui_type)
    wal = chain.call("wal_exchange::exchange_for_wal", sender=alice, sui=sui_coin, amount_sui=3)
    assert (wal.balance.value, chain.value(sui_coin).balance.value) == (6, 7)


def test_limits() -> None:
    chain = chain_with(wal=1, sui=1, funding=1)
    alice = chain.account("alice")
    assert code(lambda: swap(chain, WAL + 1)) == ("wal_exchange", 0)
    wal = chain.coin(alice, 5)
    assert code(lambda: chain.call("wal_exchange::exchange_all_for_sui", sender=alice, wal=wal)) == ("wal_exchange", 0)
    call = lambda: chain.call("wal_exchange::exchange_for_sui", sender=alice, wal=wal, amount_wal=6)  # noqa: E731
    assert code(call) == ("wal_exchange", 1)
    assert swap(chain, WAL) == WAL


def test_products_beyond_u64_fail() -> None:
    chain = chain_with(wal=U64_MAX, sui=1)
    with pytest.raises(TransactionFailed, match="MOVE_PRIMITIVE_RUNTIME_ERROR"):
        swap(chain, 2)


def test_only_the_admin_may_rule() -> None:
    chain = chain_with(wal=1, sui=1)
    alice = chain.account("alice")
    own = chain.call("wal_exchange::new", sender=alice)
    for function, arguments in (
        ("withdraw_wal", {"amount": 1}),
        ("withdraw_sui", {"amount": 1}),
        ("set_exchange_rate", {"wal": 1, "sui": 2}),
    ):
        call = lambda f=function, a=arguments: chain.call(  # noqa: E731
            f"wal_exchange::{f}", sender=alice, admin_cap=own, **a
        )
        assert code(call) == ("wal_exchange", 2)
    mine = own_exchange(chain, own.id)
    assert code(
        lambda: chain.call("wal_exchange::set_exchange_rate", sender=alice, self=mine, wal=0, sui=2, admin_cap=own)
    ) == ("wal_exchange", 3)
    chain.call("wal_exchange::set_exchange_rate", sender=alice, self=mine, wal=3, sui=2, admin_cap=own)
    chain.call("wal_exchange::add_all_wal", sender=alice, self=mine, wal=chain.coin(alice, 10))
    chain.call("wal_exchange::add_wal", sender=alice, self=mine, wal=chain.coin(alice, 10), amount=4)
    back = chain.call("wal_exchange::withdraw_wal", sender=alice, self=mine, amount=13, admin_cap=own)
    assert back.balance.value == 13
    call = lambda: chain.call(  # noqa: E731
        "wal_exchange::withdraw_wal", sender=alice, self=mine, amount=2, admin_cap=own
    )
    assert code(call) == ("wal_exchange", 0)


def own_exchange(chain: Chain, cap_id: str) -> Any:
    found = [obj for obj in chain.ledger.objects() if obj.type.endswith("::Exchange")]
    (mine,) = [obj.object_id for obj in found if chain.value(obj.object_id).admin == cap_id]
    return mine


def test_wal_burns_by_hand() -> None:
    chain = chain_with(wal=1, sui=1)
    alice = chain.account("alice")
    before = chain.call("wal::total_supply", sender=alice)
    chain.call("wal::burn", sender=alice, coin=chain.coin(alice, 17))
    assert chain.call("wal::total_supply", sender=alice) == before - 17
