"""Pods as a rollout sees them: what they run, what they should run, and whether anything runs in them at all.

Nothing is remembered: what a pod was made from stands on it, and what its successor will be made from on its StatefulSet.
"""

from __future__ import annotations

from dataclasses import dataclass

from walrus_operator.api import names
from walrus_operator.api.markers import SPEC_DIGEST_ANNOTATION, TEMPLATE_DIGEST_ANNOTATION
from walrus_operator.api.pods import Storage
from walrus_operator.api.world import Manifest, ObjectKey, PodView, Revision, Snapshot
from walrus_operator.plan import volumes
from walrus_operator.plan.volumes import Volume


@dataclass(frozen=True)
class Member:
    """A node, or a pod of the gateway or the devnet, as the rollout sees it."""

    name: str
    wanted: Revision | None
    """None when its spec cannot be carried out."""
    pod: PodView | None
    stored: Revision | None
    """What its StatefulSet makes pods from."""
    live: Manifest | None
    """Its StatefulSet, if that wants a pod."""
    volume: Volume | None = None
    """A node's volume; those of gateway and devnet stay as they were made."""

    @property
    def runs(self) -> Revision | None:
        """What its pod is made from; when there is none, or it ends, what the one after it will be made from."""
        return self.pod.made_from if self.pod is not None and not self.pod.terminating else self.stored

    @property
    def current(self) -> bool:
        """Whether its pod is what the spec asks for, or will be when it is created."""
        if self.wanted is None or (self.volume is not None and not self.volume.fits):
            return False
        # Without a StatefulSet a pod may run on that is older than what is wanted.
        return (self.live is None and (self.pod is None or self.pod.terminating)) or self.runs == self.wanted

    @property
    def by_operator_only(self) -> bool:
        """Whether nothing but the version of the operator makes the difference; also when nobody can know."""
        if self.current or self.wanted is None or (self.volume is not None and not self.volume.fits):
            return False
        return self.runs is None or self.runs.spec == self.wanted.spec

    @property
    def kept(self) -> bool:
        """Whether its template must not be written unless the node may restart."""
        runs_it = self.pod is not None and self.wanted is not None and self.pod.made_from == self.wanted
        return self.live is not None and not runs_it and (self.wanted is None or self.stored != self.wanted)

    @property
    def remade(self) -> bool:
        """Whether its StatefulSet must be made anew, because the API server would refuse to change it."""
        return self.live is not None and self.volume is not None and self.volume.remade

    @property
    def loses_data(self) -> bool:
        """Whether it comes back with an empty volume."""
        return self.volume is not None and self.volume.replaced and not self.volume.empty

    @property
    def dead(self) -> bool:
        """Whether nothing runs in its pod, so that replacing that takes no shard from anybody."""
        return self.pod is None or (not self.pod.terminating and not self.pod.ready and self.pod.waiting is not None)

    @property
    def written(self) -> bool:
        """Whether the controller of StatefulSets knows the template that the spec asks for."""
        if self.live is None or self.stored != self.wanted:
            return False
        seen = (self.live.get("status") or {}).get("observedGeneration", 0)
        return bool(seen >= self.live["metadata"].get("generation", 0))


def read(snapshot: Snapshot, name: str, workload: str, pod: str, *, storage: Storage | None = None) -> Member:
    """What there is of a pod.

    Args:
        snapshot: The world.
        name: By which the rollout calls it.
        workload: Its StatefulSet.
        pod: Its name.
        storage: The volume that a node should have.
    """
    live = snapshot.live.get(ObjectKey("StatefulSet", workload))
    if live is not None and not int((live.get("spec") or {}).get("replicas", 0)):
        live = None  # nothing runs, nothing is asked to
    template = ((live or {}).get("spec") or {}).get("template") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    stored = None
    if SPEC_DIGEST_ANNOTATION in annotations and TEMPLATE_DIGEST_ANNOTATION in annotations:
        stored = Revision(annotations[SPEC_DIGEST_ANNOTATION], annotations[TEMPLATE_DIGEST_ANNOTATION])
    volume = volumes.look(snapshot, workload, storage) if storage is not None else None
    return Member(name, snapshot.revisions.get(workload), snapshot.pods.get(pod), stored, live, volume)


def left_alone(member: Member, restart: str | None) -> bool:
    """Whether an outdated pod is not to be restarted: only the operator changed, or its spec cannot be carried out."""
    if member.wanted is None:
        return True
    # A pod that says nothing of its spec was made by an operator that knew no digests.
    return member.by_operator_only and not (member.runs is None and restart is not None)


def domain(snapshot: Snapshot, name: str) -> str:
    """Failure domain of a node: what its spec says, or the zone of its pod."""
    node = next((node for node in snapshot.nodes if node.name == name), None)
    if node is not None and node.spec is not None and node.spec.failure_domain:
        return node.spec.failure_domain
    pod = snapshot.pods.get(names.pod(name))
    return pod.zone if pod is not None else ""
