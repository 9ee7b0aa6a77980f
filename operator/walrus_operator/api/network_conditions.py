"""Rows of the table of conditions that a WalrusNetwork has."""

from __future__ import annotations

from collections.abc import Iterable

from walrus_operator.api.condition_types import ConditionType, Kind, Reason, Row
from walrus_operator.api.rollout_conditions import rollout_rows


def network_rows() -> Iterable[Row]:
    """All of them, those of rollouts too."""
    kind, t, r = Kind.NETWORK, ConditionType, Reason
    wait = "Wait; the message says what is missing."
    yield Row(kind, t.VALID, "True", r.ACCEPTED, "The spec can be carried out.")
    yield Row(
        kind,
        t.VALID,
        "False",
        r.SPEC_INVALID,
        "The spec passed the schema but cannot be carried out as it is.",
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
        "The key Secret of treasury or gateway is gone, or that with the admin token.",
        "Restore the Secret from a backup; it is never made again. Another admin token is made on request: see the message.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_INVALID,
        "The key Secret of treasury or gateway holds no usable key, or that with the admin token no token.",
        "Restore the Secret from a backup, or do as the message says.",
    )
    yield Row(
        kind,
        t.VALID,
        "False",
        r.KEY_SECRET_CHANGED,
        "The key Secret of treasury or gateway, or that with the admin token, holds another one than before.",
        "Restore the Secret from a backup, or do as the message says.",
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
    yield from _sleep_rows()
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
        r.POD_CANNOT_START,
        "The image of a pod is not to be had.",
        "Correct the field that the message names.",
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


def _sleep_rows() -> Iterable[Row]:
    """What a network says that sleeps, or goes to sleep."""
    kind, t, asleep = Kind.NETWORK, ConditionType, Reason.HIBERNATED
    wake = "Set spec.hibernated: false to wake it."
    yield Row(kind, t.READY, "False", asleep, "The network sleeps, with its data.", wake)
    yield Row(kind, t.AVAILABLE, "False", asleep, "The network sleeps; nothing is lost.", wake)
    yield Row(kind, t.COMMITTEE_SYNCED, "Unknown", asleep, "The network sleeps, and nobody looks at the chain.", wake)
    yield Row(
        kind, t.PROGRESSING, "True", asleep, "The network goes to sleep: the message names a pod that still ends."
    )
    yield Row(kind, t.PROGRESSING, "False", asleep, "The network sleeps.", wake)
