"""The table of conditions: kind, type, status, reason, what it means, what to do.

Whatever the operator can put into a status stands here, and the reference page is made from it.
"""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api import node_rows
from walrus_operator.api.condition_types import ConditionType, Kind, Reason, Row
from walrus_operator.api.network_conditions import network_rows


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
        r.NAME_CONFLICT,
        "An object that does not belong to this network has a name that the node needs, or its own is one of the template's.",
        "Rename or delete the other object, or make the node anew under another name.",
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
        r.FENCED,
        "The node is out of rotation on purpose.",
        "See condition `Fenced`.",
    )
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
    yield from node_rows.storage_rows()
    yield from node_rows.key_rows()
    yield from node_rows.fence_rows()
    yield from node_rows.deletion_rows()


def _challenge_rows() -> Iterable[Row]:
    passing, r = ConditionType.CHALLENGES_PASSING, Reason
    what_now = "See docs/challenges.md, my node failed challenges."
    off = "Set spec.challenges.mode of the WalrusNetwork when you want them."
    for kind, who in ((Kind.NETWORK, "Every node"), (Kind.NODE, "The node")):
        yield Row(
            kind, passing, "True", r.CHALLENGES_PASSED, f"{who} has passed, or too few saw it fail to be believed."
        )
        yield Row(kind, passing, "Unknown", r.CHALLENGES_OFF, "Challenges are off, so nothing is proved.", off)
        yield Row(
            kind,
            passing,
            "Unknown",
            r.NOT_CHALLENGED,
            "There is no verdict yet that says whether the data is there.",
            "Wait; the message says why. When it stays so, members are away, or machines too busy to measure each other.",
        )
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
    yield Row(
        kind,
        t.CHALLENGES_OVERRIDDEN,
        "True",
        r.OVERRIDE_ACCEPTED,
        "`spec.challenges` of the StorageEpoch holds in its epoch.",
    )
    yield Row(
        kind,
        t.CHALLENGES_OVERRIDDEN,
        "False",
        r.OVERRIDE_TOO_LATE,
        "`spec.challenges` of the StorageEpoch is ignored: nodes knew the policy of its epoch by then.",
        "Apply it to the epoch that the message names, or a later one.",
    )


TABLE: tuple[Row, ...] = (*network_rows(), *_node_rows(), *_challenge_rows(), *_epoch_rows())
