"""The client's whole paths over fakes that misbehave: what f shards of nodes do must not matter, more must be told."""

import asyncio
import os
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.worlds import node_id, until

from walrus_client import rules
from walrus_client.committee import CommitteeTracker
from walrus_client.errors import (
    BlobInvalidError,
    BlobNotFoundError,
    BlobUnavailableError,
    CommitteeUnknownError,
    InsufficientConfirmationsError,
    StorageFullError,
)
from walrus_client.peers import Fault
from walrus_client.read import BlobStream, ConsistencyCheck, Reader, streaming
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.statuses import DeletableCounts, Invalid, Nonexistent, PermanentBlob
from walrus_client.store import (
    AfterStore,
    AlreadyCertified,
    KeepObject,
    NewlyCreated,
    RegisterFromScratch,
    ReuseRegistration,
    ReuseStorage,
    SendObject,
    ShareObject,
    Store,
    StoreOptions,
)
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, BlobId, Digest, EncodingType, Epoch, NodeId, ObjectId, PairIndex, SuiAddress
from walrus_sui.errors import ChainUnreachable
from walrus_sui.events import BlobCertified, EventId
from walrus_sui.types import StakingView, StorageObject

BLOB = bytes(i % 253 for i in range(30_000))
EVENT = EventId(Digest("1" * 32), 0)
ADDRESS = SuiAddress("0x" + "ab" * 32)


async def stored(world: World, data: bytes = BLOB, **options: object) -> NewlyCreated:
    result = await world.store.store(data, StoreOptions(**options))  # type: ignore[arg-type]
    assert isinstance(result, NewlyCreated)
    return result


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


def busy(hint_s: float) -> RequestRefused:
    return RequestRefused(Reason.CACHE_SATURATED, "busy", retry_after_s=hint_s)


@pytest.fixture
def blamed(world: World, monkeypatch: pytest.MonkeyPatch) -> list[NodeId]:
    """Nodes that were blamed for something."""
    found: list[NodeId] = []
    blame = world.peers.standing.blame

    def note(node_id: NodeId, fault: Fault, now: float) -> bool:
        found.append(node_id)
        return blame(node_id, fault, now)

    monkeypatch.setattr(world.peers.standing, "blame", note)
    return found


async def test_busy_nodes_are_left_alone_as_long_as_they_ask_and_not_blamed(world: World, blamed: list[NodeId]) -> None:
    # More often than a failing node would be tried, and by so many that there is no quorum without each of them.
    world.nodes[2].behaviour.bad_signature = True
    for node in world.nodes[:2]:
        node.behaviour.refusals = [busy(0.1)] * 8
    await stored(world)
    # Once one of them has confirmed there is a quorum, and the other one is not waited for.
    assert max(node.calls.count("StoreBlob") for node in world.nodes[:2]) == 9
    for node in world.nodes[:2]:
        at = [when for call, when in zip(node.calls, node.called_at, strict=True) if call == "StoreBlob"]
        assert all(later - earlier >= 0.1 for earlier, later in pairwise(at)), at
        assert node.member.node_id not in blamed


async def test_nodes_that_stay_busy_for_longer_than_a_store_may_take_are_not_waited_for(
    world: World, blamed: list[NodeId]
) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [busy(1000)]
    with pytest.raises(InsufficientConfirmationsError, match="busy"):
        await stored(world)
    assert [node.calls.count("StoreBlob") for node in world.nodes[:2]] == [1, 1]
    assert not blamed


async def test_a_read_waits_for_busy_nodes_when_the_others_do_not_suffice(world: World) -> None:
    result = await stored(world)
    metadata = await world.reader.metadata(result.blob.blob_id)
    for node in world.nodes:
        node.behaviour.refusals = [busy(0.1)] * 2
    assert (await world.reader.read(result.blob.blob_id, metadata=metadata)).data == BLOB


async def test_a_read_does_not_wait_for_what_takes_too_long_and_asks_the_busy_last(
    world: World, blamed: list[NodeId]
) -> None:
    blob_id = (await stored(world)).blob.blob_id
    metadata = await world.reader.metadata(blob_id)
    for node in world.nodes:
        node.behaviour.refusals = [busy(50)]
    with pytest.raises(BlobUnavailableError, match="busy"):
        await world.reader.read(blob_id, metadata=metadata)
    assert not blamed
    left = [node for node in world.nodes if node.behaviour.refusals]
    now = asyncio.get_running_loop().time()
    assert [world.peers.standing.is_doubtful(node.member.node_id, now) for node in left] == [False] * len(left)
    assert all(world.peers.standing.is_doubtful(node.member.node_id, now) for node in world.nodes if node not in left)


async def test_too_few_nodes_give_an_error_and_the_retry_uses_the_registration(world: World) -> None:
    refusal = RequestRefused(Reason.INVALID_SLIVER, "no")
    for node in world.nodes[:2]:
        node.behaviour.refusals = [refusal]
    with pytest.raises(InsufficientConfirmationsError) as caught:
        await stored(world)
    assert {entry.name for entry in caught.value.outcomes} >= {"node-1", "node-2"}
    assert caught.value.needed == 7
    assert len(world.store.registrations) == 1
    result = await stored(world)
    assert isinstance(result.operation, ReuseRegistration)
    assert result.cost == 0
    assert world.chain.transactions == ["register 1", "certify 1"]
    assert len(world.store.registrations) == 0


async def test_an_asker_who_goes_away_leaves_a_registration_for_the_next(world: World) -> None:
    world.chain.register_delay = asyncio.Event()
    task = asyncio.create_task(stored(world))
    await until(lambda: world.chain.transactions)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.chain.register_delay.set()
    world.chain.register_delay = None
    result = await stored(world)
    # The abandoned transaction may still have been under way when the second store looked.
    assert len(world.chain.objects) - len(world.store.registrations) == 1
    assert result.blob.certified_epoch == 5


def restarted(world: World) -> World:
    """The same network, and a client that remembers nothing."""
    store = Store(
        world.chain,
        world.key,
        world.committees,
        world.peers,
        world.compute,
        default_encoding=EncodingType.ISAL,
        rng=Random(3),
    )
    return replace(world, store=store)


async def test_a_store_that_was_killed_after_paying_is_taken_up_by_the_next_process(world: World) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    with pytest.raises(InsufficientConfirmationsError):
        await stored(world)
    (paid,) = world.chain.objects
    again = restarted(world)
    other, result = await asyncio.gather(stored(again, BLOB[:99]), stored(again))
    assert isinstance(other.operation, RegisterFromScratch), "another blob is another registration"
    assert isinstance(result.operation, ReuseRegistration)
    assert (result.blob.object_id, result.cost) == (paid, 0)
    assert len(world.chain.objects) == 2
    assert isinstance((await stored(again, force=True)).operation, RegisterFromScratch), "it serves once"


async def test_one_registration_serves_one_of_two_stores(world: World) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    with pytest.raises(InsufficientConfirmationsError):
        await stored(world)
    again = restarted(world)
    results = await asyncio.gather(*(stored(again, reuse_resources=True) for _ in range(2)))
    assert len({result.blob.object_id for result in results}) == 2
    assert [isinstance(result.operation, ReuseRegistration) for result in results].count(True) == 1


async def test_a_registration_of_unknown_end_is_looked_for_before_another_is_bought(world: World) -> None:
    world.chain.lose_answers = 1
    with pytest.raises(ChainUnreachable):
        await stored(world)
    assert isinstance((await stored(world)).operation, ReuseRegistration)
    assert len(world.chain.objects) == 1


@pytest.mark.parametrize("change", ["gone", "sent", "certified by somebody else and sent"])
async def test_a_registration_that_is_gone_is_not_tried_again(world: World, change: str) -> None:
    for node in world.nodes[:2]:
        node.behaviour.refusals = [RequestRefused(Reason.INVALID_SLIVER, "no")]
    with pytest.raises(InsufficientConfirmationsError):
        await stored(world)
    (paid,) = world.chain.objects.values()
    certified = Epoch(5) if "certified" in change else None
    world.chain.objects[paid.object_id] = replace(
        paid, owner=None if change == "gone" else ADDRESS, certified_epoch=certified
    )
    assert isinstance((await stored(world)).operation, RegisterFromScratch)
    assert len(world.store.registrations) == 0


@pytest.mark.parametrize("after", [KeepObject(), SendObject(ADDRESS)])
@pytest.mark.parametrize("how", ["cancelled", "answer lost"])
async def test_a_store_that_broke_off_while_it_was_certified_is_not_paid_for_again(
    world: World, how: str, after: AfterStore
) -> None:
    if how == "cancelled":
        world.chain.certify_delay = asyncio.Event()
        task = asyncio.create_task(stored(world, after=after))
        await until(lambda: "certify 1" in world.chain.transactions)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        world.chain.certify_delay.set()
    else:
        world.chain.lose_certified = 1
        with pytest.raises(ChainUnreachable):
            await stored(world, after=after)
    result = await stored(world, after=after)
    (only,) = world.chain.objects.values()
    assert (result.blob, result.cost) == (only, 0)
    assert isinstance(result.operation, ReuseRegistration)
    assert len(world.store.registrations) == 0


async def test_a_registration_is_kept_while_the_chain_cannot_tell_what_became_of_it(world: World) -> None:
    world.chain.lose_certified = 1
    with pytest.raises(ChainUnreachable):
        await stored(world)
    world.chain.before_certify = [lambda: setattr(world.chain, "reachable", False)]
    with pytest.raises(ChainUnreachable):
        await stored(world)
    world.chain.reachable = True
    assert (await stored(world)).cost == 0
    assert len(world.chain.objects) == 1


def tasks_of_the_client() -> list[str]:
    """Functions of ours that run as tasks; the fakes' servers have some of their own."""
    running = [task.get_coro() for task in asyncio.all_tasks()]
    code = [getattr(coroutine, "cr_code", None) for coroutine in running]
    return [entry.co_qualname for entry in code if entry is not None and "/walrus_client/" in entry.co_filename]


@pytest.mark.parametrize("at", ["status", "register", "upload", "certify"])
async def test_a_store_that_is_cancelled_leaves_nothing_behind(world: World, at: str) -> None:
    await world.committees.view()
    stall, chain = asyncio.Event(), world.chain
    match at:
        case "register":
            chain.register_delay = stall
        case "certify":
            chain.certify_delay = stall
        case _:
            for node in world.nodes:
                node.behaviour.stall = stall
    task = asyncio.create_task(stored(world, os.urandom(300_000), force=at == "upload"))
    if at in {"status", "upload"}:
        await until(lambda: all(node.stalled for node in world.nodes))
    else:
        await until(lambda: chain.transactions and chain.transactions[-1] == f"{at} 1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not any(node.stalled for node in world.nodes))  # the streams are closed, not served
    stall.set()
    await world.store.close()  # what is on its way to the chain is not called back
    await until(lambda: not tasks_of_the_client())
    assert world.store.bytes_in_flight == 0
    assert len(world.store.registrations) == (0 if at == "status" else 1)
    assert len(chain.objects) == (0 if at == "status" else 1)


async def test_storage_of_the_wallet_is_used_when_asked_for_and_only_by_one(world: World) -> None:
    size = CodeParams(10, EncodingType.ISAL).encoded_length(len(BLOB))
    world.chain.free_storage = [StorageObject(ObjectId("0x" + "5" * 64), Epoch(4), Epoch(9), size + 1)]
    assert isinstance((await stored(world, epochs=2)).operation, RegisterFromScratch), "not asked for"
    results = await asyncio.gather(*(stored(world, epochs=2, reuse_resources=True, force=True) for _ in range(2)))
    reused = [result for result in results if result.operation == ReuseStorage(size)]
    assert [result.cost for result in reused] == [200], "only the write is paid for"
    assert reused[0].blob.storage.end_epoch == 7
    assert world.chain.transactions.count("register on storage") == 1


async def test_an_asker_who_goes_away_while_storage_is_used_leaves_a_registration(world: World) -> None:
    size = CodeParams(10, EncodingType.ISAL).encoded_length(len(BLOB))
    world.chain.free_storage = [StorageObject(ObjectId("0x" + "5" * 64), Epoch(4), Epoch(9), size)]
    world.chain.register_delay = asyncio.Event()
    task = asyncio.create_task(stored(world, reuse_resources=True))
    await until(lambda: world.chain.transactions)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.chain.register_delay.set()
    await until(lambda: len(world.store.registrations))
    assert isinstance((await stored(world)).operation, ReuseRegistration)


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


async def test_f_shards_of_liars_do_not_change_what_is_read(world: World) -> None:
    result = await stored(world)
    for fault in ("corrupt_slivers", "truncate_streams", "unasked_slivers", "missing", "wrong_metadata"):
        setattr(world.nodes[1].behaviour, fault, True)
        assert (await world.reader.read(result.blob.blob_id)).data == BLOB
        setattr(world.nodes[1].behaviour, fault, False)


async def test_a_stalled_node_is_hedged(world: World) -> None:
    result = await stored(world)
    world.nodes[1].behaviour.stall = asyncio.Event()
    async with asyncio.timeout(8):
        assert (await world.reader.read(result.blob.blob_id)).data == BLOB
    world.nodes[1].behaviour.stall.set()


async def test_too_few_slivers_are_unavailable_not_lost(world: World) -> None:
    result = await stored(world)
    for node in world.nodes[:3]:
        node.behaviour.corrupt_slivers = True
    with pytest.raises(BlobUnavailableError, match="slivers needed"):
        await world.reader.read(result.blob.blob_id)
    for node in world.nodes:
        node.behaviour.corrupt_slivers = False
    assert (await world.reader.read(result.blob.blob_id)).data == BLOB


async def test_an_unknown_blob_is_not_found_only_by_a_quorum(world: World) -> None:
    unknown = BlobId(bytes(32))
    with pytest.raises(BlobNotFoundError):
        await world.reader.read(unknown)
    await world.nodes[0].stop()
    await world.nodes[1].stop()
    with pytest.raises(BlobUnavailableError):
        await world.reader.read(unknown)


async def test_a_badly_encoded_blob_is_refused_by_the_strict_reader(world: World) -> None:
    """A writer who commits to a matrix that is no codeword: the strict check gives the same answer to everybody."""
    params = CodeParams(10, EncodingType.ISAL)
    result = await stored(world)
    good = redstuff.encode(BLOB, params)
    other = redstuff.encode(BLOB[::-1], params)
    hashes = (*good.metadata.hashes[:-1], other.metadata.hashes[-1])
    metadata = type(good.metadata)(params.encoding, len(BLOB), hashes)
    blob_id = metadata.blob_id()
    for node in world.nodes:
        node.metadata[blob_id] = metadata.to_bcs()
        node.slivers[blob_id] = {}
    for pair in good.pairs:
        for node in world.nodes:
            node.slivers[blob_id][Axis.PRIMARY, pair.index] = pair.primary
    assert (await world.reader.read(blob_id, check=ConsistencyCheck.DEFAULT)).data == BLOB
    with pytest.raises(BlobInvalidError):
        await world.reader.read(blob_id, check=ConsistencyCheck.STRICT)
    assert result.blob.blob_id != blob_id


async def streamed(blob: BlobStream) -> bytes:
    """All pieces of a stream, each of which must be as long as it may be."""
    found = [bytes(piece) async for piece in blob]
    assert sum(map(len, found)) == blob.length
    assert all(0 < len(piece) <= streaming.PIECE for piece in found)
    return b"".join(found)


@pytest.mark.parametrize("encoding", list(EncodingType))
@pytest.mark.parametrize("lost", [(), (0,), (0, 1)])
async def test_a_stream_gives_what_a_read_gives(
    world: World, encoding: EncodingType, lost: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PIECE", 4_000)  # a row has about 7,500 bytes
    result = await stored(world, encoding=encoding)
    for number in lost:
        world.nodes[number].behaviour.missing = True
    for check in ConsistencyCheck:
        whole = await world.reader.stream(result.blob.blob_id, check=check)
        assert await streamed(whole) == BLOB
        part = await world.reader.stream(result.blob.blob_id, check=check, part=slice(7000, 22_001))
        assert await streamed(part) == BLOB[7000:22_001]


async def test_rows_that_were_rebuilt_are_verified_before_the_first_byte(world: World) -> None:
    """A writer commits to a foreign row that nobody gives: only rebuilding it shows that it is no part of the codeword."""
    params = CodeParams(10, EncodingType.ISAL)
    good, other = redstuff.encode(BLOB, params), redstuff.encode(BLOB[::-1], params)
    hashes = (good.metadata.hashes[0], other.metadata.hashes[1], *good.metadata.hashes[2:])
    metadata = replace(good.metadata, hashes=hashes)
    blob_id = metadata.blob_id()
    for node in world.nodes:
        node.metadata[blob_id] = metadata.to_bcs()
        node.slivers[blob_id] = {(Axis.PRIMARY, pair.index): pair.primary for pair in good.pairs if pair.index != 1}
    assert (await world.reader.read(blob_id, check=ConsistencyCheck.SKIP)).data == BLOB
    for check in (ConsistencyCheck.DEFAULT, ConsistencyCheck.STRICT):
        with pytest.raises(BlobInvalidError):
            await world.reader.stream(blob_id, check=check)
    with pytest.raises(BlobInvalidError):
        await world.reader.stream_range(blob_id, metadata, slice(5000, 9000))
    assert await streamed(await world.reader.stream_range(blob_id, metadata, slice(0, 10))) == BLOB[:10]


@pytest.mark.parametrize(("first", "last"), [(0, 0), (5, 12_345), (29_999, 29_999), (0, 29_999), (8000, 8001)])
async def test_a_range_reads_only_what_it_needs(world: World, first: int, last: int) -> None:
    result = await stored(world)
    metadata = await world.reader.metadata(result.blob.blob_id)
    blob = await world.reader.stream_range(result.blob.blob_id, metadata, slice(first, last + 1))
    assert await streamed(blob) == BLOB[first : last + 1]


async def test_a_range_survives_a_missing_systematic_sliver(world: World) -> None:
    result = await stored(world)
    metadata = await world.reader.metadata(result.blob.blob_id)
    for node in world.nodes:
        node.slivers[result.blob.blob_id].pop((Axis.PRIMARY, PairIndex(0)), None)
    grown = []

    async def before_whole() -> None:
        grown.append(True)

    read = world.reader.stream_range(result.blob.blob_id, metadata, slice(0, 10), before_whole=before_whole)
    assert await streamed(await read) == BLOB[:10]
    assert grown == [True]


async def test_reads_go_on_without_the_chain_and_stores_say_why_not(world: World) -> None:
    result = await stored(world)
    world.chain.reachable = False
    with pytest.raises(ChainUnreachable):
        await world.committees.refresh()
    assert (await world.reader.read(result.blob.blob_id)).data == BLOB
    with pytest.raises(ChainUnreachable):
        await stored(world, BLOB[:5])


async def test_a_silent_chain_does_not_hold_up_readers(world: World) -> None:
    result = await stored(world)
    never = asyncio.Event()

    async def silent() -> StakingView:
        await never.wait()
        raise AssertionError

    world.chain.staking = silent  # type: ignore[method-assign]
    tracker = CommitteeTracker(world.chain, max_age_s=0.0)
    tracker._view = world.committees.last
    reader = Reader(tracker, world.peers, world.compute)
    async with asyncio.timeout(15):
        assert (await reader.read(result.blob.blob_id)).data == BLOB


async def test_without_any_committee_the_chain_is_named(world: World) -> None:
    world.chain.reachable = False
    with pytest.raises(CommitteeUnknownError):
        await world.reader.read(BlobId(bytes(32)))


async def test_a_read_follows_a_committee_that_has_changed(world: World) -> None:
    result = await stored(world)
    # All nodes come back with other ports: what we know of them is wrong until the chain is read again.
    for node in world.nodes:
        await node.stop()
        node.port = 0
        await node.start()
    assert (await world.reader.read(result.blob.blob_id)).data == BLOB


async def test_status_needs_an_honest_majority_of_claims(world: World) -> None:
    assert await world.reader.status(BlobId(bytes(32))) == Nonexistent()
    certain = PermanentBlob(Epoch(9), True, EVENT, DeletableCounts(), Epoch(4))
    world.nodes[0].behaviour.status = certain
    assert await world.reader.status(BlobId(bytes(32))) == Nonexistent()
    world.nodes[1].behaviour.status = certain
    for node in world.nodes[2:]:
        await node.stop()
    assert await world.reader.status(BlobId(bytes(32))) == certain
    assert node_id(1) == world.nodes[0].member.node_id


async def test_a_status_of_a_few_is_believed_when_the_chain_has_its_event(world: World) -> None:
    """Right after a certification one node may be ahead of the others; a liar names an event that is not there."""
    blob_id, world.chain.epoch = BlobId(bytes(32)), 5
    ahead = PermanentBlob(Epoch(9), True, EVENT, DeletableCounts(), Epoch(5))
    behind = PermanentBlob(Epoch(9), False, EventId(EVENT.tx_digest, EVENT.seq + 1), DeletableCounts(), None)
    for node in world.nodes[1:]:
        node.behaviour.status = behind
    world.nodes[0].behaviour.status = ahead
    assert await world.reader.status(blob_id) == behind
    world.chain.events[EVENT] = BlobCertified(
        Epoch(5), blob_id, Epoch(9), deletable=False, object_id=ObjectId("0x" + "1" * 64), is_extension=False
    )
    assert await world.reader.status(blob_id) == ahead
    world.chain.reachable = False
    assert await world.reader.status(blob_id) == behind, "without the chain, weight has to do"


@pytest.mark.parametrize("fault", ["corrupt_slivers", "truncate_streams", "wrong_metadata", "stall"])
async def test_who_lied_or_stalled_is_asked_last_by_the_next_read(world: World, fault: str) -> None:
    result = await stored(world)
    blob_id, culprit = result.blob.blob_id, world.nodes[1]
    setattr(culprit.behaviour, fault, asyncio.Event() if fault == "stall" else True)
    now = asyncio.get_running_loop().time()
    while not world.peers.standing.is_doubtful(culprit.member.node_id, now):
        assert (await world.reader.read(blob_id)).data == BLOB
    if fault == "stall":
        culprit.behaviour.stall.set()  # type: ignore[union-attr]
    culprit.calls.clear()
    metadata = await world.reader.metadata(blob_id)
    assert (await world.reader.read(blob_id, metadata=metadata)).data == BLOB
    assert "GetSlivers" not in culprit.calls, "the others suffice"
    for node in world.nodes[2:]:
        await node.stop()
    if fault == "stall":
        setattr(culprit.behaviour, fault, None)
        assert (await world.reader.read(blob_id, metadata=metadata)).data == BLOB, "but it is asked when they do not"
