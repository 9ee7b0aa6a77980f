"""Symbols and judgements over real gRPC: who gets them, what is refused, and that nothing false is handed out."""

import asyncio
import contextlib
import functools
from dataclasses import replace

import grpc.aio
import pytest
from tests.unit.node.face.world import BLOB, ENCODED, EPOCH, KEY, OURS, PAIRS, N, World, both, header, parts
from tests.unit.node.worlds import US, committee, member, object_id, registered, staking

from walrus_client.grpc_errors import refusal_of
from walrus_client.peers import wire
from walrus_client.peers.signing import RequestSigner
from walrus_client.peers.symbols import ExpectedSymbols, SymbolParser
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec import mapping, recovery
from walrus_codec.params import CodeParams
from walrus_codec.recovery import InconsistencyProof
from walrus_codec.types import Axis, EncodingType, Epoch, NodeId, ShardIndex, SliverIndex
from walrus_node.rpc.envelopes import MAX_SKEW_MS, NONCE_MEMORY_MS, NonceMemory
from walrus_node.rpc.rules import Lane
from walrus_node.rpc.symbols import StrangersLast
from walrus_node.store.storage import SliverKey
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import bls, messages
from walrus_sui.events import InvalidBlobId
from walrus_sui.keys import BlsKey

PARAMS = CodeParams(N, EncodingType.ISAL)
OTHER = NodeId("0x" + "07" * 32)
OTHERS_KEY = BlsKey.generate()
OTHERS = range(len(OURS), N)
SYMBOL = PARAMS.symbol_size(ENCODED.metadata.unencoded_length)


def pair_of(shard):
    return mapping.pair_of_shard(ShardIndex(shard), BLOB, N)


def expected(axis=Axis.PRIMARY, targets=OTHERS, sources=OURS):
    wanted, given = [pair_of(shard) for shard in targets], [pair_of(shard) for shard in sources]
    return ExpectedSymbols(BLOB, axis, wanted, given, SYMBOL, N)


@pytest.fixture
async def world(memory_storage, tmp_path):
    """We hold four shards with their slivers; the other member of the committee holds the rest."""
    made = await World(memory_storage, tmp_path).start()
    made.chain.view = replace(
        staking(EPOCH),
        committee=committee(
            EPOCH, member(US, OURS), replace(member(OTHER, OTHERS), bls_public_key=OTHERS_KEY.public_key)
        ),
    )
    await made.register()
    await made.store(header(), *parts(both(PAIRS)))
    await made.view.refresh()
    yield made
    await made.stop()


def signed(world, query, *, key=OTHERS_KEY, sender=OTHER, receiver=US, epoch=EPOCH, method=None, skew_ms=0):
    signer = RequestSigner(sender, key, now_ms=lambda: world.now_ms[0] + skew_ms)
    body = query.SerializeToString()
    envelope = signer.sign(method or wire.GET_RECOVERY_SYMBOLS, receiver, Epoch(epoch), body)
    return pb.GetRecoverySymbolsRequest(envelope=envelope, body=body)


async def ask(world, request, wanted):
    parser = SymbolParser(wanted)
    found = [parser.feed(part) async for part in world.stub.GetRecoverySymbols(request, timeout=20)]
    parser.finish()
    return [item for item in found if item is not None]


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return refusal_of(raised.value).reason


class TestSymbols:
    @pytest.mark.parametrize("axis", list(Axis))
    async def test_each_source_gives_a_proved_symbol_for_each_target(self, world, axis):
        wanted = expected(axis)
        found = await ask(world, signed(world, wanted.query()), wanted)
        assert [len(symbols) for symbols in found] == [len(OTHERS)] * len(OURS)
        for symbols in found:
            for symbol in symbols:
                recovery.verify_symbol(symbol, ENCODED.metadata, PARAMS)
        if axis is Axis.SECONDARY:  # four sources suffice for the short slivers
            slivers = recovery.recover([symbol for part in found for symbol in part], ENCODED.metadata, PARAMS)
            assert slivers == sorted(
                (ENCODED.pairs[pair].secondary for pair in wanted.targets), key=lambda sliver: sliver.index
            )

    async def test_a_member_gets_symbols_for_its_own_shards_only(self, world):
        wanted = expected(targets=[OURS[0]])
        assert await refused(ask(world, signed(world, wanted.query()), wanted)) is Reason.REQUEST_UNAUTHORIZED

    async def test_a_stranger_may_ask_for_any_target(self, world):
        wanted = expected(targets=[OURS[0], 9])
        request = pb.GetRecoverySymbolsRequest(body=wanted.query().SerializeToString())
        assert len(await ask(world, request, wanted)) == len(OURS)

    async def test_what_is_not_fetched_yet_is_counted_and_then_no_more(self, world):
        wanted, held = expected(), functools.partial(world.limits.gate.used, Lane.BACKGROUND)
        blob_id, axis = wanted.blob_id, wanted.axis
        (asker,) = (entry for entry in world.view.staking.committee.members if entry.node_id == OTHER)
        symbols = world.recovery.symbols(blob_id, axis, wanted.targets, wanted.sources, asker=asker)
        async with contextlib.aclosing(symbols):
            first = await anext(symbols)
            size = 2 * sum(len(symbol.data) + len(symbol.proof) for symbol in first)
            assert held() == size
            await anext(symbols)
            assert held() == size, "one source's at a time"
        assert held() == 0

    async def test_sources_that_have_nothing_say_why(self, world):
        wanted = expected(sources=[0, 8], targets=[9])
        found = await ask(world, signed(world, wanted.query()), wanted)
        assert {type(item) for item in found} == {list, wire.MissingSource}
        assert wire.MissingSource(pair_of(8), Reason.SHARD_NOT_ASSIGNED) in found

    @pytest.mark.parametrize("at", [0, 5, -1, -4], ids=["length", "data", "index", "symbol size"])
    async def test_a_rotten_sliver_gives_nothing(self, world, at):
        key = SliverKey(ShardIndex(0), Axis.SECONDARY, BLOB)
        rotten = bytearray(ENCODED.pairs[pair_of(0)].secondary.to_bcs())
        rotten[at] ^= 0x80
        await world.storage._write(lambda: world.storage._shards.put(key, bytes(rotten)))
        wanted = expected(sources=[0], targets=[9])
        found = await ask(world, signed(world, wanted.query()), wanted)
        assert found == [wire.MissingSource(pair_of(0), Reason.SLIVER_NOT_FOUND)]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"target_pairs": []}, Reason.NO_SYMBOLS_SPECIFIED),
            ({"source_pairs": []}, Reason.NO_SYMBOLS_SPECIFIED),
            ({"target_pairs": [N]}, Reason.RECOVERY_SYMBOL_OUT_OF_RANGE),
            ({"source_pairs": [2**32 - 1]}, Reason.RECOVERY_SYMBOL_OUT_OF_RANGE),
            ({"target_pairs": [1, 1]}, Reason.MALFORMED_REQUEST),
            ({"source_pairs": [1, 1]}, Reason.MALFORMED_REQUEST),
            ({"target_axis": 0}, Reason.MALFORMED_REQUEST),
            ({"blob_id": b"short"}, Reason.MALFORMED_REQUEST),
            ({"blob_id": bytes(32)}, Reason.METADATA_NOT_FOUND),
        ],
    )
    async def test_queries_that_are_refused(self, world, changes, reason):
        fields = {"blob_id": BLOB, "target_axis": pb.AXIS_PRIMARY, "target_pairs": [pair_of(9)], "source_pairs": [1]}
        query = pb.RecoveryQuery(**(fields | changes))
        assert await refused(ask(world, signed(world, query), expected())) is reason

    async def test_a_body_that_is_no_query(self, world):
        request = pb.GetRecoverySymbolsRequest(body=b"\xff\xff")
        assert await refused(ask(world, request, expected())) is Reason.MALFORMED_REQUEST


class TestEnvelopes:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"key": KEY}, Reason.MESSAGE_VERIFICATION_FAILED),
            ({"method": "SyncShard"}, Reason.MESSAGE_VERIFICATION_FAILED),
            ({"receiver": OTHER}, Reason.MESSAGE_VERIFICATION_FAILED),
            ({"skew_ms": MAX_SKEW_MS + 1}, Reason.MESSAGE_VERIFICATION_FAILED),
            ({"skew_ms": -MAX_SKEW_MS - 1}, Reason.MESSAGE_VERIFICATION_FAILED),
            ({"sender": NodeId("0x" + "99" * 32)}, Reason.REQUEST_UNAUTHORIZED),
            ({"epoch": EPOCH + 1}, Reason.INVALID_EPOCH),
            ({"epoch": EPOCH - 1}, Reason.INVALID_EPOCH),
        ],
    )
    async def test_who_is_not_believed(self, world, changes, reason):
        wanted = expected()
        assert await refused(ask(world, signed(world, wanted.query(), **changes), wanted)) is reason

    @pytest.mark.parametrize("skew_ms", [MAX_SKEW_MS, -MAX_SKEW_MS])
    async def test_clocks_may_differ_by_two_minutes(self, world, skew_ms):
        wanted = expected()
        assert await ask(world, signed(world, wanted.query(), skew_ms=skew_ms), wanted)

    async def test_a_request_counts_once(self, world):
        wanted = expected()
        request = signed(world, wanted.query())
        assert await ask(world, request, wanted)
        assert await refused(ask(world, request, wanted)) is Reason.MESSAGE_VERIFICATION_FAILED
        world.now_ms[0] += MAX_SKEW_MS
        assert await refused(ask(world, request, wanted)) is Reason.MESSAGE_VERIFICATION_FAILED

    @pytest.mark.parametrize("field", ["sender", "nonce", "signature"])
    async def test_shortened_fields(self, world, field):
        wanted = expected()
        request = signed(world, wanted.query())
        setattr(request.envelope, field, getattr(request.envelope, field)[:-1])
        reason = await refused(ask(world, request, wanted))
        assert reason in {Reason.MESSAGE_VERIFICATION_FAILED, Reason.REQUEST_UNAUTHORIZED}

    async def test_another_body_under_the_same_signature(self, world):
        request = signed(world, expected().query())
        request.body = expected(targets=[9]).query().SerializeToString()
        assert await refused(ask(world, request, expected(targets=[9]))) is Reason.MESSAGE_VERIFICATION_FAILED


def test_nonces_are_remembered_for_five_minutes_and_then_forgotten():
    memory = NonceMemory()
    assert memory.use(OTHER, b"n", 0)
    assert not memory.use(OTHER, b"n", NONCE_MEMORY_MS - 1)
    assert memory.use(US, b"n", NONCE_MEMORY_MS - 1), "each sender has its own"
    assert memory.use(OTHER, b"n", NONCE_MEMORY_MS)
    assert len(memory) == 2


class TestStrangersLast:
    async def test_strangers_wait_until_no_member_is_served(self):
        gate, order = StrangersLast(per_s=1000, wait_s=5), []

        async def stranger():
            async with gate.stranger():
                order.append("stranger")

        async with gate.member():
            waiting = asyncio.create_task(stranger())
            async with gate.member():
                order.append("member")
            for _ in range(5):
                await asyncio.sleep(0)
            order.append("last member")
        await waiting
        assert order == ["member", "last member", "stranger"]

    async def test_a_stranger_whose_turn_does_not_come_is_sent_away(self):
        gate = StrangersLast(per_s=1000, wait_s=0.02)
        async with gate.member():
            for _ in range(2):
                with pytest.raises(RequestRefused) as raised:
                    async with gate.stranger():
                        raise AssertionError("it was let in")
                assert raised.value.reason is Reason.CACHE_SATURATED
        async with gate.stranger():
            with pytest.raises(RequestRefused):
                async with gate.stranger():
                    raise AssertionError("two at a time")

    async def test_strangers_are_served_seldom(self):
        gate, loop = StrangersLast(per_s=20, wait_s=5), asyncio.get_running_loop()
        start = loop.time()
        for _ in range(3):
            async with gate.stranger():
                pass
        assert loop.time() - start >= 0.09


class TestJudgements:
    """A writer that commits to a wrong hash of one row; the node holds its metadata."""

    @pytest.fixture
    def lie(self):
        hashes = list(ENCODED.metadata.hashes)
        hashes[3] = replace(hashes[3], primary=bytes(31) + b"\x01")
        return replace(ENCODED.metadata, hashes=tuple(hashes))

    @pytest.fixture
    def proof(self, lie):
        columns = sorted((pair.secondary for pair in ENCODED.pairs), key=lambda sliver: sliver.index)
        symbols = [
            symbol
            for column in columns[: PARAMS.k2]
            for symbol in recovery.make_symbols(column, [SliverIndex(3)], ENCODED.metadata, PARAMS)
        ]
        (found,) = recovery.recover(symbols, lie, PARAMS)
        assert isinstance(found, InconsistencyProof)
        return found

    async def judge(self, world, proof, axis=pb.AXIS_PRIMARY, blob=BLOB):
        raw = proof if isinstance(proof, bytes) else proof.to_bcs()
        request = pb.SubmitInconsistencyProofRequest(blob_id=blob, axis=axis, proof=raw)
        return (await world.stub.SubmitInconsistencyProof(request, timeout=20)).invalid_blob

    @staticmethod
    async def hold(world, lie):
        """The lie as a blob of its own, registered and with its metadata here."""
        await world.events(registered(lie.blob_id(), object_id(77), 9))
        await world.storage.put_metadata(lie.blob_id(), lie.to_bcs())
        return lie.blob_id()

    async def test_a_true_proof_is_signed(self, world, lie, proof):
        blob = await self.hold(world, lie)
        judged = await self.judge(world, proof, blob=blob)
        assert judged.message == messages.invalid_blob(blob, Epoch(EPOCH))
        assert bls.verify(KEY.public_key, judged.message, judged.signature)

    async def test_a_proof_against_a_good_blob_is_refused(self, world, proof):
        assert await refused(self.judge(world, proof)) is Reason.INVALID_PROOF

    async def test_metadata_that_have_rotted_judge_nobody(self, world, lie, proof):
        await world.storage._write(lambda: world.storage._blobs.put_metadata(BLOB, lie.to_bcs()))
        assert await refused(self.judge(world, proof)) is Reason.METADATA_NOT_FOUND

    async def test_proofs_that_do_not_hold(self, world, lie, proof):
        blob = await self.hold(world, lie)
        for bad in (b"", proof.to_bcs()[:-1], replace(proof, symbols=proof.symbols[1:])):
            assert await refused(self.judge(world, bad, blob=blob)) is Reason.INVALID_PROOF
        assert await refused(self.judge(world, proof, axis=pb.AXIS_SECONDARY, blob=blob)) is Reason.INVALID_PROOF
        assert await refused(self.judge(world, proof, axis=0)) is Reason.MALFORMED_REQUEST

    async def test_only_stored_blobs_are_judged(self, world, proof):
        assert await refused(self.judge(world, proof, blob=bytes(32))) is Reason.METADATA_NOT_FOUND
        await world.events(InvalidBlobId(Epoch(EPOCH), BLOB))
        assert await refused(self.judge(world, proof)) is Reason.INVALID_BLOB
