"""Kinds of the Kubernetes API that the operator uses, and the paths under which their objects live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from walrus_operator.api.base import API_VERSION


@dataclass(frozen=True)
class Resource:
    """Where objects of a kind live in the API."""

    kind: str
    plural: str
    api_version: str

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of an object or a collection; no namespace means all of them."""
        prefix = "/apis/" if self.group else "/api/"
        path = f"{prefix}{self.api_version}"
        if namespace is not None:
            path += f"/namespaces/{quote(namespace, safe='')}"
        path += f"/{self.plural}"
        if name is not None:
            path += f"/{quote(name, safe='')}"
        if subresource is not None:
            path += f"/{subresource}"
        return path


RESOURCES: Mapping[str, Resource] = {
    resource.kind: resource
    for resource in (
        Resource("WalrusNetwork", "walrusnetworks", API_VERSION),
        Resource("WalrusNode", "walrusnodes", API_VERSION),
        Resource("StorageEpoch", "storageepochs", API_VERSION),
        Resource("StatefulSet", "statefulsets", "apps/v1"),
        Resource("Service", "services", "v1"),
        Resource("ConfigMap", "configmaps", "v1"),
        Resource("Secret", "secrets", "v1"),
        Resource("Pod", "pods", "v1"),
        Resource("PersistentVolumeClaim", "persistentvolumeclaims", "v1"),
        Resource("Event", "events", "v1"),
        Resource("NetworkPolicy", "networkpolicies", "networking.k8s.io/v1"),
        Resource("PodDisruptionBudget", "poddisruptionbudgets", "policy/v1"),
        Resource("Lease", "leases", "coordination.k8s.io/v1"),
        Resource("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io/v1"),
    )
}
