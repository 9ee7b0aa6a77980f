"""Typed reads: objects of the chain become values of `walrus_sui.types`.

Life of a read: ids are derived, not searched (the inner states of System and Staking hang on them by version, metadata
hang on each pool), objects are fetched in as few batches as possible, decoded by `walrus_sui.abi`, and put together.
Two objects of one answer may be from two moments; views that would mix epochs are read again.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from walrus_codec import bcs
from walrus_codec.types import Digest, NodeId, ObjectId
from walrus_sui import events
from walrus_sui.abi import (
    blob,
    dynamic_field,
    move_types,
    node_metadata,
    staked_wal,
    staking,
    staking_pool,
    storage_node,
    system,
    views,
    wal_exchange,
)
from walrus_sui.abi.contract import Contract
from walrus_sui.client import wire
from walrus_sui.errors import ChainTimeout, MalformedChainData, NetworkConfigError, ObjectNotFound
from walrus_sui.network_config import NetworkConfig
from walrus_sui.types import (
    BlobObject,
    CheckpointInfo,
    ExchangeView,
    NodeCap,
    PoolView,
    StakedWal,
    StakingView,
    SystemView,
)

if TYPE_CHECKING:
    from walrus_sui.client.transport import Transport

T = TypeVar("T")

VERSION_KEY = 8
"""Bytes of the key under which the versioned states stand."""

UNIT_KEY = 1
"""Bytes of a key that is a struct without fields."""

_ATTEMPTS = 5
_PAUSE = 0.2


class Reads:
    """Reads of one network; base of `ChainClient`, which see."""

    def __init__(self, config: NetworkConfig, transport: "Transport") -> None:
        self.config = config
        self._transport = transport
        self._contract_known: Contract | None = None
        self._inner_version: dict[ObjectId, int] = {}
        self._metadata_fields: dict[NodeId, ObjectId] = {}
        self._exchange_package: dict[ObjectId, ObjectId] = {}

    # -- the chain

    async def chain_id(self) -> str:
        """Return the base58 digest of the genesis checkpoint."""
        return (await self._transport.service_info()).chain_id

    async def service_info(self) -> wire.ServiceInfo:
        """Return chain id, height, and the oldest checkpoint that the endpoint still has."""
        return await self._transport.service_info()

    async def clock_ms(self) -> int:
        """Return the chain's clock (object 0x6) in unix milliseconds: what the contract compares epochs with."""
        contents = (await self._transport.object(move_types.CLOCK_ID)).contents
        if len(contents) != 40:
            raise MalformedChainData("the Clock object does not have the known layout")
        return int.from_bytes(contents[32:], "little")

    async def latest_checkpoint(self) -> CheckpointInfo:
        """Return the newest checkpoint of the endpoint."""
        latest = await self._transport.checkpoint()
        return CheckpointInfo(latest.sequence, latest.digest, latest.timestamp_ms)

    async def checkpoint(self, sequence: int) -> wire.RawCheckpoint:
        """Return a checkpoint with its events; raises `ObjectNotFound` when it is not there (yet, or any more)."""
        return await self._transport.checkpoint(sequence)

    def subscribe(self) -> AsyncGenerator[wire.RawCheckpoint]:
        """Stream checkpoints from the tip on; see `walrus_sui.follower` for a stream without gaps."""
        return self._transport.subscribe()

    async def transaction(self, digest: Digest) -> wire.Executed | None:
        """Return a transaction with its effects; None when the endpoint does not know it (yet)."""
        return await self._transport.transaction(digest)

    async def event(self, place: events.EventId) -> events.Event | None:
        """Return the Walrus event at a place; None when there is none, or the endpoint does not know the transaction."""
        executed = await self.transaction(place.tx_digest)
        if executed is None or executed.failure is not None or not 0 <= place.seq < len(executed.events):
            return None
        raw = executed.events[place.seq]
        return events.decode(raw.type, raw.contents, packages=await self.event_packages())

    async def balance(self, address: str, coin_type: Literal["SUI", "WAL"] = "SUI") -> int:
        """Return an address's balance in MIST or FROST."""
        token = self.config.wal_type if coin_type == "WAL" else move_types.SUI_TYPE
        return await self._transport.balance(address, token)

    # -- the contract

    async def contract(self, *, fresh: bool = False) -> Contract:
        """Return where calls go; `fresh` looks for an upgrade."""
        if self._contract_known is None or fresh:
            objects = await self._transport.objects([self.config.staking_object, self.config.system_object])
            await self._take_contract(objects)
        known = self._contract_known
        if known is None:
            raise AssertionError("_take_contract sets it or raises")
        return known

    async def event_packages(self) -> frozenset[ObjectId]:
        """Return the packages whose events are Walrus's: the first one and each that defined types since."""
        contract = await self.contract()
        return frozenset({contract.origin_id, contract.package_id, *contract.type_origins.values()})

    async def system(self) -> SystemView:
        """Return prices and capacity."""
        inner = await self._inner_states([self.config.system_object])
        return decode_inner(inner[self.config.system_object], system.read_inner).view

    async def staking(self) -> StakingView:
        """Return the epoch, its state, and the committees with addresses and keys.

        Raises:
            ChainTimeout: the objects stayed in two different epochs for longer than a reader may wait.
        """
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(_PAUSE)
            states = await self._inner_states([self.config.staking_object, self.config.system_object])
            inner = decode_inner(states[self.config.staking_object], staking.read_inner)
            state = decode_inner(states[self.config.system_object], system.read_inner)
            if inner.epoch == state.view.epoch:
                pools = await self.pools(views.nodes_named(inner))
                keys: dict[NodeId, bytes] = {}
                if inner.next_committee is not None:
                    keys = await self._extended(inner.next_public_keys_id, staking.read_public_keys)
                return views.staking_view(inner, state, pools=pools, next_keys=keys)
        raise ChainTimeout(
            f"System and Staking stayed in epochs {state.view.epoch} and {inner.epoch}; read again later"
        )

    async def pool(self, node_id: NodeId) -> PoolView:
        """Return the pool of a node; raises `ObjectNotFound` for unknown ids."""
        return (await self.pools([node_id]))[node_id]

    async def pools(self, node_ids: list[NodeId]) -> dict[NodeId, PoolView]:
        """Return the pools of nodes; raises `ObjectNotFound` when one does not exist."""
        if not node_ids:
            return {}
        wanted = [ObjectId(node_id) for node_id in node_ids]
        fields = [self._metadata_fields[node_id] for node_id in node_ids if node_id in self._metadata_fields]
        objects = await self._transport.objects([*wanted, *fields])
        absent = [node_id for node_id in wanted if node_id not in objects]
        if absent:
            raise ObjectNotFound(f"no staking pool has the id {', '.join(absent)}")
        decoded = {NodeId(node_id): staking_pool.decode(objects[node_id].contents) for node_id in wanted}
        contract = await self.contract()
        for node_id, pool in decoded.items():
            self._metadata_fields[node_id] = dynamic_field.extended_id(pool.metadata_id, contract)
        missing = [field for node_id in node_ids if (field := self._metadata_fields[node_id]) not in objects]
        objects |= await self._transport.objects(missing) if missing else {}
        found: dict[NodeId, PoolView] = {}
        for node_id, pool in decoded.items():
            holder = objects.get(self._metadata_fields[node_id]) or await self._only_field(pool.metadata_id)
            metadata = dynamic_field.decode_value(holder.contents, key_length=UNIT_KEY, read=node_metadata.read)
            found[node_id] = replace(pool.view, metadata=metadata)
        return found

    async def node_caps(self, address: str) -> list[NodeCap]:
        """Return the StorageNodeCaps of an address, in id order."""
        contract = await self.contract()
        objects = await self._transport.owned(address, contract.type_name(storage_node.MODULE, storage_node.CAP))
        caps = [storage_node.decode_cap(item.contents, owner=item.owner) for item in objects]
        return sorted(caps, key=lambda cap: cap.object_id)

    async def stakes(self, address: str) -> list[StakedWal]:
        """Return the stakes of an address, in id order."""
        contract = await self.contract()
        objects = await self._transport.owned(address, contract.type_name(staked_wal.MODULE, staked_wal.STAKED_WAL))
        found = [staked_wal.decode(item.contents, owner=item.owner) for item in objects]
        return sorted(found, key=lambda stake: stake.object_id)

    async def blobs(self, address: str) -> list[BlobObject]:
        """Return the Blob objects of an address, certified or not, in id order."""
        contract = await self.contract()
        objects = await self._transport.owned(address, contract.type_name(blob.MODULE, blob.BLOB))
        found = [blob.decode(item.contents, owner=item.owner) for item in objects]
        return sorted(found, key=lambda item: item.object_id)

    async def blob(self, object_id: ObjectId) -> BlobObject:
        """Return a Blob object; raises `ObjectNotFound` when it does not exist or is something else."""
        return await self._blob(object_id)

    async def exchange(self) -> ExchangeView:
        """Return the first WAL exchange of the network; raises `NetworkConfigError` when it has none."""
        return wal_exchange.decode((await self._exchange()).contents)

    # -- helpers

    async def _blob(self, object_id: ObjectId) -> BlobObject:
        contract = await self.contract()
        found = await self._transport.object(object_id)
        if found.type != contract.type_name(blob.MODULE, blob.BLOB):
            raise ObjectNotFound(f"object {object_id} is no Blob but {found.type}")
        return blob.decode(found.contents, owner=found.owner)

    async def _exchange(self) -> wire.RawObject:
        if not self.config.exchange_objects:
            raise NetworkConfigError("this network has no WAL exchange (exchange_objects is empty); get WAL elsewhere")
        found = await self._transport.object(self.config.exchange_objects[0])
        self._exchange_package[found.ref.object_id] = move_types.package_of(found.type)
        return found

    async def _take_contract(self, objects: dict[ObjectId, wire.RawObject]) -> None:
        for object_id, name in (
            (self.config.staking_object, "staking::Staking"),
            (self.config.system_object, "system::System"),
        ):
            found = objects.get(object_id)
            if found is None:
                raise ObjectNotFound(f"the chain has no object {object_id}; check the network configuration")
            if not found.type.endswith(f"::{name}"):
                raise NetworkConfigError(
                    f"{object_id} is no {name} but {found.type}; correct the network configuration"
                )
            self._inner_version[object_id] = staking.decode_object(found.contents).version
        front = objects[self.config.system_object]
        package_id, origin_id = staking.decode_object(front.contents).package_id, move_types.package_of(front.type)
        known = self._contract_known
        if known is not None and (known.package_id, known.origin_id) == (package_id, origin_id):
            return
        origins = await self._transport.type_origins(package_id) if package_id != origin_id else {}
        self._contract_known = Contract(
            package_id=package_id,
            origin_id=origin_id,
            system_id=self.config.system_object,
            staking_id=self.config.staking_object,
            treasury_id=self.config.treasury_object,
            wal_type=self.config.wal_type,
            slashing_id=self.config.slashing_manager,
            upgrade_id=self.config.upgrade_manager,
            type_origins=origins,
        )

    async def _inner_states(self, fronts: list[ObjectId]) -> dict[ObjectId, wire.RawObject]:
        """Read the inner states of System and Staking; the small objects in front come along and tell the version.

        An upgrade moves a state to another key, perhaps between two looks: then both are looked at again.
        """
        await self.contract()
        for _attempt in range(_ATTEMPTS):
            fields = {front: dynamic_field.versioned_id(front, self._inner_version[front]) for front in fronts}
            objects = await self._transport.objects(
                [self.config.staking_object, self.config.system_object, *fields.values()]
            )
            await self._take_contract(objects)
            current = {front: dynamic_field.versioned_id(front, self._inner_version[front]) for front in fronts}
            if all(field in objects for field in current.values()):
                return {front: objects[field] for front, field in current.items()}
        missing = [front for front, field in current.items() if field not in objects]
        raise ObjectNotFound(f"the chain has no state of version {self._inner_version[missing[0]]} for {missing[0]}")

    async def _extended(self, extended_field: ObjectId, read: Callable[[bcs.Reader], T]) -> T:
        """Read the value of an ExtendedField."""
        field = dynamic_field.extended_id(extended_field, await self.contract())
        objects = await self._transport.objects([field])
        found = objects.get(field) or await self._only_field(extended_field)
        return dynamic_field.decode_value(found.contents, key_length=UNIT_KEY, read=read)

    async def _only_field(self, parent: ObjectId) -> wire.RawObject:
        """Find the one field of an ExtendedField by listing, for contracts whose key type came with an upgrade."""
        fields = await self._transport.dynamic_fields(parent)
        if len(fields) != 1:
            raise MalformedChainData(f"{parent} should have one dynamic field and has {len(fields)}")
        return await self._transport.object(fields[0])


def decode_inner(field: wire.RawObject, read: Callable[[bcs.Reader], T]) -> T:
    """Decode the state of Staking or System out of the object that holds it."""
    return dynamic_field.decode_value(field.contents, key_length=VERSION_KEY, read=read)
