"""Hangs up on a peer: a gRPC server cannot close a single connection, but the operating system can.

What a reader does not fetch lies in its connection for as long as that lives, and flow control keeps back even the word
that its call has ended. So the socket is looked for among this process's own files, by the address of its other end, and
shut down; gRPC sees it end as if the peer had gone, and frees all that belongs to it. The file itself stays gRPC's to
close: only a duplicate of it is used, which cannot become another file in the middle.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from pathlib import Path
from typing import Final
from urllib.parse import unquote

_OPEN_FILES: Final = Path("/proc/self/fd")

Address = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def hang_up(peer: str) -> bool:
    """Shuts the connections to a peer down; False when there is none (any more).

    Args:
        peer: as gRPC names it: "ipv4:10.0.0.7:4711", "ipv6:%5B2001:db8::7%5D:4711".
    """
    wanted = address_of(peer)
    if wanted is None:
        return False
    found = False
    for file in _OPEN_FILES.iterdir():
        # Suppressed: it was closed meanwhile, it is no socket, or one without another end.
        with contextlib.suppress(OSError), _duplicate(int(file.name)) as connection:
            if _other_end(connection) == wanted:
                connection.shutdown(socket.SHUT_RDWR)
                found = True
    return found


def address_of(peer: str) -> Address | None:
    """Host and port of a peer as gRPC names it; None when it has none, because it came through a local file."""
    host, _, port = unquote(peer).partition(":")[2].rpartition(":")
    try:
        return _plain(host.strip("[]")), int(port)
    except ValueError:
        return None


def _duplicate(fd: int) -> socket.socket:
    copy = os.dup(fd)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _other_end(connection: socket.socket) -> Address | None:
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    host, port = connection.getpeername()[:2]
    return _plain(host), port


def _plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address without its zone, and not as one of IPv6 when it is of IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
