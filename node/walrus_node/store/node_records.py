"""What the node keeps about itself: whose data this is, and what it is doing."""

from __future__ import annotations

from walrus_codec.types import Epoch
from walrus_node.errors import IdentityError
from walrus_node.store import layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.records import Identity, NodeState, NodeStatus


class NodeRecords(StoreAccess):
    """The part of the store about the node itself."""

    async def identity(self) -> Identity | None:
        """Whose data this is, None before the registration."""
        value = await self._read(self._kv.get, layout.NODE, layout.IDENTITY_KEY)
        return None if value is None else Identity.from_bytes(value)

    async def set_identity(self, identity: Identity) -> None:
        """Binds the store to a chain and a node, durably.

        Raises:
            IdentityError: it is bound to another one.
        """

        def bind() -> None:
            value = self._kv.get(layout.NODE, layout.IDENTITY_KEY)
            if value is None:
                self._put(layout.IDENTITY_KEY, identity.to_bytes())
                self._kv.sync()
            elif (owner := Identity.from_bytes(value)) != identity:
                raise IdentityError(
                    f"the data belongs to node {owner.node_id} on chain {owner.chain_id}, "
                    f"but this is node {identity.node_id} on chain {identity.chain_id}: "
                    "give every node its own data directory, and wipe it when the network is made anew"
                )

        await self._write(bind)

    async def node_state(self) -> NodeState:
        """What the node is doing; Standby, before any epoch, in an empty store."""
        return await self._read(self._node_state)

    def _node_state(self) -> NodeState:
        value = self._kv.get(layout.NODE, layout.STATE_KEY)
        return NodeState(NodeStatus.STANDBY, Epoch(0)) if value is None else NodeState.from_bytes(value)
