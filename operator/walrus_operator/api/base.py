"""What all custom resource models share: naming, strictness, durations, quantities, validation rules.

A model is written once in Python and used three times: the CRD schema is generated from it (`api.schema`), the operator
reads live objects through it, and the reference pages are made from its descriptions. Rules that one field cannot
express are CEL, attached with `cel`, so that the API server refuses a wrong object without a webhook; their messages say
what to do.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

GROUP = "walrus-operator.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DURATION_PATTERN = r"^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$"
"""Longer ones than CEL's `duration()` can count, some 292 years, cannot be written."""
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?")
_SUFFIXES = {
    None: Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
}


def cel(rule: str, message: str, *, field_path: str | None = None, reason: str | None = None) -> dict[str, Any]:
    """One `x-kubernetes-validations` entry; the message is what `kubectl apply` prints."""
    entry = {"rule": rule, "message": message}
    if field_path:
        entry["fieldPath"] = field_path
    if reason:
        entry["reason"] = reason
    return entry


def rules(*entries: dict[str, Any]) -> dict[str, Any]:
    """Schema extras that carry CEL rules, for `Field(json_schema_extra=...)` or a model's config."""
    return {"x-kubernetes-validations": list(entries)}


class SpecModel(BaseModel):
    """Part of a spec: camelCase outside, frozen inside, unknown fields are errors."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class StatusModel(BaseModel):
    """Part of a status: read tolerantly, because an older or newer operator may have written it."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    @classmethod
    def read(cls, live: Any) -> Self:
        """A stored status; one that cannot be read (written by another version) counts as never written."""
        try:
            return cls.model_validate(live or {})
        except ValidationError:
            return cls()

    def to_live(self) -> dict[str, Any]:
        """The status as it is sent to the API server: camelCase, without absent fields."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


Duration = Annotated[str, Field(pattern=DURATION_PATTERN, min_length=2, max_length=16)]
"""Hours, minutes, seconds, such as "1h30m"; the same text means the same to Python and to CEL's `duration()`."""

Quantity = Annotated[str, Field(pattern=QUANTITY_PATTERN, max_length=32)]
"""A Kubernetes quantity such as "10Gi"."""

IntOrQuantity = Annotated[int | Quantity, Field(json_schema_extra={"x-kubernetes-int-or-string": True})]
"""A quantity that may be written without quotes when it is a whole number, such as `cpu: 1`."""


def seconds(duration: str) -> int:
    """Length of a `Duration` in seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    match = _DURATION.fullmatch(duration)
    if match is None or not duration:
        raise ValueError(f"{duration!r} is not a duration: write hours, minutes and seconds, such as 1h30m or 45s")
    hours, minutes, rest = (int(group or 0) for group in match.groups())
    return hours * 3600 + minutes * 60 + rest


def quantity(text: str | float) -> Decimal | None:
    """Value of a Kubernetes quantity ("100m" is 0.1, "1Ki" is 1024); None when it is not one."""
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        return None
    try:
        return Decimal(match[1]) * _SUFFIXES[match[2]]
    except InvalidOperation:  # pragma: no cover - the pattern admits no such number
        return None
