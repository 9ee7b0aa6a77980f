"""Checks at the start that the operator may do what it must, and says which verb is missing.

Without this a missing permission shows as a 403 somewhere in the middle of a pass, repeated for ever. The list is the same
as in the chart's RBAC; a test compares the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from walrus_operator.api.base import GROUP
from walrus_operator.observe.kube import KubeClient
from walrus_operator.observe.resources import RESOURCES


@dataclass(frozen=True)
class Permission:
    """One verb on one resource."""

    group: str
    resource: str
    verb: str

    @property
    def of(self) -> str:
        """resource.group, as kubectl writes it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        """Verb resource.group."""
        return f"{self.verb} {self.of}"


def _verbs(group: str, resource: str, *verbs: str) -> Iterable[Permission]:
    return (Permission(group, resource, verb) for verb in verbs)


NETWORK_PERMISSIONS: tuple[Permission, ...] = (
    *_verbs(GROUP, "walrusnetworks", "get", "list", "watch"),
    *_verbs(GROUP, "walrusnetworks/status", "patch"),
    *_verbs(GROUP, "walrusnodes", "get", "list", "watch", "create", "patch", "delete"),
    *_verbs(GROUP, "walrusnodes/status", "patch"),
    *_verbs(GROUP, "storageepochs", "get", "list", "watch", "create", "patch", "delete"),
    *_verbs(GROUP, "storageepochs/status", "patch"),
    *_verbs("apps", "statefulsets", "get", "list", "watch", "create", "patch", "delete"),
    *_verbs("", "services", "get", "list", "create", "patch", "delete"),
    *_verbs("", "configmaps", "get", "list", "create", "patch", "delete"),
    *_verbs("", "secrets", "get", "list", "create", "patch", "delete"),
    *_verbs("", "pods", "get", "list", "watch", "delete"),
    *_verbs("", "persistentvolumeclaims", "get", "list", "patch", "delete"),
    *_verbs("networking.k8s.io", "networkpolicies", "get", "list", "create", "patch"),
    *_verbs("policy", "poddisruptionbudgets", "get", "list", "create", "patch"),
    *_verbs("", "events", "create"),
)
"""Needed in every namespace with networks."""

OWN_PERMISSIONS: tuple[Permission, ...] = (*_verbs("coordination.k8s.io", "leases", "get", "create", "update"),)
"""Needed in the operator's own namespace."""


async def missing(kube: KubeClient, *, namespaces: Iterable[str | None], own_namespace: str) -> list[str]:
    """What is not permitted, one line per resource and namespace; empty when all is well.

    Args:
        kube: The connection.
        namespaces: Where networks may be; None means everywhere.
        own_namespace: Where the Lease is.

    Raises:
        KubeError: the API server is not reached.
    """
    questions = [(permission, namespace) for namespace in namespaces for permission in NETWORK_PERMISSIONS]
    questions += [(permission, own_namespace) for permission in OWN_PERMISSIONS]
    limit = asyncio.Semaphore(8)

    async def ask(permission: Permission, namespace: str | None) -> bool:
        async with limit:
            return await _allowed(kube, permission, namespace)

    answers = await asyncio.gather(*(ask(permission, namespace) for permission, namespace in questions))
    return summary(question for question, allowed in zip(questions, answers, strict=True) if not allowed)


def summary(lacking: Iterable[tuple[Permission, str | None]]) -> list[str]:
    """Missing permissions with the verbs of a resource on one line."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for permission, namespace in lacking:
        where = f"in namespace {namespace}" if namespace else "in all namespaces"
        verbs.setdefault((permission.of, where), []).append(permission.verb)
    return [f"{', '.join(found)} {of} {where}" for (of, where), found in verbs.items()]


async def _allowed(kube: KubeClient, permission: Permission, namespace: str | None) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {"group": permission.group, "resource": resource, "verb": permission.verb}
    if subresource:
        attributes["subresource"] = subresource
    if namespace is not None:
        attributes["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = RESOURCES["SelfSubjectAccessReview"].path(None)
    answer = await kube.write("POST", path, body=review, count=False)
    return bool((answer.get("status") or {}).get("allowed"))
