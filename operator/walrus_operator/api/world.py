"""What a reconcile pass sees, as frozen records.

Life of a pass: `observe` fills one `Snapshot` (Kubernetes, chain, storage nodes, each part with its age); `plan` turns it
into a `Plan` (see `decisions`). Nothing in here refers to a client, a clock or a connection, so that every decision can be
replayed from a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NewType, TypeVar

from walrus_client.challenges.results import Vote
from walrus_client.challenges.verdicts import Outcome, Verdict
from walrus_codec.types import NodeId
from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.conditions import Reason
from walrus_operator.api.markers import PAUSE_ANNOTATION, PAUSED
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.network_status import NetworkStatus
from walrus_operator.api.node import NodeSpec, NodeStatus

T = TypeVar("T")

UnixSeconds = NewType("UnixSeconds", float)
Manifest = dict[str, Any]


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
class Owned:
    """Whether an object goes when its network goes."""

    network: bool = False
    """Whether the network is among its owners."""
    others: tuple[Mapping[str, Any], ...] = ()
    """References to its other owners."""
    version: str = ""
    """resourceVersion of the object that says so."""


@dataclass(frozen=True)
class SecretView:
    """A key Secret without its secrets: the public half of each key, by file name."""

    name: str
    public: Mapping[str, str | None]
    """File name to public key (hex), address, or fingerprints of tokens; None for a file that holds nothing usable."""
    uid: str = ""
    node: str | None = None
    """The WalrusNode that it belongs to, by its label."""
    owned: Owned | None = None
    """None for one that does not carry the network's label: whoever brought it decides what becomes of it."""


@dataclass(frozen=True)
class Revision:
    """What a node's pod is made from."""

    spec: str
    """Digest of what the user asks for; equal for nodes that are asked for alike."""
    template: str
    """Digest of the whole pod template that the operator makes of it, with the configuration file."""


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
    unplaced: str = ""
    """What the scheduler says of a pod that no machine takes."""
    terminating: bool = False
    gone_by: UnixSeconds | None = None
    """When a terminating pod's time to end is over."""
    created_at: UnixSeconds | None = None
    ready_since: UnixSeconds | None = None
    ready_changed: UnixSeconds | None = None
    """When it became ready, or ceased to be."""
    image: str = ""
    zone: str = ""
    """`topology.kubernetes.io/zone`, where the cluster puts it on pods."""
    made_from: Revision | None = None
    """What it was made from; None for pods that say nothing of it."""
    admin: bool = False
    """Whether its node has the admin API; pods that an older operator made have none."""


@dataclass(frozen=True)
class ClaimView:
    """A volume claim of a node's pod."""

    name: str
    uid: str
    terminating: bool = False
    """Somebody deleted it; it goes when its pod has gone."""
    size: str = ""
    """What it asks for."""
    storage_class: str | None = None
    owned: Owned = Owned()
    bound: bool = True
    """Whether there is a volume behind it; one that never was has no data."""


@dataclass(frozen=True)
class ChallengeInfo:
    """What a storage node says of its availability challenges."""

    mode: str = "Off"
    """What it does with verdicts."""
    epoch: int = 0
    window_open: bool = False
    """Whether it is the time of the epoch in which challenges are made."""
    running: int = 0
    """Runs under way in which it asks."""
    answering: int = 0
    """Runs under way in which it is asked."""
    pending: int = 0
    """Members that it is still to challenge in the window."""
    votes: int = 0
    """Its votes to slash in this epoch."""
    executed: int = 0
    """Those of them that were carried out, or can be no more."""
    verdicts: int = 0
    """Its verdicts over the others in this epoch."""


@dataclass(frozen=True)
class Findings:
    """What a storage node says in its own name of an epoch's challenges."""

    blobs: int
    """Blobs that were asked for."""
    questions: int
    """Questions of one challenge."""
    verdicts: Mapping[NodeId, tuple[Verdict, Outcome | None]]
    """Its verdicts over the others, and why."""
    votes: tuple[Vote, ...]
    """Its votes."""


@dataclass(frozen=True)
class NodeInfo:
    """What a storage node says about itself."""

    node_id: str | None
    epoch: int
    status: str
    shards: Mapping[int, str]
    """Status of each of its shards: None, Active, ActiveSync, ActiveRecover, LockedToMove."""
    version: str = ""
    slivers_stored: int = 0
    bytes_stored: int = 0
    """Bytes of them on its disk."""
    capacity: int = 0
    """Bytes of slivers that it offers to store."""
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
    chain_reachable: bool = True
    """Whether its last read of the chain succeeded."""
    chain_age: float = 0.0
    """Seconds since the newest checkpoint that it has processed."""
    challenges: ChallengeInfo = ChallengeInfo()
    token: str = ""
    """Fingerprint of the admin token that it accepted, the newest of those that it was offered; empty for none."""


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
    findings: Mapping[int, Mapping[str, Findings]] = field(default_factory=dict)
    """What nodes have found out by challenges, by epoch and by node."""
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    """What the pods of each StatefulSet should be made from, by its name: WalrusNodes, devnet, gateway."""
    deleted_pods: Mapping[str, str] = field(default_factory=dict)
    """Pods that the previous pass deleted, with their UIDs; what is read may be older than that."""
    refused_growth: Mapping[str, str] = field(default_factory=dict)
    """Volume claims that the API server has refused to enlarge, with their UIDs."""
    last_error: str | None = None
    """Why the previous pass failed; None when it did not."""
    foreign_nodes: Mapping[str, str] = field(default_factory=dict)
    """WalrusNodes of other networks in the namespace, with the names of those."""
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
