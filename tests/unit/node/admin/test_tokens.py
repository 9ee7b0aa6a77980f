"""Who may call the admin port: only those with a token of the moment, whatever they call."""

import datetime as dt
import logging

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc
from tests.unit.node.admin.world import LISTING, NEW, OLD, bearer, last_of, refusal

from walrus_client.reasons import Reason
from walrus_node.rpc import certificate
from walrus_node.rpc.admin.server import SERVICE_NAME as ADMIN
from walrus_proto.admin.v1 import admin_pb2
from walrus_sui import tls
from walrus_sui.keys import NetworkKey


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


async def test_new_connections_get_another_certificate(node, tmp_path):
    await node.call("GetState")
    now = dt.datetime.now(dt.UTC)
    fresh = certificate.obtain(tmp_path / "c", NetworkKey.generate(), node.world.host, now=now)
    node.server.show(fresh)
    assert await tls.fetch_certificate("127.0.0.1", node.port, 10) == fresh.certificate
    assert (await node.call("GetState")).ready
