"""Metadata, slivers and confirmation one by one, for retries and foreign clients."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.node.face.world import (
    BLOB,
    EPOCH,
    FOREIGN,
    METADATA,
    OBJECT,
    OURS,
    PAIRS,
    N,
    World,
    both,
    head,
    header,
    parts,
    verified,
)
from tests.unit.node.worlds import (
    object_id,
    pool_created,
    pool_id,
    pooled,
    pooled_deleted,
    registered,
    staking,
)

from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_codec.types import Epoch, ShardIndex
from walrus_node.store.records import ShardStatus
from walrus_node.store.storage import Storage
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.events import BlobDeleted
from walrus_sui.messages import Deletable, Permanent

POOL = pool_id(1)


class TestSmallSteps:
    async def test_metadata_slivers_confirmation_one_by_one(self, world):
        await world.register()
        request = pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH)
        assert not (await world.stub.StoreMetadata(request)).already_stored
        assert (await world.stub.StoreMetadata(request)).already_stored
        for pair, sliver in both(PAIRS):
            assert not (await self.store_sliver(world, pair, sliver)).already_stored
        assert (await self.store_sliver(world, *both(PAIRS)[0])).already_stored
        assert verified((await self.confirm(world)).confirmation)

    @staticmethod
    async def store_sliver(world, pair, sliver, *, epoch=EPOCH, blob=BLOB, **changes):
        def requests():
            yield pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=blob, epoch=epoch))
            yield pb.StoreSliverRequest(sliver=head(pair, sliver, **changes))
            yield pb.StoreSliverRequest(data=bytes(sliver.data))

        return await world.stub.StoreSliver(requests(), timeout=20)

    @staticmethod
    async def confirm(world, persistence=Permanent(), *, epoch=EPOCH, wait_ms=0, blob=BLOB):  # noqa: B008
        request = pb.GetConfirmationRequest(
            blob_id=blob, persistence=wire.persistence_to_pb(persistence), epoch=epoch, wait_millis=wait_ms
        )
        return await world.stub.GetConfirmation(request, timeout=20)

    async def put_metadata(self, world):
        await world.register()
        await world.stub.StoreMetadata(pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH))

    async def test_metadata_of_an_unregistered_blob(self, world):
        request = pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH)
        assert (await world.refuses(world.stub.StoreMetadata(request))).reason is Reason.NOT_REGISTERED

    async def test_a_sliver_before_its_metadata(self, world):
        await world.register()
        refusal = await world.refuses(self.store_sliver(world, *both(PAIRS)[0]))
        assert refusal.reason is Reason.METADATA_NOT_FOUND

    @pytest.mark.parametrize(
        ("sliver", "changes", "reason"),
        [
            (both(PAIRS)[0], {"pair_index": N}, Reason.INDEX_OUT_OF_RANGE),
            (both(PAIRS)[0], {"sliver_index": N}, Reason.SLIVER_INDEX_MISMATCH),
            (both([FOREIGN])[0], {}, Reason.SHARD_NOT_ASSIGNED),
            (both(PAIRS)[0], {"size": 10**6}, Reason.SLIVER_TOO_LARGE),
            (both(PAIRS)[0], {"symbol_size": 2}, Reason.INVALID_SLIVER),
            (
                (PAIRS[0].index, replace(PAIRS[0].primary, data=bytes(len(PAIRS[0].primary.data)))),
                {},
                Reason.INVALID_SLIVER,
            ),
            (both(PAIRS)[0], {"epoch": 5}, Reason.INVALID_EPOCH),
            (both(PAIRS)[0], {"blob": b"x"}, Reason.MALFORMED_REQUEST),
        ],
    )
    async def test_slivers_that_are_refused(self, world, sliver, changes, reason):
        await self.put_metadata(world)
        refusal = await world.refuses(self.store_sliver(world, *sliver, **changes), metadata=True)
        assert refusal.reason is reason

    async def test_a_locked_shard_takes_nothing(self, world):
        await self.put_metadata(world)
        world.chain.view = staking(EPOCH, ours=OURS[1:])
        await world.view.refresh()
        await world.storage.create_shards([ShardIndex(OURS[0])], ShardStatus.LOCKED_TO_MOVE)
        refusal = await world.refuses(self.store_sliver(world, *both(PAIRS)[0]), metadata=True)
        assert refusal.reason is Reason.SHARD_NOT_ASSIGNED

    async def test_a_sliver_stream_without_data(self, world):
        await self.put_metadata(world)
        requests = [
            pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=BLOB, epoch=EPOCH)),
            pb.StoreSliverRequest(sliver=head(*both(PAIRS)[0])),
        ]
        for count in range(3):
            refusal = await world.refuses(world.stub.StoreSliver(iter(requests[:count]), timeout=5), metadata=True)
            assert refusal.reason is Reason.MALFORMED_REQUEST

    async def test_confirmations_that_are_refused(self, world):
        assert (await world.refuses(self.confirm(world))).reason is Reason.NOT_REGISTERED
        await world.register()
        assert (await world.refuses(self.confirm(world))).reason is Reason.MISSING_SLIVERS
        assert (await world.refuses(self.confirm(world, epoch=4))).reason is Reason.INVALID_EPOCH
        assert (await world.refuses(self.confirm(world, blob=b""))).reason is Reason.MALFORMED_REQUEST
        world.chain.view = staking(EPOCH, ours=[])
        await world.view.refresh()
        assert (await world.refuses(self.confirm(world))).reason is Reason.SHARD_NOT_ASSIGNED

    async def test_a_confirmation_waits_for_the_registration(self, world, running):
        waiting = running(self.confirm(world, wait_ms=10_000))
        await asyncio.sleep(0.02)
        await world.register()
        assert (await world.refuses(waiting)).reason is Reason.MISSING_SLIVERS

    async def test_deletable_blobs_need_their_object(self, world):
        await world.register(deletable=True)
        await world.store(header(), *parts(both(PAIRS)))
        ours = Deletable(OBJECT)
        assert verified((await self.confirm(world, ours)).confirmation, ours)
        refusal = await world.refuses(self.confirm(world, Deletable(object_id(2))), left=8, metadata=True)
        assert refusal.reason is Reason.NOT_REGISTERED
        await world.events(registered(BLOB, object_id(3), 9), BlobDeleted(Epoch(1), BLOB, Epoch(9), OBJECT, False))
        refusal = await world.refuses(self.confirm(world, ours), left=8, metadata=True)
        assert refusal.reason is Reason.NOT_REGISTERED
        assert verified((await self.confirm(world)).confirmation)

    async def test_pooled_deletable_blobs_need_their_object_too(self, world):
        await world.events(pool_created(POOL, 9), pooled(BLOB, OBJECT, POOL))
        await world.store(header(), *parts(both(PAIRS)))
        ours = Deletable(OBJECT)
        assert verified((await self.confirm(world, ours)).confirmation, ours)
        await world.events(pooled(BLOB, object_id(3), POOL, deletable=False), pooled_deleted(BLOB, OBJECT, POOL))
        for number in (1, 3):
            refusal = await world.refuses(self.confirm(world, Deletable(object_id(number))), left=8, metadata=True)
            assert refusal.reason is Reason.NOT_REGISTERED

    async def test_the_newest_committee_counts_also_when_events_lag(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        world.chain.view = staking(EPOCH + 1, ours=[*OURS, 8], before=OURS)
        await world.view.refresh()
        refusal = await world.refuses(self.confirm(world, epoch=EPOCH), left=8, metadata=True)
        assert refusal.reason is Reason.INVALID_EPOCH
        refusal = await world.refuses(self.confirm(world, epoch=EPOCH + 1), left=8, metadata=True)
        assert (refusal.reason, refusal.metadata) == (Reason.MISSING_SLIVERS, {"missing": "2"})
        world.chain.view = staking(EPOCH + 1, ours=OURS[:2], before=OURS)
        await world.view.refresh()
        assert verified((await self.confirm(world, epoch=EPOCH + 1)).confirmation, epoch=EPOCH + 1)

    async def test_what_is_confirmed_is_durable(self, tmp_path):
        from walrus_node.store.memory import MemoryStore  # noqa: PLC0415 - only here the twin's crash is needed

        kv = MemoryStore()
        world = await World(await Storage.over(kv), tmp_path).start()
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        after = await Storage.over(kv.crashed())
        assert await after.missing(BLOB, [ShardIndex(shard) for shard in OURS]) == []
        assert await after.metadata(BLOB) == METADATA
        await world.stop()
