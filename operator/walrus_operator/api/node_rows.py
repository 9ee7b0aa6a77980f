"""What a node can say of its volume, its keys, a fence, and of what holds its end: part of the table of conditions."""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.condition_types import ConditionType, Kind, Reason, Row


def storage_rows() -> Iterable[Row]:
    """StorageOk: whether the node takes slivers; in the first three failures it serves all that it has."""
    kind, ok, r = Kind.NODE, ConditionType.STORAGE_OK, Reason
    yield Row(kind, ok, "True", r.TAKES_SLIVERS, "The node takes slivers, and its volume holds what it offers.")
    yield Row(
        kind,
        ok,
        "False",
        r.CAPACITY_REACHED,
        "As much is stored as the node offers on chain.",
        "Raise votes.nodeCapacity if the volume has room, add nodes, or wait until blobs expire.",
    )
    yield Row(
        kind,
        ok,
        "False",
        r.DISK_NEARLY_FULL,
        "The volume has only its reserve left.",
        "Give the node a larger volume, or wait until blobs expire.",
    )
    yield Row(
        kind,
        ok,
        "False",
        r.DISK_FAILING,
        "The volume refuses writes: full to the end, read-only or broken.",
        "Free space on it, make it writable, or replace it; the message has the cause.",
    )
    yield Row(
        kind,
        ok,
        "False",
        r.VOLUME_TOO_SMALL,
        "The volume is smaller than what the node offers on chain and the reserve.",
        "Lower votes.nodeCapacity, or leave it out; or make the node anew with a larger volume.",
    )
    yield Row(kind, ok, "Unknown", r.NODE_UNREACHABLE, "The node does not answer.", "See condition Ready.")


def key_rows() -> Iterable[Row]:
    """KeysCurrent: how far a rotation of keys is."""
    kind, current, r = Kind.NODE, ConditionType.KEYS_CURRENT, Reason
    yield Row(kind, current, "True", r.KEYS_IN_USE, "The keys are those that `spec.rotateKeys` asks for.")
    yield Row(
        kind,
        current,
        "False",
        r.KEYS_CHANGING,
        "A new key was made and takes over; the message says how far it is.",
        "Wait: a protocol key takes over with the next epoch, a network key within minutes. The node must run for it.",
    )
    yield Row(
        kind,
        current,
        "Unknown",
        r.NOT_VALID,
        "The key Secret is not as it should be, so no key is changed.",
        "See condition `Valid`.",
    )


def fence_rows() -> Iterable[Row]:
    """Fenced: whether a node is out of rotation."""
    kind, fenced, r = Kind.NODE, ConditionType.FENCED, Reason
    yield Row(
        kind,
        fenced,
        "True",
        r.FENCED,
        "The node has no pod and is left alone; its shards count as unavailable.",
        "Look into its volume; set desiredState: Active to bring it back, or delete it.",
    )
    yield Row(kind, fenced, "False", r.NOT_FENCED, "The node is not to be fenced.")
    yield Row(
        kind,
        fenced,
        "False",
        r.FAULT_BUDGET_EXCEEDED,
        "The node should have no pod, and runs on: the network does not bear the loss of its shards now.",
        "Bring back what is down, drain the node, or open the gate by annotation `walrus-operator.dev/gates-off`.",
    )
    yield Row(
        kind,
        fenced,
        "False",
        r.CHAIN_MIRROR_STALE,
        "The node runs on, because nobody knows what the committee bears while the chain does not answer.",
        "See the network's `CommitteeSynced`.",
    )
    yield Row(
        kind,
        fenced,
        "False",
        r.EXPECTATION_PENDING,
        "The node runs on until Kubernetes has stopped to evict others.",
        "Nothing to do; it lasts seconds.",
    )


def deletion_rows() -> Iterable[Row]:
    """DeletionBlocked: why a node that leaves, its volume, or the pod of one that hibernates is still there.

    Most reasons are names of gates.
    """
    kind, blocked, r = Kind.NODE, ConditionType.DELETION_BLOCKED, Reason
    yield Row(kind, blocked, "False", r.NOT_LEAVING, "Nothing of the node is to be deleted.")
    yield Row(kind, blocked, "False", r.REMOVABLE, "The node holds nothing that anybody needs.")
    yield Row(
        kind,
        blocked,
        "True",
        r.HOLDS_SHARDS,
        "The node has shards in the current or the next committee.",
        "Wait for the epoch that the message names. Stake of others keeps a node in the committee.",
    )
    yield Row(kind, blocked, "True", r.HOLDS_STAKE, "The treasury's stake is on its way back.", "Wait.")
    yield Row(
        kind,
        blocked,
        "True",
        r.LAST_STAKED_NODE,
        "Without this node nobody would have stake, and the chain would stop at the next epoch.",
        "Keep it, add another node first, or delete the WalrusNetwork.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.FAULT_BUDGET_EXCEEDED,
        "With the node more than f - reserve shards would be unavailable.",
        "Wait until the others are Synced, or choose deletionPolicy: Drain.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.EPOCH_CHANGE_IN_PROGRESS,
        "The committee takes over its shards.",
        "Wait; when it lasts, see which WalrusNodes are not Synced.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.SHARD_TRANSFER_SOURCE,
        "Shards that left the node have not arrived at their new owners.",
        "Wait; it lasts one epoch at most.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.SHARD_TRANSFER_TARGET,
        "The node takes over shards, and its pod would have to restart.",
        "Wait until it is Synced.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.NODE_RECOVERING,
        "The node recovers, and its pod would have to restart.",
        "Wait until it is Synced.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.CHALLENGE_WINDOW_OPEN,
        "The node is in an availability challenge, or has members left to challenge and hardly time for it.",
        "Wait: seconds, or the last tenth of the epoch's window.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.SLASHING_VOTE_PENDING,
        "The node has voted to slash another in this epoch, and sees to it that this is carried out.",
        "Wait for the next epoch, or open the gate by annotation `walrus-operator.dev/gates-off`. A node in doubt is fenced.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.EXPECTATION_PENDING,
        "It is the node's turn, and Kubernetes stops to evict others first.",
        "Nothing to do; it lasts seconds.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.KEY_SECRET_LOST,
        "Its volume should be replaced, and its keys are lost, exchanged or unusable.",
        "See condition `Valid`: restore the Secret from a backup.",
    )
    yield Row(
        kind,
        blocked,
        "True",
        r.CHAIN_MIRROR_STALE,
        "The chain does not answer, so nobody knows who holds which shards.",
        "Check the devnet pod or the RPC URL.",
    )
