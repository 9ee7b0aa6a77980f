"""Storage nodes on chain: capability, pool, votes, and the stake that others gave them."""

from dataclasses import dataclass
from enum import Enum

from walrus_codec.types import Epoch, NodeId, ObjectId, SuiAddress

GRPC_ADDRESS_FIELD = "grpc_address"
"""Key in a node's metadata under which its gRPC address stands; `network_address` is the official REST face."""
FURTHER_KEYS_FIELD = "further_network_keys"
"""Key in a node's metadata under which keys stand, in hex with commas, that its TLS certificate may carry beside the
registered one: the next or the previous one while the node changes its key, so that nobody who knows the chain's state of
a minute ago is turned away. The contract has room for one key only."""
MAX_FURTHER_KEYS = 2
NETWORK_KEY_LENGTH = 33


@dataclass(frozen=True)
class NodeCap:
    """The StorageNodeCap: who owns it acts for the node.

    Attributes:
        object_id: its id.
        node_id: the node that it speaks for.
        last_epoch_sync_done: the last epoch that the node attested.
        owner: address that owns it; None when not read.
        attested_checkpoint: last checkpoint of the event blob that the node attested last; None before the first.
        attested_in: epoch of that attestation.
        deny_list_root: 32 bytes; zero without a deny list.
        deny_list_sequence: number of the node's newest certified deny list.
        deny_list_size: bytes that it lists.
    """

    object_id: ObjectId
    node_id: NodeId
    last_epoch_sync_done: Epoch
    owner: SuiAddress | None = None
    attested_checkpoint: int | None = None
    attested_in: Epoch | None = None
    deny_list_root: bytes = bytes(32)
    deny_list_sequence: int = 0
    deny_list_size: int = 0


@dataclass(frozen=True)
class Authorized:
    """Who may act: an address, or whoever holds an object (contract module auth)."""

    id: str
    is_object: bool = False


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
        pending_shares_withdraw: shares by the epoch in which they leave.
        pre_active_withdrawals: FROST that was withdrawn before it counted, by the epoch in which it leaves.
        commission_receiver: who may collect the commission; a fresh pool names its StorageNodeCap.
        governance_authorized: who may vote for the node about slashing and upgrades.
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
    pending_shares_withdraw: tuple[tuple[Epoch, int], ...] = ()
    pre_active_withdrawals: tuple[tuple[Epoch, int], ...] = ()
    commission_receiver: Authorized | None = None
    governance_authorized: Authorized | None = None

    @property
    def grpc_address(self) -> str:
        """The gRPC face as "host:port"; empty when the node registered none."""
        return self.metadata.extra_field(GRPC_ADDRESS_FIELD)

    @property
    def further_network_keys(self) -> tuple[bytes, ...]:
        """Keys that the node's TLS certificate may carry beside the registered one; what is no key is left out."""
        found = []
        for text in self.metadata.extra_field(FURTHER_KEYS_FIELD).split(",")[:MAX_FURTHER_KEYS]:
            try:
                key = bytes.fromhex(text)
            except ValueError:
                continue
            if len(key) == NETWORK_KEY_LENGTH:
                found.append(key)
        return tuple(found)


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
class Commission:
    """Commission in a pool: FROST in all, and the part that cannot be collected before the next `voting_end`."""

    total: int
    blocked: int

    @property
    def collectable(self) -> int:
        """FROST that `collect_commission` pays now."""
        return self.total - self.blocked
