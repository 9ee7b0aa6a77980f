"""Which events make a network dirty, and how kopf is set up to deliver them.

Every watched object belongs to a network: by name (WalrusNetwork), by reference (WalrusNode), by label (everything else).
`on.event` keeps no state on the objects: no annotations, no finalizers, no retries of its own. What it loses is found by
the regular passes anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import kopf

from walrus_operator.api import epoch, network, node
from walrus_operator.api.base import GROUP, VERSION
from walrus_operator.api.markers import MANAGED_BY, MANAGED_BY_LABEL, NETWORK_LABEL

Mark = Callable[[str], None]

_OURS = f"{MANAGED_BY_LABEL}={MANAGED_BY}"


def network_of(body: Mapping[str, Any]) -> str | None:
    """namespace/name of the network that an object belongs to; None when it belongs to none."""
    meta = body.get("metadata") or {}
    namespace = meta.get("namespace")
    kind = body.get("kind")
    if kind == network.KIND:
        name = meta.get("name")
    elif kind == node.KIND:
        name = ((body.get("spec") or {}).get("networkRef") or {}).get("name")
    else:
        name = (meta.get("labels") or {}).get(NETWORK_LABEL)
    return f"{namespace}/{name}" if namespace and name else None


def registry(mark: Mark) -> kopf.OperatorRegistry:
    """Handlers that mark networks, and logins that load no further Kubernetes client."""
    found = kopf.OperatorRegistry()

    async def seen(*, body: kopf.Body, **_: Any) -> None:
        key = network_of(body)
        if key is not None:
            mark(key)

    for plural in (network.PLURAL, node.PLURAL, epoch.PLURAL):
        kopf.on.event(GROUP, VERSION, plural, registry=found, id=plural)(seen)
    kopf.on.event("", "v1", "pods", registry=found, id="pods")(seen)
    kopf.on.event("apps", "v1", "statefulsets", registry=found, id="statefulsets")(seen)

    kopf.on.login(registry=found, id="service account", errors=kopf.ErrorsMode.IGNORED)(kopf.login_with_service_account)
    kopf.on.login(registry=found, id="kubeconfig", errors=kopf.ErrorsMode.IGNORED)(kopf.login_with_kubeconfig)
    return found


def settings() -> kopf.OperatorSettings:
    """Kopf's settings; each differs from the default for a reason."""
    chosen = kopf.OperatorSettings()
    # No finalizers and no progress are ever stored with event handlers; should that change, the names are ours.
    chosen.persistence.finalizer = f"{GROUP}/operator"
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    # Kubernetes Events are posted by the reconciler, on purpose.
    chosen.posting.enabled = False
    # We elect by Lease; kopf's peering is no lock.
    chosen.peering.standalone = True
    # A watch that froze without an error is cut and begun again.
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 310
    chosen.watching.chunk_size = 250
    # For so many seconds kopf keeps an object that nothing happens to; its default of 5 is the memory of a whole pass.
    chosen.queueing.idle_timeout = 0.1
    # Other people's pods would fill the memory.
    chosen.watching.label_selectors["", "v1", "pods"] = _OURS
    chosen.watching.label_selectors["apps", "v1", "statefulsets"] = _OURS
    chosen.networking.request_timeout = 30
    chosen.execution.default_backoff = 15
    # The kinds are there before kopf starts (`runtime.main` waits for them); scanning would need cluster-wide rights.
    chosen.scanning.disabled = True
    # kopf would kill the process when its own exit takes long; the process has its own deadline.
    chosen.process.ultimate_exiting_timeout = None
    return chosen
