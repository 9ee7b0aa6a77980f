"""A store that lacks slivers for everybody who reads, though its index, its counts and its disk say otherwise.

So the node itself does not find out, and repairs nothing: readers, members that recover, new owners of a shard and
challengers are told that the sliver is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.cheating.orders import OrderFile
from walrus_node.store.shards import SliverKey
from walrus_node.store.storage import Storage
from walrus_node.store.transfers import SliverPage


class LackingStorage(Storage):
    """A store that may be told to lack slivers.

    Attributes:
        orders: tell which; None until they are known.
    """

    orders: OrderFile | None = None

    async def sliver(self, key: SliverKey) -> memoryview | None:
        """The BCS form of a sliver, unless it is to be lacked."""
        return None if self._lacked([key]) else await super().sliver(key)

    async def sliver_page(  # noqa: PLR0917 - what a page is
        self, shard: ShardIndex, axis: Axis, start: bytes, epoch: Epoch, max_slivers: int, max_bytes: int
    ) -> SliverPage:
        """Slivers of a shard for its new owner, without those that are to be lacked."""
        page = await super().sliver_page(shard, axis, start, epoch, max_slivers, max_bytes)
        lacked = self._lacked([SliverKey(shard, axis, blob_id) for blob_id, _sliver in page.slivers])
        kept = [entry for entry in page.slivers if SliverKey(shard, axis, entry[0]) not in lacked]
        return replace(page, slivers=kept)

    def _lacked(self, keys: Sequence[SliverKey]) -> set[SliverKey]:
        if self.orders is None:
            return set()
        orders, node = self.orders.read(), self.orders.node
        lowest = min(self.shards, default=-1)
        return {key for key in keys if orders.lacks(node, key, lowest)}
