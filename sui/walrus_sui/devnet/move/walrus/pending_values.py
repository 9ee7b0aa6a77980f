"""Amounts that take effect in a later epoch (contract module pending_values)."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import abort, as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import u32, u64

MODULE = Module(WALRUS, "pending_values")

E_MISSING_EPOCH_VALUE = MODULE.error(0, "EMissingEpochValue")
E_REDUCE_VALUE_TOO_LARGE = MODULE.error(1, "EReduceValueTooLarge")


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class PendingValues:
    """Values by the epoch in which they take effect, in the order they were first set."""

    pos0: dict[u32, u64]

    @classmethod
    def empty(cls) -> "PendingValues":
        """Nothing pending."""
        return cls({})

    def insert_or_add(self, epoch: int, value: int) -> None:
        """Adds to an epoch's value."""
        self.pos0[epoch] = as_u64(self.pos0.get(epoch, 0) + value)

    def insert_or_replace(self, epoch: int, value: int) -> None:
        """Sets an epoch's value."""
        self.pos0[epoch] = value

    def reduce(self, epoch: int, value: int) -> None:
        """Takes from an epoch's value; aborts if there is none or less."""
        if epoch not in self.pos0:
            raise abort(E_MISSING_EPOCH_VALUE)
        require(self.pos0[epoch] >= value, E_REDUCE_VALUE_TOO_LARGE)
        self.pos0[epoch] -= value

    def value_at(self, epoch: int) -> int:
        """Sum of everything up to and including an epoch."""
        return as_u64(sum(value for key, value in self.pos0.items() if key <= epoch))

    def latest_value_at(self, to_epoch: int) -> int | None:
        """The value of the latest epoch up to and including `to_epoch`."""
        due = [epoch for epoch in self.pos0 if epoch <= to_epoch]
        return self.pos0[max(due)] if due else None

    def flush(self, to_epoch: int) -> int:
        """Takes out everything up to and including an epoch and returns its sum."""
        total = self.value_at(to_epoch)
        for epoch in [epoch for epoch in self.pos0 if epoch <= to_epoch]:
            del self.pos0[epoch]
        return total
