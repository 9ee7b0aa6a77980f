"""Typed writes of registered blobs: extended, shared, described by attributes, deleted, burnt."""

from collections.abc import Mapping, Sequence

from walrus_codec.types import Epoch, ObjectId
from walrus_sui.abi import blob, metadata, shared_blob, storage_resource, system
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Owned, Program
from walrus_sui.client.writer import Writer, created
from walrus_sui.errors import MalformedChainData
from walrus_sui.keys import SuiKey
from walrus_sui.types import BlobObject, NewBlob, StorageObject


class BlobChanges(Writer):
    """What the owner of Blob objects does after registering; and what anyone does with a shared one."""

    async def register_on_storage(
        self, key: SuiKey, storage: StorageObject, new: NewBlob, *, until: Epoch | None = None
    ) -> BlobObject:
        """Register a blob on storage that `key` owns; the storage becomes part of the Blob.

        Args:
            key: owner of the storage, pays for the write.
            storage: what the blob is to take.
            new: the blob.
            until: take of the storage only what the blob needs up to this epoch (exclusive), and leave the rest in the
                wallet as storage of its own; None takes all of it.

        Raises:
            MoveAbort: blob 2 (storage not of this epoch), 3 (too small), 6 (blob id).
        """

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            held, rests = Owned(storage.object_id), []
            if until is not None and storage.end_epoch > until:
                rests.append(storage_resource.split_by_epoch(program, contract, held, until))
            if until is not None and storage.size > new.encoded_size:
                rests.append(storage_resource.split_by_size(program, contract, held, new.encoded_size))
            made = system.register_blob(
                program,
                contract,
                storage=held,
                blob_id=new.blob_id,
                root_hash=new.root_hash,
                size=new.size,
                encoding_type=new.encoding_type,
                deletable=new.deletable,
                payment=program.merged(wal),
            )
            program.transfer([made, *rests], key.address)

        executed = await self._run(key, build, wal=0)
        made = created(executed, (await self.contract()).type_name(blob.MODULE, blob.BLOB))[0]
        return blob.decode(await self._contents(executed, made), owner=key.address)

    async def extend_blobs(self, key: SuiKey, blobs: Sequence[ObjectId], epochs: int) -> None:
        """Buy more epochs for certified blobs. Aborts blob 0 (uncertified), 2 (expired); system_state_inner 1, 2."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            purse = program.merged(wal)
            for item in blobs:
                system.extend_blob(program, contract, Owned(item), epochs, payment=purse)

        await self._run(key, build, wal=0)

    async def extend_blob_with_storage(self, key: SuiKey, blob_object: ObjectId, storage: ObjectId) -> None:
        """Extend a blob by storage of the same size that follows its own. Aborts blob 0, 2; storage_resource 1, 2."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            system.extend_blob_with_resource(program, contract, Owned(blob_object), Owned(storage))

        await self._run(key, build)

    async def delete_blobs(self, key: SuiKey, blobs: Sequence[ObjectId]) -> list[StorageObject]:
        """Delete deletable blobs; returns their storage, in id order, which may be used again.

        Raises:
            MoveAbort: blob 1 (not deletable), 2 (expired).
        """

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            program.transfer([system.delete_blob(program, contract, Owned(item)) for item in blobs], key.address)

        executed = await self._run(key, build)
        kind = (await self.contract()).type_name(storage_resource.MODULE, storage_resource.STORAGE)
        # Storage that was inside a Blob is no new object: it comes to light with the id that it had.
        made = sorted(change.object_id for change in executed.changed if change.type == kind and change.ref is not None)
        return [storage_resource.decode(await self._contents(executed, item), owner=key.address) for item in made]

    async def burn_blobs(self, key: SuiKey, blobs: Sequence[ObjectId]) -> None:
        """Destroy Blob objects with their storage; nodes are not told, and keep the data until it expires."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for item in blobs:
                blob.burn(program, contract, Owned(item))

        await self._run(key, build)

    # -- attributes

    async def set_attributes(self, key: SuiKey, blob_object: ObjectId, attributes: Mapping[str, str]) -> None:
        """Set attributes of a blob; others stay."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for name, value in attributes.items():
                blob.insert_or_update_metadata_pair(program, contract, Owned(blob_object), name, value)

        if attributes:
            await self._run(key, build)

    async def replace_attributes(self, key: SuiKey, blob_object: ObjectId, attributes: Mapping[str, str]) -> None:
        """Make these the only attributes of a blob."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            made = metadata.new(program, contract, attributes)
            blob.add_or_replace_metadata(program, contract, Owned(blob_object), made)

        await self._run(key, build)

    async def add_attributes(self, key: SuiKey, blob_object: ObjectId, attributes: Mapping[str, str]) -> None:
        """Give a blob its first attributes. Aborts blob 7 when it has some."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            blob.add_metadata(program, contract, Owned(blob_object), metadata.new(program, contract, attributes))

        await self._run(key, build)

    async def remove_attributes(self, key: SuiKey, blob_object: ObjectId, names: Sequence[str]) -> None:
        """Remove attributes of a blob; unknown ones are no error."""

        def build(program: Program, contract: Contract, _wal: Sequence[ObjectId]) -> None:
            for name in names:
                blob.remove_metadata_pair_if_exists(program, contract, Owned(blob_object), name)

        if names:
            await self._run(key, build)

    async def clear_attributes(self, key: SuiKey, blob_object: ObjectId) -> None:
        """Remove all attributes of a blob. Aborts blob 8 when it has none."""
        await self._run(key, lambda program, contract, _wal: blob.take_metadata(program, contract, Owned(blob_object)))

    # -- shared blobs

    async def share_blob(self, key: SuiKey, blob_object: ObjectId, *, funds: int = 0) -> ObjectId:
        """Wrap a blob so that anyone may fund and extend it; returns the SharedBlob.

        Args:
            key: owner of the blob and of the funds.
            blob_object: the blob.
            funds: FROST that it starts with.
        """

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            if funds:
                coin = program.split(program.merged(wal), [funds])[0]
                shared_blob.new_funded(program, contract, Owned(blob_object), coin)
            else:
                shared_blob.new(program, contract, Owned(blob_object))

        executed = await self._run(key, build, wal=funds or None)
        kind = (await self.contract()).type_name(shared_blob.MODULE, shared_blob.SHARED_BLOB)
        made = created(executed, kind)
        if not made:
            raise MalformedChainData(f"transaction {executed.digest} shared a blob and made no {kind}")
        return made[0]

    async def fund_shared_blob(self, key: SuiKey, shared: ObjectId, amount: int) -> None:
        """Give FROST to a shared blob."""

        def build(program: Program, contract: Contract, wal: Sequence[ObjectId]) -> None:
            shared_blob.fund(program, contract, shared, program.split(program.merged(wal), [amount])[0])

        await self._run(key, build, wal=amount)

    async def extend_shared_blob(self, key: SuiKey, shared: ObjectId, epochs: int) -> None:
        """Extend a shared blob from its funds; anyone may, and pays the gas. Aborts as `extend_blobs`, and balance."""
        await self._run(key, lambda program, contract, _wal: shared_blob.extend(program, contract, shared, epochs))
