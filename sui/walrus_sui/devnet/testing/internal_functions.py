"""Functions that the contract has and Python does without, or orders otherwise: as the contract declares them.

Names, arguments and their order are those of the Move sources; `TxContext` is left out. What they are for is said where
`walrus_sui.devnet.testing.internals` puts them into their modules.
"""

# ruff: noqa: D103, FBT001, PLR0917 - one line for each Move function, which says what the Move source says

from collections.abc import Mapping, Sequence
from typing import Any

from walrus_codec import quorum
from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import require
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.collections import MaxQueue
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.walrus import apportionment, pool_withdrawals, votes
from walrus_sui.devnet.move.walrus import committee as committees
from walrus_sui.devnet.move.walrus import staking_inner as stakings
from walrus_sui.devnet.move.walrus import staking_pool as pools
from walrus_sui.devnet.move.walrus.active_set import ActiveSet
from walrus_sui.devnet.move.walrus.bls_aggregate import BlsCommittee, BlsCommitteeMember
from walrus_sui.devnet.move.walrus.committee import Committee
from walrus_sui.devnet.move.walrus.event_blob import EventBlob, EventBlobAttestation, EventBlobCertificationState
from walrus_sui.devnet.move.walrus.node_metadata import NodeMetadata
from walrus_sui.devnet.move.walrus.pending_values import PendingValues
from walrus_sui.devnet.move.walrus.staked_wal import StakedWal
from walrus_sui.devnet.move.walrus.staking_inner import StakingInnerV1
from walrus_sui.devnet.move.walrus.staking_pool import StakingPool
from walrus_sui.devnet.move.walrus.storage_accounting import FutureAccounting, FutureAccountingRingBuffer
from walrus_sui.devnet.move.walrus.walrus_context import WalrusContext
from walrus_sui.devnet.testing.contract_module import rt
from walrus_sui.devnet.testing.values import ArgumentError, address_of

# active_set


def set_max_size(set: ActiveSet, max_size: int) -> None:  # noqa: A002 - its name in Move
    set.max_size = max_size


def active_ids(set: ActiveSet) -> list[ObjectId]:  # noqa: A002
    return set.active_ids_and_stake()[0]


def active_set_size(set: ActiveSet) -> int:  # noqa: A002
    return len(set.nodes)


def cur_min_stake(set: ActiveSet) -> int:  # noqa: A002
    """What a newcomer must exceed, or the threshold while there is room."""
    full = len(set.nodes) == set.max_size
    return min(entry.staked_amount for entry in set.nodes) if full else set.threshold_stake


# bls_aggregate


def new_bls_committee_member(public_key: bytes, weight: int, node_id: ObjectId) -> BlsCommitteeMember:
    return BlsCommitteeMember(public_key, weight, node_id)


def n_members(self: BlsCommittee) -> int:
    return len(self.members)


def get_idx(self: BlsCommittee, idx: int) -> BlsCommitteeMember:
    return self.members[idx]


def get_member_weight(self: BlsCommittee, node_id: ObjectId) -> int:
    return self.weight_of(node_id)


def to_vec_map(self: BlsCommittee) -> dict[ObjectId, int]:
    return {member.node_id: member.weight for member in self.members}


def includes_one_correct_node(self: BlsCommittee, weight: int) -> bool:
    return quorum.is_one_honest(weight, self.n_shards)


def verify_certificate(self: BlsCommittee, signature: bytes, signers_bitmap: bytes, message: bytes) -> int:
    """The weight of the signers, who must be a quorum; the message's header is not looked at."""
    return self.verify_certificate_and_weight(signature, signers_bitmap, message, one_correct_node=False)


# committee


def empty() -> Committee:
    return {}


def inner(cmt: Committee) -> Committee:
    return cmt


def to_inner(cmt: Committee) -> Committee:
    return dict(cmt)


def size(cmt: Committee) -> int:
    return len(cmt)


def shards(cmt: Committee, node_id: ObjectId) -> list[int]:
    return cmt[node_id]


def contains(cmt: Committee, node_id: ObjectId) -> bool:
    return node_id in cmt


def is_sorted(cmt: Committee) -> bool:
    ids = list(_spellings(cmt))
    return ids == sorted(ids)


def initialize(assigned_number: Mapping[Any, int]) -> Committee:
    known = _spellings(assigned_number)
    made = committees.initialize({node_id: assigned_number[key] for node_id, key in known.items()})
    return {known[node_id]: held for node_id, held in made.items()}


def transition(cmt: Committee, new_assignments: Mapping[Any, int]) -> Committee:
    known = _spellings(cmt, new_assignments)
    before = {node_id: list(cmt[key]) for node_id, key in known.items() if key in cmt}
    ids = {key: node_id for node_id, key in known.items()}
    after = committees.transition(before, {ids[key]: number for key, number in new_assignments.items()})
    return {known[node_id]: held for node_id, held in after.items()}


def _spellings(*maps: Mapping[Any, Any]) -> dict[ObjectId, Any]:
    """Ids as the contract compares them, as numbers, and how the caller writes them; names are compared as text."""
    keys = list(dict.fromkeys(key for entries in maps for key in entries))
    try:
        return {ObjectId(f"0x{key:064x}") if isinstance(key, int) else address_of(key): key for key in keys}
    except ArgumentError:
        return {key: key for key in keys}


# event_blob


def new_attestation(checkpoint_sequence_num: int, epoch: int) -> EventBlobAttestation:
    return EventBlobAttestation(checkpoint_sequence_num, epoch)


def new_event_blob(ending_checkpoint_sequence_number: int, blob_id: int) -> EventBlob:
    return EventBlob(blob_id, ending_checkpoint_sequence_number)


def get_latest_certified_checkpoint_sequence_number(self: EventBlobCertificationState) -> int | None:
    latest = self.latest_certified_blob
    return None if latest is None else latest.ending_checkpoint_sequence_number


def get_latest_certified_blob_id(self: EventBlobCertificationState) -> int | None:
    return None if self.latest_certified_blob is None else self.latest_certified_blob.blob_id


def get_num_tracked_blobs(self: EventBlobCertificationState) -> int:
    return len(self.aggregate_weight_per_blob)


def start_tracking_blob(
    self: EventBlobCertificationState, blob_id: int, ending_checkpoint_sequence_number: int
) -> None:
    self.update_aggregate_weight(blob_id, ending_checkpoint_sequence_number, 0)


# pending_values


def pending(self: PendingValues) -> dict[int, int]:
    return self.pos0


def pending_is_empty(self: PendingValues) -> bool:
    return not self.pos0


# staked_wal


def can_withdraw_early(sw: StakedWal, node_in_next_committee: bool, wctx: WalrusContext) -> bool:
    return sw.can_withdraw_early(wctx, node_in_next_committee=node_in_next_committee)


# staking_inner


def new_staking(epoch_zero_duration: int, epoch_duration: int, n_shards: int, clock: Clock) -> StakingInnerV1:
    return StakingInnerV1.new(
        rt, clock, epoch_zero_duration=epoch_zero_duration, epoch_duration=epoch_duration, n_shards=n_shards
    )


def has_pool(self: StakingInnerV1, node_id: ObjectId) -> bool:
    return stakings.POOLS.contains(rt, self.pools, node_id)


def active_set(self: StakingInnerV1) -> ActiveSet:
    return stakings.ACTIVE_SET.borrow_mut(rt, self.active_set)


def is_quorum_for_n_shards(weight: int, n_shards: int) -> bool:
    return quorum.is_quorum(weight, n_shards)


def dhondt(n_shards: int, stake: Sequence[int]) -> list[int]:
    """Shards per node for these stakes; an earlier node wins a tie.

    Raises:
        MoveAbort: ``staking_inner`` 3, nobody has stake.
    """
    return apportionment.dhondt(n_shards, stake, no_stake=stakings.E_NO_STAKE)


def quorum_above(vote_queue: Any, n_shards: int) -> int:
    """The highest value such that a quorum voted for it or more; votes are weights by value, or pairs of the two."""
    return votes.quorum_above(_queue(vote_queue), n_shards)


def quorum_below(vote_queue: Any, n_shards: int) -> int:
    """The lowest value such that a quorum voted for it or less; votes as above."""
    return votes.quorum_below(_queue(vote_queue), n_shards)


def _queue(weights: Mapping[int, int] | Sequence[tuple[int, int]]) -> MaxQueue:
    queue = MaxQueue()
    for value, weight in weights.items() if isinstance(weights, Mapping) else weights:
        queue.insert(value, weight)
    return queue


# staking_pool


def request_withdraw_stake(
    pool: StakingPool, staked_wal: StakedWal, in_current_committee: bool, in_next_committee: bool, wctx: WalrusContext
) -> None:
    pool_withdrawals.request_withdraw_stake(
        rt,
        pool,
        staked_wal,
        wctx,
        in_current_committee=in_current_committee,
        in_next_committee=in_next_committee,
    )


def withdraw_stake(
    pool: StakingPool, staked_wal: StakedWal, in_current_committee: bool, in_next_committee: bool, wctx: WalrusContext
) -> Balance:
    return pool_withdrawals.withdraw_stake(
        rt,
        pool,
        staked_wal,
        wctx,
        in_current_committee=in_current_committee,
        in_next_committee=in_next_committee,
    )


def new_staking_pool(
    name: str,
    network_address: str,
    metadata: NodeMetadata,
    public_key: bytes,
    network_public_key: bytes,
    proof_of_possession: bytes,
    commission_rate: int,
    storage_price: int,
    write_price: int,
    node_capacity: int,
    wctx: WalrusContext,
) -> StakingPool:
    return pools.new(
        rt,
        wctx,
        name=name,
        network_address=network_address,
        metadata=metadata,
        public_key=public_key,
        network_public_key=network_public_key,
        proof_of_possession=proof_of_possession,
        commission_rate=commission_rate,
        storage_price=storage_price,
        write_price=write_price,
        node_capacity=node_capacity,
    )


def blocked_commission_amount(pool: StakingPool) -> int:
    key = pools.NewEpochCommissionBlockedForCollection()
    blocked = pools.BLOCKED
    return blocked.borrow(rt, pool.extra_fields, key) if blocked.contains(rt, pool.extra_fields, key) else 0


def set_withdrawing(pool: StakingPool, wctx: WalrusContext) -> None:
    """Lets a pool end; no function of the contract calls it."""
    require(not isinstance(pool.state, pools.Withdrawing), pools.E_POOL_ALREADY_WITHDRAWING)
    pool.state = pools.Withdrawing(wctx.epoch + 1)


def set_next_storage_price(pool: StakingPool, storage_price: int) -> None:
    pool.voting_params.storage_price = storage_price


def set_next_write_price(pool: StakingPool, write_price: int) -> None:
    pool.voting_params.write_price = write_price


def set_next_node_capacity(pool: StakingPool, node_capacity: int) -> None:
    pool.voting_params.node_capacity = node_capacity


def pool_is_empty(pool: StakingPool) -> bool:
    """Whether nothing is left in the pool, and nothing about to come."""
    amounts = (pool.rewards_pool.value, pool.num_shares, pool.commission.value, pool.wal_balance)
    return not any((*amounts, *pool.pending_stake.pos0.values()))


def destroy_empty(pool: StakingPool) -> None:
    """Ends a pool that is empty; no function of the contract calls it."""
    require(pool_is_empty(pool), pools.E_POOL_NOT_EMPTY)


# storage_accounting


def new_future_accounting(epoch: int, used_capacity: int, rewards_to_distribute: Balance) -> FutureAccounting:
    return FutureAccounting(epoch, used_capacity, rewards_to_distribute)


def delete_empty_future_accounting(self: FutureAccounting) -> None:
    self.rewards_to_distribute.destroy_zero()


def per_epoch_rewards(self: FutureAccountingRingBuffer) -> list[int]:
    return [self.ring_lookup(ahead).rewards_to_distribute.value for ahead in range(self.length)]
