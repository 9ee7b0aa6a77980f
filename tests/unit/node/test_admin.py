"""The admin port over real gRPC and TLS, and the door that it shuts: who is let in, who goes on, what is remembered."""

import asyncio
import contextlib
import datetime as dt
import logging

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.unit.node.face.world import (
    BLOB,
    EPOCH,
    METADATA,
    PAIRS,
    PERMANENT,
    World,
    both,
    header,
    parts,
    until,
)

from walrus_client.grpc_errors import refusal_of
from walrus_client.reasons import Reason
from walrus_node.errors import DiskError
from walrus_node.loops import Wake
from walrus_node.passes import Passes
from walrus_node.rpc import certificate
from walrus_node.rpc.admin.server import SERVICE_NAME as ADMIN
from walrus_node.rpc.admin.server import AdminServer
from walrus_node.rpc.admin.service import AdminService
from walrus_node.rpc.admin.tokens import TokenFile
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.fence import FenceFile
from walrus_node.rpc.server import SERVICE_NAME
from walrus_proto.admin.v1 import admin_pb2, admin_pb2_grpc
from walrus_proto.node.v1 import node_pb2 as pb
from walrus_sui import tls
from walrus_sui.errors import ChainUnreachable
from walrus_sui.keys import NetworkKey

OLD, NEW = "o" * 32, "n" * 64
NO_TOKEN = "no token"
LISTING = reflection_pb2.ServerReflectionRequest(list_services="")


class Attempts:
    """This node's own challenges: as many as a test says."""

    def __init__(self):
        self.paused, self.attempts, self.over, self.resumed = False, 0, asyncio.Event(), 0

    async def attempts_over(self):
        if self.attempts:
            await self.over.wait()

    def resume(self):
        self.paused = False
        self.resumed += 1


class Administered:
    """A node's public face and its admin port."""

    def __init__(self, storage, folder, *, faults=None):
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.tokens = folder / "tokens"
        self.tokens.write_text(f"{OLD}\n")
        self.fence = FenceFile(folder / "data" / "fence.json")
        self.world = World(storage, folder)
        self.door = self.world.door = Door(SERVICE_NAME, fence=self.fence.read())
        self.attempts, self.passes, self.not_ready, self.faults = Attempts(), Passes(), [], faults

    async def start(self):
        world = await self.world.start()
        self.service = AdminService(
            info=world.info,
            not_ready=lambda: [*self.not_ready, *self.door.closed()],
            door=self.door,
            fence=self.fence,
            challenges=self.attempts,
            passes=self.passes,
            storage=world.storage,
            faults=self.faults,
            now_ms=lambda: world.now_ms[0],
        )
        self.server = AdminServer(self.service, world.server_identity, TokenFile(self.tokens))
        port = self.port = await self.server.start("127.0.0.1", 0)
        self.channel = grpc.aio.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(world.server_identity.certificate),
            options=[("grpc.ssl_target_name_override", world.host)],
        )
        self.stub = admin_pb2_grpc.NodeAdminStub(self.channel)
        return self

    async def stop(self):
        await self.channel.close()
        await self.server.stop()
        await self.world.stop()

    async def call(self, method, *, token=OLD, deadline=20, **fields):
        request = getattr(admin_pb2, f"{method}Request")(**fields)
        return await getattr(self.stub, method)(request, timeout=deadline, metadata=bearer(token))


def bearer(token):
    return (("authorization", f"Bearer {token}"),) if token is not NO_TOKEN else ()


def seconds(value):
    return Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    found = refusal_of(raised.value)
    assert found is not None, raised.value
    # A sender that is still writing may lose the status; the reason was said ahead.
    assert raised.value.code().value[0] in {found.reason.status.grpc_number, grpc.StatusCode.INTERNAL.value[0]}
    return found


async def last_of(stream):
    async for answer in stream:
        last = answer
    return last


@pytest.fixture
async def node(memory_storage, tmp_path):
    made = await Administered(memory_storage, tmp_path).start()
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def uploading(node):
    """A StoreBlob whose sender pauses in the middle; yields what lets it go on, and the call."""
    go_on = asyncio.Event()

    async def requests():
        yield header()
        messages = list(parts(both(PAIRS)))
        for message in messages[:3]:
            yield message
        await go_on.wait()
        for message in messages[3:]:
            yield message

    await node.world.register()
    call = node.world.stub.StoreBlob(requests(), timeout=30)
    await until(lambda: node.door.open_calls.stores == 1)
    yield go_on, call
    go_on.set()
    with contextlib.suppress(grpc.aio.AioRpcError):
        await call


async def test_nobody_gets_anything_without_a_token_that_is_known(node):
    unknown = node.channel.unary_unary("/nobody/knows")
    health = health_pb2_grpc.HealthStub(node.channel)
    mirror = reflection_pb2_grpc.ServerReflectionStub(node.channel)
    wrong = [
        (),
        bearer("x" * 32),
        bearer(OLD[:-1]),
        bearer(OLD + "o"),
        bearer(""),
        (("authorization", OLD),),
        (("authorization", f"Basic {OLD}"),),
        (*bearer(OLD), *bearer(OLD)),
    ]
    for metadata in wrong:
        calls = [
            node.stub.GetState(admin_pb2.GetStateRequest(), timeout=20, metadata=metadata),
            node.stub.Fence(admin_pb2.FenceRequest(why="mine"), timeout=20, metadata=metadata),
            health.Check(health_pb2.HealthCheckRequest(), timeout=20, metadata=metadata),
            last_of(health.Watch(health_pb2.HealthCheckRequest(), timeout=20, metadata=metadata)),
            last_of(mirror.ServerReflectionInfo(iter([LISTING]), timeout=20, metadata=metadata)),
            unknown(b"", timeout=20, metadata=metadata),
        ]
        for call in calls:
            assert (await refusal(call)).reason is Reason.TOKEN_REFUSED
    assert node.door.fence is None

    good = bearer(OLD)
    assert (await health.Check(health_pb2.HealthCheckRequest(), timeout=20, metadata=good)).status == 1
    assert (await health.Check(health_pb2.HealthCheckRequest(service=ADMIN), timeout=20, metadata=good)).status == 1
    listed = await last_of(mirror.ServerReflectionInfo(iter([LISTING]), timeout=20, metadata=good))
    assert ADMIN in {service.name for service in listed.list_services_response.service}
    assert (await node.call("GetState")).ready
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await unknown(b"", timeout=20, metadata=good)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_tokens_are_exchanged_without_a_moment_in_which_none_is_good(node, caplog):
    caplog.set_level(logging.INFO)
    node.tokens.write_text(f"{OLD}\n{NEW}\n")
    for token in (OLD, NEW):
        await node.call("GetState", token=token)
    node.tokens.write_text(NEW)
    await node.call("GetState", token=NEW)
    assert (await refusal(node.call("GetState", token=OLD))).reason is Reason.TOKEN_REFUSED
    for content in ("", "\n \n", "short\n", f"{NEW}\nshort", "\n".join([NEW, *"abcd"])):
        caplog.clear()
        node.tokens.write_text(content)
        for token in (NEW, OLD, "short", ""):
            assert (await refusal(node.call("GetState", token=token))).reason is Reason.TOKEN_REFUSED
        told = [record for record in caplog.records if "nobody can use the admin port" in record.message]
        assert len(told) <= 1
        assert NEW not in caplog.text
    node.tokens.unlink()
    caplog.clear()
    for _ in range(3):
        assert (await refusal(node.call("GetState", token=NEW))).reason is Reason.TOKEN_REFUSED
    assert caplog.text.count("nobody can use the admin port") == 1
    node.tokens.write_text(NEW)
    await node.call("GetState", token=NEW)


async def test_who_has_no_token_cannot_fill_the_log(node, caplog):
    caplog.set_level(logging.WARNING)
    for _ in range(20):
        await refusal(node.call("GetState", token="wrong" * 10))
    assert caplog.text.count("a caller of the admin port was turned away") == 1
    assert "wrongwrong" not in caplog.text


async def test_the_state_is_all_that_the_node_tells_elsewhere_and_more(node):
    async def nothing():
        pass

    node.passes.named("scrub", nothing, Wake())
    node.not_ready.append("it has a cold")
    state = await node.call("GetState")
    told = (await node.world.info.read()).to_json()
    fields = {field.name for field in state.info.DESCRIPTOR.fields}
    assert fields == told.keys()
    assert state.info == await node.world.stub.GetInfo(pb.GetInfoRequest(), timeout=20)
    assert (state.ready, list(state.not_ready), list(state.loops)) == (False, ["it has a cold"], ["scrub"])
    assert not state.HasField("drain")
    assert not state.HasField("fence")
    assert not state.faults_enabled
    assert MessageToDict(state.open_calls) == {}


async def test_a_drain_begins_nothing_serves_reads_and_ends_when_nothing_is_under_way(node):
    stub = node.world.stub
    async with uploading(node) as (go_on, upload):
        node.attempts.attempts = 2
        early = await node.call("Drain", timeout=seconds(0.05))
        assert not early.quiet
        assert (early.open_calls.stores, early.open_calls.own_challenges) == (1, 2)
        assert node.attempts.paused
        state = await node.call("GetState")
        assert list(state.not_ready) == ["the node drains"]
        assert not state.drain.quiet
        assert state.drain.until_ms - state.drain.since_ms == 600_000

        query = pb.SyncShardRequest(body=b"", envelope=pb.Envelope())
        refused = [
            stub.StoreBlob(iter([header(), *parts(both(PAIRS))]), timeout=20),
            stub.StoreMetadata(pb.StoreMetadataRequest(blob_id=BLOB, metadata=METADATA, epoch=EPOCH), timeout=20),
            stub.StoreSliver(iter([pb.StoreSliverRequest(header=pb.StoreSliverHeader(blob_id=BLOB))]), timeout=20),
            last_of(stub.SyncShard(query, timeout=20)),
            last_of(stub.ListRecords(pb.ListRecordsRequest(), timeout=20)),
            last_of(stub.Challenge(iter([pb.ChallengeRequest()]), timeout=20)),
        ]
        for call in refused:
            found = await refusal(call)
            assert found.reason is Reason.NODE_DRAINING
            assert found.retry_after_s is not None
        assert (await stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB), timeout=20)).metadata == METADATA
        await stub.GetBlobStatus(pb.GetBlobStatusRequest(blob_id=BLOB), timeout=20)

        waiting = asyncio.ensure_future(node.call("Drain", timeout=seconds(15)))
        go_on.set()
        assert (await upload).WhichOneof("outcome") == "confirmation"
        await until(lambda: node.door.open_calls.quiet)
        assert not waiting.done()
        node.attempts.attempts = 0
        node.attempts.over.set()
        answer = await waiting
        assert (answer.quiet, answer.resumed) == (True, False)
    confirm = pb.GetConfirmationRequest(blob_id=BLOB, persistence=PERMANENT, epoch=EPOCH)
    assert (await stub.GetConfirmation(confirm, timeout=20)).confirmation.message
    assert (await node.call("GetState")).drain.quiet

    assert (await node.call("Resume")).was_draining
    assert not (await node.call("Resume")).was_draining
    assert not node.attempts.paused
    assert (await node.call("GetState")).ready
    answer = await stub.StoreBlob(iter([header(), *parts(both(PAIRS))]), timeout=20)
    assert answer.WhichOneof("outcome") == "confirmation"


async def test_a_drain_that_nobody_follows_up_ends_by_itself(node):
    first = await node.call("Drain", hold=seconds(60))
    assert first.quiet
    since = node.door.drain.since_ms
    node.world.now_ms[0] += 5_000
    async with uploading_refused(node):
        await node.call("Drain", hold=seconds(1), timeout=seconds(0))
    assert (node.door.drain.since_ms, node.door.drain.until_ms) == (since, since + 6_000)
    await until(lambda: node.door.drain is None)
    assert node.attempts.resumed == 1
    assert (await node.call("GetState")).ready


@contextlib.asynccontextmanager
async def uploading_refused(node):
    """While the node drains, an upload is turned away although its sender is still writing."""
    await node.world.register()
    found = await refusal(node.world.stub.StoreBlob(iter([header(), *parts(both(PAIRS))]), timeout=20))
    assert found.reason is Reason.NODE_DRAINING
    yield


async def test_whoever_waits_for_a_drain_hears_that_it_was_taken_back(node):
    async with uploading(node):
        waiting = asyncio.ensure_future(node.call("Drain", timeout=seconds(15)))
        await until(lambda: node.door.drain is not None)
        assert (await node.call("Resume")).was_draining
        answer = await waiting
        assert (answer.quiet, answer.resumed) == (False, True)


async def test_a_wait_ends_before_the_deadline_of_its_caller(node):
    async with uploading(node):
        answer = await node.call("Drain", timeout=seconds(3000), deadline=3)
        assert not answer.quiet


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("Drain", {"timeout": seconds(3601)}),
        ("Drain", {"timeout": Duration(seconds=-1)}),
        ("Drain", {"hold": seconds(0.5)}),
        ("Drain", {"hold": seconds(86_401)}),
        ("Fence", {"why": ""}),
        ("Fence", {"why": "  "}),
        ("Fence", {"why": "x" * 501}),
        ("Fence", {"why": "two\nlines"}),
        ("Fence", {"why": "x", "grace": seconds(61)}),
        ("RunOnce", {"loop": "disk", "timeout": seconds(3601)}),
    ],
)
async def test_requests_that_mean_nothing_change_nothing(node, method, fields):
    assert (await refusal(node.call(method, **fields))).reason is Reason.MALFORMED_REQUEST
    assert (node.door.drain, node.door.fence, node.fence.read()) == (None, None, None)


async def test_a_fence_turns_everybody_away_and_outlives_the_process(node):
    async with uploading(node) as (_go_on, upload):
        node.world.now_ms[0] = 5_000
        answer = await node.call("Fence", why="its disk is being copied")
        assert not answer.was_fenced
        assert answer.open_calls.stores == 1
        found = await refusal(upload)
        assert found.reason is Reason.NODE_FENCED
        assert "its disk is being copied" in found.message
    await until(lambda: node.door.open_calls.quiet)
    stub = node.world.stub
    for method in pb.DESCRIPTOR.services_by_name["StorageNode"].methods:
        call = getattr(stub, method.name)
        request = getattr(pb, method.input_type.name)()
        made = call(iter([request]) if method.client_streaming else request, timeout=20)
        found = await refusal(last_of(made) if method.server_streaming else made)
        assert found.reason is Reason.NODE_FENCED, method.name
    state = await node.call("GetState")
    assert (state.fence.why, state.fence.since_ms) == ("its disk is being copied", 5_000)
    assert list(state.not_ready) == ["the node is fenced"]

    node.world.now_ms[0] = 9_000
    assert (await node.call("Fence", why="still")).was_fenced
    again = Door(SERVICE_NAME, fence=FenceFile(node.folder / "data" / "fence.json").read())
    assert (again.fence.why, again.fence.since_ms) == ("still", 5_000)
    assert (await node.call("Unfence")).was_fenced
    assert not (await node.call("Unfence")).was_fenced
    assert node.fence.read() is None
    assert (await stub.GetMetadata(pb.GetMetadataRequest(blob_id=BLOB), timeout=20)).metadata == METADATA


@pytest.mark.parametrize("taken_back", [False, True])
async def test_calls_that_are_under_way_may_have_a_grace_and_stay_when_the_fence_goes(node, taken_back):
    async with uploading(node) as (go_on, upload):
        await node.call("Fence", why="soon", grace=seconds(20))
        (patience,) = node.door._patience
        assert 0 < patience.when() - asyncio.get_running_loop().time() <= 20
        if taken_back:
            await node.call("Unfence")
            assert patience.when() is None
        go_on.set()
        assert (await upload).WhichOneof("outcome") == "confirmation"


async def test_a_fence_that_the_disk_does_not_take_holds_until_a_restart(node, monkeypatch):
    def fails(_fence):
        raise DiskError("no space left")

    monkeypatch.setattr(node.fence, "write", fails)
    found = await refusal(node.call("Fence", why="broken"))
    assert found.reason is Reason.UNAVAILABLE
    assert "no space left" in found.message
    assert (await refusal(node.world.stub.GetInfo(pb.GetInfoRequest(), timeout=20))).reason is Reason.NODE_FENCED


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"since_ms": 1}', b"\xff", b'{"since_ms": "x", "why": "y"}'])
def test_a_fence_that_cannot_be_read_is_one(tmp_path, content):
    path = tmp_path / "fence.json"
    path.write_bytes(content)
    assert "cannot be read" in FenceFile(path).read().why


async def test_faults_are_for_nodes_that_were_started_for_them(node, memory_storage, tmp_path):
    assert (await refusal(node.call("SetFaults", lines=["garbage"]))).reason is Reason.FAULTS_NOT_ENABLED
    node.service._faults = tmp_path / "faults"
    lines = ["GetBlobStatus equivocate", "drop 0.5", "honest"]
    await node.call("SetFaults", lines=lines)
    state = await node.call("GetState")
    assert state.faults_enabled
    assert list(state.faults) == lines
    for wrong in (["garbage", "nonsense"], ["drop 7"], ["drop 0.1\nlate 5"], ["x" * 201], ["garbage"] * 101):
        assert (await refusal(node.call("SetFaults", lines=wrong))).reason is Reason.MALFORMED_REQUEST
    assert list((await node.call("GetState")).faults) == lines
    await node.call("SetFaults")
    assert list((await node.call("GetState")).faults) == []


async def test_loops_make_a_pass_on_request(node):
    passes, wake, failing = [], Wake(), [None]

    async def work():
        passes.append(1)
        if failing[0] is not None:
            raise failing[0]

    loop = node.passes.named("collector", work, wake)

    async def turning():
        for _ in range(3):
            await wake.wait(30)
            with contextlib.suppress(ChainUnreachable):
                await loop()

    running = asyncio.create_task(turning())
    answer = await node.call("RunOnce", loop="collector")
    assert (answer.finished, answer.failure, len(passes)) == (True, "", 1)
    failing[0] = ChainUnreachable("the chain is away")
    answer = await node.call("RunOnce", loop="collector")
    assert (answer.finished, answer.failure, len(passes)) == (True, "the chain is away", 2)
    found = await refusal(node.call("RunOnce", loop="colector"))
    assert (found.reason, found.metadata) == (Reason.UNKNOWN_LOOP, {"known": "collector"})
    running.cancel()
    answer = await node.call("RunOnce", loop="collector", timeout=seconds(0.05))
    assert not answer.finished


async def test_a_compaction_gives_space_back_and_is_shared(storage, tmp_path):
    node = await Administered(storage, tmp_path / "node").start()
    first, second = await asyncio.gather(node.call("Compact"), node.call("Compact"))
    assert first == second
    assert first.bytes_before > 0
    assert first.bytes_after > 0
    await node.stop()


async def test_new_connections_get_another_certificate(node, tmp_path):
    await node.call("GetState")
    now = dt.datetime.now(dt.UTC)
    fresh = certificate.obtain(tmp_path / "c", NetworkKey.generate(), node.world.host, now=now)
    node.server.show(fresh)
    assert await tls.fetch_certificate("127.0.0.1", node.port, 10) == fresh.certificate
    assert (await node.call("GetState")).ready
