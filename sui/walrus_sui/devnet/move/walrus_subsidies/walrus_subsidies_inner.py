"""The purse and what is paid from it (module walrus_subsidies_inner).

Two kinds: once per epoch each member of the committee that ended gets a fixed amount, plus one per shard, as commission;
and what users paid for storage since the last time is topped up by a rate, epoch by epoch. The second kind needs to know
which rewards were topped up already: the ring remembers how high each epoch's rewards stood, the subsidy included.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import U64_MAX, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS_SUBSIDIES
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import u32, u64
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.fields import TableValue
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.walrus import staking as stakings
from walrus_sui.devnet.move.walrus import system as systems
from walrus_sui.devnet.move.walrus.staking import Staking
from walrus_sui.devnet.move.walrus.system import System
from walrus_sui.devnet.move.walrus_subsidies.epoch_balance import EpochBalanceRingBuffer

MODULE = Module(WALRUS_SUBSIDIES, "walrus_subsidies_inner")

HUNDRED_PERCENT = 10_000
MAX_SUBSIDY_RATE = 1_000_000
N_SHARDS = 1_000  # of the networks that the package was written for, not of this one

E_INVALID_SUBSIDY_RATE = MODULE.error(0, "EInvalidSubsidyRate")
E_INSUFFICIENT_FUNDS_IN_POOL = MODULE.error(1, "EInsufficientFundsInPool")


@MODULE.struct("store")
@dataclass(slots=True)
class WalrusSubsidiesInnerV1:
    """The state.

    Attributes:
        system_subsidy_rate: what is added to user payments, in basis points.
        subsidy_pool: the purse.
        base_subsidy: FROST for each member of a committee, once per epoch.
        subsidy_per_shard: FROST on top for each of its shards.
        latest_epoch: last epoch whose committee got the fixed part.
        already_subsidized_balances: rewards of this and coming epochs up to which payments were topped up.
        last_subsidized_ts: ms, when that was.
        extra_fields: for later versions.
    """

    system_subsidy_rate: u32
    subsidy_pool: Balance
    base_subsidy: u64
    subsidy_per_shard: u64
    latest_epoch: u32
    already_subsidized_balances: EpochBalanceRingBuffer
    last_subsidized_ts: u64
    extra_fields: TableValue

    @classmethod
    def new(
        cls,
        rt: Runtime,
        system: System,
        staking: Staking,
        *,
        subsidy_rate: int,
        base_subsidy: int,
        subsidy_per_shard: int,
    ) -> "WalrusSubsidiesInnerV1":
        """An empty purse; what users paid before is not topped up, and the present epoch is the first to be paid."""
        accounting = systems.future_accounting(rt, system)
        balances = [accounting.ring_lookup(i).rewards_to_distribute.value for i in range(accounting.length)]
        ring = EpochBalanceRingBuffer.new_from_balances(systems.epoch(rt, system), balances)
        latest_epoch = max(stakings.epoch(rt, staking) - 1, 0)
        purse, extra_fields = Balance.zero(), TableValue.new(rt)
        return cls(subsidy_rate, purse, base_subsidy, subsidy_per_shard, latest_epoch, ring, 0, extra_fields)

    def set_system_subsidy_rate(self, new_rate: int) -> None:
        """Changes the rate; at most 10,000 %, which holds only here."""
        require(new_rate <= MAX_SUBSIDY_RATE, E_INVALID_SUBSIDY_RATE)
        self.system_subsidy_rate = new_rate

    def set_base_subsidy(self, base_subsidy: int) -> None:
        """Changes the amount per member."""
        require(base_subsidy + self.subsidy_per_shard * N_SHARDS <= U64_MAX, E_INVALID_SUBSIDY_RATE)
        self.base_subsidy = base_subsidy

    def set_per_shard_subsidy(self, subsidy_per_shard: int) -> None:
        """Changes the amount per shard."""
        require(self.base_subsidy + subsidy_per_shard * N_SHARDS <= U64_MAX, E_INVALID_SUBSIDY_RATE)
        self.subsidy_per_shard = subsidy_per_shard

    def process_subsidies(self, rt: Runtime, staking: Staking, system: System, clock: Clock) -> None:
        """Pays what is due by now."""
        self.process_fixed_rate_subsidies(rt, staking)
        self.process_usage_subsidies(rt, system)
        self.last_subsidized_ts = clock.timestamp_ms

    def process_fixed_rate_subsidies(self, rt: Runtime, staking: Staking) -> None:
        """Pays the members of the committee before this one, once."""
        current_epoch = stakings.epoch(rt, staking)
        if current_epoch == 0 or self.latest_epoch >= current_epoch - 1:
            return
        committee = stakings.previous_committee(rt, staking)
        subsidies: list[Balance] = []
        for shards in committee.values():
            amount = as_u64(self.base_subsidy + as_u64(len(shards) * self.subsidy_per_shard))
            require(self.subsidy_pool.value >= amount, E_INSUFFICIENT_FUNDS_IN_POOL)
            subsidies.append(self.subsidy_pool.split(amount))
        stakings.add_commission_to_pools(rt, staking, list(committee), subsidies)
        self.latest_epoch = current_epoch - 1

    def process_usage_subsidies(self, rt: Runtime, system: System) -> None:
        """Tops up what came to the rewards of this and coming epochs since the last time."""
        ring, accounting = self.already_subsidized_balances, systems.future_accounting(rt, system)
        while ring.ring_lookup(0).epoch < accounting.ring_lookup(0).epoch:
            ring.ring_pop_expand()
        subsidies: list[Balance] = []
        for offset in range(accounting.length):
            rewards, known = accounting.ring_lookup(offset).rewards_to_distribute.value, ring.ring_lookup(offset)
            amount = as_u64(rewards - known.balance) * self.system_subsidy_rate // HUNDRED_PERCENT
            require(amount <= self.subsidy_pool.value, E_INSUFFICIENT_FUNDS_IN_POOL)
            subsidies.append(self.subsidy_pool.split(amount))
            known.balance = as_u64(rewards + amount)
        systems.add_per_epoch_subsidies(rt, system, subsidies)
