"""What the operator needs to know of the chain, as frozen records: the epoch, who holds which shards, keys, stake, balances.

`observe` reads it into a `ChainView`; it becomes a part of the `Snapshot` (see `world`) with its age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from walrus_codec.types import NodeId, ShardIndex, SuiAddress
from walrus_sui.types import StakedWal

FROST_PER_WAL = 1_000_000_000
MIST_PER_SUI = 1_000_000_000


class EpochPhase(StrEnum):
    """State of the current epoch on chain, in the words of the status."""

    WAITING = "Waiting"
    """Epoch 0: no committee yet."""
    SYNC = "Sync"
    DONE = "Done"
    PARAMS_SELECTED = "ParamsSelected"


@dataclass(frozen=True)
class Seat:
    """A committee member."""

    node_id: NodeId
    name: str
    shards: tuple[ShardIndex, ...]
    key: str = ""
    """BLS public key of this committee, in hex; empty when it was not read."""

    @property
    def weight(self) -> int:
        """Number of shards."""
        return len(self.shards)


@dataclass(frozen=True)
class RegisteredKeys:
    """What the chain says of a node's keys, in hex."""

    protocol: str
    """BLS key of its pool."""
    next_protocol: str | None
    """BLS key that was announced and has not taken effect."""
    in_committee: str | None
    """BLS key that its messages are checked with in this epoch; None when it has no seat."""
    network: str
    """Key of its TLS certificate."""
    further_network: tuple[str, ...] = ()
    """Keys that its certificate may carry beside that."""


@dataclass(frozen=True)
class ChainView:
    """What the operator needs to know of the chain."""

    chain_id: str
    checkpoint: int
    epoch: int
    phase: EpochPhase
    change_done_at_ms: int | None
    """When the change to this epoch was done, chain time: the epoch's clock runs from here. None before."""
    epoch_duration_ms: int
    n_shards: int
    max_epochs_ahead: int
    committee: tuple[Seat, ...]
    previous_committee: tuple[Seat, ...]
    next_committee: tuple[Seat, ...]
    """Chosen in the middle of an epoch for the next one; nobody before."""
    storage_price: int
    write_price: int
    total_capacity: int
    system_object: str
    staking_object: str
    registered: Mapping[SuiAddress, NodeId] = field(default_factory=dict)
    """Pool of each node key that was looked up and is registered."""
    keys: Mapping[NodeId, RegisteredKeys] = field(default_factory=dict)
    """Keys of the nodes that change theirs."""
    delegations: tuple[StakedWal, ...] = ()
    """What the treasury has delegated, piece by piece, with those that are being withdrawn."""
    balances: Mapping[SuiAddress, tuple[int, int]] = field(default_factory=dict)
    """MIST and FROST of the treasury and gateway addresses."""

    @property
    def stakes(self) -> Mapping[NodeId, int]:
        """FROST delegated to each pool by the treasury: principal, without rewards and without what was asked back."""
        found: dict[NodeId, int] = {}
        for piece in self.delegations:
            if piece.withdraw_epoch is None:
                found[piece.node_id] = found.get(piece.node_id, 0) + piece.principal
        return found

    @property
    def membership_frozen(self) -> bool:
        """Whether the first committee is chosen, so that any change moves shards."""
        return self.epoch > 0 or bool(self.next_committee)
