"""The public gRPC server: TLS with the network key, health, reflection, limits, a stop that lets streams end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from walrus_node.rpc.certificate import ServerIdentity
from walrus_node.rpc.decoding import StrictDecoding
from walrus_node.rpc.door.door import Door
from walrus_node.rpc.draining import SlowReaders
from walrus_node.rpc.faults import FaultInjection
from walrus_node.rpc.lies import Sign
from walrus_node.rpc.listening import TlsPort
from walrus_node.rpc.servicer import StorageNodeServicer
from walrus_node.rpc.streams import StreamLimits
from walrus_proto.node.v1 import node_pb2, node_pb2_grpc
from walrus_sui.telemetry import grpc_server_interceptors

SERVICE_NAME = node_pb2.DESCRIPTOR.services_by_name["StorageNode"].full_name

MAX_MESSAGE = 4 << 20
"""Bytes of one message; sliver data come in chunks of at most 1 MiB."""

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A window follows what is being read, and is small otherwise: grown ones of many streams would hold what no budget counts.
    ("grpc.http2.bdp_probe", 0),
    # Clients ping every 20 s, also between calls.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
    # Streams that a reader has left standing go with their connection; honest ones are told to connect anew, and have
    # time to end what runs.
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 10 * 60_000),
)


@dataclass(frozen=True)
class FaultKnob:
    """Where a test says how the node is to deviate, and the signature that its lies bear."""

    file: Path
    sign: Sign


class GrpcServer:
    """One listening server. `start` once, `stop` once."""

    def __init__(
        self,
        servicer: StorageNodeServicer,
        identity: ServerIdentity,
        limits: StreamLimits,
        *,
        door: Door | None = None,
        faults: FaultKnob | None = None,
    ) -> None:
        """Makes the server; `limits` are those of the servicer, `door` may shut it, `faults` are for tests only."""
        self.readers = SlowReaders(limits.pace, limits.gate)
        interceptors: list[Any] = [
            *([] if door is None else [door]),
            self.readers,
            StrictDecoding(),
            *grpc_server_interceptors(),
        ]
        options = dict(_OPTIONS)
        if faults is not None:
            injection = FaultInjection(
                faults.file, service=SERVICE_NAME, sign=faults.sign, too_large=MAX_MESSAGE + (1 << 20)
            )
            interceptors.append(injection)
            options["grpc.max_send_message_length"] = -1
        self._server = grpc.aio.server(interceptors=interceptors, options=tuple(options.items()))
        self._port = TlsPort(identity)
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack it
        node_pb2_grpc.add_StorageNodeServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server)

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port.

        Raises:
            WalrusNodeError: the port is taken, or the key is refused.
        """
        bound = self._port.add_to(self._server, host, port)
        await self.set_serving(serving=False)
        await self._server.start()
        return bound

    def show(self, identity: ServerIdentity) -> None:
        """New connections get another certificate; those that stand go on."""
        self._port.show(identity)

    async def set_serving(self, *, serving: bool) -> None:
        """Tells the health service."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", SERVICE_NAME):
            await self._health.set(service, status)

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls, lets running ones end within `grace_s`, then cuts them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
