"""A Kubernetes API server and its controllers in memory, as far as the operator sees them, with faults to order.

`Store` is the server: objects by path, versions, UIDs, server-side apply, merge patches, the status subresource, deletion
with preconditions, chunked lists. `Transport` stands where `kubernetes.aio`'s client stands, so that everything above it
is the operator's own code; it records each call and may answer it wrongly. `Cluster.settle` plays the controllers.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from tests.unit.operator.support import merged

from walrus_operator.api.world import Manifest
from walrus_operator.observe.kube import KubeClient
from walrus_operator.observe.reading import revision
from walrus_operator.observe.resources import RESOURCES

KIND_OF = {resource.plural: resource.kind for resource in RESOURCES.values()}
Key = tuple[str, str, str]
"""Kind, namespace, name."""


@dataclass(frozen=True)
class Call:
    """One call as it came in."""

    method: str
    kind: str
    subresource: str
    namespace: str
    name: str
    query: Mapping[str, str]
    body: Any

    @property
    def sort(self) -> str:
        """What kind of call this is, such as `PATCH StatefulSet` or `LIST Pod continued`."""
        verb = "LIST" if self.method == "GET" and not self.name else self.method
        more = " continued" if "continue" in self.query else ""
        return f"{verb} {self.kind}{'/' + self.subresource if self.subresource else ''}{more}"

    @property
    def writes(self) -> bool:
        return self.method != "GET" and self.kind not in {"Lease", "SelfSubjectAccessReview"}


def parse(method: str, target: str, body: Any) -> Call:
    """A call from its path, query and body."""
    parts = urlsplit(target)
    pieces = parts.path.strip("/").split("/")
    pieces = pieces[2:] if pieces[0] == "api" else pieces[3:]
    namespace = pieces[1] if pieces[0] == "namespaces" and len(pieces) > 2 else ""
    plural, *rest = pieces[2:] if namespace else pieces
    name, subresource = [*rest, "", ""][:2]
    return Call(method, KIND_OF[plural], subresource, namespace, name, dict(parse_qsl(parts.query)), body)


@dataclass(frozen=True)
class Answer:
    """Status, body and headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    async def read(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def refusal(status: int, reason: str, message: str, **headers: str) -> Answer:
    return Answer(
        status, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}, headers
    )


class Store:
    """The server's state.

    Args:
        page: Objects in one part of a list, whatever was asked for; few, so that most lists have several parts.
    """

    def __init__(self, page: int = 3) -> None:
        self.page = page
        self.objects: dict[Key, Manifest] = {}
        self.orphans: set[str] = set()
        """Pods whose StatefulSet was deleted without them."""
        self.version = 0

    def handle(self, call: Call) -> Answer:
        key = (call.kind, call.namespace, call.name)
        if call.method == "GET" and not call.name:
            return self._list(call)
        if call.method == "POST":
            key = (call.kind, call.namespace, call.body["metadata"]["name"])
            if key in self.objects:
                return refusal(409, "AlreadyExists", f"{call.kind} {key[2]} already exists")
            return Answer(201, self.put(key, call.body))
        live = self.objects.get(key)
        if call.method == "PATCH" and "fieldManager" in call.query and "force" in call.query:
            return self._apply(key, live, call)
        if live is None:
            return refusal(404, "NotFound", f"{call.kind} {call.name} not found")
        if call.method == "GET":
            return Answer(200, copy.deepcopy(live))
        if call.method == "DELETE":
            return self._delete(key, live, call)
        wanted = call.body["metadata"].get("resourceVersion")
        if wanted not in {None, live["metadata"]["resourceVersion"]}:
            return refusal(409, "Conflict", "the object has been modified")
        if call.body["metadata"].get("uid") not in {None, live["metadata"]["uid"]}:
            return refusal(409, "Conflict", "the UID is another one")
        return Answer(200, self.put(key, without_nulls(merged(live, call.body))))

    def put(self, key: Key, manifest: Manifest) -> Manifest:
        """Stores an object; a new one gets a UID, a changed spec a new generation, and nothing changes nothing."""
        live = self.objects.get(key)
        fresh = copy.deepcopy(manifest)
        meta = fresh["metadata"]
        meta.setdefault("namespace", key[1])
        meta["uid"] = live["metadata"]["uid"] if live else f"uid-{self.version + 1}"
        before = live["metadata"]["generation"] if live else 0
        meta["generation"] = before + (live is None or live.get("spec") != fresh.get("spec"))
        meta["resourceVersion"] = live["metadata"]["resourceVersion"] if live else ""
        if fresh != live:
            self.version += 1
            meta["resourceVersion"] = str(self.version)
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            self.objects.pop(key, None)
        else:
            self.objects[key] = fresh
        return copy.deepcopy(fresh)

    def _apply(self, key: Key, live: Manifest | None, call: Call) -> Answer:
        if call.subresource == "status":
            if live is None:
                return refusal(404, "NotFound", f"{call.kind} {call.name} not found")
            return Answer(200, self.put(key, {**live, "status": call.body["status"]}))
        desired = {field: value for field, value in call.body.items() if field != "status"}
        fixed = [(found or {}).get("spec", {}).get("volumeClaimTemplates") for found in (live, desired)]
        if live is not None and fixed[0] != fixed[1]:
            return refusal(422, "Invalid", "updates to statefulset spec for these fields are forbidden")
        return Answer(200, self.put(key, merged(live or {}, desired)))

    def _delete(self, key: Key, live: Manifest, call: Call) -> Answer:
        wanted = (call.body.get("preconditions") or {}).get("uid")
        if wanted not in {None, live["metadata"]["uid"]}:
            return refusal(409, "Conflict", "the UID in the precondition is another one")
        if call.body.get("propagationPolicy") == "Orphan":
            self.orphans |= {f"{key[2]}-{index}" for index in range(live["spec"]["replicas"])}
        self.remove(key)
        return Answer(200, {"kind": "Status", "status": "Success"})

    def remove(self, key: Key) -> None:
        live = self.objects[key]
        if live["metadata"].get("finalizers"):
            live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        else:
            del self.objects[key]

    def _list(self, call: Call) -> Answer:
        labels = dict(pair.split("=") for pair in call.query.get("labelSelector", "").split(",") if pair)
        found = [
            copy.deepcopy(live)
            for key, live in sorted(self.objects.items())
            if key[0] == call.kind
            and call.namespace in {"", key[1]}
            and labels.items() <= (live["metadata"].get("labels") or {}).items()
        ]
        start = int(call.query.get("continue", "0"))
        end = start + self.page if "limit" in call.query else len(found)
        meta = {"resourceVersion": str(self.version), "continue": str(end) if end < len(found) else ""}
        items = [
            {field: value for field, value in live.items() if field not in {"kind", "apiVersion"}} for live in found
        ]
        head = {"kind": f"{call.kind}List", "apiVersion": RESOURCES[call.kind].api_version}
        return Answer(200, {**head, "metadata": meta, "items": items[start:end]})


def without_nulls(patched: Any) -> Any:
    """What a merge patch leaves: a field that it sets to null is gone."""
    if isinstance(patched, dict):
        return {key: without_nulls(value) for key, value in patched.items() if value is not None}
    return patched


Fault = Callable[["Transport", Call], Any]
"""Answers a call in the place of the server; a coroutine function."""


class Transport:
    """What `KubeClient` takes for the client library."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.calls: list[Call] = []
        self.writes = 0
        self.faults: Callable[[Call], Fault | None] = lambda _call: None
        self.wronged = 0
        """Calls that were answered wrongly."""

    async def param_serialize(
        self, method: str, target: str, *, header_params: Any, body: Any, auth_settings: Any
    ) -> tuple[Any, ...]:
        return method, target, header_params, copy.deepcopy(body)

    async def call_api(self, method: str, target: str, _headers: Any, body: Any, *, _request_timeout: float) -> Answer:
        call = parse(method, target, body)
        self.calls.append(call)
        await asyncio.sleep(0)  # calls that run together take turns, as over a wire
        fault = self.faults(call)
        if fault is None:
            return self.serve(call)
        self.wronged += 1
        answer: Answer = await fault(self, call)
        return answer

    def serve(self, call: Call) -> Answer:
        """The right answer."""
        self.writes += call.writes
        return self.store.handle(call)

    async def close(self) -> None:
        pass


def refuse(status: int, reason: str, message: str, **headers: str) -> Fault:
    """The server refuses, and has done nothing."""

    async def fault(_transport: Transport, _call: Call) -> Answer:
        return refusal(status, reason, message, **headers)

    return fault


async def hang(_transport: Transport, _call: Call) -> Answer:
    """No answer, and nothing was done."""
    await asyncio.sleep(3600)
    raise AssertionError("the caller has no time-out")


async def dawdle(transport: Transport, call: Call) -> Answer:
    """The right answer, late: other calls overtake this one."""
    await asyncio.sleep(0.05)
    return transport.serve(call)


async def swallow(transport: Transport, call: Call) -> Answer:
    """It was done, and the answer is lost."""
    transport.serve(call)
    raise aiohttp.ServerDisconnectedError


async def reset(_transport: Transport, _call: Call) -> Answer:
    """The connection breaks before anything was done."""
    raise aiohttp.ClientOSError(104, "Connection reset by peer")


async def nonsense(_transport: Transport, _call: Call) -> Answer:
    """A proxy in between answers in the place of the server."""
    return Answer(200, b"<html>busy</html>")


class Cluster:
    """Store, transport, and what a cluster does on its own."""

    def __init__(self, page: int = 3) -> None:
        self.store = Store(page)
        self.transport = Transport(self.store)

    def client(self, *, timeout: float = 5.0) -> KubeClient:
        return KubeClient(self.transport, timeout=timeout)  # type: ignore[arg-type]  # all that it uses of it

    def of(self, kind: str) -> dict[str, Manifest]:
        """Objects of a kind by name."""
        return {key[2]: live for key, live in self.store.objects.items() if key[0] == kind}

    def run_controllers(self) -> None:
        """StatefulSets get their pods, which are ready at once and have been for long; owners take what they own along."""
        uids = {live["metadata"]["uid"] for live in self.store.objects.values()}
        for key, live in list(self.store.objects.items()):
            owners = live["metadata"].get("ownerReferences") or []
            if owners and not any(owner["uid"] in uids for owner in owners):
                self.store.remove(key)
        for name, live in self.of("PersistentVolumeClaim").items():
            if "deletionTimestamp" in live["metadata"] and name.removeprefix("data-") not in self.of("Pod"):
                del self.store.objects["PersistentVolumeClaim", live["metadata"]["namespace"], name]
        self.store.orphans -= {f"{name}-0" for name in self.of("StatefulSet")}
        wanted = set(self.store.orphans)
        for name, live in self.of("StatefulSet").items():
            template = live["spec"]["template"]
            made_from = revision(template["metadata"].get("annotations"))
            hash_ = made_from.template if made_from else str(live["metadata"]["generation"])
            count, namespace = live["spec"]["replicas"], live["metadata"]["namespace"]
            status = {"updateRevision": hash_, "observedGeneration": live["metadata"]["generation"], "replicas": count}
            self.store.put(("StatefulSet", namespace, name), {**live, "status": status})
            for index in range(count):
                wanted.add(f"{name}-{index}")
                if f"{name}-{index}" not in self.of("Pod"):
                    self._make_pod(f"{name}-{index}", namespace, template, hash_)
                self._make_claims(f"{name}-{index}", live)
        for name, live in self.of("Pod").items():
            if name not in wanted:
                self.store.remove(("Pod", live["metadata"]["namespace"], name))
        self.count_disruptions()

    def count_disruptions(self) -> None:
        """What the controller of disruption budgets writes into their status."""
        for name, live in self.of("PodDisruptionBudget").items():
            wanted = live["spec"]["selector"]["matchLabels"].items()
            there = [pod for pod in self.of("Pod").values() if wanted <= pod["metadata"]["labels"].items()]
            healthy = len([pod for pod in there if "deletionTimestamp" not in pod["metadata"]])
            status = {
                "observedGeneration": live["metadata"]["generation"],
                "currentHealthy": healthy,
                "disruptionsAllowed": max(0, healthy - live["spec"]["minAvailable"]),
            }
            self.store.put(("PodDisruptionBudget", live["metadata"]["namespace"], name), {**live, "status": status})

    def _make_claims(self, pod: str, live: Manifest) -> None:
        """The volumes of a pod that has none; those that are there are taken as they are."""
        for template in live["spec"].get("volumeClaimTemplates") or ():
            name = f"{template['metadata']['name']}-{pod}"
            key = ("PersistentVolumeClaim", live["metadata"]["namespace"], name)
            if key not in self.store.objects:
                labels = dict(live["spec"]["selector"]["matchLabels"])
                meta = {"name": name, "labels": labels, "finalizers": ["kubernetes.io/pvc-protection"]}
                self.store.put(key, {"apiVersion": "v1", "kind": key[0], "metadata": meta, "spec": template["spec"]})

    def _make_pod(self, name: str, namespace: str, template: Mapping[str, Any], hash_: str) -> None:
        meta = template["metadata"]
        since = "2020-01-01T00:00:00Z"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "creationTimestamp": since,
                "labels": {**meta["labels"], "controller-revision-hash": hash_},
                "annotations": dict(meta.get("annotations") or {}),
            },
            "spec": {"containers": template["spec"]["containers"]},
            "status": {
                "phase": "Running",
                "podIP": "10.9.9.9",
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": since}],
            },
        }
        self.store.put(("Pod", namespace, name), pod)
