"""All nodes that this process talks to: one client each, kept while the node's address and key stay the same.

The pool also remembers, for all who share it, how long nodes take and which of them are in doubt (`rules`).
"""

from __future__ import annotations

import asyncio
from typing import Self

from walrus_client.peers.node_client import NodeClient
from walrus_client.peers.rules import Pace, Standing
from walrus_codec.types import NodeId
from walrus_sui.types import Committee, CommitteeMember


class PeerPool:
    """Clients by node id; single event loop.

    Attributes:
        pace: How long nodes take for a sliver.
        standing: Which nodes are in doubt.
    """

    def __init__(self) -> None:
        self.pace = Pace()
        self.standing = Standing()
        self._clients: dict[NodeId, NodeClient] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_failure: object) -> None:
        await self.close()

    def get(self, member: CommitteeMember) -> NodeClient:
        """The node's client; a new one when its address or network key has changed on chain."""
        client = self._clients.get(member.node_id)
        if client is not None and _same_endpoint(client.member, member):
            return client
        if client is not None:
            self._close_later(client)
        client = self._clients[member.node_id] = NodeClient(member)
        return client

    def keep_only(self, *committees: Committee) -> None:
        """Closes the clients of nodes that are in none of these committees."""
        wanted = {member.node_id for committee in committees for member in committee.members}
        for node_id in [node_id for node_id in self._clients if node_id not in wanted]:
            self._close_later(self._clients.pop(node_id))

    async def close(self) -> None:
        """Closes all channels; running calls are cancelled."""
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.close() for client in clients), *self._closing)

    def _close_later(self, client: NodeClient) -> None:
        task = asyncio.ensure_future(client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _same_endpoint(known: CommitteeMember, member: CommitteeMember) -> bool:
    return (known.grpc_address, known.network_public_key) == (member.grpc_address, member.network_public_key)
