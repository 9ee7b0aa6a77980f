"""Condition types and reasons: the part of the status that machines and runbooks rely on.

Every condition that the operator can set is a row of `condition_table.TABLE`, with its meaning and remedy.
`condition` refuses a combination that is not in the table, so that nothing undocumented can reach a status; the
reference page is generated from the same rows. Types and reasons are API: they are added, not renamed.

`merge` carries the time of the last transition over from the previous status, so that an unchanged condition stays equal
to what is stored and costs no write. For the same reason messages hold no ages, only points in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from walrus_operator.api.base import StatusModel
from walrus_operator.api.condition_table import TABLE
from walrus_operator.api.condition_types import ConditionType, Kind, Reason, Row, Truth

_MAX_MESSAGE = 1024


class ConditionStatus(StatusModel):
    """A condition as in the Kubernetes API conventions."""

    type: Annotated[str, Field(max_length=316)]
    """Name of the condition."""
    status: Truth
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Why, in one CamelCase word."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, in a sentence that says what to do."""
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    """When the status last changed."""
    observed_generation: int | None = None
    """Generation of the spec that the condition was set for."""


@dataclass(frozen=True)
class Condition:
    """A condition as a pass decides it; time and generation are added by `merge`."""

    type: ConditionType
    status: Truth
    reason: Reason
    message: str


_ALLOWED = frozenset((row.kind, row.type, row.status, row.reason) for row in TABLE)


def condition(kind: Kind, type_: ConditionType, status: Truth, reason: Reason, message: str) -> Condition:
    """A condition of the table.

    Raises:
        KeyError: the combination is not in `TABLE` (a bug: add the row, with meaning and remedy).
    """
    if (kind, type_, status, reason) not in _ALLOWED:
        raise KeyError(f"{kind} {type_}={status} for {reason} is not in the table of conditions")
    if len(message) > _MAX_MESSAGE:
        message = message[: _MAX_MESSAGE - 3] + "..."
    return Condition(type_, status, reason, message)


def merge(
    wanted: Iterable[Condition],
    previous: Iterable[Mapping[str, Any]],
    *,
    now: str,
    generation: int,
) -> list[ConditionStatus]:
    """Conditions for the status: each keeps the time of its last transition while its status stays the same."""
    before = {str(entry.get("type")): entry for entry in previous}
    merged = []
    for entry in wanted:
        old = before.get(entry.type)
        since = str(old["lastTransitionTime"]) if old and old.get("status") == entry.status else now
        merged.append(
            ConditionStatus(
                type=entry.type,
                status=entry.status,
                reason=entry.reason,
                message=entry.message,
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return merged


__all__ = [
    "TABLE",
    "Condition",
    "ConditionStatus",
    "ConditionType",
    "Kind",
    "Reason",
    "Row",
    "Truth",
    "condition",
    "merge",
]
