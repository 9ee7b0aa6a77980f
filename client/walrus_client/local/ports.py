"""Chooses free ports, the documented ones where they are free."""

from __future__ import annotations

import socket

from walrus_client.local.state import HOST, NodePorts, Ports


def choose(nodes: int) -> Ports:
    """Ports for a network of so many nodes, all free now."""
    taken: set[int] = set()
    return Ports(
        rpc=_port(9000, taken),
        tls=_port(9443, taken),
        faucet=_port(9123, taken),
        api=_port(31415, taken),
        metrics=_port(27182, taken),
        nodes=tuple(
            NodePorts(**{kind: _port(None, taken) for kind in ("grpc", "rest", "http", "admin")}) for _ in range(nodes)
        ),
    )


def _port(wanted: int | None, taken: set[int]) -> int:
    """The wanted port, or any other when it is in use; never one that was given out before."""
    candidates = [0] * 100 if wanted is None else [wanted, *[0] * 100]
    for candidate in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            port = int(probe.getsockname()[1])
        if port not in taken:
            taken.add(port)
            return port
    raise OSError("there is no free port")
