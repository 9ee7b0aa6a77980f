"""What the chain knows, as frozen values.

Life of a value: decoded from the BCS of an official object (`walrus_sui.abi`), handed to nodes, gateway and operator,
compared and thrown away. Nothing here refers back to a client. Amounts are FROST (1e-9 WAL), sizes bytes, times unix
milliseconds of the chain's clock. Object ids of storage pools are the node ids.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from walrus_codec.types import BlobId, Digest, Epoch, NodeId, ObjectId, ShardIndex, SuiAddress

GRPC_ADDRESS_FIELD = "grpc_address"
"""Key in a node's metadata under which its gRPC address stands; `network_address` is the official REST face."""


BYTES_PER_UNIT = 1 << 20
"""Storage is billed in units of one MiB, rounded up."""


@dataclass(frozen=True)
class CommitteeMember:
    """One node of a committee with all that is needed to talk to it and to check its signatures.

    Attributes:
        node_id: id of its staking pool.
        shards: the shards it holds in this committee, in the contract's order (not sorted).
        bls_public_key: 48 bytes; for the current committee the key that the contract checks certificates with.
        name: as registered.
        network_address: "host:port" of the official REST face.
        grpc_address: "host:port" of the gRPC face; empty when the node registered none.
        network_public_key: 33 bytes, compressed secp256r1; its TLS certificate carries this key.
    """

    node_id: NodeId
    shards: tuple[ShardIndex, ...]
    bls_public_key: bytes
    name: str
    network_address: str
    grpc_address: str
    network_public_key: bytes

    @property
    def weight(self) -> int:
        """Number of shards: the member's vote."""
        return len(self.shards)


@dataclass(frozen=True)
class Committee:
    """The nodes of one epoch. Members are sorted by node id, so that bit i of a signers' bitmap is `members[i]`."""

    epoch: Epoch
    n_shards: int
    members: tuple[CommitteeMember, ...]

    @cached_property
    def _owners(self) -> dict[ShardIndex, CommitteeMember]:
        return {shard: member for member in self.members for shard in member.shards}

    @cached_property
    def _by_id(self) -> dict[NodeId, CommitteeMember]:
        return {member.node_id: member for member in self.members}

    def member_of_shard(self, shard: ShardIndex) -> CommitteeMember:
        """Return the member that holds `shard`; raises `KeyError` when nobody does."""
        return self._owners[shard]

    def by_id(self, node_id: NodeId) -> CommitteeMember | None:
        """Return the member with this id, or None when the node is not in the committee."""
        return self._by_id.get(node_id)

    def index_of(self, node_id: NodeId) -> int:
        """Return the member's position, which is its bit in a signers' bitmap; raises `KeyError` for strangers."""
        return self.members.index(self._by_id[node_id])


class EpochPhase(Enum):
    """Where the chain stands within an epoch (contract module staking_inner)."""

    SYNC = "EpochChangeSync"
    DONE = "EpochChangeDone"
    PARAMS_SELECTED = "NextParamsSelected"


@dataclass(frozen=True)
class EpochState:
    """The contract's EpochState.

    Attributes:
        phase: which of the three.
        weight: shards whose owners have attested `epoch_sync_done` (phase SYNC, else 0).
        since_ms: when the last epoch change was done (phases DONE and PARAMS_SELECTED, else 0). The same moment in
            both: the epoch's clock runs from the end of its change.
    """

    phase: EpochPhase
    weight: int = 0
    since_ms: int = 0


@dataclass(frozen=True)
class StakingView:
    """One consistent look at the Staking object and the committees it names.

    Attributes:
        epoch: current epoch; 0 before the first committee.
        epoch_state: phase within it.
        epoch_duration_ms: length of an epoch from the end of its change.
        first_epoch_start_ms: earliest moment of the first change.
        n_shards: shards of the network.
        committee: of the current epoch; without members in epoch 0.
        previous_committee: of the epoch before; shows today's keys and addresses, as the contract keeps no old ones.
        next_committee: chosen by `voting_end`, until the change.
    """

    epoch: Epoch
    epoch_state: EpochState
    epoch_duration_ms: int
    first_epoch_start_ms: int
    n_shards: int
    committee: Committee
    previous_committee: Committee
    next_committee: Committee | None


@dataclass(frozen=True)
class SystemView:
    """One look at the System object. Prices are FROST per MiB (storage: and epoch)."""

    epoch: Epoch
    total_capacity: int
    used_capacity: int
    storage_price: int
    write_price: int
    n_shards: int
    max_epochs_ahead: int

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
class NodeCap:
    """The StorageNodeCap: who owns it acts for the node."""

    object_id: ObjectId
    node_id: NodeId
    last_epoch_sync_done: Epoch
    owner: SuiAddress | None = None


class PoolPhase(Enum):
    """State of a staking pool (contract module staking_pool)."""

    ACTIVE = "Active"
    WITHDRAWING = "Withdrawing"
    WITHDRAWN = "Withdrawn"


@dataclass(frozen=True)
class VotingParams:
    """What a node votes for: prices in FROST per MiB, capacity in bytes."""

    storage_price: int
    write_price: int
    node_capacity: int


@dataclass(frozen=True)
class NodeMetadata:
    """Free text of a node and its extra fields, a list of pairs because the contract keeps their order."""

    image_url: str = ""
    project_url: str = ""
    description: str = ""
    extra_fields: tuple[tuple[str, str], ...] = ()

    def extra_field(self, key: str) -> str:
        """Return an extra field, or "" when it is absent."""
        return dict(self.extra_fields).get(key, "")


@dataclass(frozen=True)
class PoolView:
    """A staking pool: the on-chain record of one storage node.

    Attributes:
        node_id: the pool's object id.
        name: as registered.
        network_address: "host:port" of the official REST face.
        network_public_key: 33 bytes.
        bls_public_key: 48 bytes, the pool's key now (committees may hold an older one for an epoch).
        next_bls_public_key: 48 bytes, when a change is pending.
        metadata: free text and extra fields.
        phase: Active, Withdrawing or Withdrawn.
        votes: prices and capacity.
        activation_epoch: first epoch in which stake counts.
        latest_epoch: epoch to which the pool has advanced; pools outside the committee stand still.
        wal_balance: staked FROST that counts now.
        num_shares: pool shares outstanding.
        pending_stake: FROST by the epoch in which it starts to count.
        commission_rate: basis points.
        pending_commission_rate: basis points by the epoch in which they take effect.
        commission: FROST of commission held by the pool, the blocked part included.
        rewards: FROST of rewards held for delegators.
    """

    node_id: NodeId
    name: str
    network_address: str
    network_public_key: bytes
    bls_public_key: bytes
    next_bls_public_key: bytes | None
    metadata: NodeMetadata
    phase: PoolPhase
    votes: VotingParams
    activation_epoch: Epoch
    latest_epoch: Epoch
    wal_balance: int
    num_shares: int
    pending_stake: tuple[tuple[Epoch, int], ...]
    commission_rate: int
    pending_commission_rate: tuple[tuple[Epoch, int], ...]
    commission: int
    rewards: int

    @property
    def grpc_address(self) -> str:
        """The gRPC face as "host:port"; empty when the node registered none."""
        return self.metadata.extra_field(GRPC_ADDRESS_FIELD)


@dataclass(frozen=True)
class StakedWal:
    """A stake object: FROST delegated to a node; `withdraw_epoch` is set once a withdrawal was asked for."""

    object_id: ObjectId
    node_id: NodeId
    principal: int
    activation_epoch: Epoch
    withdraw_epoch: Epoch | None
    owner: SuiAddress | None = None


@dataclass(frozen=True)
class ExchangeView:
    """A WAL exchange: its purses in FROST and MIST, and its rate: `rate_wal` FROST for `rate_sui` MIST."""

    object_id: ObjectId
    wal: int
    sui: int
    rate_wal: int
    rate_sui: int

    def sui_for(self, wal: int) -> int:
        """Return the least MIST that buy at least `wal` FROST."""
        return -(-wal * self.rate_sui // self.rate_wal)


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint's place in history."""

    sequence: int
    digest: str
    timestamp_ms: int


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


@dataclass(frozen=True)
class Payment:
    """Money for an address: MIST and FROST."""

    address: SuiAddress
    sui: int = 0
    wal: int = 0


def signers_bitmap(indices: Iterable[int], n_members: int) -> bytes:
    """Return the bitmap of a certificate: bit b of byte B, lowest first, is member 8B+b of the committee."""
    bits = bytearray(-(-n_members // 8))
    for index in indices:
        if not 0 <= index < n_members:
            raise ValueError(f"member {index} of {n_members}")
        bits[index // 8] |= 1 << index % 8
    return bytes(bits)


def _units(encoded_size: int) -> int:
    return -(-encoded_size // BYTES_PER_UNIT)
