"""Typed writes of storage without blobs: bought, cut, put together, given up. Sizes are encoded bytes."""

from collections.abc import Sequence

from walrus_codec.types import Epoch, ObjectId
from walrus_sui.abi import storage_resource, system
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Owned, Program
from walrus_sui.client import wire
from walrus_sui.client.writer import Writer, created
from walrus_sui.keys import SuiKey
from walrus_sui.types import StorageObject


class StorageWrites(Writer):
    """What the owner of Storage objects does."""

    async def reserve_storage(
        self, key: SuiKey, size: int, *, epochs_ahead: int | None = None, period: tuple[Epoch, Epoch] | None = None
    ) -> StorageObject:
        """Buy storage, either for the coming epochs or for a period (its end exclusive).

        Raises:
            MoveAbort: system_state_inner 1 (sold out), 2 and 12 (epochs), 11 (size 0).
        """
        if (epochs_ahead is None) == (period is None):
            raise ValueError("storage is for a number of epochs, or for a period")

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            purse = program.merged(wal)
            if period is not None:
                made = system.reserve_space_for_epochs(
                    program, contract, encoded_size=size, start=period[0], end=period[1], payment=purse
                )
            else:
                made = system.reserve_space(
                    program, contract, encoded_size=size, epochs_ahead=epochs_ahead or 0, payment=purse
                )
            program.transfer([made], key.address)

        return await self._made_storage(key, await self._run(key, build, wal=0))

    async def split_storage_by_epoch(self, key: SuiKey, storage: ObjectId, epoch: Epoch) -> StorageObject:
        """Cut storage in two in time; the object keeps what is before `epoch`, the rest is returned."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            rest = storage_resource.split_by_epoch(program, contract, Owned(storage), epoch)
            program.transfer([rest], key.address)

        return await self._made_storage(key, await self._run(key, build))

    async def split_storage_by_size(self, key: SuiKey, storage: ObjectId, size: int) -> StorageObject:
        """Cut storage in two by size; the object keeps `size`, the rest is returned."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            rest = storage_resource.split_by_size(program, contract, Owned(storage), size)
            program.transfer([rest], key.address)

        return await self._made_storage(key, await self._run(key, build))

    async def fuse_storage(self, key: SuiKey, first: ObjectId, others: Sequence[ObjectId]) -> StorageObject:
        """Put storage together into the first object: sizes when both start together, otherwise periods.

        Raises:
            MoveAbort: storage_resource 1 (periods do not fit), 2 (sizes differ).
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for other in others:
                storage_resource.fuse(program, contract, Owned(first), Owned(other))

        executed = await self._run(key, build)
        return storage_resource.decode(await self._contents(executed, first), owner=key.address)

    async def destroy_storage(self, key: SuiKey, storage: Sequence[ObjectId]) -> None:
        """Give storage up; nothing is paid back."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for item in storage:
                storage_resource.destroy(program, contract, Owned(item))

        await self._run(key, build)

    async def _made_storage(self, key: SuiKey, executed: wire.Executed) -> StorageObject:
        contract = await self.contract()
        made = created(executed, contract.type_name(storage_resource.MODULE, storage_resource.STORAGE))[0]
        return storage_resource.decode(await self._contents(executed, made), owner=key.address)
