"""Gathers what the node tells about itself, for GetInfo, `GET /v1/info`, the probes and the gauges."""

from __future__ import annotations

import time
from collections.abc import Callable

from walrus_codec.types import ShardIndex
from walrus_node.chain import ChainView
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.events.processor import EventProcessor
from walrus_node.recovery.task import Progress
from walrus_node.rpc.model import NodeInfo, ShardState, StorageState
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.store.records import Identity, ShardStatus
from walrus_node.store.room import RoomKeeper
from walrus_node.store.storage import Storage
from walrus_node.sync.task import SyncProgress
from walrus_sui.release import release

SILENCE_LIMIT_S = 15.0
"""Without a checkpoint for this long the chain counts as out of reach; a follower's frame time-out is shorter."""

_RELEASE = release()  # once: looking it up reads files


class InfoSource:
    """Reads the parts of the node; never waits for the chain.

    Args:
        name: the configured name.
        storage: what is kept.
        processor: how far the events are.
        view: the newest committee.
        follower_age_s: seconds since the chain was last heard; infinite before the follower runs.
        room: whether there is room for more.
        recovery: what was got back from other nodes.
        scrub: how far the verification of what is stored is.
        sync: how far shards have come from their previous owners.
        challenges: where availability challenges stand.
    """

    def __init__(
        self,
        *,
        name: str,
        storage: Storage,
        processor: EventProcessor,
        view: ChainView,
        follower_age_s: Callable[[], float],
        room: RoomKeeper,
        recovery: Callable[[], Progress],
        scrub: Callable[[], ScrubProgress],
        sync: Callable[[], SyncProgress],
        challenges: Callable[[], ChallengeProgress],
    ) -> None:
        self._name = name
        self._storage = storage
        self._processor = processor
        self._view = view
        self._follower_age_s = follower_age_s
        self._room = room
        self._recovery = recovery
        self._scrub = scrub
        self._sync = sync
        self._challenges = challenges
        self._started = time.monotonic()
        self.identity: Identity | None = None

    @property
    def chain_reachable(self) -> bool:
        """Whether the chain was heard lately and answered the last question."""
        return self._view.reachable and self._follower_age_s() < SILENCE_LIMIT_S

    async def read(self) -> NodeInfo:
        """The node as it is now."""
        identity, cursor, staking = self.identity, self._processor.cursor, self._view.staking
        return NodeInfo(
            node_id=identity.node_id if identity is not None else "",
            name=self._name,
            epoch=self._processor.epoch,
            status=(await self._storage.node_state()).status.value,
            shards=self._shards(),
            version=_RELEASE,
            event_cursor=cursor.sequence if cursor is not None else 0,
            n_shards=staking.n_shards if staking is not None else 0,
            chain_id=identity.chain_id if identity is not None else "",
            chain_reachable=self.chain_reachable,
            checkpoint_age_ms=max(0, round(time.time() * 1000) - cursor.timestamp_ms) if cursor is not None else 0,
            uptime_seconds=round(time.monotonic() - self._started),
            blobs_stored=self._storage.blobs_stored,
            slivers_stored=self._storage.slivers_stored,
            storage=self._storage_state(),
            recovery=self._recovery(),
            scrub=self._scrub(),
            sync=self._sync(),
            challenges=self._challenges(),
        )

    def _storage_state(self) -> StorageState:
        room = self._room.room
        return StorageState(
            condition=self._room.condition.value,
            message=self._room.message,
            bytes_stored=room.stored,
            capacity=room.capacity,
            disk_free=room.free,
            disk_reserve=room.reserve,
        )

    def _shards(self) -> tuple[ShardState, ...]:
        statuses: dict[ShardIndex, ShardStatus] = dict(self._storage.shards)
        staking = self._view.staking
        member = staking.committee.by_id(self.identity.node_id) if staking is not None and self.identity else None
        for shard in member.shards if member is not None else ():
            statuses.setdefault(shard, ShardStatus.NONE)
        return tuple(ShardState(shard, statuses[shard].value) for shard in sorted(statuses))
