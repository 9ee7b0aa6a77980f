"""What is stored and what it costs: the system, storage, blobs of all kinds, and the certificates that vouch for them."""

from dataclasses import dataclass

from walrus_codec.types import BlobId, Digest, Epoch, ObjectId, SuiAddress

BYTES_PER_UNIT = 1 << 20
"""Storage is billed in units of one MiB, rounded up."""


@dataclass(frozen=True)
class AccountingSlot:
    """What one epoch will hold: bytes sold, and FROST to be paid out at its end."""

    epoch: Epoch
    used_capacity: int
    rewards: int


@dataclass(frozen=True)
class EventBlob:
    """A blob of chain events, and the last checkpoint inside."""

    blob_id: BlobId
    ending_checkpoint: int


@dataclass(frozen=True)
class SystemView:
    """One look at the System object. Prices are FROST per MiB (storage: and epoch).

    Attributes:
        epoch: current epoch.
        total_capacity: bytes that may be sold.
        used_capacity: bytes sold for the current epoch.
        storage_price: FROST per MiB and epoch.
        write_price: FROST per MiB.
        n_shards: weight of the committee; 0 in epoch 0.
        max_epochs_ahead: longest storage period in epochs.
        accounting: the coming epochs, the current one first.
        latest_event_blob: the newest certified one.
        event_blob_votes: weight by event blob that is being attested.
    """

    epoch: Epoch
    total_capacity: int
    used_capacity: int
    storage_price: int
    write_price: int
    n_shards: int
    max_epochs_ahead: int
    accounting: tuple[AccountingSlot, ...] = ()
    latest_event_blob: EventBlob | None = None
    event_blob_votes: tuple[tuple[EventBlob, int], ...] = ()

    def storage_cost(self, encoded_size: int, epochs: int) -> int:
        """FROST for storing `encoded_size` bytes during `epochs` epochs (contract module system_state_inner)."""
        return _units(encoded_size) * self.storage_price * epochs

    def write_cost(self, encoded_size: int) -> int:
        """FROST for registering a blob of `encoded_size` encoded bytes."""
        return _units(encoded_size) * self.write_price


@dataclass(frozen=True)
class StorageObject:
    """A reserved amount of storage for a range of epochs; `end_epoch` is exclusive, `size` is encoded bytes."""

    object_id: ObjectId
    start_epoch: Epoch
    end_epoch: Epoch
    size: int
    owner: SuiAddress | None = None


@dataclass(frozen=True)
class BlobObject:
    """A Blob object.

    Attributes:
        object_id: its id.
        registered_epoch: epoch of registration.
        blob_id: 32 bytes (the chain's u256 read little endian).
        size: unencoded length in bytes.
        encoding_type: number of the encoding, see `walrus_codec.types.EncodingType`.
        certified_epoch: epoch of certification, None before.
        storage: the storage inside.
        deletable: whether its owner may delete it.
        owner: address or id of the object that owns it; None when shared, immutable or not read.
    """

    object_id: ObjectId
    registered_epoch: Epoch
    blob_id: BlobId
    size: int
    encoding_type: int
    certified_epoch: Epoch | None
    storage: StorageObject
    deletable: bool
    owner: SuiAddress | None = None


@dataclass(frozen=True)
class SharedBlobObject:
    """A blob that anyone may fund and extend: the Blob inside, and FROST that pay for extensions."""

    object_id: ObjectId
    blob: BlobObject
    funds: int


@dataclass(frozen=True)
class StoragePoolObject:
    """Storage that many blobs share.

    Attributes:
        object_id: its id.
        storage: the storage inside, which bounds the sum of the blobs and gives all of them its period.
        used: encoded bytes that the blobs take.
        blob_count: how many.
        blobs_id: the table of blobs, by blob id.
        owner: address that owns the pool; None when not read.
    """

    object_id: ObjectId
    storage: StorageObject
    used: int
    blob_count: int
    blobs_id: ObjectId
    owner: SuiAddress | None = None

    @property
    def available(self) -> int:
        """Encoded bytes that are free."""
        return self.storage.size - self.used


@dataclass(frozen=True)
class PooledBlobObject:
    """A blob in a storage pool; as `BlobObject`, with the pool's id for the storage."""

    object_id: ObjectId
    registered_epoch: Epoch
    blob_id: BlobId
    size: int
    encoding_type: int
    certified_epoch: Epoch | None
    pool_id: ObjectId
    deletable: bool


@dataclass(frozen=True)
class NewBlob:
    """A blob to be registered.

    Attributes:
        blob_id: 32 bytes.
        root_hash: 32-byte Merkle root of its metadata; the contract derives the blob id from it.
        size: unencoded length in bytes.
        encoded_size: billed length in bytes, `CodeParams.encoded_length(size)`.
        encoding_type: number of the encoding.
        deletable: whether its owner may delete it.
    """

    blob_id: BlobId
    root_hash: bytes
    size: int
    encoded_size: int
    encoding_type: int
    deletable: bool


@dataclass(frozen=True)
class Certificate:
    """A quorum of confirmations of one blob.

    Attributes:
        object_id: the Blob object to certify.
        signature: sum of the signatures, 96 bytes.
        signers_bitmap: bit b of byte B (lowest first) is committee member 8B+b, in the order of node ids.
        message: the confirmation that all of them signed.
    """

    object_id: ObjectId
    signature: bytes
    signers_bitmap: bytes
    message: bytes


@dataclass(frozen=True)
class SignedMessage:
    """A message that members signed: the sum of their signatures, who they are, and what they signed.

    Attributes:
        signature: sum of the signatures, 96 bytes.
        signers_bitmap: as in `Certificate`.
        message: a message of `walrus_sui.messages`.
    """

    signature: bytes
    signers_bitmap: bytes
    message: bytes


@dataclass(frozen=True)
class CertifiedBlob:
    """What certifying did to one blob.

    Attributes:
        object_id: the Blob object.
        blob_id: 32 bytes.
        epoch: epoch of certification.
        end_epoch: first epoch in which it is no longer stored.
        tx_digest: the transaction that certified it.
        event_seq: position of its BlobCertified among the transaction's events.
        shared_object_id: the SharedBlob that it was wrapped in, when sharing was asked for.
    """

    object_id: ObjectId
    blob_id: BlobId
    epoch: Epoch
    end_epoch: Epoch
    tx_digest: Digest
    event_seq: int
    shared_object_id: ObjectId | None = None


def _units(encoded_size: int) -> int:
    return -(-encoded_size // BYTES_PER_UNIT)
