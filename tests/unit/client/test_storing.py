"""Stores over fakes that misbehave: what f shards of nodes do must not matter, and nothing is paid for twice."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.storing import ADDRESS, BLOB, EVENT, stored
from tests.unit.client.worlds import until

from walrus_client import rules
from walrus_client.errors import (
    BlobInvalidError,
    StorageFullError,
)
from walrus_client.read import ConsistencyCheck
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.statuses import DeletableCounts, Invalid, PermanentBlob
from walrus_client.store import (
    AlreadyCertified,
    NewlyCreated,
    RegisterFromScratch,
    ReuseStorage,
    SendObject,
    ShareObject,
    StoreOptions,
)
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType, Epoch, ObjectId
from walrus_sui.types import StorageObject


@pytest.mark.parametrize("encoding", list(EncodingType))
@pytest.mark.parametrize("size", [0, 1, 444, 30_000])
async def test_what_is_stored_can_be_read(world: World, size: int, encoding: EncodingType) -> None:
    result = await stored(world, BLOB[:size], encoding=encoding)
    assert result.blob.blob_id == redstuff.encode(BLOB[:size], CodeParams(10, encoding)).blob_id
    for check in ConsistencyCheck:
        assert (await world.reader.read(result.blob.blob_id, check=check)).data == BLOB[:size]


async def test_two_transactions_are_enough(world: World) -> None:
    result = await stored(world, epochs=3)
    assert world.chain.transactions == ["register 1", "certify 1"]
    encoded = CodeParams(10, EncodingType.ISAL).encoded_length(len(BLOB))
    assert result.operation == RegisterFromScratch(encoded, 3)
    assert result.cost == 1000 * 3 + 200
    assert result.blob.certified_epoch == 5
    assert result.blob.deletable


async def test_every_node_gets_both_slivers_of_its_pairs(world: World) -> None:
    result = await stored(world)
    for node in world.nodes:
        kept = node.slivers[result.blob.blob_id]
        assert len(kept) == 2 * len(node.shards)
        assert {axis for axis, _pair in kept} == set(Axis)


async def test_the_object_is_handed_on(world: World) -> None:
    sent = await stored(world, after=SendObject(ADDRESS))
    assert sent.blob.owner == ADDRESS
    shared = await stored(world, BLOB[:99], after=ShareObject())
    assert shared.shared_object is not None


@pytest.mark.parametrize("fault", ["bad_signature", "wrong_message"])
async def test_one_lying_signer_does_not_spoil_the_certificate(world: World, fault: str) -> None:
    setattr(world.nodes[0].behaviour, fault, True)
    await stored(world)


async def test_one_node_that_is_away_does_not_matter(world: World) -> None:
    await world.nodes[3].stop()
    result = await stored(world)
    assert (await world.reader.read(result.blob.blob_id)).data == BLOB


async def test_nodes_that_have_not_seen_the_registration_yet_are_asked_again(world: World) -> None:
    for node in world.nodes:
        node.behaviour.refusals = [RequestRefused(Reason.NOT_REGISTERED, "not yet")] * 2
    await stored(world)


async def test_storage_of_the_wallet_is_used_when_asked_for_and_only_by_one(world: World) -> None:
    size = CodeParams(10, EncodingType.ISAL).encoded_length(len(BLOB))
    world.chain.free_storage = [StorageObject(ObjectId("0x" + "5" * 64), Epoch(4), Epoch(9), size + 1)]
    assert isinstance((await stored(world, epochs=2)).operation, RegisterFromScratch), "not asked for"
    results = await asyncio.gather(*(stored(world, epochs=2, reuse_resources=True, force=True) for _ in range(2)))
    reused = [result for result in results if result.operation == ReuseStorage(size)]
    assert [result.cost for result in reused] == [200], "only the write is paid for"
    assert reused[0].blob.storage.end_epoch == 7
    assert world.chain.transactions.count("register on storage") == 1


async def test_a_lifetime_that_ends_during_the_store_is_bought_anew(world: World) -> None:
    def change_epoch() -> None:
        world.chain.epoch = 6
        for node in world.nodes:
            node.epoch = 6

    world.chain.before_certify = [change_epoch]
    result = await stored(world, epochs=1)
    assert (result.blob.certified_epoch, result.blob.storage.end_epoch) == (6, 7)
    assert result.cost == 2 * (1000 + 200)
    assert world.chain.transactions == ["register 1", "certify 1"] * 2
    assert len(world.store.registrations) == 0


async def test_uploads_go_on_while_the_blob_is_certified(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "straggler_time_s", lambda _elapsed: 1e9)
    slow = world.nodes[1]
    slow.behaviour.stall = asyncio.Event()
    world.chain.before_certify = [slow.behaviour.stall.set]  # it moves only once the others' quorum is being certified
    async with asyncio.timeout(15):
        result = await stored(world)
    assert len(slow.slivers[result.blob.blob_id]) == 2 * len(slow.shards)


async def test_a_stalled_node_delays_only_the_first_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = world.nodes[1]
    slow.behaviour.stall = asyncio.Event()
    await stored(world)
    assert world.peers.standing.is_doubtful(slow.member.node_id, asyncio.get_running_loop().time())
    monkeypatch.setattr(rules, "straggler_time_s", lambda _elapsed: 1e9)
    async with asyncio.timeout(15):
        await stored(world, BLOB[:50])
    slow.behaviour.stall.set()


async def test_an_epoch_change_during_the_store_only_costs_new_signatures(world: World) -> None:
    def change_epoch() -> None:
        world.chain.epoch = 6
        for node in world.nodes:
            node.epoch = 6
            node.calls.clear()

    world.chain.before_certify = [change_epoch]
    result = await stored(world, epochs=5)
    assert result.blob.certified_epoch == 6
    assert all(node.calls == ["GetConfirmation"] for node in world.nodes), "slivers are not sent twice"


async def test_a_node_ahead_of_us_makes_us_look_at_the_chain(world: World) -> None:
    await world.committees.view()
    world.chain.epoch = 6
    for node in world.nodes:
        node.epoch = 6
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_EPOCH, "6", {"server_epoch": "6"})]
    assert (await stored(world, epochs=5)).blob.certified_epoch == 6


async def test_a_certified_permanent_blob_is_not_stored_again(world: World) -> None:
    for node in world.nodes:
        node.behaviour.status = PermanentBlob(Epoch(9), True, EVENT, DeletableCounts(), Epoch(4))
    result = await world.store.store(BLOB, StoreOptions(epochs=4, deletable=False))
    assert isinstance(result, AlreadyCertified)
    assert (result.proof, result.end_epoch) == (EVENT, 9)
    assert world.chain.transactions == []
    assert isinstance(await world.store.store(BLOB, StoreOptions(epochs=5, deletable=False)), NewlyCreated)
    assert isinstance(await world.store.store(BLOB, StoreOptions(epochs=1, deletable=False, force=True)), NewlyCreated)


async def test_a_deletable_blob_is_not_answered_with_a_permanent_one(world: World) -> None:
    for node in world.nodes:
        node.behaviour.status = PermanentBlob(Epoch(9), True, EVENT, DeletableCounts(), Epoch(4))
    assert (await stored(world, epochs=1)).blob.deletable


@pytest.mark.parametrize("deletable", [True, False])
async def test_an_own_certified_blob_is_found_in_the_wallet_when_asked_for(world: World, deletable: bool) -> None:
    first = await stored(world, epochs=3, deletable=deletable)
    world.chain.transactions.clear()
    options = StoreOptions(epochs=3, deletable=deletable, reuse_resources=True)
    again = await world.store.store(BLOB, options)
    assert again == AlreadyCertified(first.blob.blob_id, first.blob.object_id, first.blob.storage.end_epoch)
    assert world.chain.transactions == []
    for other in (
        replace(options, epochs=4),
        replace(options, deletable=not deletable),
        replace(options, force=True),
        replace(options, reuse_resources=False),
    ):
        assert isinstance(await world.store.store(BLOB, other), NewlyCreated), other


async def test_a_certified_blob_is_looked_for_in_the_hands_that_are_to_get_it(world: World) -> None:
    own = await stored(world)
    send = {"reuse_resources": True, "after": SendObject(ADDRESS)}
    sent = await stored(world, **send)
    assert (sent.blob.owner, own.blob.owner) == (ADDRESS, world.key.address)
    known = await world.store.store(BLOB, StoreOptions(**send))  # type: ignore[arg-type]
    assert known == AlreadyCertified(sent.blob.blob_id, sent.blob.object_id, sent.blob.storage.end_epoch)
    assert (await stored(world, reuse_resources=True, after=ShareObject())).shared_object is not None


async def test_an_invalid_blob_is_never_stored(world: World) -> None:
    for node in world.nodes:
        node.behaviour.status = Invalid(EVENT)
    with pytest.raises(BlobInvalidError):
        await world.store.store(BLOB, StoreOptions())


async def test_many_stores_share_transactions_and_one_bad_one_hurts_nobody(world: World) -> None:
    world.chain.register_delay = asyncio.Event()
    tasks = [asyncio.create_task(stored(world, BLOB[: 1000 + i])) for i in range(8)]
    tasks.append(asyncio.create_task(stored(world, BLOB[:666])))
    await until(lambda: world.chain.transactions)
    await asyncio.sleep(0.2)
    world.chain.register_delay.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[-1], StorageFullError)
    created = [result for result in results[:-1] if isinstance(result, NewlyCreated)]
    assert len({result.blob.blob_id for result in created}) == 8
    registrations = [entry for entry in world.chain.transactions if entry.startswith("register")]
    assert any(int(entry.split()[1]) > 1 for entry in registrations), registrations
