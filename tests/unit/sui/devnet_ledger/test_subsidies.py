"""The subsidies package: a fixed part per member and epoch, and a part of what users pay."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.sui.devnet_ledger.shop import MIB, Shop, abort_of

from walrus_codec.types import ObjectId
from walrus_sui.abi import dynamic_field
from walrus_sui.abi import walrus_subsidies as abi
from walrus_sui.devnet.move.core.aborts import U64_MAX, MoveAbort
from walrus_sui.devnet.move.walrus_subsidies.epoch_balance import EpochBalance, EpochBalanceRingBuffer
from walrus_sui.devnet.testing import Chain, Node

Step = Callable[[Chain, list[Node]], None]
PURSE = 1_000_000


class Subsidies:
    """A purse of Alice's with 50 %, 1,000 per member and 10 per shard."""

    def __init__(self, shop: Shop, *, rate: int = 5_000, base: int = 1_000, per_shard: int = 10) -> None:
        self.shop = shop
        before = {obj.object_id for obj in shop.chain.ledger.objects()}
        arguments = {"system_subsidy_rate": rate, "base_subsidy": base, "subsidy_per_shard": per_shard}
        self.cap: ObjectId = shop.call("walrus_subsidies::new", **arguments).id
        made = [obj for obj in shop.chain.ledger.objects() if obj.type.endswith("::WalrusSubsidies")]
        (self.id,) = [obj.object_id for obj in made if obj.object_id not in before]

    def call(self, function: str, **arguments: Any) -> Any:
        return self.shop.call(f"walrus_subsidies::{function}", self=self.id, **arguments)

    def set(self, function: str, **arguments: Any) -> Any:
        return self.call(function, admin_cap=self.cap, **arguments)

    def fill(self, amount: int) -> None:
        self.call("add_coin", funds=self.shop.chain.coin(self.shop.alice, amount))

    def process(self) -> None:
        self.call("process_subsidies")

    @property
    def state(self) -> Any:
        return self.shop.chain.field(self.id)

    @property
    def purse(self) -> int:
        value: int = self.state.subsidy_pool.value
        return value


@pytest.fixture
def subsidies(shop: Shop) -> Subsidies:
    made = Subsidies(shop)
    made.fill(PURSE)
    return made


def commissions(shop: Shop) -> list[int]:
    return [shop.chain.pool(node.node_id).commission.value for node in shop.nodes]


def collect(shop: Shop, node: Node) -> int:
    program = shop.chain.program(node.account)
    cap_type = f"{shop.chain.network.walrus_package}::storage_node::StorageNodeCap"
    proof = program.call("auth::authenticate_with_object", obj=node.cap_id, types=[cap_type])
    coin = program.call("staking::collect_commission", node_id=node.node_id, auth=proof)
    program.transfer([coin], node.account.address)
    value: int = program.run_for_values(coin)[0].balance.value
    return value


# The fixed part


def test_members_of_the_committee_that_ended_are_paid_once(shop: Shop, subsidies: Subsidies, step: Step) -> None:
    subsidies.process()
    assert commissions(shop) == [0] * 4  # created in epoch 1: pays for it in epoch 2
    step(shop.chain, shop.nodes)
    for _ in range(2):
        subsidies.process()
        assert commissions(shop) == [1_250] * 4
        assert subsidies.purse == PURSE - 5_000
    assert subsidies.state.latest_epoch == 1
    step(shop.chain, shop.nodes)
    step(shop.chain, shop.nodes)
    subsidies.process()
    # Epoch 2 was missed: only the epoch before the present one is paid.
    assert commissions(shop) == [2_500] * 4
    assert subsidies.state.latest_epoch == 3


def test_what_comes_before_the_end_of_voting_is_blocked_until_then(
    shop: Shop, subsidies: Subsidies, step: Step
) -> None:
    step(shop.chain, shop.nodes)
    subsidies.process()
    assert collect(shop, shop.nodes[0]) == 0
    shop.chain.advance(ms=300_000)
    shop.call("staking::voting_end")
    assert collect(shop, shop.nodes[0]) == 1_250


def test_what_comes_after_it_is_not(shop: Shop, subsidies: Subsidies, step: Step) -> None:
    step(shop.chain, shop.nodes)
    shop.chain.advance(ms=300_000)
    shop.call("staking::voting_end")
    subsidies.process()
    assert collect(shop, shop.nodes[0]) == 1_250


def test_a_purse_pays_all_members_or_none(shop: Shop, step: Step) -> None:
    subsidies = Subsidies(shop)
    subsidies.fill(4_999)
    step(shop.chain, shop.nodes)
    assert abort_of(subsidies.process) == ("walrus_subsidies_inner", 1)
    assert (commissions(shop), subsidies.purse) == ([0] * 4, 4_999)
    subsidies.fill(1)
    subsidies.process()
    assert (commissions(shop), subsidies.purse) == ([1_250] * 4, 0)


def test_nothing_is_due_in_epoch_0(chain: Chain) -> None:
    subsidies = Subsidies(Shop(chain, []))
    subsidies.process()
    assert subsidies.state.latest_epoch == 0


# The part of what users pay


def test_payments_are_topped_up_epoch_by_epoch(shop: Shop) -> None:
    shop.buy(MIB, 1, 3)  # before there was a purse: not topped up
    subsidies = Subsidies(shop)
    subsidies.fill(PURSE)
    subsidies.process()
    assert shop.fund(4) == [5, 5, 0, 0]
    shop.buy(3 * MIB, 2, 5)
    for _ in range(2):  # 50 % of 15, rounded down, and never twice
        subsidies.process()
        assert shop.fund(5) == [5, 5 + 15 + 7, 15 + 7, 15 + 7, 0]
        assert subsidies.purse == PURSE - 3 * 7
    assert subsidies.state.last_subsidized_ts == shop.chain.now_ms
    shop.buy(MIB, 4, 6)
    subsidies.process()
    assert shop.fund(6) == [5, 27, 22, 22 + 5 + 2, 5 + 2, 0]


@pytest.mark.parametrize(
    ("rate", "added"), [(0, 0), (999, 0), (1_000, 1), (19_999, 19), (80_000, 80), (2**32 - 1, 4_294_967)]
)
def test_rates_are_basis_points_rounded_down(shop: Shop, rate: int, added: int) -> None:
    subsidies = Subsidies(shop, rate=rate)
    subsidies.fill(10**7)
    shop.buy(2 * MIB, 1, 2)
    subsidies.process()
    assert shop.fund(2) == [10 + added, 0]


def test_payments_are_topped_up_wholly_or_not_at_all(shop: Shop) -> None:
    subsidies = Subsidies(shop)
    subsidies.fill(3)
    shop.buy(MIB, 1, 3)
    assert abort_of(subsidies.process) == ("walrus_subsidies_inner", 1)
    assert shop.fund(3) == [5, 5, 0]
    subsidies.fill(1)
    subsidies.process()
    assert (shop.fund(3), subsidies.purse) == ([7, 7, 0], 0)


def test_the_ring_follows_the_epochs(shop: Shop, subsidies: Subsidies, step: Step) -> None:
    shop.buy(20 * MIB, 1, 5)
    subsidies.process()
    assert shop.fund(5) == [150, 150, 150, 150, 0]
    for _ in range(2):
        step(shop.chain, shop.nodes)
    # Of 150 are 4 burned, and 4 times 36 paid: 2 are left for epoch 2. Of its 152, 4 are burned and 148 paid.
    assert shop.fund(3) == [150, 150, 0]
    shop.buy(2 * MIB, 3, 6)
    subsidies.process()
    assert shop.fund(4) == [165, 165, 15, 0]
    ring = subsidies.state.already_subsidized_balances
    assert [ring.ring_lookup(offset) for offset in (0, 2, 52)] == [
        EpochBalance(3, 165),
        EpochBalance(5, 15),
        EpochBalance(55, 0),
    ]


def test_what_division_leaves_of_rewards_counts_as_paid_by_users(shop: Shop, subsidies: Subsidies, step: Step) -> None:
    shop.buy(20 * MIB, 1, 2)
    subsidies.process()
    step(shop.chain, shop.nodes)
    assert shop.fund(1) == [2]
    subsidies.process()
    assert shop.fund(1) == [3]


def test_a_ring_of_balances() -> None:
    ring = EpochBalanceRingBuffer.new_from_balances(5, [10, 20, 30])
    ring.ring_pop_expand()
    assert [ring.ring_lookup(index) for index in range(3)] == [
        EpochBalance(6, 20),
        EpochBalance(7, 30),
        EpochBalance(8, 0),
    ]
    with pytest.raises(MoveAbort) as caught:
        ring.ring_lookup(3)
    assert (caught.value.module, caught.value.code) == ("epoch_balance", 0)


# Rights and limits


def test_only_the_purses_own_capability_sets_it(shop: Shop, subsidies: Subsidies) -> None:
    other = Subsidies(shop)
    for function, argument in (
        ("set_system_subsidy_rate", "new_rate"),
        ("set_base_subsidy", "base_subsidy"),
        ("set_per_shard_subsidy", "subsidy_per_shard"),
    ):
        given = {argument: 2**32 - 1}  # too much for a rate: the capability comes first
        refused = abort_of(lambda f=function, g=given: subsidies.call(f, admin_cap=other.cap, **g))
        assert refused == ("walrus_subsidies", 0)
        subsidies.set(function, **{argument: 7})
    state = subsidies.state
    assert (state.system_subsidy_rate, state.base_subsidy, state.subsidy_per_shard) == (7, 7, 7)


def test_the_rate_is_limited_in_its_setter_alone(shop: Shop) -> None:
    subsidies = Subsidies(shop, rate=2**32 - 1)
    subsidies.set("set_system_subsidy_rate", new_rate=1_000_000)
    refused = abort_of(lambda: subsidies.set("set_system_subsidy_rate", new_rate=1_000_001))
    assert refused == ("walrus_subsidies_inner", 0)


def test_amounts_for_a_thousand_shards_fit_into_a_number(shop: Shop) -> None:
    subsidies = Subsidies(shop, base=0, per_shard=0)
    most = U64_MAX // 1_000
    over = abort_of(lambda: subsidies.set("set_per_shard_subsidy", subsidy_per_shard=most + 1))
    assert over == ("walrus_subsidies_inner", 0)
    subsidies.set("set_per_shard_subsidy", subsidy_per_shard=most)
    left = U64_MAX - 1_000 * most
    over = abort_of(lambda: subsidies.set("set_base_subsidy", base_subsidy=left + 1))
    assert over == ("walrus_subsidies_inner", 0)
    subsidies.set("set_base_subsidy", base_subsidy=left)


def test_balances_fill_the_purse_too(shop: Shop, subsidies: Subsidies) -> None:
    program = shop.chain.program(shop.chain.account("bob"))
    wal = shop.chain.network.wal_type
    coin = shop.chain.coin(shop.chain.account("bob"), 5)
    balance = program.call("coin::into_balance", types=[wal], coin=coin)
    program.call("walrus_subsidies::add_balance", self=subsidies.id, balance=balance)
    program.run()
    assert subsidies.purse == PURSE + 5


def test_a_fresh_purse_has_nothing_to_migrate(subsidies: Subsidies) -> None:
    assert abort_of(lambda: subsidies.call("migrate")) == ("walrus_subsidies", 2)


# Genesis and clients


def test_every_chain_has_a_purse_that_pays_nothing_yet(chain: Chain) -> None:
    known = chain.network
    front = chain.value(known.subsidies)
    assert (front.version, front.package_id) == (3, known.subsidies_package)
    state = chain.field(known.subsidies)
    assert (state.system_subsidy_rate, state.base_subsidy, state.subsidy_per_shard) == (0, 0, 0)
    caps = f"{known.subsidies_package}::walrus_subsidies::AdminCap"
    (cap,) = chain.ledger.owned_objects(known.faucet, caps)
    assert chain.value(cap.object_id).subsidies_id == known.subsidies


def test_clients_read_it(shop: Shop, subsidies: Subsidies, step: Step) -> None:
    step(shop.chain, shop.nodes)
    subsidies.process()
    front_object = shop.chain.ledger.object(subsidies.id)
    (found,) = shop.chain.ledger.dynamic_fields(subsidies.id)
    inner = shop.chain.ledger.object(found.field_id)
    assert front_object is not None
    assert inner is not None
    front = abi.decode(front_object.contents)
    assert front == abi.SubsidiesObject(subsidies.id, 3, shop.chain.network.subsidies_package)
    view = dynamic_field.decode_value(inner.contents, key_length=1, read=lambda r: abi.read_inner(r, front))
    assert (view.object_id, view.package_id) == (subsidies.id, shop.chain.network.subsidies_package)
    assert (view.rate, view.pool, view.base, view.per_shard) == (5_000, PURSE - 5_000, 1_000, 10)
    assert (view.latest_epoch, view.processed_ms) == (1, shop.chain.now_ms)
