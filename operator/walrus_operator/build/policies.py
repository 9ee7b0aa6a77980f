"""What guards the pods: NetworkPolicies that deny by default, and the one PodDisruptionBudget.

Pods of a network may talk to its chain and its nodes, ask DNS, send to the OpenTelemetry collector if there is one, and
nothing else (a network on a real chain may also leave the cluster, because nobody knows its addresses beforehand). The
gateway alone is open to the cluster. The operator is let in where it has to look, and named namespaces to the metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from walrus_operator.api import names
from walrus_operator.api.decisions import Evictions
from walrus_operator.api.markers import NETWORK_LABEL
from walrus_operator.api.world import Manifest, NetworkObject, Settings
from walrus_operator.build import common, devnet, gateway, nodes

_DNS_PORT = 53


def _ports(*numbers: int, protocol: str = "TCP") -> list[dict[str, Any]]:
    return [{"port": number, "protocol": protocol} for number in numbers]


def _pods_of(network: NetworkObject, component: str | None = None) -> dict[str, Any]:
    chosen = {NETWORK_LABEL: network.name} if component is None else common.selector(network.name, component)
    return {"podSelector": {"matchLabels": chosen}}


def _operator(settings: Settings) -> dict[str, Any]:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.operator_namespace}},
        "podSelector": {"matchLabels": {common.NAME_LABEL: common.OPERATOR_NAME}},
    }


def _policy(
    network: NetworkObject,
    component: str,
    *,
    ingress: Iterable[dict[str, Any]],
    egress: Iterable[dict[str, Any]],
) -> Manifest:
    name = f"{network.name}-{component}"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": common.metadata(network, name, component),
        "spec": {
            "podSelector": {"matchLabels": common.selector(network.name, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": list(ingress),
            "egress": list(egress),
        },
    }


def _scrapers(network: NetworkObject, port: int) -> list[dict[str, Any]]:
    """Ingress to the metrics from the namespaces that the spec names."""
    namespaces = (network.spec.monitoring.scrape_namespaces if network.spec else None) or []
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in namespaces]
    return [{"from": peers, "ports": _ports(port)}] if peers else []


def _to_collector(network: NetworkObject) -> list[dict[str, Any]]:
    """Egress to the collector: to its port anywhere, because a policy knows no names."""
    endpoint = network.spec.monitoring.otlp_endpoint if network.spec else None
    return [{"ports": _ports(int(endpoint.rpartition(":")[2]))}] if endpoint else []


def network_policies(network: NetworkObject, settings: Settings) -> list[Manifest]:
    """Default deny with DNS for all pods of the network, and one policy per component."""
    dns = {"ports": [*_ports(_DNS_PORT, protocol="UDP"), *_ports(_DNS_PORT)]}
    everybody = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": common.metadata(network, f"{network.name}-default", "network"),
        "spec": {
            "podSelector": {"matchLabels": {NETWORK_LABEL: network.name}},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [dns, *_to_collector(network)],
        },
    }
    to_nodes = {"to": [_pods_of(network, nodes.COMPONENT)], "ports": _ports(names.GRPC_PORT)}
    external = network.spec is not None and network.spec.chain.external is not None
    chain_ports = (names.DEVNET_RPC_PORT, names.DEVNET_TLS_PORT, names.DEVNET_FAUCET_PORT)
    to_chain: dict[str, Any] = (
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]}
        if external
        else {"to": [_pods_of(network, devnet.COMPONENT)], "ports": _ports(*chain_ports)}
    )
    operator = _operator(settings)
    policies = [
        everybody,
        _policy(
            network,
            nodes.COMPONENT,
            ingress=[
                {"from": [_pods_of(network)], "ports": _ports(names.GRPC_PORT)},
                {"from": [operator], "ports": _ports(names.HTTP_PORT, names.ADMIN_PORT)},
                *_scrapers(network, names.HTTP_PORT),
            ],
            egress=[to_nodes, to_chain],
        ),
        _policy(
            network,
            gateway.COMPONENT,
            ingress=[
                {"ports": _ports(names.GATEWAY_PORT)},
                {"from": [operator], "ports": _ports(names.GATEWAY_METRICS_PORT)},
                *_scrapers(network, names.GATEWAY_METRICS_PORT),
            ],
            egress=[to_nodes, to_chain],
        ),
    ]
    if not external:
        policies.append(
            _policy(
                network,
                devnet.COMPONENT,
                ingress=[
                    {"from": [_pods_of(network), operator], "ports": _ports(*chain_ports)},
                    *_scrapers(network, names.DEVNET_METRICS_PORT),
                ],
                egress=[dns],
            )
        )
    return policies


def disruption_budget(network: NetworkObject, evictions: Evictions) -> Manifest:
    """The one budget over all node pods: a pod in two budgets could not be evicted at all."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": common.metadata(network, names.nodes_budget(network.name), nodes.COMPONENT),
        "spec": {
            "minAvailable": evictions.pods - evictions.at_once,
            "selector": {"matchLabels": common.selector(network.name, nodes.COMPONENT)},
            # A pod that does not serve protects nothing by staying; its data stays on its volume.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
