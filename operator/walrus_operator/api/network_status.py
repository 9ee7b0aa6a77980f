"""Status of a WalrusNetwork: what the operator found and what it is about to do.

Each pass writes it anew, and only when something in it has changed; what `kubectl get` shows stands ready-made in the
`display` fields. Durable answers of the chain (its id, the objects of the deployment) stay while the chain is away.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from walrus_operator.api.base import StatusModel
from walrus_operator.api.challenges import NetworkResults
from walrus_operator.api.conditions import ConditionStatus


class NodeCounts(StatusModel):
    """Storage nodes."""

    desired: int
    """Nodes that should serve."""
    ready: int
    """Nodes that serve."""
    display: str
    """ready/desired, for `kubectl get`."""


class ShardCounts(StatusModel):
    """Shards, the unit in which safety is counted."""

    total: int
    """n."""
    available: int
    """Shards of committee members that are ready."""
    tolerated: int
    """f: how many may be unavailable without harm."""
    display: str
    """available/total, for `kubectl get`."""


class GatewayStatus(StatusModel):
    """The gateway."""

    ready: int
    """Ready replicas."""
    url: str
    """URL inside the cluster."""


class RolloutBudget(StatusModel):
    """The arithmetic of restarts, in shards."""

    allowed: int
    """f - reserve: how many may be unavailable at once."""
    reserve: int
    """How many of f are left alone."""
    unavailable: int
    """How many are unavailable now."""


class RolloutStep(StatusModel):
    """What is restarted together; the next step begins when it is back."""

    nodes: list[str]
    """WalrusNodes."""
    shards: int
    """Shards of the current committee that they hold."""
    pods: list[str] | None = None
    """A pod of the gateway or the devnet; absent in the steps of nodes, which come first."""


class RolloutHold(StatusModel):
    """A gate, and the nodes that it holds."""

    gate: str
    """Name of the gate."""
    nodes: list[str]
    """WalrusNodes that wait for it."""
    message: str
    """Why the first of them waits, and what opens the gate."""
    pods: list[str] | None = None
    """Pods of the gateway and the devnet that wait for it."""


class RolloutVersion(StatusModel):
    """Nodes that run the same."""

    image: str
    """Image of their pods."""
    version: str
    """Version that they report; empty while they do not answer."""
    nodes: int
    """How many."""


class RolloutPart(StatusModel):
    """The gateway or the devnet."""

    name: str
    """Its StatefulSet."""
    display: str
    """updated/all pods."""
    updated: int
    """Pods that run what the spec asks for."""
    outdated: int
    """Pods that are still to be restarted."""
    images: list[str]
    """Images of its pods."""


class RolloutStatus(StatusModel):
    """Which nodes run what the spec asks for, and the plan for the others."""

    state: str
    """Complete, Rolling (pods restart or are about to, or are not back), Held (gates hold all that are left), or
    Settling (nothing is to be restarted, and some nodes have not joined or are down)."""
    target: str
    """Digest of what all nodes should run; the name of this rollout."""
    display: str
    """updated/all, for `kubectl get`."""
    updated: int
    """Nodes that run what the spec asks for."""
    outdated: int
    """Nodes that are still to be restarted."""
    returning: list[str]
    """Nodes that were started with what the spec asks for and have not rejoined yet, and such pods of gateway and devnet."""
    stuck: str | None = None
    """Why nothing more is restarted: a node that does not rejoin; absent when there is none."""
    budget: RolloutBudget
    """The arithmetic."""
    plan: list[RolloutStep]
    """What is restarted next, step by step, by what is known now."""
    holds: list[RolloutHold]
    """What holds nodes at present."""
    ends_in_epoch: int | None = None
    """Epoch in which the plan ends if every gate opens in its time; absent when there is no plan."""
    versions: list[RolloutVersion]
    """What the nodes run."""
    parts: list[RolloutPart] | None = None
    """Gateway and devnet, which follow the nodes."""


class AdminToken(StatusModel):
    """The token with which the operator asks nodes; remembered so that a lost Secret is noticed and never replaced."""

    present: str | None = None
    """Fingerprint of the token; absent while a lost one is replaced."""
    next: str | None = None
    """Fingerprint of the one that is to take over."""
    made_for: str | None = None
    """The text of `spec.rotateAdminToken` that the present token was made for; none for the first one."""
    next_for: str | None = None
    """The text that the next one was made for."""
    waits_for: str | None = None
    """What is missing until the next one takes over; absent when nothing changes."""


class NetworkStatus(StatusModel):
    """What the operator found."""

    observed_generation: int | None = None
    """Generation of the spec that this status belongs to."""
    epoch: int | None = None
    """Current epoch of the chain."""
    epoch_state: str | None = None
    """Waiting (epoch 0), Sync, Done or ParamsSelected."""
    chain_id: str | None = None
    """Identifier of the chain; a devnet keeps it over restarts."""
    network_config: str | None = None
    """URL of the client configuration."""
    system_object: str | None = None
    """Walrus System object."""
    staking_object: str | None = None
    """Walrus Staking object."""
    nodes: NodeCounts | None = None
    """Nodes ready and desired."""
    shards: ShardCounts | None = None
    """Shards available and total."""
    gateway: GatewayStatus | None = None
    """The gateway."""
    rollout: RolloutStatus | None = None
    """Which nodes run what the spec asks for, and the plan for the others."""
    challenges: NetworkResults | None = None
    """What challenges have found out; absent while they are off."""
    treasury_address: str | None = None
    """Sui address whose key delegates the stake."""
    gateway_addresses: dict[str, str] | None = None
    """Sui address of each gateway pod."""
    admin_token: AdminToken | None = None
    """The token of the nodes' admin API, as far as it may be told."""
    operator_version: str | None = None
    """Version of the operator that last finished a pass over this network."""
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            default_factory=list,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ]
    """Valid, Ready, Available, CommitteeSynced, Progressing, Degraded, RequiresUpdate, Paused, ChallengesPassing."""
