"""What users may say about pods: resources, volumes, placement. Shared by nodes, gateway and devnet.

The models cover the parts of the pod API that a real cluster needs; `affinity` alone is passed through as it is, because
its schema is larger than all of ours together (the API server checks it when the StatefulSet is written).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from walrus_operator.api.base import IntOrQuantity, Quantity, SpecModel, cel, rules

Labels = Annotated[dict[str, Annotated[str, Field(max_length=253)]], Field(max_length=32)]


class Resources(SpecModel):
    """CPU and memory, as in a container."""

    requests: Annotated[dict[str, IntOrQuantity], Field(max_length=8)] | None = None
    """What the scheduler reserves, for example `{cpu: 250m, memory: 512Mi}`."""
    limits: Annotated[dict[str, IntOrQuantity], Field(max_length=8)] | None = None
    """What the kernel enforces."""


def _sizes() -> str:
    """Sizes of volumes as a regular expression: above nothing, and below what 64 bits hold, with each unit."""
    digits = {"": 17, "(k|Ki)": 14, "(M|Mi)": 11, "(G|Gi)": 8, "(T|Ti)": 5, "(P|Pi)": 2}
    whole = f"[1-9][0-9]{{0,{digits.pop('')}}}"
    units = (f"[1-9][0-9]{{0,{more}}}([.][0-9]{{1,6}})?{unit}" for unit, more in digits.items())
    return "|".join((whole, *units, "0[.][0-9]{0,5}[1-9](M|Mi|G|Gi|T|Ti|P|Pi)"))


class Storage(SpecModel):
    """A persistent volume."""

    size: Annotated[
        Quantity,
        Field(
            json_schema_extra=rules(
                cel(
                    f"self.matches('^({_sizes()})$')",
                    "the size of a volume must be above 0 and at most 999Pi, such as 10Gi",
                )
            )
        ),
    ] = "10Gi"
    """Size of the volume."""
    storage_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Storage class; the cluster's default class when absent."""


class FixedStorage(Storage):
    """A persistent volume that stays as it was made."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.size == oldSelf.size",
                "the size of this volume cannot change: keep the old size",
                field_path=".size",
            ),
            cel(
                "has(self.storageClassName) == has(oldSelf.storageClassName) && "
                "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
                "the storage class of this volume cannot change: keep the old class",
            ),
        )
    )


class Toleration(SpecModel):
    """A pod toleration."""

    key: Annotated[str, Field(max_length=253)] | None = None
    """Taint key; absent matches every key (with `operator: Exists`)."""
    operator: Literal["Exists", "Equal"] | None = None
    """How the value is compared."""
    value: Annotated[str, Field(max_length=253)] | None = None
    """Taint value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; absent matches every effect."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is tolerated."""


class TopologySpread(SpecModel):
    """Spreads the network's node pods over failure domains; the operator adds the label selector."""

    topology_key: Annotated[str, Field(min_length=1, max_length=253)]
    """Node label that names the failure domain, such as `topology.kubernetes.io/zone`."""
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1
    """How uneven the spread may be."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "ScheduleAnyway"
    """Whether a pod that cannot be spread stays pending."""


class LocalReference(SpecModel):
    """Name of an object in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the object."""


class PodSettings(SpecModel):
    """Placement and labels of pods."""

    resources: Resources | None = None
    """CPU and memory of the container; sensible defaults when absent."""
    node_selector: Labels | None = None
    """Labels that the Kubernetes node must have."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] | None = None
    """Taints that the pods tolerate."""
    affinity: (
        Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})] | None
    ) = None
    """Pod and node affinity, passed through as written."""
    priority_class_name: Annotated[str, Field(max_length=253)] | None = None
    """Priority class of the pods."""
    image_pull_secrets: Annotated[list[LocalReference], Field(max_length=8)] | None = None
    """Secrets for pulling the image."""
    labels: Labels | None = None
    """Extra labels on the pods; the operator's own labels cannot be changed."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None = None
    """Extra annotations on the pods."""
