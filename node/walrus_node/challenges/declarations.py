"""Which members recover slivers in this epoch: they are fed in spite of the challenges, and excused, but not for ever.

Life of a declaration: a node that is not whole when its epoch's challenges come signs that it recovers and tells all
members, again to those that it could not reach. Whoever gets one checks the signature with the key of the committee,
stores it, and serves the sender until the end of the epoch.
"""

from __future__ import annotations

import asyncio
import logging

from walrus_client.challenges import messages
from walrus_client.errors import PeerError
from walrus_client.peers import PeerPool
from walrus_client.reasons import Reason, RequestRefused
from walrus_codec.types import Epoch, NodeId
from walrus_node.challenges.rounds import Round, Rounds
from walrus_node.store.records import NodeStatus, ShardStatus
from walrus_node.store.storage import Storage
from walrus_sui import bls
from walrus_sui.keys import Signer

_log = logging.getLogger(__name__)


class Declarations:
    """Those that are known here, and this node's own.

    Args:
        storage: keeps them.
        rounds: the current epoch.
        key: signs.
    """

    def __init__(self, *, storage: Storage, rounds: Rounds, key: Signer) -> None:
        self._storage = storage
        self._rounds = rounds
        self._key = key
        self._known: tuple[Epoch, set[NodeId]] = (Epoch(0), set())
        self._told: tuple[Epoch, set[NodeId]] = (Epoch(0), set())

    async def has(self, current: Round, node: NodeId) -> bool:
        """Whether the node recovers in this round's epoch, as it has said."""
        return node in await self._nodes(current.epoch)

    async def add(self, epoch: Epoch, node: NodeId, signature: bytes) -> None:
        """Takes the declaration of a member.

        Raises:
            RequestRefused: UNAVAILABLE when there are no challenges now, INVALID_EPOCH, REQUEST_UNAUTHORIZED,
                MESSAGE_VERIFICATION_FAILED.
        """
        current = await self._rounds.current()
        if current is None:
            raise RequestRefused(Reason.UNAVAILABLE, "there are no challenges here at present")
        if epoch != current.epoch:
            raise RequestRefused(
                Reason.INVALID_EPOCH,
                f"the declaration is for epoch {epoch}, the current one is {current.epoch}",
                {"request_epoch": str(epoch), "server_epoch": str(current.epoch)},
            )
        member = current.member(node)
        if member is None:
            raise RequestRefused(Reason.REQUEST_UNAUTHORIZED, f"{node} is no member of the committee of epoch {epoch}")
        if node in await self._nodes(epoch):
            return
        message = messages.recovering(node, epoch)
        if not await asyncio.to_thread(bls.verify, member.bls_public_key, message, signature):
            raise RequestRefused(
                Reason.MESSAGE_VERIFICATION_FAILED, "the signature is not the node's over this declaration"
            )
        await self._storage.declared(epoch, node, signature)
        (await self._nodes(epoch)).add(node)
        _log.info("a member recovers in this epoch", extra={"epoch": epoch, "node": member.name})

    async def is_needed(self, current: Round) -> bool:
        """Whether this node lacks a part of what it may be asked for: it is not whole, or one of the shards is not."""
        status = (await self._storage.node_state()).status
        stored = self._storage.shards
        whole = all(stored.get(shard) is ShardStatus.ACTIVE for shard in current.shards(current.us))
        return bool(current.shards(current.us)) and (status is not NodeStatus.ACTIVE or not whole)

    async def announce(self, current: Round, peers: PeerPool) -> None:
        """Says that this node recovers, to every member that has not heard it."""
        epoch, us = current.epoch, current.us
        signature = await asyncio.to_thread(self._key.sign, messages.recovering(us, epoch))
        if us not in await self._nodes(epoch):
            await self._storage.declared(epoch, us, signature)
            (await self._nodes(epoch)).add(us)
            _log.warning("this node is not whole: it recovers, and is excused from challenges", extra={"epoch": epoch})
        if self._told[0] != epoch:
            self._told = (epoch, set())
        told = self._told[1]

        async def tell(node_id: NodeId) -> None:
            member = current.member(node_id)
            assert member is not None  # noqa: S101 - of the same committee
            try:
                await peers.get(member).declare_recovering(epoch, signature, us)
            except PeerError as error:
                _log.info("a member does not hear that this node recovers", extra={"error": str(error)})
            else:
                told.add(node_id)

        await asyncio.gather(*(tell(other.node_id) for other in current.others if other.node_id not in told))

    async def _nodes(self, epoch: Epoch) -> set[NodeId]:
        if self._known[0] != epoch:
            self._known = (epoch, set(await self._storage.declarations(epoch)))
        return self._known[1]
