"""All nodes that this process talks to: one client each, kept while the node's address and key stay the same.

The pool also remembers, for all who share it, how long nodes take and which of them are in doubt (`rules`). Every fault is
counted; the log tells of a node's fault when it brings a new mark, not for each answer that it spoils meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Self

from walrus_client.errors import PeerError
from walrus_client.peers.node_client import NodeClient
from walrus_client.peers.rules import Fault, Pace, Standing, fault_of
from walrus_codec.types import NodeId
from walrus_sui.telemetry import meter, names
from walrus_sui.types import Committee, CommitteeMember

_log = logging.getLogger(__name__)

VOID_GRACE_S = 30.0
"""How long calls may go on over a channel whose key is no longer registered: the node was right when they began."""


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
        self._faults = meter().create_counter(
            names.PEER_FAULTS, description="Lies, failures and stalls of other storage nodes, as this process met them."
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_failure: object) -> None:
        await self.close()

    def get(self, member: CommitteeMember) -> NodeClient:
        """The node's client; a new one when its address has changed on chain, or its network key from one look to the next.

        A node that announces its next key first keeps its client: what runs is not interrupted.
        """
        client = self._clients.get(member.node_id)
        if client is not None and _same_node(client.member, member):
            if client.member is not member and (void := client.adopt(member)) is not None:
                self._later(void.close(grace=VOID_GRACE_S))
            return client
        if client is not None:
            self._later(client.close())
        client = self._clients[member.node_id] = NodeClient(member)
        return client

    def blame(self, member: CommitteeMember, fault: Fault, cause: str) -> None:
        """Remembers, counts and logs what a node did."""
        self._faults.add(1, {names.ATTR_PEER: member.name, names.ATTR_FAULT: fault.name.lower()})
        if self.standing.blame(member.node_id, fault, asyncio.get_running_loop().time()):
            facts = {"node": member.name, "fault": fault.name.lower(), "cause": cause}
            level = logging.WARNING if fault is Fault.LIED else logging.INFO
            _log.log(level, "a storage node is asked last for a while", extra=facts)

    def blame_for(self, member: CommitteeMember, error: PeerError) -> None:
        """The same for a failed call, if that speaks against the node."""
        if (fault := fault_of(error)) is not None:
            self.blame(member, fault, str(error))

    def doubtful_last(self, members: Sequence[CommitteeMember]) -> list[CommitteeMember]:
        """The members in the same order, but those that are in doubt behind all others."""
        now = asyncio.get_running_loop().time()
        return sorted(members, key=lambda member: self.standing.is_doubtful(member.node_id, now))

    def keep_only(self, *committees: Committee) -> None:
        """Closes the clients of nodes that are in none of these committees."""
        wanted = {member.node_id for committee in committees for member in committee.members}
        for node_id in [node_id for node_id in self._clients if node_id not in wanted]:
            self._later(self._clients.pop(node_id).close())

    async def close(self) -> None:
        """Closes all channels; running calls are cancelled."""
        clients, self._clients = list(self._clients.values()), {}
        await asyncio.gather(*(client.close() for client in clients), *self._closing)

    def _later(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _same_node(known: CommitteeMember, member: CommitteeMember) -> bool:
    """Whether a client may go on; with keys one of which follows the other on chain, it may."""
    return known.grpc_address == member.grpc_address and not known.network_keys.isdisjoint(member.network_keys)
