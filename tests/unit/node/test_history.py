"""Other nodes' records side by side: what is believed, who is heard, what is waited for; and the list that nodes give."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from tests.unit.node.feeding import feed, start_epochs
from tests.unit.node.worlds import (
    US,
    ChainTwin,
    blob_id,
    certified,
    committee,
    event_id,
    member,
    object_id,
    pool_created,
    pool_id,
    registered,
    staking,
)

from walrus_client.errors import PeerUnreachableError
from walrus_client.peers import wire
from walrus_client.peers.records import MAX_VALUE, RecordParser
from walrus_client.reasons import Reason, RequestRefused
from walrus_client.records import RawRecord, RecordKey, RecordKind
from walrus_codec.types import Axis, Epoch, NodeId, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.events.processor import EventProcessor
from walrus_node.recovery import history
from walrus_node.recovery.history import HistoryRebuilder, NoAgreementError
from walrus_node.rpc import records
from walrus_node.rpc.admission import Gate
from walrus_node.rpc.records import RecordService
from walrus_node.rpc.rules import Lane
from walrus_node.store import layout
from walrus_node.store.blob_records import ObjectInfo, ValidBlob
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.events import EpochChangeStart
from walrus_sui.types import CheckpointInfo

B, C, D = blob_id(1), blob_id(2), blob_id(3)
NAMES = {"d": 3, "b": 3, "c": 2}
"""Shards of the others; two are ours."""
LOST = NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY


def node_id(name):
    return NodeId("0x" + name * 64)


class Other:
    """A node's list, a record a page."""

    def __init__(self, *entries):
        self.entries = {key: info.to_bytes() for key, info in entries}
        self.breaks_at = None
        self.asked = 0

    async def list_records(self, checkpoint, *, timeout_s, idle_s):
        self.asked += 1
        assert checkpoint == 70
        for number, (key, value) in enumerate(sorted(self.entries.items())):
            if number == self.breaks_at:
                raise PeerUnreachableError("it", "it broke off")
            yield [RawRecord(key, value)]
        if self.breaks_at == len(self.entries):
            raise PeerUnreachableError("it", "it broke off")


class World(ChainTwin):
    """The chain at checkpoint 70 in epoch 3, and three other members."""

    async def begin(self, storage, *entries):
        self.others = {name: Other(*entries) for name in NAMES}
        members = [member(node_id(name), range(weight)) for name, weight in NAMES.items()]
        self.view = replace(staking(3, before=[8]), committee=committee(3, member(US, [8, 9]), *members))
        self.storage, self.processor = storage, EventProcessor(storage, cursor=None)
        self.rebuilder = HistoryRebuilder(
            chain=self, view=ChainView(self), peers=self, storage=storage, processor=self.processor, us=US
        )
        self.tips = iter([70, 74])
        return self

    async def again(self):
        """One more attempt, at the same checkpoint."""
        self.tips = iter([70, 74])
        await self.rebuilder.run_once()

    async def latest_checkpoint(self):
        return CheckpointInfo(next(self.tips), "digest", 7)

    def get(self, member):
        return self.others[member.node_id[-1]]

    def give(self, key, info, *names):
        for name in names:
            self.others[name].entries[key] = info.to_bytes()


def entry(number, blob=B, *, end=9, certified_epoch=2):
    key = RecordKey(RecordKind.OBJECT, layout.object_key(object_id(number)))
    epoch = None if certified_epoch is None else Epoch(certified_epoch)
    return key, ObjectInfo(blob, Epoch(1), epoch, Epoch(end), False, event_id(number))


@pytest.fixture
async def world(memory_storage):
    return await World().begin(memory_storage, entry(1), entry(2, C))


async def test_what_all_say_replaces_what_was_known(world):
    storage = world.storage
    await feed(storage, registered(D, object_id(8), 5))
    await storage.put_metadata(D, b"metadata")
    await world.rebuilder.begin()
    assert (await storage.node_state()).status is LOST
    assert "pruned" in world.rebuilder.waits_for
    cursor = await world.rebuilder.run_once()
    assert (cursor.sequence, cursor.timestamp_ms, cursor.epoch) == (70, 7, 3)
    assert await storage.cursor() == cursor == world.processor.cursor
    assert await storage.replay_until() == 74
    assert world.processor.replaying
    assert await storage.object_info(object_id(1)) == entry(1)[1]
    assert await storage.blob_info(D) is None
    assert await storage.garbage() == [D]
    assert await storage.node_state() == NodeState(LOST, Epoch(2))
    assert not world.rebuilder.waits_for
    # What the records show already comes again, harmlessly, and only so long.
    await world.processor.apply(71, 0, [(event_id(1), registered(B, object_id(1), 9))])
    await world.processor.apply(72, 0, [(event_id(2), certified(B, object_id(1), 9))])
    info = await storage.blob_info(B)
    assert isinstance(info, ValidBlob)
    assert info.permanent_total.count == 1
    for sequence in (73, 74):
        await world.processor.apply(sequence, 0, [])
    assert not world.processor.replaying
    assert EventProcessor(storage, cursor=world.processor.cursor, replay_until=74).replaying is False


async def test_one_third_of_the_shards_can_neither_invent_nor_hide_nor_change_anything(world):
    lie, truth = entry(7, D), entry(1)
    world.give(*lie, "d")
    del world.others["d"].entries[truth[0]]
    world.give(entry(2)[0], entry(2, C, end=50)[1], "d")
    await world.rebuilder.run_once()
    assert await world.storage.object_info(object_id(7)) is None
    assert await world.storage.object_info(object_id(1)) == truth[1]
    assert (await world.storage.object_info(object_id(2))).end_epoch == 9


async def test_more_than_a_third_is_believed(world):
    world.give(*entry(7, D), "d", "c")
    await world.rebuilder.run_once()
    assert (await world.storage.object_info(object_id(7))).blob_id == D


async def test_a_record_in_flux_is_asked_for_again(world):
    for name, epoch in (("d", 1), ("b", 2), ("c", None)):
        world.give(*entry(3, D, certified_epoch=epoch), name)
    with pytest.raises(NoAgreementError, match="1 records are in flux"):
        await world.rebuilder.run_once()
    assert "in flux" in world.rebuilder.waits_for
    assert await world.storage.cursor() is None
    world.give(*entry(3, D), "d", "b", "c")
    await world.again()
    assert (await world.storage.object_info(object_id(3))).certified_epoch == 2


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_without_a_quorum_nothing_is_replaced_wherever_a_list_breaks_off(world, place):
    await feed(world.storage, registered(D, object_id(8), 5))
    world.others["c"].breaks_at = place
    with pytest.raises(NoAgreementError, match=r"nodes with 6 shards answer, 7 are needed .*broke off"):
        await world.rebuilder.run_once()
    assert (await world.storage.object_info(object_id(8))).blob_id == D
    world.others["c"].breaks_at = None
    await world.again()
    assert await world.storage.object_info(object_id(8)) is None


async def test_who_tells_too_much_that_nobody_knows_is_heard_no_longer(world, monkeypatch):
    monkeypatch.setattr(history, "MAX_ALONE", 3)
    for number in range(20, 24):
        world.give(*entry(number, D), "c")
    with pytest.raises(NoAgreementError, match="3 records that nobody else knows"):
        await world.rebuilder.run_once()


async def test_values_that_cannot_be_read_count_as_told_alone(world, monkeypatch):
    monkeypatch.setattr(history, "MAX_ALONE", 1)
    world.others["d"].entries[entry(1)[0]] = b"\x07"
    await world.rebuilder.run_once()
    assert (await world.storage.object_info(object_id(1))).blob_id == B
    world.others["d"].entries[entry(2)[0]] = b"\x01"
    with pytest.raises(NoAgreementError):
        await world.again()


async def test_others_with_f_shards_or_fewer_are_not_believed(world):
    await feed(world.storage, registered(D, object_id(8), 5))
    alone = committee(3, member(US, range(7)), member(node_id("d"), range(7, 10)))
    world.view = replace(world.view, committee=alone)
    with pytest.raises(NoAgreementError, match="3 shards together, too few to be believed"):
        await world.rebuilder.run_once()
    assert "more history" in world.rebuilder.waits_for
    assert await world.storage.object_info(object_id(8)) is not None
    # One more is enough, when nobody is missing.
    world.view = replace(world.view, committee=committee(3, member(US, range(6)), member(node_id("d"), range(6, 10))))
    await world.again()
    assert await world.storage.object_info(object_id(8)) is None
    assert await world.storage.object_info(object_id(1)) is not None


async def test_before_the_first_committee_there_is_nothing_to_take_over(world):
    world.view = replace(staking(0), committee=committee(0))
    cursor = await world.rebuilder.run_once()
    assert (cursor.sequence, cursor.epoch) == (70, 0)
    assert [other.asked for other in world.others.values()] == [0, 0, 0]


async def test_an_epoch_that_begins_among_replayed_events_has_no_challenges(world):
    begun = []

    async def hook(epoch):
        begun.append(epoch)

    world.processor.at_epoch_start(hook)
    await world.rebuilder.run_once()
    for sequence, epoch in ((71, 4), (75, 5)):
        for between in range(world.processor.cursor.sequence + 1, sequence):
            await world.processor.apply(between, 0, [])
        await world.processor.apply(sequence, 0, [(event_id(sequence), EpochChangeStart(Epoch(epoch)))])
    assert begun == [5]


async def test_what_is_stored_is_counted_as_before(tmp_path):
    """The take-over queues what nobody keeps alive; counts change when the collector takes it away, not before."""
    storage = await Storage.open(tmp_path / "db")
    world = await World().begin(storage, entry(1))
    await storage.create_shards([ShardIndex(8)], ShardStatus.ACTIVE)
    for number, blob in enumerate((B, D)):
        await feed(storage, registered(blob, object_id(20 + number), 9))
        await storage.put_metadata(blob, b"metadata")
        await storage.put_sliver(SliverKey(ShardIndex(8), Axis.PRIMARY, blob), bytes(100))
    before = (storage.blobs_stored, storage.slivers_stored, storage.bytes_stored)
    assert before[:2] == (2, 2)
    await world.rebuilder.run_once()
    assert (storage.blobs_stored, storage.slivers_stored, storage.bytes_stored) == before
    for _ in range(2):
        await storage.close()
        storage = await Storage.open(tmp_path / "db")
        assert (storage.blobs_stored, storage.slivers_stored, storage.bytes_stored) == before
    assert await storage.garbage() == [D]
    assert await storage.recount() == 0
    await storage.close()


class TestParser:
    GOOD = pb.Record(kind=pb.RECORD_KIND_OBJECT, id=bytes(32), value=b"\x01")

    def test_a_list(self):
        parser = RecordParser()
        later = pb.Record(kind=pb.RECORD_KIND_INVALID, id=bytes(32), value=bytes(MAX_VALUE))
        (record,) = parser.feed(pb.ListRecordsResponse(records=[self.GOOD]))
        assert record == RawRecord(RecordKey(RecordKind.OBJECT, bytes(32)), b"\x01")
        assert len(parser.feed(pb.ListRecordsResponse(records=[later], complete=True))) == 1
        parser.finish()
        with pytest.raises(wire.MalformedAnswer):
            parser.feed(pb.ListRecordsResponse())

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": 0},
            {"kind": 5},
            {"id": bytes(31)},
            {"id": bytes(33)},
            {"value": b""},
            {"value": bytes(MAX_VALUE + 1)},
        ],
    )
    def test_what_is_no_record(self, change):
        wrong = pb.Record(**({"kind": 2, "id": bytes(32), "value": b"\x01"} | change))
        with pytest.raises(wire.MalformedAnswer):
            RecordParser().feed(pb.ListRecordsResponse(records=[wrong]))

    def test_records_come_once_and_in_order_and_to_an_end(self):
        parser = RecordParser()
        with pytest.raises(wire.MalformedAnswer, match="order"):
            parser.feed(pb.ListRecordsResponse(records=[self.GOOD, self.GOOD]))
        with pytest.raises(wire.MalformedAnswer, match="broke off"):
            parser.finish()


class TestService:
    @pytest.fixture
    async def service(self, memory_storage):
        await start_epochs(memory_storage, 1)
        await feed(memory_storage, pool_created(pool_id(1), 9), registered(B, object_id(1), 9))
        processor = EventProcessor(memory_storage, cursor=await memory_storage.cursor())
        gate = Gate(dict.fromkeys(Lane, 1 << 24))
        return RecordService(storage=memory_storage, processor=processor, gate=gate)

    @staticmethod
    async def all_of(service, checkpoint):
        return [(len(page), last) async for page, last in service.pages(checkpoint, client="c")]

    async def test_pages_until_the_last(self, service, monkeypatch):
        assert await self.all_of(service, 1) == [(2, True)]
        monkeypatch.setattr(records, "PAGE_RECORDS", 1)
        assert await self.all_of(service, 0) == [(1, False), (1, False), (0, True)]

    async def test_a_checkpoint_that_comes_is_waited_for_and_no_other(self, service):
        asked = asyncio.create_task(self.all_of(service, 2))
        await asyncio.sleep(0)
        await service._processor.apply(2, 0, [])
        assert await asked == [(2, True)]
        service._wait_s = 0
        with pytest.raises(RequestRefused, match="have not reached checkpoint 3") as refused:
            await self.all_of(service, 3)
        assert refused.value.reason is Reason.UNAVAILABLE

    async def test_a_checkpoint_far_ahead_is_refused_at_once(self, service):
        service._wait_s = 1e9
        (applied, ahead) = service._processor.cursor.sequence, records.MAX_AHEAD
        asked = asyncio.create_task(self.all_of(service, applied + ahead))
        with pytest.raises(RequestRefused, match="have not reached") as refused:
            await self.all_of(service, applied + ahead + 1)
        assert refused.value.reason is Reason.UNAVAILABLE
        assert not asked.done()
        asked.cancel()

    async def test_a_node_that_asks_itself_tells_nothing(self, service):
        await service._storage.change_epoch(NodeState(LOST, Epoch(1)), {})
        with pytest.raises(RequestRefused, match="ask others"):
            await self.all_of(service, 0)

    async def test_a_few_lists_at_a_time_and_fewer_to_one_client(self, service):
        async with contextlib.AsyncExitStack() as stack:

            async def begin(client):
                pages = await stack.enter_async_context(contextlib.aclosing(service.pages(0, client=client)))
                return await anext(pages)

            for number in range(records.MAX_LISTS):
                await begin(f"c{number // records.MAX_LISTS_OF_ONE}")
                if number == records.MAX_LISTS_OF_ONE - 1:
                    with pytest.raises(RequestRefused) as refused:
                        await begin("c0")
                    assert refused.value.reason is Reason.CACHE_SATURATED
            with pytest.raises(RequestRefused) as refused:
                await begin("another")
            assert refused.value.reason is Reason.CACHE_SATURATED
        # Lists that ended, or were left, make room.
        assert await self.all_of(service, 0) == [(2, True)]
        assert not service._lists


async def test_a_crash_leaves_the_old_records_or_the_new_ones():
    kv = MemoryStore()
    world = await World().begin(await Storage.over(kv), entry(1))
    await world.rebuilder.begin()
    before = await Storage.over(kv.crashed())
    assert ((await before.node_state()).status, await before.cursor()) == (LOST, None)
    await world.rebuilder.run_once()
    after = await Storage.over(kv.crashed())
    assert (await after.cursor()).sequence == 70
    assert await after.object_info(object_id(1)) == entry(1)[1]
    for storage in (world.storage, before, after):
        await storage.close()
