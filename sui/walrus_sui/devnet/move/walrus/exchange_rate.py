"""How much WAL a share of a pool is worth in an epoch (contract module pool_exchange_rate).

All conversions round down.
"""

from dataclasses import dataclass
from typing import Annotated

from walrus_sui.devnet.move.core.aborts import as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import u128

MODULE = Module(WALRUS, "pool_exchange_rate")

E_INVALID_RATE = MODULE.error(0, "EInvalidRate")


@dataclass(frozen=True, slots=True)
class Flat:
    """One share is one FROST."""

    def convert_to_wal_amount(self, amount: int) -> int:
        """FROST that the shares are worth."""
        return amount

    def convert_to_share_amount(self, amount: int) -> int:
        """Shares that the FROST buy."""
        return amount


@dataclass(frozen=True, slots=True)
class Variable:
    """`share_amount` shares are worth `wal_amount` FROST."""

    wal_amount: u128
    share_amount: u128

    def convert_to_wal_amount(self, amount: int) -> int:
        """FROST that the shares are worth."""
        return as_u64(amount * self.wal_amount // self.share_amount)

    def convert_to_share_amount(self, amount: int) -> int:
        """Shares that the FROST buy."""
        return as_u64(amount * self.share_amount // self.wal_amount)


POOL_EXCHANGE_RATE = MODULE.enum("PoolExchangeRate", "copy, drop, store", Flat, Variable)
PoolExchangeRate = Annotated[Flat | Variable, POOL_EXCHANGE_RATE]

FLAT = Flat()


def new(wal_amount: int, share_amount: int) -> PoolExchangeRate:
    """Rate of a pool with this balance and these shares; flat if either is zero."""
    require(share_amount <= wal_amount, E_INVALID_RATE)
    return FLAT if 0 in {wal_amount, share_amount} else Variable(wal_amount, share_amount)
