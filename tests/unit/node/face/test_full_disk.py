"""A disk that is full, slow or failing, as those who store blobs see it."""

import asyncio
import threading

from tests.unit.node.face.world import BLOB, EPOCH, METADATA, OURS, PAIRS, PERMANENT, both, header, parts, verified
from tests.unit.node.worlds import (
    object_id,
    registered,
)

from walrus_client.reasons import Reason
from walrus_node.errors import DiskError
from walrus_proto.node.v1 import node_pb2 as pb


class TestTheDisk:
    async def test_a_full_node_refuses_before_it_takes_bytes_and_confirms_what_it_has(self, world):
        await world.register()
        uploads = {"whole": parts(both(PAIRS)), "nothing": []}
        world.free = (1 << 20) - 1
        for slivers in uploads.values():
            refusal = await world.refuses(world.store(header(), *slivers))
            assert refusal.reason is Reason.UNAVAILABLE
            assert refusal.metadata == {"condition": "DISK_NEARLY_FULL"}
            assert refusal.retry_after_s == 30
        answer = await world.stub.GetInfo(pb.GetInfoRequest())
        assert answer.storage.condition == "DISK_NEARLY_FULL"
        assert "larger volume" in answer.storage.message
        assert answer.storage.disk_free == world.free
        world.free = 1 << 40
        assert (await world.store(header(), *parts(both(PAIRS[:1])))).refusal.reason == Reason.MISSING_SLIVERS
        world.free = 0
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), left=2, metadata=True)
        assert refusal.metadata == {"condition": "DISK_NEARLY_FULL"}
        request = pb.StoreSliverHeader(blob_id=BLOB, epoch=EPOCH)
        call = world.stub.StoreSliver(iter([pb.StoreSliverRequest(header=request)]), timeout=20)
        assert (await world.refuses(call, left=2, metadata=True)).reason is Reason.UNAVAILABLE
        world.free = 1 << 40
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation)
        world.free = 0
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation), "it has all of it"
        assert (await world.stub.GetInfo(pb.GetInfoRequest())).storage.bytes_stored == world.storage.bytes_stored

    async def test_a_node_stores_no_more_than_it_offers(self, world):
        await world.register()
        size = len(METADATA) + sum(len(sliver.data) for _pair, sliver in both(PAIRS))
        world.room._capacity = size - 1
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))))
        assert refusal.metadata == {"condition": "CAPACITY_REACHED"}
        assert "node_capacity" in refusal.message
        world.room._capacity = size
        assert verified((await world.store(header(), *parts(both(PAIRS)))).confirmation)

    async def test_a_disk_that_fails_before_the_confirmation(self, world, monkeypatch):
        await world.register()

        def refuse():
            raise DiskError("cannot sync: No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(world.storage._kv, "sync", refuse)
            refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), left=8, metadata=True)
            assert refusal.reason is Reason.UNAVAILABLE
            assert refusal.metadata == {"condition": "DISK_FAILING"}
            assert "No space" in refusal.message
        confirm = pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)
        assert verified((await world.stub.GetConfirmation(confirm)).confirmation)

    async def test_a_slow_disk_delays_confirmations_and_nothing_else(self, world, monkeypatch, running):
        await world.register()
        reached, go, sync = threading.Event(), threading.Event(), world.storage._kv.sync

        def slowly():
            reached.set()
            assert go.wait(20)
            sync()

        monkeypatch.setattr(world.storage._kv, "sync", slowly)
        stores = [running(world.store(header(), *parts(both(PAIRS)))) for _ in range(5)]
        await asyncio.to_thread(reached.wait, 20)
        assert (await world.stub.GetInfo(pb.GetInfoRequest(), timeout=20)).slivers_stored == 8
        before = world.processor.cursor.sequence
        await world.events(registered(BLOB, object_id(7), 9))
        assert world.processor.cursor.sequence == before + 1, "the chain is followed"
        request = pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY)
        assert len([part async for part in world.stub.GetSlivers(request, timeout=20)]) == 2 * len(OURS)
        assert not any(store.done() for store in stores)
        go.set()
        assert all(verified(answer.confirmation) for answer in await asyncio.gather(*stores))

    async def test_a_fault_of_the_node_is_named_as_such(self, world, monkeypatch):
        async def broken(*_):
            raise OSError("no space left on device")

        await world.register()
        monkeypatch.setattr(world.storage, "put_slivers", broken)
        refusal = await world.refuses(world.store(header(), *parts(both(PAIRS))), metadata=True)
        assert refusal.reason is Reason.INTERNAL_ERROR
        assert "space" not in refusal.message
