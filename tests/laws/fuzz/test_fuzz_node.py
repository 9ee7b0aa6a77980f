"""Whatever bytes come to a node: a named refusal or a good answer, and nothing is kept that is not what it should be."""

import asyncio
from dataclasses import replace

import grpc
import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.fuzz import seeds
from tests.laws.fuzz.mutation import changed, changed_stream
from tests.laws.fuzz.seeds import EPOCH, HONEST, LYING, LYING_ID, OTHER, OTHERS, OTHERS_KEY, OURS, SERVICE, N
from tests.unit.node.face.world import World
from tests.unit.node.feeding import start_epochs
from tests.unit.node.worlds import US, committee, member, object_id, registered, staking

from walrus_client.grpc_errors import refusal_of
from walrus_client.reasons import Reason
from walrus_codec import mapping
from walrus_codec.types import Axis
from walrus_node.rpc.envelopes import NonceMemory
from walrus_node.rpc.symbols import StrangersLast
from walrus_node.store.memory import MemoryStore
from walrus_node.store.records import ShardStatus
from walrus_node.store.storage import SliverKey, Storage

KEYS = [SliverKey(shard, axis, HONEST.blob_id) for shard in OURS for axis in Axis]
METHODS = list(SERVICE.methods)
METADATA = {HONEST.blob_id: HONEST.metadata.to_bcs(), LYING_ID: LYING.to_bcs()}


class Target:
    """A node's public face over TLS; `full` says whether the blob is stored before each request."""

    def __init__(self, folder):
        self.runner = asyncio.Runner()
        self.runner.run(self._start(folder))

    async def _start(self, folder):
        self.storage = await Storage.over(MemoryStore())
        await start_epochs(self.storage, EPOCH)
        self.world = await World(self.storage, folder).start()
        self.world.service._registration_wait_s = 0
        self.world.records._wait_s = 0
        self.world.recovery._askers = StrangersLast(per_s=1e6)
        self.world.now_ms[0] = seeds.NOW_MS
        other = replace(member(OTHER, OTHERS), bls_public_key=OTHERS_KEY.public_key)
        self.world.chain.view = replace(staking(EPOCH), committee=committee(EPOCH, member(US, OURS), other))
        await self.world.events(
            registered(HONEST.blob_id, seeds.OBJECT, 9), registered(LYING_ID, object_id(2), 9, deletable=True)
        )
        await self.storage.create_shards([seeds.MOVED], ShardStatus.LOCKED_TO_MOVE)
        await self.world.view.refresh()
        assert all(SERVICE.full_name in seeds.path_of(method) for method in SERVICE.methods)

    async def reset(self, *, full):
        self.world.servicer._envelopes._nonces = NonceMemory()
        for key in KEYS:
            stored = await self.storage.sliver(key)
            if stored is not None and not full:
                await self.storage.remove_sliver(key, bytes(stored))
        if full:
            await self.storage.put_metadata(HONEST.blob_id, METADATA[HONEST.blob_id])
            for key in KEYS:
                await self.storage.put_sliver(key, honest(key))
        else:
            await self.storage.remove_metadata(HONEST.blob_id, await self.storage.metadata(HONEST.blob_id))
        await self.storage.put_metadata(LYING_ID, METADATA[LYING_ID])

    async def call(self, method, stream):
        """The answers, or the refusal; everything else fails the test."""
        raw = {"request_serializer": None, "response_deserializer": None}
        channel, path = self.world.channel, seeds.path_of(method)
        kinds = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        call = kinds[method.client_streaming, method.server_streaming](path, **raw)
        request = iter(stream) if method.client_streaming else stream[0]
        try:
            if method.server_streaming:
                return [part async for part in call(request, timeout=30)]
            return [await call(request, timeout=30)]
        except grpc.aio.AioRpcError as error:
            failure = error
        refusal = refusal_of(failure)
        assert refusal is not None, f"a refusal without a name: {failure.code()} {failure.details()}"
        assert refusal.reason is not Reason.INTERNAL_ERROR, refusal
        assert failure.code().value[0] == refusal.reason.status.grpc_number
        return refusal

    async def check_stored(self):
        """Only what the writers committed to is stored; returns whether the honest blob is whole."""
        found = [await self.storage.sliver(key) for key in KEYS]
        assert all(stored is None or bytes(stored) == honest(key) for key, stored in zip(KEYS, found, strict=True))
        assert self.storage.slivers_stored == sum(stored is not None for stored in found)
        metadata = {blob_id: await self.storage.metadata(blob_id) for blob_id in METADATA}
        assert all(stored in {None, METADATA[blob_id]} for blob_id, stored in metadata.items())
        assert self.storage.blobs_stored == sum(stored is not None for stored in metadata.values())
        return metadata[HONEST.blob_id] is not None and None not in found

    def close(self):
        self.runner.run(self.world.stop())
        self.runner.run(self.storage.close())
        self.runner.close()


def honest(key):
    pair = HONEST.pairs[mapping.pair_of_shard(key.shard, key.blob_id, N)]
    return getattr(pair, key.axis.value).to_bcs()


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    made = Target(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.close()


def request_of(draw, method, *, harmed):
    """A request of this method as its corpus has it, or harmed."""
    kind, corpus = seeds.class_of(method.input_type), seeds.messages_of(method.input_type)
    if method.client_streaming:
        return draw(changed_stream(kind, corpus)) if harmed else corpus
    message = draw(st.sampled_from(corpus))
    return [draw(changed(kind, message, corpus)) if harmed else message]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@settings(max_examples=80, deadline=None)
@given(data=st.data(), full=st.booleans())
def test_every_harmed_request_is_served_or_refused_by_name_and_leaves_nothing_wrong(target, method, data, full):
    stream = request_of(data.draw, method, harmed=True)

    async def run():
        await target.reset(full=full)
        cursor = await target.storage.cursor()
        answers = await target.call(method, stream)
        whole = await target.check_stored()
        assert not full or whole, "nothing that was stored is gone"
        assert await target.storage.cursor() == cursor
        if isinstance(answers, list):
            kind = seeds.class_of(method.output_type)
            confirmed = [getattr(kind.FromString(answer), "confirmation", None) for answer in answers]
            assert whole or not any(signed and signed.signature for signed in confirmed)

    target.runner.run(run())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_corpus_reaches_what_lies_behind_the_checks(target, method):
    """Unharmed, every request of the corpus is served: otherwise its harmed forms would all end at the same door."""
    corpus = seeds.stored(method.input_type.full_name)

    async def run():
        for stream in [corpus] if method.client_streaming else [[message] for message in corpus]:
            for full in (False, True):
                await target.reset(full=full)
                if method.name == "StoreSliver":
                    await target.storage.put_metadata(HONEST.blob_id, METADATA[HONEST.blob_id])
                answers = await target.call(method, stream)
            assert corpus, "a method without a corpus of its own ends at its envelope or its first check"
            # There are no challenges in an epoch as early as this one.
            expected = {"GetConfirmation": Reason.NOT_REGISTERED, "DeclareRecovering": Reason.UNAVAILABLE}
            assert isinstance(answers, list) or answers.reason is expected.get(method.name)

    target.runner.run(run())


def test_the_corpus_is_what_its_maker_makes():
    for name, content in seeds.seeds().items():
        assert (seeds.CORPUS / name).read_bytes() == content, f"{name}: run python -m tests.laws.fuzz.seeds"
