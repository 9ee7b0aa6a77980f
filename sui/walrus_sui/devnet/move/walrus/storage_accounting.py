"""Used capacity and rewards of the epochs ahead, in a ring (contract module storage_accounting)."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import as_u32, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import u32, u64
from walrus_sui.devnet.move.framework.coin import Balance

MODULE = Module(WALRUS, "storage_accounting")

BURN_PERCENT = 3

E_TOO_FAR_IN_FUTURE = MODULE.error(0, "ETooFarInFuture")


@MODULE.struct("store")
@dataclass(slots=True)
class FutureAccounting:
    """One epoch: bytes that are reserved in it, and what its nodes will earn."""

    epoch: u32
    used_capacity: u64
    rewards_to_distribute: Balance

    def increase_used_capacity(self, amount: int) -> int:
        """Reserves bytes; returns all that are reserved then."""
        self.used_capacity = as_u64(self.used_capacity + amount)
        return self.used_capacity


@MODULE.struct("store")
@dataclass(slots=True)
class FutureAccountingRingBuffer:
    """The epochs from the current one on.

    Attributes:
        current_index: place of the current epoch.
        length: number of epochs, which is how far ahead storage can be bought.
        ring_buffer: epoch e + i stands at ``(current_index + i) % length``.
    """

    current_index: u32
    length: u32
    ring_buffer: list[FutureAccounting]

    @classmethod
    def ring_new(cls, length: int) -> "FutureAccountingRingBuffer":
        """A ring from epoch 0 on, empty."""
        return cls(0, length, [FutureAccounting(epoch, 0, Balance.zero()) for epoch in range(length)])

    def ring_lookup(self, epochs_in_future: int) -> FutureAccounting:
        """The entry of an epoch ahead; aborts if it is too far."""
        require(epochs_in_future < self.length, E_TOO_FAR_IN_FUTURE)
        return self.ring_buffer[(epochs_in_future + self.current_index) % self.length]

    def ring_pop_expand(self) -> FutureAccounting:
        """Takes the current epoch out, puts a new one at the far end and moves on."""
        current = self.ring_buffer[self.current_index]
        new = FutureAccounting(as_u32(current.epoch + self.length), 0, Balance.zero())
        self.ring_buffer[self.current_index] = new
        self.current_index = (self.current_index + 1) % self.length
        return current

    def extract_burn_balance(self) -> Balance:
        """Takes the part of the current epoch's rewards that is burned: 3 %, rounded down."""
        rewards = self.ring_buffer[self.current_index].rewards_to_distribute
        return rewards.split(as_u64(rewards.value * BURN_PERCENT) // 100)


@MODULE.public("(self: &FutureAccountingRingBuffer): u32")
def max_epochs_ahead(_rt: Runtime, self: FutureAccountingRingBuffer) -> int:
    """How far ahead storage can be bought."""
    return self.length


@MODULE.public("(self: &FutureAccountingRingBuffer, epochs_in_future: u32): &FutureAccounting")
def ring_lookup(_rt: Runtime, self: FutureAccountingRingBuffer, epochs_in_future: int) -> FutureAccounting:
    """The entry of an epoch ahead; aborts if it is too far."""
    return self.ring_lookup(epochs_in_future)


@MODULE.public("(accounting: &FutureAccounting): u32")
def epoch(_rt: Runtime, accounting: FutureAccounting) -> int:
    """Which epoch."""
    return accounting.epoch


@MODULE.public("(accounting: &FutureAccounting): u64")
def used_capacity(_rt: Runtime, accounting: FutureAccounting) -> int:
    """Bytes that are reserved in it."""
    return accounting.used_capacity


@MODULE.public("(accounting: &FutureAccounting): u64")
def rewards(_rt: Runtime, accounting: FutureAccounting) -> int:
    """FROST that its nodes will earn so far."""
    return accounting.rewards_to_distribute.value
