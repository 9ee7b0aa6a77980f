"""Typed reads of what else the contract keeps: storage, pools, shared blobs, votes, deny lists, subsidies.

Life of a read: as in `reads`; proposals and pooled blobs stand in tables, whose entries are listed page by page and then
read in batches.
"""

from collections.abc import Callable
from typing import TypeVar

from walrus_codec import bcs
from walrus_codec.types import BlobId, Epoch, NodeId, ObjectId
from walrus_sui.abi import (
    dynamic_field,
    layout,
    metadata,
    move_types,
    shared_blob,
    slashing,
    staking,
    staking_pool,
    storage_pool,
    storage_resource,
    system,
    upgrade,
    walrus_subsidies,
)
from walrus_sui.client import wire
from walrus_sui.client.reads import UNIT_KEY, VERSION_KEY, Reads, decode_inner
from walrus_sui.errors import NetworkConfigError, ObjectNotFound
from walrus_sui.types import (
    ActiveSet,
    Commission,
    PooledBlobObject,
    SharedBlobObject,
    SlashingProposal,
    StorageObject,
    StoragePoolObject,
    SubsidiesView,
    UpgradeManagerView,
    UpgradeProposal,
)

T = TypeVar("T")

_ID_KEY = 32
_DIGEST_KEY = 33
_BLOB_KEY = "0x2::dynamic_object_field::Wrapper<u256>"
_LOOKED_BACK = 32
"""Versions of a pool among which a slashing is looked for: what happens to it in an epoch, as a rule less than ten."""


class ObjectReads(Reads):
    """Reads beside committees and prices; base of `ChainClient`, which see."""

    # -- nodes

    async def active_set(self) -> ActiveSet:
        """Return the nodes that the next committee is chosen from, with their stake."""
        states = await self._inner_states([self.config.staking_object])
        inner = decode_inner(states[self.config.staking_object], staking.read_inner)
        return await self._extended(inner.active_set_id, staking.read_active_set)

    async def deny_list_sizes(self) -> dict[NodeId, int]:
        """Return the encoded bytes on certified deny lists, by node; nodes without one are left out."""
        states = await self._inner_states([self.config.system_object])
        inner = decode_inner(states[self.config.system_object], system.read_inner)
        return await self._extended(inner.deny_list_sizes_id, system.read_deny_list_sizes)

    async def commission(self, node_id: NodeId) -> Commission:
        """Return what a node has earned, and what of it is blocked; raises `ObjectNotFound` for unknown nodes."""
        found = await self._transport.object(ObjectId(node_id))
        pool = staking_pool.decode(found.contents)
        field = staking_pool.blocked_commission_id(pool, await self.contract())
        holder = (await self._transport.objects([field])).get(field)
        blocked = 0
        if holder is not None:
            blocked = dynamic_field.decode_value(holder.contents, key_length=UNIT_KEY, read=bcs.Reader.u64)
        return Commission(pool.view.commission, blocked)

    # -- storage

    async def storage(self, address: str) -> list[StorageObject]:
        """Return the Storage objects of an address, in id order; storage inside blobs and pools is not among them."""
        contract = await self.contract()
        kind = contract.type_name(storage_resource.MODULE, storage_resource.STORAGE)
        objects = await self._transport.owned(address, kind)
        found = [storage_resource.decode(item.contents, owner=item.owner) for item in objects]
        return sorted(found, key=lambda item: item.object_id)

    async def storage_pools(self, address: str) -> list[StoragePoolObject]:
        """Return the storage pools of an address, in id order."""
        contract = await self.contract()
        objects = await self._transport.owned(
            address, contract.type_name(storage_pool.MODULE, storage_pool.STORAGE_POOL)
        )
        found = [await self._storage_pool(item) for item in objects]
        return sorted(found, key=lambda item: item.object_id)

    async def storage_pool(self, object_id: ObjectId) -> StoragePoolObject:
        """Return a storage pool; raises `ObjectNotFound` when it does not exist or is something else."""
        return await self._storage_pool(await self._typed(object_id, storage_pool.MODULE, storage_pool.STORAGE_POOL))

    async def pooled_blobs(self, pool: StoragePoolObject) -> list[PooledBlobObject]:
        """Return the blobs of a pool, in order of their ids."""
        fields = await self._transport.objects(await self._transport.dynamic_fields(pool.blobs_id))
        ids = [
            dynamic_field.decode_value(field.contents, key_length=_ID_KEY, read=layout.object_id)
            for field in fields.values()
        ]
        blobs = await self._transport.objects(ids)
        found = [storage_pool.decode_blob(item.contents) for item in blobs.values()]
        return sorted(found, key=lambda item: item.blob_id)

    async def pooled_blob(self, pool: StoragePoolObject, blob_id: BlobId) -> PooledBlobObject | None:
        """Return a blob of a pool, or None when the pool does not have it."""
        field = move_types.dynamic_field_id(pool.blobs_id, _BLOB_KEY, blob_id)
        holder = (await self._transport.objects([field])).get(field)
        if holder is None:
            return None
        child = dynamic_field.decode_value(holder.contents, key_length=_ID_KEY, read=layout.object_id)
        return storage_pool.decode_blob((await self._transport.object(child)).contents)

    async def shared_blob(self, object_id: ObjectId) -> SharedBlobObject:
        """Return a SharedBlob; raises `ObjectNotFound` when it does not exist or is something else."""
        found = await self._typed(object_id, shared_blob.MODULE, shared_blob.SHARED_BLOB)
        return shared_blob.decode(found.contents)

    async def attributes(self, blob_object: ObjectId) -> dict[str, str] | None:
        """Return the attributes of a Blob or pooled blob; None when it has none."""
        field = metadata.field_id(blob_object)
        holder = (await self._transport.objects([field])).get(field)
        if holder is None:
            return None
        key_length = 1 + len(metadata.FIELD_KEY)
        return dynamic_field.decode_value(holder.contents, key_length=key_length, read=metadata.read)

    # -- votes and subsidies

    async def slashing_proposals(self) -> list[SlashingProposal]:
        """Return all slashing proposals that were not cleaned up, in order of their candidates.

        Raises:
            NetworkConfigError: the network has no SlashingManager.
        """
        manager = await self._transport.object((await self.contract()).slashing().object_id)
        table = slashing.decode_manager(manager.contents)
        found = await self._table(table, key_length=_ID_KEY, read=slashing.read_proposal)
        return sorted(found, key=lambda item: item.node_id)

    async def burned_commission(self, node_id: NodeId, *, epoch: Epoch | None = None) -> int | None:
        """Return the FROST that the last slashing of a node burned, by what the chain keeps of its pool's past.

        The contract emits no event. But a slashing is the only transaction that writes a pool together with the
        SlashingManager and WAL's treasury, and it leaves no commission.

        Args:
            node_id: Whose pool.
            epoch: Only a slashing in this epoch counts; the pool of a member of the committee before advances in each.

        Returns:
            None when none of the pool's last versions was written by a slashing, or the endpoint has forgotten them.

        Raises:
            NetworkConfigError: the network has no SlashingManager.
        """
        contract = await self.contract()
        marks = {contract.slashing().object_id, contract.treasury_id}
        found = await self._transport.version(ObjectId(node_id))
        for _ in range(_LOOKED_BACK):
            if found is None or found.written_by is None:
                return None
            at = staking_pool.decode(found.contents).view.latest_epoch
            if epoch is not None and at < epoch:
                return None
            executed = await self._transport.transaction(found.written_by)
            if executed is None:
                return None
            written = {changed.object_id: changed for changed in executed.changed}
            version = written[ObjectId(node_id)].before if ObjectId(node_id) in written else None
            before = await self._transport.version(ObjectId(node_id), version) if version is not None else None
            if before is not None and marks <= written.keys() and epoch in {None, at}:
                return staking_pool.decode(before.contents).view.commission
            found = before
        return None

    async def upgrade_manager(self) -> UpgradeManagerView:
        """Return the UpgradeManager with its proposals; raises `NetworkConfigError` when it is not configured."""
        manager = await self._transport.object((await self.contract()).upgrade().object_id)
        view, table = upgrade.decode_manager(manager.contents)
        found: list[UpgradeProposal] = await self._table(table, key_length=_DIGEST_KEY, read=upgrade.read_proposal)
        proposals = tuple(sorted(found, key=lambda item: item.digest))
        return UpgradeManagerView(view.object_id, view.package_id, view.version, view.policy, proposals)

    async def subsidies(self) -> SubsidiesView:
        """Return the network's WalrusSubsidies; raises `NetworkConfigError` when it is not configured."""
        if self.config.walrus_subsidies_object is None:
            raise NetworkConfigError("this network has no subsidies (walrus_subsidies_object is not configured)")
        found = await self._transport.object(self.config.walrus_subsidies_object)
        front = walrus_subsidies.decode(found.contents)
        key = f"{move_types.package_of(found.type)}::{walrus_subsidies.MODULE}::{walrus_subsidies.KEY}"
        field = move_types.dynamic_field_id(front.object_id, key, layout.UNIT_STRUCT)
        holder = (await self._transport.objects([field])).get(field) or await self._only_field(front.object_id)
        return dynamic_field.decode_value(
            holder.contents, key_length=UNIT_KEY, read=lambda reader: walrus_subsidies.read_inner(reader, front)
        )

    # -- helpers

    async def _storage_pool(self, found: wire.RawObject) -> StoragePoolObject:
        front = storage_pool.decode(found.contents)
        holder = await self._transport.object(dynamic_field.versioned_id(front.object_id, front.version))
        return dynamic_field.decode_value(
            holder.contents,
            key_length=VERSION_KEY,
            read=lambda reader: storage_pool.read_inner(reader, object_id=front.object_id, owner=found.owner),
        )

    async def _typed(self, object_id: ObjectId, module: str, name: str) -> wire.RawObject:
        contract = await self.contract()
        found = await self._transport.object(object_id)
        if found.type != contract.type_name(module, name):
            raise ObjectNotFound(f"object {object_id} is no {name} but {found.type}")
        return found

    async def _table(self, table: ObjectId, *, key_length: int, read: Callable[[bcs.Reader], T]) -> list[T]:
        fields = await self._transport.objects(await self._transport.dynamic_fields(table))
        return [
            dynamic_field.decode_value(field.contents, key_length=key_length, read=read) for field in fields.values()
        ]
