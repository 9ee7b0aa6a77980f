"""Stakes as objects: joined, split and looked at."""

from collections.abc import Callable
from typing import Any

import pytest

from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.testing import Chain, Node

WAL = 10**9
Step = Callable[[Chain, list[Node]], None]


def abort_of(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(MoveAbort) as caught:
        call()
    return caught.value.module, caught.value.code


def join(chain: Chain, into: Any, other: Any) -> None:
    chain.call("staked_wal::join", sender=chain.account("alice"), sw=into, other=other)


def split(chain: Chain, stake: Any, amount: int) -> Any:
    return chain.call("staked_wal::split", sender=chain.account("alice"), sw=stake, amount=amount)


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (5 * WAL, ("staked_wal", 2)),
        (6 * WAL, ("staked_wal", 2)),
        (0, ("staked_wal", 7)),
        (WAL - 1, ("staked_wal", 7)),
        (4 * WAL + 1, ("staked_wal", 7)),
    ],
)
def test_both_parts_keep_one_wal(network: tuple[Chain, list[Node]], amount: int, refusal: tuple[str, int]) -> None:
    chain, nodes = network
    stake = chain.stake(chain.account("alice"), nodes[0], 5 * WAL)
    assert abort_of(lambda: split(chain, stake, amount)) == refusal


def test_split_and_join(network: tuple[Chain, list[Node]]) -> None:
    chain, nodes = network
    stake = chain.stake(chain.account("alice"), nodes[0], 5 * WAL)
    part = split(chain, stake, 4 * WAL)
    assert (part.node_id, part.activation_epoch, part.state) == (stake.node_id, stake.activation_epoch, stake.state)
    assert (part.principal.value, chain.value(stake.id).principal.value) == (4 * WAL, WAL)
    join(chain, stake, part)
    assert chain.ledger.object(part.id) is None
    assert chain.call("staked_wal::value", sender=chain.account("alice"), sw=stake) == 5 * WAL


def test_only_equal_stakes_join(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    first, second = chain.stake(alice, nodes[0], WAL), chain.stake(alice, nodes[0], WAL)
    foreign = chain.stake(alice, nodes[1], WAL)
    assert abort_of(lambda: join(chain, first, foreign)) == ("staked_wal", 1)
    step(chain, nodes)
    later = chain.stake(alice, nodes[0], WAL)
    assert abort_of(lambda: join(chain, first, later)) == ("staked_wal", 1)
    chain.call("staking::request_withdraw_stake", sender=alice, staked_wal=first)
    assert abort_of(lambda: join(chain, first, second)) == ("staked_wal", 1)
    assert abort_of(lambda: join(chain, second, first)) == ("staked_wal", 1)
    chain.advance(ms=300_000)
    chain.call("staking::voting_end", sender=alice)
    chain.call("staking::request_withdraw_stake", sender=alice, staked_wal=second)
    withdraw_epochs = [chain.call("staked_wal::withdraw_epoch", sender=alice, sw=stake) for stake in (first, second)]
    assert withdraw_epochs == [3, 4]
    assert abort_of(lambda: join(chain, first, second)) == ("staked_wal", 1)


def test_parts_of_a_leaving_stake_leave_together(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    alice = chain.account("alice")
    stake = chain.stake(alice, nodes[0], 5 * WAL)
    assert abort_of(lambda: chain.call("staked_wal::withdraw_epoch", sender=alice, sw=stake)) == ("staked_wal", 0)
    step(chain, nodes)
    chain.call("staking::request_withdraw_stake", sender=alice, staked_wal=stake)
    part = split(chain, stake, 2 * WAL)
    assert chain.call("staked_wal::is_withdrawing", sender=alice, sw=part) is True
    assert chain.call("staked_wal::is_staked", sender=alice, sw=part) is False
    join(chain, part, stake)
    step(chain, nodes)
    coin = chain.call("staking::withdraw_stake", sender=alice, staked_wal=part)
    assert coin.balance.value == 5 * WAL
