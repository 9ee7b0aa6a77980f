"""What the events say about blob ids and blob objects: frozen values and their versioned bytes (`forms`).

The fields are those of the official node (walrus-service, `storage/blob_info.rs`), so that its status answers can be given.
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_codec import bcs
from walrus_codec.types import BlobId, Digest, Epoch, ObjectId
from walrus_node.errors import StoreError
from walrus_node.store.forms import decoded, id_to_bytes, read_id, versioned
from walrus_sui.events import EventId

_V2 = b"\x02"
_VALID = _V2 + b"\x00"


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
        fields = (
            self.blob_id,
            bcs.u32(self.registered_epoch),
            bcs.option(bcs.u32, self.certified_epoch),
            bcs.u32(self.end_epoch),
            bcs.boolean(self.deletable),
            _event(self.event),
            bcs.boolean(self.deleted),
        )
        return versioned(b"".join(fields))

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
        fields = self.blob_id, epochs, id_to_bytes(self.pool_id), bcs.boolean(self.deletable), _event(self.event)
        return versioned(b"".join(fields))

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
                ObjectId(read_id(r)),
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
        return decoded(versioned(value[1:]), "blob record", lambda r: _read_blob_info(r, pooled=True))
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
