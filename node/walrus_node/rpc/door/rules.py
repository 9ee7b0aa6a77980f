"""What a node that drains, or is fenced, refuses; pure.

Three states, of which the later hides the earlier:

    open       every call is let in
    draining   calls that begin long work are not: stores, shards and records for other nodes, challenges. What ends such
               work (a confirmation of what is stored) and reads are
    fenced     no call is

Both are told as UNAVAILABLE, so that clients which do not know the reasons do what is right: ask others, come back later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from walrus_client.reasons import Reason, RequestRefused


class Work(Enum):
    """What a call is for."""

    STORE = "store"
    TRANSFER = "transfer"
    CHALLENGE = "challenge"
    READ = "read"


_WORK: Final[Mapping[str, Work]] = {
    "StoreBlob": Work.STORE,
    "StoreMetadata": Work.STORE,
    "StoreSliver": Work.STORE,
    "GetConfirmation": Work.STORE,
    "SyncShard": Work.TRANSFER,
    "ListRecords": Work.TRANSFER,
    "Challenge": Work.CHALLENGE,
}
_ENDS_WORK: Final = frozenset({"GetConfirmation"})
DRAINING_RETRY_S: Final = 20.0
"""When it is worth to ask a node again that is restarted: about as long as that takes."""
FENCED_RETRY_S: Final = 60.0


@dataclass(frozen=True)
class Fence:
    """Since when (unix milliseconds) the node is shut off, and why, in the words of who did it."""

    since_ms: int
    why: str


@dataclass(frozen=True)
class Drain:
    """Since when the node prepares for a restart, and when it stops to by itself (unix milliseconds)."""

    since_ms: int
    until_ms: int


@dataclass(frozen=True)
class OpenCalls:
    """Calls that are under way, by what they are for; `own_challenges` are those that this node makes."""

    stores: int = 0
    transfers: int = 0
    challenges: int = 0
    own_challenges: int = 0
    reads: int = 0

    @property
    def quiet(self) -> bool:
        """Nothing is under way."""
        return not (self.stores or self.transfers or self.challenges or self.own_challenges or self.reads)


def work_of(method: str) -> Work:
    """What a method of StorageNode is for; one that is not known here reads."""
    return _WORK.get(method, Work.READ)


def refusal(method: str, *, drain: Drain | None, fence: Fence | None) -> RequestRefused | None:
    """Why a call is not let in; None when it is."""
    if fence is not None:
        return RequestRefused(
            Reason.NODE_FENCED,
            f"this node is shut off, ask others: {fence.why}",
            {"since_ms": str(fence.since_ms)},
            retry_after_s=FENCED_RETRY_S,
        )
    if drain is not None and method not in _ENDS_WORK and work_of(method) is not Work.READ:
        return RequestRefused(
            Reason.NODE_DRAINING,
            "this node is about to be restarted and begins nothing new; ask others, and this one in a minute",
            {"until_ms": str(drain.until_ms)},
            retry_after_s=DRAINING_RETRY_S,
        )
    return None
