"""The contract is upgraded under an open client: calls, types, states and events follow."""

import random
from dataclasses import dataclass, field

import pytest

from walrus_codec import bcs
from walrus_codec.types import Digest, ObjectId
from walrus_sui.abi import dynamic_field
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import ObjectRef
from walrus_sui.client import wire
from walrus_sui.client.writer import Writer
from walrus_sui.errors import MoveAbort, NetworkConfigError, ObjectNotFound
from walrus_sui.network_config import NetworkConfig


def oid(number: int) -> ObjectId:
    return ObjectId("0x" + f"{number:064x}")


FIRST, SECOND, THIRD = oid(0xA0), oid(0xA1), oid(0xA2)
SYSTEM, STAKING = oid(5), oid(6)
CONFIG = NetworkConfig("http://unused:1", SYSTEM, STAKING, "0x7::wal::WAL", oid(8))


def address(object_id: ObjectId) -> bytes:
    return bytes.fromhex(object_id[2:])


def raw(object_id: ObjectId, object_type: str, contents: bytes) -> wire.RawObject:
    return wire.RawObject(ObjectRef(object_id, 1, Digest("d")), object_type, None, 1, contents)


@dataclass
class FullNode:
    """Serves the two small objects in front of the states, of any version and package."""

    package: ObjectId = FIRST
    version: int = 3
    asked_for_origins: list[ObjectId] = field(default_factory=list)
    states: dict[ObjectId, bytes] = field(default_factory=dict)
    kinds: dict[ObjectId, str] = field(
        default_factory=lambda: {SYSTEM: f"{FIRST}::system::System", STAKING: f"{FIRST}::staking::Staking"}
    )

    async def objects(self, object_ids):
        found = {}
        for object_id in object_ids:
            if object_id in self.kinds:
                front = address(object_id) + bcs.u64(self.version) + address(self.package) + b"\0"
                found[object_id] = raw(object_id, self.kinds[object_id], front)
            elif object_id in self.states:
                found[object_id] = raw(object_id, "field", self.states[object_id])
        return found

    async def object(self, object_id):
        found = await self.objects([object_id])
        if object_id not in found:
            raise ObjectNotFound(object_id)
        return found[object_id]

    async def type_origins(self, package):
        self.asked_for_origins.append(package)
        return {"system::System": FIRST, "storage_pool::StoragePool": SECOND}


def writer(node: FullNode) -> Writer:
    return Writer(CONFIG, node, patience=1.0, until_checkpoint=False, rng=random.Random(1))


def system_field(version: int, epoch: int) -> tuple[ObjectId, bytes]:
    """The state of a System in some epoch, under the key of its version."""
    inner = b"\0" + bcs.u16(10) + bcs.u32(epoch) + bcs.bytes_(bytes(48)) + 4 * bcs.u64(7)
    inner += bcs.u32(1) + bcs.u32(2) + bcs.vector(lambda e: bcs.u32(e) + bcs.u64(0) + bcs.u64(e), [epoch + 1, epoch])
    inner += b"\0" + b"\0" + bytes(32)
    return dynamic_field.versioned_id(SYSTEM, version), bytes(32) + bcs.u64(version) + inner


async def test_a_first_package_defines_all_types_and_needs_no_question() -> None:
    node = FullNode()
    client = writer(node)
    contract = await client.contract()
    assert (contract.package_id, contract.origin_id, node.asked_for_origins) == (FIRST, FIRST, [])
    assert await client.event_packages() == {FIRST}


async def test_after_an_upgrade_calls_go_to_the_new_package_and_types_keep_their_origin() -> None:
    node = FullNode()
    client = writer(node)
    await client.contract()
    node.package = THIRD
    assert (await client.contract()).package_id == FIRST  # nobody has looked
    contract = await client.contract(fresh=True)
    assert contract.package_id == THIRD
    assert contract.type_name("blob", "Blob") == f"{FIRST}::blob::Blob"
    assert contract.type_name("storage_pool", "StoragePool") == f"{SECOND}::storage_pool::StoragePool"
    assert await client.event_packages() == {FIRST, SECOND, THIRD}
    await client.contract(fresh=True)
    assert node.asked_for_origins == [THIRD]  # once per package


async def test_a_migrated_state_is_found_under_its_new_version() -> None:
    node = FullNode(states=dict([system_field(3, epoch=7)]))
    client = writer(node)
    assert (await client.system()).epoch == 7
    node.version, node.package = 4, SECOND
    node.states = dict([system_field(4, epoch=8)])
    view = await client.system()
    assert view.epoch == 8
    assert [slot.epoch for slot in view.accounting] == [8, 9]  # the current slot is the ring's second
    assert (await client.contract()).package_id == SECOND


async def test_a_state_that_moves_between_two_looks_is_looked_for_again() -> None:
    node = FullNode(states=dict([system_field(3, epoch=7)]))
    client = writer(node)
    await client.contract()
    plain = node.objects

    async def torn(object_ids):
        node.objects = plain
        found = await plain([object_id for object_id in object_ids if object_id not in node.states])
        node.version, node.states = 4, dict([system_field(4, epoch=8)])  # migrated after the fronts were read
        return found

    node.objects = torn
    assert (await client.system()).epoch == 8


async def test_a_state_that_is_nowhere_is_not_found() -> None:
    with pytest.raises(ObjectNotFound, match=f"no state of version 3 for {SYSTEM}"):
        await writer(FullNode()).system()


async def test_a_call_of_an_outdated_package_is_repeated_once_on_the_newest() -> None:
    node = FullNode()
    client = writer(node)
    called: list[ObjectId] = []

    async def call(contract: Contract) -> str:
        called.append(contract.package_id)
        node.package = SECOND
        if contract.package_id == FIRST:
            raise MoveAbort("system", 1, name="EWrongVersion")
        return "done"

    assert await client._on_newest(call) == "done"
    assert called == [FIRST, SECOND]


@pytest.mark.parametrize(("module", "code", "calls"), [("system", 1, 2), ("staking", 1, 2), ("staking", 0, 1)])
async def test_what_a_new_package_does_not_cure_is_the_answer(module: str, code: int, calls: int) -> None:
    called: list[ObjectId] = []

    async def call(contract: Contract) -> None:
        called.append(contract.package_id)
        raise MoveAbort(module, code)

    with pytest.raises(MoveAbort):
        await writer(FullNode())._on_newest(call)
    assert len(called) == calls


async def test_objects_that_are_not_walruses_are_named() -> None:
    node = FullNode()
    node.kinds[SYSTEM] = "0x2::coin::Coin"
    with pytest.raises(NetworkConfigError, match=r"no system::System but 0x2::coin::Coin"):
        await writer(node).contract()
    del node.kinds[SYSTEM]
    with pytest.raises(ObjectNotFound, match="check the network configuration"):
        await writer(node).contract()
