"""What the status page needs from Kubernetes, read once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from walrus_client.cli.output import EXIT_NOT_FOUND, EXIT_UNAVAILABLE, fail
from walrus_operator.api.markers import NETWORK_LABEL
from walrus_operator.api.world import Manifest
from walrus_operator.observe import reading
from walrus_operator.observe.kube import KubeClient, KubeError

T = TypeVar("T")

_ELSEWHERE = (
    "A network without Kubernetes: give --gateway URL to store and read; `walrusctl local status` shows the local one"
)


def network_names(namespace: str, context: str | None = None) -> list[str]:
    """Names of the networks in a namespace, by a context of the kubeconfig file."""

    async def read() -> list[str]:
        async with await KubeClient.connect(context=context) as kube:
            return sorted(live["metadata"]["name"] for live in await kube.list("WalrusNetwork", namespace))

    return _run(read())


def network_objects(
    namespace: str, name: str, context: str | None = None
) -> tuple[Manifest, list[Manifest], list[Manifest]]:
    """A network, its nodes and its epochs; ends the program when there is no such network."""

    async def read() -> tuple[Manifest | None, list[Manifest], list[Manifest]]:
        async with await KubeClient.connect(context=context) as kube, asyncio.TaskGroup() as group:
            network = group.create_task(kube.get("WalrusNetwork", namespace, name))
            nodes = group.create_task(kube.list("WalrusNode", namespace))
            epochs = group.create_task(kube.list("StorageEpoch", namespace, selector=f"{NETWORK_LABEL}={name}"))
        ours = [live for live in nodes.result() if reading.network_of_node(live) == name]
        return network.result(), ours, epochs.result()

    found, nodes, epochs = _run(read())
    if found is None:
        fail(f"there is no WalrusNetwork {name} in namespace {namespace}", EXIT_NOT_FOUND)
    return found, nodes, epochs


def events(namespace: str, context: str | None = None) -> list[Manifest]:
    """Recent events of a namespace; none when they may not be read, since the page is useful without."""

    async def read() -> list[Manifest]:
        async with await KubeClient.connect(context=context) as kube:
            try:
                return await kube.list("Event", namespace)
            except KubeError as error:
                if error.status == 403:
                    return []
                raise

    return _run(read())


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs to the end; a Kubernetes API that refuses or is away ends the program with its words."""
    try:
        return asyncio.run(work)
    except KubeError as error:
        fail(f"{error}. {_ELSEWHERE}", EXIT_UNAVAILABLE)
    except ExceptionGroup as group:
        matched, rest = group.split(KubeError)
        if matched is None or rest is not None:
            raise
        fail(f"{matched.exceptions[0]}. {_ELSEWHERE}", EXIT_UNAVAILABLE)
