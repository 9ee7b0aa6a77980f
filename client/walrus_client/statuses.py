"""What storage nodes say about a blob, and what to believe when they disagree. Pure.

Life of a status: each node of the write committee answers with one; `decide` sorts the answers from the strongest to
the weakest claim and accepts the first one that nodes of more than f shards support, because then at least one honest
node says so, or that the event which it names proves (walrus-sdk `get_verified_blob_status`). JSON forms are those of the official storage node's
`GET /v1/blobs/{id}/status`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from walrus_codec import quorum
from walrus_codec.types import BlobId, Epoch
from walrus_sui.events import BlobCertified, BlobRegistered, Event, EventId, InvalidBlobId


@dataclass(frozen=True, order=True)
class DeletableCounts:
    """How many deletable Blob objects of this blob id live."""

    total: int = 0
    certified: int = 0

    def to_json(self) -> dict[str, int]:
        """The official form; its inner names are snake_case."""
        return {"count_deletable_total": self.total, "count_deletable_certified": self.certified}


@dataclass(frozen=True)
class Nonexistent:
    """The node knows no living registration."""

    def to_json(self) -> Any:
        """The official form."""
        return "nonexistent"


@dataclass(frozen=True)
class Invalid:
    """The blob id is dead for ever; `event` is where the chain said so."""

    event: EventId

    def to_json(self) -> Any:
        """The official form."""
        return {"invalid": {"event": event_json(self.event)}}


@dataclass(frozen=True)
class PermanentBlob:
    """At least one permanent Blob object lives; `end_epoch` is exclusive."""

    end_epoch: Epoch
    is_certified: bool
    event: EventId
    counts: DeletableCounts
    initial_certified_epoch: Epoch | None

    def to_json(self) -> Any:
        """The official form."""
        return {
            "permanent": {
                "endEpoch": self.end_epoch,
                "isCertified": self.is_certified,
                "statusEvent": event_json(self.event),
                "deletableCounts": self.counts.to_json(),
                "initialCertifiedEpoch": self.initial_certified_epoch,
            }
        }


@dataclass(frozen=True)
class DeletableBlob:
    """Only deletable Blob objects live."""

    initial_certified_epoch: Epoch | None
    counts: DeletableCounts

    def to_json(self) -> Any:
        """The official form."""
        return {
            "deletable": {
                "initialCertifiedEpoch": self.initial_certified_epoch,
                "deletableCounts": self.counts.to_json(),
            }
        }


BlobStatus = Nonexistent | Invalid | PermanentBlob | DeletableBlob


def event_json(event: EventId) -> dict[str, str]:
    """An event id in the official form: both parts are strings."""
    return {"txDigest": event.tx_digest, "eventSeq": str(event.seq)}


def certified_epoch(status: BlobStatus) -> Epoch | None:
    """The epoch in which the blob was first certified, None when it is not."""
    match status:
        case PermanentBlob() | DeletableBlob():
            return status.initial_certified_epoch
        case _:
            return None


def strength(status: BlobStatus) -> tuple[int, ...]:
    """Sort key: the greater, the stronger the claim.

    Invalid > permanent > deletable > nonexistent; among permanent ones certified first, then the later end, then the
    deletable counts, then the earlier first certification.
    """
    match status:
        case Invalid():
            return (3,)
        case PermanentBlob():
            return (
                2,
                int(status.is_certified),
                status.end_epoch,
                status.counts.total,
                status.counts.certified,
                _earlier_is_stronger(status.initial_certified_epoch),
            )
        case DeletableBlob():
            return (
                1,
                status.counts.total,
                status.counts.certified,
                _earlier_is_stronger(status.initial_certified_epoch),
            )
        case Nonexistent():
            return (0,)


def decide(answers: Iterable[tuple[BlobStatus, int]], *, n_shards: int) -> BlobStatus | None:
    """The status to believe by weight alone, from pairs of (status, weight of the node that gave it).

    A quorum that knows nothing means `Nonexistent`; otherwise the strongest status that more than f shards support;
    None when there is no such status.
    """
    supported, _claims = believed(answers, n_shards=n_shards)
    return supported


def believed(
    answers: Iterable[tuple[BlobStatus, int]], *, n_shards: int
) -> tuple[BlobStatus | None, tuple[Invalid | PermanentBlob, ...]]:
    """As `decide`, and the stronger claims, strongest first, which are to be believed if their events prove them."""
    support: dict[BlobStatus, int] = {}
    for status, weight in answers:
        support[status] = support.get(status, 0) + weight
    if quorum.is_quorum(support.get(Nonexistent(), 0), n_shards):
        return Nonexistent(), ()
    claims: list[Invalid | PermanentBlob] = []
    # Two different invalid statuses are equally strong: the digest makes the order total.
    for status in sorted(support, key=lambda entry: (strength(entry), repr(entry)), reverse=True):
        if quorum.is_one_honest(support[status], n_shards):
            return status, tuple(claims)
        if isinstance(status, Invalid | PermanentBlob):
            claims.append(status)
    return None, tuple(claims)


def proved(
    claim: Invalid | PermanentBlob, event: Event | None, *, blob_id: BlobId, epoch: Epoch
) -> Invalid | PermanentBlob | None:
    """What an event of the chain proves of a claim that too few nodes support; None when it does not prove it.

    Only what the event itself says is taken over, not what the node says beside it.

    Args:
        claim: what a node says.
        event: what the chain has at the place that the claim names.
        blob_id: the blob in question.
        epoch: the current one: a registration that has ended proves nothing.
    """
    match claim, event:
        case Invalid(), InvalidBlobId() if event.blob_id == blob_id:
            return claim
        case PermanentBlob(), BlobCertified() | BlobRegistered() if (
            event.blob_id == blob_id
            and not event.deletable
            and event.end_epoch == claim.end_epoch > epoch
            and claim.is_certified is isinstance(event, BlobCertified)
        ):
            since = event.epoch if isinstance(event, BlobCertified) else None
            return PermanentBlob(event.end_epoch, claim.is_certified, claim.event, DeletableCounts(), since)
        case _:
            return None


def _earlier_is_stronger(epoch: Epoch | None) -> int:
    return -(1 << 40) if epoch is None else -epoch
