"""What a reconcile pass decides, as frozen records.

Life of a `Plan`: `plan` makes it from a `Snapshot`: the `Workload` that should exist, the chain and key `actions`, the
statuses to report and when to look again. `build` renders the workload as manifests, and `apply` writes only what the live
objects lack, carries out the actions, and then writes the statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from walrus_codec.types import NodeId, ObjectId, SuiAddress
from walrus_operator.api.conditions import Condition
from walrus_operator.api.node import NodeSpec
from walrus_operator.api.world import Manifest, NetworkObject, ObjectKey, Owned


class KeyKind(StrEnum):
    """Kinds of key files."""

    PROTOCOL = "protocol"
    NETWORK = "network"
    SUI = "sui"
    TOKEN = "token"  # noqa: S105  (a kind, no token)
    """No key, but what the nodes' admin API is asked with."""


@dataclass(frozen=True)
class CreateKeys:
    """Make a key Secret that has never existed, or add the files that it lacks."""

    secret: str
    files: tuple[tuple[str, KeyKind], ...]
    add: bool = False
    """Add files to an existing Secret (a gateway replica more); existing files are never touched."""


@dataclass(frozen=True)
class PromoteKey:
    """Put a node's next key in the place of the present one, which is forgotten: nothing needs it any more."""

    secret: str
    uid: str
    file: str
    next_file: str
    public: str
    """Public half of the next key; a Secret that holds another one is left alone."""


@dataclass(frozen=True)
class AddToken:
    """Make a second admin token, which nodes accept beside the present one."""

    secret: str
    uid: str
    present: str
    """Fingerprint of the one that there is; a Secret that holds another, or more, is left alone."""


@dataclass(frozen=True)
class DropToken:
    """Take the present admin token out of the Secret, so that the next one is the only one."""

    secret: str
    uid: str
    present: str
    following: str
    """Fingerprints of both; a Secret that holds others is left alone."""


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
    orphan: bool = False
    """Leave what belongs to it: a StatefulSet's pod runs on."""


@dataclass(frozen=True)
class SetOwners:
    """Have a volume claim or a key Secret go with its network, or outlive it."""

    key: ObjectKey
    uid: str
    seen: Owned
    """Its owners now; an object that has changed since is left alone."""
    with_network: bool


@dataclass(frozen=True)
class DrainNode:
    """Have a node end what is under way, because its pod is deleted next."""

    node: str
    pod: str
    uid: str


@dataclass(frozen=True)
class GrowClaim:
    """Ask for a larger volume; storage classes may refuse that."""

    claim: str
    uid: str
    size: str


Action = (
    CreateKeys
    | PromoteKey
    | AddToken
    | DropToken
    | FundTreasury
    | Delegate
    | WithdrawStake
    | FundAddress
    | SetFinalizer
    | SetOwners
    | DrainNode
    | DeleteObject
    | GrowClaim
)


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
class Evictions:
    """How many node pods others than the operator may take away."""

    pods: int
    """Pods that there should be."""
    at_once: int
    """How many of them may be away, whichever they are."""


@dataclass(frozen=True)
class Awake:
    """Which of a network's single parts have pods; what has none keeps its objects and volume."""

    devnet: bool = True
    gateway: bool = True


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
    evictions: Evictions
    """For the one PodDisruptionBudget over all node pods."""
    epochs: tuple[EpochRecord, ...]
    challenges: str = ""
    """The file with the policies of challenges; empty for none."""
    awake: Awake = Awake()
    """What of that has pods."""
    kept: Mapping[str, Manifest] = field(default_factory=dict)
    """StatefulSets as stored, by name, whose pod template and configuration stay as they are until they may restart."""


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
class RolloutNumbers:
    """How a rollout stands."""

    outdated: int = 0
    """Pods that are still to be restarted."""
    stuck: bool = False
    """Whether one that was restarted does not come back."""
    gates: Mapping[str, int] = field(default_factory=dict)
    """How many each gate holds."""


@dataclass(frozen=True)
class ChallengeNumbers:
    """What challenges have found out: verdicts of the newest epoch that has all of them, votes of the newest that has any."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Verdicts by what they say."""
    silent: int = 0
    votes: int = 0
    slashed: int = 0
    burned: int = 0
    """FROST."""
    failing: Mapping[str, int] = field(default_factory=dict)
    """Shards of the members that saw it fail, by node that failed."""


@dataclass(frozen=True)
class StandingNumbers:
    """How a network stands."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    """Status of each condition, by type."""
    nodes: Mapping[str, int] = field(default_factory=dict)
    """WalrusNodes by what they do."""
    unavailable: int = 0
    """Shards that have a seat and nobody who serves them."""
    tolerated: int = 0
    """Shards that may be unavailable."""
    hibernated: bool = False
    """Whether it sleeps because it should."""
    epoch: int | None = None
    """None before the chain was seen."""


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
    rollout: RolloutNumbers = RolloutNumbers()
    """For the metrics."""
    challenges: ChallengeNumbers = ChallengeNumbers()
    """For the metrics."""
    standing: StandingNumbers = StandingNumbers()
    """For the metrics."""
