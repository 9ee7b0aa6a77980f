"""In which epoch a rollout ends, if every gate opens in its time."""

from __future__ import annotations

from collections.abc import Sequence

from walrus_operator.api.chain_view import ChainView
from walrus_operator.api.network import MaintenanceWindow
from walrus_operator.plan import windows
from walrus_operator.plan.rollout_gates import RESTART_SECONDS

_TRIES = 8
"""A window may open just when an epoch ends, and the next one too; nobody plans further than that."""


def ends_in_epoch(
    chain: ChainView, steps: int, *, now: float, settle: float = 0.0, allowed: Sequence[MaintenanceWindow] | None = None
) -> int | None:
    """The epoch in which the last of the steps ends; None without steps.

    Args:
        chain: The chain as it was seen last.
        steps: How many batches are to come, one after the other.
        now: Unix seconds.
        settle: Seconds between a node's return and the next step.
        allowed: Maintenance windows.
    """
    if not steps:
        return None
    length = chain.epoch_duration_ms / 1000
    started = chain.change_done_at_ms / 1000 if chain.change_done_at_ms is not None else now
    started = min(started, now)
    if now - started > length:
        started = now  # the epoch is late: it ends at any moment
    margin = min(RESTART_SECONDS, length / 4)
    moment = now
    for _ in range(steps):
        for _ in range(_TRIES):
            opens = windows.next_opening(allowed, moment)
            left = length - (opens - started) % length
            moment = opens if left >= margin else opens + left
            if moment == opens:
                break
        moment += RESTART_SECONDS + settle
    return chain.epoch + int((moment - started) // length)
