"""What to do at an epoch change, and when to make one happen; pure.

The chain's cycle (contract module staking_inner), with the moments at which anybody may push it on:

    EpochChangeDone(t) --voting_end, t + half--> NextParamsSelected(t) --initiate, t + epoch--> EpochChangeSync --> Done
    epoch 0: both calls are due at the first epoch's start

A node's part (protocol page 4.4), once it has applied `EpochChangeStart{e}`:

    the chain is past e                     skip; the node lags: RecoveryCatchUp until an epoch is current
    not a member                            Standby, lock what it holds
    member, first committee of the network  RecoverMetadata, new shards Active: nothing exists that they could lack
    member that gained shards               Active or RecoverMetadata, new shards ActiveSync: not attested until whole
    member with its old shards              stay Active, lock what was lost, attest
    member that lagged, or lost its disk    RecoveryInProgress, attest when every certified blob is whole

A shard that was ours before but is not stored (its disk was lost) is ActiveRecover: it is never claimed as whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from walrus_codec.types import Epoch, NodeId, ShardIndex
from walrus_node.store.records import NodeStatus, ShardStatus
from walrus_sui.types import Committee, EpochPhase, StakingView

MAX_JITTER_MS = 3 * 60 * 1000
MAX_FIRST_JITTER_MS = 5 * 1000


_WAITING = frozenset({NodeStatus.ACTIVE, NodeStatus.RECOVER_METADATA, NodeStatus.RECOVERY_IN_PROGRESS})


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


@dataclass(frozen=True)
class EpochPlan:
    """What one node changes when an epoch has become current.

    Attributes:
        status: the node's status from now on.
        shards: shards whose status changes (those that are new are created).
    """

    status: NodeStatus
    shards: Mapping[ShardIndex, ShardStatus]


def plan_epoch(
    view: StakingView,
    *,
    node_id: NodeId,
    status: NodeStatus,
    stored: Mapping[ShardIndex, ShardStatus],
    attested: bool,
) -> EpochPlan:
    """Decides what an epoch that is current on chain and in our events means for this node.

    Args:
        view: the chain, at the epoch that our events have reached.
        node_id: us.
        status: our status before.
        stored: the shards that are stored here.
        attested: whether this node has attested this very epoch before.
    """
    owned = shards_of(view.committee, node_id)
    held = {shard for shard, state in stored.items() if state.writable}
    changes = dict.fromkeys(held - owned, ShardStatus.LOCKED_TO_MOVE)
    if not owned:
        return EpochPlan(NodeStatus.STANDBY, changes)
    lagged = status in {NodeStatus.RECOVERY_CATCH_UP, NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY}
    first = not view.previous_committee.members and not attested
    ours_before = owned if attested else shards_of(view.previous_committee, node_id)
    for shard in owned - held:
        if first:
            changes[shard] = ShardStatus.ACTIVE
        elif shard in ours_before:
            changes[shard] = ShardStatus.ACTIVE_RECOVER
        else:
            changes[shard] = ShardStatus.ACTIVE_SYNC
    if first:
        return EpochPlan(NodeStatus.RECOVER_METADATA, changes)
    lost = owned & ours_before - held
    if lost or (held & owned and (lagged or status is NodeStatus.RECOVERY_IN_PROGRESS)):
        return EpochPlan(NodeStatus.RECOVERY_IN_PROGRESS, changes)
    if held & owned and status is NodeStatus.ACTIVE:
        return EpochPlan(NodeStatus.ACTIVE, changes)
    return EpochPlan(NodeStatus.RECOVER_METADATA, changes)


def shards_that_wait(
    status: NodeStatus, owned: frozenset[ShardIndex], stored: Mapping[ShardIndex, ShardStatus]
) -> frozenset[ShardIndex] | None:
    """What becomes Active together with the node when all slivers are there; None when nothing waits for that.

    Returns:
        The owned shards that are not Active yet, none when only the node's own status waits; or None.
    """
    if status not in _WAITING or not owned or any(shard not in stored for shard in owned):
        return None
    waiting = frozenset(shard for shard in owned if stored[shard] is not ShardStatus.ACTIVE)
    return waiting if waiting or status is not NodeStatus.ACTIVE else None


def may_attest(status: NodeStatus, owned: frozenset[ShardIndex], stored: Mapping[ShardIndex, ShardStatus]) -> bool:
    """Whether the node may tell the chain that it holds its shards: all of them, whole."""
    return status is NodeStatus.ACTIVE and _all_active(owned, stored)


def _all_active(owned: frozenset[ShardIndex], stored: Mapping[ShardIndex, ShardStatus]) -> bool:
    return bool(owned) and all(stored.get(shard) is ShardStatus.ACTIVE for shard in owned)


def shards_of(committee: Committee, node_id: NodeId) -> frozenset[ShardIndex]:
    """The shards that a committee gives to a node."""
    member = committee.by_id(node_id)
    return frozenset(member.shards) if member is not None else frozenset()
