"""A chain with nodes and users, on which anything may happen, and what must hold after each step of it."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from tests.laws.sui.draws import DRAWS
from tests.laws.sui.fitting import FITTING
from tests.laws.sui.money import CheckedChain, Holdings
from tests.laws.sui.random_calls import Habits, RandomCall, Unavailable

from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType
from walrus_sui import bls
from walrus_sui.devnet.genesis import GenesisConfig, faucet_key
from walrus_sui.devnet.move import registry
from walrus_sui.devnet.move.core.aborts import MoveAbort
from walrus_sui.devnet.move.core.packages import SUI, WAL, WAL_EXCHANGE, WALRUS, WALRUS_SUBSIDIES
from walrus_sui.devnet.move.walrus.committee import Committee
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.storage_pool import PooledBlob, StoragePool
from walrus_sui.devnet.testing import (
    Account,
    ArgumentError,
    Chain,
    Program,
    Rejected,
    TransactionFailed,
    bls_secret,
    epochs,
)

DUST = 1_000
HABITS = Habits(FITTING, DRAWS)
NODES, USERS = ("n0", "n1", "n2", "n3"), ("alice", "bob")
N_SHARDS, AHEAD, LIVES = 10, 5, 6
CODE = CodeParams(N_SHARDS, EncodingType.RS2)
CONTRACT = (WALRUS, WAL, WAL_EXCHANGE, WALRUS_SUBSIDIES)
FUNCTIONS = sorted(
    f"{module.package}::{module.name}::{function.name}"
    for package in CONTRACT
    for module in registry.modules_of(package)
    for function in module.functions.values()
    if not any(result.reference for result in function.signature.returns)  # those no transaction can call
)
VOTES = {
    "walrus::slashing::vote_for_slashing": "voter_node_id",
    "walrus::upgrade::vote_for_upgrade": "node_id",
}
NEVER = {
    "init::initialize_walrus": "takes the only InitCap, at genesis",
    "init::migrate": "always aborts: init::migrate_v2 took its place",
    "staking::initiate_epoch_change": "always aborts: initiate_epoch_change_v2 took its place",
    "storage_accounting::epoch": "takes what only functions lend that no transaction can call, like the next four",
    "storage_accounting::max_epochs_ahead": "as above",
    "storage_accounting::rewards": "as above",
    "storage_accounting::used_capacity": "as above",
    "storage_node::id": "as above",
    "walrus_subsidies::migrate": "takes purses of older packages, of which a devnet has none",
}
CALLED = [name for name in FUNCTIONS if name.split("::", 1)[1] not in {*NEVER, "upgrade::commit_upgrade"}]
# What much else needs comes more often.
MAKERS = [
    "walrus::shared_blob::new_funded",
    "walrus::staking::request_withdraw_stake",
    "walrus::staking::stake_with_pool",
    "walrus::system::certify_blob",
    "walrus::system::certify_pooled_blob",
    "walrus::system::create_storage_pool",
    "walrus::system::register_blob",
    "walrus::system::register_pooled_blob",
    *VOTES,
]
MONEY = [
    f"{SUI}::{module}::{function}"
    for module, functions in {
        "balance": ("join", "split", "value", "withdraw_all", "zero"),
        "coin": ("from_balance", "into_balance", "join", "put", "split", "take", "value", "zero"),
        "pay": ("divide_and_keep", "join", "keep", "split", "split_and_transfer", "split_vec"),
    }.items()
    for function in functions
]
CALLS = [*MONEY, *CALLED, *MAKERS * 8]
EPOCHS = ["clock", "epoch", "epoch"]
STEPS = [*EPOCHS * 3, *CALLS]
CONFIG = GenesisConfig(
    n_shards=N_SHARDS,
    encoding_types=(EncodingType.RS2,),
    epoch_duration_ms=1_000,
    epoch_zero_duration_ms=0,
    max_epochs_ahead=AHEAD,
    exchange_wal=3,
    exchange_sui=2,
)


def new_chain() -> Chain:
    return Chain(CONFIG, accounts=(*NODES, *USERS))


def settle(chain: Chain) -> None:
    """Four nodes with stake in their first epoch."""
    for index, name in enumerate(NODES):
        node = chain.add_node(name, commission_rate=3_000 * index, storage_price=10**5 + index, write_price=777)
        chain.stake(name, node, (7 + index) * 10**9)
    epochs.advance(chain)
    chain.advance()


@cache
def start() -> Chain:
    chain = new_chain()
    settle(chain)
    return chain


class World:
    """One run of a random program."""

    def __init__(self, chain: Chain) -> None:
        self.chain = CheckedChain.of(chain)
        deployer = Account("deployer", chain.network.faucet, faucet_key(CONFIG))
        self.people = (*(chain.account(name) for name in (*NODES, *USERS)), deployer)
        self.secrets = {bls.uncompressed(bls.public_key(secret)): secret for secret in map(bls_secret, NODES)}
        self.committees: dict[int, Committee] = {}
        self.all_sui = sum(item.sui for item in self.chain.holdings()) + self.chain.sui_spent()

    def step(self, names: Sequence[str], seed: int) -> None:
        dice = Random(seed)
        try:
            match names[0]:
                case "epoch":
                    selected = self.chain.staking().next_committee is not None
                    epochs.advance(self.chain)
                    self.check_votes(capacity=not selected)
                case "clock":
                    self.chain.advance(ms=dice.randrange(600))
                case _:
                    self._call(names, dice)
        except (Rejected, ArgumentError, Unavailable):
            return  # nothing ran
        except (MoveAbort, TransactionFailed):
            pass
        self.check()

    def _call(self, names: Sequence[str], dice: Random) -> None:
        if names[0] in VOTES and dice.random() < 0.5:
            self._vote_together(names[0], dice)
            return
        program = None
        for name in names:
            program = self._call_of(name, dice, program).add(HABITS)
        if program is not None:
            self.chain.submit(program.transaction(), program.sender)

    def _call_of(self, name: str, dice: Random, program: Program | None, **given: Any) -> RandomCall:
        return RandomCall(self.chain, self.people, self.secrets, dice, name, program, **given)

    def _vote_together(self, name: str, dice: Random) -> None:
        """One vote of each member for the same: otherwise a quorum within one epoch would be a rare sight."""
        seed = dice.random()
        for node_id in self.chain.staking().committee:
            given = {VOTES[name]: node_id}
            program = self._call_of(name, Random(seed), None, **given).add(HABITS)
            self.chain.submit(program.transaction(), program.sender)

    def check(self) -> None:
        chain, held = self.chain, self.chain.holdings()
        assert sum(item.wal for item in held) == chain.wal_supply()
        assert sum(item.sui for item in held) + chain.sui_spent() == self.all_sui
        staking, system = chain.staking(), chain.system()
        for committee in (staking.committee, staking.previous_committee, staking.next_committee or {}):
            owned = sorted(shard for shards in committee.values() for shard in shards)
            assert owned == (list(range(N_SHARDS)) if committee else [])
        # The committee of an epoch stays what it was when it was selected.
        assert self.committees.setdefault(staking.epoch, staking.committee) == staking.committee
        assert self.committees.get(staking.epoch - 1, staking.previous_committee) == staking.previous_committee
        if staking.next_committee is not None:
            assert self.committees.setdefault(staking.epoch + 1, staking.next_committee) == staking.next_committee
        weights = {member.node_id: member.weight for member in system.committee.members}
        assert weights == {node_id: len(shards) for node_id, shards in staking.committee.items()}
        assert system.epoch == staking.epoch
        self.check_pools(held)
        self.check_storage(held)

    def check_votes(self, *, capacity: bool) -> None:
        """Prices, and capacity if its votes were counted just now, are what the votes of the committee say."""
        system, seats = self.chain.system(), self.chain.staking().committee
        votes = [(self.chain.pool(node_id).voting_params, len(shards)) for node_id, shards in seats.items()]

        def lowest(values: list[int]) -> int:
            weights = [weight for _, weight in votes]

            def support(price: int) -> int:
                return sum(weight for value, weight in zip(values, weights, strict=True) if value <= price)

            return min(value for value in values if 3 * support(value) > 2 * N_SHARDS)

        assert system.storage_price_per_unit_size == lowest([vote.storage_price for vote, _ in votes])
        assert system.write_price_per_unit_size == lowest([vote.write_price for vote, _ in votes])
        if capacity:
            offered = -lowest([-(vote.node_capacity * N_SHARDS // weight) for vote, weight in votes])
            assert system.total_capacity_size == max(offered, system.used_capacity_size)

    def check_pools(self, held: list[Holdings]) -> None:
        """What a pool owes is there: it may only be off by what rounding leaves to those who stay."""
        principals: dict[str, int] = {}
        for value in (item.value for item in held):
            if isinstance(value, StakedWal):
                principals[value.node_id] = principals.get(value.node_id, 0) + value.principal.value
        for pool in (item.value for item in held if isinstance(item.value, StakingPool)):
            owed = pool.wal_balance + sum(pool.pending_stake.pos0.values())
            assert owed <= principals.get(pool.id, 0) + pool.rewards_pool.value + DUST
            assert pool.num_shares <= pool.wal_balance

    def check_storage(self, held: list[Holdings]) -> None:
        system = self.chain.system()
        pieces = [piece for item in held for piece in item.storage]
        assert all(piece.start_epoch < piece.end_epoch <= system.epoch + AHEAD for piece in pieces)
        for ahead in range(AHEAD):
            sold = system.future_accounting.ring_lookup(ahead)
            assert sold.epoch == system.epoch + ahead
            reserved = sum(piece.storage_size for piece in pieces if piece.start_epoch <= sold.epoch < piece.end_epoch)
            assert reserved <= sold.used_capacity  # it may have been given up, but never made
        assert system.used_capacity_size == system.future_accounting.ring_lookup(0).used_capacity
        values = [item.value for item in held]
        pooled = [value for value in values if isinstance(value, PooledBlob)]
        for pool in (value for value in values if isinstance(value, StoragePool)):
            state = self.chain.field(pool.id)
            blobs = [blob for blob in pooled if blob.storage_pool_id == pool.id]
            assert state.blob_count == state.blobs.size == len(blobs) == len({blob.blob_id for blob in blobs})
            used = sum(CODE.encoded_length(blob.unencoded_size) for blob in blobs)
            assert state.used_encoded_bytes == used <= state.storage.storage_size
        assert {blob.storage_pool_id for blob in pooled} <= {
            item.id for item in values if isinstance(item, StoragePool)
        }
