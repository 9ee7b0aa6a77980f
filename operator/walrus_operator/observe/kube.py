"""The Kubernetes API as the operator uses it: plain objects over `kubernetes.aio`, one error class, time-outs everywhere.

Objects stay the dictionaries that the server sent, but for `managedFields` in lists, which nobody reads and which can be the
half of an object. Typed models would cost time and memory for thousands of fields that nobody reads, and would hide unknown
ones. Every call that changes something goes through `write`, which counts it: a pass
over a world that is as it should be must not move that counter.

A call that fails is not repeated here, because the pass is, with back-off. Two answers ask for another try of the very
call, and get it within its time-out: "too busy, come back in so many seconds" (429, 503 with `Retry-After`), and "the rest
of this list has expired" (410).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp

from walrus_operator.api.markers import FIELD_MANAGER
from walrus_operator.api.world import Manifest
from walrus_operator.observe.kube_library import ApiClient, ConfigException, Configuration
from walrus_operator.observe.kube_library import config as kube_config
from walrus_operator.observe.resources import RESOURCES
from walrus_sui.telemetry import meter, names

REQUEST_TIMEOUT = 20.0
_CHUNK = 500
_SHORTEST_WAIT = 0.1
"""Seconds; a server that is too busy and says 0 must not be asked in a loop."""
_NOT_OF_THE_TYPE = "failed to create typed patch object"


class KubeError(Exception):
    """The Kubernetes API refused a call or could not be reached. The message is the server's own.

    Attributes:
        status: HTTP status; 0 when there was no answer.
        reason: The server's reason, such as Conflict, Invalid or Forbidden.
        terminating: Whether the namespace is being deleted, so that nothing can be made in it any more.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", terminating: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.terminating = terminating

    @property
    def not_found(self) -> bool:
        """Whether the object does not exist."""
        return self.status == 404

    @property
    def conflict(self) -> bool:
        """Whether somebody else was faster (or the name is taken)."""
        return self.status == 409

    @property
    def expired(self) -> bool:
        """Whether a list took so long that its next part is no longer there."""
        return self.status == 410

    @property
    def forbidden(self) -> bool:
        """Whether this may not be done, by permission or by an admission rule."""
        return self.status == 403

    @property
    def invalid(self) -> bool:
        """Whether the object itself is at fault, so that trying again is useless."""
        # Server-side apply answers what does not fit its schema, such as a misspelt field of an affinity, with 500.
        return self.status in {400, 413, 422} or (self.status == 500 and _NOT_OF_THE_TYPE in str(self))


class KubeClient:
    """A connection to the API server. Made by `connect`, closed by `close` or `async with`."""

    def __init__(self, api: ApiClient, *, timeout: float = REQUEST_TIMEOUT) -> None:
        self._api = api
        self._timeout = timeout
        self._writes = meter().create_counter(
            names.OPERATOR_API_WRITES, description="Calls that change something in the Kubernetes API."
        )
        self.writes = 0
        """Calls of this client that changed something, for tests and the log."""

    @classmethod
    async def connect(
        cls,
        *,
        context: str | None = None,
        timeout: float = REQUEST_TIMEOUT,  # noqa: ASYNC109  (of each later call)
    ) -> Self:
        """Connects with the pod's service account, or with KUBECONFIG outside of a cluster.

        Args:
            context: Of the kubeconfig file; the current one when absent.
            timeout: Of each later call.

        Raises:
            KubeError: there is neither.
        """
        configuration = Configuration()
        try:
            if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG") and context is None:
                kube_config.load_incluster_config(client_configuration=configuration)
            else:
                # Named here, because the library looks at the environment only once, when it is imported.
                file = os.environ.get("KUBECONFIG") or None
                await kube_config.load_kube_config(
                    config_file=file, context=context, client_configuration=configuration
                )
        except (ConfigException, OSError, ValueError) as error:
            raise KubeError(
                f"no way to the Kubernetes API: {error}. Set KUBECONFIG to a kubeconfig file, or run inside a cluster"
            ) from error
        # The library would repeat failed calls on its own; passes are repeated as a whole, with back-off.
        configuration.retries = None
        return cls(ApiClient(configuration), timeout=timeout)

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the connection."""
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """GET of a path.

        Raises:
            KubeError: refused or not reached.
        """
        return await self._request("GET", path, query=query)

    async def write(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        count: bool = True,
    ) -> dict[str, Any]:
        """A call that changes something; counted.

        Args:
            method: POST, PUT, PATCH or DELETE.
            path: URL path.
            body: JSON value.
            query: Query parameters.
            content_type: Of the body; patches have their own.
            count: False for calls that change no object that belongs to a network (Lease, access reviews).

        Raises:
            KubeError: refused or not reached.
        """
        if count:
            self.writes += 1
            self._writes.add(1)
        return await self._request(method, path, query=query, body=body, content_type=content_type)

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """One object, or None when it does not exist."""
        try:
            return await self.read(RESOURCES[kind].path(namespace, name))
        except KubeError as error:
            if error.not_found:
                return None
            raise

    async def list(self, kind: str, namespace: str | None, *, selector: str | None = None) -> list[Manifest]:
        """All objects of a kind, read consistently (not from the API server's cache), in chunks."""
        resource = RESOURCES[kind]
        # Items of a list carry neither kind nor apiVersion.
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        asked = {"labelSelector": selector} if selector else {}
        found: list[Manifest] = []
        query = {**asked, "limit": str(_CHUNK)}
        while True:
            try:
                page = await self.read(resource.path(namespace), query)
            except KubeError as error:
                if not (error.expired and "continue" in query):
                    raise
                # From the start, and all at once, which cannot expire.
                found, query = [], asked
                continue
            found += [_slim(named | item) for item in page.get("items") or []]
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            query = {**query, "continue": token}

    async def apply(self, manifest: Manifest, *, subresource: str | None = None) -> Manifest:
        """Server-side apply with our field manager; fields that others own are taken over."""
        path = self._path_of(manifest, subresource)
        return await self.write(
            "PATCH",
            path,
            body=manifest,
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            content_type="application/apply-patch+yaml",
        )

    async def create(self, manifest: Manifest) -> Manifest:
        """POST; a 409 `KubeError` when the name is taken."""
        meta = manifest["metadata"]
        resource = RESOURCES[manifest["kind"]]
        path = resource.path(meta.get("namespace"))
        return await self.write("POST", path, body=manifest, query={"fieldManager": FIELD_MANAGER})

    async def merge(self, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> Manifest:
        """JSON merge patch."""
        return await self.write(
            "PATCH",
            RESOURCES[kind].path(namespace, name),
            body=dict(change),
            query={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
        )

    async def delete(self, kind: str, namespace: str, name: str, *, uid: str, orphan: bool = False) -> bool:
        """Deletes the very object with this UID; False when it is gone or was replaced. An orphaned child stays."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        if orphan:
            options["propagationPolicy"] = "Orphan"
        try:
            await self.write("DELETE", RESOURCES[kind].path(namespace, name), body=options)
        except KubeError as error:
            if error.not_found or error.conflict:
                return False
            raise
        return True

    @staticmethod
    def _path_of(manifest: Manifest, subresource: str | None) -> str:
        meta = manifest["metadata"]
        return RESOURCES[manifest["kind"]].path(meta.get("namespace"), meta["name"], subresource)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        # aiohttp would keep "/" and friends; selectors need strict quoting, so the query becomes part of the path.
        target = f"{path}?{urlencode(query)}" if query else path
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    request = await self._api.param_serialize(
                        method, target, header_params=headers, body=body, auth_settings=["BearerToken"]
                    )
                    response = await self._api.call_api(*request, _request_timeout=self._timeout)
                    raw = await response.read()
                    pause = _asked_to_wait(response.status, response.headers)
                    if pause is None or asyncio.get_running_loop().time() + pause >= deadline:
                        break
                    await asyncio.sleep(pause)
        except TimeoutError:
            raise KubeError(f"{method} {path}: no answer within {self._timeout:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise KubeError(f"{method} {path}: {error!r}") from error
        if response.status >= 300:
            raise _refusal(method, path, response.status, raw)
        try:
            answer = json.loads(raw) if raw else {}
        except ValueError as error:
            raise KubeError(f"{method} {path}: the answer is no JSON: {raw[:100]!r}") from error
        return answer if isinstance(answer, dict) else {}


def _slim(item: Manifest) -> Manifest:
    item["metadata"].pop("managedFields", None)
    return item


def _asked_to_wait(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds after which a server that is too busy wants to be asked again; it has done nothing so far."""
    seconds = headers.get("Retry-After", "")
    if status not in {429, 503} or not seconds.isdecimal():
        return None
    return max(_SHORTEST_WAIT, float(seconds))


def _refusal(method: str, path: str, status: int, raw: bytes) -> KubeError:
    try:
        answer = json.loads(raw)
        message, reason = str(answer.get("message", "")), str(answer.get("reason", ""))
        causes = (answer.get("details") or {}).get("causes") or []
        terminating = any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
    except (ValueError, AttributeError):
        message, reason, terminating = raw[:300].decode(errors="replace"), "", False
    return KubeError(f"{method} {path}: {status} {message}", status=status, reason=reason, terminating=terminating)
