"""The client's decisions, pure: whom to ask, whom to write to, when to stop waiting, which bits the signers are.

Sources: walrus-sdk `active_committees.rs` (committee choice), `sliver_write_extra_time.rs` (stragglers), contract
module bls_aggregate (bitmap). Weights are numbers of shards.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum

from walrus_codec import mapping, quorum
from walrus_codec.types import BlobId, Epoch, NodeId, PairIndex
from walrus_sui.types import Committee, CommitteeMember, EpochPhase, StakingView
from walrus_sui.types import signers_bitmap as bitmap_of


class ReadChoice(Enum):
    """What the client must do before it can choose the committee to read from."""

    STATUS_NEEDED = "the epoch changes: learn first when the blob was certified"
    VIEW_IS_OLD = "the blob was certified after the epoch that we know: refresh the committee"


def write_committee(view: StakingView) -> Committee:
    """Writes go to the current committee, also while the epoch changes."""
    return view.committee


def read_committee(view: StakingView, certified_epoch: Epoch | None) -> Committee | ReadChoice:
    """The committee that surely holds a blob which was first certified in `certified_epoch` (None = not known).

    While shards move (phase SYNC), blobs of earlier epochs are read from the previous committee.
    """
    if certified_epoch is not None and certified_epoch > view.epoch:
        return ReadChoice.VIEW_IS_OLD
    if view.epoch_state.phase is not EpochPhase.SYNC or not view.previous_committee.members:
        return view.committee
    if certified_epoch is None:
        return ReadChoice.STATUS_NEEDED
    return view.previous_committee if certified_epoch < view.epoch else view.committee


def pairs_of(member: CommitteeMember, blob_id: BlobId, n_shards: int) -> list[PairIndex]:
    """The sliver pairs of this blob that the member's shards store, in ascending order."""
    return sorted(mapping.pair_of_shard(shard, blob_id, n_shards) for shard in member.shards)


def straggler_time_s(elapsed_s: float) -> float:
    """How long the slow nodes may go on after the quorum is reached: half the time so far and half a second."""
    return 0.5 * elapsed_s + 0.5


def can_reach_quorum(committee: Committee, *, confirmed: Collection[NodeId], failed: Collection[NodeId]) -> bool:
    """False once so much weight has failed for good that the rest cannot be a quorum."""
    lost = sum(member.weight for member in committee.members if member.node_id in failed)
    return quorum.is_quorum(committee.n_shards - lost, committee.n_shards) or has_quorum(committee, confirmed)


def has_quorum(committee: Committee, signers: Collection[NodeId]) -> bool:
    """True when the signers' shards are a quorum."""
    return quorum.is_quorum(weight_of(committee, signers), committee.n_shards)


def weight_of(committee: Committee, nodes: Collection[NodeId]) -> int:
    """Shards of the committee that these nodes hold."""
    return sum(member.weight for member in committee.members if member.node_id in nodes)


def signers_bitmap(committee: Committee, signers: Collection[NodeId]) -> bytes:
    """The bitmap of a certificate: bit i is the i-th member in ascending order of node ids. Strangers have no bit."""
    positions = [index for index, member in enumerate(committee.members) if member.node_id in signers]
    return bitmap_of(positions, len(committee.members))


def weighted_order(members: Iterable[CommitteeMember], uniform: Callable[[], float]) -> list[CommitteeMember]:
    """The members in random order, each next one drawn with probability proportional to its weight; `uniform` draws from [0, 1).

    (Efraimidis and Spirakis: sort by u^(1/weight).) So the load on a node follows its shards.
    """
    keyed = [(uniform() ** (1.0 / member.weight), member) for member in members if member.weight]
    return [member for _key, member in sorted(keyed, key=lambda entry: entry[0], reverse=True)]


def quorum_prefix(order: Sequence[CommitteeMember], n_shards: int) -> int:
    """How many members from the front have a quorum together; all of them when even they have none."""
    weight = 0
    for count, member in enumerate(order, start=1):
        weight += member.weight
        if quorum.is_quorum(weight, n_shards):
            return count
    return len(order)
