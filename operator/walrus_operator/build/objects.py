"""Everything that should exist for a network, in the order in which it is applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from walrus_operator.api import names
from walrus_operator.api.decisions import Workload
from walrus_operator.api.world import Manifest, NetworkObject, NodeObject, Revision, Settings
from walrus_operator.build import common, devnet, gateway, nodes, policies, resources


def manifests(workload: Workload, settings: Settings) -> list[Manifest]:
    """All manifests: custom resources and guards first, then the chain, the nodes, the gateway.

    StatefulSets come after what their pods mount, and NetworkPolicies before any pod.
    """
    network = workload.network
    found: list[Manifest] = []
    found += [resources.walrus_node(network, name) for name in workload.templated]
    found += [resources.storage_epoch(network, record) for record in workload.epochs]
    if workload.challenges:
        found.append(resources.challenges(network, workload.challenges))
    found += policies.network_policies(network, settings)
    found.append(policies.disruption_budget(network, workload.evictions))
    if workload.devnet:
        found += devnet.manifests(
            network, settings, kept=workload.kept.get(names.devnet(network.name)), awake=workload.awake.devnet
        )
    for node in workload.nodes:
        found += nodes.manifests(network, node, settings, kept=workload.kept.get(node.name))
    if workload.gateway:
        # Without replicas the objects stay, so that a gateway that is switched off and on keeps its Service's address.
        found += gateway.manifests(
            network, settings, kept=workload.kept.get(names.gateway(network.name)), awake=workload.awake.gateway
        )
    return [common.signed(manifest) for manifest in found]


def revisions(network: NetworkObject, each: Iterable[NodeObject], settings: Settings) -> Mapping[str, Revision]:
    """What the pods of each StatefulSet should be made from, by its name; those that cannot be run are left out."""
    parts = {
        names.devnet(network.name): devnet.revision(network, settings),
        names.gateway(network.name): gateway.revision(network, settings),
    }
    return {
        **{name: found for name, found in parts.items() if found is not None},
        **nodes.revisions(network, each, settings),
    }
