"""The gateway: a StatefulSet, because each replica needs a Sui key of its own (one key used twice would equivocate)."""

from __future__ import annotations

from typing import Any

from walrus_operator.api import names, sizing
from walrus_operator.api.network import Gateway
from walrus_operator.api.world import Manifest, NetworkObject, Revision, Settings
from walrus_operator.build import common, templates
from walrus_operator.build.nodes import chain_config

COMPONENT = "gateway"
PORTS = {"api": names.GATEWAY_PORT, "metrics": names.GATEWAY_METRICS_PORT}
CONFIG = "gateway.yaml"
KEYS = "/keys"

DRAIN_DELAY_S = 5
"""How long a stopping gateway still serves: every node of the cluster must hear first that its address is gone."""

GRACE_PERIOD_S = 45
"""How long its requests may go on after that."""


def config(network: NetworkObject, settings: Settings) -> dict[str, Any]:
    """The gateway's configuration file; the pod's name picks its key."""
    content: dict[str, Any] = {
        "listen": {
            "host": "0.0.0.0",  # noqa: S104  (inside a pod)
            "port": names.GATEWAY_PORT,
            "metrics_port": names.GATEWAY_METRICS_PORT,
        },
        "key_file": f"{KEYS}/${{POD_NAME}}.key",
        # On the pod's own volume: a container that restarts while the chain is away reads on.
        "state_file": "/tmp/network.json",  # noqa: S108  (an emptyDir of the pod's own)
        "chain": chain_config(network, settings),
        "telemetry": common.telemetry(network),
        "limits": {"drain_delay_s": DRAIN_DELAY_S, "grace_period_s": GRACE_PERIOD_S},
    }
    if network.spec is not None:
        gateway = network.spec.gateway
        largest = gateway.max_body_size
        code = sizing.params(network.spec.shards, network.spec.encoding)
        fits = sizing.gateway_budget(sizing.memory_limit(gateway.resources), code, largest)
        if fits is not None:
            content["limits"] |= {"memory": fits.memory, "compute_workers": fits.workers}
            largest = fits.max_body_size
        if largest is not None:
            content["max_body_size"] = largest
    return content


_NOT_OF_THE_POD = {"replicas", "service"}


def _file(network: NetworkObject, settings: Settings) -> Manifest:
    """The ConfigMap."""
    name = names.gateway(network.name)
    return common.config_map(network, name, COMPONENT, file=CONFIG, content=config(network, settings))


def _template(network: NetworkObject, gateway: Gateway, settings: Settings, file: Manifest) -> Manifest:
    """The pod template, with the digests of what it was made from."""
    container = {
        "name": COMPONENT,
        "image": common.image(settings, network, gateway.image),
        "command": ["walrus-gateway", "run", "--config", f"/config/{CONFIG}"],
        "ports": common.container_ports(PORTS),
        "volumeMounts": [{"name": "keys", "mountPath": KEYS, "readOnly": True}],
        **common.probes("metrics"),
    }
    template = common.pod_template(
        network,
        COMPONENT,
        settings=gateway,
        container=container,
        volumes=[common.secret_volume("keys", names.gateway_keys(network.name))],
        config=file,
        grace_seconds=DRAIN_DELAY_S + GRACE_PERIOD_S + 10,
    )
    own = gateway.model_dump(by_alias=True, mode="json", exclude_defaults=True, exclude=_NOT_OF_THE_POD)
    return templates.with_digests(template, templates.asked_for(network, COMPONENT, own))


def revision(network: NetworkObject, settings: Settings) -> Revision | None:
    """What the gateway's pods should be made from; None when its spec cannot be carried out."""
    if network.spec is None:
        return None
    try:
        file = _file(network, settings)
    except sizing.TooSmallError:
        return None
    return templates.revision(_template(network, network.spec.gateway, settings, file))


def manifests(
    network: NetworkObject, settings: Settings, *, kept: Manifest | None = None, awake: bool = True
) -> list[Manifest]:
    """ConfigMap, Service and StatefulSet of the gateway.

    Args:
        network: The owner.
        settings: Of the operator.
        kept: The StatefulSet when it goes on making the pods that it makes; its ConfigMap stays as it is then.
        awake: Whether it has pods; the network may sleep.
    """
    if network.spec is None:
        return []
    gateway = network.spec.gateway
    name = names.gateway(network.name)
    pods = common.selector(network.name, COMPONENT)
    face = common.service(network, name, COMPONENT, pods=pods, ports={"api": names.GATEWAY_PORT})
    face["spec"]["type"] = gateway.service.type
    if gateway.service.node_port is not None:
        face["spec"]["ports"][0]["nodePort"] = gateway.service.node_port
    if gateway.service.annotations:
        face["metadata"]["annotations"] = dict(gateway.service.annotations)

    def workload(template: Manifest) -> Manifest:
        return common.stateful_set(
            network, name, COMPONENT, replicas=gateway.replicas if awake else 0, template=template, pods=pods
        )

    if kept is not None:
        return [face, *templates.with_kept_template(workload({}), kept)]
    file = _file(network, settings)
    return [file, face, workload(_template(network, gateway, settings, file))]
