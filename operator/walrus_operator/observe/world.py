"""The one frozen picture: cluster first, then chain and nodes at once, because those two need to know whom to ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from walrus_codec.types import SuiAddress
from walrus_operator.api import names
from walrus_operator.api.conditions import Reason
from walrus_operator.api.world import NodeObject, PodView, SecretView, Settings, Snapshot, UnixSeconds
from walrus_operator.build import objects
from walrus_operator.observe.admin import AdminParty
from walrus_operator.observe.chain import ChainObserver, ChainQuestions
from walrus_operator.observe.cluster import ClusterObserver, ClusterView
from walrus_operator.observe.findings import FindingsObserver
from walrus_operator.observe.nodes import NodeObserver, Tellable


class Observer:
    """Takes snapshots."""

    def __init__(
        self,
        cluster: ClusterObserver,
        chain: ChainObserver,
        answers: NodeObserver,
        findings: FindingsObserver,
        *,
        settings: Settings,
    ) -> None:
        self._cluster = cluster
        self.chain = chain
        self.nodes = answers
        self._findings = findings
        self._settings = settings

    async def look(
        self,
        namespace: str,
        name: str,
        *,
        last_error: str | None = None,
        refusals: tuple[tuple[Reason, str], ...] = (),
        deleted_pods: Mapping[str, str] | None = None,
        refused_growth: Mapping[str, str] | None = None,
    ) -> Snapshot | None:
        """A snapshot of one network; None when it does not exist.

        Raises:
            KubeError: the Kubernetes API refused or was not reached (chain and nodes may be silent without harm).
        """
        key = f"{namespace}/{name}"
        view = await self._cluster.look(namespace, name)
        if view is None:
            await self.chain.forget(key)
            self._findings.forget(key)
            await self.nodes.forget(key)
            return None
        pods = {node.name: view.pods[names.pod(node.name)] for node in view.nodes if names.pod(node.name) in view.pods}
        running = {node: pod for node, pod in pods.items() if pod.ip is not None and not pod.terminating}
        async with asyncio.TaskGroup() as group:
            chain = group.create_task(self.chain.look(key, questions(view, self._settings)))
            infos = group.create_task(self.nodes.look(key, running, tellable(view, running, self._settings)))
        findings = await self._findings.look(key, running, infos.result())
        return Snapshot(
            now=UnixSeconds(time.time()),
            network=view.network,
            nodes=view.nodes,
            epochs=view.epochs,
            live=view.live,
            pods=view.pods,
            secrets=view.secrets,
            claims=view.claims,
            foreign_nodes=view.foreign_nodes,
            chain=chain.result(),
            infos=infos.result(),
            findings=findings,
            revisions=objects.revisions(view.network, view.nodes, self._settings),
            deleted_pods=deleted_pods or {},
            refused_growth=refused_growth or {},
            last_error=last_error,
            refusals=refusals,
            cluster_domain=self._settings.cluster_domain,
            operator_version=self._settings.version,
        )

    async def strays(self, namespace: str, name: str) -> tuple[NodeObject, ...]:
        """WalrusNodes that refer to a network that does not exist."""
        return await self._cluster.strays(namespace, name)

    async def close(self) -> None:
        """Closes all connections but the one to Kubernetes."""
        await self.chain.close()
        await self.nodes.close()


def tellable(view: ClusterView, pods: Mapping[str, PodView], settings: Settings) -> Tellable:
    """Which pods have an admin port, and by which keys they are known."""
    found = {}
    for node in view.nodes:
        pod = pods.get(node.name)
        if pod is None or pod.ip is None or not pod.admin:
            continue
        keys = _network_keys(node, view.secrets.get(names.node_keys(node.name)))
        if not keys:
            continue
        host = names.host(node.name, view.network.namespace, settings.cluster_domain)
        found[node.name] = AdminParty(node.name, pod.uid, pod.ip, host, keys)
    return Tellable(found, view.tokens)


def _network_keys(node: NodeObject, secret: SecretView | None) -> frozenset[bytes]:
    """Keys that a node's certificate may carry: those of its Secret, and of its status should the Secret be lost."""
    remembered = node.status.public_keys
    texts = [secret.public.get(file) for file in (names.NETWORK_KEY, names.NEXT_NETWORK_KEY)] if secret else []
    if remembered is not None and not any(texts):
        texts = [remembered.network, remembered.next_network]
    return frozenset(bytes.fromhex(text) for text in texts if text)


def questions(view: ClusterView, settings: Settings) -> ChainQuestions:
    """Which addresses to ask the chain about; they are the public halves of the key Secrets."""
    network = view.network
    spec = network.spec
    if spec is not None and spec.chain.external is not None:
        url = spec.chain.external.network_config
        reference = spec.chain.external.treasury_secret_ref
        treasury_secret = reference.name if reference else ""
    else:
        url = names.devnet_config_url(network.name, network.namespace, settings.cluster_domain)
        treasury_secret = names.treasury(network.name)
    addresses: list[SuiAddress] = []
    rotating: list[SuiAddress] = []
    for node in view.nodes:
        secret = view.secrets.get(names.node_keys(node.name))
        address = secret.public.get(names.SUI_KEY) if secret else None
        if address is None and node.status.public_keys is not None:
            address = node.status.public_keys.sui_address
        if address is not None:
            addresses.append(SuiAddress(address))
            if secret is not None and {names.NEXT_PROTOCOL_KEY, names.NEXT_NETWORK_KEY} & secret.public.keys():
                rotating.append(SuiAddress(address))
    # A node whose WalrusNode is gone is known by its keys until nothing is left of it on chain.
    keys = (secret.public.get(names.SUI_KEY) for secret in view.secrets.values() if secret.node)
    addresses += [SuiAddress(address) for address in keys if address and address not in addresses]
    treasury = view.secrets.get(treasury_secret)
    treasury_address = treasury.public.get(names.SUI_KEY) if treasury else None
    gateway = view.secrets.get(names.gateway_keys(network.name))
    wanted = {
        names.gateway_key_file(network.name, index) for index in range(spec.gateway.replicas if spec is not None else 0)
    }
    gateways = [
        SuiAddress(address)
        for file, address in (gateway.public if gateway else {}).items()
        if address and file in wanted
    ]
    return ChainQuestions(
        config_url=url,
        node_addresses=tuple(addresses),
        rotating=tuple(rotating),
        treasury=SuiAddress(treasury_address) if treasury_address else None,
        gateways=tuple(gateways),
    )
