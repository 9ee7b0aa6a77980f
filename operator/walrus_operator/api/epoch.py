"""StorageEpoch: one epoch of a network as the chain recorded it.

Named `<network>-<epoch>`. The operator owns status, labels and owner reference; the spec belongs to users, who steer an
epoch that is still to come with it. A table of shards changes with every epoch and would make WalrusNetwork
large, so it lives here.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from walrus_operator.api.base import SpecModel, StatusModel
from walrus_operator.api.challenges import ChallengeResults, EpochChallenges
from walrus_operator.api.conditions import ConditionStatus

KIND = "StorageEpoch"
PLURAL = "storageepochs"


class EpochSpec(SpecModel):
    """What users want of an epoch; fixed once it has begun."""

    challenges: EpochChallenges | None = None
    """What the network does about challenges in this epoch. A change between Off and the others must be there two minutes
    before the epoch begins, so that all nodes know of it. Condition ChallengesOverridden says what became of it."""


class EpochMember(StatusModel):
    """A committee member."""

    node: str
    """Name of the WalrusNode, or the name on chain for a member that is not ours."""
    node_id: str
    """Object id of the staking pool."""
    weight: int
    """Number of shards."""
    shards: list[int]
    """The shards."""
    protocol_key: str | None = None
    """BLS public key that its messages of the epoch are checked with, hex."""


class EpochChain(StatusModel):
    """Where on chain this was read."""

    id: str
    """Chain identifier."""
    checkpoint: int
    """Latest checkpoint when the epoch was first seen."""


class EpochPrices(StatusModel):
    """Prices that hold in the epoch, in FROST."""

    storage: int
    """Per MiB and epoch of encoded size."""
    write: int
    """Per MiB written."""


class EpochStatus(StatusModel):
    """What the chain says."""

    epoch: int | None = None
    """Number of the epoch."""
    state: str | None = None
    """Sync (shards move), Done, ParamsSelected (next committee chosen) or Past."""
    members: int | None = None
    """Size of the committee."""
    committee: list[EpochMember] | None = None
    """Members with their shards, in committee order."""
    started_at: str | None = None
    """When the operator first saw the epoch."""
    change_done_at: str | None = None
    """When a quorum of members had taken over their shards (chain time)."""
    ended_at: str | None = None
    """When the operator first saw the next epoch."""
    chain: EpochChain | None = None
    """Where this was read."""
    prices: EpochPrices | None = None
    """Prices of the epoch."""
    total_capacity: int | None = None
    """Bytes that can be reserved in the epoch."""
    challenges: ChallengeResults | None = None
    """What the nodes have found out about each other; absent before the first verdict."""
    conditions: Annotated[
        list[ConditionStatus],
        Field(
            default_factory=list,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ]
    """Current, ChangeDone; ChallengesOverridden where the spec asks for that, also before the epoch has begun."""
