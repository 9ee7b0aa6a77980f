"""A node that gains shards, and twins of their previous owners, which lack, lie, stall, lag and refuse."""

import asyncio
import random
from dataclasses import dataclass, field, replace

from tests.unit.node.feeding import feed, start_epochs
from tests.unit.node.recovery_worlds import KEY, N, Peer, node_id
from tests.unit.node.worlds import (
    US,
    ChainTwin,
    certified,
    committee,
    member,
    object_id,
    put_state,
    registered,
    staking,
)

from walrus_client.compute import Compute
from walrus_client.errors import PeerUnreachableError
from walrus_client.peers import PeerPool, SyncedSlivers
from walrus_codec import mapping
from walrus_codec.types import Axis, Epoch, ShardIndex
from walrus_node.chain import ChainView
from walrus_node.recovery.gathering import Gatherer
from walrus_node.store.records import NodeState, NodeStatus, ShardStatus
from walrus_node.store.storage import SliverKey
from walrus_node.sync.task import SyncTask
from walrus_node.sync.transfer import Counters, MetadataFetcher, ShardMover

EPOCH = Epoch(2)
KEPT, GAINED = ShardIndex(0), [ShardIndex(2), ShardIndex(3), ShardIndex(4)]
"""The first two come from one node, the third from another."""
ACTIVE, SYNC, RECOVER, LOCKED = (
    ShardStatus.ACTIVE,
    ShardStatus.ACTIVE_SYNC,
    ShardStatus.ACTIVE_RECOVER,
    ShardStatus.LOCKED_TO_MOVE,
)


@dataclass
class Source(Peer):
    """A previous owner."""

    failure: Exception | None = None
    breaks_after: int | None = None
    asked_for: list = field(default_factory=list)
    hold: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    idle_s: float = 0.0

    async def sync_shard(self, expected, signer, *, timeout_s, idle_s):
        self.idle_s = idle_s
        self.reached.set()
        self.asked_for.append((expected.shard, expected.axis, expected.start))
        self._reach()
        assert signer is not None
        assert expected.epoch == EPOCH
        if self.failure is not None:
            raise self.failure
        slivers = [
            (blob_id, bytearray(self.sliver(blob, expected.shard, expected.axis).to_bcs()))
            for blob_id, blob in sorted(self.blobs.items())
            if blob_id >= expected.start and blob_id not in self.lacking
        ]
        for number, (blob_id, sliver) in enumerate(slivers[: expected.count]):
            if self.breaks_after is not None and number >= self.breaks_after:
                raise PeerUnreachableError(self.name, "it broke off")
            if self.hold is not None:
                await self.hold.wait()
            if self.lying:
                sliver[len(sliver) // 2] ^= 1
            yield SyncedSlivers([(blob_id, sliver)], complete=False)
        if len(slivers) <= expected.count:
            yield SyncedSlivers([], complete=True)

    def sliver(self, blob, shard, axis):
        return getattr(blob.pairs[mapping.pair_of_shard(shard, blob.blob_id, N)], axis.value)


class World(PeerPool):
    """We keep one shard and have gained three; their previous owners have all that was certified."""

    def __init__(self, storage, *, stall_s=1e9, concurrent=2):
        super().__init__()
        self.storage = storage
        self.peers = {}
        for number in range(1, 5):
            made = replace(member(node_id(number), [2 * number, 2 * number + 1]), name=f"peer-{number}")
            self.peers[made.node_id] = Source(made, KEY)
        us = member(US, [KEPT, *GAINED])
        now = committee(EPOCH, us, *(peer.member for peer in self.each()))
        before = committee(1, member(US, [KEPT, 1]), *(peer.member for peer in self.each()))
        self.chain = ChainTwin(replace(staking(EPOCH), committee=now, previous_committee=before))
        self.view = ChainView(self.chain)
        self.compute = Compute(workers=1, inline_limit_s=1e9)
        self.rung = 0
        self.at_tip = True
        counters, rng = Counters(), random.Random(1)
        gatherer = Gatherer(storage=storage, peers=self, compute=self.compute, signer=object(), us=US, rng=rng)
        metadata = MetadataFetcher(storage=storage, gatherer=gatherer, counters=counters)
        mover = ShardMover(
            storage=storage,
            peers=self,
            compute=self.compute,
            signer=object(),
            metadata=metadata,
            counters=counters,
        )
        self.task = SyncTask(
            storage=storage,
            view=self.view,
            mover=mover,
            metadata=metadata,
            us=US,
            rng=rng,
            concurrent_shards=concurrent,
            stall_s=stall_s,
            on_change=self.ring,
            caught_up=lambda: self.at_tip,
        )

    def ring(self):
        self.rung += 1

    def get(self, found):
        return self.peers[found.node_id]

    def each(self):
        return list(self.peers.values())

    @property
    def first(self):
        return self.peers[node_id(1)]

    @property
    def second(self):
        return self.peers[node_id(2)]

    async def begin(self, blobs, *, status=NodeStatus.ACTIVE, with_metadata=True):
        """The blobs were certified in epoch 1; epoch 2 has begun and the keeper has dealt with it."""
        self.blobs = blobs
        await start_epochs(self.storage, 1)
        for number, blob in enumerate(blobs):
            obj = object_id(number)
            await feed(self.storage, registered(blob.blob_id, obj, 9), certified(blob.blob_id, obj, 9))
            if with_metadata:
                await self.storage.put_metadata(blob.blob_id, blob.metadata.to_bcs())
            for peer in self.each():
                peer.blobs[blob.blob_id] = blob
        await start_epochs(self.storage, 2)
        await self.storage.create_shards([KEPT], ACTIVE)
        await self.storage.create_shards(GAINED, SYNC)
        await put_state(self.storage, NodeState(status, EPOCH))
        await self.view.refresh()
        return self

    async def lacks(self, shard):
        """Slivers of the shard that are not here, or not the writer's."""
        lacking = 0
        for blob in self.blobs:
            for axis in Axis:
                stored = await self.storage.sliver(SliverKey(shard, axis, blob.blob_id))
                good = self.first.sliver(blob, shard, axis).to_bcs()
                lacking += stored is None
                assert stored is None or bytes(stored) == good
        return lacking

    @property
    def statuses(self):
        return [self.storage.shards[shard] for shard in GAINED]
