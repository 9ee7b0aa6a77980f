"""What nodes decide together beside storage: slashing, upgrades; and the subsidies that others pay."""

from dataclasses import dataclass

from walrus_codec.types import Epoch, NodeId, ObjectId


@dataclass(frozen=True)
class SlashingProposal:
    """Votes to burn a node's commission; they count only in the epoch that they were cast in.

    Attributes:
        node_id: the candidate.
        epoch: epoch of the votes.
        weight: shards of the voters.
        voters: nodes that voted, in order.
    """

    node_id: NodeId
    epoch: Epoch
    weight: int
    voters: tuple[NodeId, ...]


@dataclass(frozen=True)
class UpgradeProposal:
    """Votes for a new version of the contract.

    Attributes:
        digest: of the new package, 32 bytes.
        epoch: epoch of the votes; the upgrade must be authorized in it.
        version: version that the package would get.
        weight: shards of the voters.
        voters: nodes that voted, in order.
    """

    digest: bytes
    epoch: Epoch
    version: int
    weight: int
    voters: tuple[NodeId, ...]


@dataclass(frozen=True)
class UpgradeManagerView:
    """The UpgradeManager.

    Attributes:
        object_id: its id.
        package_id: newest version of the contract's package.
        version: number of that version.
        policy: which changes the UpgradeCap allows; 0 allows all compatible ones.
        proposals: all that were not cleaned up, in digest order.
    """

    object_id: ObjectId
    package_id: ObjectId
    version: int
    policy: int
    proposals: tuple[UpgradeProposal, ...]


@dataclass(frozen=True)
class SubsidiesView:
    """The WalrusSubsidies object: a purse that tops up what nodes and the storage fund get.

    Attributes:
        object_id: its id.
        package_id: package to call.
        rate: basis points that are added to the rewards of coming epochs.
        pool: FROST left.
        base: FROST for each member of a committee and epoch.
        per_shard: FROST for each of its shards and epoch.
        latest_epoch: epoch whose fixed part was paid last.
        processed_ms: time of the last payment.
    """

    object_id: ObjectId
    package_id: ObjectId
    rate: int
    pool: int
    base: int
    per_shard: int
    latest_epoch: Epoch
    processed_ms: int
