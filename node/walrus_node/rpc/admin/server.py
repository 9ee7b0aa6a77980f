"""The admin port's gRPC server: TLS with the network key, a token for every call, health, reflection, small limits."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from walrus_node.rpc.admin.service import AdminService
from walrus_node.rpc.admin.servicer import NodeAdminServicer
from walrus_node.rpc.admin.tokens import TokenCheck, TokenFile
from walrus_node.rpc.certificate import ServerIdentity
from walrus_node.rpc.decoding import StrictDecoding
from walrus_node.rpc.listening import TlsPort
from walrus_proto.admin.v1 import admin_pb2, admin_pb2_grpc
from walrus_sui.telemetry import grpc_server_interceptors

SERVICE_NAME = admin_pb2.DESCRIPTOR.services_by_name["NodeAdmin"].full_name

MAX_REQUEST = 64 << 10
MAX_ANSWER = 4 << 20
_CALLS = 64
_STOP_S = 1.0

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", MAX_REQUEST),
    ("grpc.max_send_message_length", MAX_ANSWER),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 32),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
)


class AdminServer:
    """One listening server. `start` once, `stop` once.

    Args:
        service: what it does.
        identity: the certificate at first.
        tokens: who may call.
    """

    def __init__(self, service: AdminService, identity: ServerIdentity, tokens: TokenFile) -> None:
        self._service = service
        self._tokens = tokens
        self._port = TlsPort(identity)
        interceptors: list[Any] = [TokenCheck(tokens), StrictDecoding(), *grpc_server_interceptors()]
        self._server = grpc.aio.server(interceptors=interceptors, options=_OPTIONS, maximum_concurrent_rpcs=_CALLS)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
        admin_pb2_grpc.add_NodeAdminServicer_to_server(NodeAdminServicer(service), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port.

        Raises:
            WalrusNodeError: the port is taken, or the key is refused.
        """
        self._tokens.read()  # says in the log at once when nobody can use the port
        bound = self._port.add_to(self._server, host, port)
        for service in ("", SERVICE_NAME):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return bound

    def show(self, identity: ServerIdentity) -> None:
        """New connections get another certificate; those that stand go on."""
        self._port.show(identity)

    async def stop(self) -> None:
        """Takes no new calls, and ends running ones soon."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_STOP_S)
        await self._service.close()
