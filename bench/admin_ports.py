"""The admin ports of the bench's pods: the node's own server, with the keys and tokens that the operator has made for it.

Life of a port: when a pod is there whose container has one, it gets an address of its own on this machine (127.77.x.y, port
9186), the network key of its Secret and the file of tokens, as a kubelet would mount them, and from then on answers as a
member with the shards that the played chain gives it. Below the service there is nothing: no store, no chain. Ports stay
until the process ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.unit.operator.fake_api import Cluster
from tests.unit.operator.played import PlayedChain

from walrus_codec.types import SuiAddress
from walrus_node.challenges.progress import ChallengeProgress
from walrus_node.recovery.task import Progress
from walrus_node.rpc import certificate
from walrus_node.rpc.admin.model import State
from walrus_node.rpc.admin.server import AdminServer
from walrus_node.rpc.admin.service import AdminService
from walrus_node.rpc.admin.tokens import TokenFile
from walrus_node.rpc.door.rules import OpenCalls
from walrus_node.rpc.model import NodeInfo, ShardState, StorageState
from walrus_node.scrub.scrubber import ScrubProgress
from walrus_node.sync.task import SyncProgress
from walrus_operator.api import names
from walrus_operator.api.markers import NETWORK_LABEL, NODE_LABEL
from walrus_operator.api.world import Settings
from walrus_operator.observe import reading
from walrus_operator.observe.chain import ChainQuestions
from walrus_sui.keys import NetworkKey

GIB = 1 << 30
LOOPS = ("recovery", "scrub", "shard-sync")


class Healthy(AdminService):
    """A node's account of itself, and nothing that could be done to it."""

    def __init__(self, info: NodeInfo) -> None:
        self._said = State(info, (), OpenCalls(), None, None, None, LOOPS)
        self.asked = 0

    async def state(self) -> State:
        """Always the same."""
        self.asked += 1
        return self._said

    async def close(self) -> None:
        """There is nothing to let go of."""


class AdminPorts:
    """One server for each pod.

    Args:
        cluster: where the pods and their Secrets are.
        folder: for certificates and tokens.
        chain: who is a member, and with what.
    """

    def __init__(self, cluster: Cluster, folder: Path, chain: PlayedChain) -> None:
        self._cluster = cluster
        self._folder = folder
        self._chain = chain
        self._servers: dict[str, AdminServer] = {}
        self._services: list[Healthy] = []

    @property
    def asked(self) -> list[int]:
        """How often each node was."""
        return [service.asked for service in self._services]

    async def follow(self) -> None:
        """Serves for the pods that are new."""
        new = [pod for name, pod in self._cluster.of("Pod").items() if name not in self._servers and has_port(pod)]
        if not new:
            return
        secrets = self._cluster.of("Secret")
        keys = {live["metadata"]["labels"][NODE_LABEL]: reading.secret(live).public for live in key_secrets(secrets)}
        addresses = {node: SuiAddress(public[names.SUI_KEY] or "") for node, public in keys.items()}
        seen = await self._chain.look("", ChainQuestions("", tuple(addresses.values()), (), None, ()))
        held = {seat.node_id: seat.shards for seat in seen.value.committee}
        for pod in new:
            name, labels = pod["metadata"]["name"], pod["metadata"]["labels"]
            node = labels[NODE_LABEL]
            pool = seen.value.registered[addresses[node]]
            text = reading.secret_text(secrets[names.node_keys(node)], names.NETWORK_KEY)
            tokens = reading.secret_text(secrets[names.admin_tokens(labels[NETWORK_LABEL])], names.ADMIN_TOKENS)
            account = account_of(node, pool, held[pool])
            self._servers[name] = await self._serve(pod, NetworkKey.from_text(text or ""), tokens or "", account)

    async def _serve(self, pod: dict[str, Any], key: NetworkKey, tokens: str, account: NodeInfo) -> AdminServer:
        meta, number = pod["metadata"], len(self._servers) + 1
        host = names.host(account.name, meta["namespace"], Settings.cluster_domain)
        now = dt.datetime.now(dt.UTC)
        identity = certificate.obtain(self._folder / f"{account.name}.pem", key, host, now=now)
        file = self._folder / f"{account.name}.tokens"
        file.write_text(tokens)
        address = f"127.77.{number >> 8}.{number & 255}"
        service = Healthy(account)
        server = AdminServer(service, identity, TokenFile(file))
        await server.start(address, names.ADMIN_PORT)
        self._services.append(service)
        status = {**pod["status"], "podIP": address}
        self._cluster.store.put(("Pod", meta["namespace"], meta["name"]), {**pod, "status": status})
        return server


def has_port(pod: dict[str, Any]) -> bool:
    """Whether a pod is one of a node."""
    return reading.pod(pod).admin


def key_secrets(secrets: Mapping[str, Any]) -> Iterator[Any]:
    """Those with keys of nodes."""
    for live in secrets.values():
        node = (live["metadata"].get("labels") or {}).get(NODE_LABEL)
        if node is not None and live["metadata"]["name"] == names.node_keys(node):
            yield live


def account_of(name: str, pool: str, shards: tuple[int, ...]) -> NodeInfo:
    """What a node says that has all its shards and nothing to do."""
    return NodeInfo(
        node_id=pool,
        name=name,
        epoch=1,
        status="Active",
        shards=tuple(ShardState(shard, "Active") for shard in shards),
        version="0.1.0",
        event_cursor=1_000_000,
        n_shards=1000,
        chain_id="4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S",
        chain_reachable=True,
        checkpoint_age_ms=250,
        uptime_seconds=100_000,
        blobs_stored=10_000,
        slivers_stored=200_000,
        storage=StorageState("OK", "", 10 * GIB, 100 * GIB, 80 * GIB, GIB),
        recovery=Progress(),
        scrub=ScrubProgress(),
        sync=SyncProgress(),
        challenges=ChallengeProgress(),
    )
