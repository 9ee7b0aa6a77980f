"""What all manifests share: labels, ownership, restricted pod security, probes, the digest of what was applied.

Every object belongs to the WalrusNetwork, not to the WalrusNode that it serves: deleting a WalrusNode by mistake must not
take shards with it. The digest annotation changes whenever anything desired changes, also when a field is dropped, which a
comparison of the desired fields with the live ones could not see.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from walrus_operator.api.base import API_VERSION
from walrus_operator.api.markers import MANAGED_BY, MANAGED_BY_LABEL, NETWORK_LABEL
from walrus_operator.api.network import Monitoring
from walrus_operator.api.pods import PodSettings, Storage
from walrus_operator.api.world import Manifest, NetworkObject, Settings

USER_ID = 10001
"""The user of the project's image."""

DIGEST_ANNOTATION = "walrus-operator.dev/applied-digest"
CONFIG_ANNOTATION = "walrus-operator.dev/config-digest"

COMPONENT_LABEL = "app.kubernetes.io/component"
NAME_LABEL = "app.kubernetes.io/name"
OPERATOR_NAME = "walrus-operator"


def selector(network: str, component: str) -> dict[str, str]:
    """Labels that pick the pods of one component; they are part of immutable selectors and never change."""
    return {NETWORK_LABEL: network, COMPONENT_LABEL: component}


def labels(network: str, component: str) -> dict[str, str]:
    """Recommended labels and ours."""
    return {
        NAME_LABEL: f"walrus-{component}",
        "app.kubernetes.io/instance": network,
        "app.kubernetes.io/part-of": "walrus",
        MANAGED_BY_LABEL: MANAGED_BY,
        **selector(network, component),
    }


def owner(network: NetworkObject, *, controller: bool = True) -> dict[str, Any]:
    """Owner reference to the network, so that everything goes when it goes.

    Args:
        network: The owner.
        controller: Whether nobody else makes such objects; volume claims are made by StatefulSets.
    """
    found: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "WalrusNetwork",
        "name": network.name,
        "uid": network.uid,
    }
    return {**found, "controller": True} if controller else found


def metadata(
    network: NetworkObject,
    name: str,
    component: str,
    *,
    extra_labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Metadata of a child object."""
    result: dict[str, Any] = {
        "name": name,
        "namespace": network.namespace,
        "labels": {**labels(network.name, component), **(extra_labels or {})},
        "ownerReferences": [owner(network)],
    }
    if annotations:
        result["annotations"] = dict(annotations)
    return result


def digest(value: Any) -> str:
    """A short digest of a JSON value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def signed(manifest: Manifest) -> Manifest:
    """The manifest with the digest of its own content as an annotation."""
    meta = manifest["metadata"]
    annotated = {**meta, "annotations": {**meta.get("annotations", {}), DIGEST_ANNOTATION: digest(manifest)}}
    return {**manifest, "metadata": annotated}


def config_map(network: NetworkObject, name: str, component: str, *, file: str, content: Mapping[str, Any]) -> Manifest:
    """A ConfigMap with one YAML file."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(network, name, component),
        # libyaml's dumper: every pass renders the file of every node.
        "data": {file: yaml.dump(dict(content), Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False)},
    }


def telemetry(network: NetworkObject) -> dict[str, Any]:
    """The telemetry section of every process's configuration file."""
    monitoring = network.spec.monitoring if network.spec else Monitoring()
    return {"log_format": "json", "log_level": monitoring.log_level, "otlp_endpoint": monitoring.otlp_endpoint}


def security() -> tuple[dict[str, Any], dict[str, Any]]:
    """Security contexts of pod and container that pass the `restricted` pod security standard."""
    pod = {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        # Otherwise every start walks through the whole volume to change owners that are right already.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return pod, container


def identity() -> list[dict[str, Any]]:
    """Environment that tells telemetry where it runs, and gives libraries a home that can be written."""
    fields = {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_UID": "metadata.uid",
        "NODE_NAME": "spec.nodeName",
    }
    return [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        {"name": "HOME", "value": "/tmp"},  # noqa: S108  (an emptyDir of the pod's own)
        # Many small threads otherwise keep an arena each, which is most of an idle process's memory.
        {"name": "MALLOC_ARENA_MAX", "value": "2"},
    ]


def probe(path: str, port: int | str, *, period: int, failures: int, timeout: int = 3) -> dict[str, Any]:
    """An HTTP probe."""
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def probes(port: int | str) -> dict[str, Any]:
    """Probes of a process with /livez and /readyz; the start may take long on a busy machine."""
    return {
        "startupProbe": probe("/livez", port, period=2, failures=90),
        "readinessProbe": probe("/readyz", port, period=3, failures=3),
        "livenessProbe": probe("/livez", port, period=10, failures=6, timeout=5),
    }


def claim(storage: Storage) -> Manifest:
    """A volume claim template called "data"; StatefulSets never let it change, so it holds nothing that could."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}


def image(settings: Settings, network: NetworkObject, override: str | None) -> str:
    """Image of a part: its own, the network's, or the operator's."""
    return override or (network.spec.image if network.spec else None) or settings.image


def pod_template(
    network: NetworkObject,
    component: str,
    *,
    settings: PodSettings,
    container: Mapping[str, Any],
    volumes: Sequence[Mapping[str, Any]],
    config: Manifest,
    extra_labels: Mapping[str, str] | None = None,
    spread: Sequence[Mapping[str, Any]] = (),
    grace_seconds: int = 30,
) -> dict[str, Any]:
    """A pod template with restricted security, no API token, a writable /tmp and the user's placement."""
    pod_security, container_security = security()
    main: dict[str, Any] = {
        "imagePullPolicy": network.spec.image_pull_policy if network.spec else "IfNotPresent",
        "securityContext": container_security,
        **container,
    }
    main["env"] = [*identity(), *container.get("env", [])]
    main["volumeMounts"] = [
        *container.get("volumeMounts", []),
        {"name": "config", "mountPath": "/config", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (an emptyDir of the pod's own)
    ]
    if settings.resources is not None:
        resources = settings.resources.model_dump(exclude_none=True)
        if resources:
            main["resources"] = resources
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security,
        "terminationGracePeriodSeconds": grace_seconds,
        "containers": [main],
        "volumes": [
            *volumes,
            {"name": "config", "configMap": {"name": config["metadata"]["name"]}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [
            toleration.model_dump(by_alias=True, exclude_none=True) for toleration in settings.tolerations
        ]
    if settings.affinity:
        spec["affinity"] = settings.affinity
    if settings.priority_class_name:
        spec["priorityClassName"] = settings.priority_class_name
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": reference.name} for reference in settings.image_pull_secrets]
    if spread:
        spec["topologySpreadConstraints"] = list(spread)
    return {
        "metadata": {
            "labels": {**(settings.labels or {}), **labels(network.name, component), **(extra_labels or {})},
            "annotations": {**(settings.annotations or {}), CONFIG_ANNOTATION: digest(config["data"])},
        },
        "spec": spec,
    }


def stateful_set(
    network: NetworkObject,
    name: str,
    component: str,
    *,
    replicas: int,
    template: Mapping[str, Any],
    pods: Mapping[str, str],
    storage: Storage | None = None,
    extra_labels: Mapping[str, str] | None = None,
) -> Manifest:
    """A StatefulSet whose pods are replaced only by us or by the node's death (`OnDelete`).

    Args:
        network: The owner.
        name: Of the set and of its governing Service.
        component: Label value.
        replicas: Wanted pods.
        template: Pod template.
        pods: Selector.
        storage: Volume of each pod, mounted where the template says; None for none.
        extra_labels: Labels of the set itself.
    """
    spec: dict[str, Any] = {
        "serviceName": name,
        "replicas": replicas,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": dict(pods)},
        "template": dict(template),
    }
    if storage is not None:
        spec["volumeClaimTemplates"] = [claim(storage)]
        # Claims belong to the network or to nobody (`plan.belongings`): a StatefulSet that somebody deletes is made anew,
        # and its data must be there then.
        spec["persistentVolumeClaimRetentionPolicy"] = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(network, name, component, extra_labels=extra_labels),
        "spec": spec,
    }


def service(
    network: NetworkObject,
    name: str,
    component: str,
    *,
    pods: Mapping[str, str],
    ports: Mapping[str, int],
    extra_labels: Mapping[str, str] | None = None,
) -> Manifest:
    """A ClusterIP Service with named ports."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(network, name, component, extra_labels=extra_labels),
        "spec": {
            "type": "ClusterIP",
            "selector": dict(pods),
            "ports": [
                {"name": port_name, "port": port, "targetPort": port_name, "protocol": "TCP"}
                for port_name, port in ports.items()
            ],
        },
    }


def container_ports(ports: Mapping[str, int]) -> list[dict[str, Any]]:
    """Named container ports."""
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in ports.items()]


def secret_volume(name: str, secret: str, *, optional: bool = False) -> dict[str, Any]:
    """A Secret as files that only the pod's group may read; the pod starts without an optional one that is missing."""
    source: dict[str, Any] = {"secretName": secret, "defaultMode": 0o440}
    if optional:
        source["optional"] = True
    return {"name": name, "secret": source}
