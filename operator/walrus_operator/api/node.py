"""WalrusNode: one storage node of a network.

The operator makes `<network>-<ordinal>` nodes from the network's template; hand-made nodes with other names join by
`networkRef`. A node's weight (its number of shards) is decided on chain from stake, so it stands in the status only.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from walrus_operator.api.base import SpecModel, StatusModel, cel, rules
from walrus_operator.api.challenges import NodeChallenges, NodeResults
from walrus_operator.api.conditions import ConditionStatus
from walrus_operator.api.pods import PodSettings, Resources, Storage, TopologySpread

KIND = "WalrusNode"
PLURAL = "walrusnodes"

MAX_NAME = 52
"""A pod's controller-revision-hash label is the StatefulSet's name and a hash, 63 characters in all."""


class Votes(SpecModel):
    """What the node registers and votes for on chain."""

    commission_rate: Annotated[int, Field(ge=0, le=10_000)] = 6000
    """Share of the rewards that the node keeps, in basis points."""
    storage_price: Annotated[int, Field(ge=0)] = 100_000
    """FROST per MiB and epoch of encoded size."""
    write_price: Annotated[int, Field(ge=0)] = 20_000
    """FROST per MiB written."""
    node_capacity: Annotated[int, Field(ge=1)] | None = None
    """Bytes that the node offers; three quarters of the volume without 256Mi when absent."""


class RotateKeys(SpecModel):
    """Which keys are to be new: each text that was not there before asks for a new key, once."""

    protocol: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Asks for a new BLS key, which signs from the next epoch on."""
    network: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Asks for a new key of the TLS certificate; the old one stays valid until everybody knows the new one."""


class NodeTemplate(PodSettings):
    """Shape of a storage node: what every node of a network has in common."""

    stake: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1000
    """WAL that the network's treasury delegates to the node."""
    votes: Votes = Votes()
    """Registration parameters."""
    storage: Storage = Storage(size="10Gi")
    """Volume for blobs. A larger size enlarges it in place if its class lets it; otherwise, and for another class, it is
    replaced when the node's turn in the rollout comes, and recovered from the other nodes. A smaller size is for new volumes
    only."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Image of the node; the network's image when absent."""
    resources: Resources | None = Resources(requests={"cpu": "50m", "memory": "192Mi"}, limits={"memory": "1Gi"})
    """CPU and memory of a storage node."""
    deletion_policy: Literal["Drain", "Delete"] | None = None
    """How the node leaves when it is deleted or the count is lowered. Drain: its stake is withdrawn, its pod serves until
    the epoch has moved its shards to others. Delete: stake, pod and volume go at once, and the others recover the shards.
    Delete on a devnet and Drain elsewhere when absent."""
    rotate_keys: RotateKeys | None = None
    """Asks for new keys, such as `{protocol: "2026-11"}`; no pod restarts for it."""
    topology_spread: Annotated[list[TopologySpread], Field(max_length=8)] | None = None
    """How node pods are spread; over Kubernetes nodes, as far as possible, when absent."""
    challenges: NodeChallenges | None = None
    """What the node does about challenges at most; all that the network does when absent."""


class NetworkReference(SpecModel):
    """The network, in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=40)]
    """Name of the WalrusNetwork."""


class NodeSpec(NodeTemplate):
    """What the user asks for."""

    network_ref: Annotated[
        NetworkReference,
        Field(
            json_schema_extra=rules(
                cel("self == oldSelf", "a node cannot move to another network: create a new WalrusNode")
            )
        ),
    ]
    """Network that the node belongs to."""
    desired_state: Literal["Active", "Drained", "Fenced", "Hibernated"] = "Active"
    """Active: the node runs. Drained: it runs without stake, so that its shards move to others at the next epoch.
    Fenced, Hibernated: no pod as soon as the fault budget bears it; data, registration and stake kept. The first is for
    nodes in doubt; the second also waits for challenges and votes that it would cut off."""
    failure_domain: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """What the node may fail together with, such as a rack. Only nodes of one domain are restarted at the same time. The
    zone on the pod's label `topology.kubernetes.io/zone` when absent; nodes without either form one domain."""


class PublicKeys(StatusModel):
    """Public halves of the node's keys; remembered so that a lost Secret is noticed and never replaced."""

    protocol: str
    """BLS12-381 public key, hex."""
    network: str
    """secp256r1 public key of the TLS certificate, hex."""
    sui_address: str
    """Sui address that owns the node's registration."""
    next_protocol: str | None = None
    """BLS key that is to take over."""
    next_network: str | None = None
    """Network key that is to take over."""


class KeysFor(StatusModel):
    """For which texts of `spec.rotateKeys` keys were made."""

    protocol: str | None = None
    """The text that the present BLS key was made for; none for the first one."""
    network: str | None = None
    """The text that the present network key was made for."""
    next_protocol: str | None = None
    """The text that the next BLS key was made for."""
    next_network: str | None = None
    """The text that the next network key was made for."""


class NodeStatus(StatusModel):
    """What the operator found."""

    observed_generation: int | None = None
    """Generation of the spec that this status belongs to."""
    node_id: str | None = None
    """Object id of the node's staking pool on chain."""
    public_keys: PublicKeys | None = None
    """Public halves of the node's keys."""
    keys_for: KeysFor | None = None
    """For which texts of `spec.rotateKeys` the keys were made."""
    weight: int | None = None
    """Shards in the current committee."""
    stake: int | None = None
    """WAL that the network's treasury has delegated, without what it has asked back."""
    state: str | None = None
    """Node status as the node reports it (Standby, Active, Recovery...), or why there is none."""
    epoch: int | None = None
    """Epoch that the node has reached."""
    slivers_stored: int | None = None
    """Slivers that the node holds."""
    bytes_stored: int | None = None
    """Bytes of them on its disk."""
    capacity: int | None = None
    """Bytes of slivers that the node offers to store."""
    chain_lag_seconds: int | None = None
    """How far the node is behind the chain, in whole minutes; 0 for one that follows it."""
    version: str | None = None
    """Version that the node reports."""
    address: str | None = None
    """gRPC address that the node registers, host:port."""
    challenges: NodeResults | None = None
    """What the other members have found out about the node's data."""
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            default_factory=list,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ]
    """Valid, Ready, Registered, InCommittee, Synced, StorageOk, KeysCurrent, Fenced, DeletionBlocked, ChallengesPassing."""
