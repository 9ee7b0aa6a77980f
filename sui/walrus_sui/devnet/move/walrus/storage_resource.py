"""Reserved storage as an object (contract module storage_resource).

It can be cut by time or by size, put together again, and put into blobs and storage pools.
"""

from dataclasses import dataclass

from walrus_sui.devnet.move.core.aborts import as_u32, as_u64, require
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

    def extend_end_epoch(self, extension_epochs: int) -> None:
        """Makes the period longer."""
        self.end_epoch = as_u32(self.end_epoch + extension_epochs)

    def increase_size(self, additional_size: int) -> None:
        """Adds bytes."""
        self.storage_size = as_u64(self.storage_size + additional_size)


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


@MODULE.public("(storage: &mut Storage, split_epoch: u32, ctx: &mut TxContext): Storage")
def split_by_epoch(rt: Runtime, storage: Storage, split_epoch: int) -> Storage:
    """Takes the period from `split_epoch` on off; aborts unless that is strictly inside."""
    require(storage.start_epoch < split_epoch < storage.end_epoch, E_INVALID_EPOCH)
    rest = Storage(rt.new_uid(), split_epoch, storage.end_epoch, storage.storage_size)
    storage.end_epoch = split_epoch
    return rest


@MODULE.public("(storage: &mut Storage, split_size: u64, ctx: &mut TxContext): Storage")
def split_by_size(rt: Runtime, storage: Storage, split_size: int) -> Storage:
    """Keeps `split_size` bytes and gives the rest; either may be nothing."""
    require(storage.storage_size >= split_size, E_INCOMPATIBLE_AMOUNT)
    rest = Storage(rt.new_uid(), storage.start_epoch, storage.end_epoch, storage.storage_size - split_size)
    storage.storage_size = split_size
    return rest


@MODULE.public("(first: &mut Storage, second: Storage)")
def fuse_periods(rt: Runtime, first: Storage, second: Storage) -> None:
    """Joins the period right after or right before, of the same size."""
    destroy(rt, second)
    require(first.storage_size == second.storage_size, E_INCOMPATIBLE_AMOUNT)
    if first.end_epoch == second.start_epoch:
        first.end_epoch = second.end_epoch
    else:
        require(first.start_epoch == second.end_epoch, E_INCOMPATIBLE_EPOCHS)
        first.start_epoch = second.start_epoch


@MODULE.public("(first: &mut Storage, second: Storage)")
def fuse_amount(rt: Runtime, first: Storage, second: Storage) -> None:
    """Adds the bytes of the same period."""
    destroy(rt, second)
    same = first.start_epoch == second.start_epoch and first.end_epoch == second.end_epoch
    require(same, E_INCOMPATIBLE_EPOCHS)
    first.increase_size(second.storage_size)


@MODULE.public("(first: &mut Storage, second: Storage)")
def fuse(rt: Runtime, first: Storage, second: Storage) -> None:
    """Joins amounts if both start together, otherwise periods."""
    if first.start_epoch == second.start_epoch:
        fuse_amount(rt, first, second)
    else:
        fuse_periods(rt, first, second)


@MODULE.public("(storage: Storage)")
def destroy(rt: Runtime, storage: Storage) -> None:
    """Gives storage up for nothing."""
    rt.delete_uid(storage.id)
