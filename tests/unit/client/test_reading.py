"""Reads over fakes that misbehave: what f shards of nodes do must not matter, more must be told."""

import asyncio
from dataclasses import replace

import pytest
from tests.unit.client.conftest import World
from tests.unit.client.storing import BLOB, EVENT, stored
from tests.unit.client.worlds import node_id

from walrus_client.committee import CommitteeTracker
from walrus_client.errors import (
    BlobInvalidError,
    BlobNotFoundError,
    BlobUnavailableError,
    CommitteeUnknownError,
)
from walrus_client.read import BlobStream, ConsistencyCheck, Reader, streaming
from walrus_client.statuses import DeletableCounts, Nonexistent, PermanentBlob
from walrus_codec import redstuff
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, BlobId, EncodingType, Epoch, ObjectId, PairIndex
from walrus_sui.errors import ChainUnreachable
from walrus_sui.events import BlobCertified, EventId
from walrus_sui.types import StakingView


async def streamed(blob: BlobStream) -> bytes:
    """All pieces of a stream, each of which must be as long as it may be."""
    found = [bytes(piece) async for piece in blob]
    assert sum(map(len, found)) == blob.length
    assert all(0 < len(piece) <= streaming.PIECE for piece in found)
    return b"".join(found)


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
