"""What changes when epochs do: node and shards together, shards that come and shards that go.

Statuses follow one another only as documented (`records`), and what depends on an epoch changes only while the node is in
that epoch: so the loops that act on shards need no lock, the one writer decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from walrus_codec.types import Axis, BlobId, Epoch, ShardIndex
from walrus_node.errors import StoreError
from walrus_node.store import layout
from walrus_node.store.access import StoreAccess
from walrus_node.store.contents import Contents
from walrus_node.store.kv import Batch, KeyValueStore
from walrus_node.store.node_records import NodeRecords
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus, TransferState
from walrus_node.store.transfers import SliverPage, TransferTable, Wanted


class Moving(NodeRecords, Contents, StoreAccess):
    """The part of the store that epoch changes and shard sync use."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Takes over an open database; blocking."""
        super().__init__(kv)
        self._transfers = TransferTable(kv, self._blobs, self._shards)

    def drop_leftovers(self) -> None:
        """Drops what a shard left that was being made or dropped when the process died; blocking, before anything else."""
        self._shards.drop_leftovers()

    async def change_epoch(self, state: NodeState, shards: Mapping[ShardIndex, ShardStatus]) -> None:
        """Changes node and shards together and durably; shards that are not stored are made.

        Raises:
            StoreError: a status may not follow the one that is stored.
        """

        def change() -> None:
            before = self._node_state()
            if not before.status.may_become(state.status):
                raise StoreError(f"a node that is {before.status.value} cannot become {state.status.value}")
            for shard, status in shards.items():
                self._check_transition(shard, status)
                self._shards.make(shard)
            batch = Batch()
            batch.put(layout.NODE, layout.STATE_KEY, state.to_bytes())
            self._shards.set_statuses(shards, batch)
            self._kv.sync()

        await self._write(change)

    async def advance_shards(
        self, shards: Iterable[ShardIndex], before: ShardStatus, after: ShardStatus, *, epoch: Epoch
    ) -> bool:
        """Changes the status of shards, durably; False when one has another, or the node has gone to another epoch.

        What shards lack whose transfer has ended must be suspected before (`Suspects.suspect_gaps`).
        """

        def change() -> bool:
            changes = dict.fromkeys(shards, after)
            if self._node_state().epoch != epoch or any(self.shards.get(shard) is not before for shard in changes):
                return False
            for shard in changes:
                self._check_transition(shard, after)
            self._kv.sync()  # the slivers first: a status must not promise what a loss of power takes away
            self._shards.set_statuses(changes, Batch(), looked_through=True)
            self._kv.sync()
            return True

        return await self._write(change)

    async def advance_node(self, before: NodeState, after: NodeStatus) -> bool:
        """Changes what the node is doing within an epoch, durably; False when it is doing something else by now."""

        def change() -> bool:
            if self._node_state() != before:
                return False
            if not before.status.may_become(after):
                raise StoreError(f"a node that is {before.status.value} cannot become {after.value}")
            self._put(layout.STATE_KEY, NodeState(after, before.epoch).to_bytes())
            self._kv.sync()
            return True

        return await self._write(change)

    async def drop_shards(self, shards: Iterable[ShardIndex]) -> int:
        """Removes shards with all their slivers and gives back their space; returns how many slivers went."""

        def drop() -> int:
            gone = 0
            for shard in shards:
                if shard in self.shards:
                    gone += self._shards.drop(shard).slivers
            return gone

        return await self._write(drop)

    async def sliver_page(  # noqa: PLR0917 - what a page is
        self, shard: ShardIndex, axis: Axis, start: bytes, epoch: Epoch, max_slivers: int, max_bytes: int
    ) -> SliverPage:
        """Slivers of a shard for its new owner, from the blob id `start` on (see `transfers`)."""
        return await self._read(self._transfers.page, shard, axis, start, epoch, max_slivers, max_bytes)

    async def wanted(self, shard: ShardIndex, axis: Axis, blob_ids: Sequence[BlobId], epoch: Epoch) -> Wanted:
        """Which of these blobs' slivers a shard that is being transferred still wants."""
        return await self._read(self._transfers.wanted, shard, axis, blob_ids, epoch)

    async def take_in(
        self, shard: ShardIndex, axis: Axis, slivers: Sequence[tuple[BlobId, bytes]], next_id: bytes | None
    ) -> int:
        """Stores verified slivers of a shard and where its transfer goes on; returns how many were new.

        Raises:
            ShardNotHereError: the shard is not being transferred (any more).
        """
        return await self._write(self._transfers.take_in, shard, axis, slivers, next_id)

    async def transfer_state(self, shard: ShardIndex) -> TransferState:
        """How far the transfer of a stored shard is."""
        return await self._read(self._transfers.transfer, shard)

    async def without_metadata(self, epoch: Epoch) -> list[BlobId]:
        """Blobs certified in `epoch` whose metadata is not stored, in order of their ids."""
        return await self._read(self._transfers.without_metadata, epoch)

    def _check_transition(self, shard: ShardIndex, after: ShardStatus) -> None:
        before = self.shards.get(shard, ShardStatus.NONE)
        if not before.may_become(after):
            raise StoreError(f"shard {shard} is {before.value} and cannot become {after.value}")
