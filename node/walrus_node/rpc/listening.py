"""A TLS port that shows the node's certificate, and another one as soon as there is one; both gRPC servers have it."""

from __future__ import annotations

import logging
from typing import Any

import grpc
import grpc.aio

from walrus_node.errors import WalrusNodeError
from walrus_node.rpc.certificate import ServerIdentity

_log = logging.getLogger(__name__)


class TlsPort:
    """One server's port.

    Args:
        identity: key and certificate at first.
    """

    def __init__(self, identity: ServerIdentity) -> None:
        self._identity = self._loaded = identity

    def add_to(self, server: Any, host: str, port: int) -> int:
        """Listens; returns the port.

        Args:
            server: of grpc.aio, not started yet.
            host: name or address, IPv6 without brackets.
            port: 0 takes a free one.

        Raises:
            WalrusNodeError: the port is taken, or the key is refused.
        """
        self._loaded = self._identity
        credentials = grpc.dynamic_ssl_server_credentials(
            _certificates(self._identity),
            self._newer,  # type: ignore[arg-type]  # the stubs do not know that None stands for "no change"
        )
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound: int = server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise WalrusNodeError(f"cannot listen on {address}: {error}") from error
        if bound == 0:
            raise WalrusNodeError(f"cannot listen on {address}: is the port taken?")
        return bound

    def show(self, identity: ServerIdentity) -> None:
        """New connections get another certificate; those that stand go on."""
        if identity != self._identity:
            _log.info("the TLS certificate has changed")
            self._identity = identity

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by the library's threads at each handshake; None when nothing has changed since."""
        identity = self._identity
        if identity is self._loaded:
            return None
        self._loaded = identity
        return _certificates(identity)


def _certificates(identity: ServerIdentity) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(identity.private_key, identity.certificate)])
