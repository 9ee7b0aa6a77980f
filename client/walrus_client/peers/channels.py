"""TLS channels to storage nodes, pinned to the network key that is registered on chain.

Life of a channel: fetch the node's certificate without trusting it; compare its 33-byte public key with the one on
chain; use that certificate as the only root of a gRPC channel whose target name is the registered host. The
certificate may change: when a connection fails, the certificate is fetched once more, compared
again, and a new one replaces the channel. While a node changes its key, the chain names two, and either fits; a channel
goes on over the change as long as its certificate's key is among them. Nothing is ever sent to a node whose key does not
fit.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Protocol

import grpc
import grpc.aio

from walrus_client.errors import PeerError, PeerIdentityError, PeerUnreachableError
from walrus_sui import tls
from walrus_sui.errors import CertificateError
from walrus_sui.telemetry import grpc_client_interceptors

_log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 5.0
MAX_MESSAGE = 4 << 20
"""Largest unary message; slivers travel in chunks of at most 1 MiB."""

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A node that restarts is back within seconds; the library's default of up to two minutes is for other worlds.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # Processes on one machine would otherwise share one connection per address also across pools.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)


def split_address(address: str) -> tuple[str, int]:
    """Splits `host:port`; IPv6 hosts stand in brackets.

    Raises:
        ValueError: There is no port.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError(f"{address!r} is not host:port")
    return host.strip("[]"), int(port)


class Pinned(Protocol):
    """What a channel must know of a node; a committee's member is one."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def grpc_address(self) -> str:
        """Where it listens, `host:port`."""

    @property
    def network_keys(self) -> frozenset[bytes]:
        """Every key that its certificate may carry now."""


class PinnedChannel:
    """One node's channel; builds itself on first use and again when the node's certificate has changed.

    Args:
        member: the node.
        server_name: what its certificate is for, when that is not the host of its address.
    """

    def __init__(self, member: Pinned, *, server_name: str | None = None) -> None:
        self.member = member
        self._server_name = server_name
        self._channel: grpc.aio.Channel | None = None
        self._certificate = b""
        self._building = asyncio.Lock()
        self._fetched_at = float("-inf")
        self._failure: PeerError | None = None

    async def get(self) -> grpc.aio.Channel:
        """The channel, verified.

        Raises:
            PeerUnreachableError: Nobody shows a certificate in time.
            PeerIdentityError: The certificate carries another key.
        """
        if self._channel is None:
            asked_at = time.monotonic()
            async with self._building:
                if self._channel is None:
                    self._share_failure_since(asked_at)
                    await self._build()
        assert self._channel is not None  # noqa: S101 - built just now
        return self._channel

    async def refresh(self, failed: grpc.aio.Channel) -> bool:
        """After a failed connection on `failed`: True when the certificate had changed and a new channel stands.

        Raises:
            PeerError: As `get`.
        """
        asked_at = time.monotonic()
        async with self._building:
            if self._channel is not failed:
                return True  # somebody else was faster
            self._share_failure_since(asked_at)
            if self._fetched_at >= asked_at or await self._fetch() == self._certificate:
                return False
            _log.info("a storage node has a new certificate for its registered key", extra={"node": self.member.name})
            await self._build()
            await failed.close(grace=5)
            return True

    def adopt(self, member: Pinned) -> grpc.aio.Channel | None:
        """Goes on with what the chain says now; the caller closes the channel that this gives back, whose key is void."""
        self.member = member
        if self._channel is None or tls.public_key_of(self._certificate) in member.network_keys:
            return None
        void, self._channel = self._channel, None
        return void

    async def close(self) -> None:
        """Ends the channel; running calls are cancelled."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(grace=None)

    async def _build(self) -> None:
        self._certificate = await self._fetch()
        host, port = self._endpoint()
        credentials = grpc.ssl_channel_credentials(root_certificates=self._certificate)
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", self._server_name or host))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        interceptors = grpc_client_interceptors()
        self._channel = grpc.aio.secure_channel(address, credentials, options=options, interceptors=interceptors)

    def _share_failure_since(self, asked_at: float) -> None:
        """Those who waited for an attempt of somebody else share its outcome: a dead node costs one time-out, not many."""
        if self._failure is not None and self._fetched_at >= asked_at:
            raise self._failure

    async def _fetch(self) -> bytes:
        """The node's certificate (PEM), its key compared with the registered one."""
        try:
            certificate = await self._fetch_and_compare()
        except PeerError as error:
            self._failure = error
            raise
        else:
            self._failure = None
            return certificate
        finally:
            self._fetched_at = time.monotonic()

    async def _fetch_and_compare(self) -> bytes:
        name = self.member.name
        host, port = self._endpoint()
        try:
            certificate = await tls.fetch_certificate(host, port, FETCH_TIMEOUT_S)
        except CertificateError as error:
            raise PeerUnreachableError(name, str(error)) from error
        try:
            key = tls.public_key_of(certificate)
        except CertificateError as error:
            raise PeerIdentityError(name, f"its certificate is not usable: {error}") from error
        if key not in self.member.network_keys:
            raise PeerIdentityError(
                name,
                f"{self.member.grpc_address} presents the network key {key.hex()}, "
                f"registered on chain is {' or '.join(sorted(known.hex() for known in self.member.network_keys))}; "
                "nothing was sent to it",
            )
        return certificate

    def _endpoint(self) -> tuple[str, int]:
        try:
            return split_address(self.member.grpc_address)
        except ValueError as error:
            raise PeerUnreachableError(self.member.name, f"it has no usable gRPC address on chain: {error}") from error
