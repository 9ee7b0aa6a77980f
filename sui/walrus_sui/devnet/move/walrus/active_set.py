"""The nodes that take part in committee selection (contract module active_set).

At most `max_size` nodes; a full set drops its smallest entry for a larger newcomer. The order of entries decides ties
when shards are handed out, so removal by swapping with the last entry is part of the rules.
"""

from dataclasses import dataclass

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import as_u64, require
from walrus_sui.devnet.move.core.module import Module
from walrus_sui.devnet.move.core.packages import WALRUS
from walrus_sui.devnet.move.core.types import ID, u16, u64

MODULE = Module(WALRUS, "active_set")

E_ZERO_MAX_SIZE = MODULE.error(0, "EZeroMaxSize")
E_DUPLICATE_INSERTION = MODULE.error(1, "EDuplicateInsertion")


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class ActiveSetEntry:
    """A node and the stake it will have when the next committee is chosen."""

    node_id: ID
    staked_amount: u64


@MODULE.struct("copy, drop, store")
@dataclass(slots=True)
class ActiveSet:
    """The set; `total_stake` is the sum over its entries."""

    max_size: u16
    threshold_stake: u64
    nodes: list[ActiveSetEntry]
    total_stake: u64

    @classmethod
    def new(cls, max_size: int, threshold_stake: int) -> "ActiveSet":
        """An empty set."""
        require(max_size > 0, E_ZERO_MAX_SIZE)
        return cls(max_size, threshold_stake, [], 0)

    def insert_or_update(self, node_id: ObjectId, staked_amount: int) -> bool:
        """Sets a node's stake; below the threshold or zero removes it. Returns whether the node is in the set."""
        if staked_amount == 0 or staked_amount < self.threshold_stake:
            self.remove(node_id)
            return False
        return self.update(node_id, staked_amount) or self._insert(node_id, staked_amount)

    def update(self, node_id: ObjectId, staked_amount: int) -> bool:
        """Sets the stake of a node that is in the set; returns whether it is."""
        for entry in self.nodes:
            if entry.node_id == node_id:
                self.total_stake = as_u64(self.total_stake + staked_amount - entry.staked_amount)
                entry.staked_amount = staked_amount
                return True
        return False

    def _insert(self, node_id: ObjectId, staked_amount: int) -> bool:
        entry = ActiveSetEntry(node_id, staked_amount)
        if len(self.nodes) < self.max_size:
            self.total_stake = as_u64(self.total_stake + staked_amount)
            self.nodes.append(entry)
            return True
        # The first one among equals; it must be strictly smaller than the newcomer.
        smallest = min(range(len(self.nodes)), key=lambda index: self.nodes[index].staked_amount)
        if self.nodes[smallest].staked_amount >= staked_amount:
            return False
        self.total_stake = as_u64(self.total_stake - self.nodes[smallest].staked_amount + staked_amount)
        self.nodes[smallest] = entry
        return True

    def remove(self, node_id: ObjectId) -> None:
        """Takes a node out, if it is there; the last entry takes its place."""
        for index, entry in enumerate(self.nodes):
            if entry.node_id == node_id:
                last = self.nodes.pop()
                if index < len(self.nodes):
                    self.nodes[index] = last
                self.total_stake = as_u64(self.total_stake - entry.staked_amount)
                return

    def active_ids_and_stake(self) -> tuple[list[ObjectId], list[int]]:
        """Nodes and their stakes, in order."""
        return [entry.node_id for entry in self.nodes], [entry.staked_amount for entry in self.nodes]
