"""The knob that makes a node lie: what each fault does to answers, and that nothing else is touched."""

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.fuzz import seeds
from tests.unit.node.face.world import (
    BLOB,
    EPOCH,
    KEY,
    METADATA,
    PAIRS,
    PERMANENT,
    World,
    all_of,
    both,
    header,
    limits,
    parts,
    verified,
)

from walrus_client.peers import wire
from walrus_client.statuses import Invalid, PermanentBlob
from walrus_node.rpc.faults import Fault, faults_of
from walrus_node.rpc.lies import forged, spoiled
from walrus_node.rpc.server import MAX_MESSAGE, SERVICE_NAME, FaultKnob
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import bls

SLIVERS = pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY)
CONFIRM = pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)
GET_METADATA = pb.GetMetadataRequest(blob_id=BLOB)
STATUS = pb.GetBlobStatusRequest(blob_id=BLOB)
ANSWERS = [method.output_type for method in pb.DESCRIPTOR.services_by_name["StorageNode"].methods]


@pytest.fixture
async def world(memory_storage, tmp_path):
    """A node that has a blob, honest until its file says something else; silent readers would be cut off soon."""
    made = World(memory_storage, tmp_path)
    made.limits = limits(patience_s=1)
    made.faults = FaultKnob(tmp_path / "faults", KEY.sign)
    await made.start()
    await made.register()
    assert verified((await made.store(header(), *parts(both(PAIRS)))).confirmation)
    yield made
    await made.stop()


def tell(world, text):
    world.faults.file.write_text(text)


async def raw(world, method, request, channel=None):
    """The answer's bytes, whatever they are."""
    call = (channel or world.channel).unary_unary(
        f"/{SERVICE_NAME}/{method}", request_serializer=type(request).SerializeToString
    )
    return await call(request, timeout=20)


async def code_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code()


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("", {}),
        ("garbage\n", {"*": Fault.GARBAGE}),
        ("  stall  ", {"*": Fault.STALL}),
        ("GetInfo garbage\nGetInfo honest", {"GetInfo": Fault.HONEST}),
        ("stall\nGetInfo honest", {"*": Fault.STALL, "GetInfo": Fault.HONEST}),
        ("GetInfo garbage\n* stall", {"*": Fault.STALL}),
        ("GARBAGE\nnothing\nGetInfo stall now\n\n", {}),
    ],
)
def test_the_last_line_that_fits_decides(text, table):
    assert faults_of(text) == table


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.name)
@given(data=st.data(), seed=st.integers(0, 2**64 - 1))
def test_lies_differ_from_the_truth_are_of_its_type_and_are_the_same_again(kind, data, seed):
    make = seeds.class_of(kind).FromString
    honest = make(data.draw(st.sampled_from(seeds.messages_of(kind))))
    for lie in (spoiled, lambda answer, number: forged(answer, number, lambda message: b"signed" + message)):
        told, again = (lie(make(honest.SerializeToString()), seed) for _ in range(2))
        assert told == again
        assert told != honest or not carries_content(honest)
        assert make(told.SerializeToString()) == told


def carries_content(answer):
    """Whether there is anything in an answer that can be spoiled."""
    match answer:
        case pb.StoreBlobResponse() | pb.GetConfirmationResponse():
            return bool(answer.confirmation.signature)
        case pb.SubmitInconsistencyProofResponse():
            return bool(answer.invalid_blob.signature)
        case pb.GetMetadataResponse():
            return bool(answer.metadata)
        case pb.GetSliversResponse():
            return bool(answer.data)
        case pb.GetRecoverySymbolsResponse():
            return any(answer.symbols.symbols)
        case pb.SyncShardResponse():
            return bool(answer.rest) or any(sliver.data for sliver in answer.slivers)
        case pb.ChallengeResponse():
            part = getattr(answer, answer.WhichOneof("part"))
            return bool(part.data if isinstance(part, pb.ChallengeAnswer) else part.signature)
        case pb.ListRecordsResponse():
            return any(record.value for record in answer.records)
        case pb.ListChallengeReportsResponse():
            return any(report.signature for report in answer.reports)
        case pb.DeclareRecoveringResponse():
            return False
    return True


async def test_an_honest_node_with_the_knob_is_honest(world):
    for text in ("", "nonsense", "GetInfo garbage\nhonest"):
        tell(world, text)
        assert (await world.stub.GetMetadata(GET_METADATA)).metadata == METADATA
        assert isinstance(wire.status_from_pb(await world.stub.GetBlobStatus(STATUS)), PermanentBlob)
    world.faults.file.write_bytes(b"\xff")
    assert (await world.stub.GetInfo(pb.GetInfoRequest())).name == "demo-0"


async def test_garbage_has_the_right_form(world):
    before = await world.stub.GetInfo(pb.GetInfoRequest())
    tell(world, "garbage")
    metadata = (await world.stub.GetMetadata(GET_METADATA)).metadata
    assert metadata != METADATA
    assert len(metadata) == len(METADATA)
    sent = b"".join(part.data for part in await all_of(world.stub.GetSlivers(SLIVERS)))
    stored = b"".join(bytes(pair.primary.data) for pair in PAIRS)
    assert len(sent) == len(stored)
    assert sent != stored
    for answer in (await world.store(header()), await world.stub.GetConfirmation(CONFIRM)):
        assert not verified(answer.confirmation)
    assert isinstance(wire.status_from_pb(await world.stub.GetBlobStatus(STATUS)), Invalid)
    info = await world.stub.GetInfo(pb.GetInfoRequest())
    assert (info.epoch, list(info.shards)) == (1000 + before.epoch, [])
    tell(world, "")
    assert (await world.stub.GetMetadata(GET_METADATA)).metadata == METADATA, "what is stored was not touched"


async def test_forged_messages_are_well_signed_and_about_something_else(world):
    tell(world, "forge")
    signed = (await world.store(header())).confirmation
    tell(world, "")
    honest = (await world.store(header())).confirmation
    assert signed.message != honest.message
    assert bls.verify(KEY.public_key, signed.message, signed.signature)


async def test_undecodable_and_oversize_answers(world):
    tell(world, "undecodable")
    assert await raw(world, "GetInfo", pb.GetInfoRequest()) == b"\xff" * 11
    tell(world, "oversize")
    assert await code_of(raw(world, "GetInfo", pb.GetInfoRequest())) is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with world.connect(("grpc.max_receive_message_length", -1)) as channel:
        assert len(await raw(world, "GetInfo", pb.GetInfoRequest(), channel)) > MAX_MESSAGE
    stream = world.channel.unary_stream(
        f"/{SERVICE_NAME}/GetSlivers", request_serializer=pb.GetSliversRequest.SerializeToString
    )
    tell(world, "undecodable")
    assert set(await all_of(stream(SLIVERS))) == {b"\xff" * 11}


async def test_what_is_withheld_is_empty(world):
    tell(world, "withhold")
    assert await all_of(world.stub.GetSlivers(SLIVERS)) == []
    assert await raw(world, "GetMetadata", GET_METADATA) == b""
    assert await raw(world, "GetConfirmation", CONFIRM) == b""


async def test_a_stalling_node_answers_nothing_but_is_healthy(world):
    tell(world, "stall\nGetInfo honest")
    silent = [
        world.stub.GetMetadata(GET_METADATA, timeout=0.3),
        world.stub.StoreBlob(iter([header(), *parts(both(PAIRS))]), timeout=0.3),
        all_of(world.stub.GetSlivers(SLIVERS, timeout=0.3)),
    ]
    assert {await code_of(call) for call in silent} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert (await world.stub.GetInfo(pb.GetInfoRequest())).name == "demo-0"
    checked = await health_pb2_grpc.HealthStub(world.channel).Check(health_pb2.HealthCheckRequest(), timeout=20)
    assert checked.status == health_pb2.HealthCheckResponse.NOT_SERVING, "the world has told nothing else"


async def test_a_lingering_stream_stops_behind_its_first_message(world):
    tell(world, "linger")
    stream = world.stub.GetSlivers(SLIVERS)
    assert (await stream.read()).WhichOneof("part") == "sliver"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.read(), 0.3)
    assert await code_of(world.stub.GetMetadata(GET_METADATA, timeout=0.3)) is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_an_equivocating_node_tells_each_asker_its_own_story_and_sticks_to_it(world):
    tell(world, "equivocate")
    stories = set()
    for _ in range(80):  # each connection is another asker
        async with world.connect() as channel:
            answers = [
                [
                    await raw(world, "GetBlobStatus", STATUS, channel),
                    await raw(world, "GetMetadata", GET_METADATA, channel),
                ]
                for _ in range(2)
            ]
        assert answers[0] == answers[1]
        stories.add(tuple(answers[0]))
        if len(stories) == 4:
            break
    assert len(stories) == 4

    async def confirmed(channel):
        call = channel.stream_unary(
            f"/{SERVICE_NAME}/StoreBlob", request_serializer=pb.StoreBlobRequest.SerializeToString
        )
        return await call(iter([header()]), timeout=20)

    async with world.connect() as channel:
        assert await confirmed(channel) == await confirmed(channel)


async def test_streams_of_an_equivocating_node(world):
    request = pb.GetSliversRequest(blob_id=BLOB, axis=pb.AXIS_PRIMARY, pair_indices=[PAIRS[0].index])
    truth = tuple([part.SerializeToString() async for part in world.stub.GetSlivers(request)])
    tell(world, "equivocate")
    told = set()
    for _ in range(80):
        async with world.connect() as channel:
            call = channel.unary_stream(
                f"/{SERVICE_NAME}/GetSlivers", request_serializer=pb.GetSliversRequest.SerializeToString
            )
            told.add(tuple(await asyncio.wait_for(all_of(call(request)), 20)))
        if {(), truth} < told:
            break
    assert {(), truth} < told, "some hear nothing, some the truth, and others lies"
