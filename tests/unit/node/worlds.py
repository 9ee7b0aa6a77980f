"""Values that the node's tests are made of: ids, events, committees, and a chain twin that can be put into any state."""

from dataclasses import dataclass, field, replace

from walrus_codec.types import BlobId, Digest, Epoch, NodeId, ObjectId, ShardIndex
from walrus_node.store import layout
from walrus_node.store.records import Identity
from walrus_sui.errors import ChainUnreachable, MoveAbort
from walrus_sui.events import (
    BlobCertified,
    BlobDeleted,
    BlobRegistered,
    EventId,
    PooledBlobCertified,
    PooledBlobDeleted,
    PooledBlobRegistered,
    StoragePoolCreated,
    StoragePoolExtended,
)
from walrus_sui.types import (
    Committee,
    CommitteeMember,
    EpochPhase,
    EpochState,
    NodeCap,
    NodeMetadata,
    PoolPhase,
    PoolView,
    StakingView,
    VotingParams,
)

N_SHARDS = 10
EPOCH_MS = 100_000
US = NodeId("0x" + "aa" * 32)
CAP = ObjectId("0x" + "cc" * 32)
IDENTITY = Identity("chain", US, CAP)


async def put_state(storage, state):
    """Puts a node into any state, also one that it could not come into."""
    await storage._write(storage._put, layout.STATE_KEY, state.to_bytes())


def blob_id(number: int) -> BlobId:
    return BlobId(number.to_bytes(32, "big"))


def object_id(number: int) -> ObjectId:
    return ObjectId("0x" + number.to_bytes(32, "big").hex())


def event_id(number: int) -> EventId:
    return EventId(Digest(f"tx{number}"), 0)


def registered(blob, obj, end, *, deletable=False, epoch=1, size=1000):
    return BlobRegistered(Epoch(epoch), blob, size, 128, Epoch(end), deletable, obj)


def certified(blob, obj, end, *, deletable=False, epoch=1, extension=False):
    return BlobCertified(Epoch(epoch), blob, Epoch(end), deletable, obj, extension)


def deleted(blob, obj, end, *, was_certified=False, epoch=1):
    return BlobDeleted(Epoch(epoch), blob, Epoch(end), obj, was_certified)


def pool_id(number: int) -> ObjectId:
    return object_id(10**6 + number)


def pool_created(pool, end, *, epoch=1):
    return StoragePoolCreated(Epoch(epoch), pool, 10**9, Epoch(epoch), Epoch(end))


def pool_extended(pool, end, *, epoch=1):
    return StoragePoolExtended(Epoch(epoch), pool, Epoch(end))


def pooled(blob, obj, pool, *, deletable=True, epoch=1):
    return PooledBlobRegistered(Epoch(epoch), blob, 1000, 128, deletable, obj, pool)


def pooled_certified(blob, obj, pool, *, deletable=True, epoch=1):
    return PooledBlobCertified(Epoch(epoch), blob, deletable, obj, pool)


def pooled_deleted(blob, obj, pool, *, was_certified=False, epoch=1):
    return PooledBlobDeleted(Epoch(epoch), blob, obj, was_certified, pool)


def member(node_id, shards):
    return CommitteeMember(
        node_id, tuple(ShardIndex(shard) for shard in shards), b"\x01" * 48, "n", "h:9185", "h:9187", b"\x02" * 33
    )


def committee(epoch, *members, n_shards=N_SHARDS):
    return Committee(Epoch(epoch), n_shards, tuple(sorted(members, key=lambda entry: entry.node_id)))


def staking(
    epoch=1, *, ours=range(N_SHARDS), before=None, phase=EpochPhase.DONE, since_ms=0, first_ms=0, n_shards=N_SHARDS
):
    """The chain in `epoch`, where we own `ours` and owned `before` in the epoch before (None: no committee then)."""
    current = [member(US, ours)] if ours and epoch else []
    previous = [] if before is None else [member(US, before)] if before else [member(NodeId("0x" + "bb" * 32), [0])]
    return StakingView(
        epoch=Epoch(epoch),
        epoch_state=EpochState(phase, since_ms=since_ms),
        epoch_duration_ms=EPOCH_MS,
        first_epoch_start_ms=first_ms,
        n_shards=n_shards,
        committee=committee(epoch, *current, n_shards=n_shards),
        previous_committee=committee(max(0, epoch - 1), *previous, n_shards=n_shards),
        next_committee=None,
    )


def pool(**changes) -> PoolView:
    base = PoolView(
        node_id=US,
        name="",
        network_address="",
        network_public_key=b"",
        bls_public_key=b"",
        next_bls_public_key=None,
        metadata=NodeMetadata(),
        phase=PoolPhase.ACTIVE,
        votes=VotingParams(0, 0, 0),
        activation_epoch=Epoch(0),
        latest_epoch=Epoch(0),
        wal_balance=0,
        num_shares=0,
        pending_stake=(),
        commission_rate=0,
        pending_commission_rate=(),
        commission=0,
        rewards=0,
    )
    return replace(base, **changes)


@dataclass
class ChainTwin:
    """The calls of a node, answered from attributes; what was called is in `calls`."""

    view: StakingView = field(default_factory=lambda: staking(0))
    caps: list[NodeCap] = field(default_factory=list)
    pools: dict[NodeId, PoolView] = field(default_factory=dict)
    mist: int = 10**12
    down: bool = False
    aborts: dict[str, MoveAbort] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    updates: list[dict] = field(default_factory=list)

    async def chain_id(self):
        self._reach("chain_id")
        return "chain"

    async def staking(self):
        self._reach("staking")
        return self.view

    async def node_caps(self, address):
        self._reach("node_caps")
        return list(self.caps)

    async def pool(self, node_id):
        self._reach("pool")
        return self.pools[node_id]

    async def balance(self, address, coin_type="SUI"):
        self._reach("balance")
        return self.mist

    async def register_candidate(self, key, **record):
        self._reach("register_candidate")
        self.updates.append(record)
        cap = NodeCap(CAP, US, Epoch(0), key.address)
        self.caps.append(cap)
        return cap

    async def update_node(self, key, cap, found, **record):
        self._reach("update_node")
        self.updates.append(record)
        return True

    async def set_next_public_key(self, key, cap, bls_key):
        self._reach("set_next_public_key")
        self.updates.append(bls_key)

    async def voting_end(self, key):
        self._reach("voting_end")

    async def initiate_epoch_change(self, key):
        self._reach("initiate_epoch_change")

    async def epoch_sync_done(self, key, cap_id, epoch):
        self._reach("epoch_sync_done")
        self.caps = [replace(cap, last_epoch_sync_done=epoch) for cap in self.caps]

    async def invalidate_blob_id(self, key, signed):
        self._reach("invalidate_blob_id")
        self.updates.append(signed)

    def done(self, call):
        return self.calls.count(call)

    def _reach(self, call):
        if self.down:
            raise ChainUnreachable("the chain is down")
        self.calls.append(call)
        if call in self.aborts:
            raise self.aborts[call]
