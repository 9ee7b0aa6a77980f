"""Writes to volume claims and key Secrets that are there: their owners, and the size of volumes.

Each write names the very object that was seen: its UID, and for owners its version, because the list of owners is written as
a whole and others may add to it.
"""

from __future__ import annotations

import logging

from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import GrowClaim, SetOwners
from walrus_operator.api.world import NetworkObject
from walrus_operator.apply.outcome import Outcome
from walrus_operator.build import common
from walrus_operator.observe.kube import KubeClient, KubeError

log = logging.getLogger(__name__)

_NOT_RESIZABLE = "resize"
"""Word of the API server's refusal when a storage class cannot enlarge volumes; it forbids other things in other words."""


async def set_owners(kube: KubeClient, outcome: Outcome, network: NetworkObject, action: SetOwners) -> None:
    """Makes the network an owner of the object, or takes it off; one that has gone or changed is looked at again.

    Raises:
        KubeError: forbidden or not reached.
    """
    ours = [common.owner(network, controller=action.key.kind == "Secret")] if action.with_network else []
    meta = {"uid": action.uid, "resourceVersion": action.seen.version, "ownerReferences": [*action.seen.others, *ours]}
    becomes = "goes with its network" if action.with_network else "outlives its network"

    async def write() -> None:
        try:
            await kube.merge(action.key.kind, network.namespace, action.key.name, {"metadata": meta})
        except KubeError as error:
            if not error.not_found:
                raise

    await outcome.attempt(f"{action.key} {becomes}", write())


async def grow(kube: KubeClient, outcome: Outcome, namespace: str, action: GrowClaim) -> None:
    """Asks for a larger volume; that it cannot be enlarged is part of the outcome.

    Raises:
        KubeError: not reached.
    """
    change = {"metadata": {"uid": action.uid}, "spec": {"resources": {"requests": {"storage": action.size}}}}
    try:
        await kube.merge("PersistentVolumeClaim", namespace, action.claim, change)
    except KubeError as error:
        if not (error.forbidden or error.invalid or error.conflict or error.not_found):
            raise
        if error.forbidden and _NOT_RESIZABLE in str(error):
            log.info("volume claim %s cannot be enlarged and is replaced: %s", action.claim, error)
            outcome.refused_growth[action.claim] = action.uid
        elif error.forbidden or error.invalid:  # no right, no quota, or a policy: no reason to lose data
            outcome.refusals.append((Reason.OBJECT_REJECTED, str(error)))
            log.warning("refused: %s", error)
            return
    else:
        outcome.done.append(f"PersistentVolumeClaim {action.claim} grows to {action.size}")
    outcome.acted = True
