"""What a reconcile pass sees and what it decides, as frozen records.

Life of a pass: `observe` fills one `Snapshot` (Kubernetes, chain, storage nodes, each part with its age); `plan` turns it
into a `Plan`: the `Workload` that should exist, the chain and key `actions`, the statuses to report and when to look
again. `build` renders the workload as manifests, and `apply` writes only what the live objects lack. Nothing in here
refers to a client, a clock or a connection, so that every decision can be replayed from a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Literal, NewType, TypeVar

from walrus_codec.types import NodeId, ObjectId, ShardIndex, SuiAddress
from walrus_operator.api.conditions import Condition, Reason
from walrus_operator.api.network import NetworkSpec, NetworkStatus
from walrus_operator.api.node import NodeSpec, NodeStatus, PublicKeys
from walrus_sui.types import StakedWal

T = TypeVar("T")

UnixSeconds = NewType("UnixSeconds", float)
Manifest = dict[str, Any]

PAUSE_ANNOTATION = "walrus-operator.dev/reconcile"
PAUSED = "paused"

NETWORK_LABEL = "walrus-operator.dev/network"
NODE_LABEL = "walrus-operator.dev/node"
EPOCH_LABEL = "walrus-operator.dev/epoch"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "walrus-operator"
FIELD_MANAGER = "walrus-operator"
DRAIN_FINALIZER = "walrus-operator.dev/drain"
"""Keeps a deleted WalrusNode until its shards have moved; set with `deletionPolicy: Drain` only."""

FROST_PER_WAL = 1_000_000_000
MIST_PER_SUI = 1_000_000_000


@dataclass(frozen=True)
class ObjectKey:
    """An object in the network's namespace."""

    kind: str
    name: str

    def __str__(self) -> str:
        """kind/name, as kubectl writes it."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Settings:
    """What the operator was started with, as far as manifests depend on it."""

    image: str
    """Default image of all parts."""
    operator_namespace: str = "walrus-system"
    """Where the operator runs; NetworkPolicies let it in from there."""
    cluster_domain: str = "cluster.local"
    version: str = "0"


@dataclass(frozen=True)
class Observed(Generic[T]):
    """The last good look at one part of the world, and whether the newest look failed."""

    value: T | None = None
    seen_at: UnixSeconds | None = None
    """When `value` was read."""
    error: str | None = None
    """Why the newest attempt failed; None when it did not."""
    failing_since: UnixSeconds | None = None
    """Start of the current series of failures."""

    @property
    def fresh(self) -> T | None:
        """The value if the newest attempt brought it."""
        return self.value if self.error is None else None


@dataclass(frozen=True)
class NetworkObject:
    """A WalrusNetwork as read."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: NetworkSpec | None
    """None when the stored spec cannot be read; `spec_error` says why."""
    status: NetworkStatus
    spec_error: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    live_status: Mapping[str, Any] = field(default_factory=dict)
    """The status exactly as stored, for comparison."""

    @property
    def paused(self) -> bool:
        """Whether the user asked the operator to keep its hands off."""
        return self.annotations.get(PAUSE_ANNOTATION) == PAUSED


@dataclass(frozen=True)
class NodeObject:
    """A WalrusNode as read."""

    name: str
    uid: str
    generation: int
    spec: NodeSpec | None
    status: NodeStatus
    spec_error: str | None = None
    deleting: bool = False
    live: Mapping[str, Any] = field(default_factory=dict)
    """The whole object as stored, for comparison."""

    @property
    def finalizers(self) -> tuple[str, ...]:
        """What keeps the object after its deletion."""
        return tuple((self.live.get("metadata") or {}).get("finalizers") or ())

    @property
    def live_status(self) -> Mapping[str, Any]:
        """The status exactly as stored."""
        status = self.live.get("status")
        return status if isinstance(status, Mapping) else {}


@dataclass(frozen=True)
class EpochObject:
    """A StorageEpoch as read."""

    name: str
    uid: str
    generation: int
    live: Mapping[str, Any] = field(default_factory=dict)

    @property
    def live_status(self) -> Mapping[str, Any]:
        """The status exactly as stored."""
        status = self.live.get("status")
        return status if isinstance(status, Mapping) else {}


@dataclass(frozen=True)
class SecretView:
    """A key Secret without its secrets: the public half of each key, by file name."""

    name: str
    public: Mapping[str, str | None]
    """File name to public key (hex) or address; None for a file that holds no usable key."""
    uid: str = ""
    node: str | None = None
    """The WalrusNode that it belongs to, by its label."""


@dataclass(frozen=True)
class PodView:
    """A pod of the network."""

    name: str
    uid: str
    ready: bool
    phase: str
    revision: str
    """controller-revision-hash."""
    ip: str | None = None
    waiting: str | None = None
    """Why a container is not running, such as ImagePullBackOff."""
    terminating: bool = False


@dataclass(frozen=True)
class ClaimView:
    """A volume claim of a node's pod."""

    name: str
    uid: str
    terminating: bool = False
    """Somebody deleted it; it goes when its pod has gone."""


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

    @property
    def weight(self) -> int:
        """Number of shards."""
        return len(self.shards)


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


@dataclass(frozen=True)
class NodeInfo:
    """What a storage node says about itself (GET /v1/info)."""

    node_id: str | None
    epoch: int
    status: str
    shards: Mapping[int, str]
    """Status of each of its shards: None, Active, ActiveSync, ActiveRecover, LockedToMove."""
    version: str = ""
    slivers_stored: int = 0
    blobs_pending: int = 0
    """Blobs that may lack something here, which is fetched from the other nodes."""
    recovered: float = 1.0
    """Share of the blobs that it looks through which is whole again."""
    storage: str = "OK"
    """Whether it takes slivers: OK, or the condition that stops it."""
    storage_message: str = ""
    """What it says about that."""
    shards_pending: int = 0
    """Shards that are still to come from their previous owners."""
    synced: float = 1.0
    """Share of what is to come from previous owners in this epoch that has come."""


@dataclass(frozen=True)
class Snapshot:
    """One frozen picture of a network and everything around it."""

    now: UnixSeconds
    network: NetworkObject
    nodes: tuple[NodeObject, ...]
    epochs: tuple[EpochObject, ...]
    live: Mapping[ObjectKey, Manifest]
    """Children of the network as stored: StatefulSets, Services, ConfigMaps, budgets, policies."""
    pods: Mapping[str, PodView]
    secrets: Mapping[str, SecretView]
    claims: Mapping[str, ClaimView] = field(default_factory=dict)
    chain: Observed[ChainView] = field(default_factory=Observed)
    infos: Mapping[str, Observed[NodeInfo]] = field(default_factory=dict)
    last_error: str | None = None
    """Why the previous pass failed; None when it did not."""
    refusals: tuple[tuple[Reason, str], ...] = ()
    """Objects that the previous pass could not write, because a name is taken or the API server refuses them."""
    cluster_domain: str = "cluster.local"
    operator_version: str = ""

    @property
    def live_objects(self) -> Mapping[ObjectKey, Manifest]:
        """Everything stored that the operator applies: children and custom resources."""
        return {
            **self.live,
            **{ObjectKey("WalrusNode", node.name): dict(node.live) for node in self.nodes},
            **{ObjectKey("StorageEpoch", epoch.name): dict(epoch.live) for epoch in self.epochs},
        }


class KeyKind(StrEnum):
    """Kinds of key files."""

    PROTOCOL = "protocol"
    NETWORK = "network"
    SUI = "sui"


@dataclass(frozen=True)
class CreateKeys:
    """Make a key Secret that has never existed, or add the files that it lacks."""

    secret: str
    files: tuple[tuple[str, KeyKind], ...]
    add: bool = False
    """Add files to an existing Secret (a gateway replica more); existing files are never touched."""


@dataclass(frozen=True)
class FundTreasury:
    """Give the devnet's treasury SUI (faucet) and WAL (exchange)."""

    mist: int
    frost: int


@dataclass(frozen=True)
class Delegate:
    """Stake from the treasury, all pools in one transaction, so that no committee is chosen in between."""

    frost: tuple[tuple[NodeId, int], ...]


@dataclass(frozen=True)
class Part:
    """A StakedWal, or some FROST of it."""

    stake: ObjectId
    frost: int | None = None
    """None for all of it."""


@dataclass(frozen=True)
class WithdrawStake:
    """Take stake back, all in one transaction."""

    ask: tuple[Part, ...]
    """Counts in the committee: it is asked for now, and comes back in a later epoch."""
    take: tuple[Part, ...]
    """Comes back now: its epoch has come, or it counts in no committee."""


@dataclass(frozen=True)
class SetFinalizer:
    """Put our finalizer on a WalrusNode, or take it off."""

    node: str
    uid: str
    finalizers: tuple[str, ...]
    """All that the object should have afterwards."""
    version: str
    """resourceVersion of the object that was seen."""


@dataclass(frozen=True)
class FundAddress:
    """Send SUI and WAL from the treasury."""

    address: SuiAddress
    mist: int
    frost: int


@dataclass(frozen=True)
class DeleteObject:
    """Delete an object that nothing needs any more; the UID keeps a namesake safe."""

    key: ObjectKey
    uid: str


Action = CreateKeys | FundTreasury | Delegate | WithdrawStake | FundAddress | SetFinalizer | DeleteObject


@dataclass(frozen=True)
class NodeWorkload:
    """A storage node that should exist in Kubernetes."""

    name: str
    spec: NodeSpec
    replicas: int


@dataclass(frozen=True)
class EpochRecord:
    """A StorageEpoch that should exist."""

    name: str
    epoch: int


@dataclass(frozen=True)
class Workload:
    """All objects that should exist for a network."""

    network: NetworkObject
    devnet: bool
    nodes: tuple[NodeWorkload, ...]
    templated: tuple[str, ...]
    """Names of the WalrusNodes that are made from the network's template."""
    gateway: bool
    """Whether the gateway can be run as its spec asks; if not, what there is of it is left as it is."""
    max_unavailable: int
    """For the one PodDisruptionBudget over all node pods."""
    epochs: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class StatusUpdate:
    """A status that should be stored."""

    key: ObjectKey
    status: Mapping[str, Any]


@dataclass(frozen=True)
class EventNote:
    """A Kubernetes Event to post: something happened that a user may want to see."""

    about: ObjectKey
    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True)
class Plan:
    """What one pass should do; empty when there is nothing to do."""

    workload: Workload | None
    """None when the operator must not touch objects (paused, deleting, spec unreadable)."""
    actions: tuple[Action, ...]
    network_conditions: tuple[Condition, ...]
    statuses: tuple[StatusUpdate, ...]
    events: tuple[EventNote, ...]
    requeue_after: float
    """Seconds until the next pass even if nothing happens."""


__all__ = [
    "Action",
    "ChainView",
    "ClaimView",
    "CreateKeys",
    "Delegate",
    "DeleteObject",
    "EpochObject",
    "EpochPhase",
    "EpochRecord",
    "EventNote",
    "FundAddress",
    "FundTreasury",
    "KeyKind",
    "Manifest",
    "NetworkObject",
    "NodeInfo",
    "NodeObject",
    "NodeWorkload",
    "ObjectKey",
    "Observed",
    "Part",
    "Plan",
    "PodView",
    "PublicKeys",
    "Seat",
    "SecretView",
    "SetFinalizer",
    "Settings",
    "Snapshot",
    "StatusUpdate",
    "UnixSeconds",
    "WithdrawStake",
    "Workload",
]
