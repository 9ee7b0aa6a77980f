"""What the handlers take and give, free of any wire format: the gRPC face and the later REST face translate it.

Slivers, refusals and signed messages are the values that clients know too (`walrus_client.peers.wire`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from walrus_client.peers.wire import (
    MissingSliver,
    MissingSource,
    ShardState,
    SignedMessage,
    SliverHead,
    SliverRefusal,
)
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.recovery.task import Progress
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.sync.task import SyncProgress

__all__ = ["MissingSliver", "MissingSource", "NodeInfo", "ShardState", "SignedMessage", "SliverHead", "SliverRefusal"]


@dataclass(frozen=True)
class StorageState:
    """Whether the node takes data; fields as in the protocol's StorageState."""

    condition: str
    message: str
    bytes_stored: int
    capacity: int
    disk_free: int
    disk_reserve: int


@dataclass(frozen=True)
class NodeInfo:
    """What a node tells about itself; field names are those of GetInfoResponse and of `GET /v1/info`.

    Attributes:
        node_id: "0x..." or "" before the registration.
        name: as configured.
        epoch: epoch that the node's events have reached.
        status: Standby, Active, ...
        shards: shards that are stored here or that the chain gives to this node.
        version: release of the software.
        event_cursor: last applied checkpoint.
        n_shards: shards of the network, 0 before the chain was seen.
        chain_id: base58.
        chain_reachable: whether the chain answered lately.
        checkpoint_age_ms: age of the newest applied checkpoint.
        uptime_seconds: since the process began.
        blobs_stored: blobs whose metadata is stored.
        slivers_stored: slivers in all shards.
        storage: whether the node takes data, and what room it has.
        recovery: what was got back from other nodes.
        scrub: how far the verification of what is stored is, and what it found.
        sync: how far shards have come from their previous owners.
        challenges: where availability challenges stand.
    """

    node_id: str
    name: str
    epoch: int
    status: str
    shards: tuple[ShardState, ...]
    version: str
    event_cursor: int
    n_shards: int
    chain_id: str
    chain_reachable: bool
    checkpoint_age_ms: int
    uptime_seconds: int
    blobs_stored: int
    slivers_stored: int
    storage: StorageState
    recovery: Progress
    scrub: ScrubProgress
    sync: SyncProgress
    challenges: ChallengeProgress

    def to_json(self) -> dict[str, Any]:
        """The answer of `GET /v1/info`."""
        return asdict(self)
