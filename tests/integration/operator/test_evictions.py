"""Evictions on a real API server: what the fault budget does not bear gets 429, and the number follows the budget."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from tests.integration.operator.test_reconcile import Operator, apply, get, images, network, start
from tests.unit.operator.played import PlayedNodes

from walrus_operator.api.world import NodeInfo, Observed, PodView
from walrus_operator.observe.kube import KubeClient, KubeError
from walrus_operator.observe.nodes import Tellable
from walrus_operator.observe.resources import RESOURCES

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
NODES = ["net-0", "net-1", "net-2", "net-3"]


class Recovering(PlayedNodes):
    """Nodes of which some get their slivers back."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    async def look(
        self, network: str, pods: Mapping[str, PodView], tellable: Tellable
    ) -> Mapping[str, Observed[NodeInfo]]:
        found = dict(await super().look(network, pods, tellable))
        for name in self.names & found.keys():
            info = found[name].value
            assert info is not None
            found[name] = Observed(replace(info, status="RecoveryInProgress"), found[name].seen_at)
        return found


async def evict(kube: KubeClient, namespace: str, node: str) -> bool:
    """Whether the API server allows it; a refusal must be one of the budget."""
    pod = f"{node}-0"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    try:
        await kube.write("POST", RESOURCES["Pod"].path(namespace, pod, "eviction"), body=body)
    except KubeError as error:
        if error.status == 429 and "Cannot evict pod as it would violate the pod's disruption budget" in str(error):
            return False
        raise
    return True


async def allowed(kubectl: Kubectl, number: int) -> None:
    """Waits until Kubernetes has counted the pods and arrives at this."""
    async with asyncio.timeout(60):
        while True:
            budget = get(kubectl, "poddisruptionbudget", "net-nodes")
            status = budget.get("status", {})
            if (status.get("observedGeneration"), status.get("disruptionsAllowed")) == (
                budget["metadata"]["generation"],
                number,
            ):
                return
            await asyncio.sleep(0.2)


@pytest.mark.usefixtures("alone")
async def test_evictions_stop_at_the_fault_budget_and_go_on_when_it_bears_them(
    kube: KubeClient, namespace: str, kubectl: Kubectl
) -> None:
    """Four nodes hold 3, 3, 2 and 2 of 10 shards; f is 3: any one of them, and never two."""
    operator, nodes = Operator(kube, namespace), Recovering()
    operator.reconciler._observer.nodes = nodes  # type: ignore[assignment]  # played, as the others
    spec = network()
    spec["spec"]["nodes"]["count"] = len(NODES)
    apply(kubectl, spec)
    await operator.settle()
    for name in NODES:
        start(kubectl, name)
    await operator.settle()
    await allowed(kubectl, 1)

    # One goes; whichever other is asked for, the answer is no, until the first is back.
    assert await evict(kube, namespace, "net-0")
    assert [name for name in NODES[1:] if await evict(kube, namespace, name)] == []
    await operator.settle()
    assert [name for name in NODES[1:] if await evict(kube, namespace, name)] == []
    start(kubectl, "net-0")
    await allowed(kubectl, 1)

    # One that recovers is ready for Kubernetes, and yet nobody else may go.
    nodes.names = {"net-3"}
    await operator.settle()
    assert get(kubectl, "poddisruptionbudget", "net-nodes")["spec"]["minAvailable"] == len(NODES)
    await allowed(kubectl, 0)
    assert [name for name in NODES if await evict(kube, namespace, name)] == []
    nodes.names = set()
    await operator.settle()
    await allowed(kubectl, 1)
    assert await evict(kube, namespace, "net-1")
    assert images(kubectl)[2] >= {"net-0", "net-2", "net-3"}
