"""What Kubernetes holds of a network: one consistent list per kind, reduced to the records of the snapshot.

Lists are read from the API server itself, never from a watch cache, so that a pass cannot act on objects that a former
pass has already changed. Secrets are looked at by value once per version: what stays is their public halves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from walrus_operator.api import names
from walrus_operator.api.markers import NETWORK_LABEL
from walrus_operator.api.world import (
    ClaimView,
    EpochObject,
    Manifest,
    NetworkObject,
    NodeObject,
    ObjectKey,
    PodView,
    SecretView,
)
from walrus_operator.observe import reading
from walrus_operator.observe.kube import KubeClient

T = TypeVar("T")

BUDGET = "PodDisruptionBudget"
CHILD_KINDS = ("StatefulSet", "Service", "ConfigMap", "NetworkPolicy")


@dataclass(frozen=True)
class ClusterView:
    """Everything that Kubernetes holds of one network."""

    network: NetworkObject
    nodes: tuple[NodeObject, ...]
    epochs: tuple[EpochObject, ...]
    live: Mapping[ObjectKey, Manifest]
    pods: Mapping[str, PodView]
    secrets: Mapping[str, SecretView]
    claims: Mapping[str, ClaimView]
    foreign_nodes: Mapping[str, str] = field(default_factory=dict)
    """Names of other networks' WalrusNodes, with those networks."""
    tokens: tuple[str, ...] = field(default=(), repr=False)
    """What nodes are asked with, the newest one last; it goes to those who ask and into no record."""


class ClusterObserver:
    """Reads the cluster; remembers nothing but the public halves of unchanged Secrets."""

    def __init__(self, kube: KubeClient) -> None:
        self._kube = kube
        self._secrets: dict[tuple[str, str], tuple[str, SecretView]] = {}

    async def look(self, namespace: str, name: str) -> ClusterView | None:
        """The network and its parts; None when there is no such network.

        Raises:
            KubeError: refused or not reached.
        """
        live = await self._kube.get("WalrusNetwork", namespace, name)
        if live is None:
            self._secrets = {key: value for key, value in self._secrets.items() if key[0] != f"{namespace}/{name}"}
            return None
        network = reading.network(live)
        selector = f"{NETWORK_LABEL}={name}"
        # What it says of evictions must not be newer than the pods: see `plan.evictions`.
        budgets = await self._kube.list(BUDGET, namespace, selector=selector)
        async with asyncio.TaskGroup() as group:
            lists = {
                kind: group.create_task(self._kube.list(kind, namespace, selector=selector))
                for kind in (*CHILD_KINDS, "Secret")
            }
            pods = group.create_task(self._views("Pod", namespace, selector, reading.pod))
            read_claim = partial(reading.claim, network=network)
            claims = group.create_task(self._views("PersistentVolumeClaim", namespace, selector, read_claim))
            # A hand-made WalrusNode refers to its network by spec, a StorageEpoch that a user applied ahead of time by name.
            all_nodes = group.create_task(self._kube.list("WalrusNode", namespace))
            all_epochs = group.create_task(self._kube.list("StorageEpoch", namespace))
        nodes = tuple(reading.node(item) for item in all_nodes.result() if reading.network_of_node(item) == name)
        networks = {item["metadata"]["name"]: reading.network_of_node(item) for item in all_nodes.result()}
        children = {
            ObjectKey(kind, item["metadata"]["name"]): item for kind in CHILD_KINDS for item in lists[kind].result()
        } | {ObjectKey(BUDGET, item["metadata"]["name"]): item for item in budgets}
        raw_secrets = await self._key_secrets(network, nodes, lists["Secret"].result())
        admin = raw_secrets.get(names.admin_tokens(name), {})
        return ClusterView(
            network=network,
            nodes=nodes,
            epochs=tuple(
                reading.epoch(item)
                for item in all_epochs.result()
                if names.ordinal(name, item["metadata"]["name"]) is not None
            ),
            live=children,
            pods=pods.result(),
            secrets={name: self._view(network, item) for name, item in raw_secrets.items()},
            claims=claims.result(),
            foreign_nodes={node: other for node, other in networks.items() if other and other != name},
            tokens=reading.tokens(reading.secret_text(admin, names.ADMIN_TOKENS)),
        )

    async def strays(self, namespace: str, name: str) -> tuple[NodeObject, ...]:
        """WalrusNodes that refer to a network that does not exist.

        Raises:
            KubeError: refused or not reached.
        """
        found = await self._kube.list("WalrusNode", namespace)
        return tuple(reading.node(item) for item in found if reading.network_of_node(item) == name)

    async def _views(self, kind: str, namespace: str, selector: str, read: Callable[[Manifest], T]) -> dict[str, T]:
        """What is kept of the objects of a kind, by name; the objects themselves go before the other lists are there."""
        found = await self._kube.list(kind, namespace, selector=selector)
        return {item["metadata"]["name"]: read(item) for item in found}

    async def _key_secrets(
        self, network: NetworkObject, nodes: Iterable[NodeObject], labelled: Iterable[Manifest]
    ) -> Mapping[str, Manifest]:
        """Key Secrets by name: those with our label, and those that a user restored without it."""
        found = {item["metadata"]["name"]: item for item in labelled}
        for name in self._expected(network, nodes):
            if name not in found:
                item = await self._kube.get("Secret", network.namespace, name)
                if item is not None:
                    found[name] = item
        return found

    @staticmethod
    def _expected(network: NetworkObject, nodes: Iterable[NodeObject]) -> set[str]:
        expected = {names.node_keys(node.name) for node in nodes if node.status.public_keys is not None}
        # Also before it is remembered: a user may have brought one.
        expected.add(names.admin_tokens(network.name))
        if network.status.gateway_addresses:
            expected.add(names.gateway_keys(network.name))
        if network.spec is not None and network.spec.chain.external is not None:
            reference = network.spec.chain.external.treasury_secret_ref
            if reference is not None:
                expected.add(reference.name)
        elif network.status.treasury_address is not None:
            expected.add(names.treasury(network.name))
        return expected

    def _view(self, network: NetworkObject, item: Manifest) -> SecretView:
        meta = item["metadata"]
        key = (f"{network.namespace}/{network.name}", str(meta["uid"]))
        version = str(meta.get("resourceVersion", ""))
        known = self._secrets.get(key)
        if known is not None and known[0] == version:
            return known[1]
        view = reading.secret(item)
        if view.node is None and view.name.endswith("-keys"):
            view = _with_node(view, network)
        if (meta.get("labels") or {}).get(NETWORK_LABEL) == network.name:
            view = replace(view, owned=reading.owned(item, network))
        self._secrets[key] = (version, view)
        return view


def _with_node(view: SecretView, network: NetworkObject) -> SecretView:
    """A restored Secret that lost its labels still belongs to the node that its name says."""
    if view.name == names.gateway_keys(network.name):
        return view
    return replace(view, node=view.name.removesuffix("-keys"))
