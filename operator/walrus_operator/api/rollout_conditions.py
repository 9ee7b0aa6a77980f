"""Rows of the table of conditions that a rollout can bring: that it goes on, each gate that holds it, that it is stuck."""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.condition_types import ConditionType, Kind, Reason, Row


def rollout_rows() -> Iterable[Row]:
    """All of them."""
    kind, t, r = Kind.NETWORK, ConditionType, Reason
    yield Row(
        kind,
        t.PROGRESSING,
        "True",
        r.ROLLING_OUT,
        "Pods restart, one batch after the other, because their spec has changed: nodes, gateways, the devnet.",
        "Wait; `walrusctl network plan` shows what comes next.",
    )
    yield Row(
        kind,
        t.PROGRESSING,
        "False",
        r.ROLLOUT_PAUSED,
        "Nodes do not run what the spec asks for, and spec.rollout.paused is set.",
        "Take spec.rollout.paused away to let them restart.",
    )
    yield Row(
        kind,
        t.PROGRESSING,
        "False",
        r.AWAITING_APPROVAL,
        "Nodes do not run what the spec asks for, and spec.rollout.mode is Supervised.",
        "Look at the plan, then set the annotation that the message names.",
    )
    held = (
        (r.CHAIN_MIRROR_STALE, "the chain does not answer", "Check the devnet pod or the RPC URL."),
        (r.EXPECTATION_PENDING, "something that was done does not show yet", "Wait; it lasts seconds."),
        (r.OUTSIDE_MAINTENANCE_WINDOW, "no maintenance window is open", "Wait, or change the windows."),
        (
            r.PREVIOUS_NODE_NOT_REJOINED,
            "a node that was restarted has not rejoined",
            "Wait; when it lasts, see that node's pod and its log, and correct the spec or set it back.",
        ),
        (r.EPOCH_CHANGE_IN_PROGRESS, "the committee takes over its shards", "Wait."),
        (r.EPOCH_TOO_SHORT_FOR_BATCH, "the epoch is about to end", "Wait for the next one."),
        (
            r.NODE_UNREACHABLE,
            "the next node does not answer",
            "See the log of its pod; delete the pod by hand if it hangs.",
        ),
        (
            r.CHALLENGE_WINDOW_OPEN,
            "the next node is in an availability challenge",
            "Wait; it lasts seconds to minutes.",
        ),
        (r.SLASHING_VOTE_PENDING, "the next node has voted to slash another", "Wait for the next epoch."),
        (r.FAILURE_DOMAIN_BUSY, "nodes of another failure domain are away", "Wait."),
        (r.SHARD_TRANSFER_SOURCE, "the next node is the source of shards that move", "Wait; one epoch at most."),
        (r.GATEWAY_NOT_READY, "a gateway is not ready, and the next pod must not be away beside it", "See its pod."),
        (r.MEMBERS_DOWN, "the devnet is next, and nodes that are down need the chain", "Bring them back."),
        (r.SHARD_TRANSFER_TARGET, "the next node takes over shards", "Wait until it is Synced."),
        (r.NODE_RECOVERING, "the next node recovers", "Wait until it is Synced."),
        (
            r.FAULT_BUDGET_EXCEEDED,
            "with the next node more than f - reserve shards would be unavailable",
            "Bring back the nodes that are down; a node that is too heavy alone may be allowed once, see the message.",
        ),
    )
    for reason, why, remedy in held:
        yield Row(kind, t.PROGRESSING, "True", reason, f"Nothing restarts now: {why}.", remedy)
    yield Row(
        kind,
        t.DEGRADED,
        "True",
        r.PREVIOUS_NODE_NOT_REJOINED,
        "A node that was restarted does not come back, so the rollout has stopped.",
        "See that node's pod and its log, and correct the spec or set it back: the node is restarted with that first.",
    )
