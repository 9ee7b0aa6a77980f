"""Epochs and the committees that serve in them, and the active set that the next one is chosen from."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from walrus_codec.types import Epoch, NodeId, ShardIndex


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
        further_network_keys: others that it may carry while the node changes its key.
    """

    node_id: NodeId
    shards: tuple[ShardIndex, ...]
    bls_public_key: bytes
    name: str
    network_address: str
    grpc_address: str
    network_public_key: bytes
    further_network_keys: tuple[bytes, ...] = ()

    @property
    def network_keys(self) -> frozenset[bytes]:
        """Every key that the node's TLS certificate may carry now."""
        return frozenset((self.network_public_key, *self.further_network_keys))

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
        voted_capacity: bytes that `voting_end` last chose for the epoch after it; None before the first time.
    """

    epoch: Epoch
    epoch_state: EpochState
    epoch_duration_ms: int
    first_epoch_start_ms: int
    n_shards: int
    committee: Committee
    previous_committee: Committee
    next_committee: Committee | None
    voted_capacity: int | None = None


@dataclass(frozen=True)
class ActiveSet:
    """The nodes that the next committee is chosen from.

    Attributes:
        max_size: nodes that fit.
        threshold_stake: FROST below which a node is left out.
        nodes: nodes and their FROST as projected to the next committee's epoch, in the contract's order, which breaks
            ties.
        total_stake: sum of the FROST.
    """

    max_size: int
    threshold_stake: int
    nodes: tuple[tuple[NodeId, int], ...]
    total_stake: int


def signers_bitmap(indices: Iterable[int], n_members: int) -> bytes:
    """Return the bitmap of a certificate: bit b of byte B, lowest first, is member 8B+b of the committee."""
    bits = bytearray(-(-n_members // 8))
    for index in indices:
        if not 0 <= index < n_members:
            raise ValueError(f"member {index} of {n_members}")
        bits[index // 8] |= 1 << index % 8
    return bytes(bits)
