"""Parameters chosen for the next epoch (contract module epoch_parameters)."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import U64_MAX
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import u64

MODULE = Module(WALRUS, "epoch_parameters")


@MODULE.struct("copy, drop, store")
@dataclass(frozen=True, slots=True)
class EpochParams:
    """Only the capacity counts: prices act at once when they are recomputed, so theirs are the largest u64."""

    total_capacity_size: u64
    storage_price_per_unit_size: u64 = U64_MAX
    write_price_per_unit_size: u64 = U64_MAX
