"""What a pass did, collected while it is carried out.

Refusals of single objects end nothing: they are kept for the conditions of the next pass. Everything else that goes wrong ends
the pass as the `KubeError` that it is.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from walrus_operator.api.conditions import Reason
from walrus_operator.api.decisions import EventNote
from walrus_operator.api.world import ObjectKey
from walrus_operator.observe.kube import KubeError

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a pass did."""

    done: list[str] = field(default_factory=list)
    refusals: list[tuple[Reason, str]] = field(default_factory=list)
    """Objects that could not be written, and why; the next pass reports them."""
    events: list[EventNote] = field(default_factory=list)
    deleted_pods: dict[str, str] = field(default_factory=dict)
    """Pods that were deleted, with their UIDs: what is read next may still show them as they were."""
    unmade: set[ObjectKey] = field(default_factory=set)
    """Objects that are not as they should be, because this pass could not write them."""
    refused_growth: dict[str, str] = field(default_factory=dict)
    """Volume claims that cannot be enlarged, with their UIDs."""
    acted: bool = False
    """Whether anything changed, so that another look soon is worth it."""

    async def attempt(self, sentence: str, call: Awaitable[Any]) -> bool:
        """Awaits a write; a refusal of this one object is noted, everything else ends the pass. True when it was done."""
        try:
            await call
        except KubeError as error:
            if error.conflict and error.reason != "AlreadyExists":
                log.info("changed meanwhile, the next pass looks again: %s", error)
                self.acted = True
                return False
            if not (error.invalid or error.conflict):
                raise
            self.refusals.append((Reason.OBJECT_REJECTED, str(error)))
            log.warning("refused: %s", error)
            return False
        self.done.append(sentence)
        self.acted = True
        log.info(sentence)
        return True
