"""Reserved storage as an object (contract module storage_resource)."""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.core.types import UID, u32, u64

MODULE = Module(WALRUS, "storage_resource")

E_INVALID_EPOCH = MODULE.error(0, "EInvalidEpoch")
E_INCOMPATIBLE_EPOCHS = MODULE.error(1, "EIncompatibleEpochs")
E_INCOMPATIBLE_AMOUNT = MODULE.error(2, "EIncompatibleAmount")
E_INVALID_EPOCH_RANGE = MODULE.error(3, "EInvalidEpochRange")


@MODULE.struct("key, store")
@dataclass(slots=True)
class Storage:
    """Bytes of storage for a period; the start is included, the end is not."""

    id: UID
    start_epoch: u32
    end_epoch: u32
    storage_size: u64


def create_storage(rt: Runtime, *, start_epoch: int, end_epoch: int, storage_size: int) -> Storage:
    """A reservation; aborts if it ends before it starts."""
    require(start_epoch < end_epoch, E_INVALID_EPOCH_RANGE)
    return Storage(rt.new_uid(), start_epoch, end_epoch, storage_size)


@MODULE.public("(self: &Storage): u32")
def start_epoch(_rt: Runtime, self: Storage) -> int:
    """First epoch."""
    return self.start_epoch


@MODULE.public("(self: &Storage): u32")
def end_epoch(_rt: Runtime, self: Storage) -> int:
    """First epoch after the period."""
    return self.end_epoch


@MODULE.public("(self: &Storage): u64")
def size(_rt: Runtime, self: Storage) -> int:
    """Bytes, encoded."""
    return self.storage_size
