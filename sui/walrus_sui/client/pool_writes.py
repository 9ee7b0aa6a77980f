"""Typed writes of storage pools: storage that many blobs share."""

from collections.abc import Callable, Sequence

from walrus_codec.types import BlobId, ObjectId
from walrus_sui import events
from walrus_sui.abi import storage_pool, storage_resource
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Owned, Program
from walrus_sui.client import wire
from walrus_sui.client.writer import Writer, created
from walrus_sui.keys import SuiKey
from walrus_sui.types import NewBlob, PooledBlobObject, SignedMessage, StorageObject

_Take = Callable[[Program, Contract], Argument]


class PoolWrites(Writer):
    """What the owner of StoragePool objects does."""

    async def create_storage_pool(self, key: SuiKey, capacity: int, *, epochs_ahead: int) -> ObjectId:
        """Buy a pool of encoded bytes; returns it. Aborts system_state_inner 1, 2, 11."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            purse = program.merged(wal)
            made = storage_pool.create(program, contract, capacity=capacity, epochs_ahead=epochs_ahead, payment=purse)
            program.transfer([made], key.address)

        return await self._made_pool(await self._run(key, build, wal=0))

    async def create_storage_pool_with_storage(self, key: SuiKey, storage: ObjectId) -> ObjectId:
        """Make a pool out of storage; returns it."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            program.transfer([storage_pool.create_with_storage(program, contract, Owned(storage))], key.address)

        return await self._made_pool(await self._run(key, build))

    async def register_pooled_blobs(
        self, key: SuiKey, pool: ObjectId, blobs: Sequence[NewBlob]
    ) -> list[PooledBlobObject]:
        """Register blobs in a pool; only the write price is paid. Answers in the order of `blobs`.

        Raises:
            MoveAbort: storage_pool 1 (expired), 3 (blob id), 6 (full); dynamic_field 0 (the pool has it already).
        """

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            purse = program.merged(wal)
            for new in blobs:
                storage_pool.register(program, contract, Owned(pool), new, payment=purse)

        executed = await self._run(key, build, wal=0)
        made = [event for event in self._events(executed) if isinstance(event, events.PooledBlobRegistered)]
        return [storage_pool.decode_blob(await self._contents(executed, event.object_id)) for event in made]

    async def certify_pooled_blob(self, key: SuiKey, pool: ObjectId, blob_id: BlobId, signed: SignedMessage) -> None:
        """Certify a blob of a pool. Aborts bls_aggregate 0, 1, 2; messages 1; storage_pool 1, 2, 3, 4, 5."""
        owned = Owned(pool)
        await self._run(
            key, lambda program, contract, _wal: storage_pool.certify(program, contract, owned, blob_id, signed)
        )

    async def delete_pooled_blobs(self, key: SuiKey, pool: ObjectId, blob_ids: Sequence[BlobId]) -> None:
        """Delete deletable blobs of a pool; their space is free again. Aborts storage_pool 0, 1."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for blob_id in blob_ids:
                storage_pool.delete(program, contract, Owned(pool), blob_id)

        await self._run(key, build)

    async def burn_expired_pooled_blobs(self, key: SuiKey, pool: ObjectId, blob_ids: Sequence[BlobId]) -> None:
        """Remove blobs of a pool that has expired. Aborts storage_pool 1 before that."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for blob_id in blob_ids:
                storage_pool.burn_expired(program, contract, Owned(pool), blob_id)

        await self._run(key, build)

    async def extend_storage_pool(self, key: SuiKey, pool: ObjectId, epochs: int) -> None:
        """Buy more epochs for a pool and all its blobs. Aborts storage_pool 1; system_state_inner 1, 2."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            storage_pool.extend(program, contract, Owned(pool), epochs, payment=program.merged(wal))

        await self._run(key, build, wal=0)

    async def increase_storage_pool(
        self, key: SuiKey, pool: ObjectId, *, size: int = 0, storage: ObjectId | None = None
    ) -> None:
        """Make a pool larger: by bought bytes, or by storage that ends with the pool.

        Raises:
            MoveAbort: system_state_inner 1, 11; storage_pool 1, 11 (the storage ends at another time).
        """
        if (size == 0) == (storage is None):
            raise ValueError("a pool grows by a size, or by storage")

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            if storage is not None:
                storage_pool.increase_with_storage(program, contract, Owned(pool), Owned(storage))
            else:
                storage_pool.increase(program, contract, Owned(pool), size, payment=program.merged(wal))

        await self._run(key, build, wal=None if storage is not None else 0)

    async def decrease_storage_pool(self, key: SuiKey, pool: ObjectId, size: int) -> StorageObject:
        """Take free bytes out of a pool, as storage. Aborts system 2 (nothing), storage_pool 6 (not free)."""
        return await self._take_storage(
            key, lambda program, contract: storage_pool.decrease_by_size(program, contract, Owned(pool), size)
        )

    async def decrease_storage_pool_by_percent(self, key: SuiKey, pool: ObjectId, percent: int) -> StorageObject:
        """Take a part of the free bytes out of a pool, as storage. Aborts system 2 (nothing), storage_pool 14."""
        return await self._take_storage(
            key, lambda program, contract: storage_pool.decrease_by_percent(program, contract, Owned(pool), percent)
        )

    async def destroy_storage_pool(self, key: SuiKey, pool: ObjectId) -> StorageObject:
        """Dissolve an empty pool; returns its storage. Aborts storage_pool 7 when blobs are left."""
        return await self._take_storage(
            key, lambda program, contract: storage_pool.destroy(program, contract, Owned(pool))
        )

    async def _take_storage(self, key: SuiKey, take: _Take) -> StorageObject:
        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            program.transfer([take(program, contract)], key.address)

        executed = await self._run(key, build)
        kind = (await self.contract()).type_name(storage_resource.MODULE, storage_resource.STORAGE)
        (made,) = [change.object_id for change in executed.changed if change.type == kind and change.ref is not None]
        return storage_resource.decode(await self._contents(executed, made), owner=key.address)

    async def _made_pool(self, executed: wire.Executed) -> ObjectId:
        contract = await self.contract()
        return created(executed, contract.type_name(storage_pool.MODULE, storage_pool.STORAGE_POOL))[0]
