"""The embedded Sui devnet: ledger volume, genesis in a ConfigMap, RPC and faucet behind one Service."""

from __future__ import annotations

from typing import Any

from walrus_operator.api import names
from walrus_operator.api.base import seconds
from walrus_operator.api.network import Devnet
from walrus_operator.api.world import Manifest, NetworkObject, Revision, Settings
from walrus_operator.build import common, templates

COMPONENT = "devnet"
PORTS = {
    "rpc": names.DEVNET_RPC_PORT,
    "rpc-tls": names.DEVNET_TLS_PORT,
    "faucet": names.DEVNET_FAUCET_PORT,
    "metrics": names.DEVNET_METRICS_PORT,
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


def _file(network: NetworkObject) -> Manifest:
    """The ConfigMap."""
    name = names.devnet(network.name)
    return common.config_map(network, name, COMPONENT, file=GENESIS, content=genesis(network))


def _template(network: NetworkObject, devnet: Devnet, settings: Settings, config: Manifest) -> Manifest:
    """The pod template, with the digests of what it was made from."""
    name = names.devnet(network.name)
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
            "--metrics-port",
            str(names.DEVNET_METRICS_PORT),
        ],
        "ports": common.container_ports(PORTS),
        "volumeMounts": [{"name": "data", "mountPath": DATA}],
        **common.probes("faucet"),
    }
    template = common.pod_template(network, COMPONENT, settings=devnet, container=container, volumes=[], config=config)
    own = devnet.model_dump(by_alias=True, mode="json", exclude_defaults=True, exclude={"storage"})
    return templates.with_digests(template, templates.asked_for(network, COMPONENT, own))


def revision(network: NetworkObject, settings: Settings) -> Revision | None:
    """What the devnet's pod should be made from; None on a real chain."""
    if network.spec is None or network.spec.chain.devnet is None:
        return None
    return templates.revision(_template(network, network.spec.chain.devnet, settings, _file(network)))


def manifests(
    network: NetworkObject, settings: Settings, *, kept: Manifest | None = None, awake: bool = True
) -> list[Manifest]:
    """ConfigMap, Service and StatefulSet of the devnet; nothing on a real chain.

    Args:
        network: The owner.
        settings: Of the operator.
        kept: The StatefulSet when it goes on making the pods that it makes; its ConfigMap stays as it is then.
        awake: Whether it has a pod; the network may sleep.
    """
    if network.spec is None or network.spec.chain.devnet is None:
        return []
    devnet = network.spec.chain.devnet
    name = names.devnet(network.name)
    pods = common.selector(network.name, COMPONENT)
    face = common.service(network, name, COMPONENT, pods=pods, ports=PORTS)

    def workload(template: Manifest) -> Manifest:
        return common.stateful_set(
            network, name, COMPONENT, replicas=int(awake), template=template, pods=pods, storage=devnet.storage
        )

    if kept is not None:
        return [face, *templates.with_kept_template(workload({}), kept)]
    config = _file(network)
    return [config, face, workload(_template(network, devnet, settings, config))]
