"""Whether the node takes more data: what the chain says that it offers, and what the disk has left; pure.

Three conditions stop uploads; each ends by itself when its cause is gone, a full disk's with a margin, so that a node at the
edge does not say yes and no in turns. Deletion, reads and the chain's events go on in the first two, and that is what
the reserve is for: the database needs some space to delete.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_MARGIN = 8
"""A node that stopped for want of disk goes on when it has the reserve and one part of so many more."""


class Condition(StrEnum):
    """How the store is; the names are API."""

    OK = "OK"
    CAPACITY_REACHED = "CAPACITY_REACHED"
    """As much is stored as the node offers on chain."""
    DISK_NEARLY_FULL = "DISK_NEARLY_FULL"
    """The disk has no more than the reserve."""
    DISK_FAILING = "DISK_FAILING"
    """The disk refuses writes: full to the end, read-only or broken."""


@dataclass(frozen=True)
class Room:
    """What is known about the space.

    Attributes:
        capacity: bytes of slivers that the node offers.
        stored: bytes of slivers that it stores.
        free: bytes that the disk has left for this process.
        reserve: bytes of them that uploads must leave.
        pending: bytes of uploads that were let in and have not ended.
        fault: why the disk refuses writes, None when it takes them.
    """

    capacity: int
    stored: int
    free: int
    reserve: int
    pending: int = 0
    fault: str | None = None


def condition(room: Room, size: int = 0, *, before: Condition = Condition.OK) -> Condition:
    """Whether `size` more bytes may be taken, given what the answer was before."""
    if room.fault is not None:
        return Condition.DISK_FAILING
    margin = room.reserve // _MARGIN if before is Condition.DISK_NEARLY_FULL else 0
    if room.free - room.pending - size < room.reserve + margin:
        return Condition.DISK_NEARLY_FULL
    if room.stored + room.pending + size > room.capacity:
        return Condition.CAPACITY_REACHED
    return Condition.OK


def explain(condition: Condition, room: Room) -> str:
    """A sentence for people: what is wrong and what to do; empty when all is well."""
    match condition:
        case Condition.OK:
            return ""
        case Condition.CAPACITY_REACHED:
            return (
                f"{room.stored} of the {room.capacity} bytes that this node offers are stored: "
                "raise registration.node_capacity, or wait until blobs expire"
            )
        case Condition.DISK_NEARLY_FULL:
            return (
                f"the disk has {room.free} bytes left, {room.reserve} are kept for deletion and the chain's events: "
                "give the node a larger volume, or wait until blobs expire"
            )
        case Condition.DISK_FAILING:
            return f"the disk refuses writes: {room.fault}; free space on it, make it writable, or replace it"
