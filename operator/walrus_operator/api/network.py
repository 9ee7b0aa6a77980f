"""WalrusNetwork: a whole Walrus network in one object.

Its spec says which chain (an embedded devnet or a real Sui network), how blobs are cut (shards, encoding), how many
storage nodes of which shape, and how the gateway is reached. Everything that genesis fixes is immutable; what only the
running system can know (a chain that does not answer, a lost key, a change that the protocol cannot do yet) becomes a
condition in the status.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from walrus_operator.api.base import Duration, SpecModel, cel, rules
from walrus_operator.api.challenges import Challenges
from walrus_operator.api.node import NodeTemplate
from walrus_operator.api.pods import FixedStorage, LocalReference, PodSettings, Resources

KIND = "WalrusNetwork"
PLURAL = "walrusnetworks"

MAX_ISAL_SHARDS = 253
MAX_DEVNET_STAKE = 900_000_000
"""WAL that all nodes of a devnet may have together: its exchange sells 10^9, and gateways need some of them."""

_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
"""1 to 65535 as a regular expression."""

_FIXED_AT_GENESIS = "is fixed at genesis: keep the old value, or create a new WalrusNetwork"


def _immutable(field: str) -> dict[str, object]:
    return rules(cel("self == oldSelf", f"{field} {_FIXED_AT_GENESIS}"))


class Devnet(PodSettings):
    """An embedded Sui devnet with the Walrus contracts, in a pod of its own."""

    storage: FixedStorage = FixedStorage(size="2Gi")
    """Volume of the ledger."""
    resources: Resources | None = Resources(requests={"cpu": "100m", "memory": "256Mi"}, limits={"memory": "1Gi"})
    """CPU and memory of the devnet."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Image of the devnet; the network's image when absent."""


class ExternalChain(SpecModel):
    """A Sui network on which a Walrus deployment exists already."""

    network_config: Annotated[
        str,
        Field(
            max_length=1024,
            json_schema_extra=rules(
                cel(
                    "self.startsWith('http://') || self.startsWith('https://')",
                    "networkConfig must be an http:// or https:// URL of a Walrus client configuration",
                )
            ),
        ),
    ]
    """URL of the Walrus client configuration (system object, staking object, RPC URL)."""
    treasury_secret_ref: LocalReference | None = None
    """Secret with the key `sui.key` that delegates stake and funds the gateway; without it both come from outside."""


class Chain(SpecModel):
    """Exactly one of the two kinds of chain."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "has(self.devnet) != has(self.external)",
                "set exactly one of chain.devnet and chain.external",
            ),
            cel(
                "has(self.devnet) == has(oldSelf.devnet)",
                f"the kind of chain {_FIXED_AT_GENESIS}",
            ),
            cel(
                "!has(self.external) || !has(oldSelf.external) || "
                "self.external.networkConfig == oldSelf.external.networkConfig",
                f"chain.external.networkConfig {_FIXED_AT_GENESIS}",
            ),
        )
    )

    devnet: Devnet | None = None
    """Run an embedded devnet."""
    external: ExternalChain | None = None
    """Use a Sui network that runs elsewhere."""


class Nodes(SpecModel):
    """The storage nodes that the operator makes, named `<network>-<ordinal>`."""

    count: int = 10
    """How many nodes. Those beyond a lowered count leave by their `deletionPolicy`, the highest ordinals first."""
    template: NodeTemplate = NodeTemplate()
    """Shape of each node."""


class MaintenanceWindow(SpecModel):
    """A time in which nodes may be restarted."""

    start: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
    """When it opens, hours and minutes in UTC, such as "22:30"."""
    duration: Annotated[
        Duration,
        Field(
            json_schema_extra=rules(
                cel(
                    "duration(self) >= duration('1m') && duration(self) <= duration('24h')",
                    "a maintenance window lasts from 1m to 24h",
                )
            )
        ),
    ]
    """How long it stays open, such as "4h"."""
    days: (
        Annotated[list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]], Field(min_length=1, max_length=7)]
        | None
    ) = None
    """Days on which it opens, in UTC; every day when absent."""


class Rollout(SpecModel):
    """How nodes are restarted when their spec has changed, and how much of the fault budget that may take."""

    reserve: Annotated[int, Field(ge=0, le=333)] = 0
    """Shards of the f that may fail which the operator leaves alone: it never takes more than f - reserve down."""
    paused: bool = False
    """No node is restarted; the plan in the status goes on saying what would be."""
    mode: Literal["Automatic", "Supervised"] = "Automatic"
    """Supervised: a rollout waits until the annotation `walrus-operator.dev/approved-rollout` of the network has its
    target, which stands in `status.rollout.target`."""
    maintenance_windows: Annotated[list[MaintenanceWindow], Field(max_length=8)] | None = None
    """When nodes may be restarted; at any time when absent."""
    min_ready_seconds: Annotated[int, Field(ge=0, le=3600)] = 40
    """How long a restarted node must have been ready before the next one may go. Its pod has a new address, and those who
    use the node find it only when cluster DNS has forgotten the old one, which takes 30 seconds as a rule."""
    restart: Annotated[str, Field(max_length=64)] | None = None
    """Any text. Each change of it restarts all nodes, one batch after the other, then gateways and the devnet; they also take
    over then what a new version of the operator makes of the same spec, which alone restarts nothing."""


class GatewayService(SpecModel):
    """How the gateway is reached."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.nodePort) || self.type == 'NodePort'",
                "nodePort needs type: NodePort",
            )
        )
    )

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service."""
    node_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port on each Kubernetes node; the cluster chooses one when absent."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None = None
    """Annotations of the Service, for load balancers."""


class Gateway(PodSettings):
    """The HTTP publisher and aggregator."""

    replicas: Annotated[int, Field(ge=0, le=16)] = 1
    """How many; each has a Sui key of its own."""
    service: GatewayService = GatewayService()
    """How it is reached."""
    max_body_size: Annotated[int, Field(ge=1)] | None = None
    """Largest accepted body in bytes; the network's largest blob when absent."""
    resources: Resources | None = Resources(requests={"cpu": "100m", "memory": "256Mi"}, limits={"memory": "2Gi"})
    """CPU and memory of a gateway pod."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Image of the gateway; the network's image when absent."""


class Monitoring(SpecModel):
    """How the network's processes are watched."""

    otlp_endpoint: (
        Annotated[
            str,
            Field(
                max_length=1024,
                json_schema_extra=rules(
                    cel(
                        f"self.matches('^https?://[^/]+:({_PORT})$')",
                        "otlpEndpoint must be an http:// or https:// URL with a port, such as http://collector.monitoring:4317",
                    )
                ),
            ),
        ]
        | None
    ) = None
    """OpenTelemetry collector with its port, such as `http://collector.monitoring:4317`, that gets spans and metrics."""
    scrape_namespaces: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=63)]], Field(max_length=16)] | None
    ) = None
    """Namespaces whose pods may read `/metrics`, such as that of Prometheus; the NetworkPolicies let nobody else in."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that the processes log."""


class NetworkSpec(SpecModel):
    """What the user asks for."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.nodes.count >= 1 && self.nodes.count <= self.shards",
                "nodes.count must be greater than or equal to 1 and at most spec.shards: every node needs a shard",
                field_path=".nodes.count",
            ),
            cel(
                f"self.encoding != 'isal' || self.shards <= {MAX_ISAL_SHARDS}",
                f"encoding isal works for at most {MAX_ISAL_SHARDS} shards: lower spec.shards or choose encoding: rs2",
                field_path=".shards",
            ),
            cel(
                "self.rollout.reserve <= (self.shards - 1) / 3",
                "rollout.reserve must be at most f = (shards - 1) / 3: no more shards may fail",
                field_path=".rollout.reserve",
            ),
            cel(
                "!has(self.chain.devnet) || self.nodes.count > self.shards || "
                f"self.nodes.count * self.nodes.template.stake <= {MAX_DEVNET_STAKE}",
                f"nodes.count times nodes.template.stake must be at most {MAX_DEVNET_STAKE} WAL: a devnet has no more to delegate, "
                "and only the proportions matter",
                field_path=".nodes.template.stake",
            ),
            cel(
                "has(self.chain.devnet) || self.encoding == 'rs2'",
                "a real chain knows only the official encoding: set encoding: rs2",
                field_path=".encoding",
            ),
        )
    )

    chain: Chain = Chain(devnet=Devnet())
    """The chain that the network lives on."""
    shards: Annotated[
        int,
        Field(
            le=1000,
            json_schema_extra=rules(
                cel(
                    "self >= 4 && self % 3 == 1",
                    "shards must be 1 more than a multiple of 3 and at least 4, such as 4, 10, 100 or 1000",
                ),
                cel("self == oldSelf", f"shards {_FIXED_AT_GENESIS}"),
            ),
        ),
    ] = 100
    """Number of shards n; f = (n - 1) / 3 of them may fail."""
    encoding: Annotated[Literal["isal", "rs2"], Field(json_schema_extra=_immutable("encoding"))] = "isal"
    """How blobs are encoded: `isal` (fast, devnets only) or `rs2` (official blob ids)."""
    epoch_duration: Annotated[
        Duration,
        Field(
            json_schema_extra=rules(
                cel(
                    "duration(self) >= duration('30s') && duration(self) <= duration('8760h')",
                    "epochDuration must be at least 30s and at most 8760h: shorter epochs leave no time for the epoch change",
                ),
                cel("self == oldSelf", f"epochDuration {_FIXED_AT_GENESIS}"),
            )
        ),
    ] = "10m"
    """Length of an epoch."""
    epoch_zero_duration: Annotated[
        Duration,
        Field(
            json_schema_extra=rules(
                cel(
                    "duration(self) <= duration('168h')",
                    "epochZeroDuration must be at most 168h: there is no committee, and nothing can be stored, before it is over",
                ),
                cel("self == oldSelf", f"epochZeroDuration {_FIXED_AT_GENESIS}"),
            )
        ),
    ] = "10s"
    """How long the chain waits before the first committee is chosen."""
    max_epochs_ahead: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_immutable("maxEpochsAhead"))] = 53
    """How far ahead storage can be reserved, in epochs."""
    epochs_to_keep: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many StorageEpoch objects are kept."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Image of all parts; the operator's own image when absent."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When images are pulled."""
    nodes: Nodes = Nodes()
    """The storage nodes."""
    gateway: Gateway = Gateway()
    """The HTTP gateway."""
    monitoring: Monitoring = Monitoring()
    """How the network's processes are watched."""
    hibernated: bool = False
    """True puts the whole network to sleep: no pods; volumes, keys, stake and everything else stay."""
    rollout: Rollout = Rollout()
    """How careful the operator is."""
    rotate_admin_token: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """Any text that was not there before, such as "2026-11", asks for a new token of the nodes' admin API, once; no pod
    restarts for it."""
    challenges: Challenges = Challenges()
    """How nodes prove to each other that they hold their data."""
    persistent_volume_claim_policy: Literal["Delete", "Retain"] = "Delete"
    """What happens to volumes and key Secrets when the network or a node is deleted; it may be changed at any time."""
