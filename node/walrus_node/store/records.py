"""What the node remembers about blobs, shards and itself: frozen values and their versioned bytes.

Every value starts with one byte, the version of its form, then BCS. Readers know all versions ever written, writers
write the newest. The fields of blob and object records are those of the official node (walrus-service,
`storage/blob_info.rs`), so that its status answers can be given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from walrus_codec import bcs
from walrus_codec.errors import BcsError
from walrus_codec.types import Axis, BlobId, Digest, Epoch, NodeId, ObjectId
from walrus_node.errors import DamagedError, StoreError
from walrus_sui.events import EventId

_V1 = b"\x01"
_V2 = b"\x02"
_VALID = _V2 + b"\x00"
_T = TypeVar("_T")


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
        return _V1 + bcs.string(self.chain_id) + _id(self.node_id) + _id(self.cap_id)

    @classmethod
    def from_bytes(cls, value: bytes) -> Identity:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "identity", lambda r: cls(r.string(), NodeId(_read_id(r)), ObjectId(_read_id(r))))


@dataclass(frozen=True)
class NodeState:
    """What the node as a whole is doing, and the last epoch whose change it has dealt with."""

    status: NodeStatus
    epoch: Epoch

    def to_bytes(self) -> bytes:
        """The stored form."""
        return _V1 + bcs.string(self.status.value) + bcs.u32(self.epoch)

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
        return _V1 + bcs.bytes_(self.after) + bcs.u64(self.finished_ms)

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
        return _V1 + b"".join(bcs.option(bcs.bytes_, next_id) for next_id in self._both)

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
        return _V1 + bcs.u64(self.sequence) + bcs.u64(self.timestamp_ms) + bcs.u32(self.epoch)

    @classmethod
    def from_bytes(cls, value: bytes) -> Cursor:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "cursor", lambda r: cls(r.u64(), r.u64(), Epoch(r.u32())))


@dataclass(frozen=True)
class PermanentInfo:
    """Permanent objects of one blob id: how many, the latest end among them, and the event that set that end."""

    count: int
    end_epoch: Epoch
    event: EventId


@dataclass(frozen=True)
class ValidBlob:
    """All that the events say about a blob id that is not invalid.

    Attributes:
        deletable_total: deletable objects that are neither deleted nor expired.
        deletable_certified: how many of them are certified.
        permanent_total: the permanent ones, None when there are none.
        permanent_certified: those of them that are certified.
        initial_certified_epoch: smallest certification epoch since the blob id last had no certified object.
        deletable_end: latest end epoch seen of a deletable object; a bound, it never shrinks by deletion.
        deletable_certified_end: likewise of a certified one.
        pooled_total: blob objects in storage pools that are neither deleted nor expired with their pool.
        pooled_certified: how many of them are certified.
    """

    deletable_total: int = 0
    deletable_certified: int = 0
    permanent_total: PermanentInfo | None = None
    permanent_certified: PermanentInfo | None = None
    initial_certified_epoch: Epoch | None = None
    deletable_end: Epoch | None = None
    deletable_certified_end: Epoch | None = None
    pooled_total: int = 0
    pooled_certified: int = 0

    @property
    def objects(self) -> int:
        """Live objects of this blob id."""
        permanent = self.permanent_total.count if self.permanent_total else 0
        return self.deletable_total + permanent + self.pooled_total

    def is_registered(self, epoch: Epoch) -> bool:
        """True when some object keeps the blob alive in `epoch`."""
        permanent = self.permanent_total is not None and self.permanent_total.end_epoch > epoch
        deletable = self.deletable_total > 0 and (self.deletable_end or 0) > epoch
        return permanent or deletable or self.pooled_total > 0

    def is_certified(self, epoch: Epoch) -> bool:
        """True when some certified object keeps the blob alive in `epoch`."""
        permanent = self.permanent_certified is not None and self.permanent_certified.end_epoch > epoch
        deletable = self.deletable_certified > 0 and (self.deletable_certified_end or 0) > epoch
        return permanent or deletable or self.pooled_certified > 0


@dataclass(frozen=True)
class InvalidBlob:
    """The blob id was proved badly encoded: dead for ever."""

    epoch: Epoch
    event: EventId


BlobInfo = ValidBlob | InvalidBlob


@dataclass(frozen=True)
class ObjectInfo:
    """All that the events say about one Blob object; kept until its end epoch, also when it was deleted before."""

    blob_id: BlobId
    registered_epoch: Epoch
    certified_epoch: Epoch | None
    end_epoch: Epoch
    deletable: bool
    event: EventId
    deleted: bool = False

    def to_bytes(self) -> bytes:
        """The stored form."""
        return b"".join(
            (
                _V1,
                self.blob_id,
                bcs.u32(self.registered_epoch),
                bcs.option(bcs.u32, self.certified_epoch),
                bcs.u32(self.end_epoch),
                bcs.boolean(self.deletable),
                _event(self.event),
                bcs.boolean(self.deleted),
            )
        )

    @classmethod
    def from_bytes(cls, value: bytes) -> ObjectInfo:
        """Reads the stored form; raises `StoreError`."""
        return decoded(value, "object record", cls._read)

    @classmethod
    def _read(cls, reader: bcs.Reader) -> ObjectInfo:
        return cls(
            BlobId(reader.fixed(32)),
            Epoch(reader.u32()),
            _read_epoch(reader),
            Epoch(reader.u32()),
            reader.boolean(),
            _read_event(reader),
            reader.boolean(),
        )


@dataclass(frozen=True)
class PooledInfo:
    """All that the events say about one blob object in a storage pool; kept until it is deleted or its pool ends."""

    blob_id: BlobId
    registered_epoch: Epoch
    certified_epoch: Epoch | None
    pool_id: ObjectId
    deletable: bool
    event: EventId

    def to_bytes(self) -> bytes:
        """The stored form."""
        certified = bcs.option(bcs.u32, self.certified_epoch)
        epochs = bcs.u32(self.registered_epoch) + certified
        return b"".join((_V1, self.blob_id, epochs, _id(self.pool_id), bcs.boolean(self.deletable), _event(self.event)))

    @classmethod
    def from_bytes(cls, value: bytes) -> PooledInfo:
        """Reads the stored form; raises `StoreError`."""
        return decoded(
            value,
            "pooled blob's record",
            lambda r: cls(
                BlobId(r.fixed(32)),
                Epoch(r.u32()),
                _read_epoch(r),
                ObjectId(_read_id(r)),
                r.boolean(),
                _read_event(r),
            ),
        )


def blob_info_to_bytes(info: BlobInfo) -> bytes:
    """The stored form of a blob's record."""
    if isinstance(info, InvalidBlob):
        return _V2 + b"\x01" + bcs.u32(info.epoch) + _event(info.event)
    return b"".join(
        (
            _V2,
            b"\x00",
            bcs.u32(info.deletable_total),
            bcs.u32(info.deletable_certified),
            bcs.option(_permanent, info.permanent_total),
            bcs.option(_permanent, info.permanent_certified),
            bcs.option(bcs.u32, info.initial_certified_epoch),
            bcs.option(bcs.u32, info.deletable_end),
            bcs.option(bcs.u32, info.deletable_certified_end),
            bcs.u32(info.pooled_total),
            bcs.u32(info.pooled_certified),
        )
    )


def blob_info_from_bytes(value: bytes) -> BlobInfo:
    """Reads the stored form; raises `StoreError`."""
    if value[:1] == _V2:
        return decoded(_V1 + value[1:], "blob record", lambda r: _read_blob_info(r, pooled=True))
    return decoded(value, "blob record", lambda r: _read_blob_info(r, pooled=False))


def certified_since(value: bytes, epoch: Epoch) -> Epoch | None:
    """When a stored blob was first certified, if it is certified in `epoch` and not invalid; None otherwise.

    What `blob_info_from_bytes` says, in an eighth of the time, because it is asked about every blob at the start of every
    epoch. Raises its `StoreError` for bytes of another form; damage within texts and numbers is not seen here.
    """
    try:
        found = _certified_since(value, epoch)
    except (IndexError, ValueError):
        # An older form, an invalid blob, or damage.
        info = blob_info_from_bytes(value)
        return info.initial_certified_epoch if isinstance(info, ValidBlob) and info.is_certified(epoch) else None
    return found


def shard_status_to_bytes(status: ShardStatus) -> bytes:
    """The stored form of a status: its name."""
    return _V1 + bcs.string(status.value)


def shard_status_from_bytes(value: bytes) -> ShardStatus:
    """Reads the stored form; raises `StoreError`."""
    return decoded(value, "shard status", lambda r: ShardStatus(_name(r.string(), ShardStatus)))


def versioned(body: bytes) -> bytes:
    """Puts the version before a body that has its own form (metadata, numbers)."""
    return _V1 + body


def unversioned(value: bytes, what: str) -> memoryview:
    """The body behind the version, without a copy; raises `DamagedError`."""
    if value[:1] != _V1:
        raise DamagedError(
            f"a stored {what} has unknown version {value[:1].hex()}: it is damaged, or was written by a newer release"
        )
    return memoryview(value)[1:]


def _name(name: str, statuses: type[Enum]) -> str:
    if name not in {status.value for status in statuses}:
        raise StoreError(f"a stored status is {name!r}: it was written by a newer release")
    return name


def decoded(value: bytes, what: str, read: Callable[[bcs.Reader], _T]) -> _T:
    """Reads a versioned record to its end; raises `StoreError`."""
    reader = bcs.Reader(unversioned(value, what))
    try:
        record = read(reader)
        reader.finish()
    except BcsError as error:
        raise StoreError(f"a stored {what} is damaged: {error}") from error
    return record


def _read_blob_info(reader: bcs.Reader, *, pooled: bool) -> BlobInfo:
    kind = reader.u8()
    if kind == 1:
        return InvalidBlob(Epoch(reader.u32()), _read_event(reader))
    if kind != 0:
        raise StoreError(f"a stored blob record has unknown kind {kind}: it was written by a newer release")
    return ValidBlob(
        reader.u32(),
        reader.u32(),
        reader.option(_read_permanent),
        reader.option(_read_permanent),
        _read_epoch(reader),
        _read_epoch(reader),
        _read_epoch(reader),
        *((reader.u32(), reader.u32()) if pooled else ()),
    )


def _certified_since(value: bytes, epoch: Epoch) -> Epoch | None:
    """As `certified_since`, of a valid blob's record in the newest form; raises `IndexError` or `ValueError` for others."""
    if value[:2] != _VALID:
        raise ValueError(value)
    at = 10
    ends = []
    for _permanent in ("total", "certified"):
        # Tag, count, end epoch, event: a text of less than 128 bytes and a number.
        if (tag := value[at]) and (tag > 1 or value[at + 9] > 0x7F):
            raise ValueError(value)
        ends.append(int.from_bytes(value[at + 5 : at + 9], "little") if tag else 0)
        at += 18 + value[at + 9] if tag else 1
    epochs = []
    for _field in ("initially certified", "end of deletable", "end of certified deletable"):
        if (tag := value[at]) > 1:
            raise ValueError(value)
        epochs.append(int.from_bytes(value[at + 1 : at + 5], "little") if tag else None)
        at += 5 if tag else 1
    if len(value) != at + 8:
        raise ValueError(value)
    permanent, deletable = ends[1] > epoch, any(value[6:10]) and (epochs[2] or 0) > epoch
    alive = permanent or deletable or any(value[at + 4 :])
    return Epoch(epochs[0]) if alive and epochs[0] is not None else None


def _id(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _read_id(reader: bcs.Reader) -> str:
    return "0x" + reader.fixed(32).hex()


def _event(event: EventId) -> bytes:
    return bcs.string(event.tx_digest) + bcs.u64(event.seq)


def _read_event(reader: bcs.Reader) -> EventId:
    return EventId(Digest(reader.string()), reader.u64())


def _permanent(info: PermanentInfo) -> bytes:
    return bcs.u32(info.count) + bcs.u32(info.end_epoch) + _event(info.event)


def _read_permanent(reader: bcs.Reader) -> PermanentInfo:
    return PermanentInfo(reader.u32(), Epoch(reader.u32()), _read_event(reader))


def _read_epoch(reader: bcs.Reader) -> Epoch | None:
    value = reader.option(bcs.Reader.u32)
    return None if value is None else Epoch(value)
