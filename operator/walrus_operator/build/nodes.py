"""A storage node: configuration, headless Service, and a StatefulSet of one pod with its volume.

The Service publishes addresses of pods that are not ready: a node that recovers must reach its peers and be reached. The
address that the node registers on chain is the Service's DNS name, which survives the pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from walrus_operator.api import names, sizing
from walrus_operator.api.decisions import NodeWorkload
from walrus_operator.api.markers import NODE_LABEL
from walrus_operator.api.node import NodeSpec
from walrus_operator.api.world import Manifest, NetworkObject, NodeObject, Revision, Settings
from walrus_operator.build import common, templates

COMPONENT = "node"
PORTS = {"grpc": names.GRPC_PORT, "http": names.HTTP_PORT}
OWN_PORTS = {**PORTS, names.ADMIN_PORT_NAME: names.ADMIN_PORT}
"""Those of the pod; the admin API is for the operator, which asks the pod itself."""
DATA = "/var/lib/walrus"
KEYS = "/keys"
CONFIG = "node.yaml"
ADMIN = "/admin"
CHALLENGES = "/challenges"
"""Where the policies of challenges lie: in a ConfigMap of its own, which changes under a running pod."""


def chain_config(network: NetworkObject, settings: Settings) -> dict[str, Any]:
    """The `chain` part of a configuration file."""
    if network.spec is not None and network.spec.chain.external is not None:
        return {"network_config": network.spec.chain.external.network_config}
    return {"network_config": names.devnet_config_url(network.name, network.namespace, settings.cluster_domain)}


def config(network: NetworkObject, node: NodeWorkload, settings: Settings) -> dict[str, Any]:
    """The node's configuration file."""
    votes, volume = node.spec.votes, node.spec.storage.size
    return {
        "name": node.name,
        "data_dir": DATA,
        "keys": {
            "protocol": f"{KEYS}/{names.PROTOCOL_KEY}",
            "network": f"{KEYS}/{names.NETWORK_KEY}",
            "sui": f"{KEYS}/{names.SUI_KEY}",
            "next_protocol": f"{KEYS}/{names.NEXT_PROTOCOL_KEY}",
            "next_network": f"{KEYS}/{names.NEXT_NETWORK_KEY}",
        },
        "chain": chain_config(network, settings),
        "public": {
            "host": names.host(node.name, network.namespace, settings.cluster_domain),
            "grpc_port": names.GRPC_PORT,
            "rest_port": names.REST_PORT,
        },
        "listen": {"host": "0.0.0.0", "grpc_port": names.GRPC_PORT, "http_port": names.HTTP_PORT},  # noqa: S104
        "admin": {"listen": f"0.0.0.0:{names.ADMIN_PORT}", "tokens_file": f"{ADMIN}/{names.ADMIN_TOKENS}"},
        "registration": {
            "commission_rate": votes.commission_rate,
            "storage_price": votes.storage_price,
            "write_price": votes.write_price,
            "node_capacity": sizing.capacity(volume, votes.node_capacity),
        },
        "telemetry": common.telemetry(network),
        "epoch_driver": {"enabled": True},
        "challenges": {"policy_file": f"{CHALLENGES}/{names.CHALLENGES_FILE}"},
        **budgets(network, node),
    }


def budgets(network: NetworkObject, node: NodeWorkload) -> dict[str, Any]:
    """The sections that bound memory and disk; without a memory limit the node's own defaults hold."""
    limits: dict[str, int] = {"disk_reserve": sizing.DISK_RESERVE}
    if network.spec is None:
        return {"limits": limits}
    code = sizing.params(network.spec.shards, network.spec.encoding)
    found = sizing.node_budgets(sizing.memory_limit(node.spec.resources), code)
    if found is None:
        return {"limits": limits}
    limits |= {
        "upload_memory": found.upload,
        "read_memory": found.read,
        "background_memory": found.background,
        "compute_memory": found.compute,
    }
    return {"limits": limits, "recovery": {"memory": found.recovery}}


def spread(network: NetworkObject, node: NodeWorkload) -> list[dict[str, Any]]:
    """Spread over failure domains, counted over all node pods of the network."""
    pods = {"matchLabels": common.selector(network.name, COMPONENT)}
    if node.spec.topology_spread is None:
        return [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": pods,
            }
        ]
    return [
        {
            "maxSkew": constraint.max_skew,
            "topologyKey": constraint.topology_key,
            "whenUnsatisfiable": constraint.when_unsatisfiable,
            "labelSelector": pods,
        }
        for constraint in node.spec.topology_spread
    ]


_NOT_OF_THE_POD = {
    "stake",
    "rotate_keys",
    "desired_state",
    "deletion_policy",
    "failure_domain",
    "network_ref",
    "challenges",
}


def asked_for(network: NetworkObject, spec: NodeSpec) -> str:
    """Digest of what the user asks of a node's pod."""
    own = spec.model_dump(by_alias=True, mode="json", exclude_defaults=True, exclude=_NOT_OF_THE_POD)
    return templates.asked_for(network, COMPONENT, own)


def revision(network: NetworkObject, node: NodeWorkload, settings: Settings) -> Revision:
    """What the node's pod should be made from."""
    return templates.revision(_template(network, node, settings, _file(network, node, settings)))


def revisions(network: NetworkObject, nodes: Iterable[NodeObject], settings: Settings) -> Mapping[str, Revision]:
    """What the pods of WalrusNodes should be made from; nodes whose spec cannot be carried out are left out."""
    found: dict[str, Revision] = {}
    for node in nodes:
        if network.spec is None or node.spec is None:
            continue
        try:
            found[node.name] = revision(network, NodeWorkload(node.name, node.spec, 1), settings)
        except sizing.TooSmallError:
            continue
    return found


def _file(network: NetworkObject, node: NodeWorkload, settings: Settings) -> Manifest:
    """The ConfigMap."""
    file = common.config_map(network, node.name, COMPONENT, file=CONFIG, content=config(network, node, settings))
    file["metadata"]["labels"][NODE_LABEL] = node.name
    return file


def _template(network: NetworkObject, node: NodeWorkload, settings: Settings, file: Manifest) -> dict[str, Any]:
    """The pod template, with the digests of what it was made from."""
    container = {
        "name": COMPONENT,
        "image": common.image(settings, network, node.spec.image),
        "command": ["walrus-node", "run", "--config", f"/config/{CONFIG}"],
        "ports": common.container_ports(OWN_PORTS),
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": "keys", "mountPath": KEYS, "readOnly": True},
            {"name": "challenges", "mountPath": CHALLENGES, "readOnly": True},
            {"name": "admin", "mountPath": ADMIN, "readOnly": True},
        ],
        **common.probes("http"),
    }
    template = common.pod_template(
        network,
        COMPONENT,
        settings=node.spec,
        container=container,
        volumes=[
            common.secret_volume("keys", names.node_keys(node.name)),
            # Optional: a node serves also without, and then challenges nobody.
            {"name": "challenges", "configMap": {"name": names.challenges(network.name), "optional": True}},
            # Optional, too: a lost token must not keep data away. Without one the admin API lets nobody in.
            common.secret_volume("admin", names.admin_tokens(network.name), optional=True),
        ],
        config=file,
        extra_labels={NODE_LABEL: node.name},
        spread=spread(network, node),
        grace_seconds=60,
    )
    return templates.with_digests(template, asked_for(network, node.spec))


def manifests(
    network: NetworkObject, node: NodeWorkload, settings: Settings, *, kept: Manifest | None = None
) -> list[Manifest]:
    """ConfigMap, Service and StatefulSet of one node.

    Args:
        network: The owner.
        node: What should exist.
        settings: Of the operator.
        kept: The node's StatefulSet when it goes on making the pods that it makes; its ConfigMap stays as it is then.
    """
    own = {NODE_LABEL: node.name}
    pods = {**common.selector(network.name, COMPONENT), **own}
    headless = common.service(network, node.name, COMPONENT, pods=pods, ports=PORTS, extra_labels=own)
    headless["spec"].update({"clusterIP": "None", "publishNotReadyAddresses": True})

    def workload(replicas: int, template: Manifest) -> Manifest:
        return common.stateful_set(
            network,
            node.name,
            COMPONENT,
            replicas=replicas,
            template=template,
            pods=pods,
            storage=node.spec.storage,
            extra_labels=own,
        )

    if kept is not None:
        return [headless, *templates.with_kept_template(workload(kept["spec"]["replicas"], {}), kept)]
    file = _file(network, node, settings)
    return [file, headless, workload(node.replicas, _template(network, node, settings, file))]
