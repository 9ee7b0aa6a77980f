from collections.abc import Callable

import pytest

from walrus_sui.devnet.move.walrus.exchange_rate import Flat, Variable
from walrus_sui.devnet.testing import Chain, Node

WAL = 10**9
Step = Callable[[Chain, list[Node]], None]


def buy(chain: Chain, *, size: int, epochs: int) -> None:
    """Reserves storage for the price that is due."""
    alice = chain.account("alice")
    coin = chain.coin(alice, 1_000 * WAL)
    program = chain.program(alice)
    storage = program.call("system::reserve_space", storage_amount=size, epochs_ahead=epochs, payment=coin)
    program.transfer([storage], alice.address)
    program.run()


def supply(chain: Chain) -> int:
    info = chain.ledger.coin_info(chain.network.wal_type)
    assert info is not None
    return info.total_supply


@pytest.fixture
def priced(network: tuple[Chain, list[Node]]) -> tuple[Chain, list[Node]]:
    """1,000,000 FROST per MiB and epoch."""
    chain, nodes = network
    for node in nodes:
        chain.call("staking::set_storage_price_vote", sender=node.account, cap=node.cap_id, storage_price=10**6)
    chain.call("staking::update_prices", sender=nodes[0].account)
    return chain, nodes


def test_rewards_go_by_shards_after_the_burn(priced: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = priced
    before = supply(chain)
    buy(chain, size=10 * 1024**2, epochs=2)
    slots = [chain.system().future_accounting.ring_lookup(offset).rewards_to_distribute.value for offset in range(3)]
    assert slots == [10**7, 10**7, 0]
    assert chain.system().used_capacity_size == 10 * 1024**2
    step(chain, nodes)
    # 10,000,000 - 3 % = 9,700,000; a quarter each: 2,425,000, no commission.
    assert before - supply(chain) == 300_000
    for node in nodes:
        pool = chain.pool(node.node_id)
        assert pool.rewards_pool.value == 2_425_000
        assert pool.wal_balance == 1_000 * WAL + 2_425_000
        assert pool.commission.value == 0
    assert chain.system().used_capacity_size == 10 * 1024**2
    step(chain, nodes)
    assert before - supply(chain) == 600_000
    assert chain.system().used_capacity_size == 0
    assert [chain.pool(node.node_id).rewards_pool.value for node in nodes] == [4_850_000] * 4


def test_what_division_leaves_goes_to_the_next_epoch(priced: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = priced
    chain.call("staking::set_storage_price_vote", sender=nodes[0].account, cap=nodes[0].cap_id, storage_price=10**6 + 3)
    for node in nodes[1:]:
        chain.call("staking::set_storage_price_vote", sender=node.account, cap=node.cap_id, storage_price=10**6 + 3)
    chain.call("staking::update_prices", sender=nodes[0].account)
    buy(chain, size=1, epochs=1)
    step(chain, nodes)
    # 1,000,003 - 30,000 = 970,003 = 4 * 242,500 + 3
    assert [chain.pool(node.node_id).rewards_pool.value for node in nodes] == [242_500] * 4
    assert chain.system().future_accounting.ring_lookup(0).rewards_to_distribute.value == 3


def test_without_use_the_rewards_stay_in_the_fund(priced: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = priced
    buy(chain, size=1024**2, epochs=1)
    step(chain, nodes)
    step(chain, nodes)
    assert [chain.pool(node.node_id).rewards_pool.value for node in nodes] == [242_500] * 4


def test_commission_is_blocked_until_voting_ends_twice(chain: Chain, step: Step) -> None:
    nodes = [
        chain.add_node(chain.account(f"n{index}"), commission_rate=6_000, storage_price=10**6) for index in range(4)
    ]
    for node in nodes:
        chain.stake(node.account, node, 1_000 * WAL)
    chain.advance(ms=10_000)
    chain.call("staking::voting_end", sender=nodes[0].account)
    chain.call("staking::initiate_epoch_change_v2", sender=nodes[0].account)
    for node in nodes:
        chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=1)
    buy(chain, size=10 * 1024**2, epochs=1)
    step(chain, nodes)
    # 60 % of 2,425,000
    pool = chain.pool(nodes[0].node_id)
    assert (pool.commission.value, pool.rewards_pool.value) == (1_455_000, 970_000)
    assert chain.field(pool.extra_fields.id) == 1_455_000
    chain.advance(ms=300_000)
    chain.call("staking::voting_end", sender=nodes[0].account)
    assert chain.ledger.dynamic_fields(pool.extra_fields.id) == []
    assert chain.pool(nodes[0].node_id).extra_fields.size == 0


def test_exchange_rates_of_an_unchanged_committee(priced: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = priced
    buy(chain, size=10 * 1024**2, epochs=1)
    step(chain, nodes)
    pool = chain.pool(nodes[0].node_id)
    rates = {
        int.from_bytes(found.name.bcs, "little"): chain.type_of(found.value_type).from_bcs(found.value.bcs)
        for found in chain.ledger.dynamic_fields(pool.exchange_rates.id)
    }
    assert rates == {0: Flat(), 1: Flat(), 2: Variable(1_000 * WAL + 2_425_000, 1_000 * WAL)}
    assert pool.num_shares == 1_000 * WAL
    chain.stake(chain.account("alice"), nodes[0], 500 * WAL)
    step(chain, nodes)
    pool = chain.pool(nodes[0].node_id)
    wal = 1_000 * WAL + 2_425_000 + 500 * WAL
    assert pool.wal_balance == wal
    assert pool.num_shares == wal * (1_000 * WAL) // (1_000 * WAL + 2_425_000)


def test_a_commission_rate_starts_two_epochs_later(network: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = network
    node = nodes[0]
    chain.call("staking::set_next_commission", sender=node.account, cap=node.cap_id, commission_rate=500)
    step(chain, nodes)
    assert chain.pool(node.node_id).commission_rate == 0
    step(chain, nodes)
    assert chain.pool(node.node_id).commission_rate == 500
    assert chain.pool(node.node_id).pending_commission_rate.pos0 == {}


def test_five_epochs_with_an_unchanged_committee(priced: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = priced
    first = chain.staking().committee
    buy(chain, size=7 * 1024**2, epochs=5)
    for epoch in range(2, 8):
        step(chain, nodes)
        state, system = chain.staking(), chain.system()
        assert state.epoch == system.epoch == epoch
        assert state.committee == state.previous_committee == first
        assert system.future_accounting.ring_lookup(0).epoch == epoch
        assert system.total_capacity_size == 4 * 10**12
        assert [m.node_id for m in system.committee.members] == sorted(node.node_id for node in nodes)
    # Five epochs of 7,000,000 - 3 %, in quarters.
    assert [chain.pool(node.node_id).rewards_pool.value for node in nodes] == [5 * 7_000_000 * 97 // 100 // 4] * 4
    assert chain.system().used_capacity_size == 0


def test_capacity_never_falls_below_what_is_used(priced: tuple[Chain, list[Node]], step: Step) -> None:
    chain, nodes = priced
    buy(chain, size=10 * 1024**2, epochs=3)
    for node in nodes:
        chain.call("staking::set_node_capacity_vote", sender=node.account, cap=node.cap_id, node_capacity=1)
    step(chain, nodes)
    assert chain.system().total_capacity_size == 10 * 1024**2
