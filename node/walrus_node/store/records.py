"""What the node remembers about its shards and itself: frozen values and their versioned bytes (`forms`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from walrus_codec import bcs
from walrus_codec.types import Axis, Epoch, NodeId, ObjectId
from walrus_node.errors import StoreError
from walrus_node.store.forms import decoded, id_to_bytes, read_id, versioned


class NodeStatus(Enum):
    """What the node as a whole is doing; names as the official node shows them."""

    STANDBY = "Standby"
    ACTIVE = "Active"
    RECOVER_METADATA = "RecoverMetadata"
    RECOVERY_CATCH_UP = "RecoveryCatchUp"
    RECOVERY_IN_PROGRESS = "RecoveryInProgress"
    RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY = "RecoveryCatchUpWithIncompleteHistory"

    def may_become(self, other: NodeStatus) -> bool:
        """Whether this status may be followed by the other one; each may be written again."""
        return other is self or other in _NODE_TRANSITIONS[self]


_CATCHING_UP = (NodeStatus.RECOVERY_CATCH_UP, NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY)
_AFTER_CATCH_UP = frozenset({NodeStatus.STANDBY, NodeStatus.RECOVER_METADATA, NodeStatus.RECOVERY_IN_PROGRESS})
_NODE_TRANSITIONS: dict[NodeStatus, frozenset[NodeStatus]] = {
    NodeStatus.STANDBY: frozenset({NodeStatus.RECOVER_METADATA, *_CATCHING_UP}),
    NodeStatus.ACTIVE: frozenset({NodeStatus.STANDBY, *_CATCHING_UP}),
    NodeStatus.RECOVER_METADATA: frozenset({NodeStatus.ACTIVE, NodeStatus.STANDBY, *_CATCHING_UP}),
    NodeStatus.RECOVERY_IN_PROGRESS: frozenset({NodeStatus.ACTIVE, NodeStatus.STANDBY, *_CATCHING_UP}),
    # The last: the chain has pruned what the node would catch up with.
    NodeStatus.RECOVERY_CATCH_UP: _AFTER_CATCH_UP | {NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY},
    NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY: _AFTER_CATCH_UP,
}


class ShardStatus(Enum):
    """What this node's copy of a shard is good for; a shard that is not stored has status None."""

    NONE = "None"
    ACTIVE = "Active"
    ACTIVE_SYNC = "ActiveSync"
    ACTIVE_RECOVER = "ActiveRecover"
    LOCKED_TO_MOVE = "LockedToMove"

    @property
    def writable(self) -> bool:
        """True while the node takes new slivers for the shard."""
        return self in {ShardStatus.ACTIVE, ShardStatus.ACTIVE_SYNC, ShardStatus.ACTIVE_RECOVER}

    @property
    def settled(self) -> bool:
        """True when what the shard lacks is recovery's business; before, a transfer is to bring it."""
        return self in {ShardStatus.ACTIVE, ShardStatus.ACTIVE_RECOVER}

    def may_become(self, other: ShardStatus) -> bool:
        """Whether this status may be followed by the other one; each may be written again."""
        return other is self or other in _SHARD_TRANSITIONS[self]


_SHARD_TRANSITIONS: dict[ShardStatus, frozenset[ShardStatus]] = {
    ShardStatus.NONE: frozenset({ShardStatus.ACTIVE, ShardStatus.ACTIVE_SYNC, ShardStatus.ACTIVE_RECOVER}),
    # The last: while the node was away, the shard was somebody else's.
    ShardStatus.ACTIVE: frozenset({ShardStatus.LOCKED_TO_MOVE, ShardStatus.ACTIVE_SYNC}),
    ShardStatus.ACTIVE_SYNC: frozenset({ShardStatus.ACTIVE, ShardStatus.ACTIVE_RECOVER, ShardStatus.LOCKED_TO_MOVE}),
    ShardStatus.ACTIVE_RECOVER: frozenset({ShardStatus.ACTIVE, ShardStatus.ACTIVE_SYNC, ShardStatus.LOCKED_TO_MOVE}),
    ShardStatus.LOCKED_TO_MOVE: frozenset({ShardStatus.ACTIVE_SYNC, ShardStatus.ACTIVE_RECOVER}),
}


@dataclass(frozen=True)
class Identity:
    """Whose data this is; a store never changes hands."""

    chain_id: str
    node_id: NodeId
    cap_id: ObjectId

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(bcs.string(self.chain_id) + id_to_bytes(self.node_id) + id_to_bytes(self.cap_id))

    @classmethod
    def from_bytes(cls, value: bytes) -> Identity:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "identity", lambda r: cls(r.string(), NodeId(read_id(r)), ObjectId(read_id(r))))


@dataclass(frozen=True)
class NodeState:
    """What the node as a whole is doing, and the last epoch whose change it has dealt with."""

    status: NodeStatus
    epoch: Epoch

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(bcs.string(self.status.value) + bcs.u32(self.epoch))

    @classmethod
    def from_bytes(cls, value: bytes) -> NodeState:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "node state", lambda r: cls(NodeStatus(_name(r.string(), NodeStatus)), Epoch(r.u32())))


@dataclass(frozen=True)
class ScrubState:
    """How far the background verification of the store is.

    Attributes:
        after: the last blob id that was verified in this round; empty before the first and between rounds.
        finished_ms: unix time of the last finished round, 0 before it.
    """

    after: bytes = b""
    finished_ms: int = 0

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(bcs.bytes_(self.after) + bcs.u64(self.finished_ms))

    @classmethod
    def from_bytes(cls, value: bytes) -> ScrubState:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "scrub state", lambda r: cls(r.bytes_(), r.u64()))


@dataclass(frozen=True)
class TransferState:
    """How far the transfer of one shard from its previous owner is.

    Attributes:
        primary: the blob id from which on primary slivers are to come; None when all have come.
        secondary: likewise.
    """

    primary: bytes | None = bytes(32)
    secondary: bytes | None = bytes(32)

    def next_id(self, axis: Axis) -> bytes | None:
        """Where the transfer of an axis goes on; None when it is done."""
        return self.primary if axis is Axis.PRIMARY else self.secondary

    def after(self, axis: Axis, next_id: bytes | None) -> TransferState:
        """The state when all slivers of an axis before `next_id` (None: all) have come."""
        return replace(self, **{axis.value: next_id})

    @property
    def complete(self) -> bool:
        """Whether both axes have come."""
        return self.primary is None and self.secondary is None

    @property
    def fraction(self) -> float:
        """Share that is done: blob ids are hashes, so the share of their space that is behind us."""
        places = (1.0 if next_id is None else int.from_bytes(next_id[:6], "big") / 2**48 for next_id in self._both)
        return sum(places) / 2

    @property
    def _both(self) -> tuple[bytes | None, bytes | None]:
        return self.primary, self.secondary

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(b"".join(bcs.option(bcs.bytes_, next_id) for next_id in self._both))

    @classmethod
    def from_bytes(cls, value: bytes) -> TransferState:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "transfer state", lambda r: cls(r.option(bcs.Reader.bytes_), r.option(bcs.Reader.bytes_)))


@dataclass(frozen=True)
class Cursor:
    """The last checkpoint whose events are applied.

    Attributes:
        sequence: its sequence number.
        timestamp_ms: its time by the chain's clock.
        epoch: Walrus epoch after its events: the node's current epoch.
    """

    sequence: int
    timestamp_ms: int
    epoch: Epoch

    def to_bytes(self) -> bytes:
        """The stored form."""
        return versioned(bcs.u64(self.sequence) + bcs.u64(self.timestamp_ms) + bcs.u32(self.epoch))

    @classmethod
    def from_bytes(cls, value: bytes) -> Cursor:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "cursor", lambda r: cls(r.u64(), r.u64(), Epoch(r.u32())))


def shard_status_to_bytes(status: ShardStatus) -> bytes:
    """The stored form of a status: its name."""
    return versioned(bcs.string(status.value))


def shard_status_from_bytes(value: bytes) -> ShardStatus:
    """Reads the stored form; raises `StoreError`."""
    return decoded(value, "shard status", lambda r: ShardStatus(_name(r.string(), ShardStatus)))


def _name(name: str, statuses: type[Enum]) -> str:
    if name not in {status.value for status in statuses}:
        raise StoreError(f"a stored status is {name!r}: it was written by a newer release")
    return name
