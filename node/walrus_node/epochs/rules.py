"""When to make an epoch change happen, and when to delete what it has ended; pure.

The chain's cycle (contract module staking_inner), with the moments at which anybody may push it on:

    EpochChangeDone(t) --voting_end, t + half--> NextParamsSelected(t) --initiate, t + epoch--> EpochChangeSync --> Done
    epoch 0: both calls are due at the first epoch's start

What the epoch then means for a node is decided in `plan`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum

from walrus_codec.types import Epoch
from walrus_sui.types import EpochPhase, StakingView

MAX_JITTER_MS = 3 * 60 * 1000
MAX_FIRST_JITTER_MS = 5 * 1000


class DriverCall(Enum):
    """A call that moves the chain's epoch on."""

    VOTING_END = "voting_end"
    INITIATE_EPOCH_CHANGE = "initiate_epoch_change_v2"


@dataclass(frozen=True)
class DueCall:
    """A call, and the earliest moment at which the contract allows it (unix milliseconds)."""

    call: DriverCall
    epoch: Epoch
    due_ms: int


def next_call(view: StakingView) -> DueCall | None:
    """The call that the chain waits for; None while shards move."""
    phase, since = view.epoch_state.phase, view.epoch_state.since_ms
    if phase is EpochPhase.SYNC:
        return None
    call = DriverCall.VOTING_END if phase is EpochPhase.DONE else DriverCall.INITIATE_EPOCH_CHANGE
    if view.epoch == 0:
        return DueCall(call, view.epoch, view.first_epoch_start_ms)
    wait = view.epoch_duration_ms // 2 if call is DriverCall.VOTING_END else view.epoch_duration_ms
    return DueCall(call, view.epoch, since + wait)


def jitter_ms(epoch: Epoch, epoch_duration_ms: int, *, draw: float) -> int:
    """How long to hold back, so that not all nodes call at once: uniform in [0, min(3 min, epoch/10)).

    In epoch 0 at most 5 s: nothing is stored yet, and people wait for the network to come up.

    Args:
        epoch: the epoch that is to end.
        epoch_duration_ms: length of an epoch.
        draw: uniform in [0, 1).
    """
    longest = min(MAX_JITTER_MS, epoch_duration_ms / 10)
    return int(draw * (min(longest, MAX_FIRST_JITTER_MS) if epoch == 0 else longest))


def collection_delay_ms(network_public_key: bytes, epoch: Epoch, epoch_duration_ms: int) -> int:
    """When to begin deleting after an epoch change: in [0, epoch/2), spread over the nodes, the same after a restart."""
    digest = hashlib.blake2b(network_public_key + epoch.to_bytes(4, "big"), digest_size=8).digest()
    return int.from_bytes(digest, "big") * (epoch_duration_ms // 2) >> 64
