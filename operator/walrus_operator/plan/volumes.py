"""Volumes of nodes: which are enlarged, and which are replaced, because the spec asks for another size or class.

A StatefulSet never lets its claim template change. So it is deleted without its pod, and the next pass makes it anew; the
pod that runs belongs to the new one. The claim that is there is enlarged in place, if its class lets it; if not, or when the
class is another, it is deleted with its pod, and the node comes back with an empty volume and recovers its shards from the
others. That happens at a node's turn in the rollout, one node after the other. A volume that is larger than asked for stays:
nothing is gained by losing data.

A claim that never got a volume, because its class does not exist or nothing is as large as it asks for, has no data: it is
deleted as soon as the StatefulSet would make another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from walrus_operator.api import names
from walrus_operator.api.base import quantity
from walrus_operator.api.decisions import Action, DeleteObject, GrowClaim, NodeWorkload
from walrus_operator.api.markers import REPLACE_VOLUME_ANNOTATION
from walrus_operator.api.pods import Storage
from walrus_operator.api.world import ClaimView, Manifest, NodeObject, ObjectKey, PodView, Snapshot


@dataclass(frozen=True)
class Volume:
    """A node's volume as it is, and as it should be."""

    wanted: Storage
    live: Manifest | None
    """The StatefulSet."""
    claim: ClaimView | None
    stays_small: bool = False
    """Whether the API server has refused to enlarge this very claim."""

    @property
    def remade(self) -> bool:
        """Whether the StatefulSet must be made anew first."""
        templates = ((self.live or {}).get("spec") or {}).get("volumeClaimTemplates") or ()
        spec = next((template["spec"] for template in templates), None)
        if spec is None:
            return False
        size = spec["resources"]["requests"]["storage"]
        return quantity(size) != quantity(self.wanted.size) or (
            (spec.get("storageClassName") or None) != self.wanted.storage_class_name
        )

    @property
    def fits(self) -> bool:
        """Whether the claim is what the spec asks for, or more; one that is being deleted, or not there, is."""
        return not (self.grows or self.replaced)

    @property
    def grows(self) -> bool:
        """Whether the claim is to be enlarged."""
        return self._too_small and not self._other_class and not self.stays_small and not self.empty

    @property
    def replaced(self) -> bool:
        """Whether the claim goes, with its data."""
        if self.empty:
            return self._other_class or self._other_size
        return self._other_class or (self._too_small and self.stays_small)

    @property
    def empty(self) -> bool:
        """Whether the claim has no volume and never had."""
        return self._there is not None and not self._there.bound

    @property
    def _there(self) -> ClaimView | None:
        return None if self.claim is None or self.claim.terminating else self.claim

    @property
    def _too_small(self) -> bool:
        claim = self._there
        has, wants = quantity(claim.size) if claim is not None else None, quantity(self.wanted.size)
        return has is not None and wants is not None and has < wants

    @property
    def _other_size(self) -> bool:
        claim = self._there
        return claim is not None and quantity(claim.size) != quantity(self.wanted.size)

    @property
    def _other_class(self) -> bool:
        claim, wanted = self._there, self.wanted.storage_class_name
        return claim is not None and wanted is not None and claim.storage_class not in {None, wanted}


def look(snapshot: Snapshot, node: str, wanted: Storage) -> Volume:
    """The volume of a node."""
    claim = snapshot.claims.get(names.claim(node))
    refused = claim is not None and snapshot.refused_growth.get(claim.name) == claim.uid
    return Volume(wanted, snapshot.live.get(ObjectKey("StatefulSet", node)), claim, refused)


def remade_at_rest(snapshot: Snapshot, nodes: Iterable[NodeWorkload]) -> dict[str, DeleteObject]:
    """StatefulSets that must be made anew, by name; without a restart, so nothing is to be waited for.

    Args:
        snapshot: The world.
        nodes: Nodes whose StatefulSet is written in this pass.
    """
    found = {}
    for node in nodes:
        volume = look(snapshot, node.name, node.spec.storage)
        if volume.remade and volume.live is not None:
            found[node.name] = _remade(volume.live)
    return found


def before_restart(volume: Volume, pod: PodView) -> tuple[list[Action], bool]:
    """What comes before a pod is deleted that comes back, and whether that waits for it.

    Args:
        volume: The node's volume.
        pod: Its pod.
    """
    if volume.remade and volume.live is not None:
        # Its own claim shows what was asked for before; later a class that was left out could not be told from the default.
        return [
            _remade(volume.live),
            *([_claim(volume.claim)] if volume.empty and volume.claim is not None else []),
        ], True
    if volume.grows and volume.claim is not None:
        return [GrowClaim(volume.claim.name, volume.claim.uid, volume.wanted.size)], True
    if volume.replaced and volume.claim is not None and (volume.empty or not _empty(pod)):
        return [_claim(volume.claim)], False
    return [], False


def _remade(live: Manifest) -> DeleteObject:
    return DeleteObject(ObjectKey("StatefulSet", live["metadata"]["name"]), live["metadata"]["uid"], orphan=True)


def _claim(claim: ClaimView) -> DeleteObject:
    return DeleteObject(ObjectKey("PersistentVolumeClaim", claim.name), claim.uid)


def _empty(pod: PodView) -> bool:
    """Whether nothing runs in a pod: what is wrong with it is put right first, and its data are not given up for that."""
    return not pod.ready and pod.waiting is not None


def asked_to_go(node: NodeObject | None, claim: ClaimView) -> bool:
    """Whether the user wants this very claim replaced."""
    annotations = ((node.live.get("metadata") or {}) if node is not None else {}).get("annotations") or {}
    return bool(annotations.get(REPLACE_VOLUME_ANNOTATION) == claim.uid)
