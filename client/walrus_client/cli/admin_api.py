"""Calls of a storage node's admin port, for commands; the operator has a client of its own.

Life of a call: fetch the certificate that the port shows, compare its key with the given one, and only then send the token.
Without a key to compare with, the connection is private but nobody knows with whom: the caller says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

from walrus_client.cli.output import EXIT_FAILED, EXIT_NOT_FOUND, EXIT_UNAVAILABLE, EXIT_USAGE, CommandError
from walrus_client.grpc_errors import refusal_of
from walrus_client.peers.channels import split_address
from walrus_client.reasons import Status
from walrus_proto.admin.v1 import admin_pb2_grpc
from walrus_sui import tls
from walrus_sui.errors import CertificateError

DEFAULT_PORT = 9186
FETCH_TIMEOUT_S = 10.0
_MAX_MESSAGE = 4 << 20
_MOST_TOKEN_BYTES = 4096
_CODES = {
    Status.UNAVAILABLE: EXIT_UNAVAILABLE,
    Status.RESOURCE_EXHAUSTED: EXIT_UNAVAILABLE,
    Status.NOT_FOUND: EXIT_NOT_FOUND,
    Status.UNAUTHENTICATED: EXIT_USAGE,
    Status.INVALID_ARGUMENT: EXIT_USAGE,
    Status.FAILED_PRECONDITION: EXIT_USAGE,
}


def read_token(path: Path) -> str:
    """The first token of a file, which may be the node's own; raises `CommandError`."""
    try:
        with path.open(encoding="ascii") as file:
            lines = file.read(_MOST_TOKEN_BYTES).split()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read the token: {error}", EXIT_USAGE) from error
    if not lines:
        raise CommandError(f"{path} holds no token", EXIT_USAGE)
    return lines[0]


def read_key(text: str) -> bytes:
    """A network key as the chain shows it, 33 bytes in hex; raises `CommandError`."""
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 33:
        raise CommandError("--server-key is the node's network key on chain: 33 bytes in hex", EXIT_USAGE)
    return key


class AdminApi:
    """One node.

    Args:
        address: "host" or "host:port".
        token: goes with each call.
        key: the network key that the certificate must carry; None believes any.
    """

    def __init__(self, address: str, token: str, key: bytes | None) -> None:
        self.address = address if ":" in address else f"{address}:{DEFAULT_PORT}"
        try:
            self._host, self._port = split_address(self.address)
        except ValueError as error:
            raise CommandError(f"--node: {error}", EXIT_USAGE) from None
        self._token = token
        self._key = key
        self.shown_key = b""

    async def call(self, method: str, request: Any, *, timeout_s: float) -> Any:
        """One call.

        Args:
            method: its name in `walrus.admin.v1.NodeAdmin`.
            request: its message.
            timeout_s: for the answer.

        Raises:
            CommandError: the node cannot be reached, is another one, or refuses.
        """
        async with self._channel() as channel:
            stub = admin_pb2_grpc.NodeAdminStub(channel)
            metadata = (("authorization", f"Bearer {self._token}"),)
            try:
                return await getattr(stub, method)(request, timeout=timeout_s, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise self._error(error) from error

    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[grpc.aio.Channel]:
        try:
            certificate = await tls.fetch_certificate(self._host, self._port, FETCH_TIMEOUT_S)
            self.shown_key, name = tls.public_key_of(certificate), tls.host_of(certificate)
        except CertificateError as error:
            raise CommandError(str(error), EXIT_UNAVAILABLE) from error
        if self._key is not None and self.shown_key != self._key:
            raise CommandError(
                f"{self.address} shows the network key {self.shown_key.hex()}, not the given one; nothing was sent to it"
            )
        options = [
            ("grpc.ssl_target_name_override", name),
            ("grpc.max_receive_message_length", _MAX_MESSAGE),
            ("grpc.enable_http_proxy", 0),
        ]
        target = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        credentials = grpc.ssl_channel_credentials(root_certificates=certificate)
        async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
            yield channel

    def _error(self, error: grpc.aio.AioRpcError) -> CommandError:
        refusal = refusal_of(error)
        if refusal is not None:
            return CommandError(f"{refusal.reason}: {refusal.message}", _CODES.get(refusal.reason.status, EXIT_FAILED))
        later = error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        said = f"{self.address}: {error.code().name}: {error.details()}"
        return CommandError(said, EXIT_UNAVAILABLE if later else EXIT_FAILED)


def seconds(value: float) -> Duration:
    """A duration of so many seconds."""
    made = Duration()
    made.FromNanoseconds(round(value * 1e9))
    return made
