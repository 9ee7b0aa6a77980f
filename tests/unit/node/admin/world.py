"""A node's public face with a door, and its admin port over real gRPC and TLS."""

import asyncio
import contextlib

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_reflection.v1alpha import reflection_pb2
from tests.unit.node.face.world import (
    PAIRS,
    World,
    both,
    header,
    limits,
    parts,
    until,
)

from walrus_client.grpc_errors import refusal_of
from walrus_node.passes import Passes
from walrus_node.rpc.admin.server import AdminServer
from walrus_node.rpc.admin.service import AdminService
from walrus_node.rpc.admin.tokens import TokenFile
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.door.fence import FenceFile
from walrus_node.rpc.server import SERVICE_NAME
from walrus_proto.admin.v1 import admin_pb2, admin_pb2_grpc

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
        self.world.limits = limits(patience_s=100)  # for uploads that pause while commands are given
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
