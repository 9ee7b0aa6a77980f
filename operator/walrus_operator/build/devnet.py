"""The embedded Sui devnet: ledger volume, genesis in a ConfigMap, RPC and faucet behind one Service."""

from __future__ import annotations

from typing import Any

from walrus_operator.api import names
from walrus_operator.api.base import seconds
from walrus_operator.api.world import Manifest, NetworkObject, Settings
from walrus_operator.build import common

COMPONENT = "devnet"
PORTS = {
    "rpc": names.DEVNET_RPC_PORT,
    "rpc-tls": names.DEVNET_TLS_PORT,
    "faucet": names.DEVNET_FAUCET_PORT,
}
DATA = "/var/lib/walrus-devnet"
GENESIS = "genesis.yaml"
FAUCET_AMOUNT_SUI = 20_000


def genesis(network: NetworkObject) -> dict[str, Any]:
    """The devnet's genesis file; the seed is the network's UID, so that no two networks share object ids."""
    spec = network.spec
    if spec is None:
        raise ValueError("genesis needs a readable spec")
    return {
        "seed": network.uid,
        "n_shards": spec.shards,
        "encoding": spec.encoding,
        "epoch_duration": f"{seconds(spec.epoch_duration)}s",
        "epoch_zero_duration": f"{seconds(spec.epoch_zero_duration)}s",
        "max_epochs_ahead": spec.max_epochs_ahead,
        # One request of the treasury pays for the stake of a usual testnet.
        "faucet_amount_sui": FAUCET_AMOUNT_SUI,
        "telemetry": common.telemetry(network),
    }


def manifests(network: NetworkObject, settings: Settings) -> list[Manifest]:
    """ConfigMap, Service and StatefulSet of the devnet; nothing on a real chain."""
    if network.spec is None or network.spec.chain.devnet is None:
        return []
    devnet = network.spec.chain.devnet
    name = names.devnet(network.name)
    pods = common.selector(network.name, COMPONENT)
    config = common.config_map(network, name, COMPONENT, file=GENESIS, content=genesis(network))
    container = {
        "name": COMPONENT,
        "image": common.image(settings, network, devnet.image),
        "command": [
            "walrus-devnet",
            "run",
            "--config",
            f"/config/{GENESIS}",
            "--data",
            DATA,
            "--listen-host",
            "0.0.0.0",  # noqa: S104  (inside a pod that NetworkPolicies guard)
            "--advertise-host",
            names.host(name, network.namespace, settings.cluster_domain),
        ],
        "ports": common.container_ports(PORTS),
        "volumeMounts": [{"name": "data", "mountPath": DATA}],
        **common.probes("faucet"),
    }
    template = common.pod_template(network, COMPONENT, settings=devnet, container=container, volumes=[], config=config)
    return [
        config,
        common.service(network, name, COMPONENT, pods=pods, ports=PORTS),
        common.stateful_set(network, name, COMPONENT, replicas=1, template=template, pods=pods, storage=devnet.storage),
    ]
