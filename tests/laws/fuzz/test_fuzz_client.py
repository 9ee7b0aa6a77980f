"""Whatever a node answers: the client gives values of the documented form, or an error that names the node."""

import asyncio
import datetime as dt

import grpc
import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.fuzz import seeds
from tests.laws.fuzz.mutation import changed, changed_bytes, changed_stream
from tests.laws.fuzz.seeds import HONEST, LYING_ID, OURS, PARAMS, SERVICE, SYMBOL_SIZE, N
from tests.unit.client.fakes import HOST, FakeNode

from walrus_client.challenges.reports import MAX_REPORT
from walrus_client.errors import PeerError
from walrus_client.grpc_errors import to_status
from walrus_client.peers import (
    ExpectedSlivers,
    ExpectedSymbols,
    MissingSliver,
    MissingSource,
    NodeClient,
    RequestSigner,
    wire,
)
from walrus_client.peers.challenges import MAX_CELL, Answer
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Axis, PairIndex
from walrus_sui import tls
from walrus_sui.messages import Permanent

METHODS = list(SERVICE.methods)
LENGTH = HONEST.metadata.unencoded_length
PAIRS = [pair for pair, _sliver in seeds.slivers(OURS[:3])[::2]]
SLIVERS = ExpectedSlivers(Axis.PRIMARY, PAIRS, SYMBOL_SIZE, PARAMS.sliver_size(Axis.PRIMARY, LENGTH))
SYMBOLS = ExpectedSymbols(
    HONEST.blob_id,
    Axis.PRIMARY,
    [PairIndex(pair) for pair in seeds.query().target_pairs],
    [PairIndex(pair) for pair in seeds.query().source_pairs],
    SYMBOL_SIZE,
    N,
)
DETAILS = to_status(RequestRefused(Reason.INVALID_EPOCH, "no", {"server_epoch": "1"})).trailing_metadata[0][1]


class RawNode(FakeNode):
    """Answers every call with the bytes that it is given, or ends it with these details of a status."""

    answers: list[bytes]
    details: bytes | None = None

    async def start(self):
        certificate = tls.make_certificate(self.served_key, HOST, not_before=dt.datetime.now(dt.UTC))
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers = {method.name: self._handler(method) for method in METHODS}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)])
        credentials = grpc.ssl_server_credentials([(self.served_key.to_pem(), certificate)])
        self.port = self._server.add_secure_port(f"{HOST}:0", credentials)
        await self._server.start()

    def _handler(self, method):
        async def stream(_request, context):
            await self._maybe_end(context)
            for answer in self.answers:
                yield answer

        async def unary(request, context):
            if method.client_streaming:
                async for _part in request:
                    pass
            await self._maybe_end(context)
            return self.answers[0]

        if method.server_streaming:
            shape = "stream_stream" if method.client_streaming else "unary_stream"
            return getattr(grpc, f"{shape}_rpc_method_handler")(stream)
        make = grpc.stream_unary_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
        return make(unary)

    async def _maybe_end(self, context):
        if self.details is not None:
            context.set_trailing_metadata([("grpc-status-details-bin", self.details)])
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")


class Asker:
    def __init__(self):
        self.runner = asyncio.Runner()
        self.node = RawNode(1, range(10))
        self.runner.run(self.node.start())
        self.client = NodeClient(self.node.member)

    def close(self):
        self.runner.run(self.client.close())
        self.runner.run(self.node.stop())
        self.runner.close()

    async def call(self, name):
        """Makes the call as the rest of the client does, and looks at the form of what it gives."""
        client, blob_id = self.client, HONEST.blob_id
        pair, sliver = seeds.slivers(OURS)[0]
        match name:
            case "StoreBlob":
                header = wire.store_header(blob_id, HONEST.metadata.to_bcs(), Permanent(), seeds.EPOCH)
                answer = await client.store_blob(header, [(pair, sliver)], timeout_s=20)
                assert (answer.confirmation is None) != (answer.refusal is None)
            case "StoreMetadata":
                assert isinstance(await client.store_metadata(blob_id, b"x", seeds.EPOCH), bool)
            case "StoreSliver":
                assert isinstance(await client.store_sliver(blob_id, pair, sliver, seeds.EPOCH, timeout_s=20), bool)
            case "GetConfirmation":
                assert len((await client.get_confirmation(blob_id, Permanent(), seeds.EPOCH)).signature) == 96
            case "GetMetadata":
                assert isinstance(await client.get_metadata(blob_id), bytes)
            case "GetSlivers":
                found = [part async for part in client.get_slivers(blob_id, SLIVERS, timeout_s=20)]
                assert sorted(part.pair if isinstance(part, MissingSliver) else part[0] for part in found) == sorted(
                    PAIRS
                )
                assert all(isinstance(part, MissingSliver) or len(part[1].data) == SLIVERS.size for part in found)
            case "GetRecoverySymbols":
                stream = client.get_recovery_symbols(SYMBOLS, None, seeds.EPOCH, timeout_s=20)
                found = [part async for part in stream]
                assert len(found) == len(SYMBOLS.sources)
                sizes = [[len(symbol.data) for symbol in part] for part in found if not isinstance(part, MissingSource)]
                assert all(each == [SYMBOL_SIZE] * len(SYMBOLS.targets) for each in sizes)
            case "SubmitInconsistencyProof":
                assert len((await client.submit_inconsistency_proof(LYING_ID, Axis.PRIMARY, b"x")).signature) == 96
            case "GetBlobStatus":
                assert await client.get_blob_status(blob_id) is not None
            case "Challenge":
                async with client.challenge(seeds.HELLO, RequestSigner(seeds.OTHER, seeds.OTHERS_KEY)) as call:
                    call.send_seed(seeds.SIGNATURE)
                    while (part := await call.next()) is not None:
                        assert not isinstance(part, Answer) or len(part.data) <= MAX_CELL
            case "DeclareRecovering":
                await client.declare_recovering(seeds.EPOCH, seeds.SIGNATURE, seeds.OTHER)
            case "ListChallengeReports":
                pages = [page async for page in client.list_challenge_reports(seeds.EPOCH, most=2)]
                assert sum(map(len, pages)) <= 2
                assert all(len(signed.body) <= MAX_REPORT for page in pages for signed in page)
            case "ListRecords":
                keys = [raw.key async for page in client.list_records(7, timeout_s=20, idle_s=20) for raw in page]
                assert keys == sorted(set(keys))
            case "SyncShard":
                signer = RequestSigner(seeds.OTHER, seeds.OTHERS_KEY)
                found = [part async for part in client.sync_shard(seeds.WANTED, signer, timeout_s=20, idle_s=20)]
                ids = [blob_id for part in found for blob_id, _data in part.slivers]
                assert ids == sorted(set(ids))
                assert len(ids) <= seeds.WANTED.count
                assert all(len(data) <= seeds.WANTED.max_size for part in found for _id, data in part.slivers)
                assert found[-1].complete or len(ids) == seeds.WANTED.count
            case "GetInfo":
                assert (await client.get_info(timeout_s=20)).node_id in {"", *self.node_ids()}
            case _:
                raise AssertionError(f"{name} is new: it must be fuzzed too")

    def node_ids(self):
        info = seeds.class_of(SERVICE.methods_by_name["GetInfo"].output_type).FromString(self.node.answers[0])
        return ["0x" + info.node_id.hex()]


@pytest.fixture(scope="module")
def asker():
    made = Asker()
    yield made
    made.close()


def answers_of(draw, method, *, harmed):
    kind, corpus = seeds.class_of(method.output_type), seeds.messages_of(method.output_type)
    if method.server_streaming:
        return draw(changed_stream(kind, corpus)) if harmed else corpus
    message = draw(st.sampled_from(corpus))
    return [draw(changed(kind, message, corpus)) if harmed else message]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_every_harmed_answer_is_read_or_blamed_on_the_node(asker, method, data):
    asker.node.answers, asker.node.details = answers_of(data.draw, method, harmed=True), None

    async def run():
        try:
            await asker.call(method.name)
        except PeerError as error:
            assert asker.node.member.name in str(error)  # noqa: PT017 - either form is right

    asker.runner.run(run())


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_corpus_is_what_honest_nodes_answer(asker, method):
    corpus = seeds.messages_of(method.output_type)
    for answers in [corpus] if method.server_streaming else [[message] for message in corpus]:
        asker.node.answers, asker.node.details = answers, None
        asker.runner.run(asker.call(method.name))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_bytes_that_are_no_message_are_blamed_on_the_node(asker, method, caplog):
    asker.node.answers, asker.node.details = [b"\x0b"], None
    with pytest.raises(PeerError, match="not of the documented type"):
        asker.runner.run(asker.call(method.name))
    assert not caplog.records, "the caller knows; the library has nothing to add"


@settings(max_examples=150, deadline=None)
@given(st.one_of(changed_bytes(DETAILS), st.binary(max_size=60)), st.sampled_from(METHODS))
def test_every_harmed_refusal_is_an_error_that_names_the_node(asker, details, method):
    asker.node.answers, asker.node.details = [b""], details
    with pytest.raises(PeerError, match=asker.node.member.name):
        asker.runner.run(asker.call(method.name))
