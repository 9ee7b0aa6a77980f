"""Laws of the devnet's money: nothing is made, nothing is lost, and a transaction that fails changes gas only.

Random programs over the calls of nodes, stakers and clients run through several epochs. After each step every coin type
is added up over all objects; at the end the log is run again and must give the same digests.
"""

import contextlib
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.laws.sui import staking_actions, system_actions

from walrus_codec import blob_id as blob_ids
from walrus_codec.params import CodeParams
from walrus_codec.types import BlobId, EncodingType, Epoch, ObjectId
from walrus_sui import messages
from walrus_sui.devnet.genesis import GenesisConfig
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.objects import CLOCK_ID, Object
from walrus_sui.devnet.ledger.transactions import TransactionData
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.walrus.shared_blob import SharedBlob
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.system_state_inner import SystemStateInnerV1
from walrus_sui.devnet.move.walrus_subsidies.walrus_subsidies_inner import WalrusSubsidiesInnerV1
from walrus_sui.devnet.testing import Account, Chain, Node, TransactionFailed

NODES, USERS = ("n0", "n1", "n2"), ("alice", "bob")
WAL = 10**9
SIZE = 1_000
ROOT = bytes(32)
BLOB = blob_ids.compute(ROOT, EncodingType.RS2, SIZE)
ENCODED = CodeParams(10, EncodingType.RS2).encoded_length(SIZE)


@cache
def start() -> tuple[Chain, tuple[Node, ...]]:
    config = GenesisConfig(
        n_shards=10,
        encoding_types=(EncodingType.RS2,),
        epoch_duration_ms=1_000,
        epoch_zero_duration_ms=0,
        max_epochs_ahead=5,
        exchange_wal=3,
        exchange_sui=2,
    )
    chain = Chain(config, accounts=(*NODES, *USERS))
    rates = (0, 6_000, 10_000)
    nodes = tuple(
        chain.add_node(chain.account(name), commission_rate=rate, storage_price=10**5 + rate, write_price=777)
        for name, rate in zip(NODES, rates, strict=True)
    )
    for index, node in enumerate(nodes):
        chain.stake(node.account, node, (7 + index) * WAL)
    chain.advance(ms=1)
    return chain, nodes


class World:
    """One run of a random program."""

    def __init__(self) -> None:
        base, self.nodes = start()
        self.chain = base.fork()
        self.chain.__class__ = CheckedChain
        self.chain.keep_failures = True
        self.blobs: list[ObjectId] = []

    def user(self, pick: int) -> Any:
        return self.chain.account((*USERS, *NODES)[pick % 5])

    def node(self, pick: int) -> Node:
        return self.nodes[pick % len(self.nodes)]

    def step(self, action: str, pick: int, amount: int) -> None:
        with contextlib.suppress(MoveAbort, TransactionFailed):
            ACTIONS[action](self, pick, amount)


class CheckedChain(Chain):
    """Looks at every transaction that fails."""

    def submit(self, transaction: TransactionData, sender: Account) -> Executed:
        before = snapshot(self)
        try:
            return super().submit(transaction, sender)
        except (MoveAbort, TransactionFailed):
            effects = self.ledger.pending()[-1].effects
            gas = effects.gas_object
            assert effects.failure is not None
            assert gas is not None
            after = snapshot(self)
            assert before.keys() == after.keys()
            assert {key for key, contents in after.items() if before[key] != contents} == {gas.object_id}
            raise


def snapshot(chain: Chain) -> dict[str, bytes]:
    return {obj.object_id: obj.contents for obj in chain.ledger.objects()}


def wal_of(value: Any) -> int:
    """FROST inside a decoded object."""
    if isinstance(value, StakedWal):
        return value.principal.value
    if isinstance(value, StakingPool):
        return value.rewards_pool.value + value.commission.value
    if isinstance(value, SharedBlob):
        return value.funds.value
    if isinstance(value, WalrusSubsidiesInnerV1):
        return value.subsidy_pool.value
    if isinstance(value, SystemStateInnerV1):
        return sum(slot.rewards_to_distribute.value for slot in value.future_accounting.ring_buffer)
    return 0


def wal_total(chain: Chain) -> int:
    total = 0
    for obj in chain.ledger.objects():
        if obj.coin_type == chain.network.wal_type:
            total += obj.coin_balance or 0
        elif not obj.is_package and obj.coin_type is None:
            value = chain.type_of(obj.type).from_bcs(obj.contents)
            total += wal_of(getattr(value, "value", value))
            if obj.object_id == chain.network.exchange:
                total += value.wal.value
    return total


def sui_total(chain: Chain) -> int:
    coins = sum(obj.coin_balance or 0 for obj in chain.ledger.objects() if obj.coin_type == chain.network.sui_type)
    kept = sum(obj.storage_rebate for obj in chain.ledger.objects())
    exchange = chain.value(chain.network.exchange)
    assert isinstance(exchange.sui, Balance)
    gas = chain.ledger.head.rolling_gas
    for executed in chain.ledger.pending():
        gas += executed.effects.gas_used
    return coins + kept + exchange.sui.value + gas.computation + gas.non_refundable


def supply(chain: Chain) -> int:
    info = chain.ledger.coin_info(chain.network.wal_type)
    assert info is not None
    return info.total_supply


def stake(world: World, pick: int, amount: int) -> None:
    world.chain.stake(world.user(pick), world.node(amount), amount % (20 * WAL))


def vote(world: World, pick: int, amount: int) -> None:
    node = world.node(pick)
    function, argument, value = (
        ("set_storage_price_vote", "storage_price", amount % 10**7),
        ("set_write_price_vote", "write_price", amount % 10**7),
        ("set_node_capacity_vote", "node_capacity", amount),
        ("set_next_commission", "commission_rate", amount % 11_000),
    )[pick % 4]
    world.chain.call(f"staking::{function}", sender=node.account, cap=node.cap_id, **{argument: value})


def anyone(function: str) -> Callable[[World, int, int], None]:
    def run(world: World, pick: int, _amount: int) -> None:
        world.chain.call(f"staking::{function}", sender=world.user(pick))

    return run


def sync_done(world: World, pick: int, amount: int) -> None:
    node = world.node(pick)
    epoch = world.chain.staking().epoch + (amount % 7 == 0)
    world.chain.call("staking::epoch_sync_done", sender=node.account, cap=node.cap_id, epoch=epoch)


def whole_epoch(world: World, pick: int, _amount: int) -> None:
    chain = world.chain
    chain.advance(ms=1_000)
    user = world.user(pick)
    chain.call("staking::voting_end", sender=user)
    chain.call("staking::initiate_epoch_change_v2", sender=user)
    for node in world.nodes:
        if node.node_id in chain.staking().committee:
            cap, epoch = node.cap_id, chain.staking().epoch
            chain.call("staking::epoch_sync_done", sender=node.account, cap=cap, epoch=epoch)


def clock(world: World, _pick: int, amount: int) -> None:
    world.chain.advance(ms=amount % 700)


def register(world: World, pick: int, amount: int) -> None:
    chain, alice = world.chain, world.chain.account("alice")
    coin = chain.coin(alice, amount % (2 * 10**8))
    program = chain.program(alice)
    size = ENCODED + pick * 10**6
    storage = program.call("system::reserve_space", storage_amount=size, epochs_ahead=pick % 7, payment=coin)
    blob = program.call(
        "system::register_blob",
        storage=storage,
        blob_id=int.from_bytes(BLOB, "little"),
        root_hash=0,
        size=SIZE,
        encoding_type=1,
        deletable=amount % 2 == 0,
        write_payment=coin,
    )
    program.transfer([blob], alice.address)
    world.blobs += [obj.object_id for obj in program.run().output_objects if obj.type.endswith("::blob::Blob")]


def certify(world: World, pick: int, amount: int) -> None:
    chain = world.chain
    live = [blob for blob in world.blobs if chain.ledger.object(blob) is not None]
    signers = [node for node in world.nodes if node.node_id in chain.staking().committee]
    if not live or not signers:
        return
    blob = chain.value(live[pick % len(live)])
    persistence = messages.Deletable(blob.id) if blob.deletable else messages.Permanent()
    message = messages.confirmation(BlobId(BLOB), Epoch(chain.staking().epoch), persistence)
    certificate = chain.certificate(message, signers[amount % 2 :] or signers)
    chain.call("system::certify_blob", sender=chain.account("alice"), blob=blob.id, **certificate)


def share(world: World, _pick: int, amount: int) -> None:
    chain, alice = world.chain, world.chain.account("alice")
    blob = world.blobs.pop() if world.blobs else None
    if blob is not None and chain.ledger.object(blob) is not None:
        chain.call("shared_blob::new_funded", sender=alice, blob=blob, funds=chain.coin(alice, amount % WAL))


def swap(world: World, pick: int, amount: int) -> None:
    chain, user = world.chain, world.user(pick)
    if pick % 2:
        coin = chain.coin(user, amount % (5 * WAL))
        chain.call("wal_exchange::exchange_all_for_sui", sender=user, wal=coin)
    else:
        program = chain.program(user)
        wal = program.call("wal_exchange::exchange_all_for_wal", sui=program.split_gas(amount % (5 * WAL)))
        program.transfer([wal], user.address)
        program.run()


def burn(world: World, pick: int, amount: int) -> None:
    user = world.user(pick)
    world.chain.call("wal::burn", sender=user, coin=world.chain.coin(user, amount % WAL))


def send(world: World, pick: int, amount: int) -> None:
    program = world.chain.program(world.user(pick))
    program.transfer([program.split_gas(amount % WAL)], world.user(pick + 1).address)
    program.run()


ACTIONS: dict[str, Callable[[World, int, int], None]] = {
    "stake": stake,
    "vote": vote,
    "voting_end": anyone("voting_end"),
    "change": anyone("initiate_epoch_change_v2"),
    "prices": anyone("update_prices"),
    "sync_done": sync_done,
    "epoch": whole_epoch,
    "clock": clock,
    "register": register,
    "certify": certify,
    "share": share,
    "swap": swap,
    "burn": burn,
    "send": send,
    **staking_actions.ACTIONS,
    **system_actions.ACTIONS,
}

STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 9), st.integers(0, 10**13)), min_size=4, max_size=36
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps=STEPS)
def test_money_is_kept(steps: list[tuple[str, int, int]]) -> None:
    world = World()
    chain = world.chain
    all_sui = sui_total(chain)
    for step in [("epoch", 0, 0), *steps]:
        world.step(*step)
        assert wal_total(chain) == supply(chain)
        assert sui_total(chain) == all_sui
    state = chain.staking()
    held = [shard for shards in state.committee.values() for shard in shards]
    assert sorted(held) == (list(range(10)) if state.committee else [])
    chain.advance()
    base, _ = start()
    replay(base.fork(), chain)


def replay(fresh: Chain, log: Chain) -> None:
    """Runs all transactions of one chain on another that stands where it began."""
    for sequence in range(fresh.ledger.head.sequence + 1, log.ledger.head.sequence + 1):
        checkpoint = log.ledger.checkpoint(sequence)
        assert checkpoint is not None
        for digest in checkpoint.transactions[:-1]:
            done = log.ledger.transaction(digest)
            assert done is not None
            assert fresh.ledger.execute(done.tx_bytes, done.signatures).effects.digest == done.effects.digest
        assert fresh.ledger.close_checkpoint(checkpoint.timestamp_ms).checkpoint == checkpoint
    ours, theirs = _objects(fresh), _objects(log)
    assert ours == theirs


def _objects(chain: Chain) -> dict[str, Object]:
    return {obj.object_id: obj for obj in chain.ledger.objects()}


def test_time_stands_in_the_clock() -> None:
    base, _ = start()
    chain = base.fork()
    chain.advance(ms=77)
    assert chain.value(CLOCK_ID).timestamp_ms == chain.now_ms
