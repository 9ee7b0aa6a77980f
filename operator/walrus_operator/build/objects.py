"""Everything that should exist for a network, in the order in which it is applied."""

from __future__ import annotations

from walrus_operator.api.decisions import Workload
from walrus_operator.api.world import Manifest, Settings
from walrus_operator.build import common, devnet, gateway, nodes, policies, resources


def manifests(workload: Workload, settings: Settings) -> list[Manifest]:
    """All manifests: custom resources and guards first, then the chain, the nodes, the gateway.

    StatefulSets come after what their pods mount, and NetworkPolicies before any pod.
    """
    network = workload.network
    found: list[Manifest] = []
    found += [resources.walrus_node(network, name) for name in workload.templated]
    found += [resources.storage_epoch(network, record) for record in workload.epochs]
    found += policies.network_policies(network, settings)
    found.append(policies.disruption_budget(network, max_unavailable=workload.max_unavailable))
    if workload.devnet:
        found += devnet.manifests(network, settings)
    for node in workload.nodes:
        found += nodes.manifests(network, node, settings, kept=node.name in workload.kept)
    if workload.gateway:
        # Without replicas the objects stay, so that a gateway that is switched off and on keeps its Service's address.
        found += gateway.manifests(network, settings)
    return [common.signed(manifest) for manifest in found]
