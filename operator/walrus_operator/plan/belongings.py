"""What becomes of volumes and keys when their network goes, by `persistentVolumeClaimPolicy`.

StatefulSets make the volume claims and never take them along: one that is deleted by hand, or to be made anew with another
template, finds its data again. With `Delete` each claim and each key Secret gets the network as an owner, so that Kubernetes
collects them when the network is gone, also while no operator runs; with `Retain` it gets none, whenever that is changed.
Volumes and keys go the same way, because one is worth nothing without the other. What a leaving node leaves behind is deleted
with its last traces (`departures`).

Secrets without the network's label were brought by somebody, and tokens always go with the network: both are left alone.
"""

from __future__ import annotations

from walrus_operator.api import names
from walrus_operator.api.decisions import DeleteObject, SetOwners
from walrus_operator.api.world import ObjectKey, Snapshot


def decide(snapshot: Snapshot) -> list[SetOwners]:
    """Objects whose owners are to be others."""
    spec = snapshot.network.spec
    if spec is None:
        return []
    wanted = spec.persistent_volume_claim_policy == "Delete"
    brought = {names.admin_tokens(snapshot.network.name)}
    if spec.chain.external is not None and spec.chain.external.treasury_secret_ref is not None:
        brought.add(spec.chain.external.treasury_secret_ref.name)
    ours = {names.claim(key.name) for key in snapshot.live if key.kind == "StatefulSet"}
    found = [
        SetOwners(ObjectKey("PersistentVolumeClaim", claim.name), claim.uid, claim.owned, wanted)
        for claim in snapshot.claims.values()
        if claim.name in ours and not claim.terminating and claim.owned.network is not wanted
    ]
    found += [
        SetOwners(ObjectKey("Secret", secret.name), secret.uid, secret.owned, wanted)
        for secret in snapshot.secrets.values()
        if secret.owned is not None and secret.name not in brought and secret.owned.network is not wanted
    ]
    return found


def left_behind(snapshot: Snapshot, node: str) -> list[DeleteObject]:
    """The volume and the keys of a node that has gone for good, in this order: the keys say whose volume it was."""
    spec = snapshot.network.spec
    if spec is None or spec.persistent_volume_claim_policy == "Retain":
        return []
    claim, secret = snapshot.claims.get(names.claim(node)), snapshot.secrets.get(names.node_keys(node))
    found = []
    if claim is not None and not claim.terminating:
        found.append(DeleteObject(ObjectKey("PersistentVolumeClaim", claim.name), claim.uid))
    if secret is not None and secret.uid:
        found.append(DeleteObject(ObjectKey("Secret", secret.name), secret.uid))
    return found
