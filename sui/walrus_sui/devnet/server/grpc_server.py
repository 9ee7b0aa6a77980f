"""One gRPC server with two doors: plaintext HTTP/2 and TLS, the same services behind both.

Beside `sui.rpc.v2` it offers grpc.health.v1 (SERVING once started, NOT_SERVING while it stops) and reflection, so that
grpcurl and the like need no files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from walrus_proto.sui.rpc.v2 import (
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    move_package_service_pb2,
    move_package_service_pb2_grpc,
    state_service_pb2,
    state_service_pb2_grpc,
    subscription_service_pb2,
    subscription_service_pb2_grpc,
    transaction_execution_service_pb2,
    transaction_execution_service_pb2_grpc,
)
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.server.calls import DecodingInterceptor
from walrus_sui.devnet.server.certificates import ServerCertificate
from walrus_sui.devnet.server.execution_service import TransactionExecutionService
from walrus_sui.devnet.server.fault_knobs import FaultInterceptor
from walrus_sui.devnet.server.ledger_service import LedgerService
from walrus_sui.devnet.server.package_service import MovePackageService
from walrus_sui.devnet.server.state_service import StateService
from walrus_sui.devnet.server.subscription_service import SubscriptionService
from walrus_sui.telemetry import grpc_server_interceptors

MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
MAX_CALLS: Final = 4096
"""Calls at once, streams included; more are answered with RESOURCE_EXHAUSTED."""

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    # A whole checkpoint with all its objects may be large; what leaves is bounded by what came in.
    ("grpc.max_send_message_length", 128 * 1024 * 1024),
    # Two devnets on one port would each get half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
SERVICE_NAMES: Final = tuple(
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (ledger_service_pb2, "LedgerService"),
        (state_service_pb2, "StateService"),
        (move_package_service_pb2, "MovePackageService"),
        (transaction_execution_service_pb2, "TransactionExecutionService"),
        (subscription_service_pb2, "SubscriptionService"),
    )
)


class PortError(Exception):
    """A port cannot be listened on. Remedy: free it, or choose another."""


@dataclass(frozen=True)
class Ports:
    """Where the server listens; 0 in a request means any free port."""

    plain: int
    tls: int


class GrpcServer:
    """Serves an engine. Start it once, stop it once.

    Attributes:
        ports: the ports in use, after `start`.
        faults: knobs that make calls fail.
    """

    def __init__(self, engine: Engine) -> None:
        self.faults = FaultInterceptor(engine)
        self._server = grpc.aio.server(
            interceptors=[*grpc_server_interceptors(), self.faults, DecodingInterceptor()],
            options=_OPTIONS,
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # made at import time
        self.ports = Ports(0, 0)
        ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(LedgerService(engine), self._server)
        state_service_pb2_grpc.add_StateServiceServicer_to_server(StateService(engine), self._server)
        move_package_service_pb2_grpc.add_MovePackageServiceServicer_to_server(MovePackageService(engine), self._server)
        transaction_execution_service_pb2_grpc.add_TransactionExecutionServiceServicer_to_server(
            TransactionExecutionService(engine), self._server
        )
        subscription_service_pb2_grpc.add_SubscriptionServiceServicer_to_server(
            SubscriptionService(engine), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflected = (*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(reflected, self._server)

    async def start(self, host: str, ports: Ports, certificate: ServerCertificate) -> None:
        """Listens on both ports.

        Raises:
            PortError: a port is taken or the host is not this machine's.
        """
        credentials = grpc.ssl_server_credentials([(certificate.private_key, certificate.certificate)])
        plain = _bind(lambda: self._server.add_insecure_port(f"{host}:{ports.plain}"), host, ports.plain)
        tls = _bind(lambda: self._server.add_secure_port(f"{host}:{ports.tls}", credentials), host, ports.tls)
        self.ports = Ports(plain, tls)
        await self._server.start()
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Says NOT_SERVING, refuses new calls, gives running ones `grace` seconds."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)


def _bind(bind: Callable[[], int], host: str, port: int) -> int:
    try:
        bound = bind()
    except RuntimeError as error:
        raise PortError(f"cannot listen on {host}:{port}: {error}") from None
    if bound == 0:
        raise PortError(f"cannot listen on {host}:{port}: free the port, or choose another")
    return bound
