"""Module `walrus::storage_resource`: reserved storage, cut and put together. Sizes are encoded bytes."""

from walrus_codec import bcs
from walrus_codec.types import Epoch, SuiAddress
from walrus_sui.abi import layout, ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import StorageObject

MODULE = "storage_resource"
STORAGE = "Storage"


def split_by_epoch(program: Program, contract: Contract, storage: Argument, epoch: Epoch) -> Result:
    """Add `split_by_epoch`; the storage keeps what is before `epoch`. Aborts storage_resource 0."""
    return contract.call(program, MODULE, "split_by_epoch", storage, ptb.u32(epoch))


def split_by_size(program: Program, contract: Contract, storage: Argument, size: int) -> Result:
    """Add `split_by_size`; the storage keeps `size`, the rest is returned."""
    return contract.call(program, MODULE, "split_by_size", storage, ptb.u64(size))


def fuse(program: Program, contract: Contract, first: Argument, second: Argument) -> Result:
    """Add `fuse`: sizes are added when both start together, otherwise periods are joined. Aborts 1, 2."""
    return contract.call(program, MODULE, "fuse", first, second)


def fuse_amount(program: Program, contract: Contract, first: Argument, second: Argument) -> Result:
    """Add `fuse_amount`: add the sizes of two of the same period. Aborts storage_resource 1."""
    return contract.call(program, MODULE, "fuse_amount", first, second)


def fuse_periods(program: Program, contract: Contract, first: Argument, second: Argument) -> Result:
    """Add `fuse_periods`: join two adjacent periods of the same size. Aborts storage_resource 1, 2."""
    return contract.call(program, MODULE, "fuse_periods", first, second)


def destroy(program: Program, contract: Contract, storage: Argument) -> Result:
    """Add `destroy`: the storage is gone, nothing is paid back."""
    return contract.call(program, MODULE, "destroy", storage)


@layout.decoder("a Storage")
def decode(contents: bytes, *, owner: SuiAddress | None = None) -> StorageObject:
    """Decode a Storage object."""
    reader = bcs.Reader(contents)
    storage = read(reader, owner=owner)
    reader.finish()
    return storage


def read(reader: bcs.Reader, *, owner: SuiAddress | None = None) -> StorageObject:
    """Read a Storage."""
    return StorageObject(layout.object_id(reader), layout.epoch(reader), layout.epoch(reader), reader.u64(), owner)
