"""Why a pod does not run, with the field of the spec that it comes from and what to do about it.

The kubelet and the scheduler say what is wrong in a word, which stands on the pod (`observe.reading`). It becomes part of
the messages of `Ready` (of the WalrusNode, and of the WalrusNetwork for the first pod that it waits for), so that nobody has
to know where to look. Nothing in it changes by itself: each other message is a write.
"""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api import names
from walrus_operator.api.world import ClaimView, ObjectKey, PodView, Snapshot
from walrus_operator.plan.times import unix_seconds

PATIENCE = 60.0
"""Seconds within which a StatefulSet makes its pods, unless the API server refuses them."""

_NO_NAME = "InvalidImageName"
_NOT_LOADED = "ErrImageNeverPull"
_NOT_PULLED = frozenset({"ImagePullBackOff", "ErrImagePull", "RegistryUnavailable", "ErrImagePullBackOff"})
"""The kubelet says one after the other, again and again."""
NO_IMAGE = _NOT_PULLED | {_NO_NAME, _NOT_LOADED}
"""What a container waits for without its image; nothing but another spec or another registry ends that."""


def first(snapshot: Snapshot, pods: Iterable[str]) -> str | None:
    """The first of these pods that is there and waits for what may not come by itself, and what to do; None for none.

    Args:
        snapshot: The world.
        pods: Names of pods.
    """
    for name in sorted(pods, key=lambda name: (len(name), name)):
        pod = snapshot.pods.get(name)
        if pod is None and _is_late(snapshot, name):
            return f"pod {name} is not made: see `kubectl describe statefulset {name.rpartition('-')[0]}`"
        if pod is None or pod.ready or pod.terminating:
            continue
        why = remedy(snapshot, pod)
        if why is not None:
            return f"pod {name} is {pod.phase}: {why}"
    return None


def _is_late(snapshot: Snapshot, pod: str) -> bool:
    """Whether a StatefulSet should have made the pod long ago; in a rollout pods are away for a moment, and no news."""
    status = snapshot.network.status.rollout
    live = snapshot.live.get(ObjectKey("StatefulSet", pod.rpartition("-")[0]))
    made = str(live["metadata"].get("creationTimestamp", "")) if live is not None else ""
    if not made or (status is not None and status.state in {"Rolling", "Held"}):
        return False
    return snapshot.now - unix_seconds(made) > PATIENCE


def without_image(snapshot: Snapshot) -> str | None:
    """The first pod of the network whose image is not to be had; None for none."""
    return first(snapshot, (name for name, pod in snapshot.pods.items() if pod.waiting in NO_IMAGE))


def remedy(snapshot: Snapshot, pod: PodView) -> str | None:
    """Why the pod does not run, and what to do; None when nobody has said why."""
    field = _image_field(snapshot, pod)
    if pod.waiting in _NOT_PULLED:
        return (
            f"ImagePullBackOff, its image {pod.image} cannot be pulled: correct {field}, or name imagePullSecrets that may "
            "pull it"
        )
    if pod.waiting == _NO_NAME:
        return f"{pod.waiting}, its image {pod.image} is no name of an image: correct {field}"
    if pod.waiting == _NOT_LOADED:
        return (
            f"{pod.waiting}, its image {pod.image} is not on the machine and spec.imagePullPolicy is Never: load it, or "
            f"correct {field}"
        )
    if pod.waiting == "CrashLoopBackOff":
        return f"{pod.waiting}, it ends again and again: see `kubectl logs {pod.name} --previous`"
    if pod.waiting == "Unschedulable":
        return f"{pod.waiting}, no machine takes it{f' ({pod.unplaced})' if pod.unplaced else ''}: {_placing(snapshot, pod)}"
    return pod.waiting


def _placing(snapshot: Snapshot, pod: PodView) -> str:
    """What keeps a pod from a machine: its volume, perhaps, or what it asks of machines."""
    claim = snapshot.claims.get(f"data-{pod.name}")
    if claim is None or claim.bound:
        return "add machines, or correct its resources, nodeSelector, tolerations or affinity"
    return (
        f"its volume claim {claim.name} has no volume yet, see `kubectl describe pvc {claim.name}`; {_class(claim)} must exist "
        f"and provide {claim.size}{_if_not(snapshot, pod)}"
    )


def _class(claim: ClaimView) -> str:
    return f"storage class {claim.storage_class}" if claim.storage_class else "a default storage class"


def _if_not(snapshot: Snapshot, pod: PodView) -> str:
    if pod.name == names.pod(names.devnet(snapshot.network.name)):
        return ", and a devnet's volume cannot change: if that is wrong, delete the network and create it anew"
    return ": if that is wrong, correct storage, and the claim is made anew"


def _image_field(snapshot: Snapshot, pod: PodView) -> str:
    """Where the image of a pod is written, or may be."""
    network, whole = snapshot.network, "spec.image"
    if network.spec is None:
        return whole
    if pod.name.rpartition("-")[0] == names.gateway(network.name):
        return "spec.gateway.image" if network.spec.gateway.image else whole
    if pod.name == names.pod(names.devnet(network.name)):
        devnet = network.spec.chain.devnet
        return "spec.chain.devnet.image" if devnet is not None and devnet.image else whole
    node = next((node for node in snapshot.nodes if names.pod(node.name) == pod.name), None)
    own = node.spec.image if node is not None and node.spec is not None else None
    if node is None or own is None:
        return whole
    templated = names.ordinal(network.name, node.name) is not None and own == network.spec.nodes.template.image
    return "spec.nodes.template.image" if templated else f"spec.image of WalrusNode {node.name}"
