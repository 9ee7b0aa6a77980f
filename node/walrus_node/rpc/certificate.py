"""The node's TLS certificate: made once from the network key, kept beside the data, reused after every restart.

Clients pin the very certificate, so it must not change without need: it is made anew only when its key is not the
one to be shown, when the registered host changed, or when it cannot be read. It holds no secret; the private key stays
in the key file and goes to the TLS library in memory.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from walrus_node.errors import StoreError
from walrus_sui import tls
from walrus_sui.errors import CertificateError
from walrus_sui.keys import NetworkKey

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerIdentity:
    """What a TLS server needs, both as PEM."""

    private_key: bytes
    certificate: bytes


def last_shown(path: Path, key: NetworkKey, following: NetworkKey | None) -> NetworkKey:
    """Which of two keys to show before the chain is found: `following` only if it was shown already.

    Args:
        path: the certificate file.
        key: the configured key.
        following: the one that is to take over; None without one.
    """
    if following is None:
        return key
    try:
        return following if tls.public_key_of(path.read_bytes()) == following.public_key else key
    except (OSError, CertificateError):
        return key


def obtain(path: Path, key: NetworkKey, host: str, *, now: dt.datetime) -> ServerIdentity:
    """Reads the certificate at `path`, or makes it; blocking.

    Args:
        path: the file; its folder is made when absent.
        key: the network key to show.
        host: the registered host, a DNS name or an IP address.
        now: with time zone.

    Raises:
        StoreError: the file cannot be written.
    """
    private_key = key.to_pem()
    try:
        existing = path.read_bytes()
        if tls.public_key_of(existing) == key.public_key and tls.host_of(existing) == host:
            return ServerIdentity(private_key, existing)
        _log.warning("the TLS certificate is for another key or host and is made anew", extra={"path": str(path)})
    except FileNotFoundError:
        pass
    except (OSError, CertificateError) as error:
        _log.warning(
            "the TLS certificate cannot be read and is made anew", extra={"path": str(path), "error": str(error)}
        )
    certificate = tls.make_certificate(key, host, not_before=now)
    scratch = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            file.write(certificate)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write the TLS certificate {path}: {error}") from error
    return ServerIdentity(private_key, certificate)
