"""What is read over real gRPC and TLS, what is missing, and what is left of an invalid blob."""

import pytest
from tests.unit.node.face.world import (
    BLOB,
    ENCODED,
    EPOCH,
    FOREIGN,
    LARGE_N,
    METADATA,
    OBJECT,
    OURS,
    PAIRS,
    PERMANENT,
    N,
    World,
    all_of,
    both,
    header,
    large_blob,
    parts,
)
from tests.unit.node.worlds import (
    certified,
    object_id,
    registered,
)

from walrus_client.peers import wire
from walrus_client.reasons import Reason
from walrus_client.statuses import Invalid, Nonexistent, PermanentBlob
from walrus_codec import mapping
from walrus_codec.metadata import BlobMetadata
from walrus_codec.types import Axis, Epoch
from walrus_node.store.storage import SliverKey
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.events import InvalidBlobId


async def refuse_everything(world, **left):
    """Every call about the blob is refused as INVALID_BLOB, with the event that says so."""
    stub, head_ = world.stub, pb.StoreSliverHeader(blob_id=BLOB, epoch=EPOCH)
    query = pb.RecoveryQuery(blob_id=BLOB, target_axis=pb.AXIS_PRIMARY, target_pairs=[0], source_pairs=[1])
    calls = [
        world.store(header(), *parts(both(PAIRS))),
        stub.StoreMetadata(pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH)),
        stub.StoreSliver(iter([pb.StoreSliverRequest(header=head_)])),
        stub.GetConfirmation(pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)),
        stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB)),
        all_of(stub.GetSlivers(pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY))),
        all_of(stub.GetRecoverySymbols(pb.GetRecoverySymbolsRequest(body=query.SerializeToString()))),
        stub.SubmitInconsistencyProof(
            pb.SubmitInconsistencyProofRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY, proof=b"x")
        ),
    ]
    for call in calls:
        refusal = await world.refuses(call, **left)
        assert refusal.reason is Reason.INVALID_BLOB
        assert refusal.metadata["tx_digest"] == "t1"


class TestReads:
    @pytest.fixture
    async def filled(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        return world

    @staticmethod
    async def slivers(world, axis=Axis.PRIMARY, pairs=(), blob=BLOB):
        found, missing, current = {}, {}, None
        request = pb.GetSliversRequest(blob_id=blob, axis=wire.axis_to_pb(axis), pair_indices=pairs)
        async for part in world.stub.GetSlivers(request, timeout=20):
            match part.WhichOneof("part"):
                case "sliver":
                    current = part.sliver
                    found[current.pair_index] = b""
                case "data":
                    found[current.pair_index] += part.data
                case "missing":
                    missing[part.missing.pair_index] = part.missing.reason
        return found, missing

    async def test_metadata_come_back(self, filled):
        answer = await filled.stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB))
        assert BlobMetadata.from_bcs(answer.metadata) == ENCODED.metadata

    async def test_all_slivers_of_an_axis_come_back(self, filled):
        for axis in Axis:
            found, missing = await self.slivers(filled, axis)
            wanted = {pair.index: bytes(getattr(pair, axis.value).data) for pair in PAIRS}
            assert (found, missing) == (wanted, {})

    async def test_wanted_pairs_come_in_order_and_missing_ones_say_why(self, filled):
        pairs = [PAIRS[2].index, FOREIGN.index, PAIRS[0].index]
        found, missing = await self.slivers(filled, pairs=pairs)
        assert list(found) == [PAIRS[2].index, PAIRS[0].index]
        assert missing == {FOREIGN.index: Reason.SHARD_NOT_ASSIGNED}

    async def test_a_sliver_that_never_came_is_missing(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS[1:])))
        _found, missing = await self.slivers(world)
        assert missing == {PAIRS[0].index: Reason.SLIVER_NOT_FOUND}

    async def test_what_is_no_sliver_any_more_is_missing_and_the_rest_is_served(self, filled):
        pair = PAIRS[0]
        key = SliverKey(mapping.shard_of_pair(pair.index, BLOB, N), Axis.PRIMARY, BLOB)
        rotten = b"\xff" + pair.primary.to_bcs()[1:]
        await filled.storage._write(lambda: filled.storage._shards.put(key, rotten))
        found, missing = await self.slivers(filled)
        assert missing == {pair.index: Reason.SLIVER_NOT_FOUND}
        assert set(found) == {other.index for other in PAIRS[1:]}

    async def test_large_slivers_come_in_chunks(self, storage, tmp_path):
        encoded, pairs = large_blob()
        world = await World(storage, tmp_path, n_shards=LARGE_N).start()
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        await world.store(header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs()), *parts(both(pairs)))
        found, _ = await self.slivers(world, blob=encoded.blob_id)
        assert found == {pair.index: bytes(pair.primary.data) for pair in pairs}
        await world.stop()

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"blob": bytes(32)}, Reason.METADATA_NOT_FOUND),
            ({"blob": b"x"}, Reason.MALFORMED_REQUEST),
            ({"pairs": [N]}, Reason.INDEX_OUT_OF_RANGE),
            ({"pairs": [0, 1, 0]}, Reason.MALFORMED_REQUEST),
        ],
    )
    async def test_reads_that_are_refused(self, filled, options, reason):
        refusal = await filled.refuses(self.slivers(filled, **options), left=8, metadata=True)
        assert refusal.reason is reason

    async def test_an_axis_must_be_named(self, filled):
        async def read():
            return [part async for part in filled.stub.GetSlivers(pb.GetSliversRequest(blob_id=BLOB))]

        assert (await filled.refuses(read(), left=8, metadata=True)).reason is Reason.MALFORMED_REQUEST

    async def test_an_invalid_blob_is_refused_by_every_call_before_and_after_it_is_collected(self, filled):
        await filled.events(InvalidBlobId(Epoch(1), BLOB))
        await refuse_everything(filled, left=8, metadata=True)
        await filled.storage.collect(await filled.storage.garbage())
        await refuse_everything(filled)
        # A registration, also a certified one, brings nothing back.
        again = object_id(2)
        await filled.events(registered(BLOB, again, 9), certified(BLOB, again, 9))
        await refuse_everything(filled)
        status = wire.status_from_pb(await filled.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB)))
        assert isinstance(status, Invalid)

    async def test_reads_go_on_without_the_chain(self, filled):
        filled.chain.down = True
        filled.view.reachable = False
        found, _ = await self.slivers(filled)
        assert len(found) == len(OURS)
        info = await filled.stub.GetInfo(pb.GetInfoRequest())
        assert not info.chain_reachable

    async def test_the_status_is_told(self, filled):
        answer = await filled.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB))
        status = wire.status_from_pb(answer)
        assert isinstance(status, PermanentBlob)
        assert (status.end_epoch, status.is_certified) == (9, False)
        unknown = await filled.stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=bytes(32)))
        assert wire.status_from_pb(unknown) == Nonexistent()
