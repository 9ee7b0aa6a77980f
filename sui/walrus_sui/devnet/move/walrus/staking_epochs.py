"""The epoch machine of staking (contract module staking_inner).

An epoch goes EpochChangeSync, EpochChangeDone, NextParamsSelected: nodes attest that they have their shards until a
quorum has; half an epoch later anybody may end the voting, which fixes the next committee and capacity; a full epoch
after the quorum anybody may start the next one. Epoch 0 has no committee and only waits for `first_epoch_start`.
"""

from walrus_codec.types import ObjectId
from walrus_sui.devnet.move.core.aborts import U64_MAX, abort, as_u16, as_u32, as_u64, require
from walrus_sui.devnet.move.core.runtime import Runtime
from walrus_sui.devnet.move.framework.coin import Balance
from walrus_sui.devnet.move.framework.collections import MaxQueue, map_insert
from walrus_sui.devnet.move.framework.objects import Clock
from walrus_sui.devnet.move.walrus import committee as committees
from walrus_sui.devnet.move.walrus.apportionment import dhondt
from walrus_sui.devnet.move.walrus.bls_aggregate import BlsCommittee, BlsCommitteeMember, new_bls_committee
from walrus_sui.devnet.move.walrus.committee import Committee
from walrus_sui.devnet.move.walrus.epoch_parameters import EpochParams
from walrus_sui.devnet.move.walrus.events import (
    EpochChangeDone as EpochChangeDoneEvent,
)
from walrus_sui.devnet.move.walrus.events import (
    EpochChangeStart,
    EpochParametersSelected,
    ShardsReceived,
)
from walrus_sui.devnet.move.walrus.staking_inner import (
    ACTIVE_SET,
    E_COMMITTEE_SELECTED,
    E_DUPLICATE_SYNC_DONE,
    E_INCORRECT_NODE_ORDER,
    E_INVALID_SYNC_EPOCH,
    E_NEXT_COMMITTEE_IS_EMPTY,
    E_NO_STAKE,
    E_NOT_IN_COMMITTEE,
    E_WRONG_EPOCH_STATE,
    E_ZERO_NODE_WEIGHT,
    POOLS,
    PUBLIC_KEYS,
    EpochChangeDone,
    EpochChangeSync,
    NextParamsSelected,
    StakingInnerV1,
)
from walrus_sui.devnet.move.walrus.storage_node import StorageNodeCap
from walrus_sui.devnet.move.walrus.votes import quorum_above


def voting_end(rt: Runtime, state: StakingInnerV1, clock: Clock) -> None:
    """Ends the voting: fixes the next committee, its keys and the capacity."""
    if not isinstance(state.epoch_state, EpochChangeDone):
        raise abort(E_WRONG_EPOCH_STATE)
    last_epoch_change = state.epoch_state.pos0
    now = clock.timestamp_ms
    if state.epoch != 0:
        require(now >= as_u64(last_epoch_change + state.epoch_duration // 2), E_WRONG_EPOCH_STATE)
    else:
        require(now >= state.first_epoch_start, E_WRONG_EPOCH_STATE)
    for node_id in state.previous_committee:
        if POOLS.contains(rt, state.pools, node_id):
            state.pool(rt, node_id).clear_blocked_commission(rt)
    select_committee_and_calculate_votes(rt, state)
    state.epoch_state = NextParamsSelected(last_epoch_change)
    rt.emit(EpochParametersSelected(as_u32(state.epoch + 1)))


def select_committee_and_calculate_votes(rt: Runtime, state: StakingInnerV1) -> None:
    """Computes the next committee, snapshots its keys and computes the capacity from its votes."""
    require(state.next_committee is None, E_COMMITTEE_SELECTED)
    committee = compute_next_committee(rt, state)
    public_keys: dict[ObjectId, bytes] = {}
    votes = MaxQueue()
    for node_id, shards in committee.items():
        pool = POOLS.borrow(rt, state.pools, node_id)
        weight = len(shards)
        require(weight > 0, E_ZERO_NODE_WEIGHT)
        public_keys[node_id] = pool.node_info.key_for_next_epoch
        votes.insert(min(pool.voting_params.node_capacity * state.n_shards // weight, U64_MAX), weight)
    PUBLIC_KEYS.swap(rt, state.next_epoch_public_keys, public_keys)
    state.next_committee = committee
    state.next_epoch_params = EpochParams(quorum_above(votes, state.n_shards))


def compute_next_committee(rt: Runtime, state: StakingInnerV1) -> Committee:
    """The committee as it would be selected now."""
    distribution = apportionment(rt, state)
    if not state.committee:
        return committees.initialize(distribution)
    return committees.transition(state.committee, distribution)


def apportionment(rt: Runtime, state: StakingInnerV1) -> dict[ObjectId, int]:
    """Shards per node, in the order of the active set; nodes without shards are left out."""
    ids, stake = ACTIVE_SET.borrow(rt, state.active_set).active_ids_and_stake()
    shards = dhondt(state.n_shards, stake, no_stake=E_NO_STAKE)
    distribution: dict[ObjectId, int] = {}
    for node_id, count in zip(ids, shards, strict=True):
        if count > 0:
            map_insert(distribution, node_id, count)
    return distribution


def next_bls_committee(rt: Runtime, state: StakingInnerV1) -> BlsCommittee:
    """The next committee with the keys of its selection, which are used up."""
    if state.next_committee is None:
        raise abort(E_NEXT_COMMITTEE_IS_EMPTY)
    public_keys = list(PUBLIC_KEYS.swap(rt, state.next_epoch_public_keys, {}).items())
    members: list[BlsCommitteeMember] = []
    for index, (node_id, shards) in enumerate(state.next_committee.items()):
        key_node_id, key = public_keys[index]
        require(node_id == key_node_id, E_INCORRECT_NODE_ORDER)
        members.append(BlsCommitteeMember(key, as_u16(len(shards)), node_id))
    return new_bls_committee(as_u32(state.epoch + 1), members)


def initiate_epoch_change(rt: Runtime, state: StakingInnerV1, clock: Clock, rewards: dict[ObjectId, Balance]) -> None:
    """Starts the next epoch, if its time has come."""
    if not isinstance(state.epoch_state, NextParamsSelected):
        raise abort(E_WRONG_EPOCH_STATE)
    last_epoch_change = state.epoch_state.pos0
    now = clock.timestamp_ms
    if state.epoch == 0:
        require(now >= state.first_epoch_start, E_WRONG_EPOCH_STATE)
    else:
        require(now >= as_u64(last_epoch_change + state.epoch_duration), E_WRONG_EPOCH_STATE)
    advance_epoch(rt, state, rewards)


def advance_epoch(rt: Runtime, state: StakingInnerV1, rewards: dict[ObjectId, Balance]) -> None:
    """Makes the next committee the current one and advances the pools of old and newly joined members."""
    if state.next_committee is None:
        raise abort(E_WRONG_EPOCH_STATE)
    state.epoch = as_u32(state.epoch + 1)
    state.previous_committee, state.committee, state.next_committee = state.committee, state.next_committee, None
    state.epoch_state = EpochChangeSync(0)
    wctx = state.walrus_context()
    active_set = ACTIVE_SET.borrow_mut(rt, state.active_set)
    _, joined = committees.diff(state.previous_committee, state.committee)
    for node_id, earned in [*rewards.items(), *((node_id, Balance.zero()) for node_id in joined)]:
        pool = state.pool(rt, node_id)
        pool.advance_epoch(rt, earned, wctx)
        active_set.insert_or_update(node_id, pool.wal_balance_at_epoch(rt, as_u32(state.epoch + 1)))
    rt.emit(EpochChangeStart(state.epoch))


def epoch_sync_done(rt: Runtime, state: StakingInnerV1, cap: StorageNodeCap, epoch: int, clock: Clock) -> None:
    """Notes that a node has its shards; a quorum of them makes the change done."""
    require(epoch == state.epoch, E_INVALID_SYNC_EPOCH)
    require(cap.last_epoch_sync_done < state.epoch, E_DUPLICATE_SYNC_DONE)
    cap.last_epoch_sync_done = state.epoch
    require(cap.node_id in state.committee, E_NOT_IN_COMMITTEE)
    shards = state.committee[cap.node_id]
    if isinstance(state.epoch_state, EpochChangeSync):
        weight = as_u16(state.epoch_state.pos0 + len(shards))
        if state.is_quorum(weight):
            state.epoch_state = EpochChangeDone(clock.timestamp_ms)
            rt.emit(EpochChangeDoneEvent(state.epoch))
        else:
            state.epoch_state = EpochChangeSync(weight)
    rt.emit(ShardsReceived(state.epoch, list(shards)))
