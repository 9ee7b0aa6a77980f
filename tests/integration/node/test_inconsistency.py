"""A client that encodes wrongly, in each place where it can: the blob ends invalid on chain, or all readers agree on it."""

import asyncio
import os
import random
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc.aio
import pytest
from tests.integration.node.world import N_SHARDS, StoredBlob, until

from walrus_client.committee import CommitteeTracker
from walrus_client.compute import Compute
from walrus_client.errors import BlobInvalidError
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import PeerPool, wire
from walrus_client.read import ConsistencyCheck, Reader
from walrus_client.reasons import Reason
from walrus_client.statuses import Invalid, PermanentBlob
from walrus_codec import mapping, merkle, redstuff
from walrus_codec.backend import backend_for
from walrus_codec.params import CodeParams
from walrus_codec.types import Axis, EncodingType
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui.types import NewBlob

pytestmark = pytest.mark.timeout(500)

PARAMS = CodeParams(N_SHARDS, EncodingType.ISAL)
SIZE = 20_000
HASHES = [(Axis.PRIMARY, 5), (Axis.SECONDARY, 5)]
"""Pairs whose hash of one axis is not that of the sliver."""
SYMBOLS = {
    "source symbol of a systematic row": (Axis.PRIMARY, 1),
    "symbol of a parity row": (Axis.PRIMARY, 8),
    "source symbol of a systematic column": (Axis.SECONDARY, 7),
    "symbol of a parity column": (Axis.SECONDARY, 1),
}
"""Pairs whose sliver of one axis has a foreign symbol, to which its hash commits; columns are counted from behind."""


@pytest.fixture(scope="module")
def network(make_network):
    return make_network(4, seed="inconsistency", epoch_duration="10m")


def wrong(encoded, hashes, pairs=None):
    """The blob that a writer makes of these hashes, with the id that follows from them."""
    metadata = replace(encoded.metadata, hashes=tuple(hashes))
    return redstuff.EncodedBlob(metadata.blob_id(), metadata, pairs or encoded.pairs)


def with_wrong_hash(content, axis, pair):
    encoded = redstuff.encode(content, PARAMS)
    hashes = list(encoded.metadata.hashes)
    hashes[pair] = replace(hashes[pair], **{axis.value: os.urandom(32)})
    return wrong(encoded, hashes)


def with_wrong_symbol(content, axis, pair):
    """Changes one byte of a sliver, and commits to the sliver that comes out: whoever stores it finds nothing wrong."""
    encoded = redstuff.encode(content, PARAMS)
    sliver = getattr(encoded.pairs[pair], axis.value)
    foreign = replace(sliver, data=bytes([sliver.data[0] ^ 1, *sliver.data[1:]]))
    leaves = backend_for(PARAMS).expand(axis, foreign.data, foreign.symbol_size, []).leaves
    hashes, pairs = list(encoded.metadata.hashes), list(encoded.pairs)
    hashes[pair] = replace(hashes[pair], **{axis.value: merkle.levels(leaves)[-1]})
    pairs[pair] = replace(pairs[pair], **{axis.value: foreign})
    return wrong(encoded, hashes, tuple(pairs))


def with_wrong_length(content):
    """Metadata that tell of fewer bytes than were encoded, in symbols of the same size."""
    encoded = redstuff.encode(content, PARAMS)
    metadata = replace(encoded.metadata, unencoded_length=len(content) - 2)
    assert PARAMS.symbol_size(metadata.unencoded_length) == PARAMS.symbol_size(len(content))
    return redstuff.EncodedBlob(metadata.blob_id(), metadata, encoded.pairs)


async def register(network, chain, encoded):
    length = encoded.metadata.unencoded_length
    size = PARAMS.encoded_length(length)
    new = NewBlob(encoded.blob_id, encoded.metadata.root(), length, size, int(EncodingType.ISAL), deletable=False)
    (made,) = await chain.reserve_and_register(network.treasury, [new], epochs_ahead=5)
    return StoredBlob(b"", encoded, made.object_id)


def split(network, view, blob, pair):
    """The node that keeps a pair, and the others; they are a quorum."""
    holder = view.committee.member_of_shard(mapping.shard_of_pair(pair, blob.blob_id, N_SHARDS)).node_id
    (victim,) = [node for node in network.nodes if node.info["node_id"] == holder]
    return victim, [node for node in network.nodes if node is not victim]


async def status(node, blob):
    async with node.stub() as stub:
        answer = await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=blob.blob_id), timeout=30)
    return wire.status_from_pb(answer)


async def until_invalid(network, blob):
    async with asyncio.timeout(120):
        for node in network.nodes:
            while not isinstance(await status(node, blob), Invalid):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.2)


class Seen:
    """The chain as a reader sees it who cannot reach one of the nodes."""

    def __init__(self, chain, unreachable):
        self._chain, self._unreachable = chain, unreachable

    async def staking(self):
        view = await self._chain.staking()
        members = tuple(
            replace(member, grpc_address="127.0.0.1:1") if member.name == self._unreachable else member
            for member in view.committee.members
        )
        return replace(view, committee=replace(view.committee, members=members))


@asynccontextmanager
async def reader(chain, unreachable=None):
    compute = Compute(inline_limit_s=float("inf"))
    async with PeerPool() as peers:
        yield Reader(CommitteeTracker(Seen(chain, unreachable)), peers, compute, rng=random.Random(5))
    await compute.close()


async def outcomes(network, chain, blob, check):
    """What readers get who can reach all nodes, and who can reach all but one; None is "it has no content"."""
    found = []
    for unreachable in (None, *(node.name for node in network.nodes)):
        async with reader(chain, unreachable) as each:
            try:
                found.append((await each.read(blob.blob_id, check=check)).data)
            except BlobInvalidError:
                found.append(None)
    return found


async def test_wherever_a_writer_lies_a_node_that_recovers_proves_it_and_the_blob_is_dead_for_ever(network):
    async with network.chain() as chain:
        view = await chain.staking()
        blobs = {}
        for axis, pair in HASHES:
            blob = await register(network, chain, with_wrong_hash(os.urandom(SIZE), axis, pair))
            victim, others = split(network, view, blob, pair)
            # The holder refuses the sliver; all others confirm what is good as far as they can see.
            answer = await network.upload(victim, view, blob)
            assert answer.WhichOneof("outcome") == "refusal"
            assert [(entry.pair_index, entry.reason) for entry in answer.slivers] == [(pair, Reason.INVALID_SLIVER)]
            await network._certify(chain, view, blob, others)
            blobs[f"{axis.value} hash"] = blob, victim
        for place, (axis, pair) in SYMBOLS.items():
            blob = await register(network, chain, with_wrong_symbol(os.urandom(SIZE), axis, pair))
            # The holder gets nothing: it would store the sliver and never know.
            victim, others = split(network, view, blob, pair)
            await network._certify(chain, view, blob, others)
            blobs[place] = blob, victim
        for place, (blob, victim) in blobs.items():
            await until_invalid(network, blob)
            told = any("the chain knows of a badly encoded blob" in node.log.read_text() for node in network.nodes)
            assert told, f"{place}: {victim.name}"
        await asyncio.to_thread(
            until, "nobody tries any more", lambda: not any(n.info["recovery"]["blobs_pending"] for n in network.nodes)
        )
        for node in network.nodes:
            await asyncio.to_thread(
                until, "their data are gone", lambda n=node: not n.info["slivers_stored"] and not n.info["blobs_stored"]
            )
        for blob, _victim in blobs.values():
            for check in ConsistencyCheck:
                async with reader(chain) as each:
                    with pytest.raises(BlobInvalidError):
                        await each.read(blob.blob_id, check=check)
        # A new registration of the same id brings nothing back.
        again = await register(network, chain, blob.encoded)
        for node in network.nodes:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await network.upload(node, view, again)
            assert refusal_of(raised.value).reason is Reason.INVALID_BLOB
            assert isinstance(await status(node, again), Invalid)


async def test_a_wrong_encoding_that_no_node_had_to_recover_gives_strict_readers_nothing_and_others_one_content(
    network,
):
    content = os.urandom(SIZE)
    async with network.chain() as chain:
        view = await chain.staking()
        blobs = [await register(network, chain, with_wrong_symbol(content, *place)) for place in SYMBOLS.values()]
        blobs.append(await register(network, chain, with_wrong_length(content)))
        for blob in blobs:
            await network._certify(chain, view, blob, network.nodes)
        for blob in blobs:
            assert set(await outcomes(network, chain, blob, ConsistencyCheck.STRICT)) == {None}
            default = set(await outcomes(network, chain, blob, ConsistencyCheck.DEFAULT))
            assert len(default - {None}) <= 1, "no two readers get different bytes"
            assert isinstance(await status(network.nodes[0], blob), PermanentBlob)


async def test_metadata_that_do_not_give_the_blob_id_are_stored_by_nobody(network):
    honest = redstuff.encode(os.urandom(SIZE), PARAMS)
    async with network.chain() as chain:
        view = await chain.staking()
        blob = await register(network, chain, honest)
        hashes = list(honest.metadata.hashes)
        hashes[0], hashes[1] = hashes[1], hashes[0]
        fewer = replace(honest.metadata, hashes=honest.metadata.hashes[:-1])
        for metadata in (
            replace(honest.metadata, hashes=tuple(hashes)),
            replace(honest.metadata, unencoded_length=SIZE + 1),
            fewer,
        ):
            lie = StoredBlob(b"", replace(honest, metadata=metadata), blob.object_id)
            for node in network.nodes:
                before = node.info["slivers_stored"]
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await network.upload(node, view, lie)
                assert refusal_of(raised.value).reason is Reason.INVALID_METADATA
                assert node.info["slivers_stored"] == before
