"""What an epoch that has become current means for this node; pure (protocol page 4.4).

    situation                                   node                    shards                              attested by
    not a member                                Standby                 lock what was ours                  nobody
    first committee of the network              RecoverMetadata         new ones Active: nothing is there   sync
    new member                                  RecoverMetadata         new ones ActiveSync                 sync
    continuing member, nothing to come          stays Active            lock what was lost                  keeper, at once
    continuing member, shards gained or coming  stays                   new ones ActiveSync                 sync
    already RecoveryInProgress                  stays                   new ones ActiveSync                 recovery
    fell behind, lost its disk, or the chain    RecoveryInProgress      what lacks writes ActiveRecover     recovery
      has pruned events that it needed

In all of them, shards that were not ours in the epoch before either are removed: they were a source for one epoch. An epoch
that the chain has left already is skipped (`EpochKeeper`): the node is RecoveryCatchUp until one is current.

"Attested by" names whose work is the last that must end before the node tells the chain that it has its shards. It is
computed from the statuses on disk, never remembered: so a restart attests what is left to attest, and a shard whose
transfer has failed for good holds the attestation back until recovery has made it whole.

One row differs from the official node. There, a member that fell behind calls all its shards Active while their blobs are
still being recovered; here those that may lack something are ActiveRecover (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from walrus_codec.types import NodeId, ShardIndex
from walrus_node.store.records import NodeStatus, ShardStatus
from walrus_sui.types import Committee, StakingView

CATCHING_UP = frozenset({NodeStatus.RECOVERY_CATCH_UP, NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY})
_WORKING = frozenset({NodeStatus.ACTIVE, NodeStatus.RECOVER_METADATA, NodeStatus.RECOVERY_IN_PROGRESS})


class Attester(Enum):
    """Whose work is the last before an epoch is attested."""

    NOBODY = "nobody"
    KEEPER = "keeper"
    SYNC = "sync"
    RECOVERY = "recovery"


@dataclass(frozen=True)
class EpochPlan:
    """What one node changes when an epoch has become current.

    Attributes:
        status: the node's status from now on.
        shards: shards whose status changes (those that are new are created).
        removed: shards that go, with their slivers.
    """

    status: NodeStatus
    shards: Mapping[ShardIndex, ShardStatus]
    removed: frozenset[ShardIndex]


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
        attested: whether this node has attested this very epoch before (and has lost its disk since).
    """
    owned = shards_of(view.committee, node_id)
    before = owned if attested else shards_of(view.previous_committee, node_id)
    removed = frozenset(stored) - owned - before
    changes = {
        shard: ShardStatus.LOCKED_TO_MOVE
        for shard, state in stored.items()
        if state.writable and shard not in owned | removed
    }
    if not owned:
        return EpochPlan(NodeStatus.STANDBY, changes, removed)
    first = not view.previous_committee.members and not attested
    if first and status is not NodeStatus.RECOVERY_CATCH_UP_WITH_INCOMPLETE_HISTORY:
        changes |= {shard: ShardStatus.ACTIVE for shard in owned if not _is_active(stored, shard)}
        return EpochPlan(NodeStatus.RECOVER_METADATA, changes, removed)
    if (before or first) and (status in CATCHING_UP or status is NodeStatus.STANDBY):
        changes |= {shard: ShardStatus.ACTIVE_RECOVER for shard in owned if not _is_active(stored, shard)}
        return EpochPlan(NodeStatus.RECOVERY_IN_PROGRESS, changes, removed)
    changes |= {
        shard: ShardStatus.ACTIVE_SYNC for shard in owned if shard not in before or not _is_writable(stored, shard)
    }
    after = status if status in _WORKING else NodeStatus.RECOVER_METADATA
    return EpochPlan(after, changes, removed)


def waits_for_recovery(
    status: NodeStatus, owned: frozenset[ShardIndex], stored: Mapping[ShardIndex, ShardStatus]
) -> frozenset[ShardIndex] | None:
    """The shards of which recovery must say that they are whole; None when nothing waits for that.

    Shards that are ActiveSync are not among them: recovery leaves them alone until their transfer has ended.
    """
    if status not in _WORKING or not owned or any(shard not in stored for shard in owned):
        return None
    recovering = status is NodeStatus.RECOVERY_IN_PROGRESS
    if not recovering and not any(stored[shard] is ShardStatus.ACTIVE_RECOVER for shard in owned):
        return None
    return frozenset(shard for shard in owned if stored[shard] is not ShardStatus.ACTIVE_SYNC)


def attester(status: NodeStatus, owned: frozenset[ShardIndex], stored: Mapping[ShardIndex, ShardStatus]) -> Attester:
    """Whose work must still end before the epoch may be attested; the keeper when none must."""
    if not owned or status not in _WORKING:
        return Attester.NOBODY
    states = {stored.get(shard, ShardStatus.NONE) for shard in owned}
    if status is NodeStatus.RECOVERY_IN_PROGRESS:
        return Attester.RECOVERY
    if status is NodeStatus.RECOVER_METADATA or not states <= {ShardStatus.ACTIVE, ShardStatus.ACTIVE_RECOVER}:
        return Attester.SYNC
    return Attester.KEEPER if states == {ShardStatus.ACTIVE} else Attester.RECOVERY


def shards_of(committee: Committee, node_id: NodeId) -> frozenset[ShardIndex]:
    """The shards that a committee gives to a node."""
    member = committee.by_id(node_id)
    return frozenset(member.shards) if member is not None else frozenset()


def _is_active(stored: Mapping[ShardIndex, ShardStatus], shard: ShardIndex) -> bool:
    return stored.get(shard) is ShardStatus.ACTIVE


def _is_writable(stored: Mapping[ShardIndex, ShardStatus], shard: ShardIndex) -> bool:
    return stored.get(shard, ShardStatus.NONE).writable
