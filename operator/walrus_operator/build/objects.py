"""Everything that should exist for a network, in the order in which it is applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from walrus_operator.api import names
from walrus_operator.api.decisions import Workload
from walrus_operator.api.world import Manifest, NetworkObject, NodeObject, Revision, Settings
from walrus_operator.build import common, devnet, gateway, nodes, policies, resources


def manifests(workload: Workload, settings: Settings) -> Iterator[Manifest]:
    """All manifests: custom resources and guards first, then the chain, the nodes, the gateway.

    StatefulSets come after what their pods mount, and NetworkPolicies before any pod. They are made one after the other, as
    they are asked for: of hundreds of nodes most need not be written, and all of them at once would fill the memory.
    """
    return map(common.signed, _unsigned(workload, settings))


def _unsigned(workload: Workload, settings: Settings) -> Iterator[Manifest]:
    network = workload.network
    for name in workload.templated:
        yield resources.walrus_node(network, name)
    for record in workload.epochs:
        yield resources.storage_epoch(network, record)
    if workload.challenges:
        yield resources.challenges(network, workload.challenges)
    yield from policies.network_policies(network, settings)
    yield policies.disruption_budget(network, workload.evictions)
    if workload.devnet:
        yield from devnet.manifests(
            network, settings, kept=workload.kept.get(names.devnet(network.name)), awake=workload.awake.devnet
        )
    for node in workload.nodes:
        yield from nodes.manifests(network, node, settings, kept=workload.kept.get(node.name))
    if workload.gateway:
        # Without replicas the objects stay, so that a gateway that is switched off and on keeps its Service's address.
        yield from gateway.manifests(
            network, settings, kept=workload.kept.get(names.gateway(network.name)), awake=workload.awake.gateway
        )


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
