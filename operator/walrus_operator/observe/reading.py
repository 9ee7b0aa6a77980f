"""From raw Kubernetes objects to the records of `api.world`. Pure; the reading itself is in `cluster`.

A spec that cannot be parsed does not break the pass: the record carries the error, and the planner reports it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from walrus_operator.api import names
from walrus_operator.api.decisions import KeyKind
from walrus_operator.api.markers import NODE_LABEL, SPEC_DIGEST_ANNOTATION, TEMPLATE_DIGEST_ANNOTATION
from walrus_operator.api.network import NetworkSpec
from walrus_operator.api.network_status import NetworkStatus
from walrus_operator.api.node import NodeSpec, NodeStatus
from walrus_operator.api.world import (
    ClaimView,
    EpochObject,
    Manifest,
    NetworkObject,
    NodeObject,
    Owned,
    PodView,
    Revision,
    SecretView,
    UnixSeconds,
)
from walrus_sui.errors import KeyFileError
from walrus_sui.keys import BlsKey, NetworkKey, SuiKey

M = TypeVar("M", bound=BaseModel)

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{32,512}")
"""What fits into a header; shorter ones can be guessed."""
_MOST_TOKENS = 4

_LONGEST_REASON = 300

ZONE_LABEL = "topology.kubernetes.io/zone"


def _parse(model: type[M], value: Any) -> tuple[M | None, str | None]:
    try:
        return model.model_validate(value or {}), None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        return None, f"{where}: {first['msg']}"


def network(live: Manifest) -> NetworkObject:
    """A WalrusNetwork."""
    meta = live["metadata"]
    spec, problem = _parse(NetworkSpec, live.get("spec"))
    return NetworkObject(
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 1)),
        spec=spec,
        spec_error=problem,
        status=NetworkStatus.read(live.get("status")),
        annotations=meta.get("annotations") or {},
        deleting="deletionTimestamp" in meta,
        live_status=live.get("status") or {},
    )


def node(live: Manifest) -> NodeObject:
    """A WalrusNode."""
    meta = live["metadata"]
    spec, problem = _parse(NodeSpec, live.get("spec"))
    return NodeObject(
        name=meta["name"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 1)),
        spec=spec,
        spec_error=problem,
        status=NodeStatus.read(live.get("status")),
        deleting="deletionTimestamp" in meta,
        live=live,
    )


def network_of_node(live: Manifest) -> str | None:
    """Name of the network that a WalrusNode refers to."""
    reference = (live.get("spec") or {}).get("networkRef") or {}
    name = reference.get("name")
    return name if isinstance(name, str) else None


def epoch(live: Manifest) -> EpochObject:
    """A StorageEpoch."""
    meta = live["metadata"]
    return EpochObject(name=meta["name"], uid=meta["uid"], generation=int(meta.get("generation", 1)), live=live)


def pod(live: Manifest) -> PodView:
    """A pod."""
    meta, status = live["metadata"], live.get("status") or {}
    conditions = status.get("conditions") or []
    readiness: Mapping[str, Any] = next((entry for entry in conditions if entry.get("type") == "Ready"), {})
    ready = readiness.get("status") == "True"
    changed = _seconds(readiness.get("lastTransitionTime"))
    container: Mapping[str, Any] = ((live.get("spec") or {}).get("containers") or [{}])[0]
    return PodView(
        name=meta["name"],
        uid=meta["uid"],
        ready=ready,
        phase=str(status.get("phase", "Unknown")),
        revision=str((meta.get("labels") or {}).get("controller-revision-hash", "")),
        ip=status.get("podIP"),
        waiting=_waiting(status),
        unplaced=_unplaced(status),
        terminating="deletionTimestamp" in meta,
        gone_by=_seconds(meta.get("deletionTimestamp")),
        created_at=_seconds(meta.get("creationTimestamp")),
        ready_since=changed if ready else None,
        ready_changed=changed,
        image=str(container.get("image", "")),
        zone=str((meta.get("labels") or {}).get(ZONE_LABEL, "")),
        made_from=revision(meta.get("annotations")),
        admin=any(port.get("name") == names.ADMIN_PORT_NAME for port in container.get("ports") or ()),
    )


def revision(annotations: Mapping[str, str] | None) -> Revision | None:
    """What a pod or a pod template says that it was made from."""
    found = annotations or {}
    if SPEC_DIGEST_ANNOTATION not in found or TEMPLATE_DIGEST_ANNOTATION not in found:
        return None
    return Revision(found[SPEC_DIGEST_ANNOTATION], found[TEMPLATE_DIGEST_ANNOTATION])


def _seconds(text: str | None) -> UnixSeconds | None:
    """A time of the API server."""
    return UnixSeconds(datetime.fromisoformat(text).timestamp()) if text else None


def owned(live: Manifest, network: NetworkObject) -> Owned:
    """By what an object goes."""
    meta = live["metadata"]
    owners = tuple(meta.get("ownerReferences") or ())
    others = tuple(entry for entry in owners if entry.get("uid") != network.uid)
    return Owned(len(others) < len(owners), others, str(meta.get("resourceVersion", "")))


def claim(live: Manifest, network: NetworkObject) -> ClaimView:
    """A volume claim."""
    meta, spec = live["metadata"], live.get("spec") or {}
    return ClaimView(
        name=meta["name"],
        uid=meta["uid"],
        terminating="deletionTimestamp" in meta,
        size=str(((spec.get("resources") or {}).get("requests") or {}).get("storage", "")),
        storage_class=spec.get("storageClassName"),
        owned=owned(live, network),
        # One that names its volume was written for that, by somebody who wants what is on it.
        bound=(live.get("status") or {}).get("phase") != "Pending" or bool(spec.get("volumeName")),
    )


def _waiting(status: Mapping[str, Any]) -> str | None:
    """Why no container runs, in a few words."""
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        if "waiting" in state:
            return str(state["waiting"].get("reason", "waiting"))
        if "terminated" in state:
            ended = state["terminated"]
            return f"{ended.get('reason', 'terminated')}, exit code {ended.get('exitCode', '?')}"
    for entry in status.get("conditions") or []:
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False":
            return str(entry.get("reason", "not scheduled"))
    return None


def _unplaced(status: Mapping[str, Any]) -> str:
    """Why no machine takes a pod; the scheduler's thoughts about whom to push aside change all the time."""
    said = (
        str(entry.get("message", ""))
        for entry in status.get("conditions") or []
        if entry.get("type") == "PodScheduled" and entry.get("status") == "False"
    )
    return next(said, "").partition(" preemption:")[0].rstrip(". ")[:_LONGEST_REASON]


def key_kind(file: str) -> KeyKind:
    """What a key file holds, by its name."""
    if file in {names.PROTOCOL_KEY, names.NEXT_PROTOCOL_KEY}:
        return KeyKind.PROTOCOL
    if file in {names.NETWORK_KEY, names.NEXT_NETWORK_KEY}:
        return KeyKind.NETWORK
    if file == names.ADMIN_TOKENS:
        return KeyKind.TOKEN
    return KeyKind.SUI


def tokens(text: str | None) -> tuple[str, ...]:
    """The admin tokens in the text of their file, one a line; none when nodes would take none of them."""
    lines = tuple(line.strip() for line in (text or "").splitlines() if line.strip())
    return lines if len(lines) <= _MOST_TOKENS and all(_TOKEN.fullmatch(line) for line in lines) else ()


def fingerprint(token: str) -> str:
    """What may be told of a token: it is long and random, so that nobody finds it by its digest."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def secret_text(live: Manifest, file: str) -> str | None:
    """The text of one file of a Secret."""
    encoded = (live.get("data") or {}).get(file)
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii").strip()
    except (binascii.Error, ValueError):
        return None


def secret(live: Manifest) -> SecretView:
    """A key Secret, reduced to its public halves."""
    meta = live["metadata"]
    files = live.get("data") or {}
    return SecretView(
        name=meta["name"],
        uid=meta["uid"],
        node=(meta.get("labels") or {}).get(NODE_LABEL),
        public={file: _public(secret_text(live, file), key_kind(file)) for file in files},
    )


def _public(text: str | None, kind: KeyKind) -> str | None:
    if text is None:
        return None
    try:
        if kind is KeyKind.PROTOCOL:
            return BlsKey.from_text(text).public_key.hex()
        if kind is KeyKind.NETWORK:
            return NetworkKey.from_text(text).public_key.hex()
        if kind is KeyKind.TOKEN:
            return " ".join(map(fingerprint, tokens(text))) or None
        return SuiKey.from_text(text).address
    except KeyFileError:
        return None
