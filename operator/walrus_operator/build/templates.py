"""What a pod was made from, as digests on its template, and StatefulSets whose template waits for its turn.

Two digests stand on every pod: of what the user asked for, and of what this operator made of it. Only the first one restarts
anything (see `plan.rollout`). Until its turn has come a StatefulSet goes on making the pods that it makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from walrus_operator.api.markers import SPEC_DIGEST_ANNOTATION, TEMPLATE_DIGEST_ANNOTATION
from walrus_operator.api.world import Manifest, NetworkObject, Revision
from walrus_operator.build import common

OF_THE_NETWORK: Mapping[str, Any] = {
    "image": True,
    "image_pull_policy": True,
    "monitoring": {"otlp_endpoint", "log_level"},
    "rollout": {"restart"},
}
"""What of the network's spec is part of every pod."""


def asked_for(network: NetworkObject, component: str, own: dict[str, Any]) -> str:
    """Digest of what the user asks of a pod.

    Defaults are left out, so that a new version of the operator that knows more fields finds the same digest.

    Args:
        network: The owner.
        component: Which kind of pod.
        own: What the user has set for this kind, without defaults; its image wins over the network's.
    """
    if network.spec is None:
        raise ValueError("a digest needs a readable spec")
    shared = network.spec.model_dump(by_alias=True, mode="json", exclude_defaults=True, include=OF_THE_NETWORK)
    shared = {key: value for key, value in shared.items() if value != {}}  # of which other fields are set
    # A canary and the nodes that follow it ask for the same, wherever the image is written.
    own = dict(own)
    shared["image"] = own.pop("image", None) or shared.get("image")
    return common.digest({**shared, component: own})


def with_digests(template: dict[str, Any], asked: str) -> dict[str, Any]:
    """The pod template with the digests of what it was made from."""
    annotations = template["metadata"]["annotations"]
    annotations[SPEC_DIGEST_ANNOTATION] = asked
    annotations[TEMPLATE_DIGEST_ANNOTATION] = common.digest(template)
    return template


def revision(template: Mapping[str, Any]) -> Revision:
    """The digests that a pod template carries."""
    annotations = template["metadata"]["annotations"]
    return Revision(annotations[SPEC_DIGEST_ANNOTATION], annotations[TEMPLATE_DIGEST_ANNOTATION])


_BESIDE_THE_TEMPLATE = ("replicas", "persistentVolumeClaimRetentionPolicy")


def with_kept_template(desired: Manifest, live: Manifest) -> list[Manifest]:
    """A StatefulSet that goes on making the pods that it makes: all the rest of it is as desired.

    Args:
        desired: How it should be; its template does not matter.
        live: The set as stored.

    Returns:
        The set to write, or nothing when only templates differ.
    """
    wanted, stored = desired["spec"], live["spec"]
    if all(stored.get(name) == wanted.get(name) for name in _BESIDE_THE_TEMPLATE):
        return []
    fixed = {name: stored[name] for name in ("template", "volumeClaimTemplates") if name in stored}
    return [{**desired, "spec": {**wanted, **fixed}}]
