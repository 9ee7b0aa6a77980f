"""Amounts of the epochs ahead, in a ring (module epoch_balance)."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import as_u32, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS_SUBSIDIES
from walrus_sui.devnet.move.core.types import u32, u64

MODULE = Module(WALRUS_SUBSIDIES, "epoch_balance")

E_INDEX_OUT_OF_BOUNDS = MODULE.error(0, "EIndexOutOfBounds")


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class EpochBalance:
    """An amount in FROST that counts for one epoch."""

    epoch: u32
    balance: u64


@MODULE.struct("store")
@dataclass(slots=True)
class EpochBalanceRingBuffer:
    """One amount per epoch from the first one on; epoch first + i stands at ``(current_index + i) % length``."""

    current_index: u32
    ring_buffer: list[EpochBalance]

    @classmethod
    def new_from_balances(cls, starting_epoch: int, balances: list[int]) -> "EpochBalanceRingBuffer":
        """A ring with these amounts."""
        entries = [EpochBalance(as_u32(starting_epoch + offset), value) for offset, value in enumerate(balances)]
        return cls(0, entries)

    def ring_lookup(self, index: int) -> EpochBalance:
        """The amount of an epoch ahead; aborts if it is too far."""
        require(index < len(self.ring_buffer), E_INDEX_OUT_OF_BOUNDS)
        return self.ring_buffer[(index + self.current_index) % len(self.ring_buffer)]

    def ring_pop_expand(self) -> None:
        """Drops the first epoch and adds one without an amount at the far end."""
        first = self.ring_buffer[self.current_index]
        self.ring_buffer[self.current_index] = EpochBalance(as_u32(first.epoch + len(self.ring_buffer)), 0)
        self.current_index = (self.current_index + 1) % len(self.ring_buffer)
