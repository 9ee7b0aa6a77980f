"""What a store is asked for and what comes of it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from walrus_codec.types import BlobId, EncodingType, Epoch, ObjectId, SuiAddress
from walrus_sui.events import EventId
from walrus_sui.types import BlobObject


@dataclass(frozen=True)
class KeepObject:
    """The Blob object stays with the storing key."""


@dataclass(frozen=True)
class SendObject:
    """The Blob object goes to an address."""

    address: SuiAddress


@dataclass(frozen=True)
class ShareObject:
    """The Blob object becomes a shared one."""


AfterStore = KeepObject | SendObject | ShareObject


@dataclass(frozen=True)
class StoreOptions:
    """How to store a blob.

    Attributes:
        epochs: for how many epochs, the current one included.
        deletable: whether its owner may delete it before.
        force: store it again even when it is certified for long enough.
        reuse_resources: look into the wallet for a matching Blob object, and for storage; a certified object answers the
            store at once.
        encoding: the code; None means the network's default.
        after: what happens to the Blob object.
    """

    epochs: int = 1
    deletable: bool = True
    force: bool = False
    reuse_resources: bool = False
    encoding: EncodingType | None = None
    after: AfterStore = field(default_factory=KeepObject)


@dataclass(frozen=True)
class RegisterFromScratch:
    """Storage was bought and the blob registered."""

    encoded_length: int
    epochs_ahead: int


@dataclass(frozen=True)
class ReuseRegistration:
    """A registration that an earlier, failed store had left behind was used."""

    encoded_length: int


@dataclass(frozen=True)
class ReuseStorage:
    """Storage of the wallet was used."""

    encoded_length: int


ResourceOperation = RegisterFromScratch | ReuseRegistration | ReuseStorage


@dataclass(frozen=True)
class NewlyCreated:
    """The blob was stored and certified.

    Attributes:
        blob: the Blob object as it is now.
        operation: how it was registered.
        cost: FROST paid for storage and writing, gas not included.
        shared_object: id of the SharedBlob when sharing was asked for.
    """

    blob: BlobObject
    operation: ResourceOperation
    cost: int
    shared_object: ObjectId | None = None


@dataclass(frozen=True)
class AlreadyCertified:
    """Nothing was done: the blob is certified for at least as long as asked.

    Attributes:
        blob_id: its id.
        proof: the event that certified a permanent blob, or the id of the Blob object that the storing key owns.
        end_epoch: first epoch in which it is no longer stored.
    """

    blob_id: BlobId
    proof: EventId | ObjectId
    end_epoch: Epoch


StoreResult = NewlyCreated | AlreadyCertified
