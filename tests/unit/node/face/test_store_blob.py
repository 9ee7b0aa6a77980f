"""Uploads in one stream over real gRPC and TLS: what is stored, and what of it is refused."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.node.face.world import (
    CONTENT,
    FOREIGN,
    LARGE_N,
    OBJECT,
    OURS,
    PAIRS,
    N,
    World,
    both,
    head,
    header,
    large_blob,
    parts,
    verified,
)
from tests.unit.node.worlds import (
    registered,
)

from walrus_client.reasons import Reason
from walrus_codec import mapping, redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import EncodingType, ShardIndex
from walrus_proto.node.v1 import node_pb2 as pb


class TestStoreBlob:
    async def test_one_stream_stores_all_and_is_confirmed(self, world):
        await world.register()
        answer = await world.store(header(), *parts(both(PAIRS)))
        assert verified(answer.confirmation)
        assert (answer.stored, list(answer.slivers)) == (8, [])
        assert (world.storage.slivers_stored, world.storage.blobs_stored) == (8, 1)

    async def test_a_second_time_nothing_is_stored_and_it_is_confirmed_again(self, world):
        await world.register()
        await world.store(header(), *parts(both(PAIRS)))
        again = await world.store(header(), *parts(both(PAIRS)))
        assert again.stored == 0
        assert verified(again.confirmation)
        without_slivers = await world.store(header())
        assert verified(without_slivers.confirmation)

    async def test_it_waits_for_the_registration(self, world, running):
        call = running(world.store(header(), *parts(both(PAIRS))))
        await asyncio.sleep(0.05)
        await world.register()
        assert verified((await call).confirmation)

    async def test_missing_slivers_are_told_and_the_others_kept(self, world):
        await world.register()
        answer = await world.store(header(), *parts(both(PAIRS)[:-1]))
        assert answer.refusal.reason == Reason.MISSING_SLIVERS
        assert answer.stored == 7
        assert verified((await world.store(header(), *parts(both(PAIRS)[-1:]))).confirmation)

    async def test_a_corrupt_sliver_is_refused_and_the_others_kept(self, world):
        await world.register()
        slivers = both(PAIRS)
        pair, good = slivers[3]
        bad = bytearray(good.data)
        bad[-1] ^= 1
        slivers[3] = (pair, replace(good, data=bytes(bad)))
        answer = await world.store(header(), *parts(slivers))
        assert answer.refusal.reason == Reason.MISSING_SLIVERS
        (refused,) = answer.slivers
        assert (refused.reason, refused.pair_index, refused.axis) == (Reason.INVALID_SLIVER, pair, pb.AXIS_SECONDARY)
        assert world.storage.slivers_stored == 7
        assert verified((await world.store(header(), *parts([(pair, good)]))).confirmation)

    async def test_foreign_slivers_are_refused_and_do_not_hinder(self, world):
        await world.register()
        answer = await world.store(header(), *parts(both([FOREIGN, *PAIRS])))
        assert [entry.reason for entry in answer.slivers] == [Reason.SHARD_NOT_ASSIGNED] * 2
        assert verified(answer.confirmation)
        assert world.storage.slivers_stored == 8

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"pair_index": N}, Reason.INDEX_OUT_OF_RANGE),
            ({"pair_index": 2**32 - 1}, Reason.INDEX_OUT_OF_RANGE),
            ({"sliver_index": (PAIRS[0].primary.index + 1) % N}, Reason.SLIVER_INDEX_MISMATCH),
            ({"symbol_size": PAIRS[0].primary.symbol_size * 2}, Reason.INVALID_SLIVER),
        ],
    )
    async def test_heads_that_do_not_fit_refuse_their_sliver_only(self, world, changes, reason):
        await world.register()
        sliver = PAIRS[0].primary
        wrong = head(PAIRS[0].index, sliver, **changes)
        answer = await world.store(
            header(),
            pb.StoreBlobRequest(sliver=wrong),
            pb.StoreBlobRequest(data=bytes(sliver.data)),
            *parts(both(PAIRS)),
        )
        assert [entry.reason for entry in answer.slivers] == [reason]
        assert verified(answer.confirmation)

    async def test_a_sliver_that_is_too_short_is_refused(self, world):
        await world.register()
        sliver = PAIRS[0].primary
        short = pb.StoreBlobRequest(sliver=head(PAIRS[0].index, sliver, size=2))
        answer = await world.store(header(), short, pb.StoreBlobRequest(data=b"ab"))
        assert [entry.reason for entry in answer.slivers] == [Reason.INVALID_SLIVER]
        assert world.storage.slivers_stored == 0

    async def test_a_sliver_that_is_too_large_ends_the_stream_before_its_data(self, world):
        await world.register()
        large = pb.StoreBlobRequest(sliver=head(PAIRS[0].index, PAIRS[0].primary, size=2**60))
        refusal = await world.refuses(world.store(header(), large), metadata=True)
        assert refusal.reason is Reason.SLIVER_TOO_LARGE
        assert refusal.metadata == {"limit": str(len(PAIRS[0].primary.data))}

    async def test_the_same_sliver_twice_in_one_stream_is_stored_once(self, world):
        await world.register()
        slivers = both(PAIRS)
        answer = await world.store(header(), *parts([*slivers, slivers[0]]))
        assert answer.stored == 8
        assert verified(answer.confirmation)

    async def test_large_blobs_arrive_in_batches(self, storage, tmp_path):
        encoded, pairs = large_blob()
        world = await World(storage, tmp_path, n_shards=LARGE_N).start()
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        answer = await world.store(first, *parts(both(pairs)))
        assert answer.WhichOneof("outcome") == "confirmation"
        assert answer.stored == 8
        await world.stop()

    @pytest.mark.parametrize("size", [0, 1, 444])
    async def test_small_blobs(self, world, size):
        encoded = redstuff.encode(bytes(size), CodeParams(N, EncodingType.ISAL))
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        pairs = [encoded.pairs[mapping.pair_of_shard(ShardIndex(shard), encoded.blob_id, N)] for shard in OURS]
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        assert (await world.store(first, *parts(both(pairs)))).stored == 8

    async def test_the_official_code_is_taken_too(self, world):
        encoded = redstuff.encode(CONTENT, CodeParams(N, EncodingType.RS2))
        await world.events(registered(encoded.blob_id, OBJECT, 9))
        pairs = [encoded.pairs[mapping.pair_of_shard(ShardIndex(shard), encoded.blob_id, N)] for shard in OURS]
        first = header(blob_id=encoded.blob_id, metadata=encoded.metadata.to_bcs())
        assert (await world.store(first, *parts(both(pairs)))).stored == 8
