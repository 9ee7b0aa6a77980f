"""Where everything lies on disk: families, keys, and the version of the whole.

    family          key                          value (first byte: version of the record)
    node            "schema"                     u32, version of this page
                    "identity", "state"          Identity, NodeState
                    "collected"                  u32, last epoch whose garbage collection is done
                    "scrub"                      ScrubState: how far the background verification is
                    "search"                     u64, there while a search through all certified blobs is asked for
                    "blobs"                      u64, number of entries of `metadata`
                    "replay"                     u64, last checkpoint whose events the records may show already
    events          "cursor"                     Cursor: last applied checkpoint, its epoch and time
                    "epoch"                      u64, time of the checkpoint that began the current epoch
    metadata        blob id                      BCS BlobMetadata
    blob_info       blob id                      BlobInfo: what all events say about the blob id
    object_info     object id                    ObjectInfo: what all events say about one Blob object
    expiry          end epoch u32, object id     empty; objects by the epoch in which they end
    pools           pool id                      u32, end epoch of the storage pool
    pooled_info     object id                    PooledInfo: what all events say about one pooled blob object
    pool_members    pool id, object id           empty; pooled blob objects by their pool
    garbage         blob id                      u32, epoch in which the last registration went
    suspects        blob id                      empty; certified blobs that may lack something here
    challenges      kind u8, epoch u32, rest     what availability challenges leave behind (`challenge_records`)
    s<i>-primary    blob id                      BCS SliverData
    s<i>-secondary  blob id                      BCS SliverData
    s<i>-state      00                           ShardStatus
                    01, axis 0|1, blob id        u32 bytes of the sliver; the index of the two families above
                    02                           TransferState: how far the transfer from the previous owner is
                    03                           slivers u64, bytes u64: how much the shard holds (`tallies`)

Integers in keys are big endian, so that keys sort by them. Blob ids are their 32 bytes, object ids likewise. A sliver
and its index entry are written in one batch, so neither is ever there alone.
"""

from __future__ import annotations

import re

from walrus_codec.types import Axis, BlobId, Epoch, ObjectId, ShardIndex
from walrus_node.store.kv import Family

SCHEMA_VERSION = 5
"""2: the families of storage pools, blob records that count pooled blobs. 3: the suspects. 4: the tallies. 5: challenges."""

NODE = Family("node")
EVENTS = Family("events")
METADATA = Family("metadata")
BLOB_INFO = Family("blob_info")
OBJECT_INFO = Family("object_info")
EXPIRY = Family("expiry")
POOLS = Family("pools")
POOLED_INFO = Family("pooled_info")
POOL_MEMBERS = Family("pool_members")
GARBAGE = Family("garbage")
SUSPECTS = Family("suspects")
CHALLENGES = Family("challenges")
FIXED_FAMILIES = (
    NODE,
    EVENTS,
    METADATA,
    BLOB_INFO,
    OBJECT_INFO,
    EXPIRY,
    POOLS,
    POOLED_INFO,
    POOL_MEMBERS,
    GARBAGE,
    SUSPECTS,
    CHALLENGES,
)

SCHEMA_KEY = b"schema"
IDENTITY_KEY = b"identity"
STATE_KEY = b"state"
COLLECTED_KEY = b"collected"
SCRUB_KEY = b"scrub"
SEARCH_KEY = b"search"
BLOBS_KEY = b"blobs"
REPLAY_KEY = b"replay"
CURSOR_KEY = b"cursor"
EPOCH_START_KEY = b"epoch"

SHARD_STATUS_KEY = b"\x00"
_INDEX_PREFIX = b"\x01"
TRANSFER_KEY = b"\x02"
TALLY_KEY = b"\x03"
_AXIS_BYTE = {Axis.PRIMARY: b"\x00", Axis.SECONDARY: b"\x01"}
_BULKY_SUFFIXES = tuple(f"-{axis.value}" for axis in Axis)
_STATE_NAME = re.compile(r"s(\d+)-state")
_SLIVERS_NAME = re.compile(r"s(\d+)-(?:primary|secondary)")


def sliver_family(shard: ShardIndex, axis: Axis) -> Family:
    """The family of a shard's slivers of one axis."""
    return Family(f"s{shard}-{axis.value}")


def is_bulky(family: Family) -> bool:
    """True for families of slivers, whose values are large."""
    return family.endswith(_BULKY_SUFFIXES)


def state_family(shard: ShardIndex) -> Family:
    """The family of a shard's status and index."""
    return Family(f"s{shard}-state")


def shard_of_state_family(family: Family) -> ShardIndex | None:
    """The shard whose state family this is, or None for another family."""
    match = _STATE_NAME.fullmatch(family)
    return ShardIndex(int(match[1])) if match else None


def shard_of_sliver_family(family: Family) -> ShardIndex | None:
    """The shard whose slivers this family holds, or None for another family."""
    match = _SLIVERS_NAME.fullmatch(family)
    return ShardIndex(int(match[1])) if match else None


def index_key(axis: Axis, blob_id: BlobId) -> bytes:
    """Key of a sliver in the shard's index."""
    return _INDEX_PREFIX + _AXIS_BYTE[axis] + blob_id


def index_range(axis: Axis) -> tuple[bytes, bytes]:
    """Start and end (exclusive) of the index of one axis."""
    prefix = _INDEX_PREFIX + _AXIS_BYTE[axis]
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


def object_key(object_id: ObjectId) -> bytes:
    """Key of an object: its 32 bytes."""
    return bytes.fromhex(object_id[2:])


def object_of_key(key: bytes) -> ObjectId:
    """The object with this key."""
    return ObjectId("0x" + key.hex())


def expiry_key(end_epoch: Epoch, object_id: ObjectId) -> bytes:
    """Key of an object among those that end in `end_epoch`."""
    return end_epoch.to_bytes(4, "big") + object_key(object_id)


def expired_end(epoch: Epoch) -> bytes:
    """End (exclusive) of the keys of all objects whose end epoch is `epoch` or before; end epochs are exclusive."""
    return (epoch + 1).to_bytes(4, "big")


def member_key(pool_id: ObjectId, object_id: ObjectId) -> bytes:
    """Key of a pooled blob object among those of its pool."""
    return object_key(pool_id) + object_key(object_id)


def challenge_key(kind: int, epoch: Epoch, rest: bytes = b"") -> bytes:
    """Key of something that challenges of an epoch leave behind."""
    return bytes([kind]) + epoch.to_bytes(4, "big") + rest


def end_of_prefix(prefix: bytes) -> bytes:
    """End (exclusive) of the keys that begin with these bytes; no key here is longer than 72 bytes."""
    return prefix + b"\xff" * 72


def members_range(pool_id: ObjectId) -> tuple[bytes, bytes]:
    """Start and end (exclusive) of the keys of a pool's blob objects."""
    start = object_key(pool_id)
    return start, start + b"\xff" * 33
