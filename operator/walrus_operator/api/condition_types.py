"""Names of everything that a condition can say: kinds, types, reasons, and the shape of a row of the table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Truth = Literal["True", "False", "Unknown"]


class Kind(StrEnum):
    """The kinds that have conditions."""

    NETWORK = "WalrusNetwork"
    NODE = "WalrusNode"
    EPOCH = "StorageEpoch"


class ConditionType(StrEnum):
    """All condition types."""

    VALID = "Valid"
    READY = "Ready"
    AVAILABLE = "Available"
    COMMITTEE_SYNCED = "CommitteeSynced"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    REQUIRES_UPDATE = "RequiresUpdate"
    PAUSED = "Paused"
    REGISTERED = "Registered"
    IN_COMMITTEE = "InCommittee"
    SYNCED = "Synced"
    CURRENT = "Current"
    CHANGE_DONE = "ChangeDone"
    STORAGE_OK = "StorageOk"
    KEYS_CURRENT = "KeysCurrent"
    FENCED = "Fenced"
    DELETION_BLOCKED = "DeletionBlocked"
    CHALLENGES_PASSING = "ChallengesPassing"
    CHALLENGES_OVERRIDDEN = "ChallengesOverridden"


class Reason(StrEnum):
    """All reasons."""

    ACCEPTED = "Accepted"
    SPEC_INVALID = "SpecInvalid"
    CHAIN_MISMATCH = "ChainMismatch"
    PUBLIC_NETWORK_REFUSED = "PublicNetworkRefused"
    NAME_CONFLICT = "NameConflict"
    OBJECT_REJECTED = "ObjectRejected"
    KEY_SECRET_LOST = "KeySecretLost"  # noqa: S105  (a reason, not a secret)
    KEY_SECRET_INVALID = "KeySecretInvalid"  # noqa: S105  (a reason, not a secret)
    KEY_SECRET_CHANGED = "KeySecretChanged"  # noqa: S105  (a reason, not a secret)
    NETWORK_NOT_FOUND = "NetworkNotFound"
    MEMORY_LIMIT_TOO_SMALL = "MemoryLimitTooSmall"

    SERVING = "Serving"
    CHAIN_UNREACHABLE = "ChainUnreachable"
    CHAIN_CHANGED = "ChainChanged"
    CHAIN_STARTING = "ChainStarting"
    WAITING_FOR_REGISTRATION = "WaitingForRegistration"
    WAITING_FOR_STAKE = "WaitingForStake"
    WAITING_FOR_COMMITTEE = "WaitingForCommittee"
    NODES_NOT_READY = "NodesNotReady"
    GATEWAY_NOT_READY = "GatewayNotReady"
    NOT_VALID = "NotValid"
    POD_NOT_READY = "PodNotReady"
    POD_MISSING = "PodMissing"
    NODE_UNREACHABLE = "NodeUnreachable"
    HIBERNATED = "Hibernated"

    QUORUM_AVAILABLE = "QuorumAvailable"
    QUORUM_LOST = "QuorumLost"
    NO_COMMITTEE = "NoCommittee"

    EPOCH_DONE = "EpochDone"
    EPOCH_CHANGE_IN_PROGRESS = "EpochChangeInProgress"

    RECONCILED = "Reconciled"
    CREATING = "Creating"
    WAITING_FOR_PODS = "WaitingForPods"
    MEMBERS_CHANGING = "MembersChanging"
    ROLLING_OUT = "RollingOut"

    AS_EXPECTED = "AsExpected"
    MEMBERS_DOWN = "MembersDown"
    POD_CANNOT_START = "PodCannotStart"
    RECONCILE_FAILED = "ReconcileFailed"

    UP_TO_DATE = "UpToDate"
    OPERATOR_CHANGED = "OperatorChanged"

    ACTIVE = "Active"
    RECONCILE_PAUSED = "ReconcilePaused"

    REGISTERED = "Registered"
    NOT_REGISTERED = "NotRegistered"
    MEMBER = "Member"
    NOT_MEMBER = "NotMember"
    JOINING = "Joining"
    LEAVING = "Leaving"
    ALL_SHARDS_READY = "AllShardsReady"
    CATCHING_UP = "CatchingUp"
    SHARDS_NOT_READY = "ShardsNotReady"
    NO_SHARDS = "NoShards"
    RECOVERING = "Recovering"

    TAKES_SLIVERS = "TakesSlivers"
    CAPACITY_REACHED = "CapacityReached"
    DISK_NEARLY_FULL = "DiskNearlyFull"
    DISK_FAILING = "DiskFailing"
    VOLUME_TOO_SMALL = "VolumeTooSmall"

    KEYS_IN_USE = "KeysInUse"
    KEYS_CHANGING = "KeysChanging"

    NOT_FENCED = "NotFenced"
    FENCED = "Fenced"

    NOT_LEAVING = "NotLeaving"
    REMOVABLE = "Removable"
    HOLDS_SHARDS = "HoldsShards"
    HOLDS_STAKE = "HoldsStake"
    LAST_STAKED_NODE = "LastStakedNode"
    CHAIN_MIRROR_STALE = "ChainMirrorStale"
    SHARD_TRANSFER_SOURCE = "ShardTransferSource"
    SHARD_TRANSFER_TARGET = "ShardTransferTarget"
    NODE_RECOVERING = "NodeRecovering"
    FAULT_BUDGET_EXCEEDED = "FaultBudgetExceeded"
    FAILURE_DOMAIN_BUSY = "FailureDomainBusy"
    EXPECTATION_PENDING = "ExpectationPending"
    OUTSIDE_MAINTENANCE_WINDOW = "OutsideMaintenanceWindow"
    PREVIOUS_NODE_NOT_REJOINED = "PreviousNodeNotRejoined"
    EPOCH_TOO_SHORT_FOR_BATCH = "EpochTooShortForBatch"
    CHALLENGE_WINDOW_OPEN = "ChallengeWindowOpen"
    SLASHING_VOTE_PENDING = "SlashingVotePending"
    ROLLOUT_PAUSED = "RolloutPaused"
    AWAITING_APPROVAL = "AwaitingApproval"

    CHALLENGES_PASSED = "ChallengesPassed"
    CHALLENGES_FAILED = "ChallengesFailed"
    SLASHED = "Slashed"
    CHALLENGES_OFF = "ChallengesOff"
    NOT_CHALLENGED = "NotChallenged"

    CURRENT_EPOCH = "CurrentEpoch"
    PAST_EPOCH = "PastEpoch"
    SHARDS_TAKEN_OVER = "ShardsTakenOver"
    OVERRIDE_ACCEPTED = "OverrideAccepted"
    OVERRIDE_TOO_LATE = "OverrideTooLate"


@dataclass(frozen=True)
class Row:
    """One thing that a condition can say."""

    kind: Kind
    type: ConditionType
    status: Truth
    reason: Reason
    meaning: str
    remedy: str = "Nothing to do."
