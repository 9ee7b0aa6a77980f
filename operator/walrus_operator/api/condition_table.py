"""The table of conditions: kind, type, status, reason, what it means, what to do.

Whatever the operator can put into a status stands here, and the reference page is made from it.
"""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.condition_types import ConditionType, Kind, Reason, Row
from walrus_operator.api.rollout_conditions import rollout_rows


def _network_rows() -> Iterable[Row]:
    kind, t, r = Kind.NETWORK, ConditionType, Reason
    wait = "Wait; the message says what is missing."
    yield Row(kind, t.VALID, "True", r.ACCEPTED, "The spec can be carried out.")
    yield Row(
        kind,
        t.VALID,
        "False",
        r.SPEC_INVALID,
        "The spec passed the schema but cannot be read.",
        "Correct the field that the message names.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.CHAIN_MISMATCH,
        "The chain was set up with other parameters than the spec says.",
        "Make the spec agree with the chain.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.PUBLIC_NETWORK_REFUSED,
        "The chain is the public Walrus mainnet or testnet, whose clients need the official REST face.",
        "Use a Walrus deployment of your own.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.NAME_CONFLICT,
        "An object that does not belong to this network has a name that the network needs.",
        "Rename or delete the other object, or give the network another name.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.OBJECT_REJECTED,
        "The API server refused an object that the spec asks for.",
        "Correct the field that the message names.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_LOST,
        "The key Secret of treasury or gateway is gone.",
        "Restore the Secret from a backup; it is never made again.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_INVALID,
        "The key Secret of treasury or gateway holds no usable key.",
        "Restore the Secret from a backup.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_CHANGED,
        "The key Secret of treasury or gateway holds another key than before.",
        "Restore the Secret from a backup.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.MEMORY_LIMIT_TOO_SMALL,
        "The memory limit of the gateway, or of the template's nodes, does not bear the largest blob.",
        "Raise the limit as the message says.",
    )
    yield Row(kind, t.READY, "True", r.SERVING, "All nodes and gateways that should run serve.")
    yield Row(kind, t.READY, "False", r.NOT_VALID, "The spec cannot be carried out.", "See condition Valid.")
    yield Row(kind, t.READY, "False", r.CHAIN_STARTING, "The chain has not answered yet.", wait)
    yield Row(
        kind,
        t.READY,
        "False",
        r.CHAIN_UNREACHABLE,
        "The chain answered before and does not now. Reads of stored blobs go on.",
        "Check the devnet pod or the RPC URL.",
    )
    yield Row(
        kind,
        t.READY,
        "False",
        r.CHAIN_CHANGED,
        "The chain has another identifier than before: its data was lost or the URL names another chain.",
        "Restore the chain's volume, or create a new network.",
    )
    yield Row(kind, t.READY, "False", r.WAITING_FOR_REGISTRATION, "Nodes have not registered on chain yet.", wait)
    yield Row(kind, t.READY, "False", r.WAITING_FOR_STAKE, "Nodes are registered; stake is being delegated.", wait)
    yield Row(
        kind,
        t.READY,
        "False",
        r.WAITING_FOR_COMMITTEE,
        "Stake is delegated; the first committee is not chosen yet.",
        wait,
    )
    yield Row(
        kind,
        t.READY,
        "False",
        r.NODES_NOT_READY,
        "Nodes that should serve do not.",
        "See the WalrusNodes that the message names.",
    )
    yield Row(kind, t.READY, "False", r.GATEWAY_NOT_READY, "Gateway replicas are not ready.", "See the gateway pods.")
    yield Row(
        kind,
        t.AVAILABLE,
        "True",
        r.QUORUM_AVAILABLE,
        "Members with at least n - f shards are ready: blobs can be stored and read.",
    )
    yield Row(
        kind,
        t.AVAILABLE,
        "False",
        r.QUORUM_LOST,
        "More than f shards are unavailable: stores fail, reads may.",
        "Bring back the nodes that the message names; nothing is lost.",
    )
    yield Row(kind, t.AVAILABLE, "False", r.NO_COMMITTEE, "There is no committee yet.", wait)
    yield Row(
        kind,
        t.AVAILABLE,
        "Unknown",
        r.CHAIN_UNREACHABLE,
        "The committee is not known, because the chain never answered.",
        "Check the devnet pod or the RPC URL.",
    )
    yield Row(kind, t.COMMITTEE_SYNCED, "True", r.EPOCH_DONE, "A quorum of the committee holds its shards.")
    yield Row(kind, t.COMMITTEE_SYNCED, "False", r.EPOCH_CHANGE_IN_PROGRESS, "Members take over their shards.", wait)
    yield Row(kind, t.COMMITTEE_SYNCED, "False", r.NO_COMMITTEE, "There is no committee yet.", wait)
    yield Row(
        kind,
        t.COMMITTEE_SYNCED,
        "False",
        r.CHAIN_UNREACHABLE,
        "The chain does not answer, so what it says of the committee may be old.",
        "Check the devnet pod or the RPC URL.",
    )
    yield Row(kind, t.PROGRESSING, "True", r.CREATING, "Objects are being created or changed.", wait)
    yield Row(kind, t.PROGRESSING, "True", r.WAITING_FOR_PODS, "All objects are written; pods are starting.", wait)
    yield Row(
        kind,
        t.PROGRESSING,
        "True",
        r.MEMBERS_CHANGING,
        "Nodes join, leave or change their stake; shards move with the next epochs.",
        wait,
    )
    yield from rollout_rows()
    yield Row(kind, t.PROGRESSING, "False", r.RECONCILED, "Everything is as the spec asks.")
    yield Row(
        kind,
        t.PROGRESSING,
        "False",
        r.RECONCILE_PAUSED,
        "The operator only reports, because reconciliation is paused.",
        "Remove the annotation walrus-operator.dev/reconcile to go on.",
    )
    yield Row(kind, t.DEGRADED, "False", r.AS_EXPECTED, "Nothing is broken.")
    yield Row(
        kind,
        t.DEGRADED,
        "True",
        r.MEMBERS_DOWN,
        "Committee members that should serve do not.",
        "See the WalrusNodes that the message names.",
    )
    yield Row(
        kind,
        t.DEGRADED,
        "True",
        r.CHAIN_UNREACHABLE,
        "The chain answered before and does not now.",
        "Check the devnet pod or the RPC URL.",
    )
    yield Row(
        kind,
        t.DEGRADED,
        "True",
        r.CHAIN_CHANGED,
        "The chain has another identifier than before.",
        "Restore the chain's volume, or create a new network.",
    )
    yield Row(kind, t.DEGRADED, "True", r.KEY_SECRET_LOST, "A key Secret is gone.", "Restore it from a backup.")
    yield Row(
        kind,
        t.DEGRADED,
        "True",
        r.RECONCILE_FAILED,
        "The last pass failed; it is tried again.",
        "The message holds the error; the operator's log holds more.",
    )
    yield Row(
        kind,
        t.REQUIRES_UPDATE,
        "False",
        r.UP_TO_DATE,
        "All pods are what this operator makes of the spec, or follow in the rollout.",
    )
    yield Row(
        kind,
        t.REQUIRES_UPDATE,
        "True",
        r.OPERATOR_CHANGED,
        "Another version of the operator made the pods that the message names; nothing that the user asks for has changed.",
        "Set spec.rollout.restart to another text when it suits; all pods restart, one batch after the other.",
    )
    yield Row(kind, t.PAUSED, "False", r.ACTIVE, "The operator acts.")
    yield Row(
        kind,
        t.PAUSED,
        "True",
        r.RECONCILE_PAUSED,
        "The operator only reports.",
        "Remove the annotation walrus-operator.dev/reconcile to go on.",
    )


def _node_rows() -> Iterable[Row]:
    kind, t, r = Kind.NODE, ConditionType, Reason
    yield Row(kind, t.VALID, "True", r.ACCEPTED, "The spec can be carried out.")
    yield Row(
        kind,
        t.VALID,
        "False",
        r.SPEC_INVALID,
        "The spec passed the schema but cannot be read.",
        "Correct the field that the message names.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.NETWORK_NOT_FOUND,
        "There is no WalrusNetwork of that name in the namespace.",
        "Create the network or correct networkRef.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_LOST,
        "The node's key Secret is gone. A running pod goes on; a restarted one could not.",
        "Restore the Secret from a backup; it is never made again.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_INVALID,
        "The node's key Secret holds no usable keys.",
        "Restore the Secret from a backup.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_CHANGED,
        "The node's key Secret holds other keys than the node registered with.",
        "Restore the Secret from a backup.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.MEMORY_LIMIT_TOO_SMALL,
        "The memory limit does not bear the largest blob; a pod that runs goes on as it is.",
        "Raise resources.limits.memory as the message says.",
    )
    yield Row(kind, t.READY, "True", r.SERVING, "The node serves.")
    yield Row(kind, t.READY, "False", r.NOT_VALID, "The spec cannot be carried out.", "See condition Valid.")
    yield Row(
        kind,
        t.READY,
        "False",
        r.HIBERNATED,
        "The node is switched off on purpose.",
        "Set desiredState: Active to bring it back with its data.",
    )
    yield Row(
        kind,
        t.READY,
        "False",
        r.LEAVING,
        "The node was taken away and is remembered until nothing of it is left on chain.",
        "See condition DeletionBlocked.",
    )
    yield Row(kind, t.READY, "False", r.POD_MISSING, "There is no pod.", "See the events of the StatefulSet.")
    yield Row(
        kind,
        t.READY,
        "False",
        r.POD_NOT_READY,
        "The pod is not ready.",
        "The message names the container's state; see the pod's log.",
    )
    yield Row(kind, t.READY, "False", r.CATCHING_UP, "The node is a member and does not serve its shards yet.", "Wait.")
    yield Row(
        kind,
        t.READY,
        "Unknown",
        r.NODE_UNREACHABLE,
        "The pod is ready but does not answer the operator.",
        "Check the NetworkPolicies between operator and network.",
    )
    yield Row(kind, t.REGISTERED, "True", r.REGISTERED, "The node's pool is on chain.")
    yield Row(
        kind,
        t.REGISTERED,
        "False",
        r.NOT_REGISTERED,
        "The node has not registered yet.",
        "Wait; see the node's log when it lasts.",
    )
    yield Row(
        kind,
        t.REGISTERED,
        "Unknown",
        r.CHAIN_UNREACHABLE,
        "The chain does not answer.",
        "Check the devnet pod or the RPC URL.",
    )
    yield Row(kind, t.IN_COMMITTEE, "True", r.MEMBER, "The node holds shards in the current epoch.")
    yield Row(
        kind,
        t.IN_COMMITTEE,
        "False",
        r.NOT_MEMBER,
        "The node holds no shards in the current epoch.",
        "Wait for the epoch that the message names, or give it more stake.",
    )
    yield Row(
        kind,
        t.IN_COMMITTEE,
        "False",
        r.JOINING,
        "The node's stake is delegated and counts from the epoch that the message names.",
        "Wait.",
    )
    yield Row(
        kind,
        t.IN_COMMITTEE,
        "True",
        r.LEAVING,
        "The node holds shards; its stake is withdrawn, and an epoch moves the shards to others.",
        "Wait.",
    )
    yield Row(kind, t.IN_COMMITTEE, "False", r.NO_COMMITTEE, "There is no committee yet.", "Wait.")
    yield Row(
        kind,
        t.IN_COMMITTEE,
        "Unknown",
        r.CHAIN_UNREACHABLE,
        "The chain does not answer.",
        "Check the devnet pod or the RPC URL.",
    )
    yield Row(kind, t.SYNCED, "True", r.ALL_SHARDS_READY, "All shards of the node are ready in the current epoch.")
    yield Row(kind, t.SYNCED, "True", r.NO_SHARDS, "The node holds no shards.")
    yield Row(
        kind, t.SYNCED, "False", r.CATCHING_UP, "The node has not reached the chain's epoch, or recovers.", "Wait."
    )
    yield Row(
        kind,
        t.SYNCED,
        "False",
        r.SHARDS_NOT_READY,
        "Some shards are not ready.",
        "Wait; the message tells how far the transfers are.",
    )
    yield Row(
        kind,
        t.SYNCED,
        "False",
        r.RECOVERING,
        "The node fetches from the others what it lost with its volume or missed while it was away.",
        "Wait; the message tells how far it is.",
    )
    yield Row(kind, t.SYNCED, "Unknown", r.NODE_UNREACHABLE, "The node does not answer.", "See condition Ready.")
    yield from _storage_rows()
    yield from _deletion_rows()


def _storage_rows() -> Iterable[Row]:
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


def _deletion_rows() -> Iterable[Row]:
    """DeletionBlocked: why a node that leaves, or its volume, is still there. Most reasons are names of gates."""
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
        r.CHAIN_MIRROR_STALE,
        "The chain does not answer, so nobody knows who holds which shards.",
        "Check the devnet pod or the RPC URL.",
    )


def _challenge_rows() -> Iterable[Row]:
    passing, r = ConditionType.CHALLENGES_PASSING, Reason
    what_now = "See docs/challenges.md, my node failed challenges."
    off = "Set spec.challenges.mode of the WalrusNetwork when you want them."
    for kind, who in ((Kind.NETWORK, "Every node"), (Kind.NODE, "The node")):
        yield Row(
            kind, passing, "True", r.CHALLENGES_PASSED, f"{who} has passed, or too few saw it fail to be believed."
        )
        yield Row(kind, passing, "Unknown", r.CHALLENGES_OFF, "Challenges are off, so nothing is proved.", off)
        yield Row(kind, passing, "Unknown", r.NOT_CHALLENGED, "There is no verdict yet.", "Wait; the message says why.")
    kind = Kind.NODE
    failed = "Members with more than f shards saw the node fail."
    yield Row(kind, passing, "False", r.CHALLENGES_FAILED, failed, what_now)
    yield Row(kind, passing, "False", r.SLASHED, "The node failed, and its commission was burned.", what_now)
    failed = "Members with more than f shards saw a node fail."
    yield Row(Kind.NETWORK, passing, "False", r.CHALLENGES_FAILED, failed, what_now)


def _epoch_rows() -> Iterable[Row]:
    kind, t, r = Kind.EPOCH, ConditionType, Reason
    yield Row(kind, t.CURRENT, "True", r.CURRENT_EPOCH, "The chain is in this epoch.")
    yield Row(kind, t.CURRENT, "False", r.PAST_EPOCH, "The chain has left this epoch.")
    yield Row(kind, t.CHANGE_DONE, "True", r.SHARDS_TAKEN_OVER, "A quorum of the committee holds its shards.")
    yield Row(kind, t.CHANGE_DONE, "False", r.EPOCH_CHANGE_IN_PROGRESS, "Members take over their shards.", "Wait.")


TABLE: tuple[Row, ...] = (*_network_rows(), *_node_rows(), *_challenge_rows(), *_epoch_rows())
